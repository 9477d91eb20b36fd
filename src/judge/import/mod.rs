//! Reading histories: ours, and other people's. Pure: text in, operations out, or an error that names the line.
//!
//! | format | looks like |
//! |---|---|
//! | kvlab | `{"i":17,"t_ns":…,"client":3,…}`, one JSON object a line |
//! | EDN | `{:process 3, :type :invoke, :f :write, :value 4}`, bare or in one `[…]` or `(…)`: Jepsen's `history.edn` (values `[k v]` for independent keys), Knossos's and porcupine's key-value lines (`:f :append`, `:key "0"`), Elle's transactions of one operation (`:f :txn`) |
//! | Jepsen log | `INFO  jepsen.util - 3 :invoke :write 4`; other lines are skipped |
//!
//! What the types of events mean:
//! * `:ok`: it happened. `:info`, or no completion at all: it may have.
//! * `:fail` of a write or a `cas`: it did not happen. Of a read: nothing is known of it. The caller may say that a
//!   `cas` that failed looked and did not match ([`FailedCas`]).
//! * After `:info` a process may go on under its number, or under another one as Jepsen's do.
//! * Events of processes that are a word (`:nemesis`) are skipped.

mod edn;
mod jsonl;
mod log;
mod objects;
mod pair;
mod raw;

use super::history::HistoryEvent;
use super::offline::{KeyHistory, ModelName};

pub use self::jsonl::read_event;
pub use self::objects::initially;

/// A format of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `history.jsonl`.
    Kvlab,
    /// EDN maps.
    Edn,
    /// Jepsen's plain log.
    JepsenLog,
}

/// What a history file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Imported {
    /// Our events, in their order.
    Kvlab(Vec<HistoryEvent>),
    /// Operations by key, in the order of keys.
    Keys(Vec<KeyHistory>),
}

/// How to read what is ambiguous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What `:fail` of a compare-and-set means.
    pub failed_cas: FailedCas,
    /// Of what kind of object the history is; otherwise the names of its operations tell, as far as they do.
    pub model: Option<ModelName>,
}

/// What `:fail` of a compare-and-set means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailedCas {
    /// It did not happen, for whatever reason. So Jepsen and Knossos have it.
    #[default]
    NeverRan,
    /// It looked, and did not match: the register held another value then.
    Observed,
}

/// A history that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {found}; expected {expected}")]
pub struct ImportError {
    /// The line, from 1.
    pub line: u64,
    /// What is there.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Format {
    /// The format that a text is in, from how it begins; `None`: none that is known.
    pub fn detect(text: &str) -> Option<Self> {
        let text = unmarked(text);
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(';'))?;
        let inside = |line: &str| line.trim_start_matches(['{', '[', '(', ' ']).chars().next();
        if first.starts_with('{') && inside(first) == Some('"') {
            Some(Self::Kvlab)
        } else if first.starts_with(['{', '[', '(', '#']) && !first.contains("jepsen.util") {
            Some(Self::Edn)
        } else {
            // A log may say much else first.
            text.lines().any(log::is_event).then_some(Self::JepsenLog)
        }
    }
}

/// Reads a history.
///
/// # Errors
/// At the first line that cannot be read, or that cannot follow those before it.
///
/// # Examples
/// ```
/// use kvlab::judge::import::{Format, ImportOptions, Imported, import};
///
/// let text = "{:process 0, :type :invoke, :f :write, :value 4}\n{:process 0, :type :ok, :f :write, :value 4}";
/// assert_eq!(Format::detect(text), Some(Format::Edn));
/// let Imported::Keys(keys) = import(text, Format::Edn, ImportOptions::default())? else { unreachable!() };
/// assert_eq!(keys[0].ops().len(), 1);
///
/// let error = import("{:process 0, :type :ok, :f :write}", Format::Edn, ImportOptions::default()).unwrap_err();
/// assert_eq!(error.line, 1, "an operation cannot end before it begins");
/// # Ok::<(), kvlab::judge::import::ImportError>(())
/// ```
pub fn import(text: &str, format: Format, options: ImportOptions) -> Result<Imported, ImportError> {
    let text = unmarked(text);
    match format {
        Format::Kvlab => jsonl::events(text).map(Imported::Kvlab),
        Format::Edn => pair::keys(edn::events(text)?, options).map(Imported::Keys),
        Format::JepsenLog => pair::keys(log::events(text)?, options).map(Imported::Keys),
    }
}

/// Without a byte order mark.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

impl ImportError {
    fn new(line: u64, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { line, found: found.into(), expected: expected.into() }
    }
}

/// Text as an error quotes it: cut short.
fn quoted(text: &str) -> String {
    super::value::Quoted(text).to_string()
}
