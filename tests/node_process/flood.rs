//! Replicas that read slowly, or not at all: the primary holds what its bounds say, however much is written. (kv-go 019.)
#![expect(clippy::disallowed_methods, reason = "listens, with a thread that accepts")]

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use kvlab::node::replication_bytes_max;
use kvlab::types::{Message, NodeId, Position, ResyncReason, WriteLevel};
use kvlab::wire::{PROTOCOL_VERSION, PeerFrame, encode};
use rustix::process::Signal;

use crate::cluster::Trio;
use crate::support::{Client, Node, bytes, until};

const VALUE_BYTES: usize = 16 << 10;
const BACKLOG_BYTES: usize = 1 << 20;
/// Many times what the primary may hold.
const FLOOD_BYTES: usize = 96 << 20;
/// Keys are written over and over, so that the index does not grow.
const KEYS: usize = 64;
/// What is not replication: requests under way and their answers, the disk's buffers (1 MiB and a batch of what is
/// under way), and what an allocator keeps of memory that was given back.
const BESIDE_BYTES: usize = 8 << 20;

/// To move the flood to two replicas, on a machine that has other things to do.
const PATIENCE_BYTES: Duration = Duration::from_secs(120);

/// The value that round `round` writes to each key.
fn value(round: usize) -> String {
    format!("{round:08}").repeat(VALUE_BYTES / 8)
}

/// Writes `FLOOD_BYTES` in rounds over all keys; returns the last round.
fn flood(client: &mut Client) -> usize {
    let rounds = FLOOD_BYTES / VALUE_BYTES / KEYS;
    let all = (1..=rounds).flat_map(|round| {
        let value = bytes(&value(round));
        (0..KEYS).map(move |key| (format!("k{key}"), value.clone()))
    });
    client.put_all(all);
    rounds
}

/// Floods, and compares the most that the primary ever held with what it held before.
fn stays_within_bounds(primary: &Node) -> usize {
    let mut client = primary.client();
    client.put_patiently("warm-up", &value(0), WriteLevel::Async);
    let before = primary.memory("VmRSS");
    let round = flood(&mut client);
    let most = primary.memory("VmHWM") - before;
    let bound = replication_bytes_max(2, BACKLOG_BYTES, VALUE_BYTES + 128) + BESIDE_BYTES;
    println!(
        "{} MiB written: {} KiB more were held, {} KiB are the bound",
        FLOOD_BYTES >> 20,
        most >> 10,
        bound >> 10
    );
    assert!(bound < FLOOD_BYTES / 2, "a bound that a leak would not break proves nothing");
    assert!(most <= bound, "{most} bytes more were held; the bound is {bound}");
    round
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_and_a_slow_replica_cost_the_primary_no_more_than_its_bounds() {
    let mut trio = Trio::absent();
    trio.settings().args =
        ["--durability", "os", "--backlog-bytes", &BACKLOG_BYTES.to_string()].map(str::to_owned).to_vec();
    let line = trio.line(1, 3);
    trio.start_all();
    trio.converges_on(1);

    // n2's kernel still accepts what is sent; n3 reads, slowly.
    trio.node(2).signal(Signal::STOP);
    line.slow(64 << 10);
    let round = stays_within_bounds(trio.node(1));
    trio.node(2).signal(Signal::CONT);
    line.slow(0);
    trio.converges_after(PATIENCE_BYTES, 1);
    // Both have fallen off the backlog: what they lacked was read back from the log, or was the whole state where a
    // cleanup had begun meanwhile.
    for n in [2, 3] {
        let mut client = trio.client(n);
        for key in 0..KEYS {
            let found = client.get_patiently(&format!("k{key}"), kvlab::types::ReadLevel::Eventual);
            assert_eq!(found.value, Some(bytes(&value(round))), "k{key} at n{n}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_member_that_asks_for_everything_and_reads_nothing_costs_no_more() {
    let mut trio = Trio::absent();
    trio.settings().args =
        ["--durability", "os", "--backlog-bytes", &BACKLOG_BYTES.to_string()].map(str::to_owned).to_vec();
    // In the place of n2: whatever connects is accepted, and never read from.
    let listener = TcpListener::bind(trio.peer(2)).expect("the port of n2");
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    trio.start_node(1, &["--bootstrap"]);
    trio.start_node(3, &["--bootstrap"]);
    let epoch = until("a primary", || {
        let status = trio.status(1);
        (status.role == kvlab::types::Role::Primary && status.commit > 0).then_some(status.epoch)
    });

    let mut n2 = TcpStream::connect(trio.peer(1)).expect("connected");
    let hello = PeerFrame::Hello {
        version: PROTOCOL_VERSION,
        token: None,
        from: NodeId(2),
        to: NodeId(1),
        members: [1, 2, 3].map(NodeId).to_vec(),
        client_addr: "127.0.0.1:1".to_owned(),
    };
    let everything =
        |whole| PeerFrame::Message(Message::Sync { epoch, last: Position::ZERO, learner: None, whole });
    let mut say = |frame: &PeerFrame| {
        std::io::Write::write_all(&mut n2, &encode(frame).expect("encodes")).expect("written");
    };
    say(&hello);
    say(&everything(None));
    // Entries, as far as the window goes.
    stays_within_bounds(trio.node(1));
    // The whole state, as far as the first part of it.
    until("a full resync of n2", || {
        say(&everything(Some(ResyncReason::Diverged)));
        (trio.status(1).resyncs.full >= 1).then_some(())
    });
    stays_within_bounds(trio.node(1));
}
