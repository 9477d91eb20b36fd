//! A full resync of a state that is larger than anybody's memory: in chunks, between heartbeats, cut and taken up again,
//! installed whole or not at all.
#![expect(clippy::disallowed_methods, reason = "watches on a thread of its own")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kvlab::types::{Event, ReadLevel, Report, Status, WriteLevel};
use kvlab::wire::{CleanupReply, Request};

use crate::cleanup::ask;
use crate::cluster::Trio;
use crate::support::{Client, bytes, until_after};

const VALUE_BYTES: usize = 64 << 10;
/// A primary is not heard for longer than this: half of what makes a replica refuse reads. It is heard every 100 ms if
/// nothing stands in the way.
const SILENCE_MAX: Duration = Duration::from_millis(2500);

/// To move all of it, on a machine that has other things to do.
const PATIENCE_BYTES: Duration = Duration::from_secs(120);

fn value(key: usize) -> String {
    format!("{key:08}").repeat(VALUE_BYTES / 8)
}

/// Writes `count` keys with large values at the primary.
fn fill(client: &mut Client, count: usize) {
    client.put_all((0..count).map(|key| (format!("large{key}"), bytes(&value(key)))));
}

/// What a node tells its watchers, from one moment to another.
struct Watched {
    statuses: Arc<Mutex<Vec<Status>>>,
    events: Arc<Mutex<Vec<Event>>>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watched {
    fn start(mut client: Client) -> Self {
        let (statuses, events, over) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let watched = Self { statuses, events, over, thread: None };
        let (statuses, events) = (watched.statuses.clone(), watched.events.clone());
        let over = watched.over.clone();
        let run = move || {
            client.send(Request::Watch { interval_ms: 20 });
            while !over.load(Ordering::Relaxed) {
                match client.report().1 {
                    Report::Status(status) => statuses.lock().expect("statuses").push(status.replication),
                    Report::Event { event, .. } => events.lock().expect("events").push(event),
                    Report::Notice { .. } => {}
                }
            }
        };
        Self { thread: Some(thread::spawn(run)), ..watched }
    }

    fn end(mut self) -> (Vec<Status>, Vec<Event>) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().expect("running").join().expect("the watcher");
        let take = |list: &Mutex<Vec<Status>>| std::mem::take(&mut *list.lock().expect("statuses"));
        (take(&self.statuses), std::mem::take(&mut *self.events.lock().expect("events")))
    }
}

/// n3 misses `mib` of values, more than any of the three may have in memory, and gets them in one full resync.
fn larger_than_memory(mib: usize, memory_mib: u64, line_mib_per_s: u64) {
    let mut trio = Trio::absent();
    trio.settings().args = ["--durability", "os", "--backlog-bytes", "4194304", "--stale-lag", "1000000"]
        .map(str::to_owned)
        .to_vec();
    trio.settings().memory_kib = Some(memory_mib << 10);
    let line = trio.line(1, 3);
    trio.start_all();
    trio.client(1).put_patiently("old", "state", WriteLevel::Quorum);
    trio.converges_on(1);
    let old = trio.client(3).status();
    line.cut();
    let count = mib * (1 << 20) / VALUE_BYTES;
    fill(&mut trio.client(1), count);
    // What n3 lacks could still be read back from the primary's log. A cleanup that has dropped something of it leaves
    // only the whole state.
    trio.client(1).put_patiently("old", "state", WriteLevel::Quorum);
    trio.client(1).put_patiently("old", "state", WriteLevel::Quorum);
    until_after(PATIENCE_BYTES, "a cleanup", || {
        matches!(ask(&mut trio.client(1)), CleanupReply::Begun { .. }).then_some(())
    });
    until_after(PATIENCE_BYTES, "its end", || (trio.client(1).status().disk.cleanups >= 1).then_some(()));

    // Cut for a moment in the first quarter: it goes on where it was.
    line.slow(line_mib_per_s << 20);
    line.heal();
    let part = |trio: &Trio, quarter: u64| {
        until_after(PATIENCE_BYTES, "a part of it", || {
            let (bytes, of) = trio.status(3).resync?;
            (bytes > of / 4 * quarter).then_some(bytes)
        })
    };
    let before = part(&trio, 1);
    line.cut();
    line.heal();
    let watched = Watched::start(trio.client(3));
    let after = part(&trio, 2);
    let (statuses, _) = watched.end();
    let progress = statuses.iter().filter_map(|status| status.resync).map(|(bytes, _)| bytes);
    assert!(after > before && progress.min() >= Some(before), "it went on where it was");

    // Killed in the middle: the old state is whole, and the next attempt begins anew.
    trio.take(3).kill();
    line.cut();
    trio.start_node(3, &[]);
    let status = trio.client(3).status();
    let end = |status: &kvlab::types::NodeStatus| {
        (status.replication.last, status.replication.durable, status.keys)
    };
    assert_eq!(
        (end(&status), status.log_bytes),
        (end(&old), old.log_bytes),
        "nothing of the new state is there"
    );
    let watched = [Watched::start(trio.client(1)), Watched::start(trio.client(3))];
    line.slow(0);
    line.heal();
    trio.converges_after(PATIENCE_BYTES, 1);
    let [(_, told_by_primary), (statuses, told)] = watched.map(Watched::end);

    let installed = |event: &&Event| matches!(event, Event::FullResyncInstalled { .. });
    assert_eq!(told.iter().filter(installed).count(), 1, "{told:?}");
    let deposed = |event: &Event| matches!(event, Event::SteppedDown { .. } | Event::EpochOpened { .. });
    assert!(!told_by_primary.iter().any(deposed), "{told_by_primary:?}");
    // From the first chunk to the end: heartbeats come in between, and nobody thinks the primary lost.
    let first = statuses.iter().position(|status| status.resync.is_some()).expect("progress was seen");
    let silence = statuses[first..].iter().filter_map(|status| status.heard_ms).max().expect("heard");
    let (seen, most) = (statuses[first..].iter().filter(|status| status.resync.is_some()).count(), silence);
    let held = [1, 3].map(|n| trio.node(n).memory("VmHWM") >> 10);
    println!(
        "{mib} MiB in {memory_mib} MiB: {seen} statuses on the way, at most {most} ms without a heartbeat; the \
         primary held {} KiB at most, the replica {} KiB",
        held[0], held[1]
    );
    assert!(Duration::from_millis(silence) < SILENCE_MAX, "{silence} ms without a heartbeat");
    assert!(statuses[first..].iter().all(|status| !status.stale), "reads were refused meanwhile");
    // All of the old state until all of the new.
    let torn = |status: &&Status| status.last != old.replication.last && status.last.seq <= count as u64;
    assert_eq!(statuses.iter().find(torn), None, "a state between the old and the new");

    let mut client = trio.client(3);
    for key in (0..count).step_by(count / 64) {
        let found = client.get_patiently(&format!("large{key}"), ReadLevel::Eventual);
        assert_eq!(found.value, Some(bytes(&value(key))), "large{key}");
    }
    assert_eq!(client.status().keys, trio.client(1).status().keys);
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_larger_than_memory_is_resynced_in_chunks_between_heartbeats() {
    larger_than_memory(192, 64, 64);
}

/// The same at full size. `cargo test --release --test node_process -- --ignored big`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes 4 GiB; run it on a release build"]
fn a_big_state_is_resynced_within_200_mib() {
    larger_than_memory(1024, 200, 256);
}
