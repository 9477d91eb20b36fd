//! For tests: views of a cluster, made by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::types::{BacklogStatus, Epoch, NodeId, Quirks, Resyncs, Role};

use crate::action::all_links;
use crate::cluster::View;
use crate::engine::{Kvlab, NodeState, Place, Term};
use crate::run::event::{LinkState, ProcessState};

/// A node by its number.
pub(crate) fn n(id: u8) -> NodeId {
    NodeId(id)
}

/// Members n1 to `count`.
pub(crate) fn members(count: u8) -> Vec<NodeId> {
    (1..=count).map(NodeId).collect()
}

/// A settled cluster, as of `t`: n1 is primary of `1@n1`, all logs end at seq 10.
pub(crate) fn healthy(count: u8, t: Duration) -> View {
    let mut view = View::default();
    for id in members(count) {
        let role = if id == n(1) { Role::Primary } else { Role::Replica };
        let running =
            ProcessState::Running { pid: 100 + u32::from(id.0), client: String::new(), peer: String::new() };
        view.processes.insert(id, running);
        view.statuses.insert(id, (t, state(id, role, Epoch::new(1, n(1)), 10)));
    }
    view.links = links(count);
    view
}

/// Every link, up.
pub(crate) fn links(count: u8) -> BTreeMap<(NodeId, NodeId), LinkState> {
    all_links(&members(count)).map(|link| (link, LinkState::Up)).collect()
}

/// A member's state; its log ends in `epoch` at `seq`.
pub(crate) fn state(node: NodeId, role: Role, epoch: Epoch, seq: u64) -> NodeState {
    let term = Term::from(epoch);
    let behind = role != Role::Primary;
    NodeState {
        node,
        pid: 100 + u32::from(node.0),
        role,
        primary: None,
        last: Place { term: term.clone(), index: seq },
        durable: seq,
        commit: Some(seq),
        lag: behind.then_some(0),
        heard_ms: behind.then_some(20),
        stale: false,
        disk_full: false,
        damaged: 0,
        resync: None,
        peers: Vec::new(),
        keys: 0,
        log_bytes: 0,
        connections: 0,
        applied_per_s: 0,
        uptime_ms: 0,
        kvlab: Some(Kvlab {
            promised: term.clone(),
            resyncs: Resyncs::default(),
            backlog: BacklogStatus::default(),
            quirks: Quirks::NONE,
        }),
        term,
    }
}

/// Changes what is known of a member.
pub(crate) fn edit(view: &mut View, id: u8, change: impl FnOnce(&mut NodeState)) {
    change(&mut view.statuses.get_mut(&n(id)).expect("a member").1);
}

/// Has a member lead or follow `epoch`, as promised.
pub(crate) fn turn(state: &mut NodeState, role: Role, epoch: Epoch) {
    (state.role, state.term) = (role, epoch.into());
    ours(state).promised = epoch.into();
}

/// What only kvlab's node says.
pub(crate) fn ours(state: &mut NodeState) -> &mut Kvlab {
    state.kvlab.as_mut().expect("kvlab's node")
}

/// Changes a member's process.
pub(crate) fn process(view: &mut View, id: u8, state: ProcessState) {
    view.processes.insert(n(id), state);
}

/// Cuts links, both ways.
pub(crate) fn cut(view: &mut View, pairs: &[(u8, u8)]) {
    for &(a, b) in pairs {
        view.links.insert((n(a), n(b)), LinkState::Cut);
        view.links.insert((n(b), n(a)), LinkState::Cut);
    }
}

/// A process that the lab has ended.
pub(crate) fn stopped() -> ProcessState {
    ProcessState::Stopped { how: "SIGKILL".to_owned() }
}
