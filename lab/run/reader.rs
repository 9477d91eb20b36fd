//! What a run wrote, read again: its events, from all parts that are kept, one after another.
//!
//! A last line without its end, left by a lab that was killed or one that is still writing, is passed over: what
//! stands before it is whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use super::event::{EVENTS_VERSION, Header, LabEvent, Stamped};
use super::keyframe::{KEYFRAME_BEGINS, Keyframe};
use super::parts::{Part, RecordFile};

/// No line is longer: far above what an event or a keyframe with the longest values takes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// How much of the end of a run's events is looked at for what came of it.
const LAST_BYTES: u64 = 256 << 10;

/// The events of a run that are kept, in order.
#[derive(Debug)]
pub(crate) struct EventReader {
    header: Stamped,
    beginning: Option<Keyframe>,
    part: PartReader,
    later: std::vec::IntoIter<Part>,
}

/// What is read of a run to know it at one moment.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The last keyframe before it; `None`: it begins with the run.
    pub(crate) keyframe: Option<Keyframe>,
    /// The events since, up to that moment; without a keyframe the header is the first.
    pub(crate) events: Vec<Stamped>,
}

/// A line of a part.
#[expect(clippy::large_enum_variant, reason = "nearly every line is an event")]
enum Line {
    Event(Stamped),
    Keyframe(Keyframe),
}

/// One part, read line by line.
#[derive(Debug)]
struct PartReader {
    path: Arc<Path>,
    lines: BufReader<File>,
    /// Of the line.
    number: u64,
    line: Vec<u8>,
}

impl EventReader {
    /// Opens the events of the run in this directory, and reads how they begin.
    ///
    /// # Errors
    /// If they cannot be read, or do not begin with a header of a version known here.
    pub(crate) fn open(run_dir: &Path) -> anyhow::Result<Self> {
        let mut parts = open(run_dir)?.into_iter();
        let first = parts.next().with_context(|| format!("{} has no events", run_dir.display()))?;
        let is_whole = first.number == 1;
        let mut part = PartReader::new(first);
        let header = part.header()?;
        let beginning = if is_whole { None } else { Some(part.keyframe()?) };
        Ok(Self { header, beginning, part, later: parts })
    }

    /// The state at which the events begin that are kept; `None`: all are.
    pub(crate) fn beginning(&self) -> Option<&Keyframe> {
        self.beginning.as_ref()
    }

    /// Hands every event to `take`, in order; the first is the header.
    ///
    /// # Errors
    /// If a line cannot be read, or is no event.
    pub(crate) fn each(self, mut take: impl FnMut(Stamped)) -> anyhow::Result<()> {
        let Self { header, mut part, mut later, .. } = self;
        take(header);
        loop {
            while let Some(line) = part.next()? {
                if let Line::Event(event) = line {
                    take(event);
                }
            }
            let Some(next) = later.next() else { return Ok(()) };
            part = PartReader::new(next);
            part.header()?;
        }
    }
}

/// What leads to the state of a run at the time `t_us`, in microseconds since it began; `None`: at its end. No more is
/// held than the events between two keyframes.
///
/// # Errors
/// If the events cannot be read, or do not reach back so far.
pub(crate) fn moment(run_dir: &Path, t_us: Option<u64>) -> anyhow::Result<Moment> {
    let t_us = t_us.unwrap_or(u64::MAX);
    let mut playback = Playback::open(run_dir, t_us)?;
    let mut events = Vec::new();
    while let Some(event) = playback.next_event()? {
        if event.t_us > t_us {
            break;
        }
        events.push(event);
    }
    Ok(Moment { keyframe: playback.keyframe, events })
}

/// The events of a run from a moment on, one after another. No more is held than those between two keyframes.
#[derive(Debug)]
pub(crate) struct Playback {
    /// The last keyframe before the moment; `None`: it begins with the run, whose header is the first event.
    pub(crate) keyframe: Option<Keyframe>,
    header: Option<Stamped>,
    /// Lines since the keyframe that have been passed, and where they stand.
    since: VecDeque<(Arc<Path>, u64, Vec<u8>)>,
    reader: PartReader,
    later: VecDeque<Part>,
}

