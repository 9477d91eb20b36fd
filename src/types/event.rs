//! What the core tells whoever watches: every change of state that a person would want to see.

use serde::{Deserialize, Serialize};

use super::position::{Epoch, NodeId, Position};
use super::vote::Ballot;

/// A change of state, as the core saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// This node asks for votes.
    Campaign {
        /// The epoch that it claims.
        epoch: Epoch,
        /// Only whether they would.
        pre: bool,
        /// Asked for by an operator.
        operator: bool,
    },
    /// A campaign ended without a majority.
    CampaignLost {
        /// The epoch that it claimed.
        epoch: Epoch,
        /// What each member said; `None`: nothing.
        ballots: Vec<(NodeId, Option<Ballot>)>,
    },
    /// This node is primary of a new epoch.
    EpochOpened {
        /// The epoch.
        epoch: Epoch,
        /// Without votes.
        forced: bool,
        /// Who voted for it.
        voters: Vec<NodeId>,
    },
    /// The epoch's opening no-op is committed, and with it everything before.
    EpochEstablished {
        /// The epoch.
        epoch: Epoch,
    },
    /// This node was primary and is no more.
    SteppedDown {
        /// Its epoch.
        epoch: Epoch,
        /// The epoch that ended it.
        by: Epoch,
    },
    /// This node follows a primary.
    Following {
        /// The primary's epoch.
        epoch: Epoch,
    },
    /// This node answered a (binding) request for its vote.
    Voted {
        /// The epoch asked for.
        epoch: Epoch,
        /// What it said.
        ballot: Ballot,
    },
    /// Primary: a replica was brought up to date from the backlog.
    PartialResync {
        /// The replica.
        node: NodeId,
        /// Where its log ended.
        from: Position,
        /// How many entries it was behind.
        entries: u64,
    },
    /// Primary: a replica needs the whole state.
    FullResyncStarted {
        /// The replica.
        node: NodeId,
        /// Where its log ended.
        from: Position,
        /// Why.
        reason: ResyncReason,
    },
    /// Primary: the replica has all of it.
    FullResyncSent {
        /// The replica.
        node: NodeId,
        /// The position of the state.
        at: Position,
    },
    /// Replica: the new state stands.
    FullResyncInstalled {
        /// Its position.
        at: Position,
        /// Entries discarded and kept in `file`, if the old log had diverged.
        discarded: u64,
        /// Path of the rollback file, relative to the data directory.
        file: Option<String>,
    },
    /// Replica: entries that are not on the primary's lineage were cut off the end of the log.
    LogCut {
        /// Where the log ends now.
        fork: Position,
        /// How many were cut off and kept in `file`.
        discarded: u64,
        /// Path of the rollback file, relative to the data directory.
        file: Option<String>,
    },
    /// Replica: what the primary sent is no state of its own lineage. Given up, and asked for again.
    FullResyncRefused {
        /// The primary.
        node: NodeId,
        /// The first record that cannot be.
        record: Position,
    },
    /// Replica: eventual reads are refused from now on (`true`), or served again.
    Stale {
        /// Which.
        stale: bool,
    },
    /// The disk has no room: nothing more is written, until there is room again (`full: false`).
    DiskFull {
        /// Which.
        full: bool,
    },
    /// This learner has earned its voice back.
    LearnerGraduated,
    /// A value on this node's disk is not the one that was written. Others are asked for it.
    ValueDamaged {
        /// Its version.
        at: Position,
        /// Its key, as text.
        key: String,
        /// The file, relative to the data directory.
        file: String,
        /// The byte of the file at which its record begins.
        offset: u64,
    },
    /// A damaged value is whole again: another member had it.
    ValueRepaired {
        /// Its version.
        at: Position,
    },
}

/// Why entries do not do, and the whole state has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResyncReason {
    /// The replica's log has entries that the primary's has not, and cannot be cut back to where the two part: its own
    /// cleanup has dropped what a cut would uncover.
    Diverged,
    /// What the replica lacks is neither in the primary's backlog nor in its log: cleanup has dropped some of it, or the
    /// primary itself began with a state.
    CleanedUp,
}
