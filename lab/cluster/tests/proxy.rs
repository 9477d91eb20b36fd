//! Proxies between real sockets. Waits are for conditions, with a deadline; silence is a read that does not
//! return for a while, which can only err towards passing.

use std::time::Duration;

use kvlab::types::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;
use crate::action::SlowLink;
use crate::cluster::ports::Reserved;

const DEADLINE: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(80);

/// A proxy with its two links, and the listener that it leads to.
struct Rig {
    there: Link,
    back: Link,
    target: TcpListener,
    proxy: SocketAddr,
    tasks: Tasks,
}

impl Rig {
    async fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = target.local_addr().expect("bound");
        Self { target, ..Self::towards(address).await }
    }

    /// To where somebody else may listen, or nobody.
    async fn towards(target: SocketAddr) -> Self {
        Self::carrying(target, Framing::Frames).await
    }

    async fn carrying(target: SocketAddr, framing: Framing) -> Self {
        let (n1, n2) = (NodeId(1), NodeId(2));
        let (there, back) = (Link::new(1, n1, n2), Link::new(1, n2, n1));
        let tasks = Tasks::default();
        let (forward, backward) = (there.clone(), back.clone());
        let route = ProxyRoute { target, forward, backward, framing, repeats: true };
        let proxy = open(route, &tasks).await.expect("a proxy");
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { there, back, target, proxy, tasks }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.expect("the proxy accepts")
    }

    /// Both ends of one connection, known to carry bytes.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.dial().await;
        let (server, _) = soon(self.target.accept()).await.expect("dialled through");
        (client, server)
    }

    /// Waits until no connection is carried any more.
    async fn idle(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.tasks.count() > 1 {
            assert!(Instant::now() < deadline, "a connection's task is left over");
            tokio::task::yield_now().await;
        }
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("in time")
}

fn frame(fill: u8, length: usize) -> Vec<u8> {
    let header = u32::try_from(length).expect("a length").to_le_bytes();
    [&header[..], &[0; 4], &vec![fill; length]].concat()
}

async fn send(to: &mut TcpStream, bytes: &[u8]) {
    soon(to.write_all(bytes)).await.expect("sent");
}

async fn expect_bytes(from: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    soon(from.read_exact(&mut got)).await.expect("received");
    assert!(got == bytes, "other bytes than were sent");
}

async fn expect_silence(from: &mut TcpStream) {
    let heard = timeout(A_WHILE, from.read(&mut [0; 64])).await;
    assert!(heard.is_err(), "heard {heard:?}");
}

async fn expect_end(from: &mut TcpStream) {
    let end = soon(from.read(&mut [0; 64])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "still open: {end:?}");
}

#[tokio::test]
async fn an_open_link_carries_frames_of_any_size_both_ways() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    for length in [0, 1, 100, 70_000, 3 << 20] {
        let frame = frame(7, length);
        tokio::join!(send(&mut client, &frame), expect_bytes(&mut server, &frame));
        tokio::join!(send(&mut server, &frame), expect_bytes(&mut client, &frame));
    }
}

#[tokio::test]
async fn a_cut_silences_one_way_and_the_other_passes() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Cut);
    send(&mut client, &frame(1, 10)).await;
    send(&mut server, &frame(2, 10)).await;
    expect_bytes(&mut client, &frame(2, 10)).await;
    expect_silence(&mut server).await;
}

#[tokio::test]
async fn a_cut_of_the_way_back_lets_new_connections_speak() {
    let rig = Rig::new().await;
    rig.back.set(LinkState::Cut);
    let (mut client, mut server) = rig.connect().await;
    send(&mut client, &frame(1, 10)).await;
    expect_bytes(&mut server, &frame(1, 10)).await;
    send(&mut server, &frame(2, 10)).await;
    expect_silence(&mut client).await;
}

#[tokio::test]
async fn clients_that_give_up_over_a_cut_way_back_leave_nothing_behind() {
    let rig = Rig::new().await;
    rig.back.set(LinkState::Cut);
    for _ in 0..20 {
        let (mut client, mut server) = rig.connect().await;
        send(&mut client, &frame(1, 10)).await;
        expect_bytes(&mut server, &frame(1, 10)).await;
        send(&mut server, &frame(2, 10)).await;
        drop(client);
        expect_end(&mut server).await;
    }
    rig.idle().await;
}

#[tokio::test]
async fn a_death_behind_a_cut_is_not_noticed() {
    let rig = Rig::new().await;
    let (mut client, server) = rig.connect().await;
    rig.back.set(LinkState::Cut);
    drop(server);
    for _ in 0..10 {
        // Each is answered by the dead end's kernel with an error, which obeys the way back as well.
        send(&mut client, &frame(1, 1000)).await;
        tokio::task::yield_now().await;
    }
    expect_silence(&mut client).await;
    rig.back.set(LinkState::Up);
    expect_end(&mut client).await;
    rig.idle().await;
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_death_behind_a_cut_leaves_nothing_behind() {
    let rig = Rig::new().await;
    let (mut client, server) = rig.connect().await;
    rig.back.set(LinkState::Cut);
    drop(server);
    send(&mut client, &frame(1, 1000)).await;
    send(&mut client, &frame(1, 1000)).await;
    expect_silence(&mut client).await;
    drop(client);
    rig.idle().await;
}

#[tokio::test]
async fn healing_closes_what_held_something_and_new_connections_work() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Cut);
    send(&mut client, &frame(1, 10)).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_end(&mut server).await;
    expect_end(&mut client).await;
    rig.idle().await;
    let (mut client, mut server) = rig.connect().await;
    send(&mut client, &frame(2, 10)).await;
    expect_bytes(&mut server, &frame(2, 10)).await;
}

