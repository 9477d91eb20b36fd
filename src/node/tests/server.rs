//! The client listener on real sockets, with a loop of the test's own behind it.

use std::future::Future;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::LocalSet;

use super::*;
use crate::node::clock::Clock;
use crate::node::local::AddressBook;
use crate::node::options::Limits;
use crate::types::{Epoch, Found, KEY_BYTES_MAX, NodeId, Op, Position, ReadLevel, WriteLevel};
use crate::wire::encode;

const PATIENCE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        frame_timeout: Duration::from_millis(100),
        hello_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// A listener, and the requests that it passes on.
struct Fixture {
    addr: SocketAddr,
    server: Rc<Server>,
    requests: mpsc::Receiver<FromClient>,
}

impl Fixture {
    async fn new(limits: Limits, token: Option<&str>) -> Self {
        Self::at(limits, token, true).await
    }

    /// `open`: as if on loopback.
    async fn at(limits: Limits, token: Option<&str>, open: bool) -> Self {
        let (to_loop, requests) = mpsc::channel(64);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let members = [NodeId(1), NodeId(2)];
        let local = Local {
            id: members[0],
            book: AddressBook::new(&members, members[0], addr.to_string()),
            members: members.to_vec(),
            token: token.map(|token| Token::new(token).expect("a token")),
            open,
            limits,
            clock: Clock::start(),
        };
        let server = Rc::new(Server::new(Rc::new(local), to_loop));
        spawn_local(server.clone().listen(listener));
        Self { addr, server, requests }
    }

    /// Answers the next request.
    async fn answer_next(&mut self) -> u64 {
        let FromClient { conn, id, ask } = within(self.requests.recv()).await.expect("a request");
        assert!(matches!(ask, Ask::Do(..)), "{ask:?}");
        conn.answer(id, value(b"v"));
        id
    }

    /// A new client is served: whatever happened to another did not disturb it.
    async fn serves_others(&mut self) {
        let mut other = Client::welcomed(self.addr).await;
        other.ask(77).await;
        self.answer_next().await;
        assert_eq!(other.answered().await, 77);
    }
}

struct Client {
    reader: FrameReader<OwnedReadHalf, NodeFrame>,
    writer: OwnedWriteHalf,
}

impl Client {
    async fn connect(addr: SocketAddr) -> Self {
        let (source, writer) = TcpStream::connect(addr).await.expect("connected").into_split();
        let mut reader = FrameReader::new(source, PATIENCE);
        reader.admit();
        Self { reader, writer }
    }

    async fn welcomed(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr).await;
        client.say(&hello(PROTOCOL_VERSION, None)).await;
        let frame = client.hear().await;
        let members = vec![(NodeId(1), Some(addr.to_string())), (NodeId(2), None)];
        assert_eq!(frame, Some(NodeFrame::Welcome { version: PROTOCOL_VERSION, node: NodeId(1), members }));
        client
    }

    async fn say(&mut self, frame: &ClientFrame) {
        self.write(&encode(frame).expect("encodes")).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        within(self.writer.write_all(bytes)).await.expect("written");
    }

    async fn ask(&mut self, id: u64) {
        self.say(&read(id, b"k".to_vec())).await;
    }

    async fn hear(&mut self) -> Option<NodeFrame> {
        within(self.reader.next()).await.expect("a frame or the end")
    }

    async fn answered(&mut self) -> u64 {
        match self.hear().await {
            Some(NodeFrame::Response { id, .. }) => id,
            other => panic!("expected an answer, not {other:?}"),
        }
    }

    /// The last words, and then the end.
    async fn goodbye(&mut self) -> String {
        let Some(NodeFrame::Goodbye { reason }) = self.hear().await else { panic!("expected a goodbye") };
        assert_eq!(self.hear().await, None);
        reason
    }
}

fn hello(version: u16, token: Option<&str>) -> ClientFrame {
    ClientFrame::Hello { version, token: token.map(str::to_owned) }
}

