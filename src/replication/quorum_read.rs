//! Quorum reads: rounds of questions, and the rule by which answers make a value.
//!
//! The coordinator looks, within one round, for an epoch E such that a quorum of answers have *promised exactly
//! E and end in E*. Among those, v is the highest version of the key, S its seq. If a quorum of them reach S, v
//! is committed and is returned. Why this is enough: a quorum that has promised nothing above E leaves no room
//! for a higher epoch to have opened before the first of them answered; their logs are prefixes of one primary's
//! log and hold its opening no-op, so what a quorum of them holds is committed; and any quorum write that was
//! acknowledged before the read began is in at least one of them.
//!
//! Several rounds of a read may be open at once. A slow link delays answers and makes none of them worthless: a round
//! stays open until the read ends, and the next one is sent when there is a reason (answers that do not agree, or answers
//! that may have been lost), with pauses that grow. Only the client's deadline ends a read.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::config::HEARTBEAT_EVERY;
use super::core::Core;
use super::io::{Effect, ReadToken, RequestId};
use crate::types::{
    Epoch, Failure, Found, Lookup, MemberVote, Message, NodeId, Position, Quirk, Quirks, Reply, RoundId,
    Time, Vote,
};

/// What a lookup in this node's durable state is for.
#[derive(Debug)]
pub(super) enum LocalRead {
    /// For an eventual read of a client.
    Eventual { request: RequestId },
    /// For a round of the member `to`, which may be this one.
    Answer { to: NodeId, round: RoundId },
    /// For the member `to`, whose value of this version is damaged.
    Repair { to: NodeId, at: Position, key: Bytes },
}

/// The quorum reads that this node coordinates.
#[derive(Debug)]
pub(super) struct QuorumReads {
    /// Drawn at random at start: no round of another process has this node's names.
    incarnation: u64,
    /// Rounds begun.
    rounds: u64,
    /// Those under way.
    reads: BTreeMap<RequestId, QuorumRead>,
    /// The read that each open round belongs to.
    by_round: BTreeMap<RoundId, RequestId>,
}

/// One of them.
#[derive(Debug)]
struct QuorumRead {
    key: Bytes,
    /// When it was asked for.
    began: Time,
    /// When it is given up.
    ends: Time,
    /// Open rounds, oldest first. Each is decided by its own answers, however late these come.
    rounds: VecDeque<Round>,
    /// When the next round begins if none decides until then.
    next_round: Time,
    /// The pause before the next round, when answers do not agree.
    pause: Duration,
    /// How long the next round waits for answers before another is sent beside it.
    patience: Duration,
}

/// One question to every member, and what came back.
#[derive(Debug)]
struct Round {
    id: RoundId,
    answers: BTreeMap<NodeId, Answer>,
}

/// What one member has answered.
#[derive(Debug, Clone)]
struct Answer {
    /// The epoch that it has promised, durably.
    promised: Epoch,
    /// Where its durable log ends.
    last: Position,
    /// What it holds for the key.
    found: Lookup,
    /// When it answered, since the read began.
    after: Duration,
}

/// When a round lacks answers for this long, another is sent beside it, for a message may be lost; the time is doubled
/// with each. No round is given up because of it.
const ROUND_PATIENCE: Duration = HEARTBEAT_EVERY;
/// The pause before the next round when a quorum has answered and does not agree: doubled from round to round.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Up to this while there are few open rounds; beyond [`ROUNDS_PROMPT`] it goes on doubling.
const PAUSE_MAX: Duration = Duration::from_millis(16);
/// So many rounds of a read may be open before its pauses grow without bound.
const ROUNDS_PROMPT: usize = 8;
/// So many rounds of a read are open at most; then the oldest is given up. Since pauses double, that one is old enough to
/// have been answered over any link that the read's deadline leaves room for.
const ROUNDS_OPEN_MAX: usize = 24;

impl QuorumReads {
    pub(super) fn new(incarnation: u64) -> Self {
        Self { incarnation, rounds: 0, reads: BTreeMap::new(), by_round: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.reads.len()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.reads.values().map(|read| read.ends.min(read.next_round)).min()
    }

    fn next_round(&mut self) -> RoundId {
        self.rounds += 1;
        RoundId { incarnation: self.incarnation, number: self.rounds }
    }
}

impl QuorumRead {
    /// The next pause between rounds whose answers do not agree.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        let bound = if self.rounds.len() < ROUNDS_PROMPT { PAUSE_MAX } else { Duration::MAX };
        self.pause = pause.saturating_mul(2).min(bound.max(pause));
        pause
    }
}

