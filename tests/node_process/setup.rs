//! What keeps a node from starting: one clear message, exit 2, nothing touched.
#![expect(clippy::disallowed_methods, reason = "prepares real files and ports")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvlab::types::WriteLevel;

use crate::support::{Node, alone, kvlab, run};

/// Exit 2, no ready line, and a log with all of `expected` in its one error.
fn refuses(command: Command, expected: &[&str]) {
    let (code, out, log) = run(command);
    assert_eq!(code, Some(2), "{log}");
    assert!(out.is_empty(), "{out}");
    for words in expected {
        assert!(log.contains(words), "{words:?} is not in: {log}");
    }
    assert!(log.matches("ERROR").count() <= 1 && !log.contains("panicked"), "{log}");
}

#[test]
fn a_data_directory_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(alone(dir.path()));
    node.client().put_patiently("k", "v", WriteLevel::Async);
    refuses(alone(dir.path()), &["in use", &dir.path().display().to_string()]);
    assert!(node.client().status().keys == 1, "the node that has it goes on");
}

#[test]
fn a_data_directory_that_is_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").expect("written");
    refuses(alone(&file), &["is not a directory", &file.display().to_string()]);
}

#[test]
fn a_port_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("bound").to_string();
    for option in ["--client", "--peer"] {
        let data = dir.path().join("data");
        let mut command = alone(&data);
        command.args([option, &addr]);
        refuses(command, &[&addr, "in use", option]);
        assert!(!data.exists(), "nothing was touched");
    }
}

#[test]
fn a_corrupt_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(alone(dir.path()));
    let mut client = node.client();
    for i in 0..100 {
        client.put_patiently(&format!("key{i}"), "a value of some length", WriteLevel::Async);
    }
    node.stop();
    let log = largest_log(dir.path());
    let mut bytes = fs::read(&log).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&log, &bytes).expect("written");
    refuses(alone(dir.path()), &["corrupt at byte", &log.display().to_string()]);
    assert_eq!(fs::read(&log).expect("read"), bytes, "evidence is left as it is");
}

/// The largest segment in a data directory.
fn largest_log(dir: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("listed") {
            let path = entry.expect("listed").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                found.push((path.metadata().expect("there").len(), path));
            }
        }
    }
    found.into_iter().max().expect("a segment").1
}

#[test]
fn options_that_make_no_sense() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = |line: &str| {
        let mut command = kvlab();
        command.arg("node").args(line.split_whitespace()).arg("--data").arg(dir.path().join("data"));
        command
    };
    refuses(node("--id n1 --members n2"), &["n1 is not among the members n2"]);
    refuses(node("--id n1 --members n1,n2"), &["--link n2=HOST:PORT"]);
    refuses(node("--id n1 --members n1 --link n1=127.0.0.1:1"), &["it is this node"]);
    refuses(node("--id n1 --members n1 --client 192.0.2.1:0"), &["cluster token", "loopback"]);
    refuses(node("--id n1 --members n1 --durability never"), &["always, interval=TIME"]);
    refuses(node("--id n1 --members n1 --token-file /does/not/exist"), &["/does/not/exist"]);
    refuses(node("--id n1 --members n1 --frobnicate"), &["--frobnicate"]);
    refuses(node("--id n0 --members n1"), &["a node like n1"]);
    assert!(!dir.path().join("data").exists(), "nothing was touched");
}

#[test]
fn logs_as_lines_of_json() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let mut command = alone(&file);
    command.args(["--log", "json"]);
    let (code, _, log) = run(command);
    assert_eq!(code, Some(2));
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let error = lines.last().expect("a line");
    assert_eq!(error["level"], "ERROR");
    assert!(error["message"].as_str().is_some_and(|m| m.contains("is not a directory")), "{error}");
}
