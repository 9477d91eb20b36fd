//! Which rule a violation broke, in one sentence made of the run's facts.

use std::fmt;
use std::time::Duration;

use kvlab::judge::{Consistency, OpKind, Operation, Phase, Violation, ViolationKind};
use kvlab::types::{NodeId, Position};

use super::leadership::{Epochs, ForgottenVote, Instead, Joined, Leadership};
use crate::run::event::quorum;

/// Two operations of a proof of which the later one knew less.
struct Backwards<'v> {
    /// It had ended before the other began. It names an entry.
    newer: &'v Operation,
    /// It named an entry that comes before that, or nothing.
    older: &'v Operation,
}

impl Epochs {
    /// Which rule was broken, in one sentence, where epochs, seqs and votes are known; else what the operations tell
    /// by themselves. It explains a verdict and decides nothing.
    pub(crate) fn rule(&self, violation: &Violation) -> Option<String> {
        let operations = violation.operations();
        let pairs = backwards(&operations);
        self.too_few_votes(&operations)
            .or_else(|| self.forgotten_vote(&operations))
            .or_else(|| self.power_loss(&pairs))
            .or_else(|| self.deposed(&operations))
            .or_else(|| self.moved(&pairs))
            .or_else(|| self.left_behind(&pairs))
            .or_else(|| self.joined_logs(&pairs))
            .or_else(|| self.never_committed(violation))
            .or_else(|| violation.rule())
            .or_else(|| went_back(&pairs))
    }

    /// A quorum operation succeeded without a quorum.
    fn too_few_votes(&self, operations: &[&Operation]) -> Option<String> {
        let (operation, few) = operations.iter().find_map(|operation| {
            let few = self.too_few.iter().find(|few| few.i == operation.began.i)?;
            // That nobody agreed with an answer is no more than that: what is old says more.
            (few.members == 0 || !few.acks.is_empty()).then_some((operation, few))
        })?;
        let says = Says(operation);
        if few.members == 0 {
            return Some(format!("{says}, and no member was asked for it: not one vote came with it"));
        }
        let (acks, members, quorum) = (few.acks.len(), few.members, quorum(few.members));
        let voters = Set(&few.acks);
        Some(format!("{says} with {voters} alone behind it: {acks} of {members}, where a quorum is {quorum}"))
    }

    /// A member went back behind a vote that had been counted, and something was acknowledged in the older epoch since.
    fn forgotten_vote(&self, operations: &[&Operation]) -> Option<String> {
        let counted = |vote: &&ForgottenVote| {
            let won = |leadership: &Leadership| {
                leadership.epoch == vote.epoch && leadership.voters.contains(&vote.node)
            };
            self.leaderships().iter().any(won)
        };
        let went_on = |vote: &ForgottenVote| {
            let since = |operation: &&&Operation| {
                let old = entry(operation).is_some_and(|at| at.epoch == vote.instead.epoch());
                old && operation.op != OpKind::Get && began_at(operation) >= vote.voted
            };
            operations.iter().find(since).copied()
        };
        let (vote, went_on) = self
            .forgotten_votes
            .iter()
            .rev()
            .filter(counted)
            .find_map(|vote| Some((vote, went_on(vote)?)))?;
        let (node, epoch, voted, at) = (vote.node, vote.epoch, Seconds(vote.voted), Seconds(vote.at));
        let instead = match vote.instead {
            Instead::Follows(old) => format!("followed {} in {old} again", old.node),
            Instead::Knows(old) => format!("had promised nothing beyond {old}"),
        };
        let went_on = Says(went_on);
        Some(format!("{node} had voted for {epoch} at t={voted}, and {instead} at t={at}; {went_on}"))
    }