impl Core {
    pub(super) fn read_local(&mut self, read: LocalRead, key: Bytes) {
        self.read_tokens += 1;
        let token = ReadToken(self.read_tokens);
        self.local_reads.insert(token, read);
        self.emit(Effect::Read { token, key });
    }

    pub(super) fn on_read_done(&mut self, token: ReadToken, found: Lookup) {
        match self.local_reads.remove(&token) {
            None => {}
            Some(LocalRead::Eventual { request }) => {
                let epoch = self.epoch();
                match found {
                    Lookup::Found(found) => {
                        self.reply(request, Reply::Value { found, epoch, votes: Vec::new() });
                    }
                    Lookup::Damaged(damage) => self.fail(request, Self::damaged(*damage)),
                }
            }
            Some(LocalRead::Repair { to, at, key }) => self.answer_repair(to, at, key, found),
            Some(LocalRead::Answer { to, round }) => {
                let (promised, last) = (self.promise.epoch, self.log.durable_end());
                if to == self.config.id {
                    self.on_read_answer(to, round, promised, last, found);
                } else {
                    self.send(to, Message::ReadAnswer { round, promised, last, found });
                }
            }
        }
    }

    /// The epoch that this node leads or follows.
    pub(super) fn epoch(&self) -> Epoch {
        if self.primary().is_some() { self.promise.epoch } else { self.log.last.epoch }
    }

    /// Whether this member's voice counts in a quorum read: what it has promised is durable, and it is no
    /// learner. One that may not answer stays silent; the coordinator asks again in another round.
    fn may_answer(&self) -> bool {
        self.promise_is_saved() && !self.promise.learner
    }

    // --- the member's side

    pub(super) fn on_read_request(&mut self, from: NodeId, round: RoundId, key: Bytes) {
        if self.may_answer() {
            self.read_local(LocalRead::Answer { to: from, round }, key);
        }
    }

    // --- the coordinator's side

    pub(super) fn on_quorum_read(&mut self, request: RequestId, key: Bytes, timeout: Duration) {
        if self.config.quirks.has(Quirk::LocalQuorumRead) {
            return self.read_local(LocalRead::Eventual { request }, key); // the mistake: and nobody else is asked
        }
        let now = self.now;
        let read = QuorumRead {
            key,
            began: now,
            ends: now.saturating_add(timeout),
            rounds: VecDeque::new(),
            next_round: now,
            pause: PAUSE_MIN,
            patience: ROUND_PATIENCE,
        };
        self.reads.reads.insert(request, read);
        self.begin_round(request);
    }

    fn begin_round(&mut self, request: RequestId) {
        let (now, id) = (self.now, self.reads.next_round());
        let Some(read) = self.reads.reads.get_mut(&request) else { return };
        if read.rounds.len() >= ROUNDS_OPEN_MAX
            && let Some(oldest) = read.rounds.pop_front()
        {
            self.reads.by_round.remove(&oldest.id);
        }
        read.rounds.push_back(Round { id, answers: BTreeMap::new() });
        read.next_round = now.saturating_add(read.patience);
        read.patience = read.patience.saturating_mul(2);
        let key = read.key.clone();
        self.reads.by_round.insert(id, request);
        for other in self.others() {
            self.send(other, Message::ReadRequest { round: id, key: key.clone() });
        }
        if self.may_answer() {
            self.read_local(LocalRead::Answer { to: self.config.id, round: id }, key);
        }
    }

    pub(super) fn on_read_answer(
        &mut self,
        from: NodeId,
        id: RoundId,
        promised: Epoch,
        last: Position,
        found: Lookup,
    ) {
        let (now, members, quorum) = (self.now, self.config.members.len(), self.quorum());
        // A round never uses another round's answers: of rounds that are over, nothing is known here.
        let Some(&request) = self.reads.by_round.get(&id) else { return };
        let Some(read) = self.reads.reads.get_mut(&request) else { return };
        let after = now.saturating_sub(read.began);
        let newest = read.rounds.back().is_some_and(|round| round.id == id);
        let Some(place) = read.rounds.iter().position(|round| round.id == id) else { return };
        let round = &mut read.rounds[place];
        round.answers.entry(from).or_insert(Answer { promised, last, found, after });
        if let Some(decision) = decide(&round.answers, quorum, self.config.quirks) {
            let votes = self.read_votes(request, place, Some(&decision));
            let Decision { epoch, found } = decision;
            self.end_read(request);
            return self.reply(request, Reply::Value { found, epoch, votes });
        }
        let answered = round.answers.len();
        if answered == members && read.rounds.len() > 1 {
            // It can decide nothing any more. (The last one stays, for the vote report.)
            read.rounds.remove(place);
            self.reads.by_round.remove(&id);
        }
        if newest && answered == members {
            read.next_round = now.saturating_add(read.next_pause());
        } else if newest && answered >= quorum {
            // The others may decide it yet, but the next does not wait for them.
            let pause = read.next_pause().max(PAUSE_MAX / 4);
            read.next_round = read.next_round.min(now.saturating_add(pause));
        }
    }