#[tokio::test]
async fn a_connection_that_held_nothing_outlives_the_cut() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Cut);
    send(&mut server, &frame(1, 10)).await;
    expect_bytes(&mut client, &frame(1, 10)).await;
    rig.there.set(LinkState::Up);
    send(&mut client, &frame(2, 10)).await;
    expect_bytes(&mut server, &frame(2, 10)).await;
}

#[tokio::test]
async fn a_connection_made_in_a_cut_is_accepted_and_heard_by_nobody() {
    let rig = Rig::new().await;
    rig.there.set(LinkState::Cut);
    let mut client = rig.dial().await;
    send(&mut client, &frame(1, 10)).await;
    expect_silence(&mut client).await;
    assert!(timeout(A_WHILE, rig.target.accept()).await.is_err(), "dialled over a cut link");
    rig.there.set(LinkState::Up);
    expect_end(&mut client).await;
    rig.idle().await;
    rig.there.set(LinkState::Cut);
    drop(rig.dial().await);
    rig.idle().await;
}

#[tokio::test]
async fn the_end_of_a_stream_obeys_the_link() {
    let rig = Rig::new().await;
    let (client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Cut);
    drop(client);
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_end(&mut server).await;
    drop(server);
    rig.idle().await;
}

#[tokio::test]
async fn half_closed_is_half_open() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    send(&mut client, &frame(1, 10)).await;
    client.shutdown().await.expect("shut down");
    expect_bytes(&mut server, &frame(1, 10)).await;
    expect_end(&mut server).await;
    send(&mut server, &frame(2, 10)).await;
    expect_bytes(&mut client, &frame(2, 10)).await;
    drop(server);
    expect_end(&mut client).await;
    rig.idle().await;
}

#[tokio::test]
async fn a_sender_that_never_reads_learns_that_the_other_end_is_gone() {
    let rig = Rig::new().await;
    let (mut client, server) = rig.connect().await;
    drop(server);
    let gone = async { while client.write_all(&frame(1, 1000)).await.is_ok() {} };
    soon(gone).await;
    rig.idle().await;
}

#[tokio::test]
async fn a_slow_link_delays_each_frame_keeps_order_and_does_not_throttle() {
    const FRAMES: u8 = 200;
    let rig = Rig::new().await;
    let (delay, jitter) = (Duration::from_millis(40), Duration::from_millis(30));
    rig.there.set(LinkState::Slow(SlowLink::by(delay, jitter)));
    let (mut client, mut server) = rig.connect().await;
    let began = Instant::now();
    for i in 0..FRAMES {
        send(&mut client, &frame(i, 10)).await;
    }
    for i in 0..FRAMES {
        expect_bytes(&mut server, &frame(i, 10)).await;
        assert!(began.elapsed() >= delay, "frame {i} came too early");
    }
    let one_by_one = (delay + jitter / 2) * u32::from(FRAMES);
    assert!(began.elapsed() < one_by_one / 2, "the delays added up: {:?}", began.elapsed());
}

/// What a link with this fault makes of two hundred frames, each of its own.
async fn carried(how: SlowLink) -> Vec<u8> {
    let rig = Rig::new().await;
    rig.there.set(LinkState::Slow(how));
    let (mut client, mut server) = rig.connect().await;
    for i in 0..200 {
        send(&mut client, &frame(i, 10)).await;
    }
    client.shutdown().await.expect("the end is sent");
    let mut bytes = Vec::new();
    soon(server.read_to_end(&mut bytes)).await.expect("read");
    let frames = bytes.chunks(18);
    frames.map(|got| (got == frame(got[17], 10)).then_some(got[17]).expect("whole")).collect()
}

#[tokio::test]
async fn a_link_that_loses_loses_whole_frames_but_never_the_greeting() {
    let got = carried(SlowLink { loss: 500, ..SlowLink::default() }).await;
    assert!((60..140).contains(&got.len()), "{} of 200", got.len());
    assert!(got.is_sorted() && got[0] == 0, "in order, and the first is there: {got:?}");
    let got = carried(SlowLink { loss: 900, ..SlowLink::default() }).await;
    assert!((5..45).contains(&got.len()) && got[0] == 0, "{got:?}");
}

#[tokio::test]
async fn a_frame_that_comes_twice_comes_again_at_once_and_the_greeting_does_not() {
    let got = carried(SlowLink { duplicate: 500, ..SlowLink::default() }).await;
    assert!((260..340).contains(&got.len()), "{} of 200", got.len());
    assert!(got.is_sorted() && got[1] == 1, "in order: {got:?}");
    let mut once = got.clone();
    once.dedup();
    assert_eq!(once.len(), 200, "each is there");
}

