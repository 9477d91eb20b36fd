//! What the commands take that start a run or look at one: `up`, `run`, `sim`, `scenarios`, `picture`, `report`.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kvlab::storage::Durability;
use kvlab::types::Quirk;

use super::values::{durability, duration, seeds};
use crate::scenario;

#[derive(Args, Debug)]
pub struct UpArgs {
    /// How many nodes
    #[arg(value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub nodes: u8,
    /// No dashboard: print a line of JSON with every address, then events, until interrupted
    #[arg(long)]
    pub headless: bool,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub display: DisplayOptions,
    /// Background load at the start
    #[arg(long, value_name = "ON|OFF", default_value = "on")]
    pub load: Switch,
    /// Operations a second of the background load, all clients together
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(scenario::RATE_MAX)))]
    pub rate: u32,
    /// When a write counts as durable: always, interval=10ms, os
    #[arg(long, value_name = "MODE", value_parser = durability)]
    pub durability: Option<Durability>,
    /// Refuse eventual reads when the last heartbeat is older than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub stale_after: Option<Duration>,
    /// Refuse eventual reads when a replica is more operations behind than this
    #[arg(long, value_name = "COUNT")]
    pub stale_lag: Option<u64>,
    /// Keep this many bytes of the log's end in memory for replicas that come back
    #[arg(long, value_name = "BYTES")]
    pub backlog_bytes: Option<u64>,
    /// Close a file of the log when it has grown past this (8 MiB if not said); cleanup takes closed ones
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(4096..=1 << 30))]
    pub segment_bytes: Option<u64>,
    /// Nodes clean up by themselves when half of their closed files is garbage, and at least so many bytes (8 MiB if not
    /// said)
    #[arg(long, value_name = "BYTES")]
    pub cleanup_bytes: Option<u64>,
    /// Nodes look through so many bytes of closed files a second for damaged values; 0: none
    #[arg(long, value_name = "BYTES")]
    pub scrub_rate: Option<u64>,
    /// Have every node make a famous mistake on purpose, by name (see docs/museum.md); may be given more than once
    #[arg(long = "quirk", value_name = "NAME", value_parser = scenario::quirk)]
    pub quirks: Vec<Quirk>,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// A scenario file, or the name of one that comes with the program
    #[arg(value_name = "FILE|NAME")]
    pub scenario: String,
    /// No dashboard: tell the story line by line
    #[arg(long)]
    pub headless: bool,
    /// Print exactly one JSON object on standard output (implies --headless)
    #[arg(long)]
    pub json: bool,
    /// On a simulated cluster, in simulated time: takes no time, and the seed decides everything (implies --headless)
    #[arg(long, conflicts_with = "keep")]
    pub simulated: bool,
    /// Play it so many times, on as many seeds from --seed on (or from 0), and tell of those not as expected
    #[arg(long, value_name = "N", requires = "simulated", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub display: DisplayOptions,
}

#[derive(Args, Debug)]
pub struct SimArgs {
    /// Which seeds to play: from the first up to the second, which is not played
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// Play this seed only
    #[arg(long, value_name = "S", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// Print everything that happens in it; the same seed prints the same, to the byte
    #[arg(long, requires = "seed", conflicts_with = "json")]
    pub trace: bool,
    /// How many members; drawn from the seed if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub nodes: Option<u8>,
    /// How long faults and clients go on, in simulated time; 6s if not given (12s for some quirks)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub chaos: Option<Duration>,
    /// Operators also promote by force; then committed writes may be lost
    #[arg(long)]
    pub force: bool,
    /// Have every member make a famous mistake on purpose, by name (see docs/museum.md), on three members whose disks
    /// are not wiped, and let the judge alone find it, by what the clients saw; may be given more than once
    #[arg(long = "quirk", value_name = "NAME", value_parser = scenario::quirk)]
    pub quirks: Vec<Quirk>,
    /// Disks are never wiped
    #[arg(long)]
    pub no_wipes: bool,
    /// When a write counts as durable: always, interval=10ms, os. Unless always, the power does not go
    #[arg(long, value_name = "MODE", default_value = "always", value_parser = durability)]
    pub durability: Durability,
    /// Go on after a seed that breaks a promise
    #[arg(long)]
    pub all: bool,
    /// Print exactly one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ScenariosArgs {
    /// Print this scenario's file
    #[arg(long, value_name = "NAME")]
    pub show: Option<String>,
}

#[derive(Args, Debug)]
pub struct PictureArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Where to write it: `.svg` or `.txt`
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Which moment, since the run began; its end if not given
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub at: Option<Duration>,
    /// With the proof of the first broken promise opened, or of the N-th
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u8).range(1..))]
    pub proof: Option<u8>,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A run's directory, or the name of one where runs are kept; the latest run if not given
    #[arg(value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Where to write it; `report.html` in the run's directory if not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What `up` and `run` have in common.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// The seed of everything random in the lab
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Keep everything in this directory, which is new or empty
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// How the dashboard looks.
#[derive(Args, Clone, Copy, Debug)]
pub struct DisplayOptions {
    /// Colours of the dashboard: auto (as NO_COLOR, COLORTERM and TERM say), always, never, 16, 256 or true
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub color: ColourChoice,
    /// Draw with 7-bit characters only (otherwise where the locale is not UTF-8)
    #[arg(long)]
    pub ascii: bool,
    /// Panic after the first frames, to see what becomes of the terminal and the nodes
    #[arg(long, value_name = "WHERE", hide = true)]
    pub panic_in: Option<PanicIn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Which colours the dashboard is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourChoice {
    /// As the environment says.
    Auto,
    /// Colours, whatever `NO_COLOR` says; how many, as the environment says.
    Always,
    /// None.
    Never,
    /// The 16 that every terminal theme defines.
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// 24 bits.
    True,
}

impl FromStr for ColourChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "always" => Self::Always,
            "never" => Self::Never,
            "16" => Self::Sixteen,
            "256" => Self::Indexed,
            "true" => Self::True,
            _ => return Err("expected auto, always, never, 16, 256 or true".to_owned()),
        })
    }
}

/// Where the dashboard is to panic, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PanicIn {
    /// In the loop itself.
    Ui,
    /// In a task beside it.
    Task,
}
