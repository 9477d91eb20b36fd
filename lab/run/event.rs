//! The lab's one stream of events: the primary record of a run (`events.jsonl`), and all that the screen knows.

use std::fmt;
use std::time::Duration;

use kvlab::judge::{Consistency, OpKind, Violation};
use kvlab::sim::{MemberEvent, MemberEventKind};
use kvlab::types::{Epoch, MemberVote, NodeCondition, NodeId, Quirks, Report, Vote};
use serde::{Deserialize, Serialize};

pub use super::verdict::{HarmVerdict, Losses, PromiseVerdict, Verdict};
use crate::action::{Action, SlowLink};

/// The version of the format of `events.jsonl`. 2: violations are events. 3: conditions of disks and clocks, links that
/// lose and repeat, runs that end by a fault of kvlab's own. Files of versions 1 and 2 are read as well.
pub const EVENTS_VERSION: u32 = 3;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Microseconds since the run began.
    pub t_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: LabEvent,
}

impl Stamped {
    /// An event, so long after the run began.
    pub fn at(t: Duration, event: LabEvent) -> Self {
        Self { t_us: micros(t), event }
    }

    /// Time since the run began.
    pub fn t(&self) -> Duration {
        Duration::from_micros(self.t_us)
    }
}

/// As a lab of real processes is told it.
impl From<MemberEvent> for Stamped {
    fn from(MemberEvent { at, node, kind }: MemberEvent) -> Self {
        let uptime_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let event = match kind {
            MemberEventKind::Event(event) => {
                LabEvent::Node { node, report: Report::Event { uptime_ms, event } }
            }
            MemberEventKind::Stopped => {
                LabEvent::Process { node, state: ProcessState::Stopped { how: "stopped".to_owned() } }
            }
            MemberEventKind::DiskFailed => LabEvent::Process {
                node,
                state: ProcessState::Died { how: "a sync of its disk failed".to_owned() },
            },
            MemberEventKind::Wiped => LabEvent::Damage { node, damage: Damage::Wiped },
        };
        Self::at(at, event)
    }
}

/// A time in microseconds, as events have it.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Something happened in the lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LabEvent {
    /// Always the first.
    Header(Header),
    /// A node's process changed its state.
    Process { node: NodeId, state: ProcessState },
    /// A node told its watcher something.
    Node { node: NodeId, report: Report },
    /// The lab's own connection to a node broke (`up: false`) or stands again. Not a fault of the links.
    Watch { node: NodeId, up: bool },
    /// A directed link changed.
    Link { from: NodeId, to: NodeId, state: LinkState },
    /// A condition of a node's disk or clock was set.
    Condition { node: NodeId, condition: NodeCondition },
    /// The lab did this to the data of a node whose process it had killed.
    Damage { node: NodeId, damage: Damage },
    /// Somebody did something; `error` says why it could not be done.
    Action { by: Actor, action: Action, error: Option<String> },
    /// A client operation ended. Background operations are sampled for the screen (all are in the history).
    Operation(Operation),
    /// Throughput and latency since the last of these, ten times a second.
    Load(LoadSample),
    /// The judge found that a promise is broken, by this proof. Told once, when it is found, and before the verdict that
    /// counts it; as many as the judge keeps.
    Violation(Box<Violation>),
    /// The verdict so far, whenever it has changed, at most once a frame.
    Verdict(Verdict),
    /// The scenario moved on.
    Scenario(ScenarioEvent),
    /// Anything else worth telling a person.
    Notice { level: Level, text: String },
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`EVENTS_VERSION`].
    pub version: u32,
    /// The program's version.
    pub kvlab: String,
    /// The seed of everything random in the lab.
    pub seed: u64,
    /// All members.
    pub nodes: Vec<NodeId>,
    /// Wall-clock start, seconds since 1970.
    pub started_unix_s: u64,
    /// The run's directory.
    pub run_dir: String,
    /// The mistakes that every node makes on purpose.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub quirks: Quirks,
    /// The scenario, if one is run.
    pub scenario: Option<ScenarioHeader>,
}

/// Which scenario is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioHeader {
    /// The file's stem: `split-brain`.
    pub name: String,
    /// As in the file.
    pub title: String,
    /// As in the file.
    pub episode: Option<String>,
    /// As in the file.
    pub story: Option<String>,
    /// CRC-32 of the file's bytes.
    pub crc32: u32,
    /// What each step says or does, in order.
    pub steps: Vec<String>,
}

/// A node process as its supervisor sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProcessState {
    /// Spawned; no ready line yet.
    Starting { pid: u32 },
    /// Ready.
    Running { pid: u32, client: String, peer: String },
    /// Stopped by SIGSTOP.
    Paused { pid: u32 },
    /// Ended because the lab ended it.
    Stopped { how: String },
    /// Ended by itself.
    Died { how: String },
}

/// A directed link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "link", rename_all = "kebab-case")]
pub enum LinkState {
    /// Passes everything.
    #[default]
    Up,
    /// Silence.
    Cut,
    /// Passes everything later, and maybe not everything, or some of it twice.
    Slow(SlowLink),
}

