//! Whether conditions hold: judged on what running members have reported since the last thing was done.

use std::time::Duration;

use kvlab::types::{NodeId, Resyncs, Role};

use super::cast::Cast;
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
    pub cast: &'a Cast,
}

/// A look at a cluster that began at one moment and goes on until its conditions hold.
///
/// * Only reports that came after the beginning count: an old report may be from before a fault.
/// * "What the primary has" is fixed once, so that it can be reached under load; a new epoch fixes it anew.
#[derive(Clone, Debug)]
pub struct Watch {
    since: Duration,
    converging: Option<(Term, u64)>,
    catching_up: Option<(Term, u64)>,
}

/// Why a condition does not hold, in a few words.
type Unmet = String;

impl Watch {
    /// A look at what is reported after `since`, the end of the last thing that was done.
    pub fn new(since: Duration) -> Self {
        Self { since, converging: None, catching_up: None }
    }

    /// Whether every running member has reported, so that roles can be told.
    pub fn informed(&self, moment: Moment<'_>) -> Result<(), Unmet> {
        let unheard = moment.cast.members().iter().find(|node| {
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
                let node = moment.cast.resolve_one(moment.view, *target)?;
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
        if running.len() <= moment.cast.members().len() / 2 {
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
        for node in moment.cast.resolve_all(moment.view, targets)? {
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
        moment.cast.members().iter().filter_map(move |node| self.report(moment, *node).ok())
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
    for node in moment.cast.resolve_all(moment.view, targets)? {
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
mod tests {
    use kvlab::types::Epoch;

    use super::*;
    use crate::scenario::language::model::Act;
    use crate::scenario::language::model::Scenario;
    use crate::scenario::tests::fixture::*;

    const BEGAN: Duration = Duration::from_secs(5);
    const LATER: Duration = Duration::from_secs(6);

    /// Conditions as they are written in a file.
    fn conditions(text: &str) -> Vec<Condition> {
        let file = format!("title = \"t\"\n[[step]]\nwait = {text}\n");
        let scenario = Scenario::parse("t", "t.toml", &file).unwrap_or_else(|e| panic!("{e}"));
        match scenario.steps[0].act.clone() {
            Some(Act::Wait { conditions, .. }) => conditions,
            other => panic!("{other:?}"),
        }
    }

    fn look(watch: &mut Watch, view: &View, text: &str) -> String {
        let mut cast = Cast::new(members(3));
        cast.observe(view);
        let mut verdict = Verdict::default();
        verdict.harm.stale_reads = 3;
        let moment = Moment { view, verdict: &verdict, cast: &cast };
        watch.holds(moment, &conditions(text)).map_or_else(|why| why, |()| "holds".to_owned())
    }

    fn once(view: &View, text: &str) -> String {
        look(&mut Watch::new(BEGAN), view, text)
    }

    #[test]
    fn conditions_of_a_healthy_cluster() {
        let view = healthy(3, LATER);
        for (text, expected) in [
            ("{ primaries = 1 }", "holds"),
            ("{ primaries = \">=2\" }", "n1 is primary"),
            ("{ primary = \"n1\" }", "holds"),
            ("{ primary = \"n2\" }", "n1 is primary"),
            ("{ converged = true }", "holds"),
            ("{ caught_up = \"replicas\" }", "holds"),
            ("{ fresh = \"all\" }", "holds"),
            ("{ stale = \"n3\" }", "n3 serves reads"),
            ("{ lag = { node = \"n2\", is = 0 } }", "holds"),
            ("{ lag = { node = \"n2\", is = \">5\" } }", "n2 is 0 behind"),
            ("{ seq = { node = \"n2\", is = \">=10\" } }", "holds"),
            ("{ seq = { node = \"n2\", is = \">10\" } }", "n2 is at 10"),
            ("{ state = { node = \"all\", is = \"running\" } }", "holds"),
            ("{ state = { node = \"n2\", is = \"paused\" } }", "n2 is running"),
            ("{ partial_resyncs = 0, full_resyncs = 0 }", "holds"),
            ("{ partial_resyncs = \">0\" }", "there were 0 partial resyncs"),
            ("{ harm.stale_reads = \">2\" }", "holds"),
            ("{ harm.stale_reads = 0 }", "harm.stale_reads is 3"),
            ("{ promise.linearizable = true }", "promise.linearizable is not known"),
            ("{ primaries = 1, stale = \"n2\" }", "n2 serves reads"),
        ] {
            assert_eq!(once(&view, text), expected, "{text}");
        }
    }

    #[test]
    fn reports_from_before_do_not_count() {
        let mut view = healthy(3, LATER);
        view.statuses.get_mut(&n(2)).expect("n2").0 = BEGAN + Duration::from_millis(10);
        assert_eq!(once(&view, "{ converged = true }"), "n2 runs but has not reported");
        // A paused member cannot report, and is not waited for.
        process(&mut view, 2, ProcessState::Paused { pid: 102 });
        assert_eq!(once(&view, "{ converged = true }"), "holds");
    }

    #[test]
    fn a_paused_primary_is_not_counted_as_running() {
        let mut view = healthy(3, LATER);
        process(&mut view, 1, ProcessState::Paused { pid: 101 });
        assert_eq!(once(&view, "{ primaries = 1 }"), "nobody is primary");
        assert_eq!(once(&view, "{ primary = \"n1\" }"), "nobody is primary");
    }

    #[test]
    fn two_primaries_do_not_converge() {
        let mut view = healthy(3, LATER);
        edit(&mut view, 2, |s| turn(s, Role::Primary, Epoch::new(2, n(2))));
        assert_eq!(once(&view, "{ primaries = 2 }"), "holds");
        assert_eq!(once(&view, "{ converged = true }"), "there are 2 primaries");
        assert_eq!(once(&view, "{ primary = \"n2\" }"), "holds");
    }

    #[test]
    fn convergence_needs_the_epoch_in_every_log() {
        let mut view = healthy(3, LATER);
        edit(&mut view, 3, |s| s.last.term = Epoch::ZERO.into());
        assert_eq!(once(&view, "{ converged = true }"), "n3 does not follow n1 in 1@n1 yet");
        let mut view = healthy(3, LATER);
        edit(&mut view, 3, |s| s.resync = Some((1, 2)));
        assert_eq!(once(&view, "{ converged = true }"), "n3 does not follow n1 in 1@n1 yet");
        process(&mut view, 2, stopped());
        process(&mut view, 3, stopped());
        assert_eq!(once(&view, "{ converged = true }"), "only 1 members run");
    }

    #[test]
    fn convergence_can_be_reached_under_load() {
        let mut view = healthy(3, LATER);
        let mut watch = Watch::new(BEGAN);
        edit(&mut view, 1, |s| (s.last.index, s.durable) = (20, 20));
        assert_eq!(look(&mut watch, &view, "{ converged = true }"), "n2 is at 10 of 20");
        // The primary has gone on, the replicas have what it had.
        edit(&mut view, 1, |s| (s.last.index, s.durable) = (40, 40));
        for id in [2, 3] {
            edit(&mut view, id, |s| (s.last.index, s.durable) = (25, 25));
        }
        assert_eq!(look(&mut watch, &view, "{ converged = true }"), "holds");
        // In a new epoch the goal is set anew.
        for id in [1, 2, 3] {
            edit(&mut view, id, |s| {
                turn(s, s.role, Epoch::new(2, n(1)));
                s.last.term = s.term.clone();
            });
        }
        assert_eq!(look(&mut watch, &view, "{ converged = true }"), "n2 is at 25 of 40");
    }

    #[test]
    fn resyncs_of_all_running_members_are_counted() {
        let mut view = healthy(3, LATER);
        edit(&mut view, 1, |s| (ours(s).resyncs.partial, ours(s).resyncs.full) = (2, 1));
        edit(&mut view, 2, |s| ours(s).resyncs.full = 1);
        assert_eq!(once(&view, "{ partial_resyncs = 2, full_resyncs = 2 }"), "holds");
        process(&mut view, 2, stopped());
        assert_eq!(once(&view, "{ full_resyncs = 2 }"), "there were 1 full resyncs");
    }

    #[test]
    fn catching_up_has_a_fixed_goal() {
        let mut view = healthy(3, LATER);
        let mut watch = Watch::new(BEGAN);
        edit(&mut view, 1, |s| s.last.index = 20);
        assert_eq!(look(&mut watch, &view, "{ caught_up = \"n3\" }"), "n3 is at 1@n1/10 of 1@n1/20");
        edit(&mut view, 1, |s| s.last.index = 99);
        edit(&mut view, 3, |s| (s.last.index, s.durable) = (20, 20));
        assert_eq!(look(&mut watch, &view, "{ caught_up = \"n3\" }"), "holds");
    }
}