impl Playback {
    /// From the last keyframe on that stands before `t_us`, in microseconds since the run began. Of those before it
    /// nothing is looked into.
    ///
    /// # Errors
    /// If the events cannot be read, or do not reach back so far.
    pub(crate) fn open(run_dir: &Path, t_us: u64) -> anyhow::Result<Self> {
        let (moment, reader, later) = part_of(run_dir, t_us)?;
        let header = moment.events.into_iter().next();
        let mut playback = Self { keyframe: moment.keyframe, header, since: VecDeque::new(), reader, later };
        while playback.next_line()? {
            let reader = &mut playback.reader;
            if !reader.is_keyframe() {
                let line = std::mem::take(&mut reader.line);
                playback.since.push_back((Arc::clone(&reader.path), reader.number, line));
                continue;
            }
            match parsed::<Keyframe>(&reader.line, || reader.place())? {
                Some(keyframe) if keyframe.t_us > t_us => break,
                Some(keyframe) if keyframe.is_known() => {
                    (playback.keyframe, playback.header) = (Some(keyframe), None);
                    playback.since.clear();
                }
                _ => {}
            }
        }
        Ok(playback)
    }

    /// When what is kept of a run begins, in microseconds since it began.
    ///
    /// # Errors
    /// If there are no events of a run.
    pub(crate) fn beginning_us(run_dir: &Path) -> anyhow::Result<u64> {
        let events = EventReader::open(run_dir)?;
        Ok(events.beginning().map_or(events.header.t_us, |keyframe| keyframe.t_us))
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// If a line cannot be read, or is no event.
    pub(crate) fn next_event(&mut self) -> anyhow::Result<Option<Stamped>> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header));
        }
        if let Some((path, number, line)) = self.since.pop_front() {
            return parsed(&line, || place(&path, number));
        }
        while self.next_line()? {
            let reader = &self.reader;
            if !reader.is_keyframe() {
                return parsed(&reader.line, || reader.place());
            }
        }
        Ok(None)
    }

    /// Goes on to the next line, in this part or a later one; false at the end.
    fn next_line(&mut self) -> anyhow::Result<bool> {
        while !self.reader.next_line()? {
            let Some(next) = self.later.pop_front() else { return Ok(false) };
            self.reader = PartReader::new(next);
            self.reader.header()?;
        }
        Ok(true)
    }
}

