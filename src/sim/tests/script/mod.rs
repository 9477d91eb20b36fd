//! Golden scripts: claims about the core as small stories, one claim a file, the file's name is the claim.
//!
//! A script is blocks of commands, a line `---`, and what the commands print. `UPDATE_SCRIPTS=1` records the output
//! anew; `SCRIPT=part_of_a_name` runs some only. What a claim stands or falls with is said with `expect`, which is
//! checked whatever is recorded: an update cannot make a broken claim golden.
//!
//! # Commands
//!
//! | command | does |
//! |---|---|
//! | `cluster nodes=3 [first=n1] [stale_after=5s] [stale_lag=1000] [backlog=BYTES] [window=BYTES] [quirk=NAME] [raw]` | starts members and lets the first primary win; `raw`: starts them only |
//! | `put N K=V [quorum] [timeout=500ms]`, `del N K …`, `get N K …` | a client's request; labelled `w1`, `w2`, … and `r1`, … |
//! | `promote N [force]` | an operator's request; labelled `p1`, … |
//! | `follow N PRIMARY` | an operator's request; labelled `f1`, … |
//! | `fill N COUNT BYTES` | so many async writes with values of so many bytes, not told of one by one |
//! | `deliver [A->B [COUNT\|all\|last\|KIND]]` | messages arrive: everything under way, or of one link the oldest, the newest, or the first of a kind |
//! | `drop …`, `duplicate A->B …` | messages are lost, or sent again |
//! | `persist N [COUNT\|all]` | the disk finishes jobs; `all`: also those that follow |
//! | `stabilize` | persists and delivers until nothing is left |
//! | `tick D` | time passes and timers fire; nothing arrives |
//! | `run D` | time passes and everything arrives at once; prints replies and changes of state only |
//! | `slow A->B D`, `slow A<->B D` | messages on a link take so long, while the script runs or stabilizes |
//! | `cut A->B`, `cut A<->B`, `partition A B \| C`, `heal` | links; what is under way on a link is lost when it is cut |
//! | `crash N [JOBS [ENTRIES]]`, `restart N`, `wipe N`, `tear N` (its last record is gone), `pause N`, `resume N` | processes; of the disk jobs under way the first survive a crash |
//! | `disk N full`, `disk N room` | the disk has no room: its jobs wait; or has room again |
//! | `cleanup N` | the disk drops its tombstones |
//! | `status`, `log N`, `network` | shows state |
//! | `quiet COMMAND` | prints replies and changes of state only |
//! | `expect …` | fails unless it holds; see [`expect`] |
//!
//! # Output
//!
//! `n1 → n2 …` a message is sent (`✗ cut`: into a cut link). `n2 ← n1 …` it arrives. `n1 disk: …` the disk is given a
//! job. `n1 durable: …` it has finished it. `w1 ⇒ …` a client is answered. What follows from a line is indented under it.

mod commands;
mod expect;
mod parse;
mod runner;

use std::path::Path;

use self::runner::Runner;

/// Runs a script. Returns it with the output that it printed now.
fn play(text: &str) -> Result<String, String> {
    let mut blocks = parse::blocks(text)?;
    let mut runner = Runner::default();
    for block in &mut blocks {
        block.output = runner.block(&block.commands)?;
    }
    Ok(parse::text(&blocks))
}

/// The lines that differ, the recorded ones with `-`, the new ones with `+`, with one line of context.
fn diff(recorded: &str, now: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (recorded.lines().collect(), now.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    let line = |out: &mut String, sign, line: &str| *out += &format!("  {sign} {line}\n");
    if same > 0 {
        line(&mut out, ' ', old[same - 1]);
    }
    old[same..old.len() - tail].iter().for_each(|l| line(&mut out, '-', l));
    new[same..new.len() - tail].iter().for_each(|l| line(&mut out, '+', l));
    out
}

/// Runs every script of a directory and fails with all that do not hold.
#[expect(clippy::disallowed_methods, reason = "golden scripts are files")]
pub(crate) fn run_directory(directory: &Path) {
    let update = std::env::var("UPDATE_SCRIPTS").is_ok_and(|value| !value.is_empty());
    let only = std::env::var("SCRIPT").unwrap_or_default();
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory of scripts")
        .map(|file| file.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no script in {} has {only:?} in its name", directory.display());
    let mut failures = Vec::new();
    for path in &paths {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let recorded = std::fs::read_to_string(path).expect("a script");
        let played = std::panic::catch_unwind(|| play(&recorded));
        match played {
            Err(_) => failures.push(format!("{name}: the core panicked (see above)\n")),
            Ok(Err(error)) => failures.push(format!("{name}: {error}\n")),
            Ok(Ok(now)) if now == recorded => {}
            Ok(Ok(now)) if update => std::fs::write(path, now).expect("a script to write"),
            Ok(Ok(now)) => failures.push(format!("{name}: prints otherwise\n{}", diff(&recorded, &now))),
        }
    }
    let (bad, all) = (failures.len(), paths.len());
    assert!(bad == 0, "{bad} of {all} scripts do not hold\n\n{}", failures.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_its_context() {
        assert_eq!(diff("a\nb\nc\n", "a\nx\nc\n"), "    a\n  - b\n  + x\n");
    }

    #[test]
    fn a_command_that_nobody_knows_is_an_error() {
        assert_eq!(play("sing\n---\n").unwrap_err(), "line 1: `sing`: no such command");
        assert_eq!(play("\nstatus\n---\n").unwrap_err(), "line 2: `status`: the first command is `cluster`");
    }

    #[test]
    fn an_expectation_that_does_not_hold_fails_the_script() {
        let script = "cluster nodes=3\nput n2 k=v\nexpect w1 written\n---\n";
        let error = play(script).unwrap_err();
        assert!(error.starts_with("line 3: `expect w1 written`"), "{error}");
    }
}