    /// The power took what had been acknowledged.
    fn power_loss(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (from, to) = (ended_at(newer)?, ended_at(older)?);
            let mut between = self.power_losses.iter().filter(|loss| loss.at >= from && loss.at <= to);
            let loss = between.find(|loss| newer.node == Some(loss.node))?;
            let (node, at) = (loss.node, Seconds(loss.at));
            let bytes = if loss.bytes == 1 { "byte".to_owned() } else { format!("{} bytes", loss.bytes) };
            Some(format!(
                "{}; the power took the last {bytes} of {node}'s log at t={at}, which were not synced",
                Says(newer)
            ))
        })
    }

    /// A write was acknowledged that had begun when a quorum had already moved to a higher epoch.
    fn deposed(&self, operations: &[&Operation]) -> Option<String> {
        operations.iter().find_map(|operation| {
            let at = entry(operation)?;
            let begun = began_at(operation);
            let over = |leadership: &&Leadership| leadership.epoch > at.epoch && leadership.since <= begun;
            let over = self.leaderships().iter().filter(over).max_by_key(|leadership| !leadership.forced)?;
            let write = operation.op != OpKind::Get && operation.consistency == Consistency::Quorum;
            write.then(|| format!("{}; {}", Says(operation), Moved(over, Tense::Before)))
        })
    }

    /// Somebody had answered in a higher epoch.
    fn moved(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (new, old) = (entry(newer)?, entry(older)?);
            let leadership = self.leaderships().iter().find(|leadership| leadership.epoch == new.epoch)?;
            (new.epoch > old.epoch).then(|| format!("{}; {}", Says(older), Moved(leadership, Tense::Before)))
        })
    }

    /// Somebody came to lead in between, and what was acknowledged did not come along.
    fn left_behind(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (at, from, to) = (entry(newer)?, ended_at(newer)?, ended_at(older)?);
            let between = |leadership: &&Leadership| {
                leadership.epoch > at.epoch && leadership.since >= from && leadership.since <= to
            };
            let leadership = self.leaderships().iter().find(between)?;
            Some(format!("{}; {}; then {}", Says(newer), Moved(leadership, Tense::Then), Says(older)))
        })
    }

    /// What was answered first came from a log that a primary of a higher epoch had taken for a part of its own.
    fn joined_logs(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (at, to) = (entry(newer)?, ended_at(newer)?);
            let covers = |joined: &&Joined| {
                let end = joined.from;
                newer.node == Some(joined.node) && end.epoch == at.epoch && end.seq >= at.seq && joined.at <= to
            };
            let Joined { primary, node, from, at } = self.joined.iter().find(covers)?;
            let leadership = self.leaderships().iter().rev().find(|leadership| leadership.primary == *primary && leadership.since <= *at)?;
            let (newer, older) = (Says(newer), Says(older));
            (leadership.epoch > from.epoch).then(|| {
                let (epoch, at) = (leadership.epoch, Seconds(*at));
                format!(
                    "{primary} of {epoch} took {node}'s log, ending in {from}, for a part of its own at t={at}; {newer}; \
                     then {older}"
                )
            })
        })
    }

    /// A read returned what no write put there, from an epoch that was over.
    fn never_committed(&self, violation: &Violation) -> Option<String> {
        let read = match &violation.kind {
            ViolationKind::NeverWritten { read } | ViolationKind::Forgotten { read, .. } => read,
            ViolationKind::FailedWrite { read, .. } => read.as_ref()?,
            ViolationKind::Order(_) | ViolationKind::NoOrder { .. } => return None,
        };
        let (at, begun) = (entry(read)?, began_at(read));
        let over = self.leaderships().iter().find(|leadership| {
            leadership.epoch > at.epoch && !leadership.forced && leadership.since <= begun
        })?;
        Some(format!("{}; {}", Says(read), Moved(over, Tense::Before)))
    }
}

/// What the operations tell by themselves.
fn went_back(pairs: &[Backwards<'_>]) -> Option<String> {
    pairs.first().map(|Backwards { newer, older }| format!("{}; then {}", Says(newer), Says(older)))
}

/// All pairs in which the later operation knew less, in the order in which the later ones began.
fn backwards<'v>(operations: &[&'v Operation]) -> Vec<Backwards<'v>> {
    let pairs = operations.iter().flat_map(|older| operations.iter().map(move |newer| (*newer, *older)));
    let knew_less = |(newer, older): &(&Operation, &Operation)| {
        let Some(new) = entry(newer) else { return false };
        let less = match entry(older) {
            Some(old) => old < new,
            None => answered(older) && older.op == OpKind::Get && older.value.is_none(),
        };
        newer.precedes(older) && less
    };
    pairs.filter(knew_less).map(|(newer, older)| Backwards { newer, older }).collect()
}

fn answered(operation: &Operation) -> bool {
    operation.ended.as_ref().is_some_and(|ended| ended.phase == Phase::Ok)
}

/// The entry that an operation wrote or read, where it was told.
fn entry(operation: &Operation) -> Option<Position> {
    let ended = operation.ended.as_ref().filter(|ended| ended.phase == Phase::Ok)?;
    Some(Position::new(ended.epoch?, ended.seq?))
}

fn began_at(operation: &Operation) -> Duration {
    Duration::from_nanos(operation.began.t_ns)
}

fn ended_at(operation: &Operation) -> Option<Duration> {
    operation.ended.as_ref().map(|ended| Duration::from_nanos(ended.at.t_ns))
}

/// `n1 acknowledged entry 412 of epoch 1@n1 at t=4.210 s`.
struct Says<'a>(&'a Operation);

impl fmt::Display for Says<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.node {
            Some(node) => write!(f, "{node} ")?,
            None => f.write_str("a node ")?,
        }
        f.write_str(if self.0.op == OpKind::Get { "answered" } else { "acknowledged" })?;
        match entry(self.0) {
            Some(at) if self.0.op == OpKind::Get => {
                write!(f, " with entry {} of epoch {}", at.seq, at.epoch)?;
            }
            Some(at) => write!(f, " entry {} in epoch {}", at.seq, at.epoch)?,
            None if self.0.value.is_none() => f.write_str(" that there is nothing")?,
            None => {}
        }
        ended_at(self.0).map_or(Ok(()), |at| write!(f, " at t={}", Seconds(at)))
    }
}

/// `n3's quorum {n2,n3} had moved to 2@n3 at t=3.900 s`.
struct Moved<'a>(&'a Leadership, Tense);

/// Whether a leadership began before what was told ahead of it in the sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    Before,
    Then,
}

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Leadership { epoch, primary, since, voters, forced, .. }, tense) = self;
        let (since, had) = (Seconds(*since), if *tense == Tense::Before { "had " } else { "" });
        let came = if *tense == Tense::Before { "come" } else { "came" };
        match (forced, voters.is_empty()) {
            (true, _) => write!(
                f,
                "{primary} {had}made itself primary of {epoch} by force at t={since}: no quorum stood behind it"
            ),
            (false, true) => write!(f, "{primary} {had}{came} to lead {epoch} by t={since}"),
            (false, false) => {
                write!(f, "{primary}'s quorum {} {had}moved to {epoch} at t={since}", Set(voters))
            }
        }
    }
}

/// `{n2,n3}`.
struct Set<'a>(&'a [NodeId]);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", names.join(","))
    }
}

/// As the judge writes times: seconds with milliseconds, and the unit.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}
