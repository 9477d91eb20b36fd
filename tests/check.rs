//! `kvlab check`, `shrink` and `export` from outside: verdicts, exit codes, messages, and histories that go from one
//! command to the other.

#![expect(clippy::disallowed_methods, reason = "the program is tested in the world: with files")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const HISTORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories");

/// What is known of the histories under `tests/histories`: the exit code of `check`, and the last line's beginning.
const KNOWN: [(&str, i32, &str); 9] = [
    ("calm.jsonl", 0, "linearizable (judged in "),
    ("four-reads.jsonl", 1, "NOT linearizable (judged in "),
    ("cas.edn", 1, "NOT linearizable (judged in "),
    ("independent.edn", 0, "linearizable (judged in "),
    ("appends.edn", 0, "linearizable (judged in "),
    ("etcd.log", 1, "NOT linearizable (judged in "),
    ("number-and-string.edn", 1, "NOT linearizable (judged in "),
    ("discard-word.edn", 1, "NOT linearizable (judged in "),
    ("keyword-value.log", 1, "NOT linearizable (judged in "),
];

fn history(name: &str) -> String {
    format!("{HISTORIES}/{name}")
}

fn kvlab(args: &[&str]) -> Output {
    kvlab_reading(args, b"")
}

/// Runs the program without a terminal, with this on its standard input.
fn kvlab_reading(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // It may end without reading all of it.
    let writer = std::thread::Builder::new().spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.expect("a thread").join().expect("it ends as well");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stdout)))
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn written(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Nothing on standard output, exit code 2, and one message with all these parts.
fn refused(args: &[&str], parts: &[&str]) {
    let output = kvlab(args);
    let message = text(&output.stderr);
    assert_eq!(code(&output), 2, "{args:?}: {message}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: {part:?} is not in\n{message}");
    }
    assert_eq!(message.matches("error:").count(), 1, "{args:?}: one message\n{message}");
}

#[test]
fn each_history_gets_its_verdict_whatever_the_ends_of_its_lines() {
    for (name, expected, last) in KNOWN {
        let content = std::fs::read_to_string(history(name)).expect("the file");
        let crlf = format!("\u{feff}{}", content.replace('\n', "\r\n"));
        for output in [
            kvlab(&["check", &history(name)]),
            kvlab_reading(&["check", "-"], content.as_bytes()),
            kvlab_reading(&["check", "-"], crlf.as_bytes()),
        ] {
            let said = text(&output.stdout);
            assert_eq!((code(&output), text(&output.stderr)), (expected, String::new()), "{name}: {said}");
            assert!(said.lines().last().is_some_and(|line| line.starts_with(last)), "{name}: {said}");
        }
    }
}

#[test]
fn many_histories_are_judged_each_and_the_worst_decides() {
    let (fine, bad) = (history("calm.jsonl"), history("cas.edn"));
    let nowhere = history("nowhere");
    let output = kvlab(&["check", &fine, &nowhere]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stdout).contains("linearizable") && text(&output.stderr).contains("nowhere"));
    let output = kvlab(&["check", &nowhere, &bad, &fine, "--json"]);
    assert_eq!(code(&output), 1, "what is violated is violated");
    let object = json(&output);
    assert_eq!(object["linearizable"], "no");
    let told = object["histories"].as_array().expect("a list");
    assert!(told[0]["error"].as_str().expect("a message").contains("No such file"));
    assert_eq!((&told[1]["linearizable"], &told[2]["linearizable"]), (&"no".into(), &"yes".into()));
}

