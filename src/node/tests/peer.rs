//! Links and the member listener, on real sockets.
#![expect(clippy::disallowed_methods, reason = "real sockets, with deadlines")]

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

use super::*;
use crate::node::clock::Clock;
use crate::node::local::{AddressBook, Local};
use crate::node::options::Limits;
use crate::node::token::Token;
use crate::types::Epoch;
use crate::wire::{PROTOCOL_VERSION, PeerFrame, encode};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const PATIENCE: Duration = Duration::from_secs(10);

/// The member listener of n2, and what its loop hears.
struct Listening {
    addr: SocketAddr,
    local: Rc<Local>,
    heard: mpsc::Receiver<FromPeer>,
    /// Its own way to n1.
    link: Rc<OutgoingLink>,
    server: Rc<PeerServer>,
    task: JoinHandle<()>,
}

impl Listening {
    async fn on(addr: &str, token: Option<&str>) -> Self {
        Self::with(addr, token, Duration::from_millis(200)).await
    }

    async fn with(addr: &str, token: Option<&str>, hello_timeout: Duration) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let members = vec![N1, N2, N3];
        let local = Rc::new(Local {
            id: N2,
            book: AddressBook::new(&members, N2, "127.0.0.1:7002".into()),
            members,
            token: token.map(|token| Token::new(token).expect("a token")),
            open: true,
            limits: Limits { hello_timeout, ..Limits::default() },
            clock: Clock::start(),
        });
        let (to_loop, heard) = mpsc::channel(64);
        let link = Rc::new(OutgoingLink::new(N1));
        let links = [(N1, link.clone())].into();
        let server = Rc::new(PeerServer::new(local.clone(), links, to_loop));
        let task = spawn_local(server.clone().listen(listener));
        Self { addr, local, heard, link, server, task }
    }

    async fn hears(&mut self) -> (NodeId, Message) {
        match within(self.heard.recv()).await.expect("a message") {
            FromPeer::Message { from, message, .. } => (from, message),
            FromPeer::Link { .. } => panic!("the listener has no links"),
        }
    }

    /// What is heard next of a connection, and which one.
    async fn hears_over(&mut self) -> (u64, Message) {
        match within(self.heard.recv()).await.expect("a message") {
            FromPeer::Message { connection, message, .. } => (connection, message),
            FromPeer::Link { .. } => panic!("the listener has no links"),
        }
    }
}

/// n1's link to n2, and what its loop hears.
fn dial(addr: SocketAddr, settled_after: Duration) -> (Rc<OutgoingLink>, mpsc::Receiver<FromPeer>) {
    let (inputs, heard) = mpsc::channel(64);
    let link = Rc::new(OutgoingLink::new(N2));
    let dial = Dial {
        link: link.clone(),
        addr: addr.to_string(),
        hello: hello(),
        inputs,
        write_timeout: PATIENCE,
        settled_after,
        clock: Clock::start(),
    };
    spawn_local(dial.run(7));
    (link, heard)
}

fn hello() -> PeerFrame {
    PeerFrame::Hello {
        version: PROTOCOL_VERSION,
        token: None,
        from: N1,
        to: N2,
        members: vec![N1, N2, N3],
        client_addr: "127.0.0.1:7001".into(),
    }
}

/// A connection of n1 that has said hello with this token, and then this.
async fn says(addr: SocketAddr, shown: Option<&str>, messages: &[Message]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    let mut frame = hello();
    let PeerFrame::Hello { token, .. } = &mut frame else { unreachable!() };
    *token = shown.map(str::to_owned);
    let messages = messages.iter().map(|message| PeerFrame::Message(message.clone()));
    for frame in std::iter::once(frame).chain(messages) {
        stream.write_all(&encode(&frame).expect("encodes")).await.expect("written");
    }
    stream
}

fn heartbeat(last: u64) -> Message {
    Message::Heartbeat { epoch: Epoch::new(1, N1), last, commit: 0, sent: 0, counts: None }
}

