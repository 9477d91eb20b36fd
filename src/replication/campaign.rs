//! Becoming primary: campaigns by vote, campaigns by force, and the votes that others ask for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::Rng;

use super::config::{CAMPAIGN_PATIENCE_MAX, CAMPAIGN_PATIENCE_MIN, HEARTBEAT_EVERY, PRIMARY_ALIVE_FOR};
use super::core::{Core, RoleState};
use super::io::RequestId;
use super::quorum::majority;
use crate::types::{Ballot, EPOCH_NUMBER_MAX, Epoch, Event, Failure, Message, NodeId, Position, Reply, Time};

/// What each member answered; `None`: nothing yet.
pub(super) type Ballots = BTreeMap<NodeId, Option<Ballot>>;

/// One attempt to become primary.
///
/// It asks whether the others *would* vote (`CampaignStage::Pre`: nothing changes anywhere), and only with a majority
/// of yeses for their votes (`CampaignStage::Binding`). By force it asks nobody.
#[derive(Debug)]
pub(super) struct Campaign {
    /// The epoch that it claims.
    pub(super) epoch: Epoch,
    /// How far it is.
    pub(super) stage: CampaignStage,
    /// The present question.
    question: u64,
    /// Whether an operator asked for it; then a primary that is alive is no reason to refuse.
    pub(super) operator: bool,
    /// The operator's request, to be answered when it ends.
    pub(super) request: Option<RequestId>,
    /// What each member has answered in this stage.
    pub(super) ballots: Ballots,
    /// When the present question is given up.
    pub(super) ends: Time,
    /// When those that have not answered are asked again.
    pub(super) ask_again: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CampaignStage {
    /// Asks who would vote for it.
    Pre,
    /// Asks for votes, and has voted for itself.
    Binding,
    /// Asks nobody; waits for its own disk.
    Forced,
}

/// Campaigns that a node starts by itself: the configured first primary, and a primary that has restarted.
#[derive(Debug)]
pub(super) struct AutoCampaign {
    /// When the next one begins.
    pub(super) at: Time,
    /// The pause after it if it is lost, before jitter.
    pub(super) pause: Duration,
}

/// The last questions that this member has asked, each with when: so that even an answer that comes too late tells how slow
/// the links are.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: VecDeque<(u64, Time)>,
    last: u64,
}

/// Answers to older questions than the last so many tell nothing.
const QUESTIONS_MAX: usize = 16;

impl Questions {
    fn ask(&mut self, now: Time) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.asked.push_back((self.last, now));
        if self.asked.len() > QUESTIONS_MAX {
            self.asked.pop_front();
        }
        self.last
    }

    fn asked_at(&self, question: u64) -> Option<Time> {
        self.asked.iter().find(|&&(asked, _)| asked == question).map(|&(_, at)| at)
    }
}

/// A vote given that is not on disk yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct VoteToAnswer {
    to: NodeId,
    epoch: Epoch,
    question: u64,
}

/// A learner that is promoted by force claims an epoch that is up to this far above the highest that it has seen, at random.
const FORGOTTEN_EPOCHS: u64 = 1 << 31;
/// A question waits for so many times the slowest answer.
const PATIENCE_FACTOR: u32 = 2;

/// The pause after the first and after every later lost campaign of its own, before jitter.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
impl Campaign {
    pub(super) fn deadline(&self) -> Time {
        // By force it waits for its own disk only, however long that takes.
        if self.stage == CampaignStage::Forced { self.ask_again } else { self.ends.min(self.ask_again) }
    }

    fn granted(&self) -> usize {
        self.ballots.values().filter(|&&ballot| ballot == Some(Ballot::Granted)).count()
    }

    fn wins(&self) -> bool {
        self.granted() >= majority(self.ballots.len())
    }

    /// Only the number was too low, and nothing has been promised yet: no need to wait for those that are silent.
    fn is_outnumbered_by(&self, ballot: Ballot) -> bool {
        self.stage == CampaignStage::Pre && matches!(ballot, Ballot::Promised { .. } | Ballot::Voted { .. })
    }

    /// Whoever has not answered yet cannot make it a majority any more.
    fn has_lost(&self) -> bool {
        let silent = self.ballots.values().filter(|ballot| ballot.is_none()).count();
        self.granted() + silent < majority(self.ballots.len())
    }
}

// === The candidate's side

