//! Which rule was broken, in one sentence.

use std::fmt;
use std::time::Duration;

use kvlab::judge::{Consistency, OpKind, Operation, Phase, Violation, ViolationKind};
use kvlab::replication::{NodeId, Position};

use super::reigns::{Epochs, Reign};

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
            .or_else(|| self.never_committed(violation))
            .or_else(|| violation.rule())
    }

    /// A quorum operation succeeded without a quorum.
    fn too_few_votes(&self, operations: &[&Operation]) -> Option<String> {
        let (operation, few) = operations.iter().find_map(|operation| {
            Some((operation, self.too_few.iter().find(|few| few.i == operation.began.i)?))
        })?;
        let (says, voters) = (Says(operation), Set(&few.votes));
        let (votes, members, quorum) = (few.votes.len(), self.members, self.quorum());
        Some(format!(
            "{says} with {voters} alone behind it: {votes} of {members}, where a quorum is {quorum}"
        ))
    }

    /// A member went back behind a vote that had been counted.
    fn forgotten_vote(&self, operations: &[&Operation]) -> Option<String> {
        let end = operations.iter().filter_map(|operation| ended_at(operation)).max()?;
        let counted = |epoch, node: NodeId| {
            self.reigns().iter().any(|reign| reign.epoch == epoch && reign.voters.contains(&node))
        };
        let forgotten =
            self.forgotten_votes.iter().find(|vote| vote.at <= end && counted(vote.epoch, vote.node))?;
        let (node, epoch, instead) = (forgotten.node, forgotten.epoch, forgotten.instead);
        let (voted, at) = (Seconds(forgotten.voted), Seconds(forgotten.at));
        let went_on = operations.iter().find(|operation| {
            began_at(operation) >= forgotten.voted && entry(operation).is_some_and(|at| at.epoch < epoch)
        });
        let then = went_on.map_or_else(String::new, |operation| format!("; {}", Says(operation)));
        Some(format!(
            "{node} had voted for {epoch} at t={voted} and knew only of {instead} again at t={at}{then}"
        ))
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
            let over = |reign: &&Reign| reign.epoch > at.epoch && reign.since <= begun;
            let over = self.reigns().iter().filter(over).max_by_key(|reign| !reign.forced)?;
            let write = operation.op != OpKind::Get && operation.consistency == Consistency::Quorum;
            write.then(|| format!("{}; {}", Says(operation), Moved(over, Tense::Before)))
        })
    }

    /// Somebody had answered in a higher epoch.
    fn moved(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (new, old) = (entry(newer)?, entry(older)?);
            let reign = self.reigns().iter().find(|reign| reign.epoch == new.epoch)?;
            (new.epoch > old.epoch).then(|| format!("{}; {}", Says(older), Moved(reign, Tense::Before)))
        })
    }

    /// Somebody came to lead in between, and what was acknowledged did not come along.
    fn left_behind(&self, pairs: &[Backwards<'_>]) -> Option<String> {
        pairs.iter().find_map(|Backwards { newer, older }| {
            let (at, from, to) = (entry(newer)?, ended_at(newer)?, ended_at(older)?);
            let between = |reign: &&Reign| reign.epoch > at.epoch && reign.since >= from && reign.since <= to;
            let reign = self.reigns().iter().find(between)?;
            Some(format!("{}; {}; then {}", Says(newer), Moved(reign, Tense::Then), Says(older)))
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
        let over = self
            .reigns()
            .iter()
            .find(|reign| reign.epoch > at.epoch && !reign.forced && reign.since <= begun)?;
        Some(format!("{}; {}", Says(read), Moved(over, Tense::Before)))
    }
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
                write!(f, " with entry {} of epoch {}", at.seq, at.epoch)?
            }
            Some(at) => write!(f, " entry {} in epoch {}", at.seq, at.epoch)?,
            None if self.0.value.is_none() => f.write_str(" that there is nothing")?,
            None => {}
        }
        ended_at(self.0).map_or(Ok(()), |at| write!(f, " at t={}", Seconds(at)))
    }
}

/// `n3's quorum {n2,n3} had moved to 2@n3 at t=3.900 s`.
struct Moved<'a>(&'a Reign, Tense);

/// Whether a reign began before what was told ahead of it in the sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    Before,
    Then,
}

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Reign { epoch, primary, since, voters, forced, .. }, tense) = self;
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