fn read(id: u64, key: Vec<u8>) -> ClientFrame {
    let command = Command::Read { key: Bytes::from(key), level: ReadLevel::Eventual, timeout: SECOND };
    ClientFrame::Request { id, request: Request::Do(command) }
}

fn value(value: &'static [u8]) -> Response {
    let found = Found { value: Some(Bytes::from_static(value)), version: Position::ZERO };
    Response::Reply { reply: Reply::Value { found, epoch: Epoch::ZERO, votes: Vec::new() }, primary: None }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(test));
}

#[test]
fn requests_are_passed_on_and_answers_come_back() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let mut client = Client::welcomed(fixture.addr).await;
        for id in [5, 3, 9] {
            client.ask(id).await;
        }
        for id in [5, 3, 9] {
            assert_eq!(fixture.answer_next().await, id);
            assert_eq!(client.answered().await, id);
        }
        assert_eq!(fixture.server.connections(), 1);
    });
}

#[test]
fn whoever_breaks_the_protocol_is_told_why_and_nobody_else_notices() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let cases: [(&[u8], &str); 5] = [
            (b"GET / HTTP/1.1\r\n\r\n", "longer than the 4096 bytes allowed here"),
            (&encode(&read(1, b"k".to_vec())).expect("encodes"), "begins with a hello"),
            (
                &encode(&hello(9, None)).expect("encodes"),
                "version 9 is not spoken here; this node speaks version 2",
            ),
            (&encode(&hello(1, None)).expect("encodes"), "version 1 is not spoken here"),
            (&[4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], "checksum is wrong"),
        ];
        for (bytes, expected) in cases {
            let mut client = Client::connect(fixture.addr).await;
            client.write(bytes).await;
            let reason = client.goodbye().await;
            assert!(reason.contains(expected), "{reason}");
            fixture.serves_others().await;
        }
    });
}

#[test]
fn after_the_hello_as_well() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let cases: [(&[u8], &str); 3] = [
            (&[0xff; 8], "4294967295 bytes is longer than"),
            (&encode(&hello(PROTOCOL_VERSION, None)).expect("encodes"), "a hello was said already"),
            (&[200, 0, 0], "half a frame (3 bytes), then nothing for 100 ms"),
        ];
        for (bytes, expected) in cases {
            let mut client = Client::welcomed(fixture.addr).await;
            client.write(bytes).await;
            fixture.serves_others().await;
            let reason = client.goodbye().await;
            assert!(reason.contains(expected), "{reason}");
        }
    });
}

#[test]
fn silence_before_the_hello_ends_and_silence_after_it_does_not() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let mut welcome = Client::welcomed(fixture.addr).await;
        let mut silent = Client::connect(fixture.addr).await;
        assert!(silent.goodbye().await.contains("begins with a hello"));
        welcome.ask(1).await;
        fixture.answer_next().await;
        assert_eq!(welcome.answered().await, 1);
    });
}

#[test]
fn a_wrong_token_is_refused_and_never_repeated_and_none_only_where_others_can_reach() {
    run(async {
        let fixtures = [true, false].map(|open| Fixture::at(limits(), Some("s3cret"), open));
        for (fixture, open) in fixtures.into_iter().zip([true, false]) {
            let fixture = fixture.await;
            let tokens = [(Some("s3cret"), true), (None, open), (Some("s3cres"), false), (Some(""), false)];
            for (shown, welcome) in tokens {
                let mut client = Client::connect(fixture.addr).await;
                client.say(&hello(PROTOCOL_VERSION, shown)).await;
                if welcome {
                    assert!(matches!(client.hear().await, Some(NodeFrame::Welcome { .. })), "{shown:?}");
                } else {
                    assert_eq!(client.goodbye().await, "the cluster token is missing or wrong", "{shown:?}");
                }
            }
        }
    });
}