/// What was done to the data of a dead node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "damage", rename_all = "kebab-case")]
pub enum Damage {
    /// The power went. `cut`: what had not been synced; `None`: everything had been.
    PowerLost { cut: Option<Cut> },
    /// The last write was torn. `cut`: the torn part; `None`: there was nothing to tear.
    TailTorn { cut: Option<Cut> },
    /// Everything is gone, promises included.
    Wiped,
}

/// What was cut off a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The file, relative to the node's data.
    pub file: String,
    /// How many bytes it had.
    pub from: u64,
    /// How many it has now.
    pub to: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerLost { cut: Some(cut) } => {
                let lost = cut.from.saturating_sub(cut.to);
                write!(f, "the power took the {lost} bytes that were not synced: {cut}")
            }
            Self::PowerLost { cut: None } => f.write_str("the power took nothing: everything was synced"),
            Self::TailTorn { cut: Some(cut) } => {
                write!(f, "the last write is torn, one member failed: {cut}")
            }
            Self::TailTorn { cut: None } => f.write_str("nothing was written that could be torn"),
            Self::Wiped => f.write_str("the disk is empty, all promises forgotten: one member failed"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cut from {} to {} bytes", self.file, self.from, self.to)
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A key, or a command from another terminal.
    Person,
    /// A scenario's step, by its index from 1.
    Step(usize),
    /// The lab itself, while it settles or ends.
    Lab,
}

/// A client operation and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The history's `i` of its invoke.
    pub i: u64,
    /// Who asked for it: a person's and a step's operations are always shown.
    pub by: Option<Actor>,
    /// The home of its client.
    pub home: NodeId,
    /// The node that answered last.
    pub node: Option<NodeId>,
    /// What it did.
    pub op: OpKind,
    /// At which level.
    pub consistency: Consistency,
    /// The key.
    pub key: String,
    /// The value written or seen.
    pub value: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The entry written or read.
    pub epoch: Option<Epoch>,
    /// The entry written or read.
    pub seq: Option<u64>,
    /// Each member's vote, for quorum operations.
    pub votes: Vec<MemberVote>,
    /// From intended send to answer, in microseconds.
    pub took_us: u64,
    /// Eventual reads: how old what it saw was, if it was stale.
    pub stale_ms: Option<u64>,
}

/// The smallest majority of so many members.
pub fn quorum(members: usize) -> usize {
    members / 2 + 1
}

impl Operation {
    /// The members that stood behind it when it was answered.
    pub fn acks(&self) -> Vec<NodeId> {
        self.votes.iter().filter(|vote| vote.vote == Vote::Ack).map(|vote| vote.node).collect()
    }

    /// Whether it succeeded at the quorum level, and fewer members than a quorum stood behind it. Who asks a quorum has
    /// something to say of every member; who says nothing of anyone has asked nobody.
    pub fn lacks_quorum(&self) -> bool {
        let succeeded = self.outcome == Outcome::Ok && self.consistency == Consistency::Quorum;
        succeeded && self.acks().len() < quorum(self.votes.len())
    }
}

/// How a client operation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "kebab-case")]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It certainly did not.
    Failed(String),
    /// It may have.
    Unknown(String),
}

/// Throughput and latency over one sampling interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadSample {
    /// Whether background load is on.
    pub on: bool,
    /// Its target, operations a second.
    pub rate: u32,
    /// Length of the interval, in microseconds.
    pub interval_us: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that failed, definitely.
    pub failed: u64,
    /// Operations of unknown outcome.
    pub unknown: u64,
    /// Median latency of the successes over the last second, in microseconds; 0 if there were none.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

/// The scenario moved on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scenario", rename_all = "kebab-case")]
pub enum ScenarioEvent {
    /// Step `index` (from 1) is being waited for, or carried out until `until_us` at the latest.
    Step { index: usize, say: Option<String>, since_us: u64, until_us: Option<u64> },
    /// Step `index` is done.
    StepDone { index: usize },
    /// Step `index` failed; the run goes on to settle.
    StepFailed { index: usize, why: String },
    /// Healing everything and demanding convergence.
    Settling { until_us: u64 },
    /// Reading the ledger back.
    ReadingBack { done: u64, total: u64 },
    /// One expectation was compared.
    Expectation(Expectation),
    /// The verdict.
    Finished { outcome: RunOutcome, why: Option<String> },
}

/// One line of a scenario's `[expect]`, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// As in the file: `promise.linearizable`.
    pub name: String,
    /// As in the file: `true`, `>0`.
    pub expected: String,
    /// What was measured.
    pub actual: String,
    /// Whether they agree; `None`: cannot be decided.
    pub held: Option<bool>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Exit 0.
    AsExpected,
    /// Exit 1.
    Violated,
    /// Exit 3.
    Undecided,
    /// Exit 4: a fault of kvlab's own, which says nothing of the store.
    Panicked,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the curious.
    Debug,
    /// For everyone.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something is broken.
    Error,
}
