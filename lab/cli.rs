//! The command line: what can be said, and in which form. What is done about it is in `commands`.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kvlab::types::{NodeId, Quirk};

use crate::commands::node::NodeArgs;
use crate::scenario;
use crate::screen::run::PanicIn;
use crate::screen::theme::ColourChoice;

/// A terminal lab for replication: a real key-value cluster, live faults and a live verdict.
#[derive(Debug, Parser)]
#[command(name = "kvlab", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or as expected; 1 refused, not found, or an expectation or a promise failed;
2 wrong usage, or it could not be set up; 3 nobody can say.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster, see it and break it
    Up(UpArgs),
    /// Play a scenario and judge it
    Run(RunArgs),
    /// Play random schedules of faults on simulated clusters, and judge each
    Sim(SimArgs),
    /// List the scenarios that come with the program
    Scenarios(ScenariosArgs),
    /// Write a key
    Put(PutArgs),
    /// Read a key: prints its value; exit 1 if there is no such key
    Get(GetArgs),
    /// Remove a key
    Del(DelArgs),
    /// Ask every node how it is
    Status(StatusArgs),
    /// Ask a node who the members are, where they are and what part they have
    Topology(TopologyArgs),
    /// Make a node the primary, by vote or by force
    Promote(PromoteArgs),
    /// Tell a node to turn to a primary, now
    Follow(FollowArgs),
    /// Drop from the disks what nobody needs: overwritten values, tombstones
    Cleanup(CleanupArgs),
    /// Judge histories: kvlab's own, Jepsen's, porcupine's
    Check(CheckArgs),
    /// Make a history that fails as small as it can be, and draw it
    Shrink(ShrinkArgs),
    /// Write a run's history for another checker
    Export(ExportArgs),
    /// Draw one moment of a run as a picture, from its events
    Picture(PictureArgs),
    /// Make the report of a run again: one HTML file that says it all
    Report(ReportArgs),
    /// Run one store process (the lab starts these by itself)
    Node(Box<NodeArgs>),
}

#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 linearizable, 1 not, 2 a history cannot be read, 3 undecided.")]
pub struct CheckArgs {
    /// A history, a run's directory, `latest` (the latest run) or `-` (standard input)
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Print exactly one JSON object on standard output, with every key
    #[arg(long)]
    pub json: bool,
    /// Draw the first proof as a picture, if there is one
    #[arg(long, value_name = "OUT.svg")]
    pub svg: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 it does not fail, 1 it fails, 2 it cannot be read, 3 undecided.")]
pub struct ShrinkArgs {
    /// A history, a run's directory, `latest` (the latest run) or `-` (standard input)
    #[arg(value_name = "HISTORY")]
    pub history: PathBuf,
    /// This key's part of it; otherwise the first key that fails
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Write what is left here, in the format in which it came, and not below the drawing; `-`: to standard output,
    /// without the drawing
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    /// A run's directory, `latest` (the latest run), a history or `-` (standard input)
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// For whom: Jepsen and Knossos, Elle, porcupine, or kvlab
    #[arg(long, value_name = "FORMAT")]
    pub history: ExportFormat,
    /// Write it here; to standard output if not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// This key only; in EDN its values then do not name it
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Async writes and eventual reads too, which promise less than linearizability
    #[arg(long)]
    pub all: bool,
    /// The format in which RUN is; otherwise it is told from its beginning
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<HistoryFormat>,
}

/// How histories are read and judged.
#[derive(Args, Debug)]
pub struct ReadingArgs {
    /// The format; otherwise it is told from the beginning
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<HistoryFormat>,
    /// A compare-and-set that failed never ran, as Knossos has it, instead of having looked and not matched
    #[arg(long)]
    pub drop_failed_cas: bool,
    /// How long the general search may take, all keys together; what it has not decided then is undecided
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// A format in which histories are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// kvlab's history.jsonl
    #[value(alias = "jsonl")]
    Kvlab,
    /// EDN maps, as of Jepsen, Knossos and porcupine
    #[value(aliases = ["jepsen", "knossos", "porcupine"])]
    Edn,
    /// Jepsen's plain log
    JepsenLog,
}

/// A format in which histories are written for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// EDN maps for Jepsen and Knossos
    Edn,
    /// Elle's transactions over registers, of one read or write each
    Elle,
    /// The key-value lines of porcupine's tests
    Porcupine,
    /// kvlab's history.jsonl
    #[value(alias = "kvlab")]
    Jsonl,
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
    pub durability: Option<String>,
    /// Refuse eventual reads when the last heartbeat is older than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub stale_after: Option<Duration>,
    /// Refuse eventual reads when a replica is more operations behind than this
    #[arg(long, value_name = "COUNT")]
    pub stale_lag: Option<u64>,
    /// Keep this many bytes of the log's end in memory for replicas that come back
    #[arg(long, value_name = "BYTES")]
    pub backlog_bytes: Option<u64>,
    /// Close a file of the log when it has grown past this; cleanup takes closed ones
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(4096..=1 << 30))]
    pub segment_bytes: Option<u64>,
    /// Nodes clean up by themselves when half of their closed files is garbage, and at least so many bytes
    #[arg(long, value_name = "BYTES")]
    pub cleanup_bytes: Option<u64>,
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
    pub durability: String,
    /// Go on after a seed that breaks a promise
    #[arg(long)]
    pub all: bool,
    /// Print exactly one JSON object on standard output
    #[arg(long)]
    pub json: bool,
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

