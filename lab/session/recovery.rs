//! Whether the cluster is whole, and whether it has grown together again. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::types::{NodeId, Role};

use crate::cluster::View;
use crate::engine::{NodeState, Place, Term};
use crate::run::event::{LinkState, ProcessState};

/// Watches the cluster and times its recovery: from the moment in which nothing is broken any more to the moment
/// in which one primary leads and every member holds all that it held by then.
///
/// It works under load, when ends of logs are never equal because they never stand still.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    healed: Option<Duration>,
    /// What the members must hold: the primary's end when it was first followed by all.
    target: Option<(Term, u64)>,
    recovered: Option<Duration>,
}

/// Why a cluster is not converged: one reason, for people.
pub(crate) type Reason = String;

impl Recovery {
    /// Takes what is seen at `now`.
    pub(crate) fn observe(&mut self, now: Duration, view: &View) {
        if !is_whole(view) {
            *self = Self::default();
            return;
        }
        let healed = *self.healed.get_or_insert(now);
        if self.recovered.is_some() {
            return;
        }
        // A status from before the healing says nothing about what came of it.
        let fresh = |(at, _): &(Duration, NodeState)| *at >= healed;
        if view.statuses.len() < view.processes.len() || !view.statuses.values().all(fresh) {
            return;
        }
        let Ok(primary) = led_by_one(view) else { return };
        if self.target.as_ref().is_none_or(|(term, _)| *term != primary.term) {
            self.target = Some((primary.term.clone(), primary.last.index));
        }
        let target = self.target.as_ref();
        let holds = |(_, state): &(Duration, NodeState)| {
            let reached = |(term, index): &(Term, u64)| state.last.term == *term && state.durable >= *index;
            target.is_some_and(reached) && state.resync.is_none()
        };
        if view.statuses.values().all(holds) {
            self.recovered = Some(now);
        }
    }

    /// From the last healing to the recovery, if there was one.
    pub(crate) fn took(&self) -> Option<Duration> {
        Some(self.recovered?.saturating_sub(self.healed?))
    }
}

/// Whether every link is up and every node runs.
pub(crate) fn is_whole(view: &View) -> bool {
    view.links.values().all(|link| *link == LinkState::Up)
        && view.processes.values().all(|state| matches!(state, ProcessState::Running { .. }))
}

/// Whether the members agree for good: one primary, all follow it, and every log ends at the same place, durable
/// and committed. Only a cluster at rest can. `since`: older statuses do not count.
pub(crate) fn converged(view: &View, since: Duration) -> Result<(), Reason> {
    for (node, state) in &view.processes {
        if !matches!(state, ProcessState::Running { .. }) {
            return Err(format!("{node} does not run"));
        }
        match view.statuses.get(node) {
            None => return Err(format!("{node} has said nothing")),
            Some((at, _)) if *at < since => return Err(format!("{node} has said nothing lately")),
            Some(_) => {}
        }
    }
    let primary = led_by_one(view)?;
    let end = &primary.last;
    for (_, state) in view.statuses.values() {
        if let Some((have, total)) = state.resync {
            return Err(format!("{} is being resynced ({have} of {total} bytes)", state.node));
        }
        if state.last != *end {
            return Err(format!("{} ends at {}, {} at {end}", state.node, state.last, primary.node));
        }
        let committed = state.commit.unwrap_or(state.durable);
        if state.durable != end.index || committed != end.index {
            return Err(format!(
                "{} is durable to {} and committed to {committed} of {}",
                state.node, state.durable, end.index
            ));
        }
    }
    Ok(())
}

/// Where a member stands when everything is at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Where its durable log ends.
    pub(crate) at: Place,
    /// How many keys it holds.
    pub(crate) keys: u64,
}

/// Where each member stands.
pub(crate) fn ends(view: &View) -> BTreeMap<NodeId, End> {
    let end = |(node, (_, state)): (&NodeId, &(Duration, NodeState))| {
        let at = Place { term: state.last.term.clone(), index: state.durable };
        (*node, End { at, keys: state.keys })
    };
    view.statuses.iter().map(end).collect()
}

/// The one primary, if there is one and everybody follows its epoch.
pub(crate) fn led_by_one(view: &View) -> Result<&NodeState, Reason> {
    let mut primaries = view.statuses.values().filter(|(_, state)| state.role == Role::Primary);
    let Some((_, primary)) = primaries.next() else {
        return Err("there is no primary, and no member has won enough votes to be one".to_owned());
    };
    if let Some((_, other)) = primaries.next() {
        let (one, other) = (primary.node, other.node);
        return Err(format!("{one} and {other} both call themselves primary"));
    }
    for (_, state) in view.statuses.values() {
        if state.term != primary.term {
            return Err(format!("{} does not follow {}", state.node, primary.term));
        }
    }
    Ok(primary)
}

