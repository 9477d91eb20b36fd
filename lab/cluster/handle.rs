//! The running cluster behind one handle: what can be done to it, and what is known of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use futures_util::future::join_all;
use kvlab::types::{Command, NodeCondition, NodeId, Reply};
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::link::Link;
use super::ports::Reserved;
use super::supervisor::{Context, Ruin, Supervisor};
use super::view::View;
use crate::engine::{DiskFault, Launch};
use crate::run::directory::{CLUSTER_FILE_VERSION, ClusterFile, NodeAddresses};
use crate::run::event::LinkState;

/// The running cluster. Cheap to clone; when the last clone is dropped every node is killed.
#[derive(Clone, Debug)]
pub(crate) struct Cluster(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) members: Vec<NodeId>,
    pub(super) nodes: BTreeMap<NodeId, MemberNode>,
    pub(super) links: BTreeMap<(NodeId, NodeId), Link>,
    /// Where clients of the first's zone reach the second.
    pub(super) zones: NearEnds,
    /// Where tails are torn.
    pub(super) tears: Mutex<SmallRng>,
    pub(super) context: Context,
    pub(super) _ends_tasks: DropGuard,
}

#[derive(Debug)]
pub(super) struct MemberNode {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) _client: Reserved,
    pub(super) _peer: Reserved,
}

/// The near end of something for each ordered pair.
pub(super) type NearEnds = BTreeMap<(NodeId, NodeId), SocketAddr>;

impl Cluster {
    /// All members, ascending.
    pub(crate) fn members(&self) -> &[NodeId] {
        &self.0.members
    }

    /// Client address of `node` as seen from the zone of `home` (a proxied pair of links unless they are the
    /// same); `None`: direct, blind to partitions. It stays the same for as long as the cluster stands.
    ///
    /// # Panics
    /// If either is not a member.
    pub(crate) fn address(&self, home: Option<NodeId>, node: NodeId) -> String {
        match home {
            Some(home) if home != node => self.0.zones[&(home, node)].to_string(),
            _ => self.0.nodes[&node].supervisor.launch().client.to_string(),
        }
    }

    /// Everything as it is now.
    pub(crate) fn view(&self) -> View {
        self.0.context.shared.view()
    }

