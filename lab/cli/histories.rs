//! What `check`, `shrink` and `export` take: histories from files.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;

#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 linearizable, 1 not, 2 a history cannot be read, 3 undecided.")]
pub struct CheckArgs {
    /// A history, a run's directory or name, `latest` (the latest run) or `-` (standard input)
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
    /// A history, a run's directory or name, `latest` (the latest run) or `-` (standard input)
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
    /// A run's directory or name, `latest` (the latest run), a history or `-` (standard input)
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
    /// Of what kind of object it is, where the names of the operations do not tell
    #[arg(long, value_name = "MODEL")]
    pub model: Option<ModelArg>,
}

/// How histories are read and judged.
#[derive(Args, Debug)]
pub struct ReadingArgs {
    /// The format; otherwise it is told from the beginning
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<HistoryFormat>,
    /// Of what kind of object it is; otherwise the names of the operations tell, as far as they do
    #[arg(long, value_name = "MODEL")]
    pub model: Option<ModelArg>,
    /// What each object holds at first, as EDN: 0, '"a"', '[1 2]', '{:x 0}'; a mutex :taken. Otherwise nothing
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub initial: Option<String>,
    /// What a compare-and-set that failed means: it did not happen, as Jepsen and Knossos have it, or it looked and
    /// did not match
    #[arg(long, value_name = "MEANING", default_value = "never-ran")]
    pub failed_cas: FailedCasArg,
    /// What has become the default
    #[arg(long, hide = true)]
    pub drop_failed_cas: bool,
    /// How long the general search may take, all keys together; what it has not decided then is undecided
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// What a failed compare-and-set means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailedCasArg {
    /// It did not happen, for whatever reason
    NeverRan,
    /// It looked and did not match
    Observed,
}

/// A kind of object, of which a history can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelArg {
    /// read, write
    Register,
    /// read, write, cas
    CasRegister,
    /// Reads and writes of several registers at once
    MultiRegister,
    /// acquire, release
    Mutex,
    /// add, read of all
    Set,
    /// enqueue, dequeue, in the order of the enqueues
    FifoQueue,
    /// enqueue, dequeue, in any order
    UnorderedQueue,
    /// add, read of the sum
    Counter,
    /// get, put, append
    KeyValue,
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
