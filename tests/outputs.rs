//! What the commands print: where it cannot be written, where nobody reads it, and whether shells and `man` know it all.

#![expect(clippy::disallowed_methods, reason = "the program is tested in the world: with files and pipes")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HISTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories/four-reads.jsonl");
const HEADER: &str = r#"{"t_us":0,"event":"header","version":1,"kvlab":"0.1.0","seed":1,"nodes":["n1"],"started_unix_s":1,"run_dir":"/r","scenario":null}"#;

/// Every command that prints a result and needs no lab. `{run}` is a run's directory.
const COMMANDS: [&[&str]; 28] = [
    &["--help"],
    &["--version"],
    &["up", "--help"],
    &["help", "runs"],
    &["scenarios"],
    &["scenarios", "--show", "split-brain"],
    &["sim", "--seeds", "0..1"],
    &["sim", "--seeds", "0..1", "--json"],
    &["sim", "--seed", "1", "--trace"],
    &["run", "split-brain", "--simulated", "--seed", "1"],
    &["run", "split-brain", "--simulated", "--seed", "1", "--json"],
    &["run", "torn-tail", "--simulated", "--seeds", "2"],
    &["run", "torn-tail", "--simulated", "--seeds", "2", "--json"],
    &["check", HISTORY],
    &["check", HISTORY, "--json"],
    &["check", "{run}"],
    &["shrink", HISTORY],
    &["shrink", HISTORY, "--out", "{run}/left.jsonl"],
    &["export", HISTORY, "--history", "edn"],
    &["export", "{run}", "--history", "jsonl", "--out", "-"],
    &["report", "{run}"],
    &["record", "{run}", "{run}/end.txt"],
    &["runs"],
    &["runs", "--json"],
    &["runs", "clean", "--keep", "9"],
    &["runs", "keep", "{run}"],
    &["completions", "bash"],
    &["man", "runs", "clean"],
];
/// What asks a lab, or is one: `tests/up.rs` has them; or prints nothing.
const OTHERS: [&str; 10] =
    ["up", "put", "get", "del", "status", "topology", "promote", "follow", "cleanup", "node"];

/// A state directory with one run in it.
fn state() -> tempfile::TempDir {
    let state = tempfile::tempdir().expect("a directory");
    run(state.path(), "20260102T030405Z-up");
    state
}