    pub(super) fn reads_on_time(&mut self) {
        let now = self.now;
        if self.reads.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let reads = self.reads.reads.iter();
        let late: Vec<_> = reads.filter(|(_, read)| read.ends <= now).map(|(&id, _)| id).collect();
        late.into_iter().for_each(|request| self.give_up_read(request));
        let reads = self.reads.reads.iter();
        let due: Vec<_> = reads.filter(|(_, read)| read.next_round <= now).map(|(&id, _)| id).collect();
        due.into_iter().for_each(|request| self.begin_round(request));
    }

    /// The process ends: whoever waits for a quorum learns that there was none.
    pub(super) fn leave_reads_unanswered(&mut self) {
        let all: Vec<_> = self.reads.reads.keys().copied().collect();
        all.into_iter().for_each(|request| self.give_up_read(request));
    }

    /// What the vote panel shows then: the answers of the round that had most of them, the last of such.
    fn give_up_read(&mut self, request: RequestId) {
        let Some(read) = self.reads.reads.get(&request) else { return };
        let fullest = (0..read.rounds.len()).max_by_key(|&place| (read.rounds[place].answers.len(), place));
        let votes = self.read_votes(request, fullest.unwrap_or_default(), None);
        self.end_read(request);
        self.fail(request, Failure::NoQuorum { votes });
    }

    fn end_read(&mut self, request: RequestId) {
        let Some(read) = self.reads.reads.remove(&request) else { return };
        for round in &read.rounds {
            self.reads.by_round.remove(&round.id);
        }
    }

    fn read_votes(&self, request: RequestId, place: usize, decision: Option<&Decision>) -> Vec<MemberVote> {
        let round = self.reads.reads.get(&request).and_then(|read| read.rounds.get(place));
        let agrees = |answer: &Answer| {
            decision.is_some_and(|d| {
                answer.in_epoch(d.epoch, self.config.quirks) && answer.last.seq >= d.found.version.seq
            })
        };
        let vote_of = |&node: &NodeId| match round.and_then(|round| round.answers.get(&node)) {
            Some(answer) => {
                let vote = if agrees(answer) { Vote::Ack } else { Vote::Nack };
                MemberVote { node, vote, after_us: Some(answer.after.as_micros() as u64) }
            }
            None => {
                let vote = if decision.is_some() { Vote::Pending } else { self.silence(node) };
                MemberVote { node, vote, after_us: None }
            }
        };
        self.config.members.iter().map(vote_of).collect()
    }
}

/// What one round's answers prove.
struct Decision {
    /// The epoch in which a quorum agrees.
    epoch: Epoch,
    /// The value, which is committed.
    found: Found,
}

impl Answer {
    /// Whether this member has promised exactly `epoch` and its durable log ends in it.
    fn in_epoch(&self, epoch: Epoch, quirks: Quirks) -> bool {
        // [`Quirk::CountOldEpochs`]: what it has promised since does not matter.
        let promised = self.promised == epoch || quirks.has(Quirk::CountOldEpochs);
        promised && self.last.epoch == epoch
    }
}

/// The rule (see the top of this file). At most one epoch can have a quorum of the answers; within it, any
/// quorum will do, so a member that is ahead of the others does not stand in the way: the newest version is
/// taken for which a quorum knows nothing newer, and which a quorum holds.
fn decide(answers: &BTreeMap<NodeId, Answer>, quorum: usize, quirks: Quirks) -> Option<Decision> {
    if quirks.has(Quirk::HighestSeqRead) {
        return highest_seq(answers, quorum);
    }
    let in_epoch = |epoch| answers.values().filter(move |answer| answer.in_epoch(epoch, quirks));
    let epochs = answers.values().map(|answer| answer.last.epoch);
    let epoch = epochs.into_iter().find(|&epoch| in_epoch(epoch).count() >= quorum)?;
    let decides = |answer: &&Answer| {
        let version = answer.found.version();
        let nothing_newer = in_epoch(epoch).filter(|other| other.found.version() <= version).count();
        let holds_it = in_epoch(epoch).filter(|other| other.last.seq >= version.seq).count();
        nothing_newer >= quorum && holds_it >= quorum
    };
    let newest = in_epoch(epoch).filter(decides).max_by_key(|answer| answer.found.version())?;
    Some(Decision { epoch, found: supplied(answers, newest.found.version())? })
}

