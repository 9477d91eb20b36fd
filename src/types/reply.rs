//! Replies: what a client is told, and why a request got no success.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Found;
use super::position::{Epoch, NodeId, Position};
use super::vote::{Ballot, MemberVote};

/// How long a member that is told to follow somebody waits to hear from them as a primary.
pub const FOLLOW_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// This node follows the primary that it was told to.
    Following {
        /// The primary's epoch.
        epoch: Epoch,
    },
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
    /// This node does not follow the member that it was told to; nothing has changed.
    #[error("cannot follow {primary}: {why}")]
    FollowRefused {
        /// That member.
        primary: NodeId,
        /// Why not.
        why: Unfollowed,
    },
    /// Promotions, orders to follow and cleanups are for operators, and an operator shows the cluster's token. Nothing of
    /// it was begun, and the connection stands.
    #[error(
        "this is for operators, who show the cluster's token: it is in the file `token` of the run's directory, or \
         where the node has it from; give it with --token-file FILE or in KVLAB_TOKEN"
    )]
    TokenNeeded,
    /// The key's value is damaged on this node's disk, and no other member has supplied it yet. Another node may have it.
    #[error(
        "the value of key {key:?} is damaged here ({at}, in {file} at byte {offset}): ask another node, or read with quorum"
    )]
    Damaged {
        /// The value's version.
        at: Position,
        /// The key, as text.
        key: String,
        /// The file, relative to the data directory.
        file: String,
        /// The byte of the file at which its record begins.
        offset: u64,
    },
}

/// Why a member does not follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unfollowed {
    /// It is primary of an epoch below this member's promise; to follow it would be to break that.
    #[error("{}'s epoch {epoch} is below the promised {promised}", epoch.node)]
    Below {
        /// Its epoch.
        epoch: Epoch,
        /// What this member has promised.
        promised: Epoch,
    },
    /// It has not said within [`FOLLOW_TIMEOUT`] that it is a primary.
    #[error("nothing was heard from it as a primary within {} ms", FOLLOW_TIMEOUT.as_millis())]
    Silent,
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
