//! A made-up run directory with as many operations as wanted.

#![expect(clippy::disallowed_methods, reason = "writes a run directory")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

const CLIENTS: u64 = 12;
/// One operation begins every so many microseconds.
const EVERY_US: u64 = 1000;
/// One in so many is of unknown outcome.
const UNKNOWN_ONE_IN: u64 = 997;

/// How many operations of so many are of unknown outcome.
pub(crate) fn unknown(operations: u64) -> u64 {
    (0..operations).filter(|n| is_unknown(*n)).count() as u64
}

/// Writes the records of a run. Returns its directory.
pub(crate) fn run(dir: &Path, operations: u64) -> PathBuf {
    std::fs::create_dir_all(dir).expect("a directory");
    std::fs::write(dir.join("events.jsonl"), events(operations)).expect("written");
    std::fs::write(dir.join("history.jsonl"), history(operations)).expect("written");
    dir.to_owned()
}

fn is_unknown(n: u64) -> bool {
    is_write(n) && n.is_multiple_of(UNKNOWN_ONE_IN)
}

fn is_write(n: u64) -> bool {
    n.is_multiple_of(2)
}

fn events(operations: u64) -> String {
    let mut text = String::new();
    let mut line = |value: serde_json::Value| {
        let _ = writeln!(text, "{value}");
    };
    line(
        json!({"t_us": 1, "event": "header", "version": 1, "kvlab": "0.1.0", "seed": 7, "nodes": ["n1", "n2", "n3"],
        "started_unix_s": 1_790_000_000, "run_dir": "large", "scenario": null}),
    );
    for tenth in 1..=operations * EVERY_US / 100_000 {
        line(
            json!({"t_us": tenth * 100_000, "event": "load", "on": true, "rate": 1000, "interval_us": 100_000,
            "ok": 98 + tenth % 5, "failed": 0, "unknown": u64::from(tenth % 10 == 0), "p50_us": 700 + tenth % 90,
            "p99_us": 2000 + tenth % 700, "max_us": 9000}),
        );
    }
    for (at, state) in [(20, "cut"), (35, "up"), (60, "cut"), (71, "up")] {
        for (from, to) in [("n1", "n2"), ("n2", "n1")] {
            line(
                json!({"t_us": at * 1_000_000, "event": "link", "from": from, "to": to, "state": {"link": state}}),
            );
        }
    }
    text
}

/// Clients take turns. Each writes a value of its own, and then reads it back.
fn history(operations: u64) -> String {
    let mut text = String::new();
    let mut i = 0;
    for n in 0..operations {
        let client = 1 + n / 2 % CLIENTS;
        let value = format!("c{client}-{}", n / 2);
        let (op, key) = (if is_write(n) { "put" } else { "get" }, format!("q{client}"));
        let kind = match (is_unknown(n), is_write(n)) {
            (true, _) => "info",
            // What became of the write before it is not known: its read gets no answer.
            (false, false) if is_unknown(n - 1) => "fail",
            _ => "ok",
        };
        let mut event = |kind: &str, t_us: u64, value: Option<&str>| {
            i += 1;
            let line = json!({"i": i, "t_ns": t_us * 1000, "client": client, "node": format!("n{}", 1 + client % 3), "type": kind,
                "op": op, "key": key, "value": value, "consistency": "quorum"});
            let _ = writeln!(text, "{line}");
        };
        let began = n * EVERY_US;
        event("invoke", began, is_write(n).then_some(value.as_str()));
        event(kind, began + 400 + n % 300, (is_write(n) || kind == "ok").then_some(value.as_str()));
    }
    text
}
