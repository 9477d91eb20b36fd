//! What the commands take that start a run or look at one: `up`, `run`, `sim`, `scenarios`, `runs`, `record`, `report`.

use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kvlab::storage::Durability;
use kvlab::types::Quirk;
use ratatui::layout::Size;

use super::values::{age, durability, duration, moment, record_max, screen_size, seeds, size, speed, time};
use crate::record;
use crate::run::bounds::RunBounds;
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
    pub recordings: RecordOptions,
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
    #[arg(long, conflicts_with_all = ["keep", "record_max"])]
    pub simulated: bool,
    /// Play it so many times, on as many seeds from --seed on (or from 0), and tell of those not as expected
    #[arg(long, value_name = "N", requires = "simulated", conflicts_with = "record", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub recordings: RecordOptions,
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
    /// are neither wiped nor torn (no-learners: they are), and let the judge alone find it, by what the clients saw; may be given more than once
    #[arg(long = "quirk", value_name = "NAME", value_parser = scenario::quirk)]
    pub quirks: Vec<Quirk>,
    /// Disks are neither wiped nor torn
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
pub struct RecordArgs {
    /// A run's directory, or the name of one where runs are kept, or `latest`
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// What to make, by the ending of its name: .cast, .gif, .svg, .html, .png or .txt; may be several
    #[arg(value_name = "OUT", required = true)]
    pub out: Vec<PathBuf>,
    /// A still of this moment, since the run began, or of its `end`; without it, .png and .txt show the end
    #[arg(long, value_name = "TIME|end", value_parser = moment, conflicts_with_all = ["from", "to"])]
    pub at: Option<Duration>,
    /// Begin the film at this moment, since the run began
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Duration>,
    /// End it at this one
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<Duration>,
    /// With the proof of the first broken promise opened, or of the N-th
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u8).range(1..))]
    pub proof: Option<u8>,
    /// Columns and rows of the screen, from 40x10 to 300x100
    #[arg(long, value_name = "WxH", default_value = "120x36", value_parser = screen_size)]
    pub size: Size,
    /// On a dark or a light background
    #[arg(long, value_name = "WHICH", default_value = "dark")]
    pub theme: RecordTheme,
    /// So many times as fast as the run, from 0.1 to 100
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    pub speed: f64,
    /// Frames a second, at most
    #[arg(long, value_name = "N", default_value_t = record::FPS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub fps: u32,
    /// Where nothing is told for longer than this, in the film's time, leave out the rest
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub idle_limit: Option<Duration>,
    /// Write asciicasts of version 3, or of 2 for players from before 2025
    #[arg(long, value_name = "2|3", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub cast_version: u8,
}

/// What is typed after a command that is gone.
#[derive(Args, Debug)]
pub struct GoneArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A run's directory, or its name among the runs, or `latest`, which is meant if none is given
    #[arg(value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Where to write it; `report.html` in the run's directory if not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// List the runs that are kept, the newest first; `clean` removes some, `keep` keeps one for good
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "When a run begins, old ones go: the 20 newest are kept, or as many as the variable KVLAB_RUNS_KEPT says \
                  (`all`: none goes). A run whose lab lives never goes, nor one that is kept for good, nor a directory \
                  that was named with --keep."
)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub action: Option<RunsAction>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum RunsAction {
    /// Remove runs by age, count or size; never one whose lab lives, nor one that is kept for good
    Clean(RunsCleanArgs),
    /// Keep a run for good
    Keep(RunsKeepArgs),
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub struct RunsCleanArgs {
    /// Those that began longer ago than this: 7d, 12h, 30m
    #[arg(long, value_name = "AGE", value_parser = age, group = "which")]
    pub older_than: Option<Duration>,
    /// All but so many of the newest
    #[arg(long, value_name = "N", group = "which")]
    pub keep: Option<usize>,
    /// The oldest, until all runs together take no more than this: 2GiB, 500MiB
    #[arg(long, value_name = "SIZE", value_parser = size, group = "which")]
    pub max_size: Option<u64>,
    /// Say what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct RunsKeepArgs {
    /// A run's directory, or its name among the runs, or `latest`
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// No longer: it goes when its time has come
    #[arg(long)]
    pub undo: bool,
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
    /// Keep so much of what happened, events and history together (4MiB or more); the oldest goes. `all` keeps all. `up`
    /// keeps 128MiB unless told otherwise, `run` keeps all
    #[arg(long, value_name = "SIZE", value_parser = record_max)]
    pub record_max: Option<RunBounds>,
}

/// What is to be made of a run when it is over.
#[derive(Args, Debug)]
pub struct RecordOptions {
    /// When it is over, make a film or a still of it: .cast, .gif, .svg, .html, .png or .txt, by the ending of its name;
    /// may be given more than once. `kvlab record` makes more, with more options, of any run
    #[arg(long = "record", value_name = "OUT")]
    pub record: Vec<PathBuf>,
}

/// How the dashboard looks.
#[derive(Args, Clone, Copy, Debug)]
pub struct DisplayOptions {
    /// Colours of the dashboard: auto (as NO_COLOR, COLORTERM and TERM say), always, never, 16, 256 or true
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub color: ColourChoice,
    /// Colours for a light or a dark background: auto (the terminal is asked), light or dark
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub theme: ThemeChoice,
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

/// Which background the dashboard's colours are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThemeChoice {
    Auto,
    Dark,
    Light,
}

/// Which background the colours of a recording are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordTheme {
    Dark,
    Light,
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
