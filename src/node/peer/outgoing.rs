//! This node's connection to one other member: made again whenever it ends, and never waited for by anybody else.
#![expect(clippy::disallowed_methods, reason = "opens connections, and waits between attempts")]

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info};

use super::FromPeer;
use crate::client::Backoff;
use crate::node::clock::Clock;
use crate::node::outbox::Outbox;
use crate::types::{Message, NodeId};
use crate::wire::PeerFrame;

/// Entries and snapshot chunks are dropped while this much waits; the core sends no more than its window anyway.
const BULK_BYTES_MAX: usize = 4 << 20;
/// What else members say is dropped only when this much waits: heartbeats, acknowledgements and votes are small, and
/// still get a place behind a full window of entries.
pub(in crate::node) const CONTROL_BYTES_MAX: usize = BULK_BYTES_MAX + (256 << 10);
/// The first pause after a connection failed; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest pause between two attempts. A primary that is restarted shall have its replicas back within two
/// seconds, and this is the part of them that a replica may sleep through if nothing wakes it.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// How long connecting may take at first; doubled whenever nobody has answered in time, so that no delay makes a member
/// unreachable for ever. (Rule 14.)
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// The longest that connecting may take.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(16);
/// A connection that still stands after this long counts as up: one that is accepted only to be closed (by a proxy
/// whose far end is gone, by a member that refuses the Hello) does not.
pub(in crate::node) const SETTLED_AFTER: Duration = Duration::from_millis(10);
/// After a connection stood for this long, the next failure begins again with the shortest pause.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// What waits to be sent to one member. Frames keep their order.
#[derive(Debug)]
pub(in crate::node) struct OutgoingLink {
    to: NodeId,
    out: Outbox,
    connected: Cell<bool>,
    /// Messages dropped since the connection came up, because too much waited.
    dropped: Cell<u64>,
    /// Rung when the member is known to be there: no more waiting between attempts.
    hurried: Notify,
}

impl OutgoingLink {
    /// A link to `to`, not connected.
    pub(in crate::node) fn new(to: NodeId) -> Self {
        let (out, connected, dropped, hurried) = Default::default();
        Self { to, out, connected, dropped, hurried }
    }

    /// Connects now, unless there is a connection, and begins again with the shortest pause if that fails.
    pub(in crate::node) fn hurry(&self) {
        if !self.connected.get() {
            self.hurried.notify_one();
        }
    }

    /// Waits for somebody to hurry it.
    #[cfg(test)]
    pub(super) async fn is_hurried(&self) {
        self.hurried.notified().await;
    }

