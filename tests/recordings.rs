//! Recordings from outside: made when a run is over, of a simulated run, of a lab that was killed, of one that a person
//! has ended.

#![expect(
    clippy::disallowed_methods,
    reason = "the program is tested in the world: with processes and files"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// How a file of each kind begins.
const KINDS: [(&str, &[u8]); 6] = [
    ("cast", b"{\"version\":3,"),
    ("gif", b"GIF89a"),
    ("svg", b"<svg "),
    ("html", b"<!DOCTYPE html>"),
    ("png", b"\x89PNG\r\n"),
    ("txt", b" kvlab "),
];

fn kvlab(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvlab"));
    command.args(args).env("XDG_STATE_HOME", state).env_remove("KVLAB_LOG").stdin(Stdio::null());
    command
}

/// Must exit 0; what it printed.
fn done(state: &Path, args: &[&str]) -> String {
    let output = kvlab(state, args).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    out.into_owned()
}

fn outs(dir: &Path) -> Vec<String> {
    KINDS.iter().map(|(kind, _)| dir.join(format!("out.{kind}")).display().to_string()).collect()
}

/// All kinds are in the directory, and nothing half made.
fn assert_all_made(dir: &Path) {
    for ((kind, begins), out) in KINDS.iter().zip(outs(dir)) {
        let bytes = std::fs::read(&out).unwrap_or_else(|e| panic!("{out}: {e}"));
        assert!(bytes.starts_with(begins), "{kind}: {:?}", String::from_utf8_lossy(&bytes[..20]));
    }
    let names = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").file_name());
    let others: Vec<_> = names.filter(|name| name.to_string_lossy().matches('.').count() > 1).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// A lab without a screen, whose cluster stands.
fn lab(state: &Path, args: &[&str]) -> Child {
    let mut lab = kvlab(state, args).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(lab.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert!(first.contains("\"ready\":true"), "{first}");
    // Some seconds of events: the tenth load sample is a second after the first.
    let load = lines.map_while(Result::ok).filter(|line| line.contains("\"event\":\"load\""));
    let mut load = load.skip(10);
    assert!(load.next().is_some());
    // Whoever reads no more must not stall it.
    std::thread::spawn(move || load.for_each(drop));
    lab
}

fn signal(lab: &Child, signal: Signal) {
    let pid = i32::try_from(lab.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("signalled");
}

#[test]
fn every_kind_is_made_of_a_simulated_run() {
    let state = tempfile::tempdir().expect("a directory");
    let outs = outs(state.path());
    let mut args = vec!["run", "split-brain", "--simulated", "--seed", "1"];
    outs.iter().for_each(|out| args.extend(["--record", out.as_str()]));
    let said = done(state.path(), &args);
    for out in &outs {
        assert!(said.contains(&format!("recorded: {out}\n")), "{said}");
    }
    assert_all_made(state.path());
    let cast = std::fs::read_to_string(&outs[0]).expect("a cast");
    assert!(cast.lines().filter(|line| line.contains(",\"m\",")).count() >= 5, "steps are marks");
    assert!(cast.ends_with(",\"x\",\"0\"]\n"));
    let text = std::fs::read_to_string(&outs[5]).expect("text");
    assert!(text.contains("AS EXPECTED"), "{text}");
}

/// README's picture is made like this, small enough for a page, and nothing in it comes from outside or is a script.
#[test]
fn the_picture_of_readme_can_be_made_again() {
    let state = tempfile::tempdir().expect("a directory");
    let made = state.path().join("split-brain.svg").display().to_string();
    done(state.path(), &["run", "split-brain", "--headless", "--seed", "1", "--record", &made]);
    for picture in
        [PathBuf::from(&made), PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/split-brain.svg")]
    {
        let svg = std::fs::read_to_string(&picture).expect("a picture");
        assert!(svg.len() < 2 << 20, "{}: {} bytes", picture.display(), svg.len());
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let names: Vec<_> = document.descendants().map(|node| node.tag_name().name()).collect();
        assert!(!names.contains(&"script") && !names.contains(&"foreignObject"));
        assert!(svg.contains("@keyframes") && svg.contains("TWO PRIMARIES") && svg.contains("AS EXPECTED"));
    }
}

#[test]
fn a_lab_that_was_killed_can_be_recorded() {
    let state = tempfile::tempdir().expect("a directory");
    let run = state.path().join("run").display().to_string();
    let mut lab = lab(state.path(), &["up", "3", "--headless", "--keep", &run]);
    signal(&lab, Signal::KILL);
    lab.wait().expect("it ended");
    let outs = outs(state.path());
    let mut args = vec!["record", &run];
    args.extend(outs.iter().map(String::as_str));
    args.extend(["--size", "80x24", "--theme", "light", "--from", "200ms", "--speed", "2", "--fps", "4"]);
    done(state.path(), &args);
    assert_all_made(state.path());
    let two = state.path().join("two.cast").display().to_string();
    done(state.path(), &["record", &run, &two, "--cast-version", "2", "--idle-limit", "100ms"]);
    assert!(std::fs::read_to_string(&two).expect("a cast").starts_with("{\"version\":2,"));
}

#[test]
fn a_lab_leaves_its_recording_when_it_is_ended() {
    let state = tempfile::tempdir().expect("a directory");
    let out = state.path().join("up.cast");
    let mut lab = lab(state.path(), &["up", "3", "--headless", "--record", out.to_str().expect("UTF-8")]);
    assert!(!out.exists(), "it is there when it is whole");
    signal(&lab, Signal::INT);
    assert!(lab.wait().expect("it ended").success());
    let cast = std::fs::read_to_string(&out).expect("a cast");
    assert!(cast.contains("PRIMARY") && cast.ends_with(",\"x\",\"0\"]\n"));
}