#[tokio::test]
async fn where_frames_are_not_known_loss_is_delay_and_nothing_is_missing() {
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let rig = Rig::carrying(target.local_addr().expect("bound"), Framing::Stream).await;
    rig.there.set(LinkState::Slow(SlowLink { loss: 300, ..SlowLink::default() }));
    let mut client = rig.dial().await;
    let (mut server, _) = soon(target.accept()).await.expect("dialled through");
    let mut sent = Vec::new();
    for i in 0..20 {
        send(&mut client, &[i; 100]).await;
        sent.extend([i; 100]);
    }
    client.shutdown().await.expect("the end is sent");
    let mut got = Vec::new();
    soon(server.read_to_end(&mut got)).await.expect("read");
    assert_eq!(got, sent);
}

#[tokio::test]
async fn frames_under_way_take_the_links_new_delay() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Slow(SlowLink::by(Duration::from_secs(3600), Duration::ZERO)));
    send(&mut client, &frame(1, 10)).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_bytes(&mut server, &frame(1, 10)).await;
}

#[tokio::test]
async fn a_frame_under_way_when_the_link_is_cut_never_arrives() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    let delay = Duration::from_secs(3600);
    rig.there.set(LinkState::Slow(SlowLink::by(delay, Duration::ZERO)));
    send(&mut client, &frame(1, 10)).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Cut);
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_end(&mut server).await;
    expect_end(&mut client).await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_sending_a_frame_delivers_none_of_it() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    let large = frame(9, 4 << 20);
    let (first, second) = large.split_at(large.len() / 2);
    send(&mut client, first).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Cut);
    send(&mut client, second).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_end(&mut server).await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_delivering_a_frame_delivers_all_of_it_and_no_more() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    // Larger than what the kernel buffers on the way, so that the proxy is in the middle of it.
    let (large, next) = (frame(9, 16 << 20), frame(5, 1000));
    let sender = tokio::spawn(async move {
        send(&mut client, &large).await;
        send(&mut client, &next).await;
        (client, large)
    });
    soon(server.peek(&mut [0; 1])).await.expect("delivery has begun");
    let (mut client, large) = soon(sender).await.expect("taken over by the proxy");
    rig.there.set(LinkState::Cut);
    expect_bytes(&mut server, &large).await;
    expect_silence(&mut server).await;
    rig.there.set(LinkState::Up);
    expect_end(&mut server).await;
    expect_end(&mut client).await;
}

#[tokio::test]
async fn what_is_held_back_is_bounded() {
    const ATTEMPT: usize = 256 << 20;
    for state in [LinkState::Cut, LinkState::Slow(SlowLink::by(DEADLINE * 360, Duration::ZERO))] {
        let rig = Rig::new().await;
        let (mut client, _server) = rig.connect().await;
        rig.there.set(state);
        let (chunk, mut sent) = (frame(1, 64 << 10), 0);
        while sent < ATTEMPT && timeout(A_WHILE * 5, client.write_all(&chunk)).await.is_ok() {
            sent += chunk.len();
        }
        assert!(sent >= HELD_BYTES_MAX, "the sender was stopped after {sent} bytes");
        assert!(sent < ATTEMPT, "{state:?} holds back without bound");
    }
}

#[tokio::test]
async fn a_reset_is_an_error_at_both_ends_at_once() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.reset();
    for end in [&mut client, &mut server] {
        let error = soon(end.read(&mut [0; 8])).await.expect_err("an error, not an orderly end");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let (mut client, mut server) = rig.connect().await;
    send(&mut client, &frame(1, 10)).await;
    expect_bytes(&mut server, &frame(1, 10)).await;
}

#[tokio::test]
async fn where_nobody_listens_connections_are_closed() {
    let nobody = Reserved::any().expect("a port");
    let rig = Rig::towards(nobody.address()).await;
    expect_end(&mut rig.dial().await).await;
    rig.back.set(LinkState::Cut);
    let mut client = rig.dial().await;
    expect_silence(&mut client).await;
    rig.back.set(LinkState::Up);
    expect_end(&mut client).await;
}

#[tokio::test]
async fn garbage_reaches_the_node() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    send(&mut client, b"GET / HTTP/1.1\r\n\r\n").await;
    expect_bytes(&mut server, b"GET / HTTP/1.1\r\n\r\n").await;
}

#[tokio::test]
async fn ending_leaves_no_task_and_no_connection() {
    let rig = Rig::new().await;
    let (mut client, mut server) = rig.connect().await;
    rig.there.set(LinkState::Cut);
    let mut unanswered = rig.dial().await;
    soon(rig.tasks.end()).await;
    assert_eq!(rig.tasks.count(), 0);
    for end in [&mut client, &mut server, &mut unanswered] {
        expect_end(end).await;
    }
    assert!(TcpStream::connect(rig.proxy).await.is_err());
}
