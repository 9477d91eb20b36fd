//! Where a history is read from, and in which format it is.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use kvlab::judge::import::{Format, ImportOptions, Imported, import};
use kvlab::judge::offline::KeyHistory;
use serde::Deserialize;

use crate::explain::{Epochs, Evidence};
use crate::run::directory;
use crate::run::history::{HistoryParts, HistoryReader, Kept, PART_BEGINS};
use crate::run::parts::RecordFile;
use crate::run::reader::EventReader;

/// Other people's histories are held as a whole, and so is what is read twice from standard input: up to this.
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
            return Ok(Self { name, place, format, of_run: false });
        }
        let file = path.join(RecordFile::History.name());
        if !RecordFile::History.is_in(&path) {
            let file = RecordFile::History.name();
            bail!("{name} is a directory without a {file}; name a run's directory, or a file");
        }
        let name = file.display().to_string();
        Ok(Self { name, place: Place::File(file), format: format.or(Some(Format::Kvlab)), of_run: true })
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
            return Ok(OpenHistory::Kvlab(OwnHistory { reader, length, kept }));
        }
        let mut head = Vec::new();
        reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).with_context(cannot)?;
        if self.format.is_none() && detect(&head) == Some(Format::Kvlab) {
            let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(reader));
            return Ok(OpenHistory::Kvlab(OwnHistory { reader: Box::new(whole), length, kept }));
        }
        let bytes = read_all(Cursor::new(head).chain(reader)).with_context(cannot)?;
        self.foreign(bytes, options).map(OpenHistory::Foreign)
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

    fn foreign(&self, bytes: Vec<u8>, options: ImportOptions) -> anyhow::Result<ForeignHistory> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            anyhow!("{}: line {line}: what is not UTF-8 text; expected {EXPECTED}", self.name)
        })?;
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            bail!("{}: line 1: nothing; expected {EXPECTED}", self.name);
        }
        let Some(format) = self.format.or_else(|| Format::detect(&text)) else {
            let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            let shown: String = first.chars().take(40).flat_map(char::escape_debug).collect();
            bail!("{}: line 1: \"{shown}\" begins no history that is known; expected {EXPECTED}", self.name);
        };
        let imported = import(&text, format, options).with_context(|| self.name.clone())?;
        match imported {
            Imported::Keys(keys) => Ok(ForeignHistory { format, keys }),
            Imported::Kvlab(_) => {
                bail!("{}: kvlab's own history begins too late; give --format kvlab", self.name)
            }
        }
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

    /// Leaves this key alone, if one is named; `name` is what the history is called.
    ///
    /// # Errors
    /// If no operation has it.
    pub(crate) fn keep(&mut self, key: Option<&str>, name: &str) -> anyhow::Result<()> {
        if let Some(key) = key {
            self.keys.retain(|history| history.key() == key);
            if self.keys.is_empty() {
                bail!("{name}: no operation has the key {key:?}");
            }
        }
        Ok(())
    }

    /// More than the highest number of a process.
    pub(crate) fn processes(&self) -> u64 {
        let ops = self.keys.iter().flat_map(KeyHistory::ops);
        ops.map(|op| u64::from(op.process) + 1).max().unwrap_or(0)
    }
}
