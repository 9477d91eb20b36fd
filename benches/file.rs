//! What it costs to read a `history.jsonl` from disk and judge it: the whole process, from its start to its end, as
//! long as it has a core.
//!
//! `cargo bench --bench file [-- OPERATIONS]` writes files into a directory for temporary ones (350 MB for the
//! 1 000 000 operations by default) and removes them. Beside the judge it shows what it does not answer for: reading
//! the lines alone, and the events by `serde_json` alone.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at files")]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use common::{Source, core_time, measure, peak_bytes};
use kvlab::judge::import::read_event;
use kvlab::judge::{HistoryEvent, Judge, JudgeOptions, Linearizable};

/// What is done with each line, the most last.
const STAGES: [&str; 4] = ["lines", "serde_json", "events", "judge"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [stage, file] = &arguments[..] {
        return one(stage, Path::new(file));
    }
    let operations: u64 =
        arguments.first().map_or(1_000_000, |arg| arg.parse().expect("a number of operations"));
    let directory = tempfile::tempdir().expect("a directory for the files");
    println!("| operations | keys | unknown | MB | what | whole process | ns/operation | memory |");
    println!("|---:|---:|---:|---:|---|---:|---:|---:|");
    for (keys, percent) in [(8, 0), (8, 20), (1, 0), (1, 20)] {
        let path = directory.path().join("history.jsonl");
        write(&path, operations, keys, f64::from(percent) / 100.0).expect("the disk takes the file");
        let megabytes = path.metadata().expect("it was written").len() / 1_000_000;
        for stage in STAGES {
            let [took_ns, peak] = measure(&[stage, path.to_str().expect("a path is text")]);
            println!(
                "| {operations} | {keys} | {percent} % | {megabytes} | {stage} | {:.3} s | {} | {:.1} MiB |",
                took_ns as f64 / 1e9,
                took_ns / operations,
                peak as f64 / f64::from(1 << 20),
            );
        }
    }
}

fn write(path: &Path, operations: u64, keys: usize, unknown: f64) -> std::io::Result<()> {
    let (mut source, mut file) = (Source::new(keys, unknown), BufWriter::new(File::create(path)?));
    for _ in 0..2 * operations {
        serde_json::to_writer(&mut file, &source.next())?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// One measurement, in a process of its own: prints its nanoseconds and the most memory in bytes.
fn one(stage: &str, path: &Path) {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).expect("the file is there"));
    let mut judge = Judge::new(JudgeOptions::unbounded());
    let (mut line, mut number) = (String::new(), 0);
    while reader.read_line(&mut line).expect("the file can be read") > 0 {
        number += 1;
        let text = line.trim_end();
        match stage {
            "lines" => {}
            "serde_json" => drop(serde_json::from_str::<HistoryEvent>(text).expect("an event")),
            "events" => drop(read_event(text, number).expect("an event")),
            "judge" => {
                let event = read_event(text, number).expect("an event");
                judge.observe(&event).expect("it can follow");
            }
            other => panic!("no stage {other:?}"),
        }
        line.clear();
    }
    assert_eq!(judge.finish().linearizable, Linearizable::Yes);
    println!("{} {}", core_time().as_nanos(), peak_bytes());
}
