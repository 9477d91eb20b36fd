//! The settings of a simulation: what may happen in it.

use std::time::Duration;

use crate::storage::Durability;
use crate::types::{Quirk, Quirks};

/// What [`FaultMix::Relapse`] is to show takes five promotions, one after the other.
const RELAPSES_FOR: Duration = Duration::from_secs(12);

/// Which faults there are, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultMix {
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
pub struct SimOptions {
    /// How many members, 1 to 9; `None`: 3 or 5, sometimes 2 or 4.
    pub nodes: Option<u8>,
    /// How long faults and clients go on, in simulated time, before everything is healed.
    pub chaos: Duration,
    /// Operators also promote by force. Committed writes may then be lost, and their checks rest.
    pub force: bool,
    /// Which faults there are.
    pub mix: FaultMix,
    /// Disks are also wiped or torn, never those of more than a minority at a time.
    pub wipes: bool,
    /// When a write counts as durable. In the modes that do not sync each batch, processes are killed but the power
    /// does not go: what is promised then is what is promised of `always`.
    pub durability: Durability,
    /// The mistakes that every member makes on purpose.
    pub quirks: Quirks,
    /// Only the judge decides, by what the clients saw: what the oracle finds breaks nothing. Then a cluster that does
    /// not come to rest breaks nothing either.
    pub judge_only: bool,
    /// Record every event.
    pub trace: bool,
    /// Compare storage with a model of it, at every job and after every crash.
    #[cfg(test)]
    pub(super) mirror: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            nodes: None,
            chaos: Duration::from_secs(6),
            force: false,
            mix: FaultMix::Everything,
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

impl FaultMix {
    /// The faults that show a quirk best. The mistakes around votes and lineages show between two primaries, so there
    /// the primary changes often.
    pub const fn of(quirk: Quirk) -> Self {
        match quirk {
            Quirk::NoFence | Quirk::VoteAmnesia | Quirk::NoLineageCheck => Self::Contest,
            Quirk::CountOldEpochs => Self::Relapse,
            _ => Self::Everything,
        }
    }
}

impl SimOptions {
    /// What shows these mistakes by what the clients see alone: three members, the faults that show the first of them
    /// best, and disks that are not wiped or torn unless that is what it takes. Everything else is drawn from the seed.
    pub fn for_quirks(quirks: Quirks) -> Self {
        let mix = quirks.iter().next().map_or(FaultMix::Everything, FaultMix::of);
        let chaos = if mix == FaultMix::Relapse { RELAPSES_FOR } else { Self::default().chaos };
        Self {
            nodes: Some(3),
            chaos,
            wipes: quirks.has(Quirk::NoLearners),
            mix,
            quirks,
            judge_only: true,
            ..Self::default()
        }
    }
}