async fn is_up(heard: &mut mpsc::Receiver<FromPeer>, expected: bool) {
    match within(heard.recv()).await.expect("news of the link") {
        FromPeer::Link { to: N2, up } => assert_eq!(up, expected),
        other => panic!("unexpected {other:?}"),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Whether the other side closes the connection.
async fn is_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    let end = within(stream.read(&mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(test));
}

#[test]
fn a_member_that_connects_can_be_connected_to() {
    run(async {
        let listening = Listening::on("127.0.0.1:0", None).await;
        let (_link, mut heard) = dial(listening.addr, SETTLED_AFTER);
        is_up(&mut heard, true).await;
        within(listening.link.is_hurried()).await;
    });
}

#[test]
fn messages_arrive_in_order_and_the_sender_is_known() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", None).await;
        let (link, mut heard) = dial(listening.addr, SETTLED_AFTER);
        is_up(&mut heard, true).await;
        for last in 0..100 {
            link.send(heartbeat(last));
        }
        for last in 0..100 {
            assert_eq!(listening.hears().await, (N1, heartbeat(last)));
        }
        assert_eq!(listening.local.book.get(N1).as_deref(), Some("127.0.0.1:7001"));
        assert_eq!(listening.local.book.get(N3), None);
    });
}

#[test]
fn a_link_comes_back_by_itself() {
    run(async {
        // Nobody listens at first.
        let reserved = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = reserved.local_addr().expect("bound");
        drop(reserved);
        let (link, mut heard) = dial(addr, SETTLED_AFTER);
        link.send(heartbeat(1));

        let (stream, _) = {
            let listener = TcpListener::bind(addr).await.expect("the port again");
            within(listener.accept()).await.expect("it comes")
        };
        is_up(&mut heard, true).await;
        drop(stream);
        is_up(&mut heard, false).await;

        let mut listening = Listening::on(&addr.to_string(), None).await;
        is_up(&mut heard, true).await;
        link.send(heartbeat(2));
        assert_eq!(listening.hears().await, (N1, heartbeat(2)), "what could not be sent is not sent later");
    });
}

#[test]
fn a_newer_connection_replaces_the_older() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", None).await;
        let mut older = TcpStream::connect(listening.addr).await.expect("connected");
        older.write_all(&encode(&hello()).expect("encodes")).await.expect("written");
        older.write_all(&encode(&PeerFrame::Message(heartbeat(1))).expect("encodes")).await.expect("written");
        assert_eq!(listening.hears().await, (N1, heartbeat(1)));

        let mut newer = TcpStream::connect(listening.addr).await.expect("connected");
        newer.write_all(&encode(&hello()).expect("encodes")).await.expect("written");
        is_closed(&mut older).await;
        newer.write_all(&encode(&PeerFrame::Message(heartbeat(2))).expect("encodes")).await.expect("written");
        assert_eq!(listening.hears().await, (N1, heartbeat(2)));
    });
}

