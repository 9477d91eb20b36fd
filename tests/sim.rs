//! The simulator from outside: what is printed, how it ends, and that a seed decides everything.

#![expect(clippy::disallowed_methods, reason = "the program is tested in the world")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvlab"));
    command.args(args.split_whitespace()).stdin(Stdio::null());
    command
}

fn kvlab(args: &str) -> Output {
    command(args).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(out.lines().count(), 1, "one object, nothing else: {out}{err}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn clean_seeds_are_counted_and_end_well() {
    let output = kvlab("sim --seeds 0..12 --json");
    assert_eq!(output.status.code(), Some(0));
    let tally = json(&output);
    assert_eq!((&tally["played"], &tally["violations_total"]), (&Value::from(12), &Value::from(0)));
    for what in ["faults", "epochs", "writes", "reads", "unknown"] {
        assert!(tally["counts"][what].as_u64().expect(what) > 0, "no {what}: {tally}");
    }
    let output = kvlab("sim --seeds 3..7 --force --nodes 5 --chaos 2s");
    let out = text(&output.stdout);
    assert!(output.status.success() && out.starts_with("4 seeds, clean, "), "{out}");
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_byte() {
    let once = kvlab("sim --seed 7 --trace");
    let story = text(&once.stdout);
    assert!(story.starts_with("seed 7\n") && story.ends_with("clean\n"), "{story}");
    assert!(story.lines().count() > 500, "something happens");
    assert_eq!(kvlab("sim --seed 7 --trace").stdout, once.stdout);
    assert_ne!(kvlab("sim --seed 8 --trace").stdout, once.stdout);
}

#[test]
fn an_interrupt_ends_it_with_the_tally_so_far() {
    let mut child = command("sim --seeds 0..100000000 --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It says that it has begun once it listens for signals.
    let mut begun = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut begun).expect("UTF-8");
    assert!(begun.starts_with("100000000 seeds on "), "{begun}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let mut out = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
    child.wait().expect("a child");
    let tally: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&tally["stopped_by"], &tally["violations_total"]), (&Value::from("SIGINT"), &Value::from(0)));
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    for (args, expected) in [
        ("sim --seeds 5..5", "expected two numbers like 0..1000"),
        ("sim --seed 1 --seeds 0..5", "cannot be used with"),
        ("sim --trace", "--seed <S>"),
        ("sim --nodes 0", "0 is not in 1..=9"),
        ("run split-brain --seeds 5", "--simulated"),
        ("run split-brain --simulated --keep x", "cannot be used with"),
    ] {
        let output = kvlab(args);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {message}");
        assert!(message.contains(expected), "{args}: {message}");
    }
}

#[test]
fn a_scenario_is_as_expected_on_simulated_clusters() {
    for name in ["split-brain", "primary-crash", "stale-replica"] {
        let output = kvlab(&format!("run {name} --simulated --seeds 6 --json"));
        let tally = json(&output);
        assert_eq!((output.status.code(), &tally["as_expected"]), (Some(0), &Value::from(6)), "{tally}");
    }
}

#[test]
fn a_simulated_scenario_reports_like_a_live_one_and_the_seed_decides() {
    let once = kvlab("run split-brain --simulated --seed 11 --json");
    let report = json(&once);
    assert_eq!(once.status.code(), Some(0), "{report}");
    assert_eq!(report["run_dir"], Value::Null);
    assert_eq!(report["seed"], 11);
    assert!(report["harm"]["async_writes_lost"].as_u64().expect("measured") > 0, "{report}");
    assert!(report["promise"]["quorum_writes_acked"].as_u64().expect("measured") > 50, "{report}");
    assert_eq!(kvlab("run split-brain --simulated --seed 11 --json").stdout, once.stdout);
    let told = text(&kvlab("run split-brain --simulated --seed 11").stdout);
    for expected in ["8/8", "again: kvlab run split-brain --simulated --seed 11"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn what_a_scenario_expects_in_vain_is_found_in_simulation_too() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("vain.toml");
    let source = "title = \"In vain\"\n\
                  [workload]\nclients = 3\nrate = \"100/s\"\nconsistency = [\"quorum\"]\nregisters = 2\nledger = true\n\
                  [[step]]\nkill = \"primary\"\n\
                  [[step]]\nwait = { primaries = 1, within = \"2s\" }\n";
    std::fs::write(&file, source).expect("a file");
    let output = kvlab(&format!("run {} --simulated --seeds 3", file.display()));
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("seed 0: VIOLATED") && told.contains("nobody is primary"), "{told}");
    assert!(told.contains("3 seeds, 0 as expected, 3 violated"), "{told}");
}

/// The proof is the same for people and for programs: the operations, and which rule was broken.
#[test]
fn a_broken_promise_is_shown_with_its_proof_and_its_rule() {
    let output = kvlab("run museum/no-fence --simulated --seed 1");
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}");
    for part in ["PROMISE BROKEN: key ", ": NOT linearizable\n", "┣━ read ", " a2\n", " more like this\n"]
    {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    let report = json(&kvlab("run museum/no-fence --simulated --seed 1 --json"));
    let violations = report["violations"].as_array().expect("a list");
    assert!(report["violations_total"].as_u64() >= Some(violations.len() as u64), "{report}");
    let rule = violations[0]["rule"].as_str().expect("a sentence");
    assert!(
        rule.starts_with("n2 had voted for 2@n3 at t=") && rule.contains("followed n1 in 1@n1 again"),
        "{rule}"
    );
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(folded(&out).contains(&folded(rule)), "{rule} is not in\n{out}");
    assert_eq!(violations[0]["kind"]["kind"], "order", "{}", violations[0]);
    // Of a key that was read as absent there is no a1: nobody wrote that.
    assert!(violations[0]["kind"]["a2"]["began"]["i"].is_u64(), "{}", violations[0]);
}
