//! Where a history is read from, and in which format it is.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use kvlab::judge::import::{Format, ImportOptions, Imported, Importer, initially};
use kvlab::judge::offline::{KeyHistory, KeyOp, OpOutcome};
use serde::Deserialize;

use super::status_line::{StatusLine, bar};
use crate::explain::{Epochs, Evidence};
use crate::run::directory;
use crate::run::history::{HistoryParts, HistoryReader, Kept, PART_BEGINS};
use crate::run::parts::RecordFile;
use crate::run::reader::EventReader;
use crate::text::words;

/// Other people's histories are read piece by piece, and their operations are held: about half their size. Larger ones are
/// refused.
const FOREIGN_BYTES_MAX: u64 = 4 << 30;
/// What is read twice from standard input is held as a whole: up to this.
const WHOLE_BYTES_MAX: u64 = 1 << 30;
/// The format is told from the first bytes, so many at most.
const HEAD_BYTES: u64 = 64 << 10;
/// Bytes read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What is expected where no history is found.
const EXPECTED: &str = "a history: kvlab's history.jsonl, Jepsen's or porcupine's EDN maps, or Jepsen's log";

/// A history somewhere, not read yet.
#[derive(Clone, Debug)]
pub(crate) struct HistorySource {
    /// What it is called in messages.
    pub(crate) name: String,
    place: Place,
    format: Option<Format>,
    /// What each object holds at first, as EDN.
    initial: Option<String>,
    /// It is the history of a run, which may have been killed in the middle of a line.
    pub(crate) of_run: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Stdin,
    /// What can be read once, as a pipe with a name.
    Pipe(PathBuf),
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// A history that has been opened.
pub(crate) enum OpenHistory {
    /// Ours, to be read line by line.
    Kvlab(OwnHistory),
    /// Somebody else's.
    Foreign(ForeignHistory),
}

/// A history of ours that is read line by line.
pub(crate) struct OwnHistory {
    pub(crate) reader: Box<dyn BufRead>,
    /// How many bytes it has, where that is known.
    pub(crate) length: Option<u64>,
    /// What is known of it, if its beginning is not kept.
    pub(crate) kept: Option<Kept>,
}

/// Somebody else's history.
#[derive(Clone, Debug)]
pub(crate) struct ForeignHistory {
    /// How it is written.
    pub(crate) format: Format,
    /// Its operations by key.
    pub(crate) keys: Vec<KeyHistory>,
}

impl HistorySource {
    /// What is meant: `-`, `latest`, a run's directory, its name among the runs, or a file.
    ///
    /// # Errors
    /// If it is not there, or a directory without a history.
    pub(crate) fn find(called: &Path, format: Option<Format>) -> anyhow::Result<Self> {
        let name = called.display().to_string();
        if called == Path::new("-") {
            return Ok(Self {
                name: "standard input".to_owned(),
                place: Place::Stdin,
                format,
                initial: None,
                of_run: false,
            });
        }
        let path = match directory::named(called) {
            Some(run) if !called.exists() => run?,
            _ => called.to_owned(),
        };
        let about = std::fs::metadata(&path).with_context(|| format!("cannot read {name}"))?;
        if !about.is_dir() {
            let place = if about.is_file() { Place::File(path) } else { Place::Pipe(path) };
            return Ok(Self { name, place, format, initial: None, of_run: false });
        }
        let file = path.join(RecordFile::History.name());
        if !RecordFile::History.is_in(&path) {
            let file = RecordFile::History.name();
            bail!("{name} is a directory without a {file}; name a run's directory, or a file");
        }
        let name = file.display().to_string();
        let format = format.or(Some(Format::Kvlab));
        Ok(Self { name, place: Place::File(file), format, initial: None, of_run: true })
    }

    /// The same, so that it can be opened more than once: standard input is read into memory.
    ///
    /// # Errors
    /// If it cannot be read, or is too large.
    pub(crate) fn rereadable(self) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read {}", self.name);
        let bytes = match &self.place {
            Place::Stdin => read_all(io::stdin().lock()).with_context(cannot)?,
            Place::Pipe(path) => {
                let pipe = File::open(path).with_context(cannot)?;
                read_all(pipe).with_context(cannot)?
            }
            Place::File(_) | Place::Memory(_) => return Ok(self),
        };
        Ok(Self { place: Place::Memory(bytes.into()), ..self })
    }

    /// The same, where each object holds this at first, as EDN: a history of another tool alone has no other way to say
    /// so.
    pub(crate) fn starting_with(self, initial: Option<String>) -> Self {
        Self { initial, ..self }
    }

    /// Whether it can be opened more than once.
    pub(crate) fn is_rereadable(&self) -> bool {
        !matches!(self.place, Place::Stdin | Place::Pipe(_))
    }

