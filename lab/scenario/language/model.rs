//! A scenario that has been validated: whatever is in here makes sense, on its own and together.

use std::time::Duration;

use kvlab::types::{NodeCondition, ReadLevel, WriteLevel};

use super::measure::Expect;
use super::words::{Comparison, Target};
use crate::action::SlowLink;
use crate::engine::NodeSettings;
use crate::workload::WorkloadOptions;

/// At most this many steps.
pub const STEPS_MAX: usize = 200;
/// How long a `wait` waits unless it says `within`.
pub const WITHIN_DEFAULT: Duration = Duration::from_secs(10);
/// How long settling may take unless the scenario says otherwise.
pub const SETTLE_DEFAULT: Duration = Duration::from_secs(10);

/// One episode: a cluster, its load, what happens to it, and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's stem: `split-brain`.
    pub name: String,
    /// One line.
    pub title: String,
    /// The episode of the store's story: `015`.
    pub episode: Option<String>,
    /// A sentence or two.
    pub story: Option<String>,
    /// The file as it was read.
    pub source: String,
    /// What is started.
    pub cluster: ClusterPlan,
    /// `[workload]`: what loads it, if anything does. Its seed is chosen when it is run.
    pub workload: Option<WorkloadOptions>,
    /// What happens, in order; at least one.
    pub steps: Vec<Step>,
    /// The limit of settling; `None`: the run ends without it.
    pub settle: Option<Duration>,
    /// What is expected, in the order of the file.
    pub expect: Vec<Expect>,
}

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterPlan {
    /// 1 to 9.
    pub nodes: u8,
    /// Of every node.
    pub settings: NodeSettings,
}

/// `[[step]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it begins.
    pub start: Start,
    /// What is told when it begins.
    pub say: Option<String>,
    /// What is done; `None`: it only says something.
    pub act: Option<Act>,
}

/// When a step begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// When the step before has ended.
    Now,
    /// So long after the start of the run; at once if that has passed.
    At(Duration),
    /// So long after the step before has ended.
    After(Duration),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Cut all links between groups.
    Partition(Vec<Vec<Target>>),
    /// Cut links by a pattern.
    Shape(Shape),
    /// Cut all links of members, both ways.
    Isolate(Vec<Target>),
    /// Cut links from each to each.
    Cut(Pairs),
    /// Slow links down, or have them lose or repeat.
    Slow {
        /// Which.
        links: WhichLinks,
        /// What they do to what is sent.
        how: SlowLink,
    },
    /// Break the connections over links, once.
    Reset(WhichLinks),
    /// Heal links from each to each.
    HealLinks(Pairs),
    /// Heal all links of members.
    Heal(Vec<Target>),
    /// Heal every link.
    HealAll,
    /// Do something to processes.
    Process(ProcessAction, Vec<Target>),
    /// Set a condition of the disks or clocks of members.
    SetCondition(NodeCondition, Vec<Target>),
    /// Ask a member to become primary.
    Promote {
        /// Whom.
        node: Target,
        /// Without votes.
        force: bool,
        /// How it should end.
        outcome: Wanted,
    },
    /// Tell a member to turn to a primary, now.
    Follow {
        /// Whom.
        node: Target,
        /// Whom it is to follow.
        primary: Target,
        /// How it should end.
        outcome: Wanted,
    },
    /// A single client operation at a member, in its zone.
    Operation {
        /// Where.
        node: Target,
        /// What.
        op: StepOp,
        /// How it should end.
        outcome: Wanted,
    },
    /// Switch the load.
    Load {
        /// On or off.
        on: bool,
        /// At a new rate.
        rate: Option<u32>,
    },
    /// Go on when all conditions hold at once.
    Wait {
        /// What must hold.
        conditions: Vec<Condition>,
        /// How long at most.
        within: Duration,
    },
    /// All conditions must hold now.
    Expect(Vec<Condition>),
}

/// `partition = "…"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The primary on one side, everyone else on the other.
    IsolatePrimary,
    /// Two halves; the primary is in the smaller one if they differ.
    Halves,
    /// Every member reaches a majority, and no two the same one.
    MajoritiesRing,
    /// Two halves joined by one member only.
    Bridge,
}

/// Directed links from each of some to each of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// The senders.
    pub from: Vec<Target>,
    /// The receivers.
    pub to: Vec<Target>,
    /// Also the links back.
    pub both_ways: bool,
}

/// Which links are slowed down, or reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichLinks {
    /// All links of these, both ways.
    Of(Vec<Target>),
    /// Some directed ones.
    Between(Pairs),
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessAction {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Term,
    /// SIGKILL, and its log loses what was not synced.
    PowerLoss,
    /// SIGKILL, and its last write is torn.
    TearTail,
    /// SIGKILL, and its data is gone.
    Wipe,
    /// Start it again.
    Restart,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
    /// Have it drop from its disk what nobody needs.
    Cleanup,
}