#[test]
fn whoever_is_not_the_member_that_is_meant_is_refused() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", Some("s3cret")).await;
        let with = |change: fn(&mut PeerFrame)| {
            let mut frame = hello();
            let PeerFrame::Hello { token, .. } = &mut frame else { unreachable!() };
            *token = Some("s3cret".into());
            change(&mut frame);
            encode(&frame).expect("encodes")
        };
        macro_rules! but {
            ($field:ident = $value:expr) => {
                with(|frame| {
                    let PeerFrame::Hello { $field, .. } = frame else { unreachable!() };
                    *$field = $value;
                })
            };
        }
        let refused = [
            but!(token = None),
            but!(token = Some("guess".into())),
            but!(version = 1),
            but!(version = 3),
            but!(to = N3),
            but!(from = N2),
            but!(from = NodeId(4)),
            but!(members = vec![N1, N2]),
            encode(&PeerFrame::Message(heartbeat(1))).expect("encodes"),
            bytes::Bytes::from_static(&[0xff; 64]),
            bytes::Bytes::from_static(&[1, 2]),
        ];
        let message = encode(&PeerFrame::Message(heartbeat(1))).expect("encodes");
        for (i, bytes) in refused.iter().enumerate() {
            let mut stream = TcpStream::connect(listening.addr).await.expect("connected");
            stream.write_all(bytes).await.expect("written");
            // Half a hello waits for the hello timeout, the others end at once.
            let whole = bytes.len() > 2;
            if whole {
                let _ = stream.write_all(&message).await;
            }
            is_closed(&mut stream).await;
            assert!(listening.heard.try_recv().is_err(), "case {i}: nothing of it was heard");
        }
        let mut stream = TcpStream::connect(listening.addr).await.expect("connected");
        stream.write_all(&with(|_| {})).await.expect("written");
        stream.write_all(&message).await.expect("written");
        assert_eq!(listening.hears().await, (N1, heartbeat(1)));
        // A second hello ends it.
        stream.write_all(&with(|_| {})).await.expect("written");
        is_closed(&mut stream).await;
        listening.task.abort();
    });
}

#[test]
fn a_member_that_refuses_does_not_count_as_up() {
    run(async {
        // It shows no token, so it is closed each time; here that would have to take a minute to count.
        let listening = Listening::on("127.0.0.1:0", Some("s3cret")).await;
        let (_link, mut heard) = dial(listening.addr, Duration::from_secs(60));
        let news = timeout(Duration::from_millis(300), heard.recv()).await;
        assert!(news.is_err(), "{news:?}");
    });
}

/// However many come who never say who they are, and however long they stay; 64 were enough once.
#[test]
fn mute_and_wrong_strangers_keep_no_member_out() {
    run(async {
        // Nobody is closed for being mute in this test: only for making room.
        let mut listening = Listening::with("127.0.0.1:0", Some("s3cret"), PATIENCE * 10).await;
        let mut mute = Vec::new();
        for _ in 0..200 {
            mute.push(TcpStream::connect(listening.addr).await.expect("connected"));
            mute.push(says(listening.addr, Some("guess"), &[heartbeat(1)]).await);
        }
        let _member = says(listening.addr, Some("s3cret"), &[heartbeat(2)]).await;
        assert_eq!(listening.hears().await, (N1, heartbeat(2)));
        // More than there is room for, all mute.
        for _ in 0..300 {
            mute.push(TcpStream::connect(listening.addr).await.expect("connected"));
        }
        is_closed(&mut mute[0]).await;
        let _newer = says(listening.addr, Some("s3cret"), &[heartbeat(3)]).await;
        assert_eq!(listening.hears().await, (N1, heartbeat(3)));
        let mut newest = mute.pop().expect("many");
        let silence = timeout(Duration::from_millis(50), newest.read(&mut [0])).await;
        assert!(silence.is_err(), "the newest strangers are still waited for: {silence:?}");
    });
}

#[test]
fn nothing_of_the_older_connection_counts_once_the_newer_has_proved_who_it_is() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", Some("s3cret")).await;
        let mut older = says(listening.addr, Some("s3cret"), &[heartbeat(1), heartbeat(2)]).await;
        let (first, message) = listening.hears_over().await;
        assert_eq!(message, heartbeat(1));
        assert!(listening.server.is_current(N1, first));

        // Somebody who only claims to be n1 ends nothing.
        let mut liar = says(listening.addr, Some("guess"), &[heartbeat(9)]).await;
        is_closed(&mut liar).await;
        assert!(listening.server.is_current(N1, first));

        // What the older said last is queued already when the newer comes: the loop drops it.
        let _newer = says(listening.addr, Some("s3cret"), &[heartbeat(3)]).await;
        is_closed(&mut older).await;
        assert_eq!(listening.hears_over().await, (first, heartbeat(2)));
        assert!(!listening.server.is_current(N1, first));
        let (second, message) = listening.hears_over().await;
        assert_eq!(message, heartbeat(3));
        assert!(second != first && listening.server.is_current(N1, second));
        assert!(!listening.server.is_current(N3, second), "nobody speaks for another");
    });
}

