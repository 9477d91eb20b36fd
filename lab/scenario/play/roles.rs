//! Who is meant: targets resolved against what is known of the cluster at one moment.

use std::collections::BTreeMap;

use kvlab::types::{NodeId, Role};

use crate::cluster::View;
use crate::engine::{NodeState, Term};
use crate::run::event::{LinkState, ProcessState};
use crate::scenario::language::model::Shape;
use crate::scenario::language::words::Target;

/// The members, and what has been seen of their parts. It must be shown every view, or it forgets who was primary.
#[derive(Clone, Debug)]
pub struct Roles {
    members: Vec<NodeId>,
    /// The highest epoch that each member has opened, as far as anyone has reported.
    opened: BTreeMap<NodeId, Term>,
}

impl Roles {
    /// A roles of these members.
    pub fn new(members: Vec<NodeId>) -> Self {
        Self { members, opened: BTreeMap::new() }
    }

    /// All members, ascending.
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// Remembers who has been primary.
    pub fn observe(&mut self, view: &View) {
        for (_, status) in view.statuses.values() {
            if let Some(leader) = status.term.leader {
                let opened = self.opened.entry(leader).or_default();
                *opened = status.term.clone().max(std::mem::take(opened));
            }
        }
    }

    /// The members that a target means now, ascending. *Live* is a member whose process runs or is paused.
    ///
    /// * `n2`: that member. `all`: every member.
    /// * `primary`: of the live members that say they are primary, the one of the highest epoch.
    /// * `old-primary`: of all other members that have been primary, the one of the highest epoch, live or not.
    /// * `replicas`: every live member that does not say it is primary; `replica-1` is the first of them by id.
    /// * `newest-replica`: the one of those whose log reaches furthest; of equals the first by id.
    /// * `majority`: of the groups of members joined by links that are cut in neither direction, the one that is
    ///   at least a quorum of all. `minority`: every member outside it.
    pub fn resolve(&self, view: &View, target: Target) -> Result<Vec<NodeId>, String> {
        let one = |node: Option<NodeId>| node.into_iter().collect::<Vec<_>>();
        let (found, why) = match target {
            Target::Node(node) => (vec![node], String::new()),
            Target::All => (self.members.clone(), String::new()),
            Target::Primary => (one(self.primary(view)), self.why_no_primary()),
            Target::OldPrimary => {
                (one(self.old_primary(view)), "no other member has been primary".to_owned())
            }
            Target::Replicas => (self.replicas(view), "no live member is a replica".to_owned()),
            Target::Replica(rank) => {
                let replicas = self.replicas(view);
                let why = format!("there are {} live replicas", replicas.len());
                (one(replicas.get(usize::from(rank) - 1).copied()), why)
            }
            Target::NewestReplica => {
                (one(self.newest_replica(view)), "no live member is a replica".to_owned())
            }
            Target::Majority => (self.majority(view), "no side holds a quorum".to_owned()),
            Target::Minority => {
                let majority = self.majority(view);
                let rest = self.members.iter().copied().filter(|node| !majority.contains(node));
                (rest.collect(), "nobody is cut off from the majority".to_owned())
            }
        };
        if found.is_empty() { Err(format!("`{target}` names nobody: {why}")) } else { Ok(found) }
    }

