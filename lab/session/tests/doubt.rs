//! When everything must be asked for again, and where, on views made by hand.

use kvlab::types::{Epoch, Position};

use super::*;
use crate::run::event::LinkState;
use crate::scenario::tests::fixture;

const N: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const NOW: Duration = Duration::from_secs(9);

/// Three members, n1 leads and hears both.
fn calm() -> View {
    let mut view = View::default();
    for id in N {
        let role = if id == N[0] { Role::Primary } else { Role::Replica };
        view.processes.insert(id, running());
        view.statuses.insert(id, (NOW, fixture::state(id, role, Epoch::new(1, N[0]), 9)));
        for to in N.into_iter().filter(|to| *to != id) {
            view.links.insert((id, to), LinkState::Up);
        }
    }
    heard(&mut view, N[0], &[N[1], N[2]]);
    view
}

fn running() -> ProcessState {
    ProcessState::Running { pid: 1, client: String::new(), peer: String::new() }
}

fn heard(view: &mut View, node: NodeId, by: &[NodeId]) {
    let peer = |&node: &NodeId| crate::engine::Peer { node, connected: true, heard_ms: Some(20) };
    view.statuses.get_mut(&node).expect("there").1.peers = by.iter().map(peer).collect();
}

fn leads(view: &mut View, node: NodeId, epoch: u64) {
    let state = &mut view.statuses.get_mut(&node).expect("there").1;
    state.role = Role::Primary;
    state.term = Epoch::new(epoch, node).into();
}

#[test]
fn the_sole_primary_is_asked_while_a_quorum_is_with_it() {
    assert_eq!(whom_to_ask(&calm(), NOW), Some(N[0]));
    let mut view = calm();
    heard(&mut view, N[0], &[]);
    assert_eq!(whom_to_ask(&view, NOW), None, "cut off: what it has, the others may still get");
    heard(&mut view, N[0], &[N[2]]);
    assert_eq!(whom_to_ask(&view, NOW), Some(N[0]));
    assert_eq!(whom_to_ask(&view, NOW + 2 * FRESH), None, "nothing is known of now");
}

#[test]
fn while_two_lead_nobody_is_asked_be_one_paused_and_once_one_is_dead_the_other() {
    let mut view = calm();
    leads(&mut view, N[1], 2);
    heard(&mut view, N[1], &[N[2]]);
    assert_eq!(whom_to_ask(&view, NOW), None);
    view.processes.insert(N[0], ProcessState::Paused { pid: 1 });
    assert_eq!(whom_to_ask(&view, NOW), None, "it will wake up with what it has");
    view.processes.insert(N[0], ProcessState::Stopped { how: String::new() });
    assert_eq!(whom_to_ask(&view, NOW), Some(N[1]), "whatever it has, it will have to discard");
    view.statuses.get_mut(&N[1]).expect("there").1.role = Role::Replica;
    assert_eq!(whom_to_ask(&view, NOW), None, "nobody leads");
}

#[test]
fn another_term_and_a_heal_raise_doubt_once() {
    let (mut doubt, mut view) = (Doubt::default(), calm());
    assert!(!doubt.look(&view), "the first primary is no change");
    view.links.insert((N[0], N[1]), LinkState::Cut);
    assert!(!doubt.look(&view));
    leads(&mut view, N[1], 2);
    assert_eq!([doubt.look(&view), doubt.look(&view)], [true, false]);
    view.links.insert((N[0], N[1]), LinkState::Up);
    assert_eq!([doubt.look(&view), doubt.look(&view)], [true, false]);
    view.statuses.get_mut(&N[1]).expect("there").1.role = Role::Replica;
    assert!(!doubt.look(&view), "an old term is no news");
}

#[test]
fn whoever_opens_an_epoch_or_discards_entries_raises_doubt() {
    let says = |event| LabEvent::Node { node: N[0], report: Report::Event { uptime_ms: 1, event } };
    let cut = |discarded| Event::LogCut { fork: Position::ZERO, discarded, file: None };
    let installed = |discarded| Event::FullResyncInstalled { at: Position::ZERO, discarded, file: None };
    let opened = Event::EpochOpened { epoch: Epoch::new(2, N[1]), forced: true, voters: Vec::new() };
    assert!([opened, cut(1), installed(1)].into_iter().all(|event| Doubt::is_raised_by(&says(event))));
    let calm = [cut(0), installed(0), Event::Following { epoch: Epoch::new(2, N[1]) }];
    assert!(!calm.into_iter().any(|event| Doubt::is_raised_by(&says(event))));
}
