//! Replicas whose primary is gone, and what becomes of them when it returns. (kv-go 018, 014.)
#![expect(clippy::disallowed_methods, reason = "measures a promised bound with a real clock")]

use std::thread;
use std::time::{Duration, Instant};

use kvlab::types::Command as Ask;
use kvlab::types::{Failure, NodeId, Reply, Role, Unfollowed, WriteLevel};
use rustix::process::Signal;

use crate::cluster::Trio;
use crate::support::until;

/// A restarted primary has its replicas back within this time. A replica is connected to at once by a primary that
/// starts, and connects back on sight; if that is lost it tries by itself after 500 ms at the latest. Then a question, a
/// vote and an acknowledgement: three round trips, three syncs.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Waits until n1 leads and everyone has acknowledged all of it, at most `BACK_WITHIN` from now.
fn has_its_replicas_back(trio: &Trio) -> Duration {
    let began = Instant::now();
    let mut client = trio.client(1);
    loop {
        let status = client.status().replication;
        let back = status.role == Role::Primary
            && status.commit == status.last.seq
            && status.peers.iter().all(|peer| peer.acked == status.last.seq);
        if back {
            return began.elapsed();
        }
        assert!(began.elapsed() < BACK_WITHIN, "not back after {:?}: {status:?}", began.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_primary_that_restarts_finds_its_replicas_back_within_two_seconds() {
    let mut trio = Trio::absent();
    trio.settings().args = ["--stale-after", "2500ms"].map(str::to_owned).to_vec();
    trio.start_all();
    for signal in [Signal::TERM, Signal::KILL, Signal::KILL] {
        trio.client(1).put_patiently("k", "v", WriteLevel::Quorum);
        trio.converges_on(1);
        let mut primary = trio.take(1);
        primary.signal(signal);
        primary.exit();
        // By then the pauses of their attempts are as long as they get.
        for n in [2, 3] {
            until("an orphan that has waited", || trio.status(n).stale.then_some(()));
        }
        trio.start_node(1, &[]);
        let took = has_its_replicas_back(&trio);
        println!("{signal:?}: back after {took:?}");
    }
}

#[test]
fn an_order_to_follow_hurries_and_breaks_no_promise() {
    let mut trio = Trio::start();
    let follow =
        |trio: &Trio, n: u8, primary: u8| trio.client(n).ask(Ask::Follow { primary: NodeId(primary) }).0;
    let following = |reply: &Reply| matches!(reply, Reply::Following { epoch } if epoch.node == NodeId(1));
    assert!(following(&follow(&trio, 3, 1)));
    // n2 is no primary, and says nothing as one.
    let silent = Failure::FollowRefused { primary: NodeId(2), why: Unfollowed::Silent };
    assert_eq!(follow(&trio, 3, 2), Reply::Failed(silent));

    // While n1 sleeps, n2 takes over. When it wakes, for a moment there are two.
    trio.converges_on(1);
    trio.node(1).signal(Signal::STOP);
    trio.promote(&[2]);
    let two = until("n3 to follow n2", || match follow(&trio, 3, 2) {
        Reply::Following { epoch } => Some(epoch),
        _ => None,
    });
    assert_eq!(trio.status(3).promised, two);
    trio.node(1).signal(Signal::CONT);
    trio.converges_on(2);
    let reply = follow(&trio, 1, 2);
    assert_eq!(reply, Reply::Following { epoch: two });
    trio.take(2).stop();
}
