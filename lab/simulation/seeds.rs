//! Many seeds, played on all cores and handed back in their order.
#![expect(clippy::disallowed_methods, reason = "seeds are played on threads of their own")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};

use tokio::sync::mpsc;

/// Seeds handed out and not yet handed back, for each thread: one slow seed holds up this many others at most.
const AHEAD_PER_THREAD: usize = 64;
/// What the names of the threads begin with.
const THREAD: &str = "seeds-";

/// Seeds that are being played on as many threads as there are cores. Dropping it ends the threads.
#[derive(Debug)]
pub(crate) struct Seeds<T> {
    threads: usize,
    hand_out: SyncSender<u64>,
    played: mpsc::Receiver<(u64, T)>,
    to_hand_out: Range<u64>,
    to_hand_back: Range<u64>,
    /// Played, but a seed before them is not.
    waiting: BTreeMap<u64, T>,
}

impl<T: Send + 'static> Seeds<T> {
    /// Begins to play each seed. From now on, a panic on one of the threads prints nothing: see [`panicked_at`].
    pub(crate) fn start(
        seeds: Range<u64>,
        play: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> io::Result<Self> {
        quiet_panics();
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let ahead = threads * AHEAD_PER_THREAD;
        let (hand_out, handed_out) = sync_channel(ahead);
        let (done, played) = mpsc::channel(ahead);
        let (play, handed_out) = (Arc::new(play), Arc::new(Mutex::new(handed_out)));
        for n in 0..threads {
            let (play, handed_out, done) = (Arc::clone(&play), Arc::clone(&handed_out), done.clone());
            let work = move || {
                while let Some(seed) = next(&handed_out) {
                    if done.blocking_send((seed, play(seed))).is_err() {
                        break;
                    }
                }
            };
            Builder::new().name(format!("{THREAD}{n}")).spawn(work)?;
        }
        let (to_hand_out, to_hand_back) = (seeds.clone(), seeds);
        Ok(Self { threads, hand_out, played, to_hand_out, to_hand_back, waiting: BTreeMap::new() })
    }

    /// On how many threads they are played.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The next seed and what came of it, once it has been played; `None` after the last. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<(u64, T)> {
        let ahead = (self.threads * AHEAD_PER_THREAD) as u64;
        while self.to_hand_out.start - self.to_hand_back.start < ahead
            && let Some(seed) = self.to_hand_out.next()
        {
            self.hand_out.try_send(seed).expect("no more are handed out than there is room for");
        }
        while !self.to_hand_back.is_empty() {
            if let Some(outcome) = self.waiting.remove(&self.to_hand_back.start) {
                return Some((self.to_hand_back.next()?, outcome));
            }
            let (seed, outcome) = self.played.recv().await.expect("the threads outlive their seeds");
            self.waiting.insert(seed, outcome);
        }
        None
    }
}

fn next(handed_out: &Mutex<Receiver<u64>>) -> Option<u64> {
    handed_out.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

thread_local! {
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of seeds are told later: until then nothing is printed.
fn quiet_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name().is_some_and(|name| name.starts_with(THREAD)) {
            PANICKED_AT.set(panic.location().map(|at| format!("{}:{}", at.file(), at.line())));
        } else {
            loud(panic);
        }
    }));
}

/// Where the last seed of this thread panicked, if one has since this was last asked.
pub(crate) fn panicked_at() -> Option<String> {
    PANICKED_AT.take()
}
