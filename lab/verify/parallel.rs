//! The general search on all cores: many keys, one deadline, one bound on memory.
#![expect(
    clippy::disallowed_methods,
    reason = "deadlines are by the real clock, and memory is asked of the system"
)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kvlab::judge::Linearizable;
use kvlab::judge::offline::{KeyHistory, KeyVerdict, check_key, explain_key};

use super::status_line::{StatusLine, bar};

/// A search that makes the program larger than this is given up. What a search remembers grows with every step.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Questions whether to go on, for each look at the program's size.
const POLLS_PER_LOOK: u64 = 256;
/// No time: not yet.
const NEVER: u64 = u64::MAX;
/// How often the status line is looked after.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// When searches are given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SearchLimits {
    /// All searches together may take so long.
    pub(crate) timeout: Duration,
    /// Once a key has failed, the history has: the others may still take so long.
    pub(crate) after_failure: Duration,
}

impl SearchLimits {
    /// With this for all searches together.
    pub(crate) fn within(timeout: Duration) -> Self {
        /// An answer that is nearly there is worth waiting for.
        const AFTER_FAILURE: Duration = Duration::from_secs(2);
        Self { timeout, after_failure: AFTER_FAILURE }
    }
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
pub(crate) struct SearchBudget {
    limits: SearchLimits,
    began: Instant,
    /// Milliseconds after the beginning at which the first key failed; [`NEVER`] if none has.
    failed_at_ms: AtomicU64,
}

impl SearchBudget {
    /// From now on.
    pub(crate) fn begin(limits: SearchLimits) -> Self {
        Self { limits, began: Instant::now(), failed_at_ms: AtomicU64::new(NEVER) }
    }

    /// A key has failed.
    pub(crate) fn note_failure(&self) {
        self.failed_at_ms.fetch_min(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Judges a key, and says why if it was given up.
    pub(crate) fn judge(&self, history: &KeyHistory) -> (KeyVerdict, Option<GivenUp>) {
        let (mut polls, mut given_up) = (0_u64, None);
        let mut may_continue = |_| {
            polls += 1;
            given_up = self.over(polls.is_multiple_of(POLLS_PER_LOOK));
            given_up.is_none()
        };
        let mut verdict = check_key(history, &mut may_continue);
        if verdict.linearizable != Linearizable::No {
            return (verdict, given_up);
        }
        self.note_failure();
        explain_key(history, &mut verdict, &mut may_continue);
        (verdict, None)
    }

    /// Why to give up now, if at all.
    pub(crate) fn over(&self, look_at_memory: bool) -> Option<GivenUp> {
        let took = self.began.elapsed();
        let failed_at = self.failed_at_ms.load(Ordering::Relaxed);
        let since_failure = took.saturating_sub(Duration::from_millis(failed_at));
        if took >= self.limits.timeout {
            Some(GivenUp::Timeout(self.limits.timeout))
        } else if failed_at != NEVER && since_failure >= self.limits.after_failure {
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
pub(crate) fn judge_all(keys: &[KeyHistory], limits: SearchLimits) -> Vec<(KeyVerdict, Option<GivenUp>)> {
    let (budget, mut line) = (&SearchBudget::begin(limits), StatusLine::begin());
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
            let of = keys.len();
            line.draw(|| format!("{}{judged} of {of} keys searched", bar(judged as u64, Some(of as u64))));
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

#[cfg(test)]
mod tests {
    use kvlab::judge::offline::{EventTime, KeyAct, KeyOp, OpOutcome};

    use super::*;

    fn op(process: u32, act: KeyAct, began: u64, ended: u64) -> KeyOp {
        let mark = |i| EventTime { i, t_ns: None };
        KeyOp { process, act, began: mark(began), ended: Some(mark(ended)), outcome: OpOutcome::Ok }
    }

    /// Many leave one value and come back to it at once, and two at the end leave it for good: every set of the others may
    /// have been first, and there are more than anyone can try.
    fn hard(key: &str) -> KeyHistory {
        let value = |text: &str| Some(text.into());
        let cas = |from: &str, to: &str| KeyAct::Cas { from: value(from), to: value(to) };
        let mut ops = vec![op(0, KeyAct::Write(value("x")), 0, 1)];
        for n in 1..=24_u32 {
            let (away, began) = (n.to_string(), 2 * u64::from(n));
            ops.push(op(n, cas("x", &away), began, 1000 + began));
            ops.push(op(100 + n, cas(&away, "x"), began + 1, 1001 + began));
        }
        ops.push(op(0, cas("x", "y"), 2000, 2001));
        ops.push(op(0, cas("x", "y"), 2002, 2003));
        KeyHistory::new(key, ops).expect("a history")
    }

    fn failing(key: &str) -> KeyHistory {
        let read = op(0, KeyAct::Read(Some("x".into())), 0, 1);
        KeyHistory::new(key, vec![read]).expect("a history")
    }

    fn judged(keys: &[KeyHistory], limits: SearchLimits) -> Vec<(Linearizable, Option<GivenUp>)> {
        let answers = judge_all(keys, limits);
        answers.into_iter().map(|(verdict, given_up)| (verdict.linearizable, given_up)).collect()
    }

    #[test]
    fn what_is_hard_is_given_up_in_time_and_holds_up_nobody() {
        let easy = KeyHistory::new("easy", vec![op(0, KeyAct::Append("a".to_owned()), 0, 1)]);
        let timeout = Duration::from_millis(50);
        let answers =
            judged(&[hard("a"), easy.expect("a history"), hard("b")], SearchLimits::within(timeout));
        let late = (Linearizable::Undecided, Some(GivenUp::Timeout(timeout)));
        assert_eq!(answers, [late, (Linearizable::Yes, None), late]);
    }

    #[test]
    fn a_key_that_fails_ends_the_search_of_others() {
        let limits = SearchLimits { timeout: Duration::from_secs(3600), after_failure: Duration::ZERO };
        let answers = judged(&[hard("a"), failing("b")], limits);
        assert_eq!(answers, [(Linearizable::Undecided, Some(GivenUp::Failed)), (Linearizable::No, None)]);
    }
}
