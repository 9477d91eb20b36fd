//! The background load on a store that is right, and on one that is not.
#![expect(clippy::disallowed_methods, reason = "time limits and files of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kvlab::judge::{Consistency, HistoryEvent, OpKind, Phase};
use kvlab::types::{NodeId, WriteLevel};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

pub(crate) mod fake;

use self::fake::FakeStore;
use crate::run::event::{LabEvent, Operation, Outcome, Stamped};
use crate::run::history::Recorder;
use crate::run::journal::Journal;
use crate::workload::{Workload, WorkloadOptions, Zones};

/// Far more than anything here takes; only a hang reaches it.
const AT_MOST: Duration = Duration::from_secs(20);

struct Bench {
    store: Arc<FakeStore>,
    workload: Workload,
    recorder: Recorder,
    events: Receiver<Stamped>,
    dir: TempDir,
}

fn options() -> WorkloadOptions {
    WorkloadOptions {
        clients: 6,
        rate: 600,
        levels: vec![WriteLevel::Async, WriteLevel::Quorum],
        registers: 4,
        ledger: true,
        seed: 11,
        on: true,
    }
}

impl Bench {
    async fn start(options: WorkloadOptions, breaks: impl FnOnce(&FakeStore)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = FakeStore::start(3).await;
        breaks(&store);
        let journal = Journal::unrecorded();
        let events = journal.subscribe();
        let recorder = Recorder::start(journal.clone(), Some(dir.path()), None).expect("a recorder");
        let zones: Arc<dyn Zones> = store.clone();
        let workload = Workload::start(options, &zones, journal, recorder.clone());
        Self { store, workload, recorder, events, dir }
    }

    /// Waits until so many operations have ended.
    async fn until_ended(&self, operations: u64) {
        let mut ended = 0;
        until(|| {
            let sample = self.workload.sample();
            ended += sample.ok + sample.failed + sample.unknown;
            ended >= operations
        })
        .await;
    }

    async fn history(&self) -> Vec<HistoryEvent> {
        self.recorder.flush().await.expect("is written");
        let text = std::fs::read_to_string(self.dir.path().join("history.jsonl")).expect("the file");
        text.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }

    fn operations(&mut self) -> Vec<Operation> {
        let mut operations = Vec::new();
        while let Ok(stamped) = self.events.try_recv() {
            if let LabEvent::Operation(operation) = stamped.event {
                operations.push(operation);
            }
        }
        operations
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    in_time(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, future).await.expect("must not hang")
}

#[tokio::test]
async fn the_history_is_one_order_with_a_reply_to_every_invoke() {
    let bench = Bench::start(options(), |_| {}).await;
    bench.until_ended(300).await;
    in_time(bench.workload.quiet()).await;
    let history = bench.history().await;
    assert!(history.len() >= 600);
    let indices: Vec<u64> = history.iter().map(|event| event.i).collect();
    assert_eq!(indices, (1..=history.len() as u64).collect::<Vec<_>>());
    assert!(history.is_sorted_by_key(|event| event.t_ns));

    let mut running: BTreeMap<u32, &HistoryEvent> = BTreeMap::new();
    let mut written = BTreeSet::new();
    for event in &history {
        if event.phase == Phase::Invoke {
            assert!(running.insert(event.client, event).is_none(), "{event:?}");
            if event.op == OpKind::Put {
                assert!(written.insert(event.value.clone().expect("a value")), "{event:?} is not unique");
            }
            continue;
        }
        let invoke = running.remove(&event.client).expect("was invoked");
        assert_eq!(event.phase, Phase::Ok, "{event:?}");
        assert_eq!((event.op, &event.key, event.consistency), (invoke.op, &invoke.key, invoke.consistency));
        assert!(event.op == OpKind::Get || event.value == invoke.value, "{event:?}");
        assert_eq!(event.epoch.is_some(), event.value.is_some(), "{event:?}");
    }
    assert!(running.is_empty(), "{running:?}");
    let promise = bench.recorder.verdict(false, None).promise;
    assert_eq!(promise.linearizable, Some(true));
    assert_eq!(promise.checked_i, history.len() as u64);
}

#[tokio::test]
async fn the_families_keep_to_their_keys_and_eventual_reads_to_their_home() {
    let bench = Bench::start(options(), |_| {}).await;
    bench.until_ended(300).await;
    in_time(bench.workload.quiet()).await;
    let mut homes: BTreeMap<u32, BTreeSet<NodeId>> = BTreeMap::new();
    for event in bench.history().await {
        let quorum = event.key.starts_with('q') || event.key.starts_with("lq-");
        assert_eq!(event.consistency == Consistency::Quorum, quorum, "{event:?}");
        if event.op == OpKind::Get && !quorum {
            homes.entry(event.client).or_default().insert(event.node.expect("a node"));
        }
    }
    assert!(!homes.is_empty());
    assert!(homes.values().all(|nodes| nodes.len() == 1), "{homes:?}");
    assert_eq!(homes.into_values().flatten().collect::<BTreeSet<_>>().len(), 3, "clients live in all zones");
}

#[tokio::test]
async fn a_redirect_is_followed_once_and_then_remembered() {
    let bench = Bench::start(options(), |store| store.state().primary = NodeId(2)).await;
    bench.until_ended(300).await;
    in_time(bench.workload.quiet()).await;
    let state = bench.store.state();
    assert!(state.written_at.len() > 100);
    // Four of six clients are not at home with the primary; each asks there once.
    assert_eq!(state.refused, 4);
}

#[tokio::test]
async fn load_is_turned_off_on_and_changed_while_it_runs() {
    let bench = Bench::start(WorkloadOptions { on: false, ..options() }, |_| {}).await;
    assert!(bench.history().await.is_empty());
    bench.workload.set_on(true).expect("can");
    bench.until_ended(20).await;
    in_time(bench.workload.quiet()).await;
    let before = bench.history().await.len();
    bench.workload.sample();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.history().await.len(), before, "quiet is quiet");
    assert!(!bench.workload.sample().on);

