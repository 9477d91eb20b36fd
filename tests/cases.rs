//! Small inputs that have failed once, each with what is right: live, and on simulated clusters.
#![expect(clippy::disallowed_methods, reason = "scenarios are files")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

fn run(file: &Path, more: &[&str]) -> Output {
    let state = tempfile::tempdir().expect("a directory");
    Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .arg("run")
        .arg(file)
        .args(["--headless", "--json"])
        .args(more)
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

/// What a run says of itself, if it ended as expected.
fn as_expected(file: &Path, more: &[&str]) -> Value {
    let output = run(file, more);
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{} {more:?}\n{said}\n{told}", file.display());
    serde_json::from_str(&said).expect("an object")
}

fn both_ways(file: &Path) {
    as_expected(file, &[]);
    let output = run(file, &["--simulated", "--seeds", "20"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{} simulated\n{said}", file.display());
}

/// A scenario of steps only can be decided: the last write of a key was read back, and the one before was overwritten by it.
#[test]
fn what_steps_have_written_is_decided_without_a_load() {
    for (name, acked) in [("no-workload", 0), ("overwrite-control", 2), ("overwrite-undecided", 2)] {
        let file = case(&format!("{name}.toml"));
        both_ways(&file);
        let promise = &as_expected(&file, &[])["promise"];
        let counts = [&promise["quorum_writes_acked"], &promise["quorum_writes_lost"]];
        assert_eq!(counts, [&Value::from(acked), &Value::from(0)], "{name}");
    }
}

/// What is wrong with a load is told with its line, and nothing is started.
#[test]
fn a_load_that_cannot_be_run_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("nothing-to-write.toml");
    let text = "title = \"t\"\n[workload]\nregisters = 0\nledger = false\n[[step]]\nsay = \"x\"\n";
    std::fs::write(&file, text).expect("written");
    let kept = folder.path().join("kept");
    let output = run(&file, &["--keep", kept.to_str().expect("UTF-8")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("nothing-to-write.toml:4:10: there is nothing to write to"), "{told}");
    assert!(told.contains("4 | ledger = false\n  |          ^^^^^"), "{told}");
    assert!(!kept.exists(), "there is a run directory");
}

/// A value larger than the backlog goes over the standing connections.
#[test]
fn a_value_larger_than_the_backlog_costs_no_full_resync() {
    let text = format!(
        "title = \"one value twice as large as the backlog, nobody away\"\n[cluster]\nnodes = 3\nbacklog_bytes = 65536\n\
         [workload]\non = false\n[[step]]\nput = {{ node = \"primary\", key = \"big\", value = \"{}\", quorum = true }}\n\
         [[step]]\nwait = {{ caught_up = \"replicas\", within = \"10s\" }}\n\
         [[step]]\nafter = \"1s\"\nexpect = {{ full_resyncs = 0 }}\n",
        "x".repeat(150_000)
    );
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("big-value-backlog.toml");
    std::fs::write(&file, text).expect("written");
    both_ways(&file);
}

/// Slow links cost time, not availability: round trips of 100 ms and 380 ms within the usual 500 ms.
#[test]
fn quorum_reads_succeed_over_slow_links() {
    let file = case("slow-link-quorum-read.toml");
    both_ways(&file);
    let text = std::fs::read_to_string(&file).expect("the case");
    assert!(text.contains("delay = \"50ms\""));
    let folder = tempfile::tempdir().expect("a directory");
    let slower = folder.path().join("slower.toml");
    std::fs::write(&slower, text.replace("delay = \"50ms\"", "delay = \"190ms\"")).expect("written");
    both_ways(&slower);
}

/// One damaged member is one failure: it does not stand, and the others go on.
#[test]
fn one_torn_tail_loses_no_committed_write() {
    both_ways(&case("torn-tail-committed-write.toml"));
}

/// A log that ends below its mark makes a learner and no broken promise, and never a panic.
#[test]
fn a_tear_below_the_mark_is_a_failed_member_and_no_broken_promise() {
    let file = case("tear-below-mark.toml");
    as_expected(&file, &["--seed", "20"]);
    let output = run(&file, &["--simulated", "--seeds", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// What takes longer than any fixed time-out of the protocol: a round trip of 2 s between any two members.
const FAR_APART: &str = r#"
title = "a round trip of 2 s"
settle = false
[cluster]
nodes = 3
[workload]
on = false
[[step]]
put = { node = "n2", key = "word", value = "first", quorum = true }
[[step]]
slow = { node = "n1", delay = "1s" }
[[step]]
slow = { node = "n2", delay = "1s" }
[[step]]
say = "far apart"
[[step]]
after = "60s"
say = "the end"
"#;

#[test]
fn quorum_operations_succeed_over_a_round_trip_of_two_seconds() {
    let state = tempfile::tempdir().expect("a directory");
    let file = state.path().join("far-apart.toml");
    std::fs::write(&file, FAR_APART).expect("written");
    let kvlab = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvlab"));
        command.args(words).env("XDG_STATE_HOME", state.path()).stdin(Stdio::null());
        command
    };
    let mut lab = kvlab(&["run", file.to_str().expect("a path"), "--headless"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let told = BufReader::new(lab.stdout.take().expect("piped"));
    let far = told.lines().map_while(Result::ok).any(|line| line.contains("far apart"));
    assert!(far, "the lab has ended before it got there");
    let mut outcomes = Vec::new();
    for node in ["n1", "n2", "n3"] {
        outcomes.push(kvlab(&["get", "word", "--node", node, "--quorum", "--timeout", "8s"]).output());
    }
    outcomes.push(kvlab(&["put", "word", "second", "--quorum", "--timeout", "8s"]).output());
    let _ = lab.kill();
    let _ = lab.wait();
    for (i, outcome) in outcomes.into_iter().enumerate() {
        let outcome = outcome.expect("the program runs");
        assert_eq!(outcome.status.code(), Some(0), "operation {i}: {outcome:?}");
        assert!(i == 3 || outcome.stdout == b"first\n", "operation {i}: {outcome:?}");
    }
}