#[test]
fn the_object_has_every_key_with_its_proof_and_what_was_measured() {
    let ours = json(&kvlab(&["check", &history("four-reads.jsonl"), "--json"]));
    let ours = &ours["histories"][0];
    let key = |name: &str| {
        let keys = ours["keys"].as_array().expect("a list");
        keys.iter().find(|key| key["key"] == name).expect("the key").clone()
    };
    assert_eq!((&ours["format"], &ours["operations"]), (&"kvlab".into(), &13.into()));
    assert_eq!((&key("q0")["linearizable"], &key("q0")["method"]), (&"no".into(), &"ids".into()));
    let proof = &key("q0")["proof"];
    assert!(proof["explanation"].as_str().is_some_and(|why| why.contains("each was written only once")));
    assert!(proof["rule"].as_str().is_some_and(|rule| rule.starts_with("n2 answered in epoch 1@n1")));
    assert_eq!(key("a0")["linearizable"], Value::Null);
    assert_eq!(key("q1")["linearizable"], "yes");
    let measured = &ours["measured"];
    assert_eq!(
        (&measured["async_ledger"]["lost"], &measured["quorum_ledger"]["lost"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        (&measured["staleness"]["stale"], &measured["staleness"]["versions"]["max"]),
        (&1.into(), &1.0.into())
    );
    assert_eq!(measured["unavailable"]["quorum_ms"], 30);

    let others = json(&kvlab(&["check", &history("cas.edn"), "--json"]));
    let key = &others["histories"][0]["keys"][0];
    let proof = &key["proof"];
    assert_eq!(
        (&key["method"], proof["part"].as_array().map(Vec::len), &proof["is_minimal"]),
        (&"search".into(), Some(3), &true.into())
    );
    assert!(
        proof["explanation"].as_str().is_some_and(|why| why.contains("fits into no order of the others"))
    );
    assert!(key["proof"]["stuck"]["act"]["cas"].is_object(), "{key}");
}

/// A queue that returns 2 before 1.
const QUEUE: &str = "{:process 0, :type :invoke, :f :enqueue, :value 1}\n{:process 0, :type :ok, :f :enqueue, :value 1}\n\
                     {:process 0, :type :invoke, :f :enqueue, :value 2}\n{:process 0, :type :ok, :f :enqueue, :value 2}\n\
                     {:process 1, :type :invoke, :f :dequeue, :value nil}\n{:process 1, :type :ok, :f :dequeue, :value 2}\n";

#[test]
fn a_queue_is_judged_as_the_model_that_is_named() {
    let dir = dir();
    let path = written(dir.path(), "queue.edn", QUEUE);
    refused(&["check", &path], &["line 1", "--model fifo-queue or --model unordered-queue"]);
    assert_eq!(code(&kvlab(&["check", &path, "--model", "unordered-queue"])), 0);
    let output = kvlab(&["check", &path, "--model", "fifo-queue"]);
    assert_eq!(code(&output), 1);
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("the queue was [1 2] while it ran") && said.contains("┣━ dequeue 2 ━┫"), "{said}");
    assert_eq!(code(&kvlab(&["check", &path, "--model", "fifo-queue", "--initial", "[2]"])), 0);
    refused(&["check", &path, "--model", "fifo-queue", "--initial", "2"], &["--initial", "a list of values"]);
    refused(&["check", &path, "--model", "mutex"], &["line 1", ":enqueue", "model mutex"]);
    let ours = history("calm.jsonl");
    refused(&["check", &ours, "--model", "register"], &["--model is for histories of other tools"]);
    // What is shrunk and what is exported is read again as the same.
    let small = text(&kvlab(&["shrink", &path, "--model", "fifo-queue", "--out", "-"]).stdout);
    let small = written(dir.path(), "small.edn", &small);
    assert_eq!(code(&kvlab(&["check", &small, "--model", "fifo-queue"])), 1);
    let out = text(&kvlab(&["export", &path, "--history", "edn", "--model", "fifo-queue"]).stdout);
    let out = written(dir.path(), "out.edn", &out);
    assert_eq!(code(&kvlab(&["check", &out, "--model", "fifo-queue"])), 1);
    refused(&["export", &path, "--history", "jsonl", "--model", "fifo-queue"], &["enqueue 1", "take edn"]);
}

#[test]
fn a_failed_compare_and_set_did_not_happen_unless_it_is_said_to_have_looked() {
    let dir = dir();
    let failed = "{:process 0, :type :invoke, :f :cas, :value [nil 2]}\n{:process 0, :type :fail, :f :cas, :value [nil 2]}\n\
                {:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n";
    let path = written(dir.path(), "h.edn", failed);
    assert_eq!(code(&kvlab(&["check", &path])), 0, "it failed for whatever reason");
    let output = kvlab(&["check", &path, "--failed-cas", "observed"]);
    assert_eq!(code(&output), 1, "it would have matched");
    assert!(
        text(&output.stdout).contains("a cas that failed is taken for one that looked and did not match")
    );
    let output = kvlab(&["check", &path, "--failed-cas", "observed", "--json"]);
    assert_eq!(json(&output)["histories"][0]["keys"][0]["failed_cas"], "observed");
    let output = kvlab(&["shrink", &path, "--failed-cas", "observed"]);
    assert!(text(&output.stdout).contains("as --failed-cas observed says"), "{}", text(&output.stdout));
    for command in ["check", "shrink"] {
        refused(&[command, &path, "--drop-failed-cas"], &["--failed-cas observed"]);
    }

    // Here what failed plays a part in the proof: only it would have set 2.
    let seen = text_of_cas(&[
        ("invoke", "cas", "[nil 2]"),
        ("fail", "cas", "[nil 2]"),
        ("invoke", "read", "nil"),
        ("ok", "read", "2"),
    ]);
    let path = written(dir.path(), "h.edn", seen);
    let output = kvlab(&["check", &path]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stdout).contains("a cas that failed did not happen here; --failed-cas observed"));
}

