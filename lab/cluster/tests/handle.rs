//! A whole cluster, with shells in the nodes' places.
#![expect(clippy::disallowed_methods, reason = "real files and sockets, and deadlines")]

use std::path::Path;
use std::time::Duration;

use rand::SeedableRng as _;

use super::*;
use crate::cluster::ports::reserve;
use crate::cluster::start::ClusterOptions;
use crate::cluster::tests::stand_in::{Record, StandIn, WELL_BEHAVED, lives};
use crate::engine::NodeSettings;
use crate::run::bounds::RunBounds;
use crate::run::event::{Cut, Damage, LabEvent, Level, ProcessState};
use crate::run::journal::Journal;
use crate::screen::ViewState;

fn options(nodes: u8, dir: &Path) -> ClusterOptions {
    ClusterOptions {
        nodes,
        dir: dir.to_owned(),
        well_known_ports: false,
        seed: 1,
        bounds: RunBounds::default(),
        settings: NodeSettings::default(),
    }
}

async fn start(nodes: u8, dir: &Path) -> (Cluster, Arc<StandIn>, Record) {
    let journal = Journal::start(dir, None, Box::<ViewState>::default()).expect("a journal");
    let record = Record::of(&journal);
    let engine = Arc::new(StandIn::new(WELL_BEHAVED));
    let cluster = Cluster::start_engine(options(nodes, dir), journal, engine.clone()).await.expect("started");
    (cluster, engine, record)
}

fn pids(cluster: &Cluster) -> Vec<u32> {
    let pid = |state: &ProcessState| match state {
        ProcessState::Starting { pid } | ProcessState::Running { pid, .. } | ProcessState::Paused { pid } => {
            *pid
        }
        ProcessState::Stopped { .. } | ProcessState::Died { .. } => panic!("not alive: {state:?}"),
    };
    cluster.view().processes.values().map(pid).collect()
}

#[tokio::test]
async fn three_nodes_start_are_described_and_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, engine, mut record) = start(3, dir.path()).await;
    let [n1, n2, n3] = [1, 2, 3].map(NodeId);
    assert_eq!(cluster.members(), [n1, n2, n3]);
    let pids = pids(&cluster);
    assert_eq!(pids.len(), 3);
    let events = record.take();
    for node in [n1, n2, n3] {
        assert!(events.contains(&LabEvent::Watch { node, up: true }), "{node} is not watched");
    }

    let file = ClusterFile::read(dir.path()).expect("cluster.json");
    let at = file.nodes.iter().find(|at| at.node == n2).expect("n2 is in it");
    assert_eq!(at.client, cluster.address(None, n2));
    assert_eq!(at.client, cluster.address(Some(n2), n2), "a client is near its home");
    assert_eq!(at.zones.keys().copied().collect::<Vec<_>>(), [n1, n3]);
    assert_eq!(at.zones[&n3], cluster.address(Some(n3), n2));

    let launches = engine.launches.lock().expect("no panic").clone();
    let near_ends: Vec<_> =
        launches.iter().flat_map(|launch| launch.links.iter().map(|(_, at)| *at)).collect();
    assert_eq!(near_ends.len(), 6, "one for each ordered pair");
    assert!(near_ends.iter().all(|at| launches.iter().all(|launch| launch.peer != *at)), "none is direct");

    cluster.stop().await;
    assert!(!pids.into_iter().any(lives));
    assert!(cluster.view().processes.values().all(|state| matches!(state, ProcessState::Stopped { .. })));
    cluster.stop().await;
}

#[tokio::test]
async fn links_change_are_seen_and_told_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, _engine, mut record) = start(2, dir.path()).await;
    let (n1, n2) = (NodeId(1), NodeId(2));
    record.take();
    let mut changes = cluster.changes();
    changes.mark_unchanged();
    for _ in 0..2 {
        cluster.set_link(n1, n2, LinkState::Cut).expect("a link");
    }
    assert!(changes.has_changed().expect("alive"));
    let links = cluster.view().links;
    assert_eq!((links[&(n1, n2)], links[&(n2, n1)]), (LinkState::Cut, LinkState::Up));
    assert_eq!(record.take(), [LabEvent::Link { from: n1, to: n2, state: LinkState::Cut }]);
    let error = |from, to| cluster.set_link(from, to, LinkState::Cut).expect_err("no such link").to_string();
    assert_eq!(error(n1, n1), "n1 has no link to itself");
    assert_eq!(error(n1, NodeId(7)), "n7 is not a member: the members are n1, n2");
    cluster.reset_link(n1, n2).expect("a link");
    cluster.stop().await;
}

#[tokio::test]
async fn a_restarted_node_is_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, engine, _) = start(2, dir.path()).await;
    let before = cluster.address(None, NodeId(1));
    cluster.kill(NodeId(1)).await.expect("killed");
    cluster.restart(NodeId(1)).await.expect("restarted");
    let launches = engine.launches.lock().expect("no panic").clone();
    assert!(
        launches.iter().filter(|launch| launch.node == NodeId(1)).all(|at| at.client.to_string() == before)
    );
    assert_eq!(launches.len(), 3);
    cluster.stop().await;
    let error = cluster.restart(NodeId(1)).await.expect_err("too late").to_string();
    assert!(error.contains("stopped"), "{error}");
}

