//! Measuring in a process of its own: memory is then not what an earlier measurement left.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each measurement: the quickest counts, for what slows one down is something else on the machine.
const RUNS: usize = 3;

/// What a process said and took.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The numbers that it printed.
    pub(crate) told: Vec<u64>,
    /// From its start to its end.
    pub(crate) whole: Duration,
}

/// Runs this program with these arguments, several times, and takes the run whose first number is least.
pub(crate) fn measure(arguments: &[&str]) -> Measured {
    let runs = (0..RUNS).map(|_| run(arguments));
    runs.min_by_key(|measured| measured.told[0]).expect("there is a run")
}

fn run(arguments: &[&str]) -> Measured {
    let program = std::env::current_exe().expect("the benchmark has a path");
    let start = Instant::now();
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let whole = start.elapsed();
    let output = output.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    assert!(output.status.success(), "{arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("numbers are text");
    let told = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    Measured { told, whole }
}

/// The most memory that this process has had so far; 0 where the system does not tell.
pub(crate) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
