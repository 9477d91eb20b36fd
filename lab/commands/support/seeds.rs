//! Many seeds, played on all cores and dealt with in their order; a line says how far it has come.
#![expect(clippy::disallowed_methods, reason = "progress is told by the real clock")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::exit::{CommandError, Exit};
use super::output;
use super::signals::Signals;

/// Seeds handed out and not yet dealt with, for each thread: one slow seed holds up this many others at most.
const AHEAD_PER_THREAD: usize = 64;
/// How often the line is drawn on a terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const WRITTEN_EVERY: Duration = Duration::from_secs(10);

/// How playing them ended.
#[derive(Debug)]
pub struct Played {
    /// How many were dealt with.
    pub count: u64,
    /// How long it took.
    pub took: Duration,
    /// The signal that ended it early.
    pub signal: Option<&'static str>,
}

impl Played {
    /// Seeds in a second.
    pub fn per_second(&self) -> f64 {
        per_second(self.count, self.took)
    }
}

/// Plays each seed on one of as many threads as there are cores. `each` is given the outcomes in the order of the
/// seeds, until it breaks; `line` is what progress says beside the count.
pub async fn play<T: Send + 'static>(
    seeds: Range<u64>,
    play: impl Fn(u64) -> T + Send + Sync + 'static,
    signals: &mut Signals,
    mut each: impl FnMut(u64, T) -> ControlFlow<()>,
    line: impl Fn() -> String,
) -> Result<Played, CommandError> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ahead = threads * AHEAD_PER_THREAD;
    let (hand_out, handed) = sync_channel::<u64>(ahead);
    let (done, mut outcomes) = mpsc::channel(ahead);
    let (play, handed) = (Arc::new(play), Arc::new(Mutex::new(handed)));
    for n in 0..threads {
        let (play, handed, done) = (Arc::clone(&play), Arc::clone(&handed), done.clone());
        let work = move || {
            while let Some(seed) = next(&handed) {
                if done.blocking_send((seed, play(seed))).is_err() {
                    break;
                }
            }
        };
        let started = Builder::new().name(format!("seeds-{n}")).spawn(work);
        started.map_err(|e| Exit::Usage.because(format!("cannot start a thread: {e}")))?;
    }

    let mut progress = Progress::begin(seeds.end - seeds.start, threads);
    let mut ticks = tokio::time::interval(progress.every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut to_hand_out, mut to_deal_with) = (seeds.clone(), seeds.clone());
    let mut waiting = BTreeMap::new();
    let mut signal = None;
    'all: while !to_deal_with.is_empty() {
        while to_hand_out.start - to_deal_with.start < ahead as u64
            && let Some(seed) = to_hand_out.next()
        {
            hand_out.try_send(seed).expect("no more are handed out than there is room for");
        }
        tokio::select! {
            outcome = outcomes.recv() => {
                let (seed, outcome) = outcome.expect("the threads outlive their seeds");
                waiting.insert(seed, outcome);
            }
            name = signals.next() => {
                signal = Some(name);
                break;
            }
            _ = ticks.tick() => progress.tell(to_deal_with.start - seeds.start, &line()),
        }
        while let Some(outcome) = waiting.remove(&to_deal_with.start) {
            let seed = to_deal_with.next().expect("it has an outcome");
            if each(seed, outcome).is_break() {
                break 'all;
            }
        }
    }
    progress.end();
    Ok(Played { count: to_deal_with.start - seeds.start, took: progress.began.elapsed(), signal })
}

fn next(handed: &Mutex<Receiver<u64>>) -> Option<u64> {
    handed.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// One line on standard error, drawn again and again on a terminal.
struct Progress {
    total: u64,
    began: Instant,
    terminal: bool,
    drawn: bool,
}

impl Progress {
    fn begin(total: u64, threads: usize) -> Self {
        let terminal = io::stderr().is_terminal();
        if !terminal && total > 1 {
            output::tell(format_args!("{total} seeds on {threads} threads"));
        }
        Self { total, began: Instant::now(), terminal, drawn: false }
    }

    fn every(&self) -> Duration {
        if self.terminal { DRAWN_EVERY } else { WRITTEN_EVERY }
    }

    fn tell(&mut self, count: u64, line: &str) {
        let took = self.began.elapsed();
        if took < self.every() {
            return;
        }
        let (total, rate) = (self.total, per_second(count, took));
        if !self.terminal {
            return output::tell(format_args!("{count} of {total} seeds, {rate:.0}/s, {line}"));
        }
        const BAR: u64 = 20;
        let full = (count * BAR / total.max(1)) as usize;
        let (full, rest) = ("━".repeat(full), "╌".repeat(BAR as usize - full));
        // A line that wraps could not be drawn over.
        let columns = match crossterm::terminal::size() {
            Ok((columns @ 1.., _)) => usize::from(columns),
            _ => 80,
        };
        let text = format!("{full}{rest} {count}/{total} seeds  {rate:.0}/s  {line}");
        let text: String = text.chars().take(columns.saturating_sub(1)).collect();
        let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
        self.drawn = true;
    }

    fn end(&self) {
        if self.drawn {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

thread_local! {
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of seeds are violations, which are told later: until then nothing is printed.
pub fn quiet_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name().is_some_and(|name| name.starts_with("seeds-")) {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            PANICKED_AT.set(place);
        } else {
            loud(panic);
        }
    }));
}

/// Where the last seed of this thread panicked, if one has since this was last asked.
pub fn panicked_at() -> Option<String> {
    PANICKED_AT.take()
}
