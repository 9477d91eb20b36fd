//! The cluster as a whole: members, links and proxies put together, behind one handle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use kvlab::types::{Command, NodeId, Reply};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::limits::raise_open_files;
use super::link::Link;
use super::ports::{Reserved, WELL_KNOWN_BASE};
use super::process::Spawner;
use super::proxy::{self, Route};
use super::supervisor::{Context, Deadlines, Ruin, Supervisor};
use super::tasks::Tasks;
use super::view::{Shared, View};
use super::watch::watch;
use crate::engine::{Engine, Harm, KvlabNode, Launch, NodeSettings};
use crate::run::directory::{CLUSTER_FILE_VERSION, ClusterFile, NodeAddresses};
use crate::run::event::{LabEvent, Level, LinkState};
use crate::run::journal::Journal;

/// The largest cluster.
const NODES_MAX: u8 = 9;

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub(crate) struct ClusterOptions {
    /// 1 to 9.
    pub(crate) nodes: u8,
    /// The run directory (exists): node data in `n1/`..., node logs `n1.log`...
    pub(crate) dir: PathBuf,
    /// Use client ports 7001, 7002, ... where free; else any.
    pub(crate) well_known_ports: bool,
    /// Seeds the links' jitter and where tails are torn.
    pub(crate) seed: u64,
    /// Of every node.
    pub(crate) settings: NodeSettings,
}

/// The running cluster. Cheap to clone; when the last clone is dropped every node is killed.
#[derive(Clone, Debug)]
pub(crate) struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Vec<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    /// Where clients of the first's zone reach the second.
    zones: NearEnds,
    /// Where tails are torn.
    tears: Mutex<SmallRng>,
    context: Context,
    _ends_tasks: DropGuard,
}

#[derive(Debug)]
struct Node {
    supervisor: Arc<Supervisor>,
    _client: Reserved,
    _peer: Reserved,
}

impl Cluster {
    /// Spawns all nodes and waits until each is ready and watched. Then `cluster.json` says how to reach them.
    ///
    /// # Errors
    /// If one cannot be started; the others are stopped again.
    pub(crate) async fn start(options: ClusterOptions, journal: Journal) -> anyhow::Result<Self> {
        let engine = Arc::new(KvlabNode::of_this_program()?);
        Self::start_engine(options, journal, engine).await
    }

