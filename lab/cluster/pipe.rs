//! One direction of one proxied connection.
//!
//! ```text
//!            ┌────────── pipe, obeying one link ──────────┐
//! source ──► │ splitter ──► queue of (arrived, due, piece) │ ──► sink
//!            └────────────────────────────────────────────┘
//! ```
//!
//! * *Up*: pieces are due when they arrive. A piece leaves whole or not at all.
//! * *Slow*: a piece is due `delay` (and jitter) after it arrived, never before the one ahead of it. Only the
//!   queue's bound limits throughput.
//! * *Loss*: a frame is gone, but for the first of a connection, which greets: without it there is no connection, and a
//!   lost segment of the handshake only delays. Where frames are not known, a piece that is lost comes later, as TCP
//!   sends it again and again, and is at last given up: then the connection is reset.
//! * *Duplicate*: a frame between members is written twice, one after the other. TCP repeats nothing, and a client's request
//!   that came twice would be done twice: nothing else is repeated.
//! * *Cut*: silence. The piece whose writing has begun is finished (on a real wire it had left already);
//!   everything else is held back. What is held can be thrown away at once, for it never leaves: once the link
//!   is up again a connection that held anything is closed, as after a real partition, so that its ends
//!   reconnect at once. One that held nothing has lost nothing and lives on, and the end of a stream is then
//!   merely late.
//! * *Back-pressure*: beyond [`HELD_BYTES_MAX`] the source is not read.
//!
//! Not handled: a receiver that has taken only a part of a large piece when the healed connection is closed
//! sees that part and then the end of the stream, as it does when a process dies while sending.
#![expect(clippy::disallowed_methods, reason = "frames are stamped on arrival")]

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::frame::Splitter;
use super::link::{Link, Setting};
use crate::engine::Framing;
use crate::run::event::LinkState;

/// What a pipe holds before it stops reading; one unfinished frame and one read may come on top.
pub(super) const HELD_BYTES_MAX: usize = 4 << 20;
/// After how long TCP first sends again what was lost where frames are not known; each time twice as long.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How often a piece is lost in a row before TCP gives it up, and the connection with it.
const RETRIES_MAX: u32 = 6;
/// Pieces written by one system call.
const WRITE_PIECES_MAX: usize = 32;

/// How one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PipeEnd {
    /// The source has ended, and the sink has been told. The other direction may go on.
    Delivered,
    /// Close both ends: a cut was healed in which something had been held back, or nobody is left.
    Over,
    /// The link was reset: break both ends.
    Reset,
}

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Pipe<'a> {
    source: ReadHalf<'a>,
    sink: WriteHalf<'a>,
    link: Link,
    watch: watch::Receiver<Setting>,
    /// The link as the pipe has last seen it.
    seen: Setting,
    splitter: Splitter,
    queue: Queue,
    /// The source has ended.
    ended: bool,
    /// The sink takes no more. The source learns that from the other direction, if that one's link lets it.
    broken: bool,
    /// Something was held back in a cut.
    held: bool,
    /// Frames may come twice.
    repeats: bool,
    /// The first piece, which greets, has come.
    greeted: bool,
    /// Bytes read that will never leave.
    discarded: usize,
    /// Notified once the other direction is over.
    alone: &'a Notify,
}

impl<'a> Pipe<'a> {
    /// `born` is the link's setting when the connection was made; its pieces are as `framing` says, and are repeated only
    /// where they may be; `alone` is notified once the other direction is over.
    pub(super) fn new(
        (source, sink): (ReadHalf<'a>, WriteHalf<'a>),
        link: Link,
        born: Setting,
        (framing, repeats): (Framing, bool),
        alone: &'a Notify,
    ) -> Self {
        let mut watch = link.watch();
        // A change since then is seen first of all.
        watch.mark_changed();
        let (splitter, queue) = (Splitter::new(framing), Queue::default());
        Self {
            source,
            sink,
            link,
            watch,
            seen: born,
            splitter,
            queue,
            ended: false,
            broken: false,
            held: false,
            repeats,
            greeted: false,
            discarded: 0,
            alone,
        }
    }

