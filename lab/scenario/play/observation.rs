//! Whether conditions hold: judged on what running members have reported since the last thing was done.

use std::time::Duration;

use kvlab::types::{NodeId, Resyncs, Role};

use super::roles::Roles;
use crate::cluster::View;
use crate::engine::{NodeState, Term};
use crate::run::event::{ProcessState, Verdict};
use crate::scenario::language::model::{Condition, StateWord};
use crate::scenario::language::say::word_for;
use crate::scenario::language::words::Target;

/// A report that came sooner than this after something was done may have been sent before it.
const REPORT_MARGIN: Duration = Duration::from_millis(50);

/// All that is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The cluster.
    pub view: &'a View,
    /// The judge.
    pub verdict: &'a Verdict,
    /// Who is who.
    pub roles: &'a Roles,
}

/// A look at a cluster that began at one moment and goes on until its conditions hold.
///
/// * Only reports that came after the beginning count: an old report may be from before a fault.
/// * "What the primary has" is fixed once, so that it can be reached under load; a new epoch fixes it anew.
#[derive(Clone, Debug)]
pub struct Observation {
    since: Duration,
    converging: Option<(Term, u64)>,
    catching_up: Option<(Term, u64)>,
}

/// Why a condition does not hold, in a few words.
type Unmet = String;

impl Observation {
    /// A look at what is reported after `since`, the end of the last thing that was done.
    pub fn new(since: Duration) -> Self {
        Self { since, converging: None, catching_up: None }
    }

    /// Whether every running member has reported, so that roles can be told.
    pub fn informed(&self, moment: Moment<'_>) -> Result<(), Unmet> {
        let unheard = moment.roles.members().iter().find(|node| {
            matches!(moment.view.processes.get(node), Some(ProcessState::Running { .. }))
                && self.report(moment, **node).is_err()
        });
        unheard.map_or(Ok(()), |node| Err(format!("{node} runs but has not reported")))
    }

    /// Whether all conditions hold at this moment; if not, why the first of those that do not.
    pub fn holds(&mut self, moment: Moment<'_>, conditions: &[Condition]) -> Result<(), Unmet> {
        conditions.iter().try_for_each(|condition| self.holds_one(moment, condition))
    }

    fn holds_one(&mut self, moment: Moment<'_>, condition: &Condition) -> Result<(), Unmet> {
        match condition {
            Condition::Measured(expect) => {
                return match expect.measure.read(moment.verdict, None) {
                    Some(actual) if expect.expected.holds(actual) => Ok(()),
                    Some(actual) => Err(format!("{} is {actual}", expect.measure.name())),
                    None => Err(format!("{} is not known", expect.measure.name())),
                };
            }
            Condition::State(targets, wanted) => return state(moment, targets, *wanted),
            _ => self.informed(moment)?,
        }
        match condition {
            Condition::Primaries(count) => {
                let primaries = self.primaries(moment);
                let said: Vec<_> = primaries.iter().map(|s| s.node.to_string()).collect();
                let found = if said.is_empty() { "nobody".to_owned() } else { said.join(" and ") };
                held(count.holds(primaries.len() as u64), || format!("{found} is primary"))
            }
            Condition::Primary(target) => {
                let node = moment.roles.resolve_one(moment.view, *target)?;
                let primary = self.primaries(moment).into_iter().max_by_key(|s| &s.term).map(|s| s.node);
                let found = || primary.map_or("nobody".to_owned(), |id| id.to_string());
                held(primary == Some(node), || format!("{} is primary", found()))
            }
            Condition::Converged => self.converged(moment),
            Condition::CaughtUp(targets) => self.caught_up(moment, targets),
            Condition::Stale(targets) => {
                self.each(moment, targets, |s| held(s.stale, || "serves reads".to_owned()))
            }
            Condition::Fresh(targets) => {
                self.each(moment, targets, |s| held(!s.stale, || "refuses reads".to_owned()))
            }
            Condition::Lag(target, lag) => self.each(moment, &[*target], |s| {
                let behind = if s.role == Role::Primary { Some(0) } else { s.lag };
                let behind = behind.ok_or("does not know its lag")?;
                held(lag.holds(behind), || format!("is {behind} behind"))
            }),
            Condition::Seq(target, seq) => self.each(moment, &[*target], |s| {
                held(seq.holds(s.last.index), || format!("is at {}", s.last.index))
            }),
            Condition::PartialResyncs(count) => {
                let were = self.resyncs(moment, |resyncs| resyncs.partial);
                held(count.holds(were), || format!("there were {were} partial resyncs"))
            }
            Condition::FullResyncs(count) => {
                let were = self.resyncs(moment, |resyncs| resyncs.full);
                held(count.holds(were), || format!("there were {were} full resyncs"))
            }
            Condition::Measured(_) | Condition::State(..) => unreachable!("judged above"),
        }
    }