    /// The same, for any engine.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub(super) async fn start_engine(
        options: ClusterOptions,
        journal: Journal,
        engine: Arc<dyn Engine>,
    ) -> anyhow::Result<Self> {
        let cluster = Self::build(&options, &journal, engine).await?;
        let nodes = cluster.0.nodes.values().map(|node| node.supervisor.start());
        // All of them to the end: what is half started is hard to stop.
        let started: anyhow::Result<()> = join_all(nodes).await.into_iter().collect();
        if let Err(error) = started {
            cluster.stop().await;
            return Err(error);
        }
        cluster.0.file().write(&options.dir)?;
        Ok(cluster)
    }

    /// Everything but the processes.
    async fn build(
        options: &ClusterOptions,
        journal: &Journal,
        engine: Arc<dyn Engine>,
    ) -> anyhow::Result<Self> {
        if !(1..=NODES_MAX).contains(&options.nodes) {
            bail!("a cluster has 1 to {NODES_MAX} nodes, not {}", options.nodes);
        }
        raise_open_files();
        let members: Vec<_> = (1..=options.nodes).map(NodeId).collect();
        let ports = reserve(&members, options.well_known_ports, journal)?;
        let link = |(from, to)| ((from, to), Link::new(options.seed, from, to));
        let links: BTreeMap<_, _> = pairs(&members).map(link).collect();
        let spawner = Spawner::start().context("cannot start the thread that spawns nodes")?;
        let shared = Arc::new(Shared::new(journal.clone(), pairs(&members)));
        let context = Context { engine, spawner, shared, tasks: Tasks::default() };
        // From here on, whatever goes wrong, nothing is left running.
        let guard = context.tasks.guard();
        let (zones, peers) = open_proxies(&ports, &links, &context).await?;
        let node = |(id, (client, peer)): (NodeId, (Reserved, Reserved))| {
            let near_ends = peers.iter().filter(|((from, _), _)| *from == id);
            let launch = Launch {
                node: id,
                members: members.clone(),
                data: options.dir.join(id.to_string()),
                client: client.address(),
                peer: peer.address(),
                links: near_ends.map(|(&(_, to), &address)| (to, address)).collect(),
                bootstrap: false,
                lab_pid: std::process::id(),
                settings: options.settings.clone(),
            };
            let log = options.dir.join(format!("{id}.log"));
            let supervisor = Arc::new(Supervisor::new(launch, log, Deadlines::default(), context.clone()));
            context.tasks.spawn(watch(Arc::clone(&supervisor), context.clone()));
            (id, Node { supervisor, _client: client, _peer: peer })
        };
        let nodes = ports.into_iter().map(node).collect();
        let tears = Mutex::new(SmallRng::seed_from_u64(options.seed));
        Ok(Self(Arc::new(Inner { members, nodes, links, zones, tears, context, _ends_tasks: guard })))
    }

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
        self.supervisor(node)?.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If the node is not paused.
    pub(crate) async fn resume(&self, node: NodeId) -> anyhow::Result<()> {
        self.supervisor(node)?.resume()
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
        self.damage(node, Ruin::Harm(Harm::PowerLoss)).await
    }

    /// SIGKILL if it runs; then its log is cut within the last record, at a byte that follows from the run's seed.
    ///
    /// # Errors
    /// As [`Cluster::power_loss`].
    pub(crate) async fn tear_tail(&self, node: NodeId) -> anyhow::Result<()> {
        let seed = self.0.tears.lock().unwrap_or_else(PoisonError::into_inner).random();
        self.damage(node, Ruin::Harm(Harm::TornTail { seed })).await
    }

    /// SIGKILL if it runs; then an empty directory takes the place of its data.
    ///
    /// # Errors
    /// As [`Cluster::power_loss`].
    pub(crate) async fn wipe(&self, node: NodeId) -> anyhow::Result<()> {
        self.damage(node, Ruin::Wipe).await
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
        let address = self.supervisor(node)?.launch().client.to_string();
        let reply = self.0.context.engine.perform(address, Command::Promote { force }).await;
        reply.with_context(|| format!("cannot promote {node}"))
    }

    /// An operator's order to follow `primary`, on a direct connection.
    ///
    /// # Errors
    /// If the node cannot be reached, or does not answer. A refusal is an answer.
    pub(crate) async fn follow(&self, node: NodeId, primary: NodeId) -> anyhow::Result<Reply> {
        let address = self.supervisor(node)?.launch().client.to_string();
        let reply = self.0.context.engine.perform(address, Command::Follow { primary }).await;
        reply.with_context(|| format!("cannot tell {node} to follow {primary}"))
    }

    /// Has a node drop from its disk what nobody needs, and returns when that has begun.
    ///
    /// # Errors
    /// If the node cannot be reached, does not answer, or says why it does not begin.
    pub(crate) async fn cleanup(&self, node: NodeId) -> anyhow::Result<()> {
        let address = self.supervisor(node)?.launch().client.to_string();
        let begun = self.0.context.engine.cleanup(address).await;
        begun.with_context(|| format!("cannot clean up the disk of {node}"))
    }

    /// Ends every node: SIGTERM, then SIGKILL after a bounded wait; all at once. Nothing of the cluster runs
    /// when this returns.
    pub(crate) async fn stop(&self) {
        join_all(self.0.nodes.values().map(|node| node.supervisor.stop())).await;
        self.0.context.tasks.end().await;
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

    fn file(&self) -> ClusterFile {
        let addresses = |node: &Node| {
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

/// Every ordered pair of members.
fn pairs(members: &[NodeId]) -> impl Iterator<Item = (NodeId, NodeId)> {
    members.iter().flat_map(|&from| members.iter().filter(move |&&to| to != from).map(move |&to| (from, to)))
}

/// A client port and a peer port of each member.
type Ports = BTreeMap<NodeId, (Reserved, Reserved)>;
/// The near end of something for each ordered pair.
type NearEnds = BTreeMap<(NodeId, NodeId), SocketAddr>;

/// Opens the proxies of the zones (to client ports) and of the members (to peer ports).
async fn open_proxies(
    ports: &Ports,
    links: &BTreeMap<(NodeId, NodeId), Link>,
    context: &Context,
) -> anyhow::Result<(NearEnds, NearEnds)> {
    let (mut zones, mut peers) = (NearEnds::new(), NearEnds::new());
    for (&(from, to), link) in links {
        let (client, peer) = &ports[&to];
        for (target, near_ends) in [(client, &mut zones), (peer, &mut peers)] {
            let route = Route {
                target: target.address(),
                forward: link.clone(),
                backward: links[&(to, from)].clone(),
                framing: context.engine.framing(),
            };
            let address = proxy::open(route, &context.tasks).await;
            let address = address.with_context(|| format!("cannot open a proxy from {from} to {to}"))?;
            near_ends.insert((from, to), address);
        }
    }
    Ok((zones, peers))
}

fn reserve(members: &[NodeId], well_known: bool, journal: &Journal) -> anyhow::Result<Ports> {
    let mut ports = Ports::new();
    for &node in members {
        let wanted = WELL_KNOWN_BASE + u16::from(node.0);
        let any = || Reserved::any().context("no free port on the loopback interface");
        let client = match well_known.then(|| Reserved::exactly(wanted)) {
            None => any()?,
            Some(Ok(port)) => port,
            Some(Err(error)) => {
                let port = any()?;
                let text =
                    format!("port {wanted} is taken ({error}): {node} takes clients at {}", port.address());
                journal.emit(LabEvent::Notice { level: Level::Warn, text });
                port
            }
        };
        ports.insert(node, (client, any()?));
    }
    if well_known {
        let each = ports.iter().map(|(node, (client, _))| format!("{node} {}", client.address()));
        let text = format!("clients: {}", each.collect::<Vec<_>>().join(", "));
        journal.emit(LabEvent::Notice { level: Level::Info, text });
    }
    Ok(ports)
}

#[cfg(test)]
#[path = "tests/handle.rs"]
mod tests;