impl Core {
    /// A node never goes on in an epoch that it opened before a restart; it asks for votes in a new one.
    pub(super) fn campaign_after_restart(&mut self) {
        let first = self.promise.epoch == Epoch::ZERO && self.config.first_primary == self.config.id;
        let was_primary = self.promise.epoch.node == self.config.id;
        match self.promise.learner {
            _ if !first && !was_primary => {}
            false => self.auto_campaign = Some(AutoCampaign { at: self.now, pause: PAUSE_MIN }),
            true => self.vacant_at = Some(self.now),
        }
    }

    pub(super) fn on_promote(&mut self, request: RequestId, force: bool) {
        if self.campaign.as_ref().is_some_and(|campaign| campaign.request.is_some()) {
            return self.fail(request, Failure::Busy("a promotion of this node is under way".into()));
        }
        if self.promise.learner && !force {
            let why = "this node is a learner: it has lost what it had acknowledged, and can be promoted when it has caught \
                       up; by force at once, and what it lacks may be lost";
            return self.fail(request, Failure::Invalid(why.into()));
        }
        if self.is_moving_over() {
            return self.fail(request, Failure::Busy("its log is just being replaced or cut".into()));
        }
        if self.next_epoch().number > EPOCH_NUMBER_MAX {
            let why = "there is no higher epoch number left to claim; only a new cluster has one";
            return self.fail(request, Failure::Invalid(why.into()));
        }
        self.campaign_lost();
        if force {
            let mut epoch = self.next_epoch();
            if self.promise.learner {
                // It may have forgotten which epochs it opened: this one is none of them, unless few numbers are left.
                let above = self.rng.random_range(1..=FORGOTTEN_EPOCHS);
                epoch.number = epoch.number.saturating_add(above).min(EPOCH_NUMBER_MAX);
            }
            self.begin_campaign(epoch, CampaignStage::Forced, true, Some(request));
            self.claim(epoch);
        } else {
            self.ask_whether(true, Some(request));
        }
    }

    /// Asks everyone whether they would vote for this node in the next epoch.
    pub(super) fn ask_whether(&mut self, operator: bool, request: Option<RequestId>) {
        let epoch = self.next_epoch();
        self.begin_campaign(epoch, CampaignStage::Pre, operator, request);
        let id = self.config.id;
        self.campaign_count(id, Ballot::Granted);
    }

    fn next_epoch(&self) -> Epoch {
        let number = self.number_seen.max(self.promise.epoch.number).saturating_add(1);
        Epoch::new(number, self.config.id)
    }

    fn begin_campaign(
        &mut self,
        epoch: Epoch,
        stage: CampaignStage,
        operator: bool,
        request: Option<RequestId>,
    ) {
        let ballots = self.config.members.iter().map(|&member| (member, None)).collect();
        let (ends, ask_again) = (self.now + self.patience, self.now + HEARTBEAT_EVERY);
        let question = self.questions.ask(self.now);
        self.campaign =
            Some(Campaign { epoch, stage, question, operator, request, ballots, ends, ask_again });
        if stage != CampaignStage::Forced {
            self.tell(Event::Campaign { epoch, pre: stage == CampaignStage::Pre, operator });
            self.others().into_iter().for_each(|other| self.campaign_ask(other));
        }
    }

    /// An answer has come, in time or not: how long is worth waiting for the next?
    pub(super) fn note_answer(&mut self, question: u64) {
        let Some(asked_at) = self.questions.asked_at(question) else { return };
        let took = self.now.saturating_sub(asked_at);
        self.patience = self.patience.max(took.saturating_mul(PATIENCE_FACTOR)).min(CAMPAIGN_PATIENCE_MAX);
    }

    /// Promises the claimed epoch to itself: the end of whatever this node was before.
    fn claim(&mut self, epoch: Epoch) {
        self.yield_to(epoch);
        if let RoleState::Replica(replica) = &mut self.role {
            self.role = RoleState::Candidate(std::mem::take(replica));
        }
        self.promise_to(epoch);
    }

    /// Asks one member, unless it has answered.
    pub(super) fn campaign_ask(&mut self, other: NodeId) {
        let Some(campaign) = &self.campaign else { return };
        if campaign.stage == CampaignStage::Forced || campaign.ballots.get(&other) != Some(&None) {
            return;
        }
        let (epoch, pre) = (campaign.epoch, campaign.stage == CampaignStage::Pre);
        if !pre && !self.promise_is_saved() {
            return;
        }
        let (operator, question) = (campaign.operator, campaign.question);
        self.send(other, Message::VoteRequest { epoch, pre, operator, last: self.log.last, question });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, epoch: Epoch, pre: bool, ballot: Ballot) {
        if let Ballot::Voted { promised } | Ballot::Promised { promised } = ballot {
            self.see(promised);
        }
        // An entry of an epoch proves that it was opened, though nobody may lead it any more.
        if let Ballot::Ahead { voter_last, .. } = ballot {
            self.learns_of(voter_last.epoch);
        }
        let stage = if pre { CampaignStage::Pre } else { CampaignStage::Binding };
        let now = self.now;
        let current =
            self.campaign.as_ref().is_some_and(|c| c.epoch == epoch && c.stage == stage && now < c.ends);
        if current {
            self.campaign_count(from, ballot);
        }
    }

