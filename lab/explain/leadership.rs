//! Who led in which epoch, and the other facts that may explain a violation, gathered from a run's events.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kvlab::types::{Ballot, Epoch, Event, NodeId, NodeStatus, Position, Report, Role};
use serde::{Deserialize, Serialize};

use crate::run::event::{Damage, LabEvent, Operation, ProcessState, Stamped};

/// Leaderships that are remembered; the oldest is forgotten first.
pub(crate) const LEADERSHIPS_MAX: usize = 512;
/// Operations with too few votes, losses of power, broken votes and joined logs that are remembered, of each the newest.
const FACTS_MAX: usize = 512;

/// Who led in which epoch, as the run's events tell it, and what else may explain a violation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epochs {
    /// In the order of their opening.
    leaderships: Vec<Leadership>,
    /// The last vote of each member, by its own word.
    votes: BTreeMap<NodeId, (Epoch, Duration)>,
    pub(crate) forgotten_votes: VecDeque<ForgottenVote>,
    pub(crate) power_losses: VecDeque<PowerLoss>,
    pub(crate) joined: VecDeque<Joined>,
    pub(crate) too_few: VecDeque<TooFew>,
}

/// The time in which one member led one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leadership {
    /// The epoch.
    pub(crate) epoch: Epoch,
    /// Who led it.
    pub(crate) primary: NodeId,
    /// When that was told, since the run began.
    pub(crate) since: Duration,
    /// When it was told that it is over; `None`: it was not.
    pub(crate) until: Option<Duration>,
    /// Who voted for it, itself included; empty if that was not told, or nobody did.
    pub(crate) voters: Vec<NodeId>,
    /// It was opened without votes.
    pub(crate) forced: bool,
}

/// A member no longer knows of a vote that it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForgottenVote {
    pub(crate) node: NodeId,
    /// What it had voted for, and when.
    pub(crate) epoch: Epoch,
    pub(crate) voted: Duration,
    /// What it did or knew instead, and since when.
    pub(crate) instead: Instead,
    pub(crate) at: Duration,
}

/// What a member that forgot a vote does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Instead {
    /// It follows the primary of this epoch.
    Follows(Epoch),
    /// It has promised nothing beyond this epoch.
    Knows(Epoch),
}

impl Instead {
    /// The epoch.
    pub(crate) fn epoch(self) -> Epoch {
        let (Self::Follows(epoch) | Self::Knows(epoch)) = self;
        epoch
    }
}

/// A primary took the log of a member, which ends in an older epoch, for a part of its own, and sent what comes after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) primary: NodeId,
    pub(crate) node: NodeId,
    pub(crate) from: Position,
    pub(crate) at: Duration,
}

/// The power took what a member had not synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerLoss {
    pub(crate) node: NodeId,
    pub(crate) at: Duration,
    pub(crate) bytes: u64,
}

/// A quorum operation that succeeded with fewer votes than a quorum is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TooFew {
    /// The history's index of its invoke.
    pub(crate) i: u64,
    /// Who stood behind it.
    pub(crate) acks: Vec<NodeId>,
    /// How many were asked or might have been; 0: nobody was.
    pub(crate) members: usize,
}

impl Epochs {
    /// The next event of the run.
    pub(crate) fn observe(&mut self, event: &Stamped) {
        let at = event.t();
        match &event.event {
            LabEvent::Process { node, state: ProcessState::Stopped { .. } | ProcessState::Died { .. } } => {
                self.end(*node, at);
            }
            LabEvent::Node { node, report: Report::Status(status) } => self.status(*node, status, at),
            LabEvent::Node { node, report: Report::Event { event, .. } } => self.changed(*node, event, at),
            LabEvent::Damage { node, damage } => self.damaged(*node, damage, at),
            LabEvent::Operation(operation) => self.operated(operation),
            _ => {}
        }
    }

    /// In the order of their opening; the last [`LEADERSHIPS_MAX`].
    pub(crate) fn leaderships(&self) -> &[Leadership] {
        &self.leaderships
    }

