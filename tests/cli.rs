//! The command line from outside: what is refused, with which message and which exit code. No node is started.

#![expect(clippy::disallowed_methods, reason = "the program is tested in the world: with files and ports")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program without a terminal, in a state directory of its own.
fn kvlab(state: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .args(args)
        .env("XDG_STATE_HOME", state)
        .env_remove("KVLAB_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Nothing on standard output, this exit code, and one message with all these parts.
fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let state = state();
    let output = kvlab(state.path(), args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: {part:?} is not in\n{message}");
    }
    assert_eq!(message.matches("error:").count(), 1, "{args:?}: one message\n{message}");
    assert!(!message.contains("panicked"), "{message}");
    let run = state.path().join("kvlab/runs");
    assert!(!run.exists(), "{args:?}: nothing is begun before the usage is right");
}

#[test]
fn help_and_version_are_no_errors() {
    let state = state();
    for args in [&["--help"][..], &["up", "--help"], &["run", "--help"], &["put", "--help"], &["--version"]] {
        let output = kvlab(state.path(), args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains("kvlab"), "{args:?}");
    }
    let help = text(&kvlab(state.path(), &["--help"]).stdout);
    for command in [
        "up",
        "run",
        "scenarios",
        "check",
        "shrink",
        "export",
        "record",
        "report",
        "runs",
        "completions",
        "man",
        "put",
        "get",
        "del",
        "status",
        "promote",
        "node",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    assert!(help.contains("Exit codes"));
}

#[test]
fn wrong_usage() {
    refused(&["up", "--frobnicate"], 2, &["unexpected argument '--frobnicate'"]);
    refused(&["frobnicate"], 2, &["unrecognized subcommand"]);
    refused(&["up", "0"], 2, &["0 is not in 1..=9"]);
    refused(&["up", "10"], 2, &["10 is not in 1..=9"]);
    refused(&["up", "--headless", "--rate", "0"], 2, &["0 is not in"]);
    refused(&["up", "--headless", "--durability", "never"], 2, &["expected always, os or interval=10ms"]);
    refused(&["up", "--headless", "--seed", "x"], 2, &["invalid digit"]);
    refused(&["run"], 2, &["<FILE|NAME>"]);
    refused(&["get"], 2, &["<KEY>"]);
    refused(&["up", "--headless", "--quirk", "no-fense"], 2, &["no quirk", "did you mean `no-fence`?"]);
    refused(&["promote", "two"], 2, &["a node like n1"]);
    refused(&["picture", "latest", "out.svg", "--proof"], 2, &["kvlab record latest out.svg --proof"]);
    refused(&["record", "latest"], 2, &["<OUT>..."]);
    refused(&["record", "latest", "x.txt", "--at", "1s", "--from", "0s"], 2, &["cannot be used with"]);
    refused(&["record", "latest", "x.txt", "--size", "10x10"], 2, &["a size like 120x36"]);
    refused(&["record", "latest", "x.txt", "--speed", "0"], 2, &["from 0.1 to 100"]);
    refused(&["record", "src", "x.bmp"], 2, &["x.bmp", ".svg"]);
    refused(&["record", "src", "nowhere/x.svg"], 2, &["cannot write nowhere/x.svg"]);
    refused(&["record", "src", "x.txt", "x.txt"], 2, &["named twice"]);
    refused(&["run", "split-brain", "--headless", "--record", "x.bmp"], 2, &["x.bmp", ".cast"]);
    refused(&["up", "--headless", "--record", "nowhere/x.gif"], 2, &["cannot write nowhere/x.gif"]);
    refused(
        &["run", "split-brain", "--simulated", "--seeds", "2", "--record", "x.gif"],
        2,
        &["cannot be used with"],
    );
    refused(&["record", "src", "x.html", "--at", "1s"], 2, &["x.html", "--at wants a still"]);
    refused(&["report"], 2, &["there is no run yet", "kvlab up"]);
    refused(&["report", "nowhere"], 2, &["there is no run nowhere", "kvlab/runs"]);
    refused(&["report", "src"], 2, &["src is no run directory", "events.jsonl"]);
}

#[test]
fn a_dashboard_needs_a_terminal() {
    refused(&["up", "3"], 2, &["needs a terminal", "--headless"]);
}

#[test]
fn without_a_live_run_there_is_nobody_to_ask() {
    for args in [&["put", "k", "v"][..], &["get", "k"], &["del", "k"], &["status"], &["promote", "n1"]] {
        refused(args, 2, &["kvlab up"]);
    }
}

#[test]
fn an_address_where_nobody_listens() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("its address").to_string();
    drop(listener);
    for command in [&["status"][..], &["get", "k"], &["promote", "n1"]] {
        let args = [command, &["--addr", &addr]].concat();
        refused(&args, 2, &[&addr]);
    }
}

#[test]
fn scenarios_that_are_not_there() {
    refused(&["run", "splitbrain"], 2, &["there is no scenario `splitbrain`", "did you mean `split-brain`?"]);
    refused(&["run", "museum/no-fense"], 2, &["there is no scenario", "did you mean `museum/no-fence`?"]);
    refused(
        &["run", "x"],
        2,
        &[
            "there is no scenario `x`",
            "torn-tail, power-loss, primary-crash, repoint, split-brain, backlog, orphans, flood, stale-replica",
        ],
    );
    refused(&["run", "nowhere/x.toml"], 2, &["cannot read nowhere/x.toml", "No such file"]);
    refused(&["run", "/"], 2, &["cannot read /", "it is not a file"]);
    refused(&["scenarios", "--show", "x"], 2, &["there is no scenario `x`"]);
}

#[test]
fn scenario_files_that_are_wrong() {
    let folder = tempfile::tempdir().expect("a directory");
    for (content, parts) in [
        (&b"not toml"[..], &["x.toml:1:5: this is not TOML", "1 | not toml"][..]),
        (
            b"title = \"t\"\n[[step]]\npartion = 1\n",
            &["x.toml:3:1: there is no step `partion`", "did you mean `partition`?"],
        ),
        (b"title = \"t\"\n[[step]]\nkill = \"n4\"\n", &["x.toml:3:8: there is no n4 in a cluster of 3"]),
        (b"title = \"t\"\n[[step]]\nat = \"soon\"\nsay = \"x\"\n", &["x.toml:3:6: `soon` is not a duration"]),
        (
            b"title = \"t\"\n[[step]]\npartition = [[\"n1\"], [\"n1\", \"n2\"]]\n",
            &["x.toml:3:23: n1 is in two groups"],
        ),
        (
            b"title = \"t\"\n[expect]\nharm.lost = 0\n[[step]]\nsay = \"x\"\n",
            &["x.toml:3:6: there is no measure"],
        ),
        (b"title = \"\xff\"\n", &["line 1 is not UTF-8 text"]),
        (b"", &["x.toml:1:1: a scenario needs a title"]),
    ] {
        let path = folder.path().join("x.toml");
        std::fs::write(&path, content).expect("written");
        let path = path.to_str().expect("UTF-8");
        refused(&["run", path], 2, parts);
        refused(&["run", path, "--headless", "--json"], 2, parts);
    }
    let path = folder.path().join("large.toml");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).expect("written");
    refused(&["run", path.to_str().expect("UTF-8")], 2, &["larger than 1048576 bytes"]);
}

#[test]
fn a_directory_to_keep_a_run_in_is_new_or_empty() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("something"), "").expect("written");
    let path = folder.path().to_str().expect("UTF-8");
    refused(&["up", "--headless", "--keep", path], 2, &["is not empty", path]);
    refused(&["run", "split-brain", "--headless", "--keep", path], 2, &["is not empty", path]);
}

#[test]
fn the_scenarios_of_the_program() {
    let state = state();
    let list = kvlab(state.path(), &["scenarios"]);
    assert_eq!(list.status.code(), Some(0));
    let list = text(&list.stdout);
    for (name, episode) in [
        ("torn-tail", "004"),
        ("power-loss", "004"),
        ("primary-crash", "013"),
        ("repoint", "014"),
        ("split-brain", "015"),
        ("stale-replica", "022"),
        ("museum/no-fence", "032"),
    ] {
        let line =
            list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {list}"));
        assert!(line.contains(episode) && line.contains("about"), "{line}");
        let shown = kvlab(state.path(), &["scenarios", "--show", name]);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/");
        let file = std::fs::read(format!("{file}{name}.toml")).expect("the file");
        assert_eq!(shown.stdout, file, "{name}");
    }
}