fn run(state: &Path, name: &str) {
    let run = state.join("kvlab/runs").join(name);
    std::fs::create_dir_all(&run).expect("a directory");
    std::fs::write(run.join("lab.lock"), r#"{"pid":1,"automatic":true}"#).expect("written");
    std::fs::write(run.join("events.jsonl"), HEADER.to_owned() + "\n").expect("written");
    std::fs::copy(HISTORY, run.join("history.jsonl")).expect("written");
    let latest = state.join("kvlab/runs/latest");
    let _ = std::fs::remove_file(&latest);
    std::os::unix::fs::symlink(name, latest).expect("a link");
}

fn kvlab(state: &Path, args: &[&str], stdout: Stdio) -> Output {
    let run = state.join("kvlab/runs/latest").display().to_string();
    Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .args(args.iter().map(|arg| arg.replace("{run}", &run)))
        .env("XDG_STATE_HOME", state)
        .env_remove("KVLAB_LOG")
        .env_remove("KVLAB_RUNS_KEPT")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the program runs")
}

fn out(state: &Path, args: &[&str]) -> String {
    let output = kvlab(state, args, Stdio::piped());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The subcommands that help lists, below these.
fn subcommands(state: &Path, of: &[&str]) -> Vec<String> {
    let help = out(state, &[of, &["--help"]].concat());
    let Some((_, listed)) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = listed.lines().take_while(|line| line.starts_with("  "));
    let names =
        names.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn what_cannot_be_written_is_an_error_of_every_command_with_one_message() {
    let state = state();
    for args in COMMANDS {
        let full = File::options().write(true).open("/dev/full").expect("a full device");
        let output = kvlab(state.path(), args, full.into());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert_eq!(message.matches("error:").count(), 1, "{args:?}: {message}");
        assert!(message.contains("No space left on device"), "{args:?}: {message}");
        assert!(!message.contains("panicked"), "{args:?}: {message}");
    }
}

#[test]
fn whoever_has_read_enough_ends_the_command_without_a_word() {
    let state = state();
    for args in COMMANDS {
        let (read, write) = std::io::pipe().expect("a pipe");
        drop(read);
        let output = kvlab(state.path(), args, write.into());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(!message.contains("error") && !message.contains("panicked"), "{args:?}: {message}");
    }
}

#[test]
fn no_command_is_forgotten_here() {
    let state = state();
    for name in subcommands(state.path(), &[]) {
        let here = COMMANDS.iter().any(|args| args[0] == name);
        assert!(here != OTHERS.contains(&&*name) || name == "up", "{name}: to which list does it belong?");
    }
}

#[test]
fn shells_and_man_know_every_subcommand_and_every_flag() {
    let state = state();
    let top = subcommands(state.path(), &[]);
    let below = |name: &String| {
        let names = subcommands(state.path(), &[name]);
        names.into_iter().map(|below| vec![name.clone(), below]).collect::<Vec<_>>()
    };
    let mut all: Vec<Vec<String>> = top.iter().map(|name| vec![name.clone()]).collect();
    all.extend(top.iter().flat_map(below));
    assert!(all.contains(&vec!["runs".to_owned(), "clean".to_owned()]), "{all:?}");
    let scripts = ["bash", "zsh", "fish", "elvish", "powershell"]
        .map(|shell| (shell, out(state.path(), &["completions", shell])));
    let page = |names: &[&str]| out(state.path(), &[&["man"], names].concat()).replace("\\-", "-");
    let main = page(&[]);
    for names in &all {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let own = names[names.len() - 1];
        for (shell, script) in &scripts {
            assert!(script.contains(own), "{shell}: {names:?}");
        }
        let above = if names.len() == 1 { main.clone() } else { page(&names[..1]) };
        assert!(above.contains(&format!("kvlab-{}", names.join("-"))), "{names:?}: {above}");
        let (help, page) = (out(state.path(), &[&names[..], &["--help"]].concat()), page(&names));
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{page}");
        let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for flag in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            // Another command's, in what is said of this one.
            if !help.contains(&format!(" {flag}")) || ["--from", "--ignored"].contains(&flag) {
                continue;
            }
            assert!(page.contains(flag), "{names:?}: {flag} is not in its page\n{page}");
            let bare = flag.trim_start_matches('-');
            for (shell, script) in &scripts {
                assert!(script.contains(bare), "{names:?}: {flag} is not in the script for {shell}");
            }
        }
    }
    let nowhere = kvlab(state.path(), &["man", "runs", "away"], Stdio::piped());
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("there is no subcommand \"away\"; there are clean, keep"));
}

#[test]
fn runs_are_listed_kept_and_removed() {
    let state = state();
    for name in ["20260102T030406Z-up", "20260102T030407Z-split-brain"] {
        run(state.path(), name);
    }
    let finished = r#"{"t_us":9,"event":"scenario","scenario":"finished","outcome":"violated","why":"x"}"#;
    let events = state.path().join("kvlab/runs/latest/events.jsonl");
    std::fs::write(events, format!("{HEADER}\n{finished}\n")).expect("written");
    let list = out(state.path(), &["runs"]);
    let line =
        |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{list}"));
    assert!(line("20260102T030407Z-split-brain").contains("ended"), "{list}");
    assert!(line("20260102T030407Z-split-brain").ends_with("violated"), "{list}");
    assert!(line("20260102T030405Z-up").ends_with("not known"), "{list}");

    let kept = out(state.path(), &["runs", "keep", "20260102T030405Z-up"]);
    assert!(kept.ends_with("20260102T030405Z-up is kept\n"), "{kept}");
    let dry = out(state.path(), &["runs", "clean", "--keep", "0", "--dry-run"]);
    assert!(dry.contains("would remove 2 of 3 runs"), "{dry}");
    let object: serde_json::Value =
        serde_json::from_str(&out(state.path(), &["runs", "--json"])).expect("JSON");
    let runs = object["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 3, "nothing is gone: {object}");
    let of = |name: &str| runs.iter().find(|run| run["name"] == name).expect("it is listed");
    assert_eq!(of("20260102T030405Z-up")["kept"], true);
    assert_eq!(of("20260102T030407Z-split-brain")["verdict"], "violated");
    assert_eq!(of("20260102T030406Z-up")["live"], false);

    let removed = out(state.path(), &["runs", "clean", "--older-than", "0s"]);
    assert!(removed.contains("removed 2 of 3 runs"), "{removed}");
    out(state.path(), &["runs", "keep", "20260102T030405Z-up", "--undo"]);
    let removed = out(state.path(), &["runs", "clean", "--max-size", "0"]);
    assert!(removed.contains("removed 20260102T030405Z-up ("), "{removed}");
    assert_eq!(out(state.path(), &["runs"]), "there are no runs yet; start one with `kvlab up`\n");
}

#[test]
fn a_run_is_named_by_its_directory_its_name_or_latest() {
    let state = state();
    let picture = state.path().join("x.svg").display().to_string();
    let directory = state.path().join("kvlab/runs/20260102T030405Z-up").display().to_string();
    for called in ["latest", "20260102T030405Z-up", &directory] {
        out(state.path(), &["report", called]);
        out(state.path(), &["record", called, &picture]);
        out(state.path(), &["runs", "keep", called]);
        for args in [&["check", called][..], &["shrink", called]] {
            let output = kvlab(state.path(), args, Stdio::piped());
            assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output.stderr));
        }
        out(state.path(), &["export", called, "--history", "edn"]);
    }
    for args in [&["check", "nowhere"][..], &["report", "nowhere"], &["record", "nowhere", "x.svg"]] {
        let output = kvlab(state.path(), args, Stdio::piped());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("nowhere"), "{args:?}: {}", text(&output.stderr));
    }
}