    /// Carries bytes until the direction ends. May be dropped at any await.
    pub(super) async fn run(mut self) -> PipeEnd {
        loop {
            let silent = self.seen.state == LinkState::Cut;
            if self.ended && !silent && self.queue.is_empty() {
                // An error means that there is nobody to tell.
                let _ = self.sink.shutdown().await;
                return PipeEnd::Delivered;
            }
            let due = self.queue.due();
            let now = due.map(|_| Instant::now());
            let may_write = due.is_some_and(|due| Some(due) <= now);
            let may_read = !self.ended && self.discarded.max(self.queue.weight()) < HELD_BYTES_MAX;
            // A sender and a receiver that are both fast must not keep the other direction waiting.
            consume_budget().await;
            tokio::select! {
                biased;
                changed = self.watch.changed() => {
                    let Ok(()) = changed else { return PipeEnd::Over };
                    if let Some(end) = self.obey() {
                        return end;
                    }
                }
                ready = self.sink.writable(), if may_write => {
                    let written = ready.and_then(|()| self.queue.write(&self.sink, now));
                    if written.is_err() {
                        self.broken = true;
                        self.queue.clear();
                    }
                }
                () = until(due), if !may_write => {}
                // Safe to drop at any await, and it spares the read that would find nothing. A broken source
                // ends like a closed one: its other direction tells it what it must know.
                read = self.source.read_buf(self.splitter.room()), if may_read => {
                    if let Some(end) = self.take(read.unwrap_or(0)) {
                        return end;
                    }
                }
                // Both sources have ended, so there is nobody left to be silent to (but for one that closed its
                // own half and still listens: it hears the end of the stream too early); or this source has
                // been told that nobody takes what it sends.
                () = self.alone.notified(), if self.broken || (self.ended && silent) => return PipeEnd::Over,
            }
        }
    }

    /// Looks at the link and does what has changed.
    fn obey(&mut self) -> Option<PipeEnd> {
        let (before, now) = (self.seen, *self.watch.borrow_and_update());
        self.seen = now;
        if now.resets != before.resets {
            return Some(PipeEnd::Reset);
        }
        let was_cut = before.state == LinkState::Cut || now.cuts != before.cuts;
        if was_cut {
            self.held |= self.queue.keep_begun();
        }
        match now.state {
            LinkState::Cut => None,
            _ if self.held => Some(PipeEnd::Over),
            state => {
                self.queue.reschedule(|| self.link.draw(state));
                None
            }
        }
    }

    /// Takes what has been read: to be passed on, or to be dropped.
    fn take(&mut self, bytes: usize) -> Option<PipeEnd> {
        let silent = self.seen.state == LinkState::Cut;
        if bytes == 0 {
            self.ended = true;
        } else if silent || self.broken {
            self.splitter.clear();
            self.discarded += bytes;
            self.held |= silent;
        } else {
            let arrived = Instant::now();
            while let Some(piece) = self.splitter.next_piece() {
                if let Some(end) = self.pass_on(arrived, piece) {
                    return Some(end);
                }
            }
        }
        None
    }

    /// Sends a piece on its way: once, twice or never.
    fn pass_on(&mut self, arrived: Instant, piece: Bytes) -> Option<PipeEnd> {
        let state = self.seen.state;
        let mut delay = self.link.draw(state);
        let greets = !std::mem::replace(&mut self.greeted, true);
        if self.splitter.knows_frames() {
            if !greets && self.link.loses(state) {
                return None;
            }
            if !greets && self.repeats && self.link.repeats(state) {
                self.queue.push(arrived, delay, piece.clone());
            }
        } else {
            for tried in 0.. {
                match self.link.loses(state) {
                    false => break,
                    true if tried == RETRIES_MAX => return Some(PipeEnd::Reset),
                    true => delay += RETRY_AFTER * 2u32.pow(tried),
                }
            }
        }
        self.queue.push(arrived, delay, piece);
        None
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Whole pieces on their way, in order.
#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// Of all pieces.
    bytes: usize,
    /// Some of the first piece is written already.
    begun: bool,
}

#[derive(Debug)]
struct Piece {
    arrived: Instant,
    due: Instant,
    bytes: Bytes,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// What it takes in memory.
    fn weight(&self) -> usize {
        self.bytes + self.pieces.len() * size_of::<Piece>()
    }