/// A single client operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOp {
    /// Write.
    Put {
        /// The key.
        key: String,
        /// The value; `None`: a fresh one.
        value: Option<String>,
        /// The promise asked for.
        level: WriteLevel,
    },
    /// Read.
    Get {
        /// The key.
        key: String,
        /// From where.
        level: ReadLevel,
        /// What must be found.
        finds: Finds,
    },
    /// Remove.
    Del {
        /// The key.
        key: String,
        /// The promise asked for.
        level: WriteLevel,
    },
}

/// What a `get` must find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Whatever there is.
    Anything,
    /// This value.
    Value(String),
    /// No such key.
    Nothing,
}

/// How an operation should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Well.
    Ok,
    /// It certainly did not happen.
    Failed,
    /// Nobody can say whether it happened.
    Unknown,
    /// Failed or unknown.
    NotOk,
    /// Any of these.
    Any,
}

/// What a `wait` waits for and an `expect` demands.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// So many running members say that they are primary.
    Primaries(Comparison),
    /// This member is the primary of the highest epoch.
    Primary(Target),
    /// One primary, and all running members follow it and have what it had when that began.
    Converged,
    /// These have what the primary had when the step began.
    CaughtUp(Vec<Target>),
    /// These refuse eventual reads.
    Stale(Vec<Target>),
    /// These serve eventual reads.
    Fresh(Vec<Target>),
    /// So many operations behind the primary.
    Lag(Target, Comparison),
    /// The last seq of the log.
    Seq(Target, Comparison),
    /// The state of the process.
    State(Vec<Target>, StateWord),
    /// So many replicas were brought up to date from the backlog, by running members since they started.
    PartialResyncs(Comparison),
    /// So many replicas were sent the whole state, by running members since they started.
    FullResyncs(Comparison),
    /// Something measured by the judge.
    Measured(Expect),
}

/// The state of a process, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateWord {
    /// Spawned, not ready.
    Starting,
    /// Ready.
    Running,
    /// Stopped by SIGSTOP.
    Paused,
    /// Ended by the lab.
    Stopped,
    /// Ended by itself.
    Died,
}

impl Scenario {
    /// The load of a run with this seed.
    pub fn load(&self, seed: u64) -> WorkloadOptions {
        WorkloadOptions { seed, ..self.workload.clone().unwrap_or_else(WorkloadOptions::none) }
    }

    /// CRC-32 of the file.
    pub fn crc32(&self) -> u32 {
        crc32fast::hash(self.source.as_bytes())
    }

    /// What each step says or does, in order.
    pub fn outline(&self) -> Vec<String> {
        self.steps.iter().map(Step::line).collect()
    }

    /// When each step can begin at the earliest, and, last, when the steps can be over: waits and operations
    /// counted as nothing.
    pub fn earliest(&self) -> Vec<Duration> {
        let mut clock = Duration::ZERO;
        let mut times: Vec<Duration> = self
            .steps
            .iter()
            .map(|step| {
                clock = match step.start {
                    Start::Now => clock,
                    Start::At(at) => clock.max(at),
                    Start::After(after) => clock + after,
                };
                clock
            })
            .collect();
        times.push(clock);
        times
    }

    /// How long a run takes, roughly: the written times, a second for each wait, two for settling.
    pub fn estimate(&self) -> Duration {
        let written = self.earliest().last().copied().unwrap_or_default();
        let waits = self.steps.iter().filter(|step| matches!(step.act, Some(Act::Wait { .. }))).count();
        let settling = if self.settle.is_some() { 2 } else { 0 };
        written + Duration::from_secs(waits as u64 + settling)
    }
}

impl Start {
    /// Whether there is a time to wait for.
    pub fn is_later(self) -> bool {
        self != Self::Now
    }
}

impl Step {
    /// What it says, or else what it does.
    pub fn line(&self) -> String {
        self.say.clone().or_else(|| self.act.as_ref().map(Act::to_string)).unwrap_or_default()
    }
}

impl Wanted {
    /// Every word with its meaning.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("ok", Self::Ok),
        ("failed", Self::Failed),
        ("unknown", Self::Unknown),
        ("not-ok", Self::NotOk),
        ("any", Self::Any),
    ];
}

impl Shape {
    /// Every word with its meaning.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("isolate-primary", Self::IsolatePrimary),
        ("halves", Self::Halves),
        ("majorities-ring", Self::MajoritiesRing),
        ("bridge", Self::Bridge),
    ];
}

impl StateWord {
    /// Every word with its meaning.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("starting", Self::Starting),
        ("running", Self::Running),
        ("paused", Self::Paused),
        ("stopped", Self::Stopped),
        ("died", Self::Died),
    ];
}
