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
use crate::node::options::{Limits, Token};
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
    task: JoinHandle<()>,
}

impl Listening {
    async fn on(addr: &str, token: Option<&str>) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let members = vec![N1, N2, N3];
        let local = Rc::new(Local {
            id: N2,
            book: AddressBook::new(&members, N2, "127.0.0.1:7002".into()),
            members,
            token: token.map(|token| Token::new(token).expect("a token")),
            limits: Limits { hello_timeout: Duration::from_millis(200), ..Limits::default() },
            clock: Clock::start(),
        });
        let (to_loop, heard) = mpsc::channel(64);
        let link = Rc::new(OutgoingLink::new(N1));
        let links = [(N1, link.clone())].into();
        let server = PeerServer::new(local.clone(), links, to_loop);
        Self { addr, local, heard, link, task: spawn_local(Rc::new(server).listen(listener)) }
    }

    async fn hears(&mut self) -> (NodeId, Message) {
        match within(self.heard.recv()).await.expect("a message") {
            FromPeer::Message { from, message } => (from, message),
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
            but!(version = 2),
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