/// What a version holds: from any member that has it whole. A version names one value, whoever has it.
fn supplied(answers: &BTreeMap<NodeId, Answer>, version: Position) -> Option<Found> {
    let same = answers.values().filter(|answer| answer.found.version() == version);
    same.filter_map(|answer| answer.found.found()).next().cloned()
}

/// [`Quirk::HighestSeqRead`]: of a majority's answers, the one with the highest seq; its epoch, and whether anyone else
/// has it, do not matter.
fn highest_seq(answers: &BTreeMap<NodeId, Answer>, quorum: usize) -> Option<Decision> {
    let highest = answers.values().max_by_key(|answer| answer.found.version().seq)?;
    let version = highest.found.version();
    let found = supplied(answers, version)?;
    (answers.len() >= quorum).then(|| Decision { epoch: version.epoch, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Damage;

    fn answer(promised: u64, last: (u64, u64), version: (u64, u64), value: &'static str) -> Answer {
        let at = |(number, seq)| Position::new(Epoch::new(number, NodeId(1)), seq);
        let found = Found { value: Some(Bytes::from_static(value.as_bytes())), version: at(version) };
        let promised = Epoch::new(promised, NodeId(1));
        Answer { promised, last: at(last), found: found.into(), after: Duration::ZERO }
    }

    fn decided(answers: Vec<Answer>) -> Option<Bytes> {
        let answers = (1..).map(NodeId).zip(answers).collect();
        decide(&answers, 2, Quirks::NONE).and_then(|decision| decision.found.value)
    }

    #[test]
    fn a_version_that_a_quorum_holds_is_returned() {
        let answers = vec![answer(1, (1, 9), (1, 9), "new"), answer(1, (1, 9), (1, 9), "new")];
        assert_eq!(decided(answers), Some("new".into()));
    }

    #[test]
    fn the_newest_version_must_be_held_by_a_quorum() {
        let behind = vec![answer(1, (1, 9), (1, 9), "new"), answer(1, (1, 8), (1, 3), "old")];
        assert_eq!(decided(behind), None, "neither the uncommitted version nor the one before it");
    }

    #[test]
    fn a_member_that_is_ahead_alone_does_not_stand_in_the_way() {
        let ahead = answer(1, (1, 9), (1, 9), "new");
        let others = || answer(1, (1, 8), (1, 3), "old");
        assert_eq!(decided(vec![ahead, others(), others()]), Some("old".into()));
    }

    #[test]
    fn logs_that_end_in_the_same_epoch_are_not_enough() {
        // Raft's figure 8: both end in epoch 1, but one has promised epoch 3.
        let answers = vec![answer(1, (1, 9), (1, 9), "x"), answer(3, (1, 9), (1, 9), "x")];
        assert_eq!(decided(answers), None);
    }

    #[test]
    fn a_promise_without_an_entry_of_its_epoch_is_not_enough() {
        let answers = vec![answer(3, (1, 9), (1, 9), "x"), answer(3, (1, 9), (1, 9), "x")];
        assert_eq!(decided(answers), None);
    }

    #[test]
    fn a_damaged_value_counts_by_its_version_and_is_supplied_by_whoever_has_it() {
        let damaged = |answer: Answer| {
            let (at, key) = (answer.found.version(), Bytes::new());
            let damage = Damage { at, key, file: String::new(), offset: 28 };
            Answer { found: Lookup::Damaged(Box::new(damage)), ..answer }
        };
        let new = || answer(1, (1, 9), (1, 9), "new");
        assert_eq!(decided(vec![damaged(new()), new()]), Some("new".into()));
        assert_eq!(decided(vec![damaged(new()), damaged(new())]), None, "it is not absent, and not known");
        // One that has not promised the epoch does not count, but what it has is what it is.
        let apart = answer(2, (1, 9), (1, 9), "new");
        assert_eq!(decided(vec![damaged(new()), damaged(new()), apart]), Some("new".into()));
        let old = answer(1, (1, 9), (1, 3), "old");
        assert_eq!(
            decided(vec![damaged(new()), damaged(new()), old]),
            None,
            "an older value is not the value"
        );
    }
}
