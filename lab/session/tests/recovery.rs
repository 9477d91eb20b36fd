//! What recovery and convergence are, on views made by hand.

use kvlab::types::{Epoch, Position};

use super::*;
use crate::action::SlowLink;
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
        [&LogEnd { at: Position::new(E1, 9).into(), keys: 7 }; 2]
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
        best_candidate(&view, ms(5))
    };
    assert_eq!(best_candidate(&whole(ms(5), 9), ms(5)), None, "n1 leads");
    assert_eq!(view(&|_| {}), Some(N1), "of equals the first");
    assert_eq!(view(&|v| of(v, N2).last.index = 10), Some(N2));
    assert_eq!(view(&|v| of(v, N2).last = Position::new(E2, 3).into()), Some(N2), "the epoch comes first");
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
    let mut leaderless = LeaderlessWatch::default();
    let mut led = whole(ms(5), 9);
    assert_eq!(leaderless.observe(ms(10), &led, ms(5)), None);
    of(&mut led, N1).role = Role::Replica;
    let vacant = led;
    assert_eq!(leaderless.observe(ms(100), &vacant, ms(5)), Some((N1, ms(1600))));
    assert_eq!(leaderless.observe(ms(900), &vacant, ms(5)), Some((N1, ms(1600))));
    assert_eq!(leaderless.observe(ms(1700), &vacant, ms(5)), Some((N1, ms(1600))), "now");
    assert_eq!(leaderless.observe(ms(1710), &vacant, ms(5)), Some((N1, ms(3210))), "once more");
    assert_eq!(leaderless.observe(ms(1800), &whole(ms(1800), 9), ms(5)), None);
    assert_eq!(leaderless.observe(ms(1900), &vacant, ms(5)), Some((N1, ms(3400))), "anew");
}

#[test]
fn a_paused_node_or_a_slow_link_is_not_whole() {
    let mut view = whole(ms(1), 1);
    assert!(is_whole(&view));
    view.links.insert((N1, N2), LinkState::Slow(SlowLink::by(ms(1), ms(0))));
    assert!(!is_whole(&view));
    view = whole(ms(1), 1);
    view.processes.insert(N2, ProcessState::Paused { pid: 1 });
    assert!(!is_whole(&view));
}
