//! Votes: what members say when they are asked for a quorum, or for their voice.

use serde::{Deserialize, Serialize};

use super::position::{Epoch, NodeId, Position};

/// A vote, or the reason for its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Ballot {
    /// Yes.
    #[error("yes")]
    Granted,
    /// The candidate's log ends before the voter's.
    #[error("{voter} is ahead: {voter_last} against {candidate_last}")]
    Ahead {
        /// Who refuses.
        voter: NodeId,
        /// Where its log ends.
        voter_last: Position,
        /// Where the candidate's log ends.
        candidate_last: Position,
    },
    /// The voter has given its vote of this epoch number, or follows that epoch's primary.
    #[error("voted for {promised_node} in epoch {number}", promised_node = promised.node, number = promised.number)]
    Voted {
        /// What it has promised.
        promised: Epoch,
    },
    /// The voter has promised a higher epoch.
    #[error("has promised epoch {promised}")]
    Promised {
        /// What it has promised.
        promised: Epoch,
    },
    /// The voter hears from a live primary, and nobody asked for it to be deposed.
    #[error("hears from primary {primary}")]
    PrimaryAlive {
        /// That primary.
        primary: NodeId,
    },
    /// The voter has lost what it had acknowledged; until it has earned its voice back it neither votes nor counts.
    #[error("is a learner")]
    Learner,
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
    /// It had not answered, and has not been heard from for [`UNREACHABLE_AFTER`](crate::replication::UNREACHABLE_AFTER).
    Unreachable,
}
