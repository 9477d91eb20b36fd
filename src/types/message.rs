//! What members say to each other. Any message may be delayed, reordered, duplicated or lost.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::damage::Lookup;
use super::entry::Entry;
use super::event::ResyncReason;
use super::lineage::Lineage;
use super::position::{Epoch, Position, SEQ_MAX};
use super::vote::Ballot;

/// A message from one member to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Primary to member, every 100 ms and to whoever is behind: I am the primary of `epoch`.
    Heartbeat {
        /// The sender's epoch.
        epoch: Epoch,
        /// The last seq of the sender's log.
        last: u64,
        /// The sender's commit index: a seq.
        commit: u64,
        /// The highest seq that the sender has sent to this member; a member that ends below it says so
        /// with [`Message::Sync`]. 0 as long as the sender does not know where the member is.
        sent: u64,
        /// To a learner that has earned its voice back: it counts again, as far as this loss goes.
        counts: Option<LossId>,
    },
    /// Replica to primary: what it has of the primary's log. Answers every heartbeat and every durable append.
    Ack {
        /// The primary's epoch; acknowledgements of other epochs do not count.
        epoch: Epoch,
        /// The highest seq that is both verified against this primary and durable here.
        durable: u64,
        /// The replica is a learner, because of this loss: the acknowledgement paces the stream, and counts for
        /// nothing.
        learner: Option<LossId>,
    },
    /// Replica to primary: this is where my log ends; send what follows.
    Sync {
        /// The primary's epoch.
        epoch: Epoch,
        /// The last position in the replica's log.
        last: Position,
        /// The replica is a learner, because of this loss.
        learner: Option<LossId>,
        /// Entries do not do: the replica needs the whole state, for this reason.
        whole: Option<ResyncReason>,
    },
    /// Primary to replica: your log has entries that mine has not. Cut them off, and ask again.
    Diverged {
        /// The primary's epoch.
        epoch: Epoch,
        /// The last seq of the primary's log.
        last: u64,
        /// The primary's lineage.
        lineage: Lineage,
    },
    /// Primary to replica: entries that follow `prev`.
    Append {
        /// The primary's epoch.
        epoch: Epoch,
        /// The position just before the first entry, on the primary's lineage.
        prev: Position,
        /// Contiguous entries.
        entries: Vec<Entry>,
        /// The sender's commit index.
        commit: u64,
    },
    /// Member to a primary of an epoch below its promise: nothing of your epoch is accepted here.
    Refused {
        /// The epoch that was refused.
        epoch: Epoch,
        /// The epoch promised instead.
        promised: Epoch,
        /// Whether the promised epoch is known to have opened, or was only voted for.
        opened: bool,
    },
    /// Candidate to member: would you vote for me (`pre`), or: vote for me.
    VoteRequest {
        /// The epoch that the candidate claims.
        epoch: Epoch,
        /// Asking only whether it would: changes nothing.
        pre: bool,
        /// An operator asked for it, so a live primary is no reason to refuse.
        operator: bool,
        /// Where the candidate's log ends.
        last: Position,
        /// Which question of the candidate's this is; the answer names it, so that the candidate knows how long it took.
        question: u64,
    },
    /// A member that would ask for votes by itself, and may not because it is a learner: whoever may, ask for them.
    Vacant,
    /// Member to candidate.
    VoteReply {
        /// The epoch asked for.
        epoch: Epoch,
        /// Which of the two questions this answers.
        pre: bool,
        /// Yes, or why not.
        ballot: Ballot,
        /// From the question.
        question: u64,
    },
    /// Coordinator to member: one round of a quorum read.
    ReadRequest {
        /// Does not repeat, not even across restarts of the coordinator.
        round: RoundId,
        /// The key.
        key: Bytes,
    },
    /// Member to coordinator: one consistent, durable state.
    ReadAnswer {
        /// The round that was asked.
        round: RoundId,
        /// The highest epoch promised, by a vote or by following.
        promised: Epoch,
        /// Where the durable log ends.
        last: Position,
        /// The key in that state. A damaged value has its version, so that it counts like any other; the value itself
        /// comes from a member that has the same version.
        found: Lookup,
    },
    /// Primary to replica: a full resync begins. The replica answers with [`Message::SnapshotAck`] 0.
    SnapshotBegin {
        /// The primary's epoch.
        epoch: Epoch,
        /// Names this transfer; does not repeat within an epoch.
        id: SnapshotId,
        /// The position of the primary's own lineage that the state is as of.
        at: Position,
        /// The primary's lineage up to `at`.
        lineage: Lineage,
        /// How much will come, for the progress display.
        bytes_total: u64,
    },
    /// Primary to replica: records of the state, in log order.
    SnapshotChunk {
        /// The primary's epoch.
        epoch: Epoch,
        /// The transfer.
        id: SnapshotId,
        /// Counts from 1; accepted in order only.
        index: u64,
        /// The records; seqs ascend, and may have gaps.
        entries: Vec<Entry>,
        /// No chunk follows.
        done: bool,
    },
    /// Replica to primary: everything up to chunk `index` has arrived; send the next.
    SnapshotAck {
        /// The primary's epoch.
        epoch: Epoch,
        /// The transfer.
        id: SnapshotId,
        /// The last chunk received in order.
        index: u64,
    },
    /// Member to all others: the value of this version is damaged here; who has it?
    RepairRequest {
        /// The version.
        at: Position,
        /// The key that it sets.
        key: Bytes,
    },
    /// Member to member: here it is. Only whoever holds exactly that version, durable and whole, answers.
    RepairAnswer {
        /// The entry of that version.
        entry: Entry,
    },
}

