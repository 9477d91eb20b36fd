//! Who is meant, on views made by hand.

use std::time::Duration;

use kvlab::types::{Epoch, Position};

use super::*;
use crate::scenario::tests::fixture::*;

fn who(roles: &Roles, view: &View, target: &str) -> String {
    match roles.resolve(view, target.parse().expect("a target")) {
        Ok(nodes) => nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" "),
        Err(why) => why,
    }
}

fn seen(count: u8) -> (Roles, View) {
    let view = healthy(count, Duration::ZERO);
    let mut roles = Roles::new(members(count));
    roles.observe(&view);
    (roles, view)
}

#[test]
fn parts_of_a_healthy_cluster() {
    let (roles, view) = seen(3);
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
        assert_eq!(who(&roles, &view, target), expected);
    }
}

#[test]
fn a_killed_primary_is_the_old_primary() {
    let (roles, mut view) = seen(3);
    process(&mut view, 1, stopped());
    assert_eq!(
        who(&roles, &view, "primary"),
        "`primary` names nobody: no live member is primary; n1 was: say old-primary"
    );
    assert_eq!(who(&roles, &view, "old-primary"), "n1");
    assert_eq!(who(&roles, &view, "replica-1"), "n2");
}

#[test]
fn a_paused_primary_is_still_the_primary() {
    let (roles, mut view) = seen(3);
    process(&mut view, 1, ProcessState::Paused { pid: 101 });
    assert_eq!(who(&roles, &view, "primary"), "n1");
}

#[test]
fn of_two_primaries_the_higher_epoch_is_meant() {
    let (mut roles, mut view) = seen(3);
    let second = Epoch::new(2, n(2));
    edit(&mut view, 2, |s| turn(s, Role::Primary, second));
    roles.observe(&view);
    for (target, expected) in
        [("primary", "n2"), ("old-primary", "n1"), ("replicas", "n3"), ("replica-1", "n3")]
    {
        assert_eq!(who(&roles, &view, target), expected);
    }
    // The old one comes back and follows: it is still the one that was primary before.
    edit(&mut view, 1, |s| turn(s, Role::Replica, second));
    roles.observe(&view);
    assert_eq!(who(&roles, &view, "old-primary"), "n1");
    assert_eq!(who(&roles, &view, "replicas"), "n1 n3");
}

#[test]
fn a_status_from_before_the_restart_does_not_count() {
    let (roles, mut view) = seen(3);
    let again = ProcessState::Running { pid: 999, client: String::new(), peer: String::new() };
    process(&mut view, 1, again);
    assert!(roles.primary(&view).is_none());
}

#[test]
fn the_newest_replica_has_the_longest_log_of_the_highest_epoch() {
    let (roles, mut view) = seen(5);
    assert_eq!(who(&roles, &view, "newest-replica"), "n2");
    edit(&mut view, 4, |s| s.last.index = 12);
    assert_eq!(who(&roles, &view, "newest-replica"), "n4");
    edit(&mut view, 3, |s| s.last = Position::new(Epoch::new(2, n(3)), 11).into());
    assert_eq!(who(&roles, &view, "newest-replica"), "n3");
    process(&mut view, 3, stopped());
    assert_eq!(who(&roles, &view, "newest-replica"), "n4");
}

#[test]
fn sides_of_a_partition() {
    let (roles, mut view) = seen(5);
    cut(&mut view, &[(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]);
    assert_eq!(who(&roles, &view, "majority"), "n3 n4 n5");
    assert_eq!(who(&roles, &view, "minority"), "n1 n2");
    cut(&mut view, &[(3, 4), (3, 5)]);
    assert_eq!(who(&roles, &view, "majority"), "`majority` names nobody: no side holds a quorum");
    assert_eq!(who(&roles, &view, "minority"), "n1 n2 n3 n4 n5");
}

#[test]
fn a_link_cut_one_way_joins_nobody() {
    let (roles, mut view) = seen(3);
    view.links.insert((n(3), n(1)), LinkState::Cut);
    view.links.insert((n(2), n(3)), LinkState::Cut);
    assert_eq!(who(&roles, &view, "minority"), "n3");
}

/// Whom each member can still reach, itself included.
fn reached(count: u8, shape: Shape) -> Vec<Vec<u8>> {
    let (roles, view) = seen(count);
    let cut = roles.shape(&view, shape).expect("a primary");
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
