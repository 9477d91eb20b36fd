//! Many seeds on the command line: a line says how far they have come, and a signal ends them.
#![expect(clippy::disallowed_methods, reason = "progress is told by the real clock")]

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::exit::{CommandError, Exit};
use super::output;
use super::signals::Signals;
use crate::simulation::Seeds;

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

/// What seeds come to, taken one after the other.
pub trait Tally<T> {
    /// Takes the outcome of the next seed, until it breaks.
    fn take(&mut self, seed: u64, outcome: T) -> ControlFlow<()>;

    /// What progress says beside the count.
    fn line(&self) -> String;
}

/// Plays seeds on all cores and lets a tally take what comes of them, in their order.
pub async fn play<T: Send + 'static>(
    seeds: Range<u64>,
    play: impl Fn(u64) -> T + Send + Sync + 'static,
    signals: &mut Signals,
    tally: &mut impl Tally<T>,
) -> Result<Played, CommandError> {
    let total = seeds.end - seeds.start;
    let running = Seeds::start(seeds, play);
    let mut running = running.map_err(|e| Exit::Usage.because(format!("cannot start a thread: {e}")))?;
    let mut progress = Progress::begin(total, running.threads());
    let mut ticks = tokio::time::interval(progress.every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut count, mut signal) = (0, None);
    loop {
        tokio::select! {
            played = running.next() => {
                let Some((seed, outcome)) = played else { break };
                count += 1;
                if tally.take(seed, outcome).is_break() {
                    break;
                }
            }
            name = signals.next() => {
                signal = Some(name);
                break;
            }
            _ = ticks.tick() => progress.tell(count, &tally.line()),
        }
    }
    progress.end();
    Ok(Played { count, took: progress.began.elapsed(), signal })
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