fn text_of_cas(events: &[(&str, &str, &str)]) -> String {
    let line = |(kind, f, value): &(&str, &str, &str)| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    events.iter().map(line).collect()
}

/// Many leave one value and come back to it at once, and two at the end leave it for good: every set of the others may
/// have been first, and there are more than anyone can try.
fn hard() -> String {
    let event = |process: u32, kind: &str, f: &str, value: &str| {
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value [k {value}]}}\n")
    };
    let mut text = event(0, "invoke", "write", "x") + &event(0, "ok", "write", "x");
    for kind in ["invoke", "ok"] {
        for n in 1..=24 {
            text += &event(n, kind, "cas", &format!("[x {n}]"));
            text += &event(100 + n, kind, "cas", &format!("[{n} x]"));
        }
    }
    for _ in 0..2 {
        text += &event(0, "invoke", "cas", "[x y]");
        text += &event(0, "ok", "cas", "[x y]");
    }
    text
}

#[test]
fn a_search_that_takes_too_long_is_undecided() {
    let dir = dir();
    let path = written(dir.path(), "hard.edn", hard());
    let output = kvlab(&["check", &path, "--timeout", "50ms"]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("UNDECIDED  key k, 51 operations, by search: the search was given up after 50ms"));
    assert!(said.lines().last().is_some_and(|line| line.starts_with("UNDECIDED")), "{said}");
    let object = json(&kvlab(&["check", &path, "--timeout", "50ms", "--json"]));
    assert_eq!(
        (&object["linearizable"], &object["histories"][0]["keys"][0]["linearizable"]),
        (&"undecided".into(), &"undecided".into())
    );
    let output = kvlab(&["shrink", &path, "--timeout", "50ms"]);
    assert_eq!((code(&output), text(&output.stdout)), (3, String::new()));
    assert!(text(&output.stderr).contains("key k is undecided: the search was given up after 50ms"));
}

/// More clients than the online judge can follow delete and write one key at once; the last read decides.
fn crowded(seen: &str) -> String {
    let mut text = String::new();
    let mut event = |client: u32, phase: &str, op: &str, value: &str| {
        let i = text.lines().count() + 1;
        let _ = writeln!(
            text,
            "{{\"i\":{i},\"t_ns\":{i},\"client\":{client},\"node\":null,\"type\":\"{phase}\",\"op\":\"{op}\",\"key\":\"k\",\
             \"value\":{value},\"consistency\":\"quorum\"}}"
        );
    };
    for phase in ["invoke", "ok"] {
        for client in 1..=70 {
            event(
                client,
                phase,
                if client == 1 { "del" } else { "put" },
                if client == 1 { "null" } else { "\"v\"" },
            );
        }
    }
    event(1, "invoke", "get", "null");
    event(1, "ok", "get", seen);
    text
}