#[test]
fn the_last_words_of_a_connection_that_has_ended_count_until_there_is_another() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", None).await;
        drop(says(listening.addr, None, &[heartbeat(1)]).await);
        let (first, _) = listening.hears_over().await;
        assert!(listening.server.is_current(N1, first));
        let _newer = says(listening.addr, None, &[heartbeat(2)]).await;
        let (second, _) = listening.hears_over().await;
        assert!(!listening.server.is_current(N1, first) && listening.server.is_current(N1, second));
    });
}

#[test]
fn a_connection_that_the_loop_closes_counts_no_more_and_the_member_may_come_again() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", None).await;
        let mut member = says(listening.addr, None, &[heartbeat(1)]).await;
        let (first, _) = listening.hears_over().await;
        listening.server.close(N1, "an epoch far above every other".into());
        assert!(!listening.server.is_current(N1, first));
        is_closed(&mut member).await;
        let _again = says(listening.addr, None, &[heartbeat(2)]).await;
        let (second, _) = listening.hears_over().await;
        assert!(listening.server.is_current(N1, second));
    });
}

/// Rule 15: what no member sends is refused where it is decoded, also from whoever has the token.
#[test]
fn numbers_beyond_any_log_close_the_connection_and_are_not_heard() {
    run(async {
        let mut listening = Listening::on("127.0.0.1:0", Some("s3cret")).await;
        let beyond = [
            Message::Heartbeat { epoch: Epoch::new(u64::MAX, N1), last: 1, commit: 1, sent: 1, counts: None },
            Message::Heartbeat {
                epoch: Epoch::new((1 << 48) + 1, N1),
                last: 1,
                commit: 1,
                sent: 1,
                counts: None,
            },
            heartbeat(u64::MAX),
            heartbeat((1 << 48) + 1),
            Message::Ack { epoch: Epoch::new(1, N2), durable: u64::MAX, learner: None },
        ];
        for message in beyond {
            let mut member = says(listening.addr, Some("s3cret"), std::slice::from_ref(&message)).await;
            is_closed(&mut member).await;
            assert!(listening.heard.try_recv().is_err(), "{message:?}");
        }
        let _member = says(listening.addr, Some("s3cret"), &[heartbeat(1 << 48)]).await;
        assert_eq!(listening.hears().await, (N1, heartbeat(1 << 48)));
    });
}

/// A machine's own other address is as good as another machine's.
#[test]
fn without_a_token_members_are_taken_on_loopback_only() {
    let local = |token: Option<&str>| {
        let members = vec![N1, N2, N3];
        Rc::new(Local {
            id: N2,
            book: AddressBook::new(&members, N2, "127.0.0.1:7002".into()),
            members,
            token: token.map(|token| Token::new(token).expect("a token")),
            open: true,
            limits: Limits::default(),
            clock: Clock::start(),
        })
    };
    let admits = |token: Option<&str>, from: &str| {
        let mut frame = hello();
        let PeerFrame::Hello { token: shown, .. } = &mut frame else { unreachable!() };
        *shown = token.map(str::to_owned);
        let server = PeerServer::new(local(token), [].into(), mpsc::channel(1).0);
        server.admits(frame, from.parse().expect("an address"))
    };
    assert_eq!(admits(None, "127.0.0.1:9"), Ok(()));
    assert_eq!(admits(None, "[::1]:9"), Ok(()));
    assert_eq!(admits(Some("s3cret"), "192.0.2.1:9"), Ok(()));
    let why = admits(None, "192.0.2.1:9").expect_err("refused");
    assert!(why.contains("loopback only") && why.contains("--token-file"), "{why}");
}
