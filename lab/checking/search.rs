//! The general search on all cores: many keys, one deadline, one bound on memory.
#![expect(
    clippy::disallowed_methods,
    reason = "deadlines are by the real clock, and memory is asked of the system"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kvlab::judge::Linearizable;
use kvlab::judge::check::{KeyHistory, KeyVerdict, check_key};

use super::progress::Progress;

/// Once a key has failed, the history has: the others may still take so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A search that makes the program larger than this is given up. What a search remembers grows with every step.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Questions whether to go on, for each look at the program's size.
const POLLS_PER_LOOK: u64 = 256;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// When searches are given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All searches together may take so long.
    pub(crate) timeout: Duration,
}

/// Why a search was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Its time was over.
    Timeout(Duration),
    /// It needed too much memory.
    Memory,
    /// Another key had failed already.
    Failed,
}

/// The time and the memory that searches have, and why they were given up.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    began: Instant,
    failed: AtomicBool,
    /// Milliseconds after the beginning at which the first key failed.
    failed_at_ms: AtomicUsize,
}

impl Budget {
    /// From now on.
    pub(crate) fn begin(limits: Limits) -> Self {
        let (failed, failed_at_ms) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { limits, began: Instant::now(), failed, failed_at_ms }
    }

    /// A key has failed.
    pub(crate) fn note_failure(&self) {
        if !self.failed.load(Ordering::Acquire) {
            self.failed_at_ms.store(self.began.elapsed().as_millis() as usize, Ordering::Relaxed);
            self.failed.store(true, Ordering::Release);
        }
    }

    /// Judges a key, and says why if it was given up.
    pub(crate) fn judge(&self, history: &KeyHistory) -> (KeyVerdict, Option<GivenUp>) {
        let (mut polls, mut given_up) = (0_u64, None);
        let verdict = check_key(history, &mut |_| {
            polls += 1;
            given_up = self.over(polls.is_multiple_of(POLLS_PER_LOOK));
            given_up.is_none()
        });
        (verdict, given_up)
    }

    /// Why to give up now, if at all.
    pub(crate) fn over(&self, look_at_memory: bool) -> Option<GivenUp> {
        let took = self.began.elapsed();
        let since_failure = || {
            let at = Duration::from_millis(self.failed_at_ms.load(Ordering::Relaxed) as u64);
            took.saturating_sub(at)
        };
        if took >= self.limits.timeout {
            Some(GivenUp::Timeout(self.limits.timeout))
        } else if self.failed.load(Ordering::Acquire) && since_failure() >= AFTER_FAILURE {
            Some(GivenUp::Failed)
        } else if look_at_memory && resident().is_some_and(|bytes| bytes > MEMORY_BYTES_MAX) {
            Some(GivenUp::Memory)
        } else {
            None
        }
    }
}

/// Judges all keys, on as many threads as there are cores; the smallest first, so that a hard one holds up few. The
/// answers are in the order of the keys.
pub(crate) fn all(
    keys: &[KeyHistory],
    budget: &Budget,
    progress: &mut Progress,
) -> Vec<(KeyVerdict, Option<GivenUp>)> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&at| keys[at].ops().len());
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(keys.len());
    let (next, (done, answers)) = (AtomicUsize::new(0), channel());
    let mut verdicts: Vec<Option<_>> = Vec::new();
    verdicts.resize_with(keys.len(), || None);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (order, next, done) = (&order, &next, done.clone());
            scope.spawn(move || {
                while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = budget.judge(&keys[at]);
                    if answer.0.linearizable == Linearizable::No {
                        budget.note_failure();
                    }
                    if done.send((at, answer)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut judged = 0;
        loop {
            match answers.recv_timeout(TOLD_EVERY) {
                Ok((at, answer)) => {
                    verdicts[at] = Some(answer);
                    judged += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            progress.searched(judged, keys.len());
        }
    });
    verdicts.into_iter().map(|verdict| verdict.expect("every key is handed out once")).collect()
}

/// Bytes of this process in memory, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout(timeout) => {
                write!(f, "the search was given up after {timeout:?}; --timeout gives it longer")
            }
            Self::Memory => {
                write!(
                    f,
                    "the search was given up: it needs more than {} GiB of memory",
                    MEMORY_BYTES_MAX >> 30
                )
            }
            Self::Failed => write!(f, "the search was given up, since another key had failed already"),
        }
    }
}