    /// Counts a ballot, and goes on when there is a majority, or none to be had.
    fn campaign_count(&mut self, from: NodeId, ballot: Ballot) {
        let Some(campaign) = &mut self.campaign else { return };
        let Some(slot) = campaign.ballots.get_mut(&from) else { return };
        *slot = Some(ballot);
        if campaign.wins() {
            self.campaign_won();
        } else if campaign.has_lost() || campaign.is_outnumbered_by(ballot) {
            self.campaign_refused();
        }
    }

    fn campaign_won(&mut self) {
        let moving_over = self.is_moving_over();
        let Some(campaign) = &mut self.campaign else { return };
        let epoch = campaign.epoch;
        match campaign.stage {
            // The log is being replaced: this node cannot say what it would lead with.
            CampaignStage::Pre if moving_over => {
                self.campaign_lost();
            }
            CampaignStage::Pre => {
                campaign.stage = CampaignStage::Binding;
                campaign.ballots.values_mut().for_each(|ballot| *ballot = None);
                campaign.ends = self.now + self.patience;
                campaign.question = self.questions.ask(self.now);
                let operator = campaign.operator;
                self.tell(Event::Campaign { epoch, pre: false, operator });
                // Its own vote counts when it is saved, like anyone's.
                // Only then are the others asked: a claim that a crash could make it forget must not be voted for.
                self.claim(epoch);
            }
            CampaignStage::Binding | CampaignStage::Forced => {
                let Some(campaign) = self.campaign.take() else { return };
                self.open_epoch(campaign);
            }
        }
    }

    /// Everyone has answered and there is no majority. If it is only that the number was too low, ask again
    /// in a higher one; the time that a campaign may take bounds this.
    fn campaign_refused(&mut self) {
        let Some(campaign) = &self.campaign else { return };
        let (operator, ends) = (campaign.operator, campaign.ends);
        let too_low =
            |ballot: &Option<Ballot>| matches!(ballot, Some(Ballot::Promised { .. } | Ballot::Voted { .. }));
        let outnumbered = campaign.ballots.values().any(too_low) && self.number_seen >= campaign.epoch.number;
        let outnumbered = outnumbered && !self.is_moving_over();
        if outnumbered && campaign.stage == CampaignStage::Pre && self.now < ends {
            let request = self.campaign.take().and_then(|campaign| campaign.request);
            self.ask_whether(operator, request);
            if let Some(campaign) = &mut self.campaign {
                campaign.ends = ends;
            }
        } else {
            self.campaign_lost();
        }
    }

    /// Ends the campaign, if there is one, without a primary.
    pub(super) fn campaign_lost(&mut self) {
        let Some(campaign) = self.campaign.take() else { return };
        if let RoleState::Candidate(replica) = &mut self.role {
            self.role = RoleState::Replica(std::mem::take(replica));
        }
        let ballots: Vec<_> = campaign.ballots.into_iter().collect();
        if campaign.stage != CampaignStage::Forced {
            self.tell(Event::CampaignLost { epoch: campaign.epoch, ballots: ballots.clone() });
        }
        if let Some(request) = campaign.request {
            self.fail(request, Failure::PromotionRefused { ballots });
        }
        self.schedule_campaign();
    }

    fn schedule_campaign(&mut self) {
        let Some(auto) = &mut self.auto_campaign else { return };
        let jitter = self.rng.random_range(0..=auto.pause.as_millis() as u64);
        auto.at = self.now + auto.pause + Duration::from_millis(jitter);
        auto.pause = (auto.pause * 2).min(PAUSE_MAX);
    }

    /// The claim is durable: this node's own vote counts.
    pub(super) fn campaign_on_saved(&mut self) {
        let claims = self.campaign.as_ref().is_some_and(|c| c.epoch == self.promise.epoch);
        let forced = self.campaign.as_ref().is_some_and(|c| c.stage == CampaignStage::Forced);
        if claims && forced {
            self.campaign_won();
        } else if claims {
            self.others().into_iter().for_each(|other| self.campaign_ask(other));
            let id = self.config.id;
            self.campaign_count(id, Ballot::Granted);
        }
    }