    /// Sends, or drops if there is no connection or too much waits: the protocol repeats what matters.
    pub(in crate::node) fn send(&self, message: Message) {
        if !self.connected.get() {
            return;
        }
        let max = if is_bulk(&message) { BULK_BYTES_MAX } else { CONTROL_BYTES_MAX };
        if self.out.bytes() > max {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        if let Err(error) = self.out.push(&PeerFrame::Message(message)) {
            error!(peer = %self.to, %error, "a message could not be sent");
        }
    }
}

fn is_bulk(message: &Message) -> bool {
    matches!(message, Message::Append { .. } | Message::SnapshotChunk { .. })
}

/// Keeps one [`OutgoingLink`] connected.
#[derive(Debug)]
pub(in crate::node) struct Dial {
    /// The link.
    pub(in crate::node) link: Rc<OutgoingLink>,
    /// Where the member is reached.
    pub(in crate::node) addr: String,
    /// Opens each connection.
    pub(in crate::node) hello: PeerFrame,
    /// Tells the node's loop whether the link stands.
    pub(in crate::node) inputs: mpsc::Sender<FromPeer>,
    /// A connection that takes nothing of what waits for this long is given up.
    pub(in crate::node) write_timeout: Duration,
    /// A connection counts as up when it has stood for this long: [`SETTLED_AFTER`].
    pub(in crate::node) settled_after: Duration,
    pub(in crate::node) clock: Clock,
}

/// How an attempt to connect ended.
#[derive(Debug)]
enum Attempt<T> {
    /// With a connection, or with an error that the system tells.
    Done(io::Result<T>),
    /// Nothing came in time.
    Unanswered,
    /// The member is there: try again, now.
    Hurried,
}

/// How long the next attempt may take after one that took so long and was not answered.
fn longer(patience: Duration) -> Duration {
    (patience * 2).min(CONNECT_TIMEOUT_MAX)
}

impl Dial {
    /// Connects, and connects again, for ever.
    pub(in crate::node) async fn run(self, seed: u64) {
        let mut backoff = Backoff::between(BACKOFF_MIN, BACKOFF_MAX, seed);
        let mut patience = CONNECT_TIMEOUT_MIN;
        loop {
            let since = self.clock.now();
            let to = self.link.to;
            match self.attempt(CONNECT_TIMEOUT_MIN, patience, TcpStream::connect(&self.addr)).await {
                Attempt::Done(Ok(stream)) => {
                    patience = CONNECT_TIMEOUT_MIN;
                    let end = self.hold(stream).await;
                    let dropped = self.link.dropped.take();
                    debug!(peer = %to, addr = %self.addr, %end, dropped, "link ended");
                }
                Attempt::Done(Err(error)) => {
                    debug!(peer = %to, addr = %self.addr, %error, "link cannot connect");
                }
                Attempt::Unanswered => {
                    debug!(peer = %to, addr = %self.addr, ?patience, "link cannot connect: no answer");
                    patience = longer(patience);
                }
                Attempt::Hurried => {
                    backoff.reset();
                    continue;
                }
            }
            if self.clock.now().saturating_sub(since) >= STABLE_AFTER {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.wait()) => {}
                () = self.link.hurried.notified() => backoff.reset(),
            }
        }
    }

    /// One attempt to connect. One that is longer than `short` is given up for a new one when the member is known to be
    /// there: what was sent before may have been lost, and the system takes longer and longer to send it again.
    async fn attempt<T>(
        &self,
        short: Duration,
        patience: Duration,
        connecting: impl Future<Output = io::Result<T>>,
    ) -> Attempt<T> {
        let mut connecting = pin!(connecting);
        if let Ok(done) = timeout(short, &mut connecting).await {
            return Attempt::Done(done);
        }
        tokio::select! {
            biased;
            done = timeout(patience.saturating_sub(short), &mut connecting) => {
                done.map_or(Attempt::Unanswered, Attempt::Done)
            }
            () = self.link.hurried.notified() => Attempt::Hurried,
        }
    }

    /// Writes to the connection until it ends.
    async fn hold(&self, stream: TcpStream) -> io::Error {
        let _ = stream.set_nodelay(true);
        let (source, mut sink) = stream.into_split();
        self.link.out.reset();
        if let Err(error) = self.link.out.push(&self.hello) {
            return io::Error::new(io::ErrorKind::InvalidInput, error);
        }
        self.link.connected.set(true);
        let mut up = false;
        let end = {
            let mut writer = pin!(self.link.out.write_to(&mut sink, self.write_timeout));
            let mut end = pin!(closed(source));
            let mut settled = pin!(sleep(self.settled_after));
            loop {
                tokio::select! {
                    written = &mut writer => {
                        break written.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                    }
                    error = &mut end => break error,
                    () = &mut settled, if !up => {
                        up = true;
                        info!(peer = %self.link.to, addr = %self.addr, "link up");
                        self.tell(up).await;
                    }
                }
            }
        };
        self.link.connected.set(false);
        self.link.out.reset();
        if up {
            info!(peer = %self.link.to, addr = %self.addr, reason = %end, "link down");
            self.tell(false).await;
        }
        end
    }