#[test]
fn only_an_operator_with_the_token_gives_orders_and_whoever_has_none_is_told_the_way_out() {
    run(async {
        let mut fixture = Fixture::new(limits(), Some("s3cret")).await;
        let orders = || {
            [
                Request::Do(Command::Promote { force: true }),
                Request::Do(Command::Follow { primary: NodeId(2) }),
                Request::Cleanup,
            ]
        };
        let mut client = Client::welcomed(fixture.addr).await;
        for (id, request) in (1..).zip(orders()) {
            client.say(&ClientFrame::Request { id, request }).await;
            let why = match client.hear().await {
                Some(NodeFrame::Response { response: Response::Reply { reply, .. }, .. }) => match reply {
                    Reply::Failed(failure) if failure.is_definite() => failure.to_string(),
                    other => panic!("unexpected {other:?}"),
                },
                Some(NodeFrame::Response { response: Response::Cleanup(reply), .. }) => match reply {
                    CleanupReply::Refused { reason } => reason,
                    other => panic!("unexpected {other:?}"),
                },
                other => panic!("unexpected {other:?}"),
            };
            assert!(why.contains("--token-file") && why.contains("run's directory"), "{why}");
        }
        assert!(fixture.requests.try_recv().is_err(), "none of it reached the loop");
        client.ask(4).await;
        fixture.answer_next().await;
        assert_eq!(client.answered().await, 4, "the connection stands, and reads go on");

        for (token, shown) in [(Some("s3cret"), Some("s3cret")), (None, None)] {
            let mut fixture = Fixture::new(limits(), token).await;
            let mut client = Client::connect(fixture.addr).await;
            client.say(&hello(PROTOCOL_VERSION, shown)).await;
            for (id, request) in (1..).zip(orders()) {
                client.say(&ClientFrame::Request { id, request }).await;
                let asked = within(fixture.requests.recv()).await.expect("a request");
                assert_eq!(asked.id, id);
            }
        }
    });
}

#[test]
fn mute_strangers_take_no_place_and_keep_nobody_out() {
    run(async {
        let limits = Limits { connections_max: 1, hello_timeout: PATIENCE, ..limits() };
        let mut fixture = Fixture::new(limits, None).await;
        let mut mute = Vec::new();
        for _ in 0..STRANGERS_MAX + 40 {
            mute.push(Client::connect(fixture.addr).await);
        }
        fixture.serves_others().await;
        assert!(mute[0].goodbye().await.contains("begins with a hello"), "the oldest had to go");
    });
}

#[test]
fn one_connection_too_many_is_told_so() {
    run(async {
        let fixture = Fixture::new(Limits { connections_max: 2, ..limits() }, None).await;
        let first = Client::welcomed(fixture.addr).await;
        let _second = Client::welcomed(fixture.addr).await;
        let mut third = Client::connect(fixture.addr).await;
        third.say(&hello(PROTOCOL_VERSION, None)).await;
        assert!(third.goodbye().await.contains("2 connections are open"));
        drop(first);
        within(async {
            while fixture.server.connections() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Client::welcomed(fixture.addr).await;
    });
}

#[test]
fn no_more_requests_are_read_than_may_be_in_flight() {
    run(async {
        let mut fixture = Fixture::new(Limits { in_flight_max: 3, ..limits() }, None).await;
        let mut client = Client::welcomed(fixture.addr).await;
        for id in 0..10 {
            client.ask(id).await;
        }
        let mut waiting = Vec::new();
        for _ in 0..3 {
            waiting.push(within(fixture.requests.recv()).await.expect("a request"));
        }
        fixture.serves_others().await;
        assert!(fixture.requests.try_recv().is_err(), "the fourth is not read");
        for FromClient { conn, id, .. } in waiting {
            conn.answer(id, value(b"v"));
        }
        for id in 3..10 {
            assert_eq!(fixture.answer_next().await, id);
        }
        for id in 0..10 {
            assert_eq!(client.answered().await, id);
        }
    });
}

#[test]
fn what_breaks_a_limit_fails_definitely_and_never_reaches_the_core() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let mut client = Client::welcomed(fixture.addr).await;
        client.say(&read(1, vec![b'k'; KEY_BYTES_MAX + 1])).await;
        let noop = Command::Write { op: Op::Noop, level: WriteLevel::Async, timeout: SECOND };
        client.say(&ClientFrame::Request { id: 2, request: Request::Do(noop) }).await;
        for expected in ["65537 bytes", "no-op"] {
            let Some(NodeFrame::Response { response: Response::Reply { reply, .. }, .. }) =
                client.hear().await
            else {
                panic!("expected a reply");
            };
            let Reply::Failed(failure @ Failure::Invalid(_)) = reply else { panic!("unexpected {reply:?}") };
            assert!(failure.is_definite() && failure.to_string().contains(expected), "{failure}");
        }
        client.ask(3).await;
        assert_eq!(fixture.answer_next().await, 3);
    });
}

