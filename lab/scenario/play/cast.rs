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
pub struct Cast {
    members: Vec<NodeId>,
    /// The highest epoch that each member has opened, as far as anyone has reported.
    opened: BTreeMap<NodeId, Term>,
}

impl Cast {
    /// A cast of these members.
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

    /// See [`Cast::resolve`].
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
mod tests {
    use std::time::Duration;

    use kvlab::types::{Epoch, Position};

    use super::*;
    use crate::scenario::tests::fixture::*;

    fn who(cast: &Cast, view: &View, target: &str) -> String {
        match cast.resolve(view, target.parse().expect("a target")) {
            Ok(nodes) => nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" "),
            Err(why) => why,
        }
    }

    fn seen(count: u8) -> (Cast, View) {
        let view = healthy(count, Duration::ZERO);
        let mut cast = Cast::new(members(count));
        cast.observe(&view);
        (cast, view)
    }

    #[test]
    fn parts_of_a_healthy_cluster() {
        let (cast, view) = seen(3);
        for (target, expected) in [
            ("n2", "n2"),
            ("all", "n1 n2 n3"),
            ("primary", "n1"),
            ("replicas", "n2 n3"),
            ("replica-2", "n3"),
            ("majority", "n1 n2 n3"),
            ("old-primary", "`old-primary` names nobody: no other member has been primary"),
            ("replica-3", "`replica-3` names nobody: there are 2 live replicas"),
            ("minority", "`minority` names nobody: nobody is cut off from the majority"),
        ] {
            assert_eq!(who(&cast, &view, target), expected);
        }
    }

    #[test]
    fn a_killed_primary_is_the_old_primary() {
        let (cast, mut view) = seen(3);
        process(&mut view, 1, stopped());
        assert_eq!(
            who(&cast, &view, "primary"),
            "`primary` names nobody: no live member is primary; n1 was: say old-primary"
        );
        assert_eq!(who(&cast, &view, "old-primary"), "n1");
        assert_eq!(who(&cast, &view, "replica-1"), "n2");
    }

    #[test]
    fn a_paused_primary_is_still_the_primary() {
        let (cast, mut view) = seen(3);
        process(&mut view, 1, ProcessState::Paused { pid: 101 });
        assert_eq!(who(&cast, &view, "primary"), "n1");
    }

    #[test]
    fn of_two_primaries_the_higher_epoch_is_meant() {
        let (mut cast, mut view) = seen(3);
        let second = Epoch::new(2, n(2));
        edit(&mut view, 2, |s| turn(s, Role::Primary, second));
        cast.observe(&view);
        for (target, expected) in
            [("primary", "n2"), ("old-primary", "n1"), ("replicas", "n3"), ("replica-1", "n3")]
        {
            assert_eq!(who(&cast, &view, target), expected);
        }
        // The old one comes back and follows: it is still the one that was primary before.
        edit(&mut view, 1, |s| turn(s, Role::Replica, second));
        cast.observe(&view);
        assert_eq!(who(&cast, &view, "old-primary"), "n1");
        assert_eq!(who(&cast, &view, "replicas"), "n1 n3");
    }

    #[test]
    fn a_status_from_before_the_restart_does_not_count() {
        let (cast, mut view) = seen(3);
        let again = ProcessState::Running { pid: 999, client: String::new(), peer: String::new() };
        process(&mut view, 1, again);
        assert!(cast.primary(&view).is_none());
    }

    #[test]
    fn the_newest_replica_has_the_longest_log_of_the_highest_epoch() {
        let (cast, mut view) = seen(5);
        assert_eq!(who(&cast, &view, "newest-replica"), "n2");
        edit(&mut view, 4, |s| s.last.index = 12);
        assert_eq!(who(&cast, &view, "newest-replica"), "n4");
        edit(&mut view, 3, |s| s.last = Position::new(Epoch::new(2, n(3)), 11).into());
        assert_eq!(who(&cast, &view, "newest-replica"), "n3");
        process(&mut view, 3, stopped());
        assert_eq!(who(&cast, &view, "newest-replica"), "n4");
    }

    #[test]
    fn sides_of_a_partition() {
        let (cast, mut view) = seen(5);
        cut(&mut view, &[(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]);
        assert_eq!(who(&cast, &view, "majority"), "n3 n4 n5");
        assert_eq!(who(&cast, &view, "minority"), "n1 n2");
        cut(&mut view, &[(3, 4), (3, 5)]);
        assert_eq!(who(&cast, &view, "majority"), "`majority` names nobody: no side holds a quorum");
        assert_eq!(who(&cast, &view, "minority"), "n1 n2 n3 n4 n5");
    }

    #[test]
    fn a_link_cut_one_way_joins_nobody() {
        let (cast, mut view) = seen(3);
        view.links.insert((n(3), n(1)), LinkState::Cut);
        view.links.insert((n(2), n(3)), LinkState::Cut);
        assert_eq!(who(&cast, &view, "minority"), "n3");
    }

    /// Whom each member can still reach, itself included.
    fn reached(count: u8, shape: Shape) -> Vec<Vec<u8>> {
        let (cast, view) = seen(count);
        let cut = cast.shape(&view, shape).expect("a primary");
        let reaches = |a: u8, b: u8| a == b || !cut.contains(&(n(a), n(b)));
        assert!(cut.iter().all(|&(a, b)| cut.contains(&(b, a))), "both ways");
        (1..=count).map(|a| (1..=count).filter(|b| reaches(a, *b)).collect()).collect()
    }

    #[test]
    fn shapes() {
        assert_eq!(reached(3, Shape::IsolatePrimary), [vec![1], vec![2, 3], vec![2, 3]]);
        assert_eq!(reached(3, Shape::Halves), [vec![1], vec![2, 3], vec![2, 3]]);
        assert_eq!(reached(4, Shape::Halves), [vec![1, 2], vec![1, 2], vec![3, 4], vec![3, 4]]);
        assert_eq!(
            reached(5, Shape::Bridge),
            [vec![1, 2, 3], vec![1, 2, 3], vec![1, 2, 3, 4, 5], vec![3, 4, 5], vec![3, 4, 5]]
        );
    }

    #[test]
    fn in_a_ring_each_reaches_a_majority_and_no_two_the_same() {
        for count in 4..=9 {
            let mut views = reached(count, Shape::MajoritiesRing);
            for view in &views {
                let quorum = usize::from(count) / 2 + 1;
                assert!(view.len() >= quorum && view.len() < usize::from(count), "{count}: {view:?}");
            }
            views.sort();
            views.dedup();
            assert_eq!(views.len(), usize::from(count));
        }
    }
}
