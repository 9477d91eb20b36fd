//! Frames that wait to be written on one connection.
#![expect(clippy::disallowed_methods, reason = "waits for the other side to take bytes, with a deadline")]

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::wire::{WireError, encode_into};

/// A buffer that has grown beyond this for one large frame is given back once it is written.
const KEEP_BYTES: usize = 64 << 10;

/// Frames that wait to be written on one connection, already encoded: one buffer, one write for many frames.
///
/// It belongs to one thread: whoever has something to say pushes, one task runs [`write_to`](Self::write_to). It does
/// not bound itself: each user knows what it may drop or refuse, and asks [`bytes`](Self::bytes) first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: RefCell<State>,
    /// Bytes in this outbox and all others that share the ledger.
    ledger: Rc<Cell<usize>>,
    /// There is something to write, or nothing more will come.
    filled: Notify,
    /// Something was written.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    /// Bytes that the writer has taken and not yet written.
    writing: usize,
    finished: bool,
}

impl Outbox {
    /// An empty outbox whose bytes are counted in `ledger` too.
    pub(super) fn new(ledger: Rc<Cell<usize>>) -> Self {
        Self { state: RefCell::default(), ledger, filled: Notify::new(), emptied: Notify::new() }
    }

    /// Adds a frame. Nothing happens on a finished outbox.
    ///
    /// # Errors
    /// If the frame is too long; nothing was added.
    pub(super) fn push<T: Serialize>(&self, frame: &T) -> Result<(), WireError> {
        let mut state = self.state.borrow_mut();
        if state.finished {
            return Ok(());
        }
        let before = state.waiting.len();
        encode_into(frame, &mut state.waiting)?;
        self.ledger.set(self.ledger.get() + state.waiting.len() - before);
        self.filled.notify_one();
        Ok(())
    }

    /// Bytes that wait or are being written.
    pub(super) fn bytes(&self) -> usize {
        let state = self.state.borrow();
        state.waiting.len() + state.writing
    }

    /// Bytes in this outbox and all others that share its ledger.
    pub(super) fn bytes_shared(&self) -> usize {
        self.ledger.get()
    }

    /// Nothing more may come; [`write_to`](Self::write_to) ends when all is written.
    pub(super) fn finish(&self) {
        self.state.borrow_mut().finished = true;
        self.filled.notify_one();
    }

    /// Whether nothing more may come.
    pub(super) fn is_finished(&self) -> bool {
        self.state.borrow().finished
    }

    /// Forgets everything and takes frames again: for the next connection.
    pub(super) fn reset(&self) {
        self.ledger.set(self.ledger.get() - self.bytes());
        *self.state.borrow_mut() = State::default();
    }

    /// Waits until something has been written since the last call.
    pub(super) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    /// Writes what there is and what comes, until [`finish`](Self::finish); then ends the stream.
    ///
    /// # Errors
    /// If the connection fails, or takes nothing for `stall_max`.
    pub(super) async fn write_to(
        &self,
        sink: &mut (impl AsyncWrite + Unpin),
        stall_max: Duration,
    ) -> io::Result<()> {
        // The buffer that is being written; empty, it is what the next frames go into.
        let mut taken = BytesMut::new();
        loop {
            let finished = self.take_into(&mut taken);
            if taken.is_empty() && finished {
                return self.in_time(sink.shutdown(), stall_max).await;
            }
            if taken.is_empty() {
                self.filled.notified().await;
                continue;
            }
            let large = taken.len() > KEEP_BYTES;
            while taken.has_remaining() {
                let written = self.in_time(sink.write_buf(&mut taken), stall_max).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.state.borrow_mut().writing = taken.len();
                self.ledger.set(self.ledger.get() - written);
                self.emptied.notify_one();
            }
            if large {
                taken = BytesMut::new();
            } else {
                taken.clear();
            }
        }
    }

    /// Takes what waits in exchange for an empty buffer; whether nothing more will come.
    fn take_into(&self, empty: &mut BytesMut) -> bool {
        let mut state = self.state.borrow_mut();
        mem::swap(&mut state.waiting, empty);
        state.writing = empty.len();
        state.finished
    }

    async fn in_time<T>(
        &self,
        write: impl Future<Output = io::Result<T>>,
        stall_max: Duration,
    ) -> io::Result<T> {
        timeout(stall_max, write).await.unwrap_or_else(|_| {
            let what = format!("took none of {} waiting bytes for {stall_max:?}", self.bytes());
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        })
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.reset();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::wire::{NodeFrame, encode};

    fn goodbye(text: &str) -> NodeFrame {
        NodeFrame::Goodbye { reason: text.to_owned() }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn what_was_pushed_is_written_in_order_before_the_end() {
        run(async {
            let outbox = Outbox::default();
            let (mut ours, mut theirs) = duplex(16);
            outbox.push(&goodbye("one")).expect("pushed");
            outbox.push(&goodbye("two")).expect("pushed");
            outbox.finish();
            outbox.push(&goodbye("too late")).expect("ignored");
            let mut read = Vec::new();
            let writer = async {
                outbox.write_to(&mut ours, Duration::from_secs(5)).await.expect("written");
                drop(ours);
            };
            let (_, got) = tokio::join!(writer, theirs.read_to_end(&mut read));
            got.expect("read");
            let expected =
                [encode(&goodbye("one")).expect("one"), encode(&goodbye("two")).expect("two")].concat();
            assert_eq!(read, expected);
            assert_eq!(outbox.bytes(), 0);
        });
    }

    #[test]
    fn somebody_who_takes_nothing_is_given_up() {
        run(async {
            let ledger = Rc::new(Cell::new(0));
            let outbox = Outbox::new(ledger.clone());
            let (mut ours, _theirs) = duplex(16);
            outbox.push(&goodbye(&"x".repeat(100))).expect("pushed");
            let error = outbox.write_to(&mut ours, Duration::from_millis(30)).await.expect_err("stalled");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(outbox.bytes() > 80, "what was not taken still counts");
            assert_eq!(ledger.get(), outbox.bytes());
            drop(outbox);
            assert_eq!(ledger.get(), 0);
        });
    }
}