    fn due(&self) -> Option<Instant> {
        self.pieces.front().map(|piece| piece.due)
    }

    fn push(&mut self, arrived: Instant, delay: Duration, bytes: Bytes) {
        let earliest = self.pieces.back().map_or(arrived, |last| last.due);
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { arrived, due: earliest.max(arrived + delay), bytes });
    }

    /// The link's delay has changed: what is on its way takes the new one, from when it arrived.
    fn reschedule(&mut self, delay: impl Fn() -> Duration) {
        let mut earliest = None;
        for piece in &mut self.pieces {
            let due = piece.arrived + delay();
            piece.due = earliest.map_or(due, |earliest: Instant| earliest.max(due));
            earliest = Some(piece.due);
        }
    }

    /// Drops every piece but one whose writing has begun. Returns whether it dropped any.
    fn keep_begun(&mut self) -> bool {
        let kept = usize::from(self.begun);
        let dropped = self.pieces.len() > kept;
        self.pieces.truncate(kept);
        self.bytes = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
        dropped
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes what is due and what the sink has room for.
    fn write(&mut self, sink: &WriteHalf<'_>, now: Option<Instant>) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES_MAX];
        let due = self.pieces.iter().take_while(|piece| Some(piece.due) <= now);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(due) {
            *slice = IoSlice::new(&piece.bytes);
            count += 1;
        }
        match sink.try_write_vectored(&slices[..count]) {
            Ok(written) => {
                self.advance(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn advance(&mut self, mut written: usize) {
        assert!(written <= self.bytes, "more written than was there");
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.bytes.len() {
                first.bytes.advance(written);
                self.begun |= written > 0;
                return;
            }
            written -= first.bytes.len();
            self.begun = false;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(delays_ms: &[u64]) -> (Instant, Queue) {
        let (start, mut queue) = (Instant::now(), Queue::default());
        for &delay in delays_ms {
            queue.push(start, Duration::from_millis(delay), Bytes::from_static(b"12345"));
        }
        (start, queue)
    }

    fn dues_ms(start: Instant, queue: &Queue) -> Vec<u128> {
        queue.pieces.iter().map(|piece| (piece.due - start).as_millis()).collect()
    }

    #[test]
    fn jitter_never_reorders_and_delays_do_not_add_up() {
        let (start, mut queue) = queue(&[30, 10, 40]);
        assert_eq!(dues_ms(start, &queue), [30, 30, 40]);
        queue.reschedule(|| Duration::from_millis(5));
        assert_eq!(dues_ms(start, &queue), [5, 5, 5]);
        queue.reschedule(|| Duration::ZERO);
        assert_eq!(queue.due(), Some(start));
    }

    #[test]
    fn a_cut_keeps_only_the_piece_that_has_begun() {
        let (_, mut queue) = queue(&[0, 0, 0]);
        queue.advance(7);
        assert!(queue.begun);
        assert!(queue.keep_begun());
        assert_eq!((queue.pieces.len(), queue.bytes), (1, 3));
        assert!(!queue.keep_begun(), "nothing more to drop");
        queue.advance(3);
        assert!(queue.is_empty() && !queue.begun && queue.bytes == 0);
    }

    #[test]
    fn a_cut_drops_a_piece_that_has_not_begun() {
        let (_, mut queue) = queue(&[0, 0]);
        queue.advance(5);
        assert!(!queue.begun);
        assert!(queue.keep_begun());
        assert!(queue.is_empty());
    }
}