    /// All members that any of these targets means, ascending, each once.
    pub fn resolve_all(&self, view: &View, targets: &[Target]) -> Result<Vec<NodeId>, String> {
        let mut all = Vec::new();
        for target in targets {
            all.extend(self.resolve(view, *target)?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The one member that a target means.
    pub fn resolve_one(&self, view: &View, target: Target) -> Result<NodeId, String> {
        match self.resolve(view, target)?[..] {
            [node] => Ok(node),
            ref several => Err(format!("`{target}` names {} members where one is needed", several.len())),
        }
    }

    /// The directed links to cut for a shape, as `(from, to)`.
    pub fn shape(&self, view: &View, shape: Shape) -> Result<Vec<(NodeId, NodeId)>, String> {
        // The primary first, then the others by id: so it is always the primary that gets into trouble.
        let primary = self.resolve_one(view, Target::Primary)?;
        let others = self.members.iter().copied().filter(|node| *node != primary);
        let order: Vec<NodeId> = std::iter::once(primary).chain(others).collect();
        let n = order.len();
        let apart: Box<dyn Fn(usize, usize) -> bool> = match shape {
            Shape::IsolatePrimary => Box::new(|a, b| (a == 0) != (b == 0)),
            Shape::Halves => Box::new(move |a, b| (a < n / 2) != (b < n / 2)),
            Shape::Bridge => {
                let bridge = (n - 1) / 2;
                Box::new(move |a, b| a != bridge && b != bridge && (a < bridge) != (b < bridge))
            }
            Shape::MajoritiesRing => {
                // Enough neighbours on each side that a member and they are a quorum.
                let reach = (n / 2).div_ceil(2);
                Box::new(move |a: usize, b: usize| a.abs_diff(b).min(n - a.abs_diff(b)) > reach)
            }
        };
        let pairs = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
        Ok(pairs.filter(|&(a, b)| a != b && apart(a, b)).map(|(a, b)| (order[a], order[b])).collect())
    }

    /// See [`Roles::resolve`].
    pub fn primary(&self, view: &View) -> Option<NodeId> {
        let leads = |status: &&NodeState| status.role == Role::Primary;
        self.live(view).filter(leads).max_by_key(|s| &s.term).map(|s| s.node)
    }

    fn old_primary(&self, view: &View) -> Option<NodeId> {
        let now = self.primary(view);
        let others = self.opened.iter().filter(|(node, _)| Some(**node) != now);
        others.max_by_key(|(_, term)| *term).map(|(node, _)| *node)
    }

    fn why_no_primary(&self) -> String {
        let last = self.opened.iter().max_by_key(|(_, term)| *term);
        let was = last.map(|(node, _)| format!("; {node} was: say old-primary")).unwrap_or_default();
        format!("no live member is primary{was}")
    }

    fn replicas(&self, view: &View) -> Vec<NodeId> {
        self.live(view).filter(|s| s.role != Role::Primary).map(|s| s.node).collect()
    }

    fn newest_replica(&self, view: &View) -> Option<NodeId> {
        let replicas = self.live(view).filter(|s| s.role != Role::Primary);
        // `max_by_key` takes the last of equals.
        let mut replicas: Vec<_> = replicas.map(|s| (&s.last, s.node)).collect();
        replicas.reverse();
        replicas.into_iter().max_by_key(|(last, _)| *last).map(|(_, id)| id)
    }

    /// The largest set of members joined by links, if it is a quorum.
    fn majority(&self, view: &View) -> Vec<NodeId> {
        let cut = |a, b| view.links.get(&(a, b)).is_some_and(|state| *state == LinkState::Cut);
        let mut left = self.members.clone();
        let mut largest = Vec::new();
        while let Some(first) = left.first().copied() {
            let mut group = vec![first];
            let mut next = 0;
            while let Some(&a) = group.get(next) {
                let joined = |b: &NodeId| !group.contains(b) && !cut(a, *b) && !cut(*b, a);
                let more: Vec<NodeId> = left.iter().copied().filter(joined).collect();
                group.extend(more);
                next += 1;
            }
            left.retain(|node| !group.contains(node));
            if group.len() > largest.len() {
                largest = group;
            }
        }
        largest.sort_unstable();
        if largest.len() > self.members.len() / 2 { largest } else { Vec::new() }
    }

    /// The last status of each live member, in order of id.
    fn live<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a NodeState> {
        self.members.iter().filter_map(|node| {
            let alive = match view.processes.get(node)? {
                ProcessState::Running { pid, .. } | ProcessState::Paused { pid } => *pid,
                _ => return None,
            };
            // A status of the process before the last restart says nothing of this one.
            view.statuses.get(node).map(|(_, status)| status).filter(|status| status.pid == alive)
        })
    }
}

#[cfg(test)]
#[path = "tests/roles.rs"]
mod tests;
