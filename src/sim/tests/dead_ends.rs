//! No dead end: whatever disks are torn or wiped, an operator leads out. (Rule 12.)

use std::time::Duration;

use super::rig::Rig;
use crate::sim::disk::Crash;
use crate::sim::text;
use crate::types::{NodeId, Role};

/// What becomes of a member's disk while all are down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    None,
    Torn,
    Wiped,
}

const DAMAGES: [Damage; 3] = [Damage::None, Damage::Torn, Damage::Wiped];

/// Every way to damage the disks of `members` members.
fn every_damage(members: usize) -> impl Iterator<Item = Vec<Damage>> {
    (0..3_usize.pow(members as u32))
        .map(move |n| (0..members).map(|i| DAMAGES[n / 3_usize.pow(i as u32) % 3]).collect())
}

/// All members stop, their disks are damaged, and all start again.
fn damaged(damage: &[Damage]) -> Rig {
    let mut rig = Rig::new(damage.len() as u8);
    rig.run(Duration::from_secs(1));
    assert!(rig.write(NodeId(1), "a", "1") && rig.write(NodeId(1), "b", "2"));
    rig.run(Duration::from_secs(1));
    let members = rig.cluster.ids();
    for &id in &members {
        rig.cluster.crash(id, Crash::CLEAN);
    }
    for (&id, &damage) in members.iter().zip(damage) {
        match damage {
            Damage::None => {}
            Damage::Torn => rig.cluster.node_mut(id).disk.tear_tail(0),
            Damage::Wiped => rig.cluster.node_mut(id).wipe(),
        }
    }
    members.into_iter().for_each(|id| rig.start(id));
    rig.run(Duration::from_secs(3));
    rig
}

/// Whoever leads, or the member that an operator makes the primary.
fn lead(rig: &mut Rig, damage: &[Damage]) -> NodeId {
    let members = rig.cluster.ids();
    if let Some(primary) = members.iter().copied().find(|&id| rig.role(id) == Role::Primary) {
        return primary;
    }
    let whole: Vec<NodeId> = members
        .iter()
        .zip(damage)
        .filter(|(_, damage)| **damage == Damage::None)
        .map(|(&id, _)| id)
        .collect();
    let statuses =
        || members.iter().map(|&id| rig.cluster.status(id).map(|s| text::status(&s))).collect::<Vec<_>>();
    assert!(
        whole.len() <= members.len() / 2,
        "{damage:?}: a healthy majority goes on by itself, but: {:#?}",
        statuses()
    );
    for &id in &members {
        assert!(!rig.promote(id, false), "{damage:?}: {id} has no majority");
    }
    let furthest = members.iter().copied().max_by_key(|&id| rig.cluster.node(id).last()).expect("a member");
    assert!(rig.promote(furthest, true), "{damage:?}: by force");
    furthest
}

#[test]
fn whatever_disks_are_torn_or_wiped_an_operator_leads_out() {
    for members in [1, 2, 3, 5] {
        for damage in every_damage(members) {
            let mut rig = damaged(&damage);
            let primary = lead(&mut rig, &damage);
            rig.run(Duration::from_secs(3));
            assert!(rig.write(primary, "c", "3"), "{damage:?}: {primary} takes writes");
            rig.run(Duration::from_secs(3));
            for id in rig.cluster.ids() {
                let role = if id == primary { Role::Primary } else { Role::Replica };
                assert_eq!(rig.role(id), role, "{damage:?}: {id}");
                assert_eq!(rig.cluster.node(id).last(), rig.cluster.node(primary).last(), "{damage:?}: {id}");
            }
            let kept = rig
                .cluster
                .node(primary)
                .disk
                .lookup(b"b")
                .found()
                .is_some_and(|found| found.value.is_some());
            let whole = damage.iter().filter(|damage| **damage == Damage::None).count();
            assert!(kept || whole <= members / 2, "{damage:?}: a committed write is lost");
        }
    }
}
