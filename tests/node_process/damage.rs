//! A value that rots on the disk of one of three nodes: it runs, says so, and gets the value back from the others.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "files of real nodes, looked at and damaged")]

use std::fs;

use kvlab::types::{DamageStatus, Failure, ReadLevel, Reply, WriteLevel};

use crate::cluster::Trio;
use crate::support::{bytes, kvlab, run, until};

/// Small segments, no cleanup of its own accord, and a scrub that takes no time worth waiting for.
const SETTINGS: [&str; 6] =
    ["--segment-bytes", "16384", "--cleanup-ratio", "off", "--scrub-rate", "100000000"];
const KEYS: u64 = 60;

fn value(n: u64) -> String {
    format!("{n:01000}")
}

/// Three nodes with closed segments and their hints; every key once.
fn filled() -> Trio {
    let mut trio = Trio::absent();
    trio.settings().args = SETTINGS.map(str::to_owned).to_vec();
    trio.start_all();
    let mut client = trio.client(1);
    for n in 0..KEYS {
        client.put_patiently(&format!("k{n}"), &value(n), WriteLevel::Quorum);
    }
    trio.converges_on(1);
    for n in 1..=3 {
        let hint = trio.data(n).join("log-00000001/00000001.hint");
        until("the first hint", || hint.exists().then_some(()));
    }
    trio
}

/// Changes one byte of the value of a key in the first segment of a dead node.
fn rot(trio: &Trio, n: u8, key: u64) {
    let path = trio.data(n).join("log-00000001/00000001.log");
    let mut file = fs::read(&path).expect("a segment");
    let whole = value(key).into_bytes();
    let at = file.windows(whole.len()).position(|bytes| bytes == whole).expect("the value is there");
    file[at + 500] ^= 0x20;
    fs::write(&path, file).expect("written");
}

fn damage(trio: &Trio, n: u8) -> DamageStatus {
    trio.client(n).status().disk.damage
}

#[test]
fn a_value_that_rots_is_found_by_the_scrub_and_repaired_by_the_others() {
    let mut trio = filled();
    trio.take(3).kill();
    rot(&trio, 3, 5);
    trio.start_node(3, &[]);
    let repaired = until("the repair", || Some(damage(&trio, 3)).filter(|damage| damage.repaired == 1));
    assert_eq!((repaired.now, repaired.found), (0, 1));
    trio.converges_on(1);
    let found = trio.client(3).get_patiently("k5", ReadLevel::Eventual);
    assert_eq!(found.value, Some(bytes(&value(5))));
    let status = until("a whole round", || {
        Some(trio.client(3).status()).filter(|status| status.disk.scrub.rounds > 0)
    });
    assert!(status.disk.scrub.ended_ms_ago.is_some() && status.disk.scrub.round.is_none());

    // It is on its disk again.
    trio.take(3).kill();
    trio.start_node(3, &[]);
    until("a whole round", || (trio.client(3).status().disk.scrub.rounds > 0).then_some(()));
    assert_eq!(damage(&trio, 3).found, 0);
}

#[test]
fn without_the_others_a_damaged_value_is_refused_and_with_one_of_them_a_quorum_read_has_it() {
    let mut trio = filled();
    for n in 1..=3 {
        trio.take(n).kill();
    }
    rot(&trio, 1, 5);
    rot(&trio, 2, 6);
    trio.start_node(1, &[]);
    let found = until("the damage", || Some(damage(&trio, 1)).filter(|damage| damage.now == 1));
    assert_eq!(
        (found.some[0].key.as_str(), found.some[0].file.as_str()),
        ("k5", "log-00000001/00000001.log")
    );
    let mut status = kvlab();
    status.args(["status", "--addr", &trio.node(1).ready.client]);
    let (_, said, log) = run(status);
    assert!(said.contains("DAMAGE at n1: 1 values now, 1 found, 0 repaired"), "{said}{log}");

    // Each has what the other lacks.
    trio.start_node(2, &[]);
    let mut client = trio.client(2);
    for key in [5, 6] {
        let found = client.get_patiently(&format!("k{key}"), ReadLevel::Quorum);
        assert_eq!(found.value, Some(bytes(&value(key))), "k{key}");
    }
    for n in [1, 2] {
        until("the repair", || (damage(&trio, n).repaired == 1).then_some(()));
    }
    for n in [1, 2] {
        let (key, right) = (format!("k{}", 4 + n), bytes(&value(4 + u64::from(n))));
        until("an eventual read", || match trio.client(n).get(&key, ReadLevel::Eventual) {
            Reply::Value { found, .. } => {
                assert_eq!(found.value, Some(right.clone()));
                Some(())
            }
            Reply::Failed(Failure::Damaged { .. }) => panic!("it was repaired"),
            _ => None, // no primary yet
        });
    }
}
