//! What the online judge costs: time for each operation, and memory.
//!
//! `cargo bench --bench judge [-- OPERATIONS]` prints a table; 1 000 000 operations by default. Histories are made
//! while they are judged, a chunk at a time, so that the memory shown is the judge's own; only judging is timed.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock and at its own memory")]

use std::time::{Duration, Instant};

use kvlab::judge::{Consistency, HistoryEvent, Judge, JudgeOptions, Linearizable, OpKind, Phase};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Clients, each with one operation at a time.
const CLIENTS: usize = 32;
/// Events made before they are judged.
const CHUNK: usize = 4096;

/// A working register for each key, and clients that overlap at random.
struct Source {
    rng: SmallRng,
    keys: Vec<(String, Option<String>)>,
    running: Vec<Option<HistoryEvent>>,
    unknown: f64,
    i: u64,
}

impl Source {
    fn new(keys: usize, unknown: f64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(1),
            keys: (0..keys).map(|key| (format!("r{key}"), None)).collect(),
            running: vec![None; CLIENTS],
            unknown,
            i: 0,
        }
    }

    fn next(&mut self) -> HistoryEvent {
        let client = self.rng.random_range(0..CLIENTS);
        let mut event = match self.running[client].take() {
            None => self.invoke(client),
            Some(invoked) => self.reply(invoked),
        };
        event.i = self.i;
        event.t_ns = self.i * 10_000;
        self.i += 1;
        event
    }

    fn invoke(&mut self, client: usize) -> HistoryEvent {
        let key = self.rng.random_range(0..self.keys.len());
        let writes = self.rng.random_bool(0.5);
        let event = HistoryEvent {
            i: 0,
            t_ns: 0,
            client: client as u32,
            node: None,
            phase: Phase::Invoke,
            op: if writes { OpKind::Put } else { OpKind::Get },
            key: self.keys[key].0.clone(),
            value: writes.then(|| format!("c{client}-{}", self.i)),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        };
        self.running[client] = Some(event.clone());
        event
    }

    /// Operations take effect when they end.
    fn reply(&mut self, mut event: HistoryEvent) -> HistoryEvent {
        let unknown = self.rng.random_bool(self.unknown);
        event.phase = if unknown { Phase::Info } else { Phase::Ok };
        let state = self.keys.iter_mut().find(|(key, _)| *key == event.key).expect("one of ours");
        if event.op == OpKind::Get {
            event.value = state.1.clone().filter(|_| !unknown);
        } else if !unknown || self.rng.random() {
            state.1 = event.value.clone();
        }
        event
    }
}

/// Bytes of this process in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn run(operations: u64, keys: usize, unknown: f64, options: JudgeOptions) -> (Duration, u64, usize) {
    let before = resident().unwrap_or(0);
    let (mut source, mut judge) = (Source::new(keys, unknown), Judge::new(options));
    let (mut took, mut left) = (Duration::ZERO, 2 * operations as usize);
    let mut chunk = Vec::with_capacity(CHUNK);
    while left > 0 {
        let count = left.min(CHUNK);
        left -= count;
        chunk.clear();
        chunk.extend((0..count).map(|_| source.next()));
        let start = Instant::now();
        for event in &chunk {
            judge.observe(event).expect("a history");
        }
        took += start.elapsed();
    }
    assert_eq!(judge.report().linearizable, Linearizable::Yes);
    (took, resident().unwrap_or(0).saturating_sub(before), judge.remembered())
}

/// One line of the table, in a process of its own so that memory is not what an earlier one left.
fn line(arguments: &[String]) {
    let [operations, keys, percent, remembers] = arguments else { panic!("four arguments: {arguments:?}") };
    let count: u64 = operations.parse().expect("a number of operations");
    let unknown: f64 = percent.parse().expect("a percentage");
    let options = if remembers == "all" { JudgeOptions::unbounded() } else { JudgeOptions::default() };
    let (took, memory, kept) = run(count, keys.parse().expect("a number of keys"), unknown / 100.0, options);
    println!(
        "| {count} | {keys} | {percent} % | {remembers} | {:.3} s | {} | {:.1} MiB | {kept} |",
        took.as_secs_f64(),
        took.as_nanos() as u64 / count,
        memory as f64 / f64::from(1 << 20),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if arguments.len() > 1 {
        return line(&arguments);
    }
    let operations = arguments.first().map_or(1_000_000, |arg| arg.parse().expect("a number of operations"));
    println!("| operations | keys | unknown | remembers | time | ns/operation | memory | ids kept |");
    println!("|---:|---:|---:|---|---:|---:|---:|---:|");
    let program = std::env::current_exe().expect("the benchmark has a path");
    for divisor in [100, 10, 1] {
        for (keys, unknown, remembers) in [
            (8, 0, "bounded"),
            (8, 20, "bounded"),
            (1, 0, "bounded"),
            (1, 20, "bounded"),
            (8, 0, "all"),
            (8, 20, "all"),
        ] {
            let arguments = [
                (operations / divisor).to_string(),
                keys.to_string(),
                unknown.to_string(),
                remembers.to_owned(),
            ];
            let status = std::process::Command::new(&program).args(arguments).status();
            assert!(status.is_ok_and(|status| status.success()), "a line of the table failed");
        }
    }
}