#[tokio::test]
async fn when_one_cannot_start_none_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::unrecorded();
    let mut record = Record::of(&journal);
    // n2's data directory is a file.
    std::fs::write(dir.path().join("n2"), "").expect("written");
    let engine = Arc::new(StandIn::new(WELL_BEHAVED));
    let error =
        Cluster::start_engine(options(3, dir.path()), journal, engine).await.expect_err("n2 cannot start");
    assert!(format!("{error:#}").contains("n2"), "{error:#}");
    let pids: Vec<_> = record
        .take()
        .into_iter()
        .filter_map(|event| match event {
            LabEvent::Process { state: ProcessState::Starting { pid }, .. } => Some(pid),
            _ => None,
        })
        .collect();
    assert!(!pids.into_iter().any(lives));
    assert!(ClusterFile::read(dir.path()).is_err(), "nobody may find a cluster that is not there");
}

#[tokio::test]
async fn a_dropped_cluster_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, _engine, _) = start(2, dir.path()).await;
    let pids = pids(&cluster);
    let proxy = cluster.address(Some(NodeId(1)), NodeId(2));
    drop(cluster);
    let gone = async {
        while pids.iter().any(|&pid| lives(pid)) || tokio::net::TcpStream::connect(&proxy).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("gone in time");
}

#[tokio::test]
async fn a_taken_port_is_replaced_and_told() {
    let journal = Journal::unrecorded();
    let mut record = Record::of(&journal);
    // Whatever listens on these ports on this machine: each is either ours or replaced, never shared.
    let members = [NodeId(1), NodeId(2)];
    let first = reserve(&members, true, &journal).expect("ports");
    record.take();
    let second = reserve(&members, true, &journal).expect("other ports");
    for node in members {
        assert_ne!(first[&node].0.address(), second[&node].0.address());
    }
    let warnings = record
        .take()
        .into_iter()
        .filter(|event| matches!(event, LabEvent::Notice { level: Level::Warn, .. }));
    assert_eq!(warnings.count(), 2);
}

#[tokio::test]
async fn a_cluster_has_one_to_nine_nodes() {
    let dir = tempfile::tempdir().expect("a directory");
    for nodes in [0, 10] {
        let journal = Journal::unrecorded();
        let engine = Arc::new(StandIn::new(WELL_BEHAVED));
        let error =
            Cluster::start_engine(options(nodes, dir.path()), journal, engine).await.expect_err("refused");
        assert_eq!(error.to_string(), format!("a cluster has 1 to 9 nodes, not {nodes}"));
    }
}

#[tokio::test]
async fn faults_of_a_disk_are_done_to_the_dead_and_told_with_what_they_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, engine, mut record) = start(2, dir.path()).await;
    let (n1, n2) = (NodeId(1), NodeId(2));
    let pid = pids(&cluster)[0];
    record.take();

    cluster.power_loss(n1).await.expect("done");
    assert!(!lives(pid));
    let cut = Some(Cut { file: "log".to_owned(), from: 9, to: 5 });
    let stopped =
        |event: &LabEvent| matches!(event, LabEvent::Process { state: ProcessState::Stopped { .. }, .. });
    let told = record.take();
    let dead = told.iter().position(stopped).expect("it was killed");
    let damaged = LabEvent::Damage { node: n1, damage: Damage::PowerLost { cut: cut.clone() } };
    assert_eq!(told.last(), Some(&damaged));
    assert!(dead < told.len() - 1, "killed before anything was done to its data");

    // It stays down, and being down is no reason to spare it.
    cluster.tear_tail(n1).await.expect("done");
    cluster.tear_tail(n1).await.expect("done");
    assert_eq!(record.take(), vec![LabEvent::Damage { node: n1, damage: Damage::TailTorn { cut } }; 2]);
    cluster.restart(n1).await.expect("restarted");

    // A paused one is no safer.
    std::fs::write(dir.path().join("n2/promise"), "kept").expect("written");
    cluster.pause(n2).await.expect("paused");
    cluster.wipe(n2).await.expect("done");
    assert!(record.take().contains(&LabEvent::Damage { node: n2, damage: Damage::Wiped }));
    assert_eq!(std::fs::read_dir(dir.path().join("n2")).expect("a directory").count(), 0);
    cluster.restart(n2).await.expect("restarted");
    let bootstrap: Vec<_> =
        engine.launches.lock().expect("no panic").iter().map(|launch| launch.bootstrap).collect();
    assert_eq!(bootstrap, [true, true, false, false], "an empty directory is a loss now");

    let error = cluster.wipe(NodeId(7)).await.expect_err("nobody").to_string();
    assert_eq!(error, "n7 is not a member: the members are n1, n2");
    cluster.stop().await;
    let faults = engine.faults.lock().expect("no panic").clone();
    let [DiskFault::PowerLoss, DiskFault::TornTail { seed: first }, DiskFault::TornTail { seed: second }] =
        faults[..]
    else {
        panic!("{faults:?}")
    };
    assert_ne!(first, second, "each tear has a place of its own");
    let mut drawn = SmallRng::seed_from_u64(1);
    assert_eq!((first, second), (drawn.random(), drawn.random()), "drawn from the run's seed");
}

#[tokio::test]
async fn nobody_starts_a_node_while_something_is_done_to_its_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cluster, _engine, mut record) = start(1, dir.path()).await;
    record.take();
    let (wiped, restarted) = tokio::join!(cluster.wipe(NodeId(1)), async {
        // As soon as it is down.
        while cluster.restart(NodeId(1)).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    wiped.expect("done");
    let () = restarted;
    let told = record.take();
    let place = |wanted: &dyn Fn(&LabEvent) -> bool| told.iter().rposition(wanted).expect("was told");
    let starting = place(&|e| matches!(e, LabEvent::Process { state: ProcessState::Starting { .. }, .. }));
    let stopped = place(&|e| matches!(e, LabEvent::Process { state: ProcessState::Stopped { .. }, .. }));
    assert!(stopped < starting, "{told:?}");
    assert_eq!(cluster.view().processes.len(), 1);
    cluster.stop().await;
}
