//! Reading back, comparing and visiting, on a store that is right and on one that is not.

mod day;

use std::sync::{Arc, Mutex};

use kvlab::judge::Consistency;
use kvlab::types::{NodeId, ReadLevel, Vote, WriteLevel};

use super::client_pool::ClientPool;
use super::compare::compare;
use super::read_back::Readers;
use crate::run::event::{Actor, Operation, Outcome, Verdict};
use crate::run::history::{Intent, Recorder};
use crate::run::journal::Journal;
use crate::workload::tests::fake::FakeStore;
use crate::workload::{Way, Zones};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

struct Bench {
    store: Arc<FakeStore>,
    zones: Arc<dyn Zones>,
    recorder: Recorder,
    pool: ClientPool,
}

impl Bench {
    async fn start() -> Self {
        let store = FakeStore::start(3).await;
        let zones: Arc<dyn Zones> = store.clone();
        let journal = Journal::start(None).expect("a journal");
        let recorder = Recorder::start(journal, None).expect("a recorder");
        let pool = ClientPool::new(recorder.clone(), Arc::clone(&zones), 3);
        Self { store, zones, recorder, pool }
    }

    async fn put(&self, node: NodeId, key: &str, level: WriteLevel) -> Operation {
        let put = Intent::put(key.to_owned(), None, level);
        self.pool.ask(Actor::Person, Way::From(node), put).await
    }

    async fn get(&self, node: NodeId, key: &str, level: ReadLevel) -> Operation {
        self.pool.ask(Actor::Step(2), Way::Only(node), Intent::get(key.to_owned(), level)).await
    }

    /// Returns how many keys could not be read, and what was told of the progress.
    async fn read_back(&self, keys: &[&str]) -> (u64, Vec<(u64, u64)>) {
        let keys = keys.iter().map(ToString::to_string).collect();
        let told = Mutex::new(Vec::new());
        let progress = |done, total| told.lock().expect("not poisoned").push((done, total));
        let unread = Readers::default().read(keys, &self.recorder, &self.zones, progress).await;
        (unread, told.into_inner().expect("not poisoned"))
    }
}

#[tokio::test]
async fn a_visitors_operation_says_who_where_and_what_each_member_said() {
    let bench = Bench::start().await;
    let put = bench.put(N3, "k", WriteLevel::Quorum).await;
    assert_eq!((put.by, put.home, put.node), (Some(Actor::Person), N3, Some(N1)));
    assert_eq!((put.consistency, &put.outcome), (Consistency::Quorum, &Outcome::Ok));
    assert_eq!((put.i, put.votes[0].vote, put.seq), (1, Vote::Ack, Some(1)));
    let get = bench.get(N2, "k", ReadLevel::Eventual).await;
    assert_eq!((get.by, get.node, get.i), (Some(Actor::Step(2)), Some(N2), 3));
    assert_eq!(get.value, put.value);
    assert_eq!(bench.pool.keys(), ["k"]);
}

#[tokio::test]
async fn a_visitor_who_is_refused_at_a_node_is_told_and_not_sent_elsewhere() {
    let bench = Bench::start().await;
    bench.store.state().stale.insert(N2);
    let get = bench.get(N2, "k", ReadLevel::Eventual).await;
    let Outcome::Failed(why) = &get.outcome else { panic!("{get:?}") };
    assert!(why.contains("too stale") && why.contains("the primary is n1"), "{why}");
    assert_eq!(bench.recorder.verdict(false, None).harm.refused_stale, 1);
}

#[tokio::test]
async fn visitors_at_once_are_different_clients_and_one_after_the_other_the_same() {
    let bench = Bench::start().await;
    let puts = (0..40).map(|n| bench.put(NodeId(1 + n % 3), "k", WriteLevel::Async));
    let done = futures_util::future::join_all(puts).await;
    assert!(done.iter().all(|operation| operation.outcome == Outcome::Ok));
    // A client that invoked twice at once would make the history none; the judge would say so.
    assert_eq!(bench.recorder.verdict(false, None).harm.async_writes_acked, 40);
    let clients = bench.recorder.new_client() - 1;
    assert!(clients <= 16, "{clients} clients for 40 operations");
}

#[tokio::test]
async fn loss_is_what_reading_back_does_not_find() {
    let bench = Bench::start().await;
    bench.store.state().forgets = Some("la-".to_owned());
    bench.put(N1, "la-1-1", WriteLevel::Async).await;
    bench.put(N1, "la-1-2", WriteLevel::Async).await;
    bench.put(N1, "lq-1-1", WriteLevel::Quorum).await;
    let (unread, told) = bench.read_back(&["la-1-1", "la-1-2", "lq-1-1"]).await;
    assert_eq!(unread, 0);
    assert_eq!((told.first(), told.last()), (Some(&(0, 3)), Some(&(3, 3))));
    let Verdict { promise, harm } = bench.recorder.verdict(true, None);
    assert_eq!(harm.async_writes_lost, Some(2));
    assert_eq!(promise.quorum_writes_lost, Some(0));
    assert_eq!(promise.linearizable, Some(true), "a lost async write breaks no promise");
}

#[tokio::test]
async fn a_lost_quorum_write_is_a_broken_promise_with_a_proof() {
    let bench = Bench::start().await;
    bench.store.state().forgets = Some("lq-".to_owned());
    bench.put(N1, "lq-1-1", WriteLevel::Quorum).await;
    bench.read_back(&["lq-1-1"]).await;
    let Verdict { promise, .. } = bench.recorder.verdict(true, None);
    assert_eq!(promise.quorum_writes_lost, Some(1));
    assert_eq!(promise.linearizable, Some(false));
    assert!(promise.violations[0].contains("lq-1-1"), "{:?}", promise.violations);
}

#[tokio::test]
async fn what_nobody_can_read_stays_unknown() {
    let bench = Bench::start().await;
    bench.put(N1, "lq-1-1", WriteLevel::Quorum).await;
    bench.store.state().silent.extend([N1, N2, N3]);
    let (unread, _) = bench.read_back(&["lq-1-1"]).await;
    assert_eq!(unread, 1);
    assert_eq!(bench.recorder.verdict(true, None).promise.quorum_writes_lost, None);
}

#[tokio::test]
async fn a_reader_goes_to_another_member_when_one_is_silent() {
    let bench = Bench::start().await;
    bench.put(N1, "lq-1-1", WriteLevel::Quorum).await;
    bench.store.state().silent.insert(N1);
    let (unread, _) = bench.read_back(&["lq-1-1"]).await;
    assert_eq!(unread, 0);
}

#[tokio::test]
async fn members_that_hold_the_same_are_equal_and_a_difference_is_named() {
    let bench = Bench::start().await;
    let keys: Vec<String> = (0..300).map(|n| format!("k{n}")).collect();
    for key in &keys[..290] {
        bench.put(N1, key, WriteLevel::Async).await;
    }
    let ask = async || compare(bench.zones.as_ref(), &keys).await;
    assert_eq!(ask().await.expect("all answer"), None);

    let other = ((N3, "k287".to_owned()), "else".to_owned());
    bench.store.state().diverged.extend([other]);
    let difference = ask().await.expect("all answer").expect("differ").to_string();
    assert!(difference.contains("k287") && difference.contains("n3 has \"else\""), "{difference}");

    bench.store.state().stale.insert(N2);
    let error = ask().await.expect_err("n2 does not say");
    assert!(format!("{error:#}").contains("n2"), "{error:#}");
}
