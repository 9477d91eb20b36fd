//! The core's two sides: what may happen to it, and what it wants done.
//!
//! # The driver's contract
//!
//! 1. Effects are carried out in the order in which they are returned, all of one step before the next input.
//! 2. [`Effect::Read`] is answered by [`Input::ReadDone`] before any other input, from the state that contains
//!    exactly what has been reported by [`Input::Persisted`] and [`Input::Installed`]. A quorum read's answer
//!    is one consistent state because of this.
//! 3. [`Effect::Disk`] goes through one queue to the disk, in order. Each job is answered when it is durable (in the
//!    sense of the durability mode), never before.
//! 4. [`Effect::Send`] may lose, delay or reorder; it must not corrupt or invent.
//! 5. A disk that fails to write or to sync ends the process. There is no input for it: whatever was not yet
//!    acknowledged stays so. A disk without room is not such a failure: what it was given waits, in order, and
//!    [`Input::Disk`] says when that begins and ends.
//! 6. Once a message of a member's newer process has been given to the core, no message of an older process of that
//!    member follows: what a process acknowledged before its disk was wiped or torn must not be heard after it has said
//!    so. (A node keeps this by its connections: the newer one wins, and nothing more of the older one counts.)

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::{
    Command, Damage, Entry, Epoch, Event, Lineage, Lookup, Message, NodeId, Position, Reply, SnapshotId,
};

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
        found: Lookup,
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
        /// The next records, in log order. None, and not `done`: the next is damaged; it is asked for again later.
        entries: Vec<Entry>,
        /// No record follows.
        done: bool,
    },
    /// Answers [`Effect::EntriesRead`].
    EntriesRead {
        /// From the effect.
        to: NodeId,
        /// From the effect.
        from: u64,
        /// What was found.
        found: EntriesFound,
    },
    /// Answers [`DiskJob::Cut`].
    LogCut {
        /// From the job: the name of the log from now on, whatever became of it.
        log: LogId,
        /// What became of it.
        outcome: CutOutcome,
    },
    /// Answers [`Effect::SnapshotRead`]: the state cannot be completed any more, since a damaged value of it has been
    /// superseded meanwhile. A new one can be opened.
    SnapshotLost {
        /// From the effect.
        id: SnapshotId,
    },
    /// A damaged value was found, or has become whole, or needless.
    Damage(DamageNews),
    /// Answers [`DiskJob::InstallChunk`]: written (not yet synced), so the next may come.
    ChunkStored {
        /// From the effect.
        id: SnapshotId,
    },
    /// The disk has no room (`full`), or has room again. Everything that it was given waits meanwhile.
    Disk {
        /// Which.
        full: bool,
    },
    /// Answers [`DiskJob::InstallCommit`]: the new state stands, atomically and durably.
    Installed {
        /// From the job.
        id: SnapshotId,
        /// From the job.
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
    /// Connect to a member now, if there is no connection, instead of when its turn comes. May be ignored.
    Dial {
        /// The member.
        to: NodeId,
    },
    /// Close the connection of a member that has said what cannot be: a number out of bounds. Nothing of it was taken.
    Reject {
        /// The member.
        from: NodeId,
        /// What it said, in words.
        reason: String,
    },
    /// Answer a client.
    Reply {
        /// From the input.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Have the disk do something. The jobs go through one queue, in order.
    Disk(DiskJob),
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
    /// Read durable entries of the log, for a member that is further behind than the backlog reaches. Answered by
    /// [`Input::EntriesRead`], from the same state as a lookup.
    EntriesRead {
        /// Whom they are for; named in the answer.
        to: NodeId,
        /// The seq of the first.
        from: u64,
        /// At most so many bytes of [`Entry::weight`], but at least one entry.
        bytes: usize,
    },
    /// Write the right value of this entry over the damaged one. Answered by [`Input::Damage`], now or later.
    Repair {
        /// The entry, as another member has it.
        entry: Entry,
    },
    /// Tell whoever watches.
    Event(Event),
}

/// What the disk tells of damaged values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageNews {
    /// The value of this version is not the one that was written.
    Found(Damage),
    /// It is whole again.
    Repaired(Position),
    /// What was offered for it is not the one that was written either.
    NotRepaired(Position),
    /// Nobody needs it any more: the key has another version, or the log was replaced.
    Gone(Position),
}

/// What a log holds from a seq on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntriesFound {
    /// Contiguous entries that begin there; at least one.
    Entries(Vec<Entry>),
    /// Not all of them: cleanup has dropped some, or the log came from elsewhere as a state.
    Gone,
    /// The first of them is damaged and waits to be repaired: ask again later.
    Damaged,
}

/// What became of a [`DiskJob::Cut`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOutcome {
    /// The log ends at the fork, durably. What was cut off is in this file; `None`: there was nothing after the fork.
    Done(Option<Rollback>),
    /// Nothing has changed: the fork is below what cleanup has dropped, or below the state that the log began with. A
    /// cut would uncover a key whose older value is gone.
    BelowCleanup,
}

/// Something that the core asks of the disk. Each job is answered when it is durable; what answers it is named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskJob {
    /// Append to the log; answered by [`Input::Persisted`].
    Append {
        /// The log. Entries for one that has been replaced are dropped.
        log: LogId,
        /// Contiguous entries that follow what was appended before.
        entries: Vec<Entry>,
    },
    /// Make a promise durable, whatever the durability mode; answered by [`Input::Saved`].
    Save {
        /// What to save.
        promise: Promise,
    },
    /// Cut the log back to `fork`, a position of it: the entries after it are written to `rollback/` and synced, the
    /// cut is named durably, then made and synced. Whatever of it a crash leaves undone, the next start does. Answered
    /// by [`Input::LogCut`]. Appends that name the log of before and come after this are dropped.
    Cut {
        /// The name of the log from now on.
        log: LogId,
        /// The last position that stays.
        fork: Position,
    },
    /// Begin to receive a state beside the present one. Discards any installation that was begun before.
    InstallBegin {
        /// Names the installation.
        id: SnapshotId,
    },
    /// Add records to the state being received; answered by [`Input::ChunkStored`].
    InstallChunk {
        /// Which; must have been begun.
        id: SnapshotId,
        /// Records, in log order.
        entries: Vec<Entry>,
    },
    /// Put the received state in place of the present one: atomically, durably, and only after the entries of
    /// the present log after `fork` have been written to `rollback/`. Answered by [`Input::Installed`].
    InstallCommit {
        /// Which; must have been begun.
        id: SnapshotId,
        /// The name of the new log. From now on only appends that name it count.
        log: LogId,
        /// Where it ends.
        at: Position,
        /// Its lineage up to there.
        lineage: Lineage,
        /// The last position that the present log shares with it.
        fork: Position,
    },
    /// Give up an installation, if it was begun.
    InstallAbort {
        /// Which.
        id: SnapshotId,
    },
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
    /// Whether the member has lost what it had acknowledged (its disk was wiped, or its log ended before the mark of what
    /// was synced) and has not yet earned its voice back.
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
