//! Random scenarios on real processes: faults of every kind, conditions of disks and clocks, links that lose and repeat,
//! and safe promotions, under load. Drawn from a seed, written as a scenario, played and judged by the program itself.
//! Whatever happened, the promises must have held, and the cluster must have come back within `settle`.
//!
//! `KVLAB_CHAOS_SEEDS=5..205 cargo test --test chaos` plays others. One that fails prints its seed and leaves its scenario.
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
/// Faults of one run. What mends them, operations and promotions come on top.
const FAULTS: usize = 30;
/// Keys that steps write and read.
const KEYS: [&str; 3] = ["black", "white", "grey"];

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
    /// Members whose disk is full: one that has to make a note of what it has lost does not start on such a disk.
    full: Vec<usize>,
    /// The members that may lose what they have acknowledged: a minority of all, or nothing could be promised.
    victims: Vec<usize>,
    faults: usize,
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
        let mut members: Vec<usize> = (1..=nodes).collect();
        members.shuffle(&mut dice);
        let victims = members[..(nodes - 1) / 2].to_vec();
        let mut author = Self {
            dice,
            processes: vec![Process::Running; nodes],
            full: Vec::new(),
            victims,
            faults: 0,
            text,
        };
        while author.faults < FAULTS {
            match author.dice.random_range(0..100) {
                0..24 => author.link_fault(),
                24..40 => author.process_fault(),
                40..58 => author.condition(),
                58..80 => author.repair(),
                80..90 => author.operation(),
                _ => author.order(),
            }
        }
        author.text
    }

    fn step(&mut self, what: &str) {
        let after = self.dice.random_range(40..450);
        let _ = write!(self.text, "[[step]]\nafter = \"{after}ms\"\n{what}\n");
    }

    fn fault(&mut self, what: &str) {
        self.faults += 1;
        self.step(what);
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

    fn ends(&mut self, node: usize, verb: &str) {
        self.faults += 1;
        self.turn(node, Process::Stopped, verb);
    }

    /// Two groups, neither of them empty. (A shape would need a primary to be shaped around, and there may be none.)
    fn partition(&mut self) {
        let count = self.processes.len();
        let some = self.dice.random_range(1..count);
        let mut names: Vec<String> = (1..=count).map(|n| format!("\"n{n}\"")).collect();
        names.shuffle(&mut self.dice);
        let (one, other) = names.split_at(some);
        self.fault(&format!("partition = [[{}], [{}]]", one.join(", "), other.join(", ")));
    }

    /// Two members.
    fn pair(&mut self) -> (usize, usize) {
        let count = self.processes.len();
        let (one, step) = (self.dice.random_range(1..=count), self.dice.random_range(1..count));
        (one, (one + step - 1) % count + 1)
    }

    fn link_fault(&mut self) {
        let (one, other) = self.pair();
        let (loss, twice) = (self.dice.random_range(1..=30), self.dice.random_range(1..=50));
        match self.dice.random_range(0..9) {
            0 | 1 => self.fault(&format!("cut = {{ from = \"n{one}\", to = \"n{other}\" }}")),
            2 => self.fault(&format!("cut = \"n{one}\"")),
            3 => self.partition(),
            4 => self.fault(&format!(
                "cut = {{ from = \"n{one}\", to = \"n{other}\", both_ways = true }}"
            )),
            5 => self.fault(&format!("reset = \"n{one}\"")),
            6 => self.fault(&format!("slow = {{ node = \"n{one}\", delay = \"30ms\", jitter = \"30ms\" }}")),
            7 => self.fault(&format!(
                "slow = {{ from = \"n{one}\", to = \"n{other}\", loss = \"{loss}%\", duplicate = \"{twice}%\" }}"
            )),
            _ => self.fault(&format!(
                "slow = {{ node = \"n{one}\", delay = \"5ms\", loss = \"{}%\" }}", loss.min(5)
            )),
        }
    }

    fn process_fault(&mut self) {
        match self.dice.random_range(0..8) {
            0..3 => {
                if let Some(node) = self.any(Process::Running) {
                    let verb = if self.dice.random_bool(0.7) { "kill" } else { "term" };
                    self.ends(node, verb);
                }
            }
            3 | 4 => {
                if let Some(node) = self.any(Process::Running) {
                    self.faults += 1;
                    self.turn(node, Process::Paused, "pause");
                }
            }
            5 => {
                let node = self.dice.random_range(1..=self.processes.len());
                self.ends(node, "power_loss");
            }
            _ => {
                let node = *self.victims.choose(&mut self.dice).expect("a minority of three or five");
                let verb = if self.dice.random_bool(0.6) { "tear_tail" } else { "wipe" };
                self.ends(node, verb);
            }
        }
    }

    /// Of a member that can hear of it.
    fn condition(&mut self) {
        let Some(node) = self.any(Process::Running) else { return };
        let (slow, rate) = (self.dice.random_range(1..60), self.dice.random_range(5..=20));
        match self.dice.random_range(0..7) {
            0 => {
                self.full.push(node);
                self.fault(&format!("disk = {{ node = \"n{node}\", full = true }}"));
            }
            1 | 2 => self.fault(&format!("disk = {{ node = \"n{node}\", slow = \"{slow}ms\" }}")),
            // It dies of it sooner or later; then the power goes too, which leaves it down in any case.
            3 => {
                self.fault(&format!("disk = {{ node = \"n{node}\", sync_fails = true }}"));
                self.ends(node, "power_loss");
            }
            4 | 5 => {
                self.fault(&format!("clock = {{ node = \"n{node}\", rate = {}.{} }}", rate / 10, rate % 10));
            }
            _ => self.fault(&format!("clock = {{ node = \"n{node}\", jump = \"{slow}s\" }}")),
        }
    }

    fn repair(&mut self) {
        match self.dice.random_range(0..8) {
            0 | 1 => self.step("heal = \"all\""),
            2 | 3 => {
                if let Some(node) = self.any(Process::Stopped) {
                    if self.full.contains(&node) {
                        self.full.retain(|full| *full != node);
                        self.step(&format!("disk = {{ node = \"n{node}\", ok = true }}"));
                    }
                    self.turn(node, Process::Running, "restart");
                }
            }
            4 | 5 => {
                if let Some(node) = self.any(Process::Paused) {
                    self.turn(node, Process::Running, "resume");
                }
            }
            6 => {
                if let Some(node) = self.any(Process::Running) {
                    self.step(&format!("disk = {{ node = \"n{node}\", ok = true }}"));
                }
            }
            _ => {
                if let Some(node) = self.any(Process::Running) {
                    self.step(&format!("clock = {{ node = \"n{node}\", ok = true }}"));
                }
            }
        }
    }

    /// Of a client beside any member, down or not.
    fn operation(&mut self) {
        let (node, _) = self.pair();
        let key = *KEYS.choose(&mut self.dice).expect("some");
        let verb = *["put", "put", "get", "del"].choose(&mut self.dice).expect("some");
        self.step(&format!(
            "{verb} = {{ node = \"n{node}\", key = \"{key}\", quorum = true, outcome = \"any\" }}"
        ));
    }

    fn order(&mut self) {
        let Some(node) = self.any(Process::Running) else { return };
        let (_, other) = self.pair();
        let rate = self.dice.random_range(1..5) * 100;
        match self.dice.random_range(0..8) {
            0 => self.step(&format!("load = \"{rate}/s\"")),
            1 if other != node => self.step(&format!(
                "follow = {{ node = \"n{node}\", primary = \"n{other}\", outcome = \"any\" }}"
            )),
            2 => self.step(&format!("expect = {{ state = {{ node = \"n{node}\", is = \"running\" }} }}")),
            _ => self.step(&format!("promote = {{ node = \"n{node}\", outcome = \"any\" }}")),
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