    pub(super) fn campaign_on_time(&mut self) {
        self.vacancy_on_time();
        let now = self.now;
        if let Some(campaign) = &mut self.campaign {
            if campaign.ends <= now && campaign.stage != CampaignStage::Forced {
                // Whoever is silent may be gone. If only far away, its answer will say so.
                self.patience = (self.patience / 2).max(CAMPAIGN_PATIENCE_MIN);
                self.campaign_lost();
            } else if campaign.ask_again <= now {
                campaign.ask_again = now + HEARTBEAT_EVERY;
                self.others().into_iter().for_each(|other| self.campaign_ask(other));
            }
        }
        let due = self.auto_campaign.as_ref().is_some_and(|auto| auto.at <= now);
        if due && self.campaign.is_none() {
            self.ask_whether(false, None);
        }
    }

    fn open_epoch(&mut self, campaign: Campaign) {
        assert_eq!(campaign.epoch, self.promise.epoch, "an epoch is promised before it is opened");
        assert!(self.promise_is_saved(), "and the promise is durable");
        let Campaign { epoch, stage, request, ballots, .. } = campaign;
        let forced = stage == CampaignStage::Forced;
        let granted = |&(_, ballot): &(&NodeId, &Option<Ballot>)| *ballot == Some(Ballot::Granted);
        let voters = ballots.iter().filter(granted).map(|(&node, _)| node).collect();
        self.auto_campaign = None;
        // What was slow then may be fast now.
        self.patience = CAMPAIGN_PATIENCE_MIN;
        self.tell(Event::EpochOpened { epoch, forced, voters });
        if let Some(request) = request {
            let ballots = if forced { Vec::new() } else { ballots.into_iter().collect() };
            self.reply(request, Reply::Promoted { epoch, ballots });
        }
        self.become_primary(epoch, forced);
        if forced && self.promise.learner {
            self.graduate(); // the operator has decided: what this log holds is the state
        }
    }
}

// === The voter's side

impl Core {
    pub(super) fn on_vote_request(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        pre: bool,
        operator: bool,
        last: Position,
        question: u64,
    ) {
        if epoch.node != from {
            return;
        }
        self.see(epoch);
        let ballot = self.weigh(from, epoch, operator, last);
        if pre || ballot != Ballot::Granted {
            if !pre {
                self.tell(Event::Voted { epoch, ballot });
            }
            return self.send(from, Message::VoteReply { epoch, pre, ballot, question });
        }
        if epoch > self.promise.epoch {
            self.tell(Event::Voted { epoch, ballot });
            self.yield_to(epoch);
            self.promise_to(epoch);
        }
        self.vote_to_answer = Some(VoteToAnswer { to: from, epoch, question });
        self.answer_vote();
    }

    /// Whether this member votes for the candidate. Pre-vote and vote are weighed alike.
    fn weigh(&self, candidate: NodeId, epoch: Epoch, operator: bool, last: Position) -> Ballot {
        let promised = self.promise.epoch;
        let mine = self.last_for_votes();
        if self.promise.learner {
            Ballot::Learner
        } else if epoch.number == promised.number && epoch != promised {
            Ballot::Voted { promised }
        } else if epoch < promised {
            Ballot::Promised { promised }
        } else if let Some(primary) = self.live_primary().filter(|&p| p != candidate && !operator) {
            Ballot::PrimaryAlive { primary }
        } else if last < mine {
            Ballot::Ahead { voter: self.config.id, voter_last: mine, candidate_last: last }
        } else {
            Ballot::Granted
        }
    }

    /// Sends the vote that was given, once the disk has it.
    pub(super) fn answer_vote(&mut self) {
        let vote = self.vote_to_answer.filter(|_| self.promise_is_saved());
        let Some(VoteToAnswer { to, epoch, question }) = vote else { return };
        self.vote_to_answer = None;
        if epoch == self.promise.epoch {
            self.send(to, Message::VoteReply { epoch, pre: false, ballot: Ballot::Granted, question });
        }
    }

    /// The primary that this member is, or has heard from lately.
    pub(super) fn live_primary(&self) -> Option<NodeId> {
        let lately = |heard| self.now.saturating_sub(heard) < PRIMARY_ALIVE_FOR;
        self.primary().filter(|_| self.following().is_none_or(|following| lately(following.heard)))
    }
}