    /// Opens it, finds out its format unless that was said, and reads it if it is not ours.
    ///
    /// # Errors
    /// If it cannot be read, or is no history: the message names the line and what was expected there.
    pub(crate) fn open(&self, options: ImportOptions) -> anyhow::Result<OpenHistory> {
        let cannot = || format!("cannot read {}", self.name);
        let mut opened = self.opened().with_context(cannot)?;
        let kept =
            if opened.begin_with(PART_BEGINS).with_context(cannot)? { self.kept(&opened)? } else { None };
        let length = opened.length();
        let mut reader = opened.into_reader().with_context(cannot)?;
        if self.format == Some(Format::Kvlab) || kept.is_some() {
            self.expect_nothing_said(options)?;
            return Ok(OpenHistory::Kvlab(OwnHistory { reader, length, kept }));
        }
        let mut head = Vec::new();
        reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).with_context(cannot)?;
        if self.format.is_none() && detect(&head) == Some(Format::Kvlab) {
            self.expect_nothing_said(options)?;
            let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(reader));
            return Ok(OpenHistory::Kvlab(OwnHistory { reader: Box::new(whole), length, kept }));
        }
        self.foreign(head, reader, length, options).map(OpenHistory::Foreign)
    }

    fn opened(&self) -> io::Result<Opened> {
        Ok(match &self.place {
            Place::Stdin => Opened::Once(Box::new(io::stdin().lock())),
            Place::Pipe(path) => {
                Opened::Once(Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?)))
            }
            Place::File(path) => Opened::Files(match path.parent().filter(|_| self.of_run) {
                Some(run_dir) => HistoryParts::of_run(run_dir)?,
                None => HistoryParts::of_file(path)?,
            }),
            Place::Memory(bytes) => Opened::Memory(Arc::clone(bytes)),
        })
    }

    fn kept(&self, opened: &Opened) -> anyhow::Result<Option<Kept>> {
        let again: Box<dyn BufRead> = match opened {
            Opened::Once(_) => {
                bail!(
                    "{}: the beginning of the history is not kept, so it is read twice; name a file",
                    self.name
                )
            }
            Opened::Files(files) => {
                Box::new(files.again().with_context(|| format!("cannot read {}", self.name))?)
            }
            Opened::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        };
        Kept::of(again).with_context(|| self.name.clone())
    }

    /// Our own histories say themselves what they are of.
    fn expect_nothing_said(&self, options: ImportOptions) -> anyhow::Result<()> {
        let said = [(options.model.is_some(), "--model"), (self.initial.is_some(), "--initial")];
        match said.into_iter().find(|(said, _)| *said) {
            Some((_, flag)) => bail!(
                "{}: {flag} is for histories of other tools; kvlab's own are of registers that begin absent: leave it away",
                self.name
            ),
            None => Ok(()),
        }
    }

    /// Opens it once more: it was one of ours before.
    ///
    /// # Errors
    /// If it cannot be read, or has become somebody else's.
    pub(crate) fn reopen(&self) -> anyhow::Result<HistoryReader<Box<dyn BufRead>>> {
        match self.open(ImportOptions::default())? {
            OpenHistory::Kvlab(own) => Ok(HistoryReader::new(own.reader)),
            OpenHistory::Foreign(_) => bail!("{} has changed meanwhile", self.name),
        }
    }

    /// What the run's events tell of its epochs and votes. They explain a verdict and decide nothing, so what cannot be
    /// read of them is passed over.
    pub(crate) fn epochs(&self) -> Epochs {
        /// The part of a keyframe that tells of them.
        #[derive(Deserialize)]
        struct Known {
            evidence: Evidence,
        }
        let run_dir = match &self.place {
            Place::File(history) if self.of_run => history.parent(),
            _ => None,
        };
        let Some(events) = run_dir.and_then(|run_dir| EventReader::open(run_dir).ok()) else {
            return Epochs::default();
        };
        let known = events.beginning().and_then(|keyframe| keyframe.state::<Known>().ok());
        let mut epochs = known.map(|known| known.evidence.into_epochs()).unwrap_or_default();
        let _ = events.each(|event| epochs.observe(&event));
        epochs
    }

    /// Reads somebody else's history, of which `head` has been read.
    fn foreign(
        &self,
        head: Vec<u8>,
        rest: impl Read,
        length: Option<u64>,
        options: ImportOptions,
    ) -> anyhow::Result<ForeignHistory> {
        let known = self.format.or_else(|| detect(&head));
        // A log may say much else before it tells an operation.
        let format = known.unwrap_or(Format::JepsenLog);
        let first = known.is_none().then(|| first_line(&head));
        let mut importer = Importer::new(format, options);
        let (mut pieces, mut line) = (Pieces::of(Cursor::new(head).chain(rest)), StatusLine::begin());
        let mut is_blank = true;
        while let Some(piece) = pieces.next().with_context(|| format!("cannot read {}", self.name))? {
            let text = piece.map_err(|line| {
                anyhow!("{}: line {line}: what is not UTF-8 text; expected {EXPECTED}", self.name)
            })?;
            is_blank = is_blank && text.trim_start_matches('\u{feff}').trim().is_empty();
            importer.push(text).with_context(|| self.name.clone())?;
            let bytes = pieces.bytes;
            line.draw(|| format!("{}{} read", bar(bytes, length), words::bytes(bytes)));
            if bytes > FOREIGN_BYTES_MAX {
                bail!("{}: it is larger than {FOREIGN_BYTES_MAX} bytes, the most that is read", self.name);
            }
        }
        if is_blank {
            bail!("{}: line 1: nothing; expected {EXPECTED}", self.name);
        }
        match importer.finish().with_context(|| self.name.clone())? {
            Imported::Keys(keys) => match first {
                Some(first) if keys.is_empty() => {
                    bail!(
                        "{}: line 1: {first} begins no history that is known; expected {EXPECTED}",
                        self.name
                    )
                }
                _ => {
                    let mut keys = keys;
                    if let (Some(initial), Some(first)) = (&self.initial, keys.first()) {
                        let acts = initially(first.model(), initial)
                            .map_err(|error| anyhow!("--initial: {error}"))?;
                        keys = keys.into_iter().map(|history| history.starting_with(acts.clone())).collect();
                    }
                    Ok(ForeignHistory { format, keys })
                }
            },
            Imported::Kvlab(_) => unreachable!("ours are read line by line"),
        }
    }
}

