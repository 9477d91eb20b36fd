//! What the online judge costs: time for each operation, how it grows, and memory.
//!
//! `cargo bench --bench judge [-- OPERATIONS]` prints a table, up to 1 000 000 operations by default. Histories are
//! made while they are judged, a chunk at a time, so that the memory shown is the judge's own, apart from some 5 MiB;
//! only judging is timed, and only while it has a core.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at its own memory")]

mod common;

use std::time::Duration;

use common::{Source, core_time, measure, peak_bytes};
use kvlab::judge::{Judge, JudgeOptions, Linearizable};

/// Events made before they are judged.
const CHUNK: usize = 4096;

/// Keys, per cent of unknown outcomes, and what the judge remembers.
const KINDS: [(u32, u32, &str); 6] = [
    (8, 0, "bounded"),
    (8, 20, "bounded"),
    (1, 0, "bounded"),
    (1, 20, "bounded"),
    (8, 0, "all"),
    (8, 20, "all"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if arguments.len() > 1 {
        return one(&arguments);
    }
    let operations = arguments.first().map_or(1_000_000, |arg| arg.parse().expect("a number of operations"));
    println!("| operations | keys | unknown | remembers | time | ns/operation | memory | bytes/operation |");
    println!("|---:|---:|---:|---|---:|---:|---:|---:|");
    for kind in KINDS {
        let counts = [100, 30, 10, 3, 1].map(|divisor| operations / divisor);
        let times = counts.map(|count| (count as f64, line(count, kind)));
        let (whole, log) = (slope(&times), slope(&times.map(|(count, _)| (count, count * count.ln()))));
        println!("| | | | | | grows as n^{whole:.2}; n log n: n^{log:.2} | | |");
    }
}

/// Measures and prints one line of the table. Returns the nanoseconds.
fn line(count: u64, (keys, percent, remembers): (u32, u32, &str)) -> f64 {
    let arguments = [&*count.to_string(), &keys.to_string(), &percent.to_string(), remembers];
    let [took_ns, peak] = measure(&arguments);
    println!(
        "| {count} | {keys} | {percent} % | {remembers} | {:.3} s | {} | {:.1} MiB | {} |",
        took_ns as f64 / 1e9,
        took_ns / count,
        peak as f64 / f64::from(1 << 20),
        peak / count,
    );
    took_ns as f64
}

/// One measurement, in a process of its own: prints the nanoseconds of judging and the most memory in bytes.
fn one(arguments: &[String]) {
    let [operations, keys, percent, remembers] = arguments else { panic!("four arguments: {arguments:?}") };
    let count: u64 = operations.parse().expect("a number of operations");
    let unknown: f64 = percent.parse().expect("a percentage");
    let options = if remembers == "all" { JudgeOptions::unbounded() } else { JudgeOptions::default() };
    let took = run(count, keys.parse().expect("a number of keys"), unknown / 100.0, options);
    println!("{} {}", took.as_nanos(), peak_bytes());
}

fn run(operations: u64, keys: usize, unknown: f64, options: JudgeOptions) -> Duration {
    let (mut source, mut judge) = (Source::new(keys, unknown), Judge::new(options));
    let (mut took, mut left) = (Duration::ZERO, 2 * operations as usize);
    let mut chunk = Vec::with_capacity(CHUNK);
    while left > 0 {
        let count = left.min(CHUNK);
        left -= count;
        chunk.clear();
        chunk.extend((0..count).map(|_| source.next()));
        let start = core_time();
        for event in &chunk {
            judge.observe(event).expect("a history");
        }
        took += core_time() - start;
    }
    assert_eq!(judge.judgement().linearizable, Linearizable::Yes);
    took
}

/// The exponent with which the second grows with the first: the slope of the best line through their logarithms.
fn slope(points: &[(f64, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = points.len() as f64;
    let (x, y) =
        points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    both / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
