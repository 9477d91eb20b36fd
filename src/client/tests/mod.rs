//! The client against nodes that misbehave in one way at a time.
#![expect(clippy::disallowed_methods, reason = "time limits of tests")]

mod fake;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::fake::{Act, Door, FakeNode, value, written};
use super::{Client, ClientError, ClientOptions, ConnectError, Connection};
use crate::types::{
    Command, Epoch, Event, Failure, KEY_BYTES_MAX, NodeId, Op, Position, ReadLevel, Reply, Report, WriteLevel,
};
use crate::wire::{FRAME_BYTES_MAX, PROTOCOL_VERSION, Request, Response};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
/// Far more than anything here takes; only a hang reaches it.
const AT_MOST: Duration = Duration::from_secs(10);
/// For what is expected not to come.
const SOON: Duration = Duration::from_millis(150);
/// For what is expected to come, however busy the machine.
const PATIENT: Duration = Duration::from_secs(5);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, future).await.expect("must not hang")
}

fn put() -> Command {
    let op = Op::Put { key: Bytes::from_static(b"k"), value: Bytes::from_static(b"v") };
    Command::Write { op, level: WriteLevel::Quorum, timeout: Duration::from_millis(100) }
}

fn get(level: ReadLevel) -> Command {
    Command::Read { key: Bytes::from_static(b"k"), level, timeout: Duration::from_millis(100) }
}

fn client(nodes: &[&FakeNode]) -> Client {
    Client::new(options(nodes))
}

fn options(nodes: &[&FakeNode]) -> ClientOptions {
    let members: BTreeMap<_, _> = nodes.iter().map(|node| (node.id, node.addr.clone())).collect();
    let (request_timeout, connect_timeout, deadline) = (PATIENT, PATIENT, PATIENT);
    ClientOptions { request_timeout, connect_timeout, deadline, ..ClientOptions::new(members) }
}

fn failed(failure: Failure, primary: Option<&str>) -> Act {
    Act::Answer(Response::Reply { reply: Reply::Failed(failure), primary: primary.map(str::to_owned) })
}

fn read_only(primary: Option<NodeId>) -> Act {
    failed(Failure::ReadOnly { primary }, None)
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    listener.local_addr().expect("is bound").to_string()
}

// --- A connection.

#[tokio::test]
async fn a_connection_knows_who_answers() {
    let node = FakeNode::start(2, |_| Act::Silence).await;
    let connection = in_time(Connection::connect(&node.addr, None, PATIENT)).await.expect("connects");
    assert_eq!(connection.node(), N2);
    assert_eq!(connection.members(), [(N2, None)]);
}

#[tokio::test]
async fn many_requests_are_in_flight_and_each_gets_its_own_answer() {
    // The earlier a request, the later its answer.
    let node = FakeNode::start(1, |request| {
        let Request::Do(Command::Read { timeout, .. }) = request else { return Act::Close };
        let n = u64::from(timeout.subsec_nanos());
        Act::AnswerAfter(Duration::from_millis(50 - n), written(n))
    })
    .await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    let ask = |n: u32| {
        let connection = connection.clone();
        async move {
            let timeout = Duration::from_nanos(u64::from(n));
            let command = Command::Read { key: Bytes::new(), level: ReadLevel::Eventual, timeout };
            (n, connection.request(Request::Do(command)).await)
        }
    };
    for (n, answer) in in_time(futures_util::future::join_all((0..50).map(ask))).await {
        assert_eq!(answer.expect("answers"), written(u64::from(n)));
    }
}

