//! The backlog's account of its memory is true within a tenth: held against what the kernel says of a process that has
//! nothing else.
#![expect(clippy::disallowed_methods, reason = "reads what the kernel says of this process")]

use std::process::Command;

use bytes::{Bytes, BytesMut};
use kvlab::replication::{Config, Core, Input, Promise, Recovered};
use kvlab::types::{Entry, Epoch, Message, NodeId, Op, Position, Time};
use kvlab::wire::{FrameDecoder, PeerFrame, encode};
use tokio_util::codec::Decoder;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const EPOCH: Epoch = Epoch::new(1, N1);
/// The backlog takes this much, so that what the process has besides does not matter.
const BYTES: usize = 96 << 20;
const CASE: &str = "KVLAB_BACKLOG_CASE";

/// Bytes of memory that the kernel counts for this process.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024.0
}

/// As entries reach a replica: from a frame.
fn arrive(message: Message) -> Message {
    let mut bytes = BytesMut::from(&encode(&PeerFrame::Message(message)).expect("fits")[..]);
    let mut decoder = FrameDecoder::<PeerFrame>::new();
    decoder.admit();
    match decoder.decode(&mut bytes).expect("a frame").expect("a whole one") {
        PeerFrame::Message(message) => message,
        PeerFrame::Hello { .. } => unreachable!("a message was sent"),
    }
}

/// Fills a replica's backlog with values of this size. Returns what it says of itself, and what the process has grown by.
fn measure(value_bytes: usize) -> (f64, f64) {
    let config = Config { backlog_bytes: 1 << 40, ..Config::new(N2, vec![N1, N2]) };
    let (mut core, _) = Core::new(config, Recovered::default(), Time::ZERO);
    let mut say = |message| core.step(Time::ZERO, Input::Peer { from: N1, message });
    let _ = say(Message::Heartbeat { epoch: EPOCH, last: 0, commit: 0, sent: 0, counts: None });
    let promise = Promise { epoch: EPOCH, learner: false };
    let _ = core.step(Time::ZERO, Input::Saved { promise });
    let before = resident();
    let mut prev = Position::ZERO;
    loop {
        let count = (64 << 10) / (value_bytes + 64) + 1;
        let entries: Vec<_> = (1..=count as u64)
            .map(|i| {
                let at = Position::new(EPOCH, prev.seq + i);
                let key = Bytes::from(format!("key-{:012}", at.seq));
                Entry { at, op: Op::Put { key, value: vec![b'v'; value_bytes].into() } }
            })
            .collect();
        let last = Position::new(EPOCH, prev.seq + count as u64);
        let message = arrive(Message::Append { epoch: EPOCH, prev, entries, commit: 0 });
        // What goes to the disk is gone when it is written.
        drop(core.step(Time::ZERO, Input::Peer { from: N1, message }));
        prev = last;
        let says = core.status(Time::ZERO).backlog.bytes;
        if says >= BYTES as u64 {
            return (says as f64, resident() - before);
        }
    }
}

#[test]
fn the_backlog_takes_what_it_says() {
    if let Ok(case) = std::env::var(CASE) {
        let (says, takes) = measure(case.parse().expect("a size"));
        println!("ratio={:.3}", says / takes);
        return;
    }
    let mut wrong = Vec::new();
    for value_bytes in [0, 16, 128, 1000, 10_000, 200_000] {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_backlog_takes_what_it_says", "--nocapture"])
            .env(CASE, value_bytes.to_string())
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        let ratio = said.lines().find_map(|line| line.split("ratio=").nth(1)?.trim().parse::<f64>().ok());
        let ratio = ratio.unwrap_or_else(|| panic!("{said}"));
        println!("values of {value_bytes} bytes: says {ratio:.3} of what it takes");
        wrong.extend(
            (!(0.9..=1.1).contains(&ratio)).then(|| format!("values of {value_bytes} bytes: {ratio}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