/// The first line with anything on it, as an error quotes it.
fn first_line(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    format!("\"{}\"", first.chars().take(40).flat_map(char::escape_debug).collect::<String>())
}

/// Text read piece by piece: no piece ends inside a character.
struct Pieces<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where what has been read and not handed out begins and ends.
    rest: Range<usize>,
    /// Line ends in what has been handed out.
    lines: u64,
    /// Bytes handed out.
    bytes: u64,
}

impl<R: Read> Pieces<R> {
    fn of(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER_BYTES], rest: 0..0, lines: 0, bytes: 0 }
    }

    /// The next piece, or the line on which there is something that is no text; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Result<&str, u64>>> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        let valid = loop {
            let read = match self.reader.read(&mut self.buffer[self.rest.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            self.rest.end += read;
            let (valid, is_wrong) = match std::str::from_utf8(&self.buffer[self.rest.clone()]) {
                Ok(text) => (text.len(), false),
                Err(error) => (error.valid_up_to(), error.error_len().is_some() || read == 0),
            };
            if valid > 0 {
                break valid;
            }
            if is_wrong {
                return Ok(Some(Err(self.lines + 1)));
            }
            if read == 0 {
                return Ok(None);
            }
        };
        self.rest.start = valid;
        let text = std::str::from_utf8(&self.buffer[..valid]).expect("it has been looked at");
        self.lines += text.bytes().filter(|&byte| byte == b'\n').count() as u64;
        self.bytes += valid as u64;
        Ok(Some(Ok(text)))
    }
}

/// The bytes of a history.
enum Opened {
    /// That can be read once.
    Once(Box<dyn BufRead>),
    Files(HistoryParts),
    Memory(Arc<[u8]>),
}

impl Opened {
    fn begin_with(&mut self, text: &str) -> io::Result<bool> {
        let head = match self {
            Self::Once(reader) => reader.fill_buf()?,
            Self::Files(files) => files.fill_buf()?,
            Self::Memory(bytes) => bytes,
        };
        Ok(head.starts_with(text.as_bytes()))
    }

    /// How many there are, where that is known.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Once(_) => None,
            Self::Files(files) => Some(files.bytes()),
            Self::Memory(bytes) => Some(bytes.len() as u64),
        }
    }

    /// All of them, from the first.
    fn into_reader(self) -> io::Result<Box<dyn BufRead>> {
        Ok(match self {
            Self::Once(reader) => reader,
            Self::Files(files) => Box::new(files.again()?),
            Self::Memory(bytes) => Box::new(Cursor::new(bytes)),
        })
    }
}

/// From how it begins.
fn detect(head: &[u8]) -> Option<Format> {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    Format::detect(valid)
}

fn read_all(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > WHOLE_BYTES_MAX {
        let why = format!("it is larger than {WHOLE_BYTES_MAX} bytes, the most that is read as a whole");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

impl ForeignHistory {
    /// Whether events name their key.
    pub(crate) fn is_keyed(&self) -> bool {
        !matches!(&*self.keys, [only] if only.key().is_empty())
    }

    /// Whether there are operations, and none of them is known or thought to have happened.
    pub(crate) fn has_only_failed(&self) -> bool {
        let failed = |op: &KeyOp| op.outcome == OpOutcome::Failed;
        !self.keys.is_empty() && self.keys.iter().flat_map(KeyHistory::ops).all(failed)
    }

    /// Leaves this key alone, if one is named: as EDN prints it, or a string without its quotes. `name` is what the
    /// history is called.
    ///
    /// # Errors
    /// If no operation has it.
    pub(crate) fn keep(&mut self, key: Option<&str>, name: &str) -> anyhow::Result<()> {
        let Some(key) = key else { return Ok(()) };
        // `7` is the number if there is one, and else the string; `"7"` is the string in any case.
        let is_printed = |history: &KeyHistory| history.key().to_string() == key;
        if self.keys.iter().any(is_printed) {
            self.keys.retain(is_printed);
        } else {
            self.keys.retain(|history| history.key().text() == Some(key));
        }
        if self.keys.is_empty() {
            bail!("{name}: no operation has the key {key:?}");
        }
        Ok(())
    }
}