#[derive(Args, Debug)]
pub struct ScenariosArgs {
    /// Print this scenario's file
    #[arg(long, value_name = "NAME")]
    pub show: Option<String>,
}

#[derive(Args, Debug)]
pub struct PutArgs {
    pub key: String,
    pub value: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

#[derive(Args, Debug)]
pub struct GetArgs {
    pub key: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

#[derive(Args, Debug)]
pub struct DelArgs {
    pub key: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

/// What `put`, `get` and `del` have in common.
#[derive(Args, Debug)]
pub struct OperationArgs {
    /// With a quorum: a write that survives any minority, a read that sees every such write
    #[arg(long)]
    pub quorum: bool,
    /// The node to ask first
    #[arg(long, value_name = "NODE")]
    pub node: Option<NodeId>,
    /// How long a quorum may take
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct PromoteArgs {
    #[arg(value_name = "NODE")]
    pub node: NodeId,
    /// Without votes: may create two primaries and lose acknowledged writes
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct TopologyArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// The node to ask; otherwise the first that answers
    #[arg(long, value_name = "NODE")]
    pub node: Option<NodeId>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Members follow the highest epoch by themselves. This hurries one, and is refused, with the \
                        reason, where it would break a promise or nobody is there."
)]
pub struct FollowArgs {
    /// Whom to tell
    #[arg(value_name = "NODE")]
    pub node: NodeId,
    /// Whom it is to follow
    #[arg(value_name = "PRIMARY")]
    pub primary: NodeId,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct CleanupArgs {
    /// Which node; every node if none is named
    #[arg(value_name = "NODE")]
    pub node: Option<NodeId>,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Which cluster is meant.
#[derive(Args, Debug)]
pub struct ClusterArgs {
    /// The client address of any node; otherwise the cluster of the latest run
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

fn duration(text: &str) -> Result<Duration, String> {
    scenario::duration(text).map_err(|why| format!("{why}; {}", scenario::DURATION_EXPECTED))
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let expected = "expected two numbers like 0..1000, the second one larger";
    let (from, to) = text.split_once("..").ok_or(expected)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| expected.to_owned());
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() { Err(expected.to_owned()) } else { Ok(seeds) }
}

fn durability(text: &str) -> Result<String, String> {
    scenario::durability(text)
        .map(|()| text.to_owned())
        .map_err(|why| format!("{why}; {}", scenario::DURABILITY_EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Command, String> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults() {
        let Ok(Command::Up(up)) = parse("kvlab up") else { panic!("up") };
        assert_eq!((up.nodes, up.headless, up.load, up.rate), (3, false, Switch::On, 200));
        assert_eq!((up.display.color, up.display.ascii), (ColourChoice::Auto, false));
        let Ok(Command::Put(put)) = parse("kvlab put k v --quorum --node n2") else { panic!("put") };
        assert_eq!((put.key.as_str(), put.value.as_str()), ("k", "v"));
        assert_eq!((put.operation.node, put.operation.quorum), (Some(NodeId(2)), true));
        assert_eq!(put.operation.timeout, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        for (line, expected) in [
            ("kvlab up 0", "0 is not in 1..=9"),
            ("kvlab up 10", "10 is not in 1..=9"),
            ("kvlab up three", "invalid"),
            ("kvlab up --rate 0", "0 is not in 1..=100000"),
            ("kvlab up --load maybe", "[possible values: on, off]"),
            ("kvlab up --durability sometimes", "expected always, os or interval=10ms"),
            ("kvlab up --stale-after 5", "it has no unit"),
            ("kvlab up --color pink", "expected auto, always, never, 16, 256 or true"),
            ("kvlab sim --seeds 5..5", "expected two numbers like 0..1000"),
            ("kvlab sim --seeds 5", "expected two numbers like 0..1000"),
            ("kvlab sim --trace", "--seed <S>"),
            ("kvlab up --quirk no-fense", "there is no quirk `no-fense`; did you mean `no-fence`?"),
            ("kvlab up --quirk sloth", "there are dynamic-quorum, highest-seq-read"),
            ("kvlab promote two", "a node like n1"),
            ("kvlab follow n1", "PRIMARY"),
            ("kvlab cleanup two", "a node like n1"),
            ("kvlab put k", "VALUE"),
            ("kvlab check", "<FILE>..."),
            ("kvlab check x --format yaml", "[possible values: kvlab, edn, jepsen-log]"),
            ("kvlab check x --timeout soon", "is not a duration"),
            ("kvlab shrink", "<HISTORY>"),
            ("kvlab export latest", "--history <FORMAT>"),
            ("kvlab explode", "unrecognized subcommand"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
