//! Measuring in a process of its own: memory is then not what an earlier measurement left.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Runs of each measurement: the quickest counts, for what slows one down is something else on the machine.
const RUNS: usize = 3;

/// Runs this program with these arguments, several times. Returns the numbers that it printed in the run whose first
/// is least.
pub(crate) fn measure<const N: usize>(arguments: &[&str]) -> [u64; N] {
    let runs = (0..RUNS).map(|_| run(arguments));
    runs.min_by_key(|told: &[u64; N]| told[0]).expect("there is a run")
}

fn run<const N: usize>(arguments: &[&str]) -> [u64; N] {
    let program = std::env::current_exe().expect("the benchmark has a path");
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    assert!(output.status.success(), "{arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("numbers are text");
    let told: Vec<u64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    told.try_into().unwrap_or_else(|told| panic!("{N} numbers: {told:?}"))
}

/// How long this process has had a core to itself, reading files included: other programs do not count.
pub(crate) fn core_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The most memory that this process has had so far; 0 where the system does not tell.
pub(crate) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