/// One round of one quorum read, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// Drawn at random when the coordinator's process started.
    pub incarnation: u64,
    /// Counts up within the incarnation.
    pub number: u64,
}

/// One loss of what a member had durable, told apart from every other: its process drew this at random when it
/// started as a learner, and draws another when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LossId(pub u64);

/// One full resync. Drawn from a counter of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotId(pub u64);

/// A number that no member sends: beyond any that a log can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {value} is beyond 2^48")]
pub struct BoundsError {
    /// Which field of which message.
    pub field: &'static str,
    /// What it holds.
    pub value: u64,
}

impl Message {
    /// Whether every number in it is one that a member can send, so that nothing that is reckoned with it can wrap: no
    /// seq, count, index or length is beyond [`SEQ_MAX`]. (Epochs and positions are checked where they are decoded;
    /// numbers that only name something, such as a [`RoundId`], may be any.)
    ///
    /// # Errors
    /// The first that is beyond it.
    pub fn check_bounds(&self) -> Result<(), BoundsError> {
        match self {
            Self::Heartbeat { epoch: _, last, commit, sent, counts: _ } => {
                within("a heartbeat's last seq", *last)?;
                within("a heartbeat's commit index", *commit)?;
                within("a heartbeat's last seq sent", *sent)
            }
            Self::Ack { epoch: _, durable, learner: _ } => within("an acknowledgement's seq", *durable),
            Self::Append { epoch: _, prev: _, entries: _, commit } => {
                within("an append's commit index", *commit)
            }
            Self::SnapshotBegin { epoch: _, id: _, at: _, lineage: _, bytes_total } => {
                within("a full resync's length", *bytes_total)
            }
            Self::SnapshotChunk { epoch: _, id: _, index, entries: _, done: _ } => {
                within("a chunk's index", *index)
            }
            Self::SnapshotAck { epoch: _, id: _, index } => within("an acknowledged chunk's index", *index),
            Self::Diverged { epoch: _, last, lineage: _ } => within("a diverged log's last seq", *last),
            Self::Sync { epoch: _, last: _, learner: _, whole: _ }
            | Self::Vacant
            | Self::Refused { epoch: _, promised: _, opened: _ }
            | Self::VoteRequest { epoch: _, pre: _, operator: _, last: _, question: _ }
            | Self::VoteReply { epoch: _, pre: _, ballot: _, question: _ }
            | Self::ReadRequest { round: _, key: _ }
            | Self::ReadAnswer { round: _, promised: _, last: _, found: _ }
            | Self::RepairRequest { at: _, key: _ }
            | Self::RepairAnswer { entry: _ } => Ok(()),
        }
    }