/// A cluster that is whole and has had no primary for this long gets one, as an operator would give it: by vote, or
/// not at all. A restarted primary asks for votes by itself, and has had the time to.
const LEADERLESS_MAX: Duration = Duration::from_millis(1500);

/// Watches a cluster that settles for being without a primary.
#[derive(Debug, Default)]
pub(crate) struct Vacancy {
    since: Option<Duration>,
}

impl Vacancy {
    /// Takes what is seen at `now`; what was said before `since` does not count. Returns whom to promote, and when: if
    /// that is now or before, the promotion is taken for begun, and time is counted anew.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        view: &View,
        since: Duration,
    ) -> Option<(NodeId, Duration)> {
        let Some(node) = next_in_line(view, since) else {
            self.since = None;
            return None;
        };
        let at = *self.since.get_or_insert(now) + LEADERLESS_MAX;
        if at <= now {
            self.since = None;
        }
        Some((node, at))
    }
}

/// Who should lead a cluster in which everyone runs and nobody leads or asks to: the member whose log reaches
/// furthest, of equals the first. `since`: older statuses do not count. `None`: somebody leads or may yet, or it cannot
/// be said.
fn next_in_line(view: &View, since: Duration) -> Option<NodeId> {
    let running = |state: &ProcessState| matches!(state, ProcessState::Running { .. });
    let known = view
        .processes
        .iter()
        .all(|(node, state)| running(state) && view.statuses.get(node).is_some_and(|(at, _)| *at >= since));
    let statuses = || view.statuses.values().map(|(_, state)| state);
    if !known || statuses().any(|state| matches!(state.role, Role::Primary | Role::Candidate)) {
        return None;
    }
    let may_lead = statuses().filter(|state| state.role == Role::Replica);
    may_lead.max_by_key(|state| (&state.last, std::cmp::Reverse(state.node))).map(|state| state.node)
}

#[cfg(test)]
mod tests {
    use kvlab::types::{Epoch, Position};