    /// Changes whenever the view does.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.context.shared.changes()
    }

    /// Changes a directed link, for live connections as well.
    ///
    /// # Errors
    /// If there is no such link.
    pub(crate) fn set_link(&self, from: NodeId, to: NodeId, state: LinkState) -> anyhow::Result<()> {
        self.0.context.shared.set_link(from, to, self.link(from, to)?, state);
        Ok(())
    }

    /// Breaks every connection over a directed link once, with an error that both ends see at once.
    ///
    /// # Errors
    /// If there is no such link.
    pub(crate) fn reset_link(&self, from: NodeId, to: NodeId) -> anyhow::Result<()> {
        self.link(from, to)?.reset();
        Ok(())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// If the node is not running.
    pub(crate) async fn pause(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.life.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If the node is not paused.
    pub(crate) async fn resume(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.life.resume()
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// If the node is down.
    pub(crate) async fn kill(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.kill().await
    }

    /// SIGKILL if it runs; then its log loses exactly what was not synced.
    ///
    /// # Errors
    /// If the process survives, or the data cannot be cut.
    pub(crate) async fn power_loss(&self, node: NodeId) -> anyhow::Result<()> {
        self.damage(node, Ruin::DiskFault(DiskFault::PowerLoss)).await
    }

    /// SIGKILL if it runs; then its log is cut within the last record, at a byte that follows from the run's seed.
    ///
    /// # Errors
    /// As [`Cluster::power_loss`].
    pub(crate) async fn tear_tail(&self, node: NodeId) -> anyhow::Result<()> {
        let seed = self.0.tears.lock().unwrap_or_else(PoisonError::into_inner).random();
        self.damage(node, Ruin::DiskFault(DiskFault::TornTail { seed })).await
    }

    /// SIGKILL if it runs; then an empty directory takes the place of its data.
    ///
    /// # Errors
    /// As [`Cluster::power_loss`].
    pub(crate) async fn wipe(&self, node: NodeId) -> anyhow::Result<()> {
        self.damage(node, Ruin::Wipe).await
    }

    /// Sets a condition of a node's disk or clock, whether its process runs or not. What of it outlives a process is set
    /// again at each start.
    ///
    /// # Errors
    /// If nodes of this engine take none, or the process does not take it.
    pub(crate) async fn set_condition(&self, node: NodeId, condition: NodeCondition) -> anyhow::Result<()> {
        self.supervisor(node)?.set_condition(condition).await
    }

    async fn damage(&self, node: NodeId, ruin: Ruin) -> anyhow::Result<()> {
        let damage = self.supervisor(node)?.damage(ruin).await?;
        self.0.context.shared.damaged(node, damage);
        Ok(())
    }

    /// SIGTERM; waits (bounded) for the exit. A paused node is resumed first.
    ///
    /// # Errors
    /// If the node is down, or does not end in time.
    pub(crate) async fn terminate(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.terminate().await
    }

    /// Starts a stopped or dead node again on its data and waits until it is ready and watched.
    ///
    /// # Errors
    /// If the node is not down, or cannot be started.
    pub(crate) async fn restart(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.start().await
    }

    /// An operator's promotion, on a direct connection.
    ///
    /// # Errors
    /// If the node cannot be reached, or does not answer. A refusal is an answer.
    pub(crate) async fn promote(&self, node: NodeId, force: bool) -> anyhow::Result<Reply> {
        let reply = self.0.context.engine.perform(self.direct(node)?, Command::Promote { force }).await;
        reply.with_context(|| format!("cannot promote {node}"))
    }

    /// An operator's order to follow `primary`, on a direct connection.
    ///
    /// # Errors
    /// As [`Cluster::promote`].
    pub(crate) async fn follow(&self, node: NodeId, primary: NodeId) -> anyhow::Result<Reply> {
        let reply = self.0.context.engine.perform(self.direct(node)?, Command::Follow { primary }).await;
        reply.with_context(|| format!("cannot tell {node} to follow {primary}"))
    }

    /// Has a node drop from its disk what nobody needs, and returns when that has begun.
    ///
    /// # Errors
    /// If the node cannot be reached, does not answer, or says why it does not begin.
    pub(crate) async fn cleanup(&self, node: NodeId) -> anyhow::Result<()> {
        let begun = self.0.context.engine.cleanup(self.direct(node)?).await;
        begun.with_context(|| format!("cannot clean up the disk of {node}"))
    }

    /// Ends every node: SIGTERM, then SIGKILL after a bounded wait; all at once. Nothing of the cluster runs
    /// when this returns.
    pub(crate) async fn stop(&self) {
        join_all(self.0.nodes.values().map(|node| node.supervisor.stop())).await;
        self.0.context.tasks.end().await;
    }

    fn direct(&self, node: NodeId) -> anyhow::Result<String> {
        Ok(self.supervisor(node)?.launch().client.to_string())
    }

    fn supervisor(&self, node: NodeId) -> anyhow::Result<&Arc<Supervisor>> {
        let found = self.0.nodes.get(&node).map(|node| &node.supervisor);
        found.with_context(|| format!("{node} is not a member: {}", self.0.names()))
    }

    fn link(&self, from: NodeId, to: NodeId) -> anyhow::Result<&Link> {
        self.supervisor(from)?;
        self.supervisor(to)?;
        self.0.links.get(&(from, to)).with_context(|| format!("{from} has no link to itself"))
    }
}

impl Inner {
    fn names(&self) -> String {
        let names: Vec<_> = self.members.iter().map(ToString::to_string).collect();
        format!("the members are {}", names.join(", "))
    }

    /// How it can be reached, for the commands of other terminals.
    pub(super) fn file(&self) -> ClusterFile {
        let addresses = |node: &MemberNode| {
            let Launch { node, client, peer, .. } = node.supervisor.launch();
            let zones = self.zones.iter().filter(|((_, to), _)| to == node);
            NodeAddresses {
                node: *node,
                client: client.to_string(),
                peer: peer.to_string(),
                zones: zones.map(|(&(home, _), address)| (home, address.to_string())).collect(),
            }
        };
        ClusterFile {
            version: CLUSTER_FILE_VERSION,
            lab_pid: std::process::id(),
            nodes: self.nodes.values().map(addresses).collect(),
        }
    }
}

#[cfg(test)]
#[path = "tests/handle.rs"]
mod tests;
