//! What a simulation is told, and what it tells.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use super::told::Told;
use crate::judge;
use crate::storage::Durability;
use crate::types::{Quirk, Quirks};

/// What [`Mix::Relapse`] is to show takes five acts, one after the other.
const RELAPSES_FOR: Duration = Duration::from_secs(12);

/// Which faults there are, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// All of them, at a rate drawn from the seed.
    #[default]
    Everything,
    /// Who leads is always in question: promotions that the primary, or nobody, hears of, and replicas whose
    /// processes die and come back at once. Clients are slow, so that a log can be as long as the primary's for a while.
    Contest,
    /// Every new primary finds itself alone, with entries that nobody else has, while another is promoted; then it is
    /// promoted again (Raft's figure 8).
    Relapse,
}

/// What may happen in a simulation. Everything else is drawn from the seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many members, 1 to 9; `None`: 3 or 5, sometimes 2 or 4.
    pub nodes: Option<u8>,
    /// How long faults and clients go on, in simulated time, before everything is healed.
    pub chaos: Duration,
    /// Operators also promote by force. Committed writes may then be lost, and their checks rest.
    pub force: bool,
    /// Which faults there are.
    pub mix: Mix,
    /// Disks are also wiped, never those of more than a minority at a time.
    pub wipes: bool,
    /// When a write counts as durable. In the modes that do not sync each batch, processes are killed but the power
    /// does not go: what is promised then is what is promised of `always`.
    pub durability: Durability,
    /// The mistakes that every member makes on purpose.
    pub quirks: Quirks,
    /// What is seen from inside does not count: only the judge decides, by what the clients saw. Then a cluster that
    /// does not come to rest breaks nothing either.
    pub judge_only: bool,
    /// Record every happening.
    pub trace: bool,
    /// Compare storage with a model of it, at every job and after every crash.
    #[cfg(test)]
    pub(super) mirror: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: None,
            chaos: Duration::from_secs(6),
            force: false,
            mix: Mix::Everything,
            wipes: true,
            durability: Durability::Always,
            quirks: Quirks::NONE,
            judge_only: false,
            trace: false,
            #[cfg(test)]
            mirror: false,
        }
    }
}

impl Mix {
    /// The faults that a quirk is most at home with. The mistakes around votes and timelines show in the moments
    /// between two primaries, so those are made many.
    pub const fn of(quirk: Quirk) -> Self {
        match quirk {
            Quirk::NoFence | Quirk::VoteAmnesia | Quirk::NoLineageCheck => Self::Contest,
            Quirk::CountOldEpochs => Self::Relapse,
            _ => Self::Everything,
        }
    }
}

impl Options {
    /// What shows these mistakes by what the clients see alone: three members whose disks are not wiped, and the faults
    /// that the first of them is most at home with. Everything else is drawn, as ever.
    pub fn for_quirks(quirks: Quirks) -> Self {
        let mix = quirks.iter().next().map_or(Mix::Everything, Mix::of);
        let chaos = if mix == Mix::Relapse { RELAPSES_FOR } else { Self::default().chaos };
        Self { nodes: Some(3), chaos, wipes: false, mix, quirks, judge_only: true, ..Self::default() }
    }
}

/// How a simulation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What decided everything.
    pub seed: u64,
    /// The first promise that was broken, if any.
    pub violation: Option<Violation>,
    /// What went on.
    pub counts: Counts,
    /// One line for each happening, if asked for.
    pub trace: Vec<String>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Simulated time.
    pub at: Duration,
    /// What was broken, in words.
    pub what: String,
    /// What there is to show for it, if it was the judge who found it.
    pub proof: Option<Box<Proof>>,
}

/// What the judge found, and what explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// At most four operations.
    pub violation: judge::Violation,
    /// What members told by then.
    pub told: Vec<Told>,
}

/// How much went on in a simulation: one in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Steps of cores that something came of.
    pub steps: u64,
    /// Messages sent.
    pub messages: u64,
    /// Faults injected.
    pub faults: u64,
    /// Epochs opened.
    pub epochs: u64,
    /// Writes acknowledged, of either level.
    pub writes: u64,
    /// Quorum reads answered with a value.
    pub reads: u64,
    /// Operations whose outcome is unknown.
    pub unknown: u64,
    /// The highest seq known to be committed.
    pub committed: u64,
    /// Full resyncs installed.
    pub installs: u64,
    /// Of these, with entries discarded.
    pub rollbacks: u64,
    /// Violations found by the judge. By force, linearizability may break.
    pub harm: u64,
    /// Keys of which the judge could not say whether they are linearizable.
    pub undecided: u64,
    /// Torn ends of logs that a start has cut.
    pub tears: u64,
    /// Disks wiped.
    pub wipes: u64,
    /// Wiped members that earned their voice back.
    pub graduations: u64,
}

impl AddAssign for Counts {
    /// What went on in both.
    fn add_assign(&mut self, other: Self) {
        let mine = [
            &mut self.steps,
            &mut self.messages,
            &mut self.faults,
            &mut self.epochs,
            &mut self.writes,
            &mut self.reads,
            &mut self.unknown,
            &mut self.committed,
            &mut self.installs,
            &mut self.rollbacks,
            &mut self.harm,
            &mut self.undecided,
            &mut self.tears,
            &mut self.wipes,
            &mut self.graduations,
        ];
        let Self { steps, messages, faults, epochs, writes, reads, unknown, committed, .. } = other;
        let Self { installs, rollbacks, harm, undecided, tears, wipes, graduations, .. } = other;
        let more = [
            steps,
            messages,
            faults,
            epochs,
            writes,
            reads,
            unknown,
            committed,
            installs,
            rollbacks,
            harm,
            undecided,
            tears,
            wipes,
            graduations,
        ];
        mine.into_iter().zip(more).for_each(|(mine, more)| *mine += more);
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}", self.at.as_secs_f64(), self.what)
    }
}
