//! For tests: views of a cluster, made by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::types::{Epoch, NodeId, NodeStatus, Position, Quirks, Role, Status};

use crate::cluster::View;
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
        view.statuses.insert(id, (t, status(id, role, Epoch::new(1, n(1)), 10)));
    }
    view.links = links(count);
    view
}

/// Every link, up.
pub(crate) fn links(count: u8) -> BTreeMap<(NodeId, NodeId), LinkState> {
    let pairs = members(count).into_iter().flat_map(|a| members(count).into_iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| a != b).map(|pair| (pair, LinkState::Up)).collect()
}

/// A member's status; its log ends in `epoch` at `seq`.
pub(crate) fn status(id: NodeId, role: Role, epoch: Epoch, seq: u64) -> NodeStatus {
    let primary = role == Role::Primary;
    NodeStatus {
        replication: Status {
            id,
            role,
            epoch,
            promised: epoch,
            primary: Some(epoch.node),
            last: Position::new(epoch, seq),
            durable: seq,
            commit: seq,
            lag: (!primary).then_some(0),
            heard_ms: (!primary).then_some(20),
            stale: false,
            disk_full: false,
            resync: None,
            resyncs: Default::default(),
            peers: Vec::new(),
            quirks: Quirks::NONE,
        },
        applied_per_s: 0,
        connections: 0,
        keys: 0,
        log_bytes: 0,
        disk: Box::default(),
        uptime_ms: 0,
        pid: 100 + u32::from(id.0),
    }
}

/// Changes what is known of a member.
pub(crate) fn edit(view: &mut View, id: u8, change: impl FnOnce(&mut Status)) {
    let (_, status) = view.statuses.get_mut(&n(id)).expect("a member");
    change(&mut status.replication);
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
