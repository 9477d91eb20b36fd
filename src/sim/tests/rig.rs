//! A few members on plain disks, whose messages and disk jobs are done at once: for tests that move only time.

use std::rc::Rc;
use std::time::Duration;

use crate::replication::{Config, RequestId};
use crate::sim::cluster::{Cluster, ClusterEvent};
use crate::sim::node::StartDraw;
use crate::sim::tests::model_disk::ModelDisk;
use crate::types::{Command, Message, NodeId, Op, Reply, Role, Time, WriteLevel};

/// See the module.
pub(super) struct Rig {
    pub(super) cluster: Cluster,
    starts: u64,
}

impl Rig {
    /// So many members, which have just started.
    pub(super) fn new(members: u8) -> Self {
        let ids: Vec<NodeId> = (1..=members).map(NodeId).collect();
        let configs = ids.iter().map(|&id| Config::new(id, ids.clone())).collect();
        let cluster = Cluster::new(configs, |_| Box::new(ModelDisk::new()));
        let mut rig = Self { cluster, starts: 0 };
        ids.into_iter().for_each(|id| rig.start(id));
        rig
    }

    /// Starts a member that is down.
    pub(super) fn start(&mut self, id: NodeId) {
        self.starts += 1;
        let (incarnation, seed) = (self.starts, self.starts << 32);
        self.cluster.start(id, StartDraw { incarnation, seed, clock_offset: Time::ZERO });
    }

    /// A message arrives, whoever has sent it.
    pub(super) fn say(&mut self, link: (NodeId, NodeId), message: Message) {
        let start = self.cluster.node(link.0).starts;
        if let Some(id) = self.cluster.network.send(link, Rc::new(message), start) {
            self.cluster.deliver(link, id);
        }
    }

    /// Time passes; what the disks and the network have to do, they do at once.
    pub(super) fn run(&mut self, by: Duration) {
        let end = self.cluster.now() + by;
        loop {
            self.settle();
            let Some((due, id)) = self.cluster.next_deadline().filter(|&(due, _)| due <= end) else { break };
            let now = self.cluster.now();
            self.cluster.set_now(due.max(now));
            self.cluster.tick(id);
        }
        self.cluster.set_now(end);
    }

    /// Whether a member is promoted within three seconds.
    pub(super) fn promote(&mut self, id: NodeId, force: bool) -> bool {
        let reply = self.ask(id, Command::Promote { force }, Duration::from_secs(3));
        matches!(reply, Some(Reply::Promoted { .. }))
    }

    /// Whether a quorum write at a member is acknowledged.
    pub(super) fn write(&mut self, id: NodeId, key: &'static str, value: &'static str) -> bool {
        let op = Op::Put { key: key.into(), value: value.into() };
        let timeout = Duration::from_millis(500);
        let reply = self.ask(id, Command::Write { op, level: WriteLevel::Quorum, timeout }, timeout);
        matches!(reply, Some(Reply::Written { .. }))
    }

    /// What a running member is.
    pub(super) fn role(&self, id: NodeId) -> Role {
        self.cluster.status(id).expect("it runs").role
    }

    fn ask(&mut self, id: NodeId, command: Command, within: Duration) -> Option<Reply> {
        self.cluster.take_events();
        let asked: RequestId = self.cluster.request(id, command);
        self.run(within);
        self.cluster.take_events().into_iter().find_map(|event| match event {
            ClusterEvent::Replied { request, reply, .. } if request == asked => Some(reply),
            _ => None,
        })
    }

    fn settle(&mut self) {
        loop {
            let busy = self.cluster.ids().into_iter().find(|&id| self.cluster.node(id).can_persist());
            if let Some(id) = busy {
                self.cluster.persist(id);
            } else if let Some((link, id)) = self.cluster.network.under_way().into_iter().next() {
                self.cluster.deliver(link, id);
            } else {
                return;
            }
        }
    }
}
