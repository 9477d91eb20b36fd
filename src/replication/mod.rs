//! The replication core: one primary, its replicas, and what happens when they disagree about who that is.
//!
//! A pure state machine: [`Core::step`] takes the time and one [`Input`] and returns [`Effect`]s, to be carried
//! out in order. It has no I/O, no clock and no randomness of its own, so the same code runs in a node process,
//! in the golden scripts beside it, and a thousand times over in the simulator. The module `io` documents the
//! driver's contract; `docs/guarantees.md` links every promise below to the script that shows it.
//!
//! # Words
//!
//! Members are fixed at start. A *quorum* is a majority of the configured members, never of those that happen
//! to be connected. An [`Epoch`] says who claimed primacy and when (`3@n2`). An [`Entry`] has a [`Position`]:
//! epoch and seq (`3@n2/412`). A log's [`Lineage`] is its list of epochs with the first seq of each; log A is a
//! prefix of log B exactly if A's last position lies on B's lineage, otherwise they have *diverged*. A member
//! *promises* an epoch by voting in it or by following its primary; from that moment nothing of a lower epoch
//! is accepted or acknowledged, and before anyone is told, the promise is on disk.
//!
//! # The life of a write
//!
//! 1. A client's write reaches the primary, which gives it the next seq in its epoch, hands it to its disk and
//!    sends it to every replica that is in step, each within its window (`primary.rs`).
//! 2. A replica takes entries that follow its own end on the primary's lineage, hands them to its disk, and
//!    acknowledges what is both *verified* against this primary and durable (`replica.rs`).
//! 3. An *async* write is acknowledged when the primary's own disk has it. A *quorum* write is acknowledged when
//!    it is *committed*: durable on a quorum, counted only for entries of the primary's own epoch; all before
//!    them are committed with them. This is Raft's rule (§5.4.2), and the no-op that opens every epoch is
//!    what makes it live.
//! 4. A quorum write that is not committed in time, or whose primary is deposed, is *unknown*: it is in a log,
//!    and may survive. It is never called failed.
//!
//! # Who is primary
//!
//! Nobody becomes primary by itself, but for two: the configured first primary of a cluster without a history,
//! and a primary that has restarted, which must not go on in the epoch that it opened before. Both ask for votes
//! like anyone (`campaign.rs`).
//!
//! A safe promotion asks first whether the others *would* vote (nothing changes anywhere) and only with a
//! majority of yeses for binding votes, in an epoch above all that it has heard of. A member votes once per epoch
//! number, only for a candidate whose log ends no earlier than its own, and says why not otherwise. A promotion
//! by force asks nobody; that is how two primaries come about, and writes are lost.
//!
//! A higher epoch always wins. A primary that sees one steps down; every member follows the primary of the
//! highest epoch that it has heard of. A primary that is refused because of a vote whose epoch never opened asks
//! for votes again, in a higher one. So nobody has to be told whom to follow; an operator may tell a member all
//! the same (`follow.rs`), which hurries it and never makes it go back on a promise.
//!
//! # Catching up
//!
//! A replica that is not in step names its end (`Sync`). If that is on the primary's lineage, the missing entries follow,
//! from the backlog or read back from the primary's own log (a *partial resync*). If not, the primary names its lineage
//! (`Diverged`), and the replica cuts its log back to the fork (`cut.rs`) and asks again. Only where cleanup has dropped
//! what either would need, the whole state is sent (`resync.rs`, `install.rs`): one chunk at a time, each acknowledged
//! when the replica has written it, between heartbeats; put in place atomically. Entries that only the replica had go to
//! a rollback file first, whichever way they go.
//!
//! # Learners
//!
//! A member that has lost what it had acknowledged (its disk was wiped, or its log ended before the mark of what was
//! synced) is a *learner*: it follows, and neither votes nor counts nor stands. Its primary appends a *barrier*, and tells
//! the learner that it counts again when a quorum of others holds that entry and the learner does too (`learner.rs` has
//! the reason). Where learners leave no quorum, an operator decides: by force, a learner may lead.
//!
//! # Reads
//!
//! An *eventual* read is answered from the node's durable state, unless it has not heard a primary for too long
//! or is too many operations behind. A *quorum* read is linearizable with quorum writes, from any node
//! (`quorum_read.rs` has the rule and the reason).
//!
//! A value that is damaged on a member's disk is asked for from the others (`repair.rs`).
//!
//! # Quirks
//!
//! A member can be told to make one of nine famous mistakes ([`Quirk`]); it is not told to unless a person wants to
//! see what comes of it. Each is a branch marked by its name, and without it the code is as if it were not there.
//!
//! # Not handled
//!
//! * Membership does not change. A member that is gone for good still counts.
//! * There is no automatic failover: an isolated primary goes on taking async writes until it hears better.
//! * Members are trusted not to lie. Messages may be lost, repeated, delayed and reordered, not forged.
//! * A member whose disk is wiped must be known to have been wiped ([`Recovered::wiped`]), and one whose log was torn is
//!   known by its mark; a disk that silently returns to an older state breaks the promises, as in any such protocol.
//!
//! [`Epoch`]: crate::types::Epoch
//! [`Entry`]: crate::types::Entry
//! [`Position`]: crate::types::Position
//! [`Lineage`]: crate::types::Lineage
//! [`Quirk`]: crate::types::Quirk

mod backlog;
mod campaign;
mod config;
mod core;
mod cut;
mod follow;
mod install;
mod io;
mod learner;
mod log;
mod primary;
mod progress;
mod quorum;
mod quorum_read;
mod repair;
mod replica;
mod resync;
mod status;
#[cfg(test)]
#[path = "tests/scripts.rs"]
mod tests;

pub use self::config::*;
pub use self::core::Core;
pub use self::io::*;