#[test]
fn a_client_that_only_stops_sending_still_gets_its_answers() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let mut client = Client::welcomed(fixture.addr).await;
        client.ask(1).await;
        client.writer.shutdown().await.expect("shut down");
        let request = within(fixture.requests.recv()).await.expect("a request");
        request.conn.answer(request.id, value(b"v"));
        assert_eq!(client.answered().await, 1);
        assert_eq!(client.hear().await, None);
    });
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_disturbs_nobody() {
    run(async {
        let limits = Limits { write_timeout: Duration::from_millis(200), ..limits() };
        let mut fixture = Fixture::new(limits, None).await;
        let mut stuck = Client::welcomed(fixture.addr).await;
        stuck.ask(1).await;
        let request = within(fixture.requests.recv()).await.expect("a request");
        let found = Found { value: Some(Bytes::from(vec![7; 16 << 20])), version: Position::ZERO };
        let reply = Reply::Value { found, epoch: Epoch::ZERO, votes: Vec::new() };
        request.conn.answer(1, Response::Reply { reply, primary: None });
        fixture.serves_others().await;
        within(async {
            while !request.conn.is_ending() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // It is gone; an answer that still comes for it goes nowhere.
        request.conn.asked();
        request.conn.answer(2, value(b"v"));
        let mut rest = Vec::new();
        let (_, mut source) = (stuck.writer, stuck.reader);
        while let Ok(Some(frame)) = within(source.next()).await {
            rest.push(frame);
        }
        assert!(rest.is_empty(), "less than the whole answer was written");
        fixture.serves_others().await;
    });
}

#[test]
fn large_requests_share_a_bounded_memory() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let put = |id| {
            let op = Op::Put { key: Bytes::from_static(b"k"), value: Bytes::from(vec![1; 16 << 20]) };
            let command = Command::Write { op, level: WriteLevel::Async, timeout: SECOND };
            encode(&ClientFrame::Request { id, request: Request::Do(command) }).expect("encodes")
        };
        let mut clients = Vec::new();
        let mut passed = Vec::new();
        for id in 0..3 {
            let mut client = Client::welcomed(fixture.addr).await;
            client.write(&put(id)).await;
            clients.push(client);
            passed.push(within(fixture.requests.recv()).await.expect("a request"));
        }
        let mut fourth = Client::welcomed(fixture.addr).await;
        fourth.write(&put(3)).await;
        // 16 MiB and a key each: a little too much for four in 64 MiB.
        fixture.serves_others().await;
        assert!(fixture.requests.try_recv().is_err(), "the fourth waits");
        drop(passed.pop());
        assert_eq!(within(fixture.requests.recv()).await.expect("a request").id, 3);
    });
}

#[test]
fn a_stopping_node_says_goodbye_after_the_last_answers() {
    run(async {
        let mut fixture = Fixture::new(limits(), None).await;
        let mut client = Client::welcomed(fixture.addr).await;
        client.ask(1).await;
        fixture.answer_next().await;
        let server = fixture.server.clone();
        let (reason, ()) = tokio::join!(
            async {
                assert_eq!(client.answered().await, 1);
                let reason = client.goodbye().await;
                drop(client);
                reason
            },
            within(server.say_goodbye())
        );
        assert_eq!(reason, "the node is stopping");
        assert_eq!(server.connections(), 0);
    });
}