#[test]
fn what_the_online_judge_leaves_undecided_is_searched_afterwards() {
    let dir = dir();
    for (seen, expected) in [("\"v\"", 0), ("null", 0), ("\"w\"", 1)] {
        let history = crowded(seen);
        let path = written(dir.path(), "h.jsonl", &history);
        let output = kvlab(&["check", &path]);
        assert_eq!(code(&output), expected, "{seen}: {}{}", text(&output.stdout), text(&output.stderr));
        let output = kvlab_reading(&["check", "-"], history.as_bytes());
        let said = text(&output.stdout);
        if expected == 0 {
            assert_eq!(code(&output), 3, "standard input cannot be read twice: {said}");
            assert!(
                said.contains("UNDECIDED  key \"k\", 71 operations, by search: more than 64 operations"),
                "{said}"
            );
        }
        let shrunk = kvlab(&["shrink", &path]);
        assert_eq!(code(&shrunk), expected, "{seen}: {}", text(&shrunk.stderr));
    }
}

/// A run's directory, with the link by which it is the latest.
fn run(state: &Path, history: &str) -> PathBuf {
    let runs = state.join("kvlab/runs");
    let run = runs.join("20260102T030405Z-up");
    std::fs::create_dir_all(&run).expect("created");
    std::fs::write(run.join("history.jsonl"), history).expect("written");
    std::os::unix::fs::symlink("20260102T030405Z-up", runs.join("latest")).expect("linked");
    run
}

#[test]
fn a_run_is_named_by_its_directory_or_as_the_latest_and_may_have_been_killed() {
    let state = dir();
    let whole = std::fs::read_to_string(history("calm.jsonl")).expect("the file");
    let run = run(state.path(), &whole);
    let latest = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvlab"));
        command.args(args).env("XDG_STATE_HOME", state.path()).current_dir(state.path());
        command.stdin(Stdio::null()).output().expect("the program runs")
    };
    let path = run.to_str().expect("UTF-8");
    assert_eq!(code(&kvlab(&["check", path])), 0);
    assert_eq!(code(&latest(&["check", "latest"])), 0);
    let exported = latest(&["export", "latest", "--history", "jsonl"]);
    assert_eq!(text(&exported.stdout), whole);

    std::fs::write(run.join("history.jsonl"), &whole[..whole.len() - 40]).expect("written");
    let output = kvlab(&["check", path]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stderr).contains("ends inside line 10: it is judged up to there"));
    let file = format!("{path}/history.jsonl");
    refused(&["check", &file], &["line 10: the line ends inside an event", "`head -n 9` takes them"]);
}

#[test]
fn events_that_cannot_be_read_leave_the_verdict_and_what_the_operations_tell() {
    let state = dir();
    let whole = std::fs::read_to_string(history("four-reads.jsonl")).expect("the file");
    let run = run(state.path(), &whole);
    for events in ["", "nonsense\n", "{\"t_us\":1"] {
        std::fs::write(run.join("events.jsonl"), events).expect("written");
        let output = kvlab(&["check", run.to_str().expect("UTF-8")]);
        assert_eq!((code(&output), text(&output.stderr)), (1, String::new()));
        assert!(text(&output.stdout).contains("n2 answered in epoch 1@n1"), "{}", text(&output.stdout));
    }
}