    use super::*;
    use crate::scenario::tests::fixture;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);
    const E1: Epoch = Epoch::new(1, N1);
    const E2: Epoch = Epoch::new(2, N2);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn state(id: NodeId, role: Role, epoch: Epoch, seq: u64) -> NodeState {
        NodeState { keys: 7, ..fixture::state(id, role, epoch, seq) }
    }

    /// Two members that agree, as told at `at`.
    fn whole(at: Duration, seq: u64) -> View {
        let mut view = View::default();
        for (id, role) in [(N1, Role::Primary), (N2, Role::Replica)] {
            let running = ProcessState::Running { pid: 1, client: String::new(), peer: String::new() };
            view.processes.insert(id, running);
            view.statuses.insert(id, (at, state(id, role, E1, seq)));
        }
        view.links.insert((N1, N2), LinkState::Up);
        view.links.insert((N2, N1), LinkState::Up);
        view
    }

    fn of(view: &mut View, node: NodeId) -> &mut NodeState {
        &mut view.statuses.get_mut(&node).expect("is there").1
    }

    #[test]
    fn members_that_agree_are_converged() {
        assert_eq!(converged(&whole(ms(5), 9), ms(5)), Ok(()));
        assert_eq!(
            ends(&whole(ms(5), 9)).values().collect::<Vec<_>>(),
            [&End { at: Position::new(E1, 9).into(), keys: 7 }; 2]
        );
    }

    #[test]
    fn each_disagreement_is_named() {
        let reason = |change: &dyn Fn(&mut View)| {
            let mut view = whole(ms(5), 9);
            change(&mut view);
            converged(&view, ms(5)).expect_err("disagrees")
        };
        assert!(reason(&|v| of(v, N1).role = Role::Replica).contains("there is no primary"));
        assert!(reason(&|v| of(v, N2).role = Role::Primary).contains("n1 and n2"));
        assert!(reason(&|v| of(v, N2).term = E2.into()).contains("n2 does not follow 1@n1"));
        assert!(reason(&|v| of(v, N2).last.index = 8).contains("n2 ends at 1@n1/8"));
        assert!(reason(&|v| of(v, N2).last.term = E2.into()).contains("n2 ends at 2@n2/9"));
        assert!(reason(&|v| of(v, N2).durable = 8).contains("durable to 8"));
        assert!(reason(&|v| of(v, N1).commit = Some(8)).contains("committed to 8"));
        assert!(reason(&|v| of(v, N2).resync = Some((1, 2))).contains("resynced (1 of 2"));
        assert!(reason(&|v| drop(v.statuses.remove(&N2))).contains("n2 has said nothing"));
        let old = |v: &mut View| v.statuses.get_mut(&N2).expect("is there").0 = ms(4);
        assert!(reason(&old).contains("n2 has said nothing lately"));
        let stopped = |v: &mut View| {
            v.processes.insert(N1, ProcessState::Stopped { how: String::new() });
        };
        assert!(reason(&stopped).contains("n1 does not run"));
    }

    #[test]
    fn recovery_is_timed_from_the_last_healing_and_under_load() {
        let mut recovery = Recovery::default();
        let mut cut = whole(ms(100), 50);
        cut.links.insert((N1, N2), LinkState::Cut);
        recovery.observe(ms(100), &cut);
        assert_eq!(recovery.took(), None);

        // Healed at 200; n2 is behind, and the primary goes on.
        let mut behind = whole(ms(210), 80);
        of(&mut behind, N2).durable = 50;
        recovery.observe(ms(200), &whole(ms(190), 80));
        recovery.observe(ms(210), &behind);
        assert_eq!(recovery.took(), None, "the old statuses did not count, and n2 lacks 51 to 80");
        let mut ahead = whole(ms(300), 95);
        of(&mut ahead, N2).durable = 79;
        recovery.observe(ms(300), &ahead);
        assert_eq!(recovery.took(), None);
        of(&mut ahead, N2).durable = 80;
        recovery.observe(ms(310), &ahead);
        assert_eq!(recovery.took(), Some(ms(110)));
        recovery.observe(ms(900), &whole(ms(900), 200));
        assert_eq!(recovery.took(), Some(ms(110)), "once is enough");

        recovery.observe(ms(1000), &cut);
        assert_eq!(recovery.took(), None, "broken again");
    }

    #[test]
    fn the_member_that_reaches_furthest_is_next_in_line_where_nobody_leads() {
        let view = |change: &dyn Fn(&mut View)| {
            let mut view = whole(ms(5), 9);
            of(&mut view, N1).role = Role::Replica;
            change(&mut view);
            next_in_line(&view, ms(5))
        };
        assert_eq!(next_in_line(&whole(ms(5), 9), ms(5)), None, "n1 leads");
        assert_eq!(view(&|_| {}), Some(N1), "of equals the first");
        assert_eq!(view(&|v| of(v, N2).last.index = 10), Some(N2));
        assert_eq!(
            view(&|v| of(v, N2).last = Position::new(E2, 3).into()),
            Some(N2),
            "the epoch comes first"
        );
        assert_eq!(view(&|v| of(v, N1).role = Role::Learner), Some(N2), "a learner has no voice");
        assert_eq!(view(&|v| of(v, N2).role = Role::Candidate), None, "it may win yet");
        assert_eq!(view(&|v| v.statuses.get_mut(&N2).expect("is there").0 = ms(4)), None, "not heard lately");
        let stopped = |v: &mut View| {
            v.processes.insert(N2, ProcessState::Stopped { how: String::new() });
        };
        assert_eq!(view(&stopped), None);
    }

    #[test]
    fn a_vacancy_is_filled_when_it_has_lasted_and_again_if_that_did_not_help() {
        let mut vacancy = Vacancy::default();
        let mut led = whole(ms(5), 9);
        assert_eq!(vacancy.observe(ms(10), &led, ms(5)), None);
        of(&mut led, N1).role = Role::Replica;
        let vacant = led;
        assert_eq!(vacancy.observe(ms(100), &vacant, ms(5)), Some((N1, ms(1600))));
        assert_eq!(vacancy.observe(ms(900), &vacant, ms(5)), Some((N1, ms(1600))));
        assert_eq!(vacancy.observe(ms(1700), &vacant, ms(5)), Some((N1, ms(1600))), "now");
        assert_eq!(vacancy.observe(ms(1710), &vacant, ms(5)), Some((N1, ms(3210))), "once more");
        assert_eq!(vacancy.observe(ms(1800), &whole(ms(1800), 9), ms(5)), None);
        assert_eq!(vacancy.observe(ms(1900), &vacant, ms(5)), Some((N1, ms(3400))), "anew");
    }

    #[test]
    fn a_paused_node_or_a_slow_link_is_not_whole() {
        let mut view = whole(ms(1), 1);
        assert!(is_whole(&view));
        view.links.insert((N1, N2), LinkState::Slow { delay: ms(1), jitter: ms(0) });
        assert!(!is_whole(&view));
        view = whole(ms(1), 1);
        view.processes.insert(N2, ProcessState::Paused { pid: 1 });
        assert!(!is_whole(&view));
    }
}
