//! What is known of the cluster, and the one place where it changes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::types::{CLOCK_PERMILLE_TRUE, ClockCondition, DiskCondition, NodeCondition, NodeId, Report};
use tokio::sync::watch;

use super::link::Link;
use crate::engine::NodeState;
use crate::run::event::{Damage, LabEvent, LinkState, ProcessState};
use crate::run::journal::Journal;

/// What is known of everything at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Each member's process, from its first start on.
    pub(crate) processes: BTreeMap<NodeId, ProcessState>,
    /// The last status of each node, and the journal time at which it came. A status outlives its process.
    pub(crate) statuses: BTreeMap<NodeId, (Duration, NodeState)>,
    /// Every ordered pair of members.
    pub(crate) links: BTreeMap<(NodeId, NodeId), LinkState>,
    /// The disks that are not as they should be.
    pub(crate) disks: BTreeMap<NodeId, DiskCondition>,
    /// The clocks that run at another rate than the true one, in thousandths.
    pub(crate) clocks: BTreeMap<NodeId, u16>,
}

impl View {
    /// A condition was set.
    pub(crate) fn set_condition(&mut self, node: NodeId, condition: NodeCondition) {
        match condition {
            NodeCondition::Disk(DiskCondition::Ok) => drop(self.disks.remove(&node)),
            NodeCondition::Disk(disk) => drop(self.disks.insert(node, disk)),
            NodeCondition::Clock(clock) => match clock.permille() {
                Some(CLOCK_PERMILLE_TRUE) => drop(self.clocks.remove(&node)),
                Some(permille) => drop(self.clocks.insert(node, permille)),
                None => {}
            },
        }
    }

    /// The conditions of a node that are not as they should be and outlive its process.
    pub(crate) fn standing(&self, node: NodeId) -> Vec<NodeCondition> {
        let disk = self.disks.get(&node).map(|disk| NodeCondition::Disk(disk.after_restart()));
        let clock =
            self.clocks.get(&node).map(|&permille| NodeCondition::Clock(ClockCondition::Rate { permille }));
        disk.into_iter().chain(clock).collect()
    }
}

/// The view and the journal, changed together: whoever was told of an event finds it in the view, and events
/// about one thing are journalled in the order in which it changed.
#[derive(Debug)]
pub(super) struct Shared {
    journal: Journal,
    view: Mutex<View>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(journal: Journal, links: impl Iterator<Item = (NodeId, NodeId)>) -> Self {
        let links = links.map(|pair| (pair, LinkState::Up)).collect();
        let view = Mutex::new(View { links, ..View::default() });
        Self { journal, view, changes: watch::Sender::new(0) }
    }

    pub(super) fn view(&self) -> View {
        self.lock().clone()
    }

    pub(super) fn process_state(&self, node: NodeId) -> Option<ProcessState> {
        self.lock().processes.get(&node).cloned()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A node's process has changed.
    pub(super) fn process(&self, node: NodeId, state: ProcessState) {
        let mut view = self.lock();
        view.processes.insert(node, state.clone());
        self.tell(view, LabEvent::Process { node, state });
    }

    /// A node has told its watcher something.
    pub(super) fn report(&self, node: NodeId, report: Report) {
        let mut view = self.lock();
        if let Report::Status(status) = &report {
            view.statuses.insert(node, (self.journal.now(), NodeState::from(status)));
        }
        self.tell(view, LabEvent::Node { node, report });
    }

    /// The watcher of a node has lost it, or has it back.
    pub(super) fn watched(&self, node: NodeId, up: bool) {
        self.tell(self.lock(), LabEvent::Watch { node, up });
    }

    /// Something was done to the data of a node whose process is dead.
    pub(super) fn damaged(&self, node: NodeId, damage: Damage) {
        self.tell(self.lock(), LabEvent::Damage { node, damage });
    }

    /// A condition of a node's disk or clock was set.
    pub(super) fn set_condition(&self, node: NodeId, condition: NodeCondition) {
        let mut view = self.lock();
        view.set_condition(node, condition);
        self.tell(view, LabEvent::Condition { node, condition });
    }

    /// The conditions of a node that outlive its process.
    pub(super) fn standing(&self, node: NodeId) -> Vec<NodeCondition> {
        self.lock().standing(node)
    }

    /// Changes a link, if that is a change.
    pub(super) fn set_link(&self, from: NodeId, to: NodeId, link: &Link, state: LinkState) {
        let mut view = self.lock();
        if link.set(state) {
            view.links.insert((from, to), state);
            self.tell(view, LabEvent::Link { from, to, state });
        }
    }

    /// Journals under the lock, which holds the order; neither the journal nor `changes` ever waits.
    fn tell(&self, view: MutexGuard<'_, View>, event: LabEvent) {
        self.journal.emit(event);
        drop(view);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
