//! Node processes, directed links, the supervisor and the run directory.
//!
//! (Contract; the cluster's room fills it in.)
#![allow(clippy::todo, missing_docs, unused_variables)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kvlab::node::NodeStatus;
use kvlab::replication::{NodeId, Reply};

use crate::event::{LinkState, ProcessState};
use crate::journal::Journal;

mod frame;
mod link;
mod pipe;
mod proxy;
mod tasks;

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// 1 to 9.
    pub nodes: u8,
    /// The run directory (exists): node data in `n1/`..., node logs `n1.log`...
    pub dir: PathBuf,
    /// Use client ports 7001, 7002, ... where free; else any.
    pub well_known_ports: bool,
    /// Seeds the links' jitter.
    pub seed: u64,
    /// Settings of `kvlab node`, passed on.
    pub stale_after: Option<Duration>,
    pub stale_lag: Option<u64>,
    pub durability: Option<String>,
    pub backlog_bytes: Option<u64>,
}

/// The running cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {}

/// What is known of everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub processes: BTreeMap<NodeId, ProcessState>,
    /// The last status of each node, and the journal time at which it came.
    pub statuses: BTreeMap<NodeId, (Duration, NodeStatus)>,
    /// Every ordered pair of members.
    pub links: BTreeMap<(NodeId, NodeId), LinkState>,
}

impl Cluster {
    /// Spawns all nodes and waits until each is ready and watched.
    pub async fn start(options: ClusterOptions, journal: Journal) -> anyhow::Result<Self> {
        todo!()
    }
    pub fn members(&self) -> &[NodeId] {
        todo!()
    }
    /// Client address of `node` as seen from the zone of `home` (a proxied pair of links unless they are the
    /// same); `None`: direct, blind to partitions.
    pub fn address(&self, home: Option<NodeId>, node: NodeId) -> String {
        todo!()
    }
    pub fn view(&self) -> View {
        todo!()
    }
    /// Changes whenever the view does.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        todo!()
    }
    pub fn set_link(&self, from: NodeId, to: NodeId, state: LinkState) -> anyhow::Result<()> {
        todo!()
    }
    pub async fn pause(&self, node: NodeId) -> anyhow::Result<()> {
        todo!()
    }
    pub async fn resume(&self, node: NodeId) -> anyhow::Result<()> {
        todo!()
    }
    pub async fn kill(&self, node: NodeId) -> anyhow::Result<()> {
        todo!()
    }
    /// SIGTERM; waits (bounded) for the exit.
    pub async fn terminate(&self, node: NodeId) -> anyhow::Result<()> {
        todo!()
    }
    /// Starts a stopped or dead node again on its data and waits until it is ready and watched.
    pub async fn restart(&self, node: NodeId) -> anyhow::Result<()> {
        todo!()
    }
    /// An operator's promotion, on a direct connection.
    pub async fn promote(&self, node: NodeId, force: bool) -> anyhow::Result<Reply> {
        todo!()
    }
    /// Ends every node: SIGTERM, then SIGKILL after a bounded wait.
    pub async fn stop(&self) {
        todo!()
    }
}
