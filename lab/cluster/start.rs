//! How a cluster is put together and started.
#![expect(clippy::disallowed_methods, reason = "logs of nodes are looked at from time to time")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use kvlab::types::NodeId;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::MissedTickBehavior;

use super::handle::{Cluster, Inner, MemberNode, NearEnds};
use super::limits::raise_open_files;
use super::link::Link;
use super::ports::{Ports, Reserved, reserve};
use super::process::Spawner;
use super::proxy::{self, ProxyRoute};
use super::supervisor::{Context, Deadlines, Supervisor};
use super::tasks::Tasks;
use super::view::Shared;
use super::watch::watch;
use crate::engine::{Engine, KvlabNode, Launch, NodeSettings};
use crate::run::bounds::RunBounds;
use crate::run::journal::Journal;
use crate::run::{log_file, token};

/// How often the log of a node is compared with its bound.
const LOG_LOOK_EVERY: Duration = Duration::from_secs(1);
/// The largest cluster.
const NODES_MAX: u8 = 9;

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub(crate) struct ClusterOptions {
    /// 1 to 9.
    pub(crate) nodes: u8,
    /// The run directory (exists): node data in `n1/`..., node logs `n1.log`..., the cluster's token.
    pub(crate) dir: PathBuf,
    /// Use client ports 7001, 7002, ... where free; else any.
    pub(crate) well_known_ports: bool,
    /// Seeds the links' jitter and where tails are torn.
    pub(crate) seed: u64,
    /// Of the run directory.
    pub(crate) bounds: RunBounds,
    /// Of every node.
    pub(crate) settings: NodeSettings,
}

impl Cluster {
    /// Spawns all nodes and waits until each is ready and watched. Then `cluster.json` says how to reach them.
    ///
    /// # Errors
    /// If one cannot be started; the others are stopped again.
    pub(crate) async fn start(options: ClusterOptions, journal: Journal) -> anyhow::Result<Self> {
        let engine = Arc::new(KvlabNode::of_this_program(token::draw(&options.dir)?)?);
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
            context.tasks.spawn(bound_log(log.clone(), options.bounds.log()));
            let supervisor = Arc::new(Supervisor::new(launch, log, Deadlines::default(), context.clone()));
            context.tasks.spawn(watch(Arc::clone(&supervisor), context.clone()));
            (id, MemberNode { supervisor, _client: client, _peer: peer })
        };
        let nodes = ports.into_iter().map(node).collect();
        let tears = Mutex::new(SmallRng::seed_from_u64(options.seed));
        Ok(Self(Arc::new(Inner { members, nodes, links, zones, tears, context, _ends_tasks: guard })))
    }
}

/// Keeps the log of a node within its bound, as often as it is looked at.
async fn bound_log(log: PathBuf, bytes_max: u64) {
    let mut looks = tokio::time::interval(LOG_LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        // It costs a question to the kernel, and rarely more. What cannot be done now can be later.
        let _ = log_file::halve(&log, bytes_max);
    }
}

/// Every ordered pair of members.
fn pairs(members: &[NodeId]) -> impl Iterator<Item = (NodeId, NodeId)> {
    members.iter().flat_map(|&from| members.iter().filter(move |&&to| to != from).map(move |&to| (from, to)))
}

/// Opens the proxies of the zones (to client ports) and of the members (to peer ports).
async fn open_proxies(
    ports: &Ports,
    links: &BTreeMap<(NodeId, NodeId), Link>,
    context: &Context,
) -> anyhow::Result<(NearEnds, NearEnds)> {
    let (mut zones, mut peers) = (NearEnds::new(), NearEnds::new());
    for (&(from, to), link) in links {
        let (client, peer) = &ports[&to];
        for (target, near_ends, repeats) in [(client, &mut zones, false), (peer, &mut peers, true)] {
            let route = ProxyRoute {
                target: target.address(),
                forward: link.clone(),
                backward: links[&(to, from)].clone(),
                framing: context.engine.framing(),
                repeats,
            };
            let address = proxy::open(route, &context.tasks).await;
            let address = address.with_context(|| format!("cannot open a proxy from {from} to {to}"))?;
            near_ends.insert((from, to), address);
        }
    }
    Ok((zones, peers))
}
