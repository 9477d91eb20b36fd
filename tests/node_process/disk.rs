//! A disk that fails or is full while the node runs, and one that has lost something when it starts.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "files of real nodes, looked at and damaged")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvlab::storage::{cut_to_synced, real_disk, tear_tail};
use kvlab::types::{Failure, ReadLevel, Reply, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response};
use rustix::process::Signal;

use crate::support::{Node, alone, bytes, run, until, write};

/// A node whose files may not grow beyond 256 KiB: writing more fails, and not for lack of room on the disk.
fn with_little_room(dir: &Path) -> Command {
    let mut command = Command::new("sh");
    let line = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    command.args(["-c", line]).arg(env!("CARGO_BIN_EXE_kvlab"));
    let node = alone(dir);
    command.args(node.get_args());
    command
}

#[test]
fn a_failed_write_ends_the_node_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(with_little_room(dir.path()));
    let mut client = node.client();
    client.put_patiently("k0", "v", WriteLevel::Async);
    let value = "v".repeat(4096);
    let mut acknowledged = Vec::new();
    for i in 1..1_000 {
        let key = format!("k{i}");
        client.send(Request::Do(write(&key, &value, WriteLevel::Async)));
        match client.hear() {
            Some(NodeFrame::Response { response: Response::Reply { reply, .. }, .. }) => {
                assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
                acknowledged.push(key);
            }
            None => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!((10..100).contains(&acknowledged.len()), "{} were acknowledged", acknowledged.len());
    assert_eq!(node.exit().code(), Some(1), "{}", node.log());
    let log = node.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(matches!(&errors[..], [one] if one.contains("the disk failed") && one.contains(".log")), "{log}");

    let node = Node::start(alone(dir.path()));
    let mut client = node.client();
    for key in acknowledged {
        assert_eq!(client.get_patiently(&key, ReadLevel::Eventual).value, Some(bytes(&value)), "{key}");
    }
}

/// A cluster of one whose data directory may grow to `bytes`.
fn with_disk_max(dir: &Path, bytes: u64) -> Command {
    let mut command = alone(dir);
    command.args(["--disk-max", &bytes.to_string()]);
    command
}

/// Something in the data directory that takes room and is nobody's.
fn ballast(dir: &Path, bytes: usize) -> PathBuf {
    fs::create_dir_all(dir).expect("a directory");
    let path = dir.join("ballast");
    fs::write(&path, vec![0; bytes]).expect("written");
    path
}

#[test]
fn a_full_disk_refuses_writes_definitely_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("n1");
    let ballast = ballast(&data, 200 << 10);
    let node = Node::start(with_disk_max(&data, 300 << 10));
    let mut client = node.client();
    client.put_patiently("k0", "v", WriteLevel::Async);

    // Fill it, one write at a time. The write that finds no room waits; it is not answered.
    let value = "v".repeat(4096);
    let mut acknowledged = vec![("k0".to_owned(), "v".to_owned())];
    let mut other = node.client();
    let waiting = (1..).find_map(|i| {
        let key = format!("k{i}");
        let asked = client.send(Request::Do(write(&key, &value, WriteLevel::Async)));
        // Either it is answered, or the node says that its disk is full.
        until("an answer, or a full disk", || {
            if client.is_readable() {
                let (id, reply) = client.reply();
                assert!(id == asked && matches!(reply, Reply::Written { .. }), "{reply:?}");
                acknowledged.push((key.clone(), value.clone()));
                return Some(None);
            }
            other.status().replication.disk_full.then_some(Some((asked, key.clone())))
        })
    });
    let (asked, key) = waiting.expect("it is full at some time");
    assert!((10..30).contains(&acknowledged.len()), "{} were acknowledged", acknowledged.len());
    node.logs("disk full");

    // New writes are refused, of both levels, and that is definite. Reads go on, and so do other clients.
    for level in [WriteLevel::Async, WriteLevel::Quorum] {
        let reply = other.put("refused", "v", level);
        assert!(
            matches!(&reply, Reply::Failed(failure @ Failure::DiskFull) if failure.is_definite()),
            "{reply:?}"
        );
    }
    for (key, value) in &acknowledged {
        assert_eq!(other.get_patiently(key, ReadLevel::Eventual).value, Some(bytes(value)), "{key}");
    }
    assert_eq!(other.get_patiently("refused", ReadLevel::Quorum).value, None);
    assert!(!client.is_readable(), "what was begun waits");

    // Room again: what waited is done, and writes go on.
    fs::remove_file(&ballast).expect("removed");
    let (id, reply) = client.reply();
    assert!(id == asked && matches!(reply, Reply::Written { .. }), "{reply:?}");
    acknowledged.push((key, value.clone()));
    until("room", || (!other.status().replication.disk_full).then_some(()));
    for i in 0..5 {
        let key = format!("after{i}");
        other.put_patiently(&key, "v", WriteLevel::Quorum);
        acknowledged.push((key, "v".to_owned()));
    }
    node.logs("there is room on the disk again");
    node.kill();

    let node = Node::start(alone(&data));
    node.logs(" ready ");
    assert!(!node.log().contains("torn"), "{}", node.log());
    let mut client = node.client();
    for (key, value) in acknowledged {
        assert_eq!(client.get_patiently(&key, ReadLevel::Eventual).value, Some(bytes(&value)), "{key}");
    }
    assert_eq!(client.get_patiently("refused", ReadLevel::Quorum).value, None);
}