    async fn tell(&self, up: bool) {
        // The loop ends only with the process.
        let _ = self.inputs.send(FromPeer::Link { to: self.link.to, up }).await;
    }
}

/// Waits for the end of a connection on which the other side never says anything.
async fn closed(mut source: impl AsyncRead + Unpin) -> io::Error {
    let mut byte = [0];
    match source.read(&mut byte).await {
        Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the other side"),
        Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "the other side is no member: it answers"),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{Entry, Epoch, Op, Position};

    fn append(bytes: usize) -> Message {
        let at = Position::new(Epoch::new(1, NodeId(1)), 1);
        let op = Op::Put { key: Bytes::from_static(b"k"), value: Bytes::from(vec![7; bytes]) };
        Message::Append { epoch: at.epoch, prev: Position::ZERO, entries: vec![Entry { at, op }], commit: 0 }
    }

    fn heartbeat() -> Message {
        Message::Heartbeat { epoch: Epoch::new(1, NodeId(1)), last: 1, commit: 1, sent: 1, counts: None }
    }

    #[test]
    fn heartbeats_find_a_place_behind_a_full_window_and_all_is_bounded() {
        let link = OutgoingLink::new(NodeId(2));
        link.send(append(10));
        assert_eq!(link.out.bytes(), 0, "there is no connection");
        link.connected.set(true);
        for _ in 0..10 {
            link.send(append(1 << 20));
        }
        let full = link.out.bytes();
        assert!(full > BULK_BYTES_MAX && full < CONTROL_BYTES_MAX, "{full}");
        assert_eq!(link.dropped.get(), 6);
        link.send(heartbeat());
        assert!(link.out.bytes() > full && link.dropped.get() == 6);
        for _ in 0..CONTROL_BYTES_MAX - BULK_BYTES_MAX {
            link.send(heartbeat());
        }
        assert!(link.out.bytes() < CONTROL_BYTES_MAX + 100, "{}", link.out.bytes());
    }

    fn dial() -> Dial {
        Dial {
            link: Rc::new(OutgoingLink::new(NodeId(2))),
            addr: "127.0.0.1:1".into(),
            hello: PeerFrame::Message(heartbeat()),
            inputs: mpsc::channel(1).0,
            write_timeout: Duration::from_secs(1),
            settled_after: SETTLED_AFTER,
            clock: Clock::start(),
        }
    }

    #[tokio::test]
    async fn patience_grows_until_the_slowest_network_has_answered() {
        const TAKES: Duration = Duration::from_millis(50);
        let (mut patience, dial) = (TAKES / 50, dial());
        let answers = || async {
            sleep(TAKES).await;
            Ok(())
        };
        while let Attempt::Unanswered = dial.attempt(TAKES / 50, patience, answers()).await {
            assert!(patience <= TAKES, "{patience:?} was enough");
            patience = longer(patience);
        }
        assert!(patience > TAKES / 50, "the first attempt was too short");
        let mut patiences: Vec<_> =
            std::iter::successors(Some(CONNECT_TIMEOUT_MIN), |p| Some(longer(*p))).take(6).collect();
        patiences.dedup();
        assert_eq!(patiences, [1, 2, 4, 8, 16].map(Duration::from_secs));
    }

    #[tokio::test]
    async fn a_long_attempt_is_given_up_for_a_member_that_is_there_and_a_short_one_is_not() {
        let dial = dial();
        let never = || std::future::pending::<io::Result<()>>();
        let short = Duration::from_millis(20);
        dial.link.hurry();
        assert!(matches!(dial.attempt(short, CONNECT_TIMEOUT_MAX, never()).await, Attempt::Hurried));
        dial.link.hurry();
        let soon = async {
            sleep(short).await;
            Ok(())
        };
        let attempt = dial.attempt(CONNECT_TIMEOUT_MIN, CONNECT_TIMEOUT_MAX, soon).await;
        assert!(matches!(attempt, Attempt::Done(Ok(()))), "{attempt:?}");
    }
}