    bench.workload.set_rate(2000).expect("can");
    bench.workload.set_on(true).expect("can");
    bench.until_ended(200).await;
    assert_eq!(bench.workload.sample().rate, 2000);
    bench.workload.set_rate(0).expect_err("is no rate");
    in_time(bench.workload.stop()).await;
}

#[tokio::test]
async fn without_clients_there_is_no_load_to_turn_on() {
    let bench = Bench::start(WorkloadOptions { clients: 0, on: false, ..options() }, |_| {}).await;
    let error = bench.workload.set_on(true).expect_err("there are no clients");
    assert!(error.to_string().contains("no clients"), "{error}");
    assert!(bench.workload.keys().is_empty());
}

#[tokio::test]
async fn a_primary_that_says_nothing_leaves_writes_unknown_and_they_are_shown() {
    let silent = |store: &FakeStore| {
        store.state().silent.insert(NodeId(1));
    };
    let mut bench = Bench::start(options(), silent).await;
    bench.until_ended(12).await;
    in_time(bench.workload.stop()).await;
    let history = bench.history().await;
    let unknown: Vec<_> = history.iter().filter(|event| event.phase == Phase::Info).collect();
    assert!(!unknown.is_empty());
    assert!(unknown.iter().all(|event| event.op == OpKind::Put), "a read changes nothing: {unknown:?}");
    let mut last: BTreeMap<u32, (OpKind, Phase)> = BTreeMap::new();
    for event in &history {
        match (event.phase, last.get(&event.client)) {
            (Phase::Invoke, Some((OpKind::Put, Phase::Info | Phase::Fail))) => {
                assert_eq!(event.op, OpKind::Get, "whoever could not write looks: {event:?}");
            }
            (Phase::Invoke, _) => {}
            (phase, _) => drop(last.insert(event.client, (event.op, phase))),
        }
    }
    let shown = bench.operations();
    assert!(shown.iter().any(|operation| matches!(operation.outcome, Outcome::Unknown(_))), "{shown:?}");
    assert_eq!(bench.recorder.verdict(false, None).promise.quorum_writes_acked, 0);
}

#[tokio::test]
async fn a_refused_eventual_read_is_counted_and_asked_nowhere_else() {
    let stale = |store: &FakeStore| {
        store.state().stale.extend([NodeId(2), NodeId(3)]);
    };
    let bench = Bench::start(options(), stale).await;
    until(|| bench.recorder.verdict(false, None).harm.refused_stale > 5).await;
    in_time(bench.workload.quiet()).await;
    let refused = bench.recorder.verdict(false, None).harm.refused_stale;
    let history = bench.history().await;
    let failed = |event: &&HistoryEvent| {
        event.phase == Phase::Fail && event.op == OpKind::Get && event.consistency == Consistency::Eventual
    };
    assert_eq!(history.iter().filter(failed).count() as u64, refused);
}

#[tokio::test]
async fn the_keys_to_read_back_are_the_acknowledged_and_all_registers() {
    let bench = Bench::start(options(), |_| {}).await;
    bench.until_ended(200).await;
    in_time(bench.workload.quiet()).await;
    let acked = |event: &HistoryEvent| event.phase == Phase::Ok && event.key.starts_with('l');
    let history = bench.history().await;
    let mut expected: BTreeSet<String> = history.into_iter().filter(acked).map(|event| event.key).collect();
    assert!(expected.len() > 20);
    expected.extend((0..4).flat_map(|n| [format!("q{n}"), format!("a{n}")]));
    assert_eq!(bench.workload.keys().into_iter().collect::<BTreeSet<_>>(), expected);
}