#[test]
fn a_node_killed_on_a_full_disk_starts_on_it_and_recovers() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("n1");
    let ballast = ballast(&data, 100 << 10);
    let node = Node::start(with_disk_max(&data, 110 << 10));
    let mut client = node.client();
    let mut other = node.client();
    client.put_patiently("k", "v", WriteLevel::Quorum);
    client.send(Request::Do(write("large", &"v".repeat(20 << 10), WriteLevel::Async)));
    until("a full disk", || other.status().replication.disk_full.then_some(()));
    assert!(!client.is_readable());
    node.kill();

    // It reads what it has. Its opening entry is short enough for what room there is.
    let node = Node::start(with_disk_max(&data, 110 << 10));
    node.logs(" ready ");
    assert!(!node.log().contains("torn"), "{}", node.log());
    let mut client = node.client();
    assert_eq!(client.get_patiently("k", ReadLevel::Quorum).value, Some(bytes("v")));
    assert_eq!(client.get_patiently("large", ReadLevel::Quorum).value, None, "never acknowledged");
    fs::remove_file(&ballast).expect("removed");
    client.put_patiently("large", &"v".repeat(20 << 10), WriteLevel::Quorum);
    node.stop();
}

#[test]
fn a_node_that_is_stopped_on_a_full_disk_says_why_it_could_not_write_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("n1");
    ballast(&data, 100 << 10);
    let mut node = Node::start(with_disk_max(&data, 110 << 10));
    let mut client = node.client();
    let mut other = node.client();
    client.put_patiently("k", "v", WriteLevel::Quorum);
    let asked = client.send(Request::Do(write("large", &"v".repeat(20 << 10), WriteLevel::Async)));
    until("a full disk", || other.status().replication.disk_full.then_some(()));
    node.signal(Signal::TERM);
    let (id, reply) = client.reply();
    assert!(
        id == asked && matches!(reply, Reply::Failed(Failure::WriteTimeout { .. })),
        "unknown: {reply:?}"
    );
    assert_eq!(node.exit().code(), Some(1), "{}", node.log());
    assert!(node.log().contains("disk full while writing; nothing acknowledged is lost"), "{}", node.log());
}

#[test]
fn a_bound_that_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, _, log) = run(with_disk_max(dir.path(), 0));
    assert_eq!(code, Some(2));
    assert!(log.contains("--disk-max must be more than 0"), "{log}");
}

/// Writes `count` values one after the other, each acknowledged, and kills the node.
fn write_and_kill(dir: &Path, durability: &str, count: u64) {
    let mut command = alone(dir);
    command.args(["--durability", durability]);
    let node = Node::start(command);
    let mut client = node.client();
    for i in 0..count {
        client.put_patiently(&format!("k{i}"), &format!("value {i}"), WriteLevel::Async);
    }
    node.kill();
}