impl Iterator for Playback {
    type Item = anyhow::Result<Stamped>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

/// The last part that begins before `t_us` with a keyframe that is known, as far as its beginning; and those after it.
/// Of those before it nothing is needed.
fn part_of(run_dir: &Path, t_us: u64) -> anyhow::Result<(Moment, PartReader, VecDeque<Part>)> {
    let mut earlier = open(run_dir)?;
    let mut later = VecDeque::new();
    while let Some(part) = earlier.pop() {
        let number = part.number;
        let mut reader = PartReader::new(part);
        let header = reader.header()?;
        if number == 1 {
            return Ok((Moment { keyframe: None, events: vec![header] }, reader, later));
        }
        let keyframe = reader.keyframe()?;
        let begins_s = keyframe.t_us as f64 / 1e6;
        if keyframe.is_known() && keyframe.t_us <= t_us {
            return Ok((Moment { keyframe: Some(keyframe), events: Vec::new() }, reader, later));
        }
        if earlier.is_empty() {
            keyframe.state::<serde::de::IgnoredAny>().with_context(|| reader.place())?;
            bail!("{}: what is kept of the run begins {begins_s:.1} s after it", run_dir.display());
        }
        later.push_front(reader.again(number)?);
    }
    bail!("{} has no events", run_dir.display())
}

/// The last events of a run, as many as stand in the last bytes of its newest part. What cannot be read is passed over.
///
/// # Errors
/// If there are no events.
pub(crate) fn last_events(run_dir: &Path) -> anyhow::Result<Vec<Stamped>> {
    let newest = open(run_dir)?.pop().with_context(|| format!("{} has no events", run_dir.display()))?;
    let (mut file, mut bytes) = (newest.file, Vec::new());
    let skipped = file.metadata()?.len().saturating_sub(LAST_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    file.take(LAST_BYTES).read_to_end(&mut bytes)?;
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(KEYFRAME_BEGINS));
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn open(run_dir: &Path) -> anyhow::Result<Vec<Part>> {
    let cannot = || format!("cannot read {}", run_dir.join(RecordFile::Events.name()).display());
    RecordFile::Events.open(run_dir).with_context(cannot)
}

fn header(event: &Stamped) -> Option<&Header> {
    match &event.event {
        LabEvent::Header(header) => Some(header),
        _ => None,
    }
}

impl PartReader {
    fn new(part: Part) -> Self {
        Self { path: part.path.into(), lines: BufReader::new(part.file), number: 0, line: Vec::new() }
    }

    /// The part as if nothing had been read of it.
    fn again(self, number: u64) -> anyhow::Result<Part> {
        let mut file = self.lines.into_inner();
        file.rewind().with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(Part { number, path: self.path.to_path_buf(), file })
    }

    /// The header, which is the first line.
    fn header(&mut self) -> anyhow::Result<Stamped> {
        match self.next()? {
            Some(Line::Event(event)) if header(&event).is_some() => {
                let version = header(&event).map_or(0, |header| header.version);
                if !(1..=EVENTS_VERSION).contains(&version) {
                    bail!(
                        "{}: written by kvlab {} in format {version}; this one reads formats up to {EVENTS_VERSION}",
                        self.place(),
                        header(&event).map_or("", |header| &header.kvlab),
                    );
                }
                Ok(event)
            }
            _ => bail!("{}: not the events of a run: it does not begin with a header", self.place()),
        }
    }

    /// The keyframe with which a part begins.
    fn keyframe(&mut self) -> anyhow::Result<Keyframe> {
        match self.next()? {
            Some(Line::Keyframe(keyframe)) => Ok(keyframe),
            _ => bail!("{}: a later part of a run's events does not begin with a keyframe", self.place()),
        }
    }

    /// The next line that is not empty, read; `None` at the end.
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        if !self.next_line()? {
            return Ok(None);
        }
        if self.is_keyframe() {
            Ok(parsed(&self.line, || self.place())?.map(Line::Keyframe))
        } else {
            Ok(parsed(&self.line, || self.place())?.map(Line::Event))
        }
    }

    /// Goes on to the next line that is not empty; false at the end.
    fn next_line(&mut self) -> anyhow::Result<bool> {
        loop {
            self.line.clear();
            let read = self.lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
            read.with_context(|| format!("cannot read {}", self.path.display()))?;
            if self.line.is_empty() {
                return Ok(false);
            }
            self.number += 1;
            if !self.line.ends_with(b"\n") && self.line.len() as u64 >= LINE_BYTES_MAX {
                bail!("{}: the line is longer than {LINE_BYTES_MAX} bytes", self.place());
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    fn is_keyframe(&self) -> bool {
        self.line.starts_with(KEYFRAME_BEGINS)
    }

    /// File and line, as messages name them.
    fn place(&self) -> String {
        place(&self.path, self.number)
    }
}

fn place(path: &Path, number: u64) -> String {
    format!("{}:{}", path.display(), number.max(1))
}

/// What a line holds; `None`: it is the last, and cut.
fn parsed<T: DeserializeOwned>(line: &[u8], place: impl FnOnce() -> String) -> anyhow::Result<Option<T>> {
    match serde_json::from_slice(line) {
        Ok(object) => Ok(Some(object)),
        Err(_) if !line.ends_with(b"\n") => Ok(None),
        Err(error) => bail!("{}: not an event of a run: {error}", place()),
    }
}

#[cfg(test)]
#[path = "tests/reader.rs"]
mod tests;
