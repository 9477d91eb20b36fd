//! The core's two sides: what may happen to it, and what it wants done.
//!
//! # The driver's contract
//!
//! 1. Effects are carried out in the order in which they are returned, all of one step before the next input.
//! 2. [`Effect::Read`] is answered by [`Input::ReadDone`] before any other input, from the state that contains
//!    exactly what has been reported by [`Input::Persisted`] and [`Input::Installed`]. A quorum read's answer
//!    is one consistent state because of this.
//! 3. [`Effect::Append`], [`Effect::Save`] and the installation effects go through one queue to the disk, in
//!    order. Each is answered when it is durable (in the sense of the durability mode), never before.
//! 4. [`Effect::Send`] may lose, delay or reorder; it must not corrupt or invent.
//! 5. A disk that fails to write or to sync ends the process. There is no input for it: whatever was not yet
//!    acknowledged stays so. A disk without room is not such a failure: what it was given waits, in order, and
//!    [`Input::Disk`] says when that begins and ends.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::message::{Ballot, Found, Message, SnapshotId};
use super::types::{Entry, Epoch, Lineage, NodeId, Op, Position};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; due at [`Core::deadline`](super::Core::deadline), harmless at any other time.
    Tick,
    /// A client asks. Exactly one [`Effect::Reply`] with this request follows, now or later.
    Request {
        /// Names the request towards the driver.
        request: RequestId,
        /// What it asks.
        command: Command,
    },
    /// A message from another member arrived.
    Peer {
        /// Who sent it, as established by the connection.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// The connection to a member came up (`true`) or broke (`false`); for display and for vote reports only.
    Link {
        /// The member.
        to: NodeId,
        /// Whether it stands.
        up: bool,
    },
    /// Entries are durable.
    Persisted {
        /// The log that they belong to; of a log since replaced, it counts for nothing.
        log: LogId,
        /// All entries up to this seq.
        through: u64,
    },
    /// A promise is durable.
    Saved {
        /// As saved.
        promise: Promise,
    },
    /// Answers [`Effect::Read`].
    ReadDone {
        /// From the effect.
        token: ReadToken,
        /// What the durable state holds.
        found: Found,
    },
    /// Answers [`Effect::SnapshotOpen`].
    SnapshotOpened {
        /// From the effect.
        id: SnapshotId,
        /// The durable end of the log when it was opened.
        at: Position,
        /// How many bytes will come.
        bytes_total: u64,
    },
    /// Answers [`Effect::SnapshotRead`].
    SnapshotRead {
        /// From the effect.
        id: SnapshotId,
        /// The next records, in log order.
        entries: Vec<Entry>,
        /// No record follows.
        done: bool,
    },
    /// Answers [`Effect::InstallChunk`]: written (not yet synced), so the next may come.
    ChunkStored {
        /// From the effect.
        id: SnapshotId,
    },
    /// The disk has no room (`full`), or has room again. Everything that it was given waits meanwhile.
    Disk {
        /// Which.
        full: bool,
    },
    /// Answers [`Effect::InstallCommit`]: the new state stands, atomically and durably.
    Installed {
        /// From the effect.
        id: SnapshotId,
        /// From the effect.
        log: LogId,
        /// How many entries of the old log were written to `rollback/` first, and where.
        rollback: Option<Rollback>,
    },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send to a member, best effort.
    Send {
        /// The member.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Answer a client.
    Reply {
        /// From the input.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Append to the log.
    Append {
        /// The log, to be named in [`Input::Persisted`].
        log: LogId,
        /// Contiguous entries that follow what was appended before.
        entries: Vec<Entry>,
    },
    /// Make a promise durable (always synced, whatever the durability mode).
    Save {
        /// What to save.
        promise: Promise,
    },
    /// Look a key up in the durable state, now.
    Read {
        /// To be named in the answer.
        token: ReadToken,
        /// The key.
        key: Bytes,
    },
    /// Open a view of the durable state as of now, to be streamed.
    SnapshotOpen {
        /// To be named from now on.
        id: SnapshotId,
    },
    /// Read the next chunk, of at most [`CHUNK_BYTES`] or one record.
    SnapshotRead {
        /// Which.
        id: SnapshotId,
    },
    /// Forget the view.
    SnapshotClose {
        /// Which.
        id: SnapshotId,
    },
    /// Begin to receive a state beside the present one. Discards any installation that was begun before.
    InstallBegin {
        /// Names the installation.
        id: SnapshotId,
    },
    /// Add records to the state being received.
    InstallChunk {
        /// Which.
        id: SnapshotId,
        /// Records, in log order.
        entries: Vec<Entry>,
    },
    /// Put the received state in place of the present one: atomically, durably, and only after the entries of
    /// the present log after `fork` have been written to `rollback/`.
    InstallCommit {
        /// Which.
        id: SnapshotId,
        /// The name of the new log.
        log: LogId,
        /// Where it ends.
        at: Position,
        /// Its lineage.
        lineage: Lineage,
        /// The last position that the present log shares with it.
        fork: Position,
    },
    /// Give up an installation that was begun.
    InstallAbort {
        /// Which.
        id: SnapshotId,
    },
    /// Tell whoever watches.
    Event(Event),
}

/// The largest chunk of a full resync, in bytes of [`Entry::weight`] (a single larger record goes alone).
pub const CHUNK_BYTES: usize = 256 * 1024;

/// A client's request, named by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A lookup, named by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// A log, named by the core: a full resync starts a new one. Lives as long as the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogId(pub u64);

/// What a member must remember across restarts besides its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The highest epoch promised, by a vote or by following.
    pub epoch: Epoch,
    /// Whether the member's disk was wiped and it has not yet earned its voice back.
    pub learner: bool,
}

/// Entries that a full resync discarded, and the file that keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// How many.
    pub entries: u64,
    /// Path of the file, relative to the data directory.
    pub file: String,
}

