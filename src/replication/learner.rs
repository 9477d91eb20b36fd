//! Learners: members that have lost what they had acknowledged, and how they come to count again.
//!
//! A disk was wiped, or a log ended before the mark of what was synced. Such a member follows, and neither votes nor counts
//! nor stands. Three parts of the core have to do with it, and stand here side by side: the learner itself, its primary,
//! and whoever may ask for votes in its place.

use std::time::Duration;

use rand::Rng;

use super::campaign::{AutoCampaign, PAUSE_MIN};
use super::core::{Core, RoleState};
use super::io::{DiskJob, Effect};
use super::progress::Learner;
use crate::types::{Event, LossId, Message, NodeId, Op};

/// Those who are asked to ask for votes begin within this time, so that they do not split them.
const VACANT_JITTER: Duration = Duration::from_millis(200);
/// How often a learner says that nobody leads.
const VACANT_EVERY: Duration = Duration::from_millis(500);

// === The learner

impl Core {
    /// The loss for which this member is a learner, if it is one.
    pub(super) fn loss(&self) -> Option<LossId> {
        self.promise.learner.then_some(LossId(self.config.incarnation))
    }

    /// A learner counts again: its primary has said that this loss can decide nothing any more (see
    /// [`Learner`](super::progress::Learner)), or an operator has.
    pub(super) fn graduate(&mut self) {
        self.promise.learner = false;
        let promise = self.promise;
        self.emit(Effect::Disk(DiskJob::Save { promise }));
        self.tell(Event::LearnerGraduated);
    }
}

// === Its primary

impl Core {
    /// A member says whether it is a learner, and by which loss. The first time that a loss is heard of, an entry is
    /// written: the *barrier*. Whoever holds a vote that the learner has forgotten has promised a higher epoch and
    /// refuses that entry; whoever has it refuses a candidate without it. So once a quorum of others has it, nothing
    /// that the learner has forgotten can decide anything, and no waiting time stands in for this.
    pub(super) fn hears_learner(&mut self, from: NodeId, learner: Option<LossId>) {
        let (now, epoch) = (self.now, self.promise.epoch);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let forced = primary.forced.then_some(primary.opening);
        let Some(peer) = primary.peers.get_mut(&from) else { return };
        let Some(loss) = learner else {
            if peer.learner.take().is_some() {
                peer.acked = 0; // what it acknowledged as a learner has not counted: it acknowledges it again
            }
            return;
        };
        if peer.learner.is_none_or(|known| known.loss != loss) {
            // An epoch opened by force begins anew from what its primary had: to hold its opening is enough.
            peer.learner = Some(Learner { loss, barrier: forced });
        }
        if let Some(Learner { barrier: barrier @ None, .. }) = &mut peer.learner
            && !self.disk_full
        {
            let entry = self.log.write(epoch, Op::Noop, now);
            *barrier = Some(entry.at.seq);
            self.append_and_stream(entry);
        }
    }

    /// The loss of a learner that counts again: it holds its barrier, and a quorum of others does.
    pub(super) fn counts_again(&self, member: NodeId) -> Option<LossId> {
        let RoleState::Primary(primary) = &self.role else { return None };
        let peer = primary.peers.get(&member)?;
        let Learner { loss, barrier } = peer.learner?;
        let decided = |barrier: u64| primary.forced || self.commit >= barrier;
        barrier.filter(|&barrier| peer.acked >= barrier && decided(barrier)).map(|_| loss)
    }
}

// === A primacy that is vacant

impl Core {
    /// A restarted primary that is a learner does not ask for votes. So that a healthy majority goes on by itself, it asks
    /// the others to, until it hears a primary.
    pub(super) fn vacancy_on_time(&mut self) {
        if !self.promise.learner {
            self.vacant_at = None;
        }
        if self.vacant_at.is_some_and(|at| at <= self.now) && self.primary().is_none() {
            self.vacant_at = Some(self.now + VACANT_EVERY);
            self.others().into_iter().for_each(|other| self.send(other, Message::Vacant));
        }
    }

    /// Nobody leads, and whoever would ask for votes may not: this member does, unless it knows better.
    pub(super) fn on_vacant(&mut self) {
        let leads = matches!(self.role, RoleState::Primary(_));
        let busy = self.campaign.is_some() || self.auto_campaign.is_some();
        if leads || busy || self.promise.learner || self.live_primary().is_some() {
            return;
        }
        // Not all at once.
        let jitter = Duration::from_millis(self.rng.random_range(0..=VACANT_JITTER.as_millis() as u64));
        self.auto_campaign = Some(AutoCampaign { at: self.now + jitter, pause: PAUSE_MIN });
    }
}