    fn changed(&mut self, node: NodeId, event: &Event, at: Duration) {
        match event {
            Event::EpochOpened { epoch, forced, voters } => {
                let leadership = self.open(node, *epoch, at);
                leadership.forced = *forced;
                leadership.voters.clone_from(voters);
            }
            Event::SteppedDown { epoch, .. } => self.end_epoch(node, *epoch, at),
            Event::Voted { epoch, ballot: Ballot::Granted } => {
                self.instead(node, *epoch, Instead::Knows, at);
                self.votes.insert(node, (*epoch, at));
            }
            Event::Following { epoch } => {
                self.end(node, at);
                self.instead(node, *epoch, Instead::Follows, at);
            }
            Event::PartialResync { node: to, from, .. } if *from > Position::ZERO => {
                push(&mut self.joined, Joined { primary: node, node: *to, from: *from, at });
            }
            _ => {}
        }
    }

    /// Statuses come several times a second and survive a lost event: they tell of leaderships whose opening was not told.
    fn status(&mut self, node: NodeId, status: &NodeStatus, at: Duration) {
        let status = &status.replication;
        match status.role {
            Role::Primary => drop(self.open(node, status.epoch, at)),
            _ => self.end(node, at),
        }
        self.instead(node, status.promised, Instead::Knows, at);
    }

    fn damaged(&mut self, node: NodeId, damage: &Damage, at: Duration) {
        match damage {
            Damage::PowerLost { cut: Some(cut) } => {
                let bytes = cut.from.saturating_sub(cut.to);
                push(&mut self.power_losses, PowerLoss { node, at, bytes });
            }
            // Whoever lost its disk may forget.
            Damage::Wiped => drop(self.votes.remove(&node)),
            Damage::PowerLost { cut: None } | Damage::TailTorn { .. } => {}
        }
    }

    fn operated(&mut self, operation: &Operation) {
        if operation.lacks_quorum() {
            let (acks, members) = (operation.acks(), operation.votes.len());
            push(&mut self.too_few, TooFew { i: operation.i, acks, members });
        }
    }

    /// The member's leadership over this epoch, begun now if it is news. It ends any other leadership of this member.
    fn open(&mut self, primary: NodeId, epoch: Epoch, at: Duration) -> &mut Leadership {
        let mut leaderships = self.leaderships.iter().rev();
        if let Some(back) =
            leaderships.position(|leadership| leadership.primary == primary && leadership.epoch == epoch)
        {
            let known = self.leaderships.len() - 1 - back;
            return &mut self.leaderships[known];
        }
        self.end(primary, at);
        if self.leaderships.len() == LEADERSHIPS_MAX {
            self.leaderships.remove(0);
        }
        self.leaderships.push(Leadership {
            epoch,
            primary,
            since: at,
            until: None,
            voters: Vec::new(),
            forced: false,
        });
        self.leaderships.last_mut().expect("just pushed")
    }

    fn end(&mut self, primary: NodeId, at: Duration) {
        let open = |leadership: &&mut Leadership| leadership.primary == primary && leadership.until.is_none();
        self.leaderships.iter_mut().filter(open).for_each(|leadership| leadership.until = Some(at));
    }

    fn end_epoch(&mut self, primary: NodeId, epoch: Epoch, at: Duration) {
        if self
            .leaderships
            .iter()
            .any(|leadership| leadership.primary == primary && leadership.epoch == epoch)
        {
            self.end(primary, at);
        }
    }

    /// A member speaks of an epoch: is it one below that for which it has voted?
    fn instead(&mut self, node: NodeId, says: Epoch, how: fn(Epoch) -> Instead, at: Duration) {
        if let Some(&(epoch, voted)) = self.votes.get(&node)
            && says < epoch
        {
            self.votes.remove(&node);
            let instead = how(says);
            push(&mut self.forgotten_votes, ForgottenVote { node, epoch, voted, instead, at });
        }
    }
}

fn push<T>(facts: &mut VecDeque<T>, fact: T) {
    if facts.len() == FACTS_MAX {
        facts.pop_front();
    }
    facts.push_back(fact);
}
