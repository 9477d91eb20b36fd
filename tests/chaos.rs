//! Chaos on real processes: random faults and safe promotions under load, drawn from a seed, written as a scenario,
//! played and judged by the program itself. Whatever happened, the promises must have held.
//!
//! `KVLAB_CHAOS_SEEDS=5..40 cargo test --test chaos` plays others.
#![expect(clippy::disallowed_methods, reason = "scenarios are files")]

use std::fmt::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

/// Seeds of an ordinary test run.
const SEEDS: Range<u64> = 1..5;
/// So many of them at once: most of a run is waiting.
const AT_ONCE: usize = 2;
/// Faults and promotions of one run.
const STEPS: usize = 25;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Running,
    Paused,
    Stopped,
}

/// Writes a scenario whose every step can be carried out, whatever the cluster makes of it.
struct Author {
    dice: SmallRng,
    processes: Vec<Process>,
    text: String,
}

impl Author {
    fn scenario(seed: u64) -> String {
        let mut dice = SmallRng::seed_from_u64(seed);
        let nodes = *[3, 3, 5].choose(&mut dice).expect("some");
        let text = format!(
            "title = \"Chaos {seed}\"\nsettle = \"30s\"\n[cluster]\nnodes = {nodes}\n[workload]\nclients = 8\n\
             rate = \"250/s\"\nconsistency = [\"async\", \"quorum\"]\nregisters = 3\nledger = true\n\
             [expect]\npromise.linearizable = true\npromise.quorum_writes_lost = 0\n\
             promise.members_equal = true\n"
        );
        let mut author = Self { dice, processes: vec![Process::Running; nodes], text };
        while author.text.matches("[[step]]").count() < STEPS {
            author.fault();
        }
        author.text
    }

    fn step(&mut self, what: &str) {
        let after = self.dice.random_range(40..450);
        let _ = write!(self.text, "[[step]]\nafter = \"{after}ms\"\n{what}\n");
    }

    /// One of the members whose process is in this state; from 1.
    fn any(&mut self, state: Process) -> Option<usize> {
        let members = (1..=self.processes.len()).filter(|n| self.processes[n - 1] == state);
        members.collect::<Vec<_>>().choose(&mut self.dice).copied()
    }

    fn turn(&mut self, node: usize, state: Process, verb: &str) {
        self.processes[node - 1] = state;
        self.step(&format!("{verb} = \"n{node}\""));
    }

    /// Two groups, neither of them empty. (A shape would need a primary to be shaped around.)
    fn partition(&mut self) {
        let count = self.processes.len();
        let some = self.dice.random_range(1..count);
        let mut names: Vec<String> = (1..=count).map(|n| format!("\"n{n}\"")).collect();
        names.shuffle(&mut self.dice);
        let (one, other) = names.split_at(some);
        self.step(&format!("partition = [[{}], [{}]]", one.join(", "), other.join(", ")));
    }

    fn fault(&mut self) {
        let count = self.processes.len();
        let (one, step) = (self.dice.random_range(1..=count), self.dice.random_range(1..count));
        let other = (one + step - 1) % count + 1;
        match self.dice.random_range(0..100) {
            0..10 => self.step(&format!("cut = {{ from = \"n{one}\", to = \"n{other}\" }}")),
            10..20 => self.step(&format!("cut = \"n{one}\"")),
            20..25 => self.partition(),
            25..28 => self.step(&format!("reset = \"n{one}\"")),
            28..33 => {
                self.step(&format!("slow = {{ node = \"n{one}\", delay = \"30ms\", jitter = \"30ms\" }}"));
            }
            33..48 => self.step("heal = \"all\""),
            48..56 => {
                if let Some(node) = self.any(Process::Running) {
                    let verb = if self.dice.random_bool(0.7) { "kill" } else { "term" };
                    self.turn(node, Process::Stopped, verb);
                }
            }
            56..68 => {
                if let Some(node) = self.any(Process::Stopped) {
                    self.turn(node, Process::Running, "restart");
                }
            }
            68..74 => {
                if let Some(node) = self.any(Process::Running) {
                    self.turn(node, Process::Paused, "pause");
                }
            }
            74..82 => {
                if let Some(node) = self.any(Process::Paused) {
                    self.turn(node, Process::Running, "resume");
                }
            }
            _ => {
                if let Some(node) = self.any(Process::Running) {
                    self.step(&format!("promote = {{ node = \"n{node}\", outcome = \"any\" }}"));
                }
            }
        }
    }
}

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("KVLAB_CHAOS_SEEDS") else { return SEEDS.collect() };
    let (from, to) = text.split_once("..").expect("KVLAB_CHAOS_SEEDS is like 5..40");
    (from.parse().expect("a seed")..to.parse().expect("a seed")).collect()
}

/// Plays a seed; says what was wrong, with the scenario that shows it.
fn play(seed: u64) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a directory");
    let (file, scenario) = (folder.path().join("chaos.toml"), Author::scenario(seed));
    std::fs::write(&file, &scenario).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .arg("run")
        .arg(&file)
        .args(["--json", "--seed", &seed.to_string()])
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    if output.status.code() == Some(0) {
        return Ok(());
    }
    let (object, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let kept = folder.keep();
    Err(format!("seed {seed}: {}\n{object}\n{told}\nkept in {}\n{scenario}", output.status, kept.display()))
}

#[test]
fn promises_hold_in_chaos() {
    let seeds = seeds();
    assert!(!seeds.is_empty(), "no seeds");
    let share = seeds.len().div_ceil(AT_ONCE);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let players: Vec<_> = seeds
            .chunks(share)
            .map(|seeds| {
                scope.spawn(|| seeds.iter().filter_map(|&seed| play(seed).err()).collect::<Vec<_>>())
            })
            .collect();
        players.into_iter().flat_map(|player| player.join().expect("a player")).collect()
    });
    assert!(broken.is_empty(), "{} of {} seeds:\n{}", broken.len(), seeds.len(), broken.join("\n\n"));
}
