//! Whether nothing in the cluster is broken, and whether its members agree again. Pure.

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
        let Ok(primary) = sole_primary(view) else { return };
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
    let primary = sole_primary(view)?;
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
pub(crate) struct LogEnd {
    /// Where its durable log ends.
    pub(crate) at: Place,
    /// How many keys it holds.
    pub(crate) keys: u64,
}

/// Where each member stands.
pub(crate) fn ends(view: &View) -> BTreeMap<NodeId, LogEnd> {
    let end = |(node, (_, state)): (&NodeId, &(Duration, NodeState))| {
        let at = Place { term: state.last.term.clone(), index: state.durable };
        (*node, LogEnd { at, keys: state.keys })
    };
    view.statuses.iter().map(end).collect()
}

/// Whether the members stand at different places although one primary leads them all. Nothing converges without a
/// primary, and to promote one is up to the operator: then a difference breaks no promise.
pub(crate) fn differ_wrongly(view: &View) -> bool {
    let ends = ends(view);
    let differ = ends.values().any(|end| Some(end) != ends.values().next());
    differ && sole_primary(view).is_ok() && ends.len() == view.processes.len()
}

/// The one primary, if there is one and everybody follows its epoch.
fn sole_primary(view: &View) -> Result<&NodeState, Reason> {
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
pub(crate) struct LeaderlessWatch {
    since: Option<Duration>,
}

impl LeaderlessWatch {
    /// Takes what is seen at `now`; what was said before `since` does not count. Returns whom to promote, and when: if
    /// that is now or before, the promotion is taken for begun, and time is counted anew.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        view: &View,
        since: Duration,
    ) -> Option<(NodeId, Duration)> {
        let Some(node) = best_candidate(view, since) else {
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
fn best_candidate(view: &View, since: Duration) -> Option<NodeId> {
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
#[path = "tests/recovery.rs"]
mod tests;