#[test]
fn what_is_no_history_is_refused_with_the_line_and_what_was_expected() {
    let dir = dir();
    let invoke = "{:process 1, :type :invoke, :f :write, :value 3}\n";
    let ours = std::fs::read_to_string(history("calm.jsonl")).expect("the file");
    let lines: Vec<&str> = ours.lines().collect();
    let cases: [(Vec<u8>, &[&str]); 18] = [
        (b"".to_vec(), &["line 1: nothing; expected a history"]),
        (b" \n\n".to_vec(), &["line 1: nothing; expected a history"]),
        (b"hello\nworld\n".to_vec(), &["line 1: \"hello\" begins no history that is known; expected a history"]),
        (b"\x7fELF\x02\x01\xff\xfe".to_vec(), &["line 1: what is not UTF-8 text; expected a history"]),
        ([invoke.as_bytes(), b"\n\xff"].concat(), &["line 3: what is not UTF-8 text"]),
        (format!("{}\n\u{0}\n", lines[0]).into_bytes(), &["line 2: ", "expected a history event like"]),
        (format!("{}\n{}\n", lines[0], lines[3].replace("\"i\":4", "\"i\":2")).into_bytes(), &["line 2: event 2: client 1 invokes again"]),
        (format!("{}\n{}\n", lines[0], lines[3]).into_bytes(), &["line 2: event 4 comes after event 1: what is between is missing"]),
        (format!("{}\n{}\n", lines[0], lines[1].replace("\"t_ns\":2000000", "\"t_ns\":999")).into_bytes(), &["line 2: event 2 is of t_ns 999", "a time that does not run backwards"]),
        (format!("{}\n", lines[1]).into_bytes(), &["line 1: event 2: client 1 gets a reply, but has nothing invoked"]),
        (lines[0].as_bytes()[..60].to_vec(), &["line 1: the line ends inside an event"]),
        (format!("{invoke}{invoke}").into_bytes(), &["line 2: process 1 begins anew", "expected its completion first"]),
        (
            b"{:process 1, :type :ok, :f :read, :value 3}".to_vec(),
            &["line 1: process 1 completes, but has nothing invoked; expected an :invoke before it"],
        ),
        (invoke.as_bytes()[..30].to_vec(), &["line 1: the text ends inside"]),
        (
            format!("{invoke}{{:process 2, :type :invoke, :f :write, :value [k 3]}}").into_bytes(),
            &["line 2: an operation with a key; expected without a key, as on line 1"],
        ),
        (
            b"{:process 1, :type :invoke, :f :read, :value [x nil]}\n{:process 1, :type :ok, :f :read, :value [y 3]}".to_vec(),
            &["line 2: process 1 completes :read of key y; expected one of key x, as it invoked on line 1"],
        ),
        (b"{:process \"1\", :type :invoke, :f :read}".to_vec(), &["line 1: :process \"1\"; expected a number"]),
        (b"{:process :nemesis, :type :info, :f :kill}".to_vec(), &["there is no operation of a client in it"]),
    ];
    for (content, parts) in cases {
        let path = written(dir.path(), "x", content);
        refused(&["check", &path], parts);
    }
    refused(&["check", dir.path().to_str().expect("UTF-8")], &["is a directory without a history.jsonl"]);
    let path = written(dir.path(), "x", "{\"i\":1}\n");
    refused(&["check", &path], &["line 1: missing field `t_ns` in \"{", "expected a history event like"]);
    refused(&["check", &history("nowhere")], &["cannot read", "No such file"]);
    refused(&["check", &history("etcd.log"), "--format", "edn"], &["line 1: \"INFO\"; expected a map like"]);
    refused(&["check", &history("etcd.log"), "--format", "kvlab"], &["line 1: "]);
}

#[test]
fn a_history_in_which_everything_failed_says_so() {
    let dir = dir();
    let failed = "every operation in it failed, or was a read that got no answer: nothing can be judged";
    let edn = |f: &str, kind: &str| {
        format!(
            "{{:process 1, :type :invoke, :f :{f}, :value [1 2]}}\n{{:process 1, :type :{kind}, :f :{f}, :value [1 2]}}\n"
        )
    };
    for (f, kind) in [("write", "fail"), ("read", "fail"), ("read", "info"), ("cas", "fail")] {
        let path = written(dir.path(), "h.edn", edn(f, kind));
        refused(&["check", &path], &[failed]);
        let path = written(dir.path(), "h.edn", edn(f, kind) + &edn("write", "info"));
        assert_eq!(
            code(&kvlab(&["check", &path])),
            if f == "cas" { 2 } else { 0 },
            "{f}: one has a key, one has none"
        );
    }
    let ours = std::fs::read_to_string(history("calm.jsonl")).expect("the file");
    let ours = ours.replace("\"ok\"", "\"fail\"").replace("\"info\"", "\"fail\"");
    let path = written(dir.path(), "h.jsonl", &ours);
    refused(&["check", &path], &[failed]);
    let open: String =
        ours.lines().filter(|line| !line.contains("\"i\":8,")).map(|line| line.to_owned() + "\n").collect();
    let open = open.replace("\"i\":9,", "\"i\":8,").replace("\"i\":10,", "\"i\":9,");
    let path = written(dir.path(), "h.jsonl", open);
    assert_eq!(code(&kvlab(&["check", &path])), 0, "a delete that has not ended may have happened");
}

