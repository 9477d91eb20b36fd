//! How a simulation went: the violation that ended it, if any, and how much went on.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use super::member_event::MemberEvent;
use crate::judge;

/// How the simulation of one seed went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedOutcome {
    /// What decided everything.
    pub seed: u64,
    /// The first promise that was broken, if any. It ended the simulation.
    pub violation: Option<SeedViolation>,
    /// The panic of the core, of storage or of the simulator that ended it, if any: a fault of the program, which says
    /// nothing of the promises.
    pub panic: Option<SeedPanic>,
    /// How much went on.
    pub counts: Counts,
    /// One line for each event, if asked for.
    pub trace: Vec<String>,
}

/// A panic in a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedPanic {
    /// Simulated time.
    pub at: Duration,
    /// What it said.
    pub message: String,
}

/// A promise that was broken in a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedViolation {
    /// Simulated time.
    pub at: Duration,
    /// What was broken, in words.
    pub what: String,
    /// The judge's proof, if it was the judge who found it.
    pub finding: Option<Box<JudgeFinding>>,
}

/// What the judge found, with what explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeFinding {
    /// At most four operations.
    pub violation: judge::Violation,
    /// What had happened to the members by then.
    pub member_events: Vec<MemberEvent>,
}

impl fmt::Display for SeedViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for SeedPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}", self.at.as_secs_f64(), self.message)
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $count:ident),* $(,)?) => {
        /// How much went on in a simulation: one in which nothing happens proves nothing.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $count: u64,)*
        }

        impl AddAssign for Counts {
            /// What went on in both.
            fn add_assign(&mut self, other: Self) {
                $(self.$count += other.$count;)*
            }
        }
    };
}

counts! {
    /// Steps of cores that something came of.
    steps,
    /// Messages sent.
    messages,
    /// Faults injected.
    faults,
    /// Epochs opened.
    epochs,
    /// Writes acknowledged, of either level.
    writes,
    /// Quorum reads answered with a value.
    reads,
    /// Operations whose outcome is unknown.
    unknown,
    /// The highest seq known to be committed.
    committed,
    /// Full resyncs installed.
    installs,
    /// Logs cut back to a fork.
    cuts,
    /// Of both, with entries discarded.
    rollbacks,
    /// Violations found by the judge. After a forced promotion, linearizability may break.
    harm,
    /// Keys of which the judge could not say whether they are linearizable.
    undecided,
    /// Torn ends of logs that a start has cut.
    tears,
    /// Logs torn by a disk that broke its word.
    torn,
    /// Values that have rotted on a disk.
    rots,
    /// Damaged values that got their right ones back from another member.
    repairs,
    /// Disks wiped.
    wipes,
    /// Syncs that failed.
    failed_syncs,
    /// Learners that count in quorums again.
    graduations,
}