/// What a client may ask of a node's core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Set a key, or delete it.
    Write {
        /// Put or Del; never a no-op.
        op: Op,
        /// When to acknowledge.
        level: WriteLevel,
        /// How long a quorum write may wait before its outcome is unknown.
        timeout: Duration,
    },
    /// Read a key.
    Read {
        /// The key.
        key: Bytes,
        /// From where.
        level: ReadLevel,
        /// How long a quorum read may look for a quorum.
        timeout: Duration,
    },
    /// Make this node the primary.
    Promote {
        /// Without votes.
        force: bool,
    },
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteLevel {
    /// When it is durable on the primary.
    #[default]
    Async,
    /// When it is committed.
    Quorum,
}

/// Where a read is answered from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadLevel {
    /// This node's durable state, however old.
    #[default]
    Eventual,
    /// A quorum's: linearizable with quorum writes.
    Quorum,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The write is acknowledged at the level asked for.
    Written {
        /// Its position.
        at: Position,
        /// Who had it by then (empty for async writes).
        votes: Vec<MemberVote>,
    },
    /// The read found this.
    Value {
        /// Value and version.
        found: Found,
        /// The epoch in which it was answered.
        epoch: Epoch,
        /// Who answered (empty for eventual reads).
        votes: Vec<MemberVote>,
    },
    /// This node is now the primary.
    Promoted {
        /// Its new epoch.
        epoch: Epoch,
        /// What each member said (empty by force).
        ballots: Vec<(NodeId, Option<Ballot>)>,
    },
    /// Not done, or not known to be done.
    Failed(Failure),
}

