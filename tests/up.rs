//! `kvlab up --headless` and `kvlab run` with real nodes, from outside: what a second terminal can do, how each
//! ends when it is told to, and that no node is left behind.

#![expect(clippy::disallowed_methods, reason = "the program is tested in the world, and must not hang in it")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// Nothing in these tests takes longer, on the slowest machine.
const WITHIN: Duration = Duration::from_secs(60);

/// A lab under test; killed if the test fails.
struct Lab {
    child: Child,
    lines: Option<mpsc::Receiver<String>>,
    state: tempfile::TempDir,
}

impl Lab {
    fn start(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), args)
    }

    /// Among the runs of this state directory.
    fn start_in(state: tempfile::TempDir, args: &[&str]) -> Self {
        let mut child = command(state.path(), args).spawn().expect("the program runs");
        let lines = Some(read_lines(child.stdout.take().expect("a pipe")));
        Self { child, lines, state }
    }

    /// The next line of standard output.
    fn line(&self) -> String {
        let lines = self.lines.as_ref().expect("somebody reads");
        lines.recv_timeout(WITHIN).expect("a line in time")
    }

    fn json_line(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// What a second terminal says to it.
    fn ask(&self, args: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = command(self.state.path(), args).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (status.code().expect("a code"), text(stdout), text(stderr))
    }

    /// The processes of the nodes.
    fn node_pids(&self) -> Vec<Pid> {
        let (code, out, err) = self.ask(&["status", "--json"]);
        assert_eq!(code, 0, "{err}");
        let status: Value = serde_json::from_str(&out).expect("JSON");
        let nodes = status["nodes"].as_array().expect("a list");
        let pid = |node: &Value| node["status"]["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32));
        nodes.iter().map(|node| pid(node).expect("a pid")).collect()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("it is told");
    }

    /// Waits for the end of a run that was told to end: it ends well, and all that it has to say is where its report is.
    fn ends_with_a_report(mut self) {
        let (code, message) = self.wait();
        assert_eq!(code, Some(0), "{message}");
        let report = message.strip_prefix("report: ").and_then(|rest| rest.strip_suffix('\n'));
        let report = report.unwrap_or_else(|| panic!("it says where its report is: {message}"));
        let html = std::fs::read_to_string(report).expect("a report");
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>"), "{report}");
    }

    /// The exit code, when it has ended, and the rest of standard error.
    fn end(mut self) -> (Option<i32>, String) {
        self.wait()
    }

    fn wait(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + WITHIN;
        let status = loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "it does not end"),
            }
            std::thread::yield_now();
            self.drain();
        };
        let mut message = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut message).expect("UTF-8");
        (status.code(), message)
    }

    /// Reads on, so that a full pipe is no reason not to end.
    fn drain(&self) {
        if let Some(lines) = &self.lines {
            let _ = lines.recv_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvlab"));
    command
        .args(args)
        .env("XDG_STATE_HOME", state)
        .env_remove("KVLAB_LOG")
        .env_remove("KVLAB_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn read_lines(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Waits until none of these processes is there.
fn all_gone(pids: &[Pid]) {
    let deadline = Instant::now() + WITHIN;
    while let Some(pid) = pids.iter().find(|pid| test_kill_process(**pid).is_ok()) {
        assert!(Instant::now() < deadline, "process {pid:?} was left behind");
        std::thread::yield_now();
    }
}

#[test]
fn a_second_terminal_reads_writes_and_promotes() {
    let lab = Lab::start(&["up", "3", "--headless", "--seed", "7", "--load", "off"]);
    let ready = lab.json_line();
    assert_eq!((&ready["ready"], &ready["seed"]), (&Value::from(true), &Value::from(7)));
    assert_eq!(ready["nodes"].as_array().map(Vec::len), Some(3));
    let header = lab.json_line();
    assert_eq!(header["event"], "header");
    let pids = lab.node_pids();

    let (code, out, err) = lab.ask(&["put", "colour", "blue", "--quorum"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("1@n1/"), "{out}");
    assert_eq!(lab.ask(&["get", "colour", "--quorum", "--node", "n3"]), (0, "blue\n".into(), String::new()));
    let addr = ready["nodes"][1]["client"].as_str().expect("an address");
    assert_eq!(lab.ask(&["get", "colour", "--quorum", "--addr", addr]), (0, "blue\n".into(), String::new()));

    let (code, out, err) = lab.ask(&["get", "nothing", "--quorum"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("there is no key nothing"), "{err}");
    let (code, _, err) = lab.ask(&["get", "colour", "--node", "n7"]);
    assert_eq!(code, 2);
    assert!(err.contains("the members are n1, n2, n3"), "{err}");

    let (code, out, err) = lab.ask(&["promote", "n2"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("n2 is primary of 2@n2 "), "{out}");
    let (code, out, err) = lab.ask(&["promote", "n3", "--force"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("3@n3 (by force)"), "{out}");

    assert_eq!(lab.ask(&["del", "colour", "--quorum"]).0, 0);
    assert_eq!(lab.ask(&["get", "colour", "--quorum"]).0, 1);
    let (code, out, _) = lab.ask(&["status"]);
    assert_eq!((code, out.lines().count()), (0, 5), "{out}");

    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
    all_gone(&pids);
}

/// A lab that is stopped has seen nothing meanwhile. It says so, and holds nothing of it against the store, which went on
/// all the time.
#[test]
fn a_lab_that_stood_still_says_so_and_concludes_nothing() {
    /// How long it is stopped: longer than any outage that a cluster with nothing broken may have.
    const STOPPED: Duration = Duration::from_secs(3);
    let lab = Lab::start(&["up", "3", "--headless", "--rate", "200"]);
    assert_eq!(lab.json_line()["ready"], true);
    let mut events = Vec::new();
    let mut until = |what: &dyn Fn(&Value) -> bool| loop {
        let event = lab.json_line();
        let found = what(&event);
        events.push(event);
        if found {
            return events.last().cloned().expect("the one");
        }
    };
    let served = |event: &Value| event["event"] == "load" && event["ok"].as_u64() > Some(10);
    until(&served);
    lab.signal(Signal::STOP);
    std::thread::sleep(STOPPED);
    lab.signal(Signal::CONT);
    let text = |event: &Value| event["text"].as_str().unwrap_or_default().to_owned();
    let notice = until(&|event| text(event).starts_with("the lab itself stood still for "));
    assert!(text(&notice).ends_with(" s: nothing is concluded from that time"), "{notice}");
    let seconds: f64 = text(&notice).split(' ').nth(6).and_then(|n| n.parse().ok()).expect("how long");
    assert!(seconds >= STOPPED.as_secs_f64() - 0.2, "{notice}");
    // Long enough for everything that a second's window holds.
    for _ in 0..15 {
        until(&served);
    }
    until(&|event| event["event"] == "verdict");
    let most = |kind: &str, path: &str| {
        let of_kind = events.iter().filter(|event| event["event"] == kind);
        of_kind.filter_map(|event| event.pointer(path)?.as_u64()).max().unwrap_or(0)
    };
    let bound = STOPPED.as_millis() as u64 / 2;
    assert!(most("verdict", "/harm/unavailable_ms") < bound, "no outage of the store");
    assert!(most("verdict", "/harm/stale_max_ms") < bound, "no stale read of the store");
    assert!(most("load", "/max_us") < bound * 1000, "no latency of the store");
    let gap =
        |pair: &[Value]| pair[1]["t_us"].as_u64().zip(pair[0]["t_us"].as_u64()).map(|(b, a)| b.abs_diff(a));
    let longest = events.windows(2).filter_map(gap).max().expect("events");
    assert!(longest < bound * 1000, "the run's clock stood still with it: {longest} us");
    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
}

/// What a scenario waits for has its time, also if the lab stood still meanwhile.
#[test]
fn a_wait_does_not_end_while_the_lab_stands_still() {
    const WITHIN_OF_THE_WAIT: Duration = Duration::from_secs(4);
    const STOPPED: Duration = Duration::from_millis(3500);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("patient.toml");
    let step = "[[step]]\nwait = { primaries = 2, within = \"4s\" }\n";
    std::fs::write(&file, format!("title = \"Nobody comes\"\n[workload]\nrate = \"50/s\"\n{step}"))
        .expect("written");
    let lab = Lab::start(&["run", file.to_str().expect("UTF-8"), "--headless"]);
    while !lab.line().contains("1/1") {}
    let began = Instant::now();
    lab.signal(Signal::STOP);
    std::thread::sleep(STOPPED);
    lab.signal(Signal::CONT);
    let mut told = false;
    loop {
        let line = lab.line();
        told |= line.contains("the lab itself stood still for ");
        if line.contains("FAILED") {
            break;
        }
    }
    assert!(told, "it says so");
    let waited = began.elapsed().saturating_sub(STOPPED);
    assert!(waited >= WITHIN_OF_THE_WAIT - Duration::from_millis(500), "{waited:?}");
    drop(lab);
}

/// Every run has a token. Whoever can read the run's directory may give orders; nobody else of the machine can learn it.
#[test]
fn a_run_has_a_token_that_only_its_owner_can_read_and_its_orders_need() {
    let lab = Lab::start(&["up", "3", "--headless", "--load", "off"]);
    let ready = lab.json_line();
    let run = std::fs::canonicalize(lab.state.path().join("kvlab/runs/latest")).expect("a run");
    let file = run.join("token");
    let token = std::fs::read_to_string(&file).expect("a token");
    let token = token.trim();
    assert_eq!(token.len(), 64, "{token}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    #[cfg(target_os = "linux")]
    for pid in lab.node_pids() {
        for what in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{}/{what}", pid.as_raw_nonzero())).expect("a process");
            assert!(!String::from_utf8_lossy(&bytes).contains(token), "it is in the {what} of a node");
        }
    }

    // From another place the token is not found: reads and writes go on, orders do not.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let addr = ready["nodes"][1]["client"].as_str().expect("an address");
    let ask = |args: &[&str], token_variable: Option<&str>| {
        let mut command = command(elsewhere.path(), args);
        command.args(["--addr", addr]).env_remove("KVLAB_TOKEN");
        command.envs(token_variable.map(|token| ("KVLAB_TOKEN", token)));
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (status.code().expect("a code"), text(stdout), text(stderr))
    };
    assert_eq!(ask(&["put", "k", "v", "--quorum"], None).0, 0);
    assert_eq!(ask(&["get", "k", "--quorum"], None), (0, "v\n".into(), String::new()));
    for order in [&["promote", "n2"][..], &["follow", "n3", "n1"], &["cleanup", "n1"]] {
        let (code, _, err) = ask(order, None);
        assert_eq!(code, 1, "{order:?}: {err}");
        assert!(err.contains("file `token` of the run's directory") && err.contains("--token-file"), "{err}");
    }
    let (code, _, err) = ask(&["get", "k"], Some("guess"));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("token is missing or wrong") && !err.contains("guess"), "{err}");
    assert_eq!(ask(&["cleanup", "n1"], Some(token)).0, 0);
    let file = file.display().to_string();
    let (code, out, err) = ask(&["promote", "n2", "--token-file", &file], None);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("n2 is primary of"), "{out}");
    // Where the run is, its own nodes need no more than their address.
    let (code, _, err) = lab.ask(&["promote", "n3", "--addr", addr]);
    assert_eq!(code, 0, "{err}");

    for log in ["n1.log", "n2.log", "n3.log", "events.jsonl", "cluster.json"] {
        let text = std::fs::read_to_string(run.join(log)).expect("a file of the run");
        assert!(!text.contains(token), "it is in {log}");
    }
    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
}

#[test]
fn a_second_terminal_sees_who_is_who_and_says_whom_to_follow() {
    let lab = Lab::start(&["up", "3", "--headless", "--seed", "7", "--load", "off"]);
    let ready = lab.json_line();
    let addr = ready["nodes"][2]["client"].as_str().expect("an address");

    // n2 and n3 are ready before they have heard of a primary.
    let knows = |args: &[&str]| {
        let deadline = Instant::now() + WITHIN;
        loop {
            let (code, out, err) = lab.ask(args);
            assert_eq!((code, err.as_str()), (0, ""));
            if out.contains("primary n1, epoch 1@n1") {
                return out;
            }
            assert!(Instant::now() < deadline, "{out}");
        }
    };
    let out = knows(&["topology", "--addr", addr]);
    assert!(out.starts_with("as n3 knows it: primary n1, epoch 1@n1\n"), "{out}");
    knows(&["topology", "--node", "n2"]);
    let (code, out, err) = lab.ask(&["topology", "--json", "--node", "n2"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let topology: Value = serde_json::from_str(&out).expect("JSON");
    let roles: Vec<_> = topology["members"].as_array().expect("a list").iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["primary", "replica", "replica"]);
    assert_eq!(topology["members"][2]["client"], addr);
    assert_eq!(lab.ask(&["topology", "--node", "n9"]).0, 2);

    let (code, out, _) = lab.ask(&["follow", "n3", "n1"]);
    assert_eq!((code, out.as_str()), (0, "n3 follows n1 in 1@n1\n"));
    let (code, _, err) = lab.ask(&["follow", "n3", "n2"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("n3: cannot follow n2: nothing was heard from it as a primary within 1000 ms"),
        "{err}"
    );
    let (code, _, err) = lab.ask(&["follow", "n1", "n1"]);
    assert_eq!(code, 1);
    assert!(err.contains("promote it"), "{err}");
    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
}

#[test]
fn a_second_terminal_cleans_up_every_disk_or_one() {
    let lab = Lab::start(&["up", "3", "--headless", "--load", "off"]);
    lab.json_line();
    let value = "v".repeat(2000);
    for _ in 0..5 {
        let (code, _, err) = lab.ask(&["put", "k", &value, "--quorum"]);
        assert_eq!(code, 0, "{err}");
    }
    let statuses = || {
        let (_, out, _) = lab.ask(&["status", "--json"]);
        let status: Value = serde_json::from_str(&out).expect("JSON");
        status["nodes"].as_array().expect("a list").clone()
    };
    // Replicas hear with the next heartbeat what is committed.
    let deadline = Instant::now() + WITHIN;
    let knows = |node: &Value| {
        let status = &node["status"];
        status["commit"].as_u64().is_some_and(|seq| seq >= 6) && status["commit"] == status["last"]["seq"]
    };
    while !statuses().iter().all(knows) {
        assert!(Instant::now() < deadline, "not committed everywhere: {:?}", statuses());
    }

    let (code, out, err) = lab.ask(&["cleanup"]);
    assert_eq!(code, 0, "{err}");
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort_unstable();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.contains(": freed ")), "{out}");
    for node in statuses() {
        let status = &node["status"];
        assert_eq!(
            (&status["disk"]["cleanups"], &status["disk"]["cleanup"]),
            (&Value::from(1), &Value::Null)
        );
        assert!(status["log_bytes"].as_u64().is_some_and(|bytes| bytes < 3000), "{status}");
    }
    let (_, table, _) = lab.ask(&["status"]);
    assert!(table.starts_with("node") && table.contains("garbage") && table.contains("2.0 KiB"), "{table}");
    let nothing = (0, "n2: there is nothing to clean up\n".into(), String::new());
    assert_eq!(lab.ask(&["cleanup", "n2"]), nothing);
    let (code, _, err) = lab.ask(&["cleanup", "n9"]);
    assert_eq!(code, 2);
    assert!(err.contains("the members are n1, n2, n3"), "{err}");
    assert_eq!(lab.ask(&["get", "k", "--quorum", "--node", "n3"]).1, format!("{value}\n"));
}

#[test]
fn any_signal_ends_a_cluster_in_order() {
    for signal in [Signal::INT, Signal::HUP] {
        let lab = Lab::start(&["up", "1", "--headless"]);
        assert_eq!(lab.json_line()["ready"], true);
        let pids = lab.node_pids();
        lab.signal(signal);
        lab.ends_with_a_report();
        all_gone(&pids);
    }
}

#[test]
fn a_reader_that_leaves_ends_the_cluster() {
    let mut lab = Lab::start(&["up", "1", "--headless"]);
    assert_eq!(lab.json_line()["ready"], true);
    let pids = lab.node_pids();
    // The thread that reads ends with its receiver, and closes the pipe.
    lab.lines = None;
    let (code, message) = lab.end();
    assert_eq!(code, Some(2), "{message}");
    assert!(message.starts_with("report: ") && message.lines().count() == 1, "nothing is wrong: {message}");
    all_gone(&pids);
}

/// What a lab was asked for, and what it says itself, where it cannot be written.
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let lab = Lab::start(&["up", "2", "--headless", "--load", "off"]);
    assert_eq!(lab.json_line()["ready"], true);
    for args in [
        &["put", "k", "v"][..],
        &["get", "k"],
        &["del", "k"],
        &["status"],
        &["status", "--json"],
        &["topology"],
        &["topology", "--json"],
        &["cleanup", "n1"],
        &["promote", "n2"],
        &["follow", "n1", "n2"],
    ] {
        let ask = |stdout: Stdio| {
            let mut command = command(lab.state.path(), args);
            let output = command.stdout(stdout).spawn().and_then(Child::wait_with_output).expect("it runs");
            (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
        };
        let (code, message) = ask(full_device());
        assert_eq!((code, message.matches("error:").count()), (Some(2), 1), "{args:?}: {message}");
        assert!(message.contains("No space left on device"), "{args:?}: {message}");
        let (read, write) = std::io::pipe().expect("a pipe");
        drop(read);
        assert_eq!(ask(write.into()), (Some(2), String::new()), "{args:?}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("short.toml");
    let text = "title = \"Short\"\n[cluster]\nnodes = 1\n[workload]\nrate = \"50/s\"\nconsistency = [\"quorum\"]\n\
                registers = 1\n[[step]]\nafter = \"100ms\"\nsay = \"Nothing.\"\n";
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    for args in [&["up", "1", "--headless"][..], &["run", file, "--headless"], &["run", file, "--json"]] {
        let state = tempfile::tempdir().expect("a directory");
        let mut command = command(state.path(), args);
        let output =
            command.stdout(full_device()).spawn().and_then(Child::wait_with_output).expect("it runs");
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert_eq!(message.matches("error:").count(), 1, "{args:?}: {message}");
        let run = state.path().join("kvlab/runs/latest");
        assert!(run.join("report.html").is_file(), "{args:?}: the run itself is whole");
        assert_eq!(run.join("outcome.json").is_file(), args[0] == "run", "{args:?}");
    }
    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
}

fn full_device() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").expect("a full device").into()
}

#[test]
fn of_several_labs_the_newest_that_runs_is_asked_and_another_can_be_named() {
    let first = Lab::start(&["up", "1", "--headless", "--load", "off"]);
    let address = |ready: &Value| ready["nodes"][0]["client"].as_str().expect("an address").to_owned();
    let first_address = address(&first.json_line());
    // A lab in a directory of its own, which is then the latest run.
    let own = first.state.path().join("own");
    let own = own.to_str().expect("UTF-8");
    let args = ["up", "1", "--headless", "--load", "off", "--keep", own];
    let mut second = command(first.state.path(), &args).spawn().expect("it runs");
    let lines = read_lines(second.stdout.take().expect("a pipe"));
    let ready = lines.recv_timeout(WITHIN).expect("a line in time");
    let second_address = address(&serde_json::from_str(&ready).expect("JSON"));

    let (code, out, err) = first.ask(&["status"]);
    assert!(code == 0 && out.contains(&second_address) && !out.contains(&first_address), "{out}");
    assert!(err.contains("2 labs are running; this is the newest, ") && err.contains("--run"), "{err}");
    let (_, list, _) = first.ask(&["runs"]);
    assert_eq!(list.lines().filter(|line| line.contains(" live")).count(), 2, "{list}");
    let of_first = list.lines().find(|line| line.contains(" live  ")).expect("it is listed");
    let name = of_first.split_whitespace().next().expect("a name");
    let (code, out, err) = first.ask(&["status", "--run", name]);
    assert!(code == 0 && out.contains(&first_address) && err.is_empty(), "{out}{err}");
    assert!(first.ask(&["get", "k", "--run", own]).2.contains("there is no key k"));

    kill_process(Pid::from_raw(second.id() as i32).expect("a pid"), Signal::TERM).expect("it is told");
    assert_eq!(second.wait().expect("it ends").code(), Some(0));
    // The latest run has ended, and there is one lab left.
    let (code, out, err) = first.ask(&["status"]);
    assert!(code == 0 && out.contains(&first_address) && err.is_empty(), "{out}{err}");
    let (code, _, err) = first.ask(&["status", "--run", "latest"]);
    assert!(code == 2 && err.contains("has ended"), "{err}");
    let (code, out, _) = first.ask(&["runs", "clean", "--keep", "0"]);
    assert!(
        code == 0 && out.contains("removed 0 of 2 runs"),
        "neither the one that lives nor the other's own: {out}"
    );
    first.signal(Signal::TERM);
    first.ends_with_a_report();
}

/// A small bound under a large load: the oldest parts go, and what is said of the rest is right.
#[test]
fn a_lab_keeps_no_more_than_it_may_and_says_what_it_has() {
    const BYTES_MAX: u64 = 4 << 20;
    let mut lab = Lab::start(&["up", "1", "--headless", "--rate", "4000", "--record-max", "4MiB"]);
    assert_eq!(lab.json_line()["ready"], true);
    let run = std::fs::canonicalize(lab.state.path().join("kvlab/runs/latest")).expect("a run");
    let parts = |record: &str| -> Vec<String> {
        let names = std::fs::read_dir(&run).expect("a run").flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(record) && name.ends_with(".jsonl")).collect()
    };
    let deadline = Instant::now() + WITHIN;
    while !parts("history.0").iter().any(|name| name.as_str() > "history.000009") {
        assert!(Instant::now() < deadline, "{:?}", parts("history"));
        lab.drain();
    }
    // A run that goes on can be judged as well, while parts come and go.
    let (code, out, err) = lab.ask(&["check", "latest"]);
    assert!(matches!(code, 0 | 3) && out.contains("\nkept: the last "), "{out}{err}");
    lab.signal(Signal::TERM);
    let (code, message) = lab.wait();
    assert_eq!(code, Some(0), "{message}");

    let bytes = |name: &String| std::fs::metadata(run.join(name)).map_or(0, |about| about.len());
    for record in ["history", "events"] {
        let sum: u64 = parts(record).iter().map(bytes).sum();
        assert!(sum < BYTES_MAX / 2 * 9 / 8, "{record}: {sum}");
    }
    assert_eq!(parts("history").len(), 8);
    let report = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(report.contains("Kept: the last "), "the report says so as well");
    let (code, out, err) = lab.ask(&["check", "latest", "--json"]);
    assert!(matches!(code, 0 | 3), "{err}");
    let checked = &serde_json::from_str::<Value>(&out).expect("JSON")["histories"][0];
    assert!(checked["kept"]["from_i"].as_u64() > Some(1000), "{}", checked["kept"]);
    assert_eq!(checked["measured"]["violations_total"], 0, "a single node keeps its promises");
    let there = |name: &str| lab.state.path().join(name).display().to_string();
    assert_eq!(lab.ask(&["record", "latest", &there("end.txt")]).0, 0);
    // What is exported says the same, to others and to kvlab.
    for (format, file) in [("edn", there("h.edn")), ("jsonl", there("h.jsonl"))] {
        assert_eq!(lab.ask(&["export", "latest", "--history", format, "--out", &file]).0, 0);
        let (code, out, err) = lab.ask(&["check", &file]);
        assert!(matches!(code, 0 | 3), "{format}: {out}{err}");
        assert_eq!(out.contains("\nkept: the last "), format == "jsonl", "{out}");
    }
}

#[test]
fn a_lab_that_is_killed_leaves_no_node_behind() {
    let lab = Lab::start(&["up", "3", "--headless"]);
    assert_eq!(lab.json_line()["ready"], true);
    let pids = lab.node_pids();
    lab.signal(Signal::KILL);
    all_gone(&pids);
    // What it has left is enough for a report.
    let (code, out, err) = lab.ask(&["report"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let report = out.strip_prefix("report: ").expect("it says where").trim_end();
    assert!(std::fs::read_to_string(report).expect("a report").contains("kvlab up 3 --seed "));
}

#[test]
fn a_run_that_goes_on_is_reported_so_far() {
    let lab = Lab::start(&["up", "1", "--headless"]);
    assert_eq!(lab.json_line()["ready"], true);
    let elsewhere = lab.state.path().join("so-far.html");
    let (code, out, err) = lab.ask(&["report", "--out", elsewhere.to_str().expect("UTF-8")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, format!("report: {} (so far: the run goes on)\n", elsewhere.display()));
    assert!(std::fs::read_to_string(elsewhere).expect("a report").contains("SO FAR"));
    lab.signal(Signal::TERM);
    lab.ends_with_a_report();
}

#[test]
fn a_scenario_that_is_broken_off_is_undecided() {
    let lab = Lab::start(&["run", "split-brain", "--json", "--seed", "3"]);
    let deadline = Instant::now() + WITHIN;
    let pids = loop {
        assert!(Instant::now() < deadline, "the nodes do not come up");
        if lab.ask(&["status", "--json"]).0 == 0 {
            break lab.node_pids();
        }
    };
    lab.signal(Signal::INT);
    let object = lab.json_line();
    assert_eq!((&object["scenario"], &object["outcome"]), (&"split-brain".into(), &"undecided".into()));
    let (code, message) = lab.end();
    assert_eq!(code, Some(3));
    assert!(message.contains("interrupted by SIGINT"), "{message}");
    all_gone(&pids);
}

/// The primary has lost what the others have, so that nobody votes for it, and nobody is promoted: settling promotes, by
/// vote, so that the run can be judged.
#[test]
fn a_cluster_left_without_a_primary_gets_one_when_it_settles() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("left.toml");
    let text = "title = \"Left without a primary\"\n[cluster]\ndurability = \"os\"\n[workload]\nrate = \"100/s\"\n\
                consistency = [\"quorum\"]\nregisters = 2\nledger = true\n\
                [[step]]\nafter = \"500ms\"\npower_loss = \"primary\"\n";
    std::fs::write(&file, text).expect("written");
    let lab = Lab::start(&["run", file.to_str().expect("UTF-8"), "--json", "--seed", "3"]);
    let object = lab.json_line();
    assert_eq!(object["outcome"], "as-expected", "{object}");
    let events = object["run_dir"].as_str().expect("a directory").to_owned() + "/events.jsonl";
    let events = std::fs::read_to_string(events).expect("events");
    let by_the_lab = |line: &&str| line.contains(r#""do":"promote""#) && line.contains(r#""by":"lab""#);
    assert!(events.lines().any(|line| by_the_lab(&line)), "nobody was promoted by the lab");
    assert_eq!(lab.end().0, Some(0));
}