/// How many of `k0`, `k1`, … a start finds; there may be no gap.
fn found(dir: &Path, count: u64) -> u64 {
    let node = Node::start(alone(dir));
    let mut client = node.client();
    let there: Vec<bool> = (0..count)
        .map(|i| {
            let found = client.get_patiently(&format!("k{i}"), ReadLevel::Eventual).value;
            assert!(found.is_none() || found == Some(bytes(&format!("value {i}"))), "k{i}: {found:?}");
            found.is_some()
        })
        .collect();
    assert!(there.is_sorted_by(|a, b| a >= b), "a gap: {there:?}");
    node.stop();
    there.iter().filter(|there| **there).count() as u64
}

#[test]
fn a_loss_of_power_takes_what_was_not_synced_and_nothing_else() {
    const COUNT: u64 = 40;
    for (durability, kept) in [("always", COUNT), ("interval=1h", 0), ("os", 0)] {
        let dir = tempfile::tempdir().expect("a directory");
        write_and_kill(dir.path(), durability, COUNT);
        let cut = cut_to_synced(real_disk(), dir.path()).expect("the node has left a mark");
        assert_eq!(cut.is_some(), kept < COUNT, "{durability}: {cut:?}");
        assert_eq!(found(dir.path(), COUNT), kept, "{durability}");
    }
}

#[test]
fn an_interval_bounds_what_a_loss_of_power_takes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = alone(dir.path());
    command.args(["--durability", "interval=5ms"]);
    let node = Node::start(command);
    let mut client = node.client();
    client.put_patiently("k0", "value 0", WriteLevel::Async);
    // The sync that is due 5 ms later needs no further write.
    let mark = dir.path().join("synced");
    let log = dir.path().join("log-00000001/00000001.log");
    until("the mark at the log's end", || {
        let bytes = fs::metadata(&log).expect("a log").len();
        fs::read_to_string(&mark)
            .expect("a mark")
            .trim_end()
            .ends_with(&format!(" {bytes:020}"))
            .then_some(())
    });
    node.kill();
    assert_eq!(cut_to_synced(real_disk(), dir.path()).expect("a mark"), None);
    assert_eq!(found(dir.path(), 1), 1);
}

#[test]
fn a_torn_tail_that_was_synced_is_cut_loudly_and_whoever_is_alone_goes_on() {
    for seed in 0..3 {
        let dir = tempfile::tempdir().expect("a directory");
        write_and_kill(dir.path(), "always", 20);
        let cut = tear_tail(real_disk(), dir.path(), seed).expect("torn").expect("there is a record");
        let node = Node::start(alone(dir.path()));
        node.logs("bytes that were synced are gone");
        let log = node.log();
        let said = |line: &&str| line.contains("WARN") && line.contains("bytes that were synced are gone");
        let line = log.lines().find(said).unwrap_or_else(|| panic!("not said:\n{log}"));
        assert!(line.contains("00000001.log") && line.contains("ends at byte"), "{line}");
        assert!(line.contains("the only member"), "{line}");
        let mut client = node.client();
        assert_eq!(client.get_patiently("k18", ReadLevel::Eventual).value, Some(bytes("value 18")));
        assert_eq!(client.get_patiently("k19", ReadLevel::Eventual).value, None, "{cut:?}");
        client.put_patiently("k19", "again", WriteLevel::Quorum);
        node.kill();
        let node = Node::start(alone(dir.path()));
        node.logs(" ready ");
        assert!(!node.log().contains("are gone"), "said once, not twice: {}", node.log());
        node.stop();
    }
}

#[test]
fn a_flipped_byte_in_an_earlier_record_stops_the_node_with_file_and_offset() {
    let dir = tempfile::tempdir().expect("a directory");
    write_and_kill(dir.path(), "always", 20);
    let path = dir.path().join("log-00000001/00000001.log");
    let whole = fs::read(&path).expect("a log");
    // The header, the first record, one in the midst.
    for at in [3, 28, 28 + 34 + 20, whole.len() / 2] {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).expect("written");
        let (code, out, log) = run(alone(dir.path()));
        assert_eq!((code, out.as_str()), (Some(2), ""), "byte {at}: it is never ready\n{log}");
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
        let [error] = errors[..] else { panic!("one message:\n{log}") };
        assert!(error.contains(&format!("{}: corrupt at byte ", path.display())), "{error}");
        assert!(error.contains("restore the data directory from a copy, or wipe it"), "the way out: {error}");
    }
    fs::write(&path, &whole).expect("written");
    assert_eq!(found(dir.path(), 20), 20, "refusing has changed nothing");
}