#[tokio::test]
async fn a_lost_connection_ends_every_request() {
    let asked = AtomicUsize::new(0);
    let node = FakeNode::start(1, move |_| {
        if asked.fetch_add(1, Ordering::Relaxed) == 9 { Act::Close } else { Act::Silence }
    })
    .await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    let ask = || connection.request(Request::Status);
    let answers = in_time(futures_util::future::join_all((0..10).map(|_| ask()))).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    in_time(ask()).await.expect_err("nothing is sent on a connection that has ended");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_connection_ends_with_its_last_handle() {
    let node = FakeNode::start(1, |_| Act::Silence).await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    let mut reports = connection.watch(SOON).await.expect("watches");
    drop(connection.clone());
    assert!(!connection.is_closed());
    drop(connection);
    assert_eq!(in_time(reports.recv()).await, None);
}

#[tokio::test]
async fn more_than_the_sockets_hold_goes_both_ways_without_a_standstill() {
    let large = "x".repeat(4 << 20);
    let node = FakeNode::start(1, move |_| Act::Answer(Response::Report(large.clone()))).await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    let value = Bytes::from(vec![b'v'; 4 << 20]);
    let ask = || {
        let op = Op::Put { key: Bytes::from_static(b"k"), value: value.clone() };
        connection.request(Request::Do(Command::Write { op, level: WriteLevel::Async, timeout: SOON }))
    };
    for answer in in_time(futures_util::future::join_all((0..8).map(|_| ask()))).await {
        assert!(matches!(answer, Ok(Response::Report(text)) if text.len() == 4 << 20));
    }
}

#[tokio::test]
async fn what_breaks_a_limit_is_answered_without_being_sent() {
    let node = FakeNode::start(1, |_| Act::Close).await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    for bytes in [KEY_BYTES_MAX + 1, FRAME_BYTES_MAX + 1] {
        let key = Bytes::from(vec![b'k'; bytes]);
        let command = Command::Read { key, level: ReadLevel::Quorum, timeout: SOON };
        let answer = in_time(connection.request(Request::Do(command))).await.expect("answered");
        let Response::Reply { reply: Reply::Failed(Failure::Invalid(why)), .. } = answer else {
            panic!("{answer:?}");
        };
        assert!(why.contains(&bytes.to_string()), "{why}");
    }
    assert!(node.requests().is_empty());
}

#[tokio::test]
async fn a_watch_yields_reports_and_then_the_end() {
    let event = Event::EpochEstablished { epoch: Epoch::new(2, N3) };
    let report = Report::Event { uptime_ms: 5, event };
    let json = serde_json::to_string(&report).expect("is JSON");
    let node = FakeNode::start(1, move |_| Act::AnswerAndClose(Response::Report(json.clone()))).await;
    let connection = Connection::connect(&node.addr, None, PATIENT).await.expect("connects");
    let mut reports = connection.watch(Duration::from_millis(20)).await.expect("watches");
    assert_eq!(in_time(reports.recv()).await, Some(report));
    assert_eq!(in_time(reports.recv()).await, None);
    assert_eq!(node.requests(), [Request::Watch { interval_ms: 20 }]);
}

#[tokio::test]
async fn no_handshake_no_connection() {
    let silence = |_: &Request| Act::Silence;
    let connect = async |door| {
        let patience = if matches!(door, Door::Silent) { SOON } else { PATIENT };
        let node = FakeNode::with_door(1, door, silence).await;
        in_time(Connection::connect(&node.addr, Some("secret"), patience)).await.expect_err("refused")
    };
    let error = connect(Door::Goodbye("wrong token")).await;
    assert!(matches!(&error, ConnectError::Rejected(_, reason) if reason == "wrong token"), "{error}");
    let error = connect(Door::Silent).await;
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    let error = connect(Door::Close).await;
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
    let error = connect(Door::Welcome { version: PROTOCOL_VERSION + 1, node: N1 }).await;
    assert!(error.to_string().contains(&format!("version {}", PROTOCOL_VERSION + 1)), "{error}");
    let error = connect(Door::Raw(Bytes::from_static(b"SSH-2.0-OpenSSH_9.6\r\n"))).await;
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
    let error =
        in_time(Connection::connect(&nobody().await, None, PATIENT)).await.expect_err("nobody is there");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

// --- A client.

#[tokio::test]
async fn a_redirect_goes_to_the_members_address_in_the_clients_own_options() {
    let primary = FakeNode::start(1, |_| Act::Answer(written(7))).await;
    let elsewhere = nobody().await;
    let replica =
        FakeNode::start(2, move |_| failed(Failure::ReadOnly { primary: Some(N1) }, Some(&elsewhere))).await;
    let mut client = client(&[&primary, &replica]);
    let answer = in_time(client.perform(N2, put())).await.expect("is written");
    assert_eq!((answer.node, answer.attempts), (N1, 2));
    assert!(matches!(answer.reply, Reply::Written { at, .. } if at.seq == 7));
}

#[tokio::test]
async fn without_an_address_of_its_own_the_client_uses_the_answers() {
    let primary = FakeNode::start(1, |_| Act::Answer(value("v"))).await;
    let addr = primary.addr.clone();
    let stale = Failure::TooStale { primary: Some(N1), age: None, lag: 5000 };
    let replica = FakeNode::start(2, move |_| failed(stale.clone(), Some(&addr))).await;
    let mut client = client(&[&replica]);
    let answer = in_time(client.perform(N2, get(ReadLevel::Eventual))).await.expect("is read");
    assert_eq!((answer.node, answer.attempts), (N1, 2));
}

#[tokio::test]
async fn perform_at_follows_nothing() {
    let primary = FakeNode::start(1, |_| Act::Answer(value("v"))).await;
    let stale = Failure::TooStale { primary: Some(N1), age: None, lag: 5000 };
    let replica = FakeNode::start(2, move |_| failed(stale.clone(), None)).await;
    let mut client = client(&[&primary, &replica]);
    let error = in_time(client.perform_at(N2, get(ReadLevel::Eventual))).await.expect_err("is refused");
    assert!(matches!(error.failure(), Some(Failure::TooStale { .. })), "{error}");
    assert!(error.is_definite());
    assert!(primary.requests().is_empty());
}

#[tokio::test]
async fn nodes_that_send_each_other_the_client_are_given_up() {
    let n1 = FakeNode::start(1, |_| read_only(Some(N2))).await;
    let n2 = FakeNode::start(2, |_| read_only(Some(N1))).await;
    let mut client = Client::new(ClientOptions { attempts_max: 5, ..options(&[&n1, &n2]) });
    let error = in_time(client.perform(N1, put())).await.expect_err("nobody takes it");
    assert!(matches!(error, ClientError::Failed { attempts: 5, .. }), "{error:?}");
    assert!(error.is_definite());
    assert_eq!(n1.requests().len() + n2.requests().len(), 5);
}

#[tokio::test]
async fn definite_failures_are_tried_again_until_it_works() {
    let asked = AtomicUsize::new(0);
    let node = FakeNode::start(1, move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => read_only(None),
        1 => failed(Failure::Busy("full".to_owned()), None),
        _ => Act::Answer(written(3)),
    })
    .await;
    let answer = in_time(client(&[&node]).perform(N1, put())).await.expect("works in the end");
    assert_eq!(answer.attempts, 3);
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let node = FakeNode::start(1, |_| failed(Failure::Busy("full".to_owned()), None)).await;
    let options =
        ClientOptions { attempts_max: u32::MAX, deadline: Duration::from_millis(300), ..options(&[&node]) };
    let started = Instant::now();
    let error = in_time(Client::new(options).perform(N1, put())).await.expect_err("never works");
    assert!(error.is_definite() && error.failure().is_some(), "{error:?}");
    // Between the waits' lower bound (a handful of attempts) and a client that spins.
    assert!((2..50).contains(&node.requests().len()), "{} attempts", node.requests().len());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_write_that_was_sent_and_not_answered_is_unknown_and_not_repeated() {
    for act in [Act::Close, Act::Silence, Act::Garbage, Act::Goodbye("stopping")] {
        let what = format!("{act:?}");
        let n1 = FakeNode::start(1, move |_| act.clone()).await;
        let n2 = FakeNode::start(2, |_| Act::Answer(written(1))).await;
        let mut client = Client::new(ClientOptions { request_timeout: SOON, ..options(&[&n1, &n2]) });
        let error = in_time(client.perform(N1, put())).await.expect_err(&what);
        assert!(matches!(error, ClientError::NoAnswer { node: N1, attempts: 1, .. }), "{what}: {error:?}");
        assert!(!error.is_definite(), "{what}: {error}");
        assert_eq!(n1.requests().len(), 1, "{what}");
        assert!(n2.requests().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_read_without_an_answer_is_asked_elsewhere() {
    for act in [Act::Close, Act::Silence, Act::Garbage] {
        let what = format!("{act:?}");
        let n1 = FakeNode::start(1, move |_| act.clone()).await;
        let n2 = FakeNode::start(2, |_| Act::Answer(value("v"))).await;
        let mut client = Client::new(ClientOptions { request_timeout: SOON, ..options(&[&n1, &n2]) });
        let answer = in_time(client.perform(N1, get(ReadLevel::Quorum))).await.expect(&what);
        assert_eq!((answer.node, answer.attempts), (N2, 2), "{what}");
    }
}

#[tokio::test]
async fn time_outs_and_depositions_of_a_write_are_unknown_and_not_repeated() {
    let at = Position::new(Epoch::new(1, N1), 9);
    for failure in [
        Failure::WriteTimeout { at, votes: Vec::new() },
        Failure::Deposed { at, by: Epoch::new(2, N2), votes: Vec::new() },
    ] {
        let told = failure.clone();
        let node = FakeNode::start(1, move |_| failed(told.clone(), None)).await;
        let error = in_time(client(&[&node]).perform(N1, put())).await.expect_err("is unknown");
        assert_eq!(error.failure(), Some(&failure));
        assert!(!error.is_definite(), "{error}");
        assert_eq!(node.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_full_disk_is_definite_and_nobody_else_is_asked() {
    let n1 = FakeNode::start(1, |_| failed(Failure::DiskFull, None)).await;
    let n2 = FakeNode::start(2, |_| Act::Answer(written(3))).await;
    let error = in_time(client(&[&n1, &n2]).perform(N1, put())).await.expect_err("there is no room");
    assert_eq!(error.failure(), Some(&Failure::DiskFull));
    assert!(error.is_definite(), "{error}");
    assert_eq!((n1.requests().len(), n2.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_node_that_is_gone_before_anything_is_sent_is_definite() {
    let mut gone = options(&[]);
    gone.members.insert(N1, nobody().await);
    gone.attempts_max = 3;
    let error = in_time(Client::new(gone).perform(N1, put())).await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Unreachable { attempts: 3, .. }), "{error:?}");
    assert!(error.is_definite());
}

#[tokio::test]
async fn a_write_goes_on_to_the_next_member_if_it_was_never_sent() {
    let n2 = FakeNode::start(2, |_| read_only(Some(N3))).await;
    let n3 = FakeNode::start(3, |_| Act::Answer(written(1))).await;
    let mut options = options(&[&n2, &n3]);
    options.members.insert(N1, nobody().await);
    let answer = in_time(Client::new(options).perform(N1, put())).await.expect("is written");
    assert_eq!((answer.node, answer.attempts), (N3, 3));
}

#[tokio::test]
async fn a_connection_that_ended_between_two_operations_is_made_again() {
    let node = FakeNode::start(1, |_| Act::AnswerAndClose(written(1))).await;
    let mut client = client(&[&node]);
    for n in 1..=3 {
        in_time(client.perform(N1, put())).await.expect("is written");
        // The node has closed; wait until the client has seen it, so that the next write is not sent into it.
        let closed = async {
            while !client.is_closed(N1) {
                tokio::task::yield_now().await;
            }
        };
        in_time(closed).await;
        assert_eq!(node.connections(), n);
    }
}

#[tokio::test]
async fn an_address_at_which_another_member_answers_is_not_used() {
    let n2 = FakeNode::start(2, |_| Act::Answer(written(1))).await;
    let mut options = options(&[]);
    options.members.insert(N1, n2.addr.clone());
    options.attempts_max = 1;
    let error = in_time(Client::new(options).perform(N1, put())).await.expect_err("that is not n1");
    assert!(error.is_definite() && error.to_string().contains("n2 answers"), "{error}");
    assert!(n2.requests().is_empty());
}

#[tokio::test]
async fn a_new_address_is_used_from_then_on() {
    let old = FakeNode::start(1, |_| Act::Answer(written(1))).await;
    let new = FakeNode::start(1, |_| Act::Answer(written(2))).await;
    let mut client = client(&[&old]);
    in_time(client.perform(N1, put())).await.expect("is written");
    client.set_address(N1, new.addr.clone());
    let answer = in_time(client.perform(N1, put())).await.expect("is written");
    assert!(matches!(answer.reply, Reply::Written { at, .. } if at.seq == 2));
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_promotion_is_never_tried_elsewhere() {
    let n1 = FakeNode::start(1, |_| Act::Close).await;
    let n2 = FakeNode::start(2, |_| Act::Answer(written(1))).await;
    let promote = Command::Promote { force: false };
    let error = in_time(client(&[&n1, &n2]).perform(N1, promote)).await.expect_err("no answer");
    assert!(!error.is_definite());
    assert!(n2.requests().is_empty());
}

#[tokio::test]
async fn a_slow_answer_that_comes_in_time_counts() {
    let slow = Duration::from_millis(60);
    let node = FakeNode::start(1, move |_| Act::AnswerAfter(slow, written(1))).await;
    let started = Instant::now();
    let answer = in_time(client(&[&node]).perform(N1, put())).await.expect("is written");
    assert_eq!(answer.attempts, 1);
    assert!(started.elapsed() >= slow);
}

#[tokio::test]
async fn a_replica_that_names_a_dead_primary_does_not_hide_the_third_member() {
    let n2 = FakeNode::start(2, |_| read_only(Some(N1))).await;
    let n3 = FakeNode::start(3, |_| Act::Answer(written(7))).await;
    let mut client = client(&[&n2, &n3]);
    client.set_address(N1, nobody().await);
    let answer = in_time(client.perform(N2, put())).await.expect("n3 takes it");
    assert_eq!((answer.node, n2.requests().len()), (N3, 1));
    // And there it stays.
    let answer = in_time(client.ask(put())).await.expect("n3 takes it");
    assert_eq!((answer.node, answer.attempts), (N3, 1));
}

#[tokio::test]
async fn a_client_that_is_told_one_address_knows_who_answers_there() {
    let node = FakeNode::start(2, |_| Act::Answer(written(1))).await;
    let options = ClientOptions { connect_timeout: PATIENT, ..ClientOptions::new(BTreeMap::new()) };
    let mut client = in_time(Client::discover(&node.addr, options.clone())).await.expect("somebody");
    assert_eq!(client.known(), [N2]);
    assert_eq!(in_time(client.ask(put())).await.expect("written").node, N2);
    assert_eq!(node.connections(), 1, "the one that it was found by");
    let error = in_time(Client::discover(&nobody().await, options)).await.expect_err("nobody");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

/// What is under way outlasts the operation that has begun it. (Rule 14.)
#[tokio::test]
async fn no_delay_makes_a_node_unreachable_for_ever() {
    let script = |_: &Request| Act::Answer(written(1));
    let far = FakeNode::with_door(1, Door::WelcomeAfter(SOON, N1), script).await;
    let impatient = SOON / 10;
    let mut client =
        Client::new(ClientOptions { connect_timeout: impatient, deadline: impatient, ..options(&[&far]) });
    let mut late = 0;
    let answer = in_time(async {
        loop {
            match client.perform(N1, put()).await {
                Ok(answer) => return answer,
                Err(error) => {
                    assert!(error.is_definite() && error.to_string().contains("did not answer"), "{error}");
                    late += 1;
                }
            }
        }
    });
    assert_eq!(answer.await.node, N1);
    assert!(late > 0, "it was too far for one operation");
    in_time(client.perform(N1, put())).await.expect("the connection stands");
}

/// An attempt that is under way keeps nobody from a node that can be reached again.
#[tokio::test]
async fn an_attempt_that_nobody_answers_does_not_stand_in_the_way_of_the_next() {
    let silent = FakeNode::with_door(1, Door::Silent, |_: &Request| Act::Silence).await;
    let node = FakeNode::start(1, |_| Act::Answer(written(1))).await;
    let mut client =
        Client::new(ClientOptions { connect_timeout: SOON, deadline: SOON, ..options(&[&silent]) });
    in_time(client.perform(N1, put())).await.expect_err("nobody answers");
    client.set_address(N1, node.addr.clone());
    in_time(client.perform(N1, put())).await.expect("it is there");
    let nobody = nobody().await;
    client.set_address(N1, nobody);
    in_time(client.perform(N1, put())).await.expect_err("nobody listens");
}