#[test]
fn with_thousands_of_keys_what_is_wrong_comes_first_and_the_rest_is_counted() {
    let mut edn = String::new();
    for key in 0..3000 {
        let seen = if key % 100 == 7 { "ghost" } else { "1" };
        for (f, value) in [("write", "1"), ("read", seen)] {
            for kind in ["invoke", "ok"] {
                let value = if f == "read" && kind == "invoke" { "nil" } else { value };
                let _ = writeln!(edn, "{{:process 0, :type :{kind}, :f :{f}, :value [k{key} {value}]}}");
            }
        }
    }
    let dir = dir();
    let path = written(dir.path(), "h.edn", edn);
    let said = text(&kvlab(&["check", &path]).stdout);
    assert!(said.lines().count() < 60, "{said}");
    assert!(said.contains("NOT linearizable  key k1007, 2 operations, by ids"), "{said}");
    assert!(said.contains("and 17 more like these; --json has them all"), "{said}");
    assert!(said.contains("keys NOT linearizable       30\n"), "{said}");
    assert!(said.contains("keys linearizable           2970 (by ids)\n"), "{said}");
    let object = json(&kvlab(&["check", &path, "--json"]));
    assert_eq!(object["histories"][0]["keys"].as_array().map(Vec::len), Some(3000));
}

#[test]
fn the_proof_is_drawn_as_a_picture_if_there_is_one() {
    let dir = dir();
    let svg = dir.path().join("proof.svg");
    let path = svg.to_str().expect("UTF-8");
    assert_eq!(code(&kvlab(&["check", &history("four-reads.jsonl"), "--svg", path])), 1);
    let picture = std::fs::read_to_string(&svg).expect("the picture");
    roxmltree::Document::parse(&picture).expect("XML");
    assert!(picture.contains("read &quot;a&quot;") && picture.contains("class=\"bar bad\""), "{picture}");
    std::fs::remove_file(&svg).expect("removed");
    let output = kvlab(&["check", &history("calm.jsonl"), "--svg", path]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stderr).contains("there is no proof to draw") && !svg.exists());
}