/// Why a request got no success; [`Failure::is_definite`] says whether it may have happened all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// A write at a node that is not the primary.
    #[error("read-only: {}", primary_is(*primary))]
    ReadOnly {
        /// The primary that this node follows, if any.
        primary: Option<NodeId>,
    },
    /// An eventual read at a replica that is too far behind.
    #[error("too stale ({lag} operations behind, {}): {}", last_heard(*age), primary_is(*primary))]
    TooStale {
        /// The primary that this node follows, if any.
        primary: Option<NodeId>,
        /// Time since the last heartbeat; `None` if there never was one.
        age: Option<Duration>,
        /// Operations behind the primary, as of the last heartbeat.
        lag: u64,
    },
    /// The write is in the primary's log, but was not committed in time. It may yet be.
    #[error("outcome unknown: {at} was not committed in time")]
    WriteTimeout {
        /// Where it stands.
        at: Position,
        /// Who had it by then.
        votes: Vec<MemberVote>,
    },
    /// The primary was deposed while the write waited. It may or may not survive.
    #[error("outcome unknown: {at} was waiting when epoch {by} took over")]
    Deposed {
        /// Where it stood.
        at: Position,
        /// The epoch that took over.
        by: Epoch,
        /// Who had it by then.
        votes: Vec<MemberVote>,
    },
    /// No quorum agreed on one epoch before the deadline of a quorum read.
    #[error("no quorum answered in one epoch")]
    NoQuorum {
        /// Who answered in the last round.
        votes: Vec<MemberVote>,
    },
    /// The promotion won no majority; nothing has changed.
    #[error("promotion refused: {}", ballots_say(ballots))]
    PromotionRefused {
        /// What each member said; `None`: nothing.
        ballots: Vec<(NodeId, Option<Ballot>)>,
    },
    /// Another promotion of this node is under way, or too many requests are waiting.
    #[error("busy: {0}")]
    Busy(String),
    /// The request breaks a limit or makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The node is shutting down and had not begun.
    #[error("the node is stopping")]
    Stopping,
    /// The primary's disk has no room. Nothing of the write was begun. Reads go on.
    #[error("the primary's disk is full: it takes no writes until there is room")]
    DiskFull,
}

/// What one member had to say about one quorum operation when it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberVote {
    /// The member.
    pub node: NodeId,
    /// What it said.
    pub vote: Vote,
    /// When it said so, in microseconds since the operation began; `None` if it said nothing.
    pub after_us: Option<u64>,
}

/// See [`MemberVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vote {
    /// It has the entry, durably; or its answer counted for the read.
    Ack,
    /// It refused the epoch; or its answer did not agree with the quorum's.
    Nack,
    /// It had not answered when the operation succeeded without it.
    Pending,
    /// It had not answered at the deadline.
    Timeout,
    /// It had not answered, and has not been heard from for [`UNREACHABLE_AFTER`](super::UNREACHABLE_AFTER).
    Unreachable,
}

impl Failure {
    /// Whether this certainly did not happen. An indefinite failure of a write may have happened, or may yet.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::WriteTimeout { .. } | Self::Deposed { .. })
    }

    /// The primary to turn to instead, if this failure names one.
    pub fn primary(&self) -> Option<NodeId> {
        match self {
            Self::ReadOnly { primary } | Self::TooStale { primary, .. } => *primary,
            _ => None,
        }
    }
}

fn primary_is(primary: Option<NodeId>) -> String {
    primary.map_or_else(|| "the primary is not known".to_owned(), |n| format!("the primary is {n}"))
}

fn last_heard(age: Option<Duration>) -> String {
    age.map_or_else(|| "never heard".to_owned(), |a| format!("last heard {} ms ago", a.as_millis()))
}

fn ballots_say(ballots: &[(NodeId, Option<Ballot>)]) -> String {
    let says = |(node, ballot): &(NodeId, Option<Ballot>)| match ballot {
        Some(ballot @ Ballot::Ahead { .. }) => ballot.to_string(),
        Some(ballot) => format!("{node} {ballot}"),
        None => format!("{node} did not answer"),
    };
    ballots.iter().map(says).collect::<Vec<_>>().join("; ")
}
