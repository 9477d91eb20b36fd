//! The general search, on histories whose reads do not name their writes.
//!
//! * `cargo bench --bench search` times checks of generated histories of 10, 30 and 50 clients.
//! * `cargo bench --bench search -- write DIR [SEEDS]` writes such histories to files, for other checkers; calm ones
//!   (`calm-…`), whose clients rest for most of the time; and small ones (`small-…`) with unknown outcomes, ten for
//!   each seed, to compare verdicts.
//! * `cargo bench --bench search -- check FILE…` reads and checks files, and prints for each: its name, the verdict,
//!   the milliseconds to read it and to check it (the best of five), and the steps of the search.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock and at files")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Shape, Style};
use divan::Bencher;
use kvlab::judge::Linearizable;
use kvlab::judge::import::{FailedCas, Format, ImportOptions, Imported, import};
use kvlab::judge::offline::{KeyHistory, check_key};

/// A check is given up after this.
const PATIENCE: Duration = Duration::from_secs(60);
/// A check that takes less than a second is repeated.
const REPEATS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match arguments.split_first().map(|(first, rest)| (&**first, rest)) {
        Some(("write", [directory])) => write(Path::new(directory), 10),
        Some(("write", [directory, seeds])) => {
            write(Path::new(directory), seeds.parse().expect("a number of seeds"));
        }
        Some(("check", files)) => files.iter().for_each(|file| check_file(file)),
        _ => divan::main(),
    }
}

/// Operations of each client, as many as in porcupine's examples.
const OPERATIONS_EACH: u32 = 31;
/// The part of the operations that are slow.
const SLOW: f64 = 0.3;

fn shape(style: Style, clients: u32, stale: bool, seed: u64) -> Shape {
    Shape {
        style,
        clients,
        operations: clients * OPERATIONS_EACH,
        slow: SLOW,
        rest: 0.0,
        unknown: 0.0,
        stale,
        seed,
    }
}

#[divan::bench(args = [10, 30, 50])]
fn strings_linearizable(bencher: Bencher<'_, '_>, clients: u32) {
    bench(bencher, shape(Style::Strings, clients, false, 1));
}

#[divan::bench(args = [10, 30, 50])]
fn strings_with_a_stale_read(bencher: Bencher<'_, '_>, clients: u32) {
    bench(bencher, shape(Style::Strings, clients, true, 1));
}

#[divan::bench(args = [10, 30, 50])]
fn register_linearizable(bencher: Bencher<'_, '_>, clients: u32) {
    bench(bencher, shape(Style::Register, clients, false, 1));
}

fn bench(bencher: Bencher<'_, '_>, shape: Shape) {
    let keys = read(&common::text(shape).expect("there is a history of this shape"));
    let expected = if shape.stale { Linearizable::No } else { Linearizable::Yes };
    bencher.bench(|| assert_eq!(check(&keys).0, expected));
}

fn read(text: &str) -> Vec<KeyHistory> {
    let format = Format::detect(text).expect("a history");
    // A cas that fails in these looked and did not match: so there is more to search.
    match import(text, format, ImportOptions { failed_cas: FailedCas::Observed, model: None }) {
        Ok(Imported::Keys(keys)) => keys,
        Ok(Imported::Kvlab(_)) => panic!("this is for histories without unique ids"),
        Err(error) => panic!("{error}"),
    }
}

/// The verdict on all keys, one after another until one is not linearizable, and the steps taken.
fn check(keys: &[KeyHistory]) -> (Linearizable, u64) {
    let start = Instant::now();
    let (mut verdict, mut steps) = (Linearizable::Yes, 0);
    for key in keys {
        let found = check_key(key, &mut |_| start.elapsed() < PATIENCE);
        steps += found.steps;
        match found.linearizable {
            Linearizable::Yes => {}
            Linearizable::No => return (Linearizable::No, steps),
            Linearizable::Undecided => verdict = Linearizable::Undecided,
        }
    }
    (verdict, steps)
}

fn check_file(file: &str) {
    let (mut read_in, mut checked_in) = (Duration::MAX, Duration::MAX);
    let mut found = (Linearizable::Undecided, 0);
    for _ in 0..REPEATS {
        let start = Instant::now();
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let keys = read(&text);
        read_in = read_in.min(start.elapsed());
        let start = Instant::now();
        found = check(&keys);
        let took = start.elapsed();
        checked_in = checked_in.min(took);
        if took > Duration::from_secs(1) {
            break;
        }
    }
    let verdict = match found.0 {
        Linearizable::Yes => "yes",
        Linearizable::No => "no",
        Linearizable::Undecided => "unknown",
    };
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    println!("{file} {verdict} {:.3} {:.3} {}", ms(read_in), ms(checked_in), found.1);
}

fn write(directory: &Path, seeds: u64) {
    std::fs::create_dir_all(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let put = |name: &str, shape: Shape| {
        let (verdict, seed) = (if shape.stale { "bad" } else { "ok" }, shape.seed);
        let (style, ending) = match shape.style {
            Style::Strings => ("kv", "edn"),
            Style::Register => ("register", "log"),
        };
        let name = format!("{name}{style}-c{:02}-{verdict}-{seed:03}.{ending}", shape.clients);
        let path = directory.join(name);
        if let Some(text) = common::text(shape) {
            std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    };
    for style in [Style::Strings, Style::Register] {
        for stale in [false, true] {
            for seed in 0..seeds {
                for clients in [10, 30, 50] {
                    put("", shape(style, clients, stale, seed));
                    put("calm-", Shape { slow: 0.0, rest: 3.0, ..shape(style, clients, stale, seed) });
                }
            }
            for seed in 0..10 * seeds {
                put("small-", Shape { operations: 40, unknown: 0.1, ..shape(style, 4, stale, seed) });
            }
        }
    }
}