#[test]
fn what_is_shrunk_fails_again_in_the_format_in_which_it_came() {
    let dir = dir();
    let appends = std::fs::read_to_string(history("appends.edn")).expect("the file");
    // What was appended and acknowledged is not there.
    let lost = appends.replace(r#""x 2 0 yx 1 0 y""#, r#""x 2 0 y""#);
    let lost = written(dir.path(), "lost.edn", lost);
    let independent = std::fs::read_to_string(history("independent.edn")).expect("the file");
    let stale =
        written(dir.path(), "stale.edn", independent.replace(":read, :value [x 1]", ":read, :value [x 5]"));
    for (path, operations, begins) in [
        (history("four-reads.jsonl"), 6, "{\"i\":"),
        (history("cas.edn"), 3, "{:process"),
        (history("etcd.log"), 3, "INFO  jepsen.util - "),
        (lost, 2, "{:process 1, :type :invoke, :f :append, :key \"0\", "),
        (stale, 1, "{:process 0, :type :invoke, :f :read, :value [x nil]"),
    ] {
        let out = dir.path().join("small");
        let output = kvlab(&["shrink", &path, "--out", out.to_str().expect("UTF-8")]);
        let drawing = text(&output.stdout);
        assert_eq!(code(&output), 1, "{path}: {drawing}{}", text(&output.stderr));
        assert!(
            drawing.contains(&format!("{operations} of ")) && drawing.contains(['├', '┣']),
            "{path}: {drawing}"
        );
        let small = std::fs::read_to_string(&out).expect("what is left");
        assert!(small.starts_with(begins), "{path}: {small}");
        let again = kvlab(&["check", out.to_str().expect("UTF-8"), "--json"]);
        assert_eq!(
            (code(&again), &json(&again)["histories"][0]["operations"]),
            (1, &operations.into()),
            "{small}"
        );
        // By way of pipes: the drawing does not get between.
        let piped = kvlab(&["shrink", &path, "--out", "-"]);
        assert_eq!(text(&piped.stdout), small);
        assert!(text(&piped.stderr).contains(['├', '┣']));
        // And without a word: the drawing, then what is left.
        assert!(text(&kvlab(&["shrink", &path]).stdout).ends_with(&format!("\n\n{small}")), "{path}");
        let content = std::fs::read(&path).expect("the file");
        assert_eq!(text(&kvlab_reading(&["shrink", "-", "--out", "-"], &content).stdout), small);
    }
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    let output = kvlab(&["shrink", &history("calm.jsonl")]);
    assert_eq!((code(&output), text(&output.stdout)), (0, String::new()));
    assert!(text(&output.stderr).contains("it does not fail: there is nothing to shrink"));
    let output = kvlab(&["shrink", &history("four-reads.jsonl"), "--key", "q1"]);
    assert_eq!(code(&output), 0, "another key fails");
    assert!(text(&output.stderr).contains("key \"q1\" does not fail"));
    refused(&["shrink", &history("four-reads.jsonl"), "--key", "q9"], &["no operation has the key \"q9\""]);
    refused(&["shrink", &history("appends.edn"), "--key", "q9"], &["no operation has the key \"q9\""]);
}

#[test]
fn a_history_that_was_exported_gets_the_same_verdict() {
    let dir = dir();
    for (name, verdict, _) in KNOWN {
        for target in ["edn", "elle", "porcupine", "jsonl"] {
            let path = dir.path().join(format!("{target}.out"));
            let out = path.to_str().expect("UTF-8");
            let output = kvlab(&["export", &history(name), "--history", target, "--out", out]);
            if code(&output) == 2 {
                // Compare-and-set and append are not everybody's.
                assert!(text(&output.stderr).contains("take edn"), "{}", text(&output.stderr));
                assert!(target != "edn" && !path.exists(), "{name}: half a history is none");
                continue;
            }
            assert_eq!(code(&output), 0, "{}", text(&output.stderr));
            assert_eq!(code(&kvlab(&["check", out])), verdict, "{name} as {target}");
            std::fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn an_export_has_what_is_promised_or_one_key_or_all() {
    let four = history("four-reads.jsonl");
    let export = |args: &[&str]| kvlab(&[&["export", &*four, "--history", "edn"], args].concat());
    let said = export(&[]);
    assert_eq!(text(&said.stdout).matches(":type :invoke").count(), 8);
    assert!(text(&said.stderr).contains("10 events of async writes"), "{}", text(&said.stderr));
    let said = export(&["--all"]);
    assert_eq!(
        (text(&said.stdout).matches(":type :invoke").count(), text(&said.stderr)),
        (13, String::new())
    );
    let one = text(&export(&["--key", "q1"]).stdout);
    assert!(one.contains(":f :write, :value \"y1\", :index 0"), "one key needs no name: {one}");
    refused(&["export", &four, "--history", "edn", "--key", "q9"], &["no operation has the key \"q9\""]);
    let elle = text(&kvlab(&["export", &four, "--history", "elle"]).stdout);
    assert!(elle.contains(":f :txn, :value [[:w \"q1\" \"y1\"]]"), "{elle}");
    refused(&["export", &four, "--history", "csv"], &["[possible values: edn, elle, porcupine, jsonl]"]);
    refused(&["export", &four], &["--history <FORMAT>"]);
}

#[test]
fn a_reader_that_leaves_ends_it_without_a_word() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .args(["export", &history("four-reads.jsonl"), "--history", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((text(&output.stderr), output.status.code()), (String::new(), Some(2)));
}