    /// One primary, followed by every other running member in its epoch, and nobody behind what it had when
    /// that was first so.
    fn converged(&mut self, moment: Moment<'_>) -> Result<(), Unmet> {
        let primaries = self.primaries(moment);
        let [primary] = primaries[..] else {
            return Err(format!("there are {} primaries", primaries.len()));
        };
        let running: Vec<&NodeState> = self.running(moment).collect();
        if running.len() <= moment.roles.members().len() / 2 {
            return Err(format!("only {} members run", running.len()));
        }
        for status in &running {
            let settled = status.term == primary.term
                && status.kvlab.as_ref().is_none_or(|ours| ours.promised == primary.term)
                && status.last.term == primary.term
                && status.resync.is_none()
                && matches!(status.role, Role::Primary | Role::Replica);
            if !settled {
                self.converging = None;
                return Err(format!(
                    "{} does not follow {} in {} yet",
                    status.node, primary.node, primary.term
                ));
            }
        }
        let goal = fixed(&mut self.converging, primary);
        let behind = running.iter().find(|status| status.durable < goal);
        behind.map_or(Ok(()), |s| Err(format!("{} is at {} of {goal}", s.node, s.durable)))
    }

    /// These members have what the primary had at the first look.
    fn caught_up(&mut self, moment: Moment<'_>, targets: &[Target]) -> Result<(), Unmet> {
        let primary =
            self.primaries(moment).into_iter().max_by_key(|s| &s.term).ok_or("nobody is primary")?;
        let (term, goal) = (&primary.term, fixed(&mut self.catching_up, primary));
        self.each(moment, targets, |s| {
            let there = s.last.term == *term && s.durable >= goal;
            held(there, || format!("is at {} of {term}/{goal}", s.last))
        })
    }

    /// Whether `test` holds for the report of each of these.
    fn each(
        &self,
        moment: Moment<'_>,
        targets: &[Target],
        test: impl Fn(&NodeState) -> Result<(), Unmet>,
    ) -> Result<(), Unmet> {
        for node in moment.roles.resolve_all(moment.view, targets)? {
            test(self.report(moment, node)?).map_err(|why| format!("{node} {why}"))?;
        }
        Ok(())
    }

    fn resyncs(&self, moment: Moment<'_>, which: impl Fn(&Resyncs) -> u64) -> u64 {
        self.running(moment).filter_map(|state| state.kvlab.as_ref()).map(|ours| which(&ours.resyncs)).sum()
    }

    fn primaries<'a>(&self, moment: Moment<'a>) -> Vec<&'a NodeState> {
        self.running(moment).filter(|status| status.role == Role::Primary).collect()
    }

    fn running<'a>(&self, moment: Moment<'a>) -> impl Iterator<Item = &'a NodeState> {
        moment.roles.members().iter().filter_map(move |node| self.report(moment, *node).ok())
    }

    /// What a running member has reported since the beginning.
    fn report<'a>(&self, moment: Moment<'a>, node: NodeId) -> Result<&'a NodeState, Unmet> {
        let Some(ProcessState::Running { pid, .. }) = moment.view.processes.get(&node) else {
            return Err(format!("{node} does not run"));
        };
        match moment.view.statuses.get(&node) {
            Some((t, state)) if state.pid == *pid && *t >= self.since + REPORT_MARGIN => Ok(state),
            _ => Err(format!("{node} has not reported")),
        }
    }
}

/// The end of the primary's log at the first look in this epoch.
fn fixed(goal: &mut Option<(Term, u64)>, primary: &NodeState) -> u64 {
    let kept = goal.take().filter(|(term, _)| *term == primary.term);
    goal.insert(kept.unwrap_or_else(|| (primary.term.clone(), primary.last.index))).1
}

fn held(holds: bool, why: impl FnOnce() -> String) -> Result<(), Unmet> {
    if holds { Ok(()) } else { Err(why()) }
}

fn state(moment: Moment<'_>, targets: &[Target], wanted: StateWord) -> Result<(), Unmet> {
    for node in moment.roles.resolve_all(moment.view, targets)? {
        let found = moment.view.processes.get(&node).map(|state| match state {
            ProcessState::Starting { .. } => StateWord::Starting,
            ProcessState::Running { .. } => StateWord::Running,
            ProcessState::Paused { .. } => StateWord::Paused,
            ProcessState::Stopped { .. } => StateWord::Stopped,
            ProcessState::Died { .. } => StateWord::Died,
        });
        if found != Some(wanted) {
            let found = found.map_or("not there", |word| word_for(&StateWord::WORDS, &word));
            return Err(format!("{node} is {found}"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/observation.rs"]
mod tests;