    /// The highest epoch that it names.
    pub fn highest_epoch(&self) -> Epoch {
        match self {
            Self::Heartbeat { epoch, .. } | Self::Ack { epoch, .. } | Self::SnapshotAck { epoch, .. } => {
                *epoch
            }
            Self::Sync { epoch, last, .. } | Self::VoteRequest { epoch, last, .. } => last.epoch.max(*epoch),
            Self::Diverged { epoch, lineage, .. } => newest(lineage).max(*epoch),
            Self::Append { epoch, prev, entries, .. } => newest_of(entries).max(prev.epoch).max(*epoch),
            Self::Refused { epoch, promised, .. } => *promised.max(epoch),
            Self::VoteReply { epoch, ballot, .. } => match ballot {
                Ballot::Voted { promised } | Ballot::Promised { promised } => *promised.max(epoch),
                Ballot::Ahead { voter_last, candidate_last, .. } => {
                    voter_last.epoch.max(candidate_last.epoch).max(*epoch)
                }
                Ballot::Granted | Ballot::PrimaryAlive { .. } | Ballot::Learner => *epoch,
            },
            // What is asked for, or given, is a version that the asker holds: it says nothing of anybody's epoch.
            Self::Vacant
            | Self::ReadRequest { .. }
            | Self::RepairRequest { .. }
            | Self::RepairAnswer { .. } => Epoch::ZERO,
            Self::ReadAnswer { promised, last, found, .. } => {
                found.version().epoch.max(last.epoch).max(*promised)
            }
            Self::SnapshotBegin { epoch, at, lineage, .. } => newest(lineage).max(at.epoch).max(*epoch),
            Self::SnapshotChunk { epoch, entries, .. } => newest_of(entries).max(*epoch),
        }
    }
}

fn newest(lineage: &Lineage) -> Epoch {
    lineage.spans().last().map_or(Epoch::ZERO, |&(epoch, _)| epoch)
}

fn newest_of(entries: &[Entry]) -> Epoch {
    entries.iter().map(|entry| entry.at.epoch).max().unwrap_or(Epoch::ZERO)
}

fn within(field: &'static str, value: u64) -> Result<(), BoundsError> {
    if value <= SEQ_MAX { Ok(()) } else { Err(BoundsError { field, value }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_any_log_is_named() {
        const EPOCH: Epoch = Epoch::ZERO;
        const ID: SnapshotId = SnapshotId(u64::MAX);
        type Field = (&'static str, fn(u64) -> Message);
        fn heartbeat([last, commit, sent]: [u64; 3]) -> Message {
            Message::Heartbeat { epoch: EPOCH, last, commit, sent, counts: None }
        }
        let fields: [Field; 8] = [
            ("a heartbeat's last seq", |n| heartbeat([n, 0, 0])),
            ("a heartbeat's commit index", |n| heartbeat([0, n, 0])),
            ("a heartbeat's last seq sent", |n| heartbeat([0, 0, n])),
            ("an acknowledgement's seq", |durable| Message::Ack { epoch: EPOCH, durable, learner: None }),
            ("an append's commit index", |commit| Message::Append {
                epoch: EPOCH,
                prev: Position::ZERO,
                entries: Vec::new(),
                commit,
            }),
            ("a full resync's length", |bytes_total| Message::SnapshotBegin {
                epoch: EPOCH,
                id: ID,
                at: Position::ZERO,
                lineage: Lineage::default(),
                bytes_total,
            }),
            ("a chunk's index", |index| Message::SnapshotChunk {
                epoch: EPOCH,
                id: ID,
                index,
                entries: Vec::new(),
                done: true,
            }),
            ("an acknowledged chunk's index", |index| Message::SnapshotAck { epoch: EPOCH, id: ID, index }),
        ];
        for (field, message) in fields {
            assert_eq!(message(SEQ_MAX).check_bounds(), Ok(()), "{field}");
            for value in [SEQ_MAX + 1, u64::MAX] {
                assert_eq!(message(value).check_bounds(), Err(BoundsError { field, value }));
            }
        }
    }
}
