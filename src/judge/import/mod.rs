//! Reading histories: ours, and other people's. Pure: text in, operations out, or an error that names the line. The text
//! may come piece by piece ([`Importer`]): what is held is its operations, not itself.
//!
//! | format | looks like |
//! |---|---|
//! | kvlab | `{"i":17,"t_ns":…,"client":3,…}`, one JSON object a line |
//! | EDN | `{:process 3, :type :invoke, :f :write, :value 4}`, bare or in one `[…]` or `(…)`: Jepsen's `history.edn` (values `[k v]` for independent keys), Knossos's and porcupine's key-value lines (`:f :append`, `:key "0"`), Elle's transactions of one operation (`:f :txn`) |
//! | Jepsen log | `INFO  jepsen.util - 3 :invoke :write 4`, by any logger or none; other lines are skipped |
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

use self::pair::Pairing;

pub use self::jsonl::{LineOrder, read_event};
pub use self::objects::initially;

/// A longer line is refused.
const LINE_BYTES_MAX: usize = 128 << 20;

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
        let mut rest = first.trim_start_matches(['[', '(', ' ', ',']);
        let is_list = rest.len() < first.len();
        if first.starts_with('{') && first[1..].trim_start().starts_with('"') {
            Some(Self::Kvlab)
        } else if rest.starts_with(['{', '#', '^', ';', ']', ')']) || is_list && rest.is_empty() {
            // A logger may put something into brackets as well, but no map.
            Some(Self::Edn)
        } else {
            // A log may say much else first.
            rest = text;
            rest.lines().any(log::is_event).then_some(Self::JepsenLog)
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
    let mut importer = Importer::new(format, options);
    importer.push(text)?;
    importer.finish()
}

/// Reads a history that comes piece by piece. A piece may end anywhere.
///
/// # Examples
/// ```
/// use kvlab::judge::import::{Format, ImportOptions, Imported, Importer};
///
/// let mut importer = Importer::new(Format::JepsenLog, ImportOptions::default());
/// for piece in ["0 :invo", "ke :write 4\n0 :ok :wri", "te 4\n"] {
///     importer.push(piece)?;
/// }
/// let Imported::Keys(keys) = importer.finish()? else { unreachable!() };
/// assert_eq!(keys[0].ops().len(), 1);
/// # Ok::<(), kvlab::judge::import::ImportError>(())
/// ```
#[derive(Debug)]
pub struct Importer {
    reading: Reading,
    /// Nothing has come yet: a byte order mark may.
    is_first: bool,
}

/// What has been read so far.
#[derive(Debug)]
enum Reading {
    Kvlab(Lines, Box<jsonl::Reading>),
    Edn(edn::Events, Pairing),
    Log(Lines, Pairing),
}

impl Importer {
    /// Of nothing yet.
    pub fn new(format: Format, options: ImportOptions) -> Self {
        let pairing = || Pairing::new(options);
        let reading = match format {
            Format::Kvlab => Reading::Kvlab(Lines::default(), Box::new(jsonl::Reading::new())),
            Format::Edn => Reading::Edn(edn::Events::default(), pairing()),
            Format::JepsenLog => Reading::Log(Lines::default(), pairing()),
        };
        Self { reading, is_first: true }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// At the first line that cannot be read, or that cannot follow those before it. Nothing must be pushed after that.
    pub fn push(&mut self, piece: &str) -> Result<(), ImportError> {
        let piece = if self.is_first { unmarked(piece) } else { piece };
        self.is_first &= piece.is_empty();
        match &mut self.reading {
            Reading::Kvlab(lines, events) => lines.push(piece, &mut |line, number| events.line(line, number)),
            Reading::Edn(events, pairing) => events.push(piece, &mut |event| pairing.push(event)),
            Reading::Log(lines, pairing) => lines
                .push(piece, &mut |line, number| log::line(line, number, &mut |event| pairing.push(event))),
        }
    }

    /// What the history holds: nothing follows.
    ///
    /// # Errors
    /// If the last line cannot be read.
    pub fn finish(self) -> Result<Imported, ImportError> {
        match self.reading {
            Reading::Kvlab(lines, mut events) => {
                lines.finish(&mut |line, number| events.line(line, number))?;
                Ok(Imported::Kvlab(events.finish()))
            }
            Reading::Edn(mut events, mut pairing) => {
                events.finish(&mut |event| pairing.push(event))?;
                pairing.finish().map(Imported::Keys)
            }
            Reading::Log(lines, mut pairing) => {
                lines
                    .finish(&mut |line, number| log::line(line, number, &mut |event| pairing.push(event)))?;
                pairing.finish().map(Imported::Keys)
            }
        }
    }
}

/// The lines of a text that comes in pieces, without their ends.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line that has not ended.
    begun: String,
    /// Lines that have ended.
    count: u64,
}

/// What to do with a line, and its number.
type LineSink<'a> = dyn FnMut(&str, u64) -> Result<(), ImportError> + 'a;

impl Lines {
    fn push(&mut self, piece: &str, sink: &mut LineSink<'_>) -> Result<(), ImportError> {
        let mut rest = piece;
        while let Some(end) = rest.find('\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            self.count += 1;
            let number = self.count;
            if self.begun.is_empty() {
                sink(line.strip_suffix('\r').unwrap_or(line), number)?;
            } else {
                self.begun.push_str(line);
                let line = std::mem::take(&mut self.begun);
                sink(line.strip_suffix('\r').unwrap_or(&line), number)?;
            }
        }
        self.begun.push_str(rest);
        if self.begun.len() <= LINE_BYTES_MAX {
            return Ok(());
        }
        let found = format!("a line of more than {LINE_BYTES_MAX} bytes");
        Err(ImportError::new(self.count + 1, found, "one event a line"))
    }

    fn finish(self, sink: &mut LineSink<'_>) -> Result<(), ImportError> {
        if self.begun.is_empty() { Ok(()) } else { sink(&self.begun, self.count + 1) }
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
