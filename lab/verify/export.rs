//! A history written for another checker.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{HashSet, VecDeque};
use std::io::BufRead;
use std::path::Path;

use anyhow::Context as _;
use kvlab::judge::export::{Exporter, Target};
use kvlab::judge::import::{Format, ImportOptions};
use kvlab::judge::offline::{OpEvent, op_events};
use kvlab::judge::{Consistency, HistoryEvent};

use super::check::{expect_key, judge_ours};
use super::source::{ForeignHistory, HistorySource, OpenHistory};
use crate::run::history::{HistoryReader, Kept};
use crate::run::output_file::OutputFile;
use crate::text::words;

/// What is written, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Export<'a> {
    /// For whom.
    pub(crate) target: Target,
    /// This key only.
    pub(crate) key: Option<&'a str>,
    /// Async writes and eventual reads too.
    pub(crate) all: bool,
    /// The file; standard output if there is none.
    pub(crate) out: Option<&'a Path>,
}

/// Writes a history. Returns how many events were left out because less than linearizability was promised to them.
///
/// # Errors
/// If the source cannot be read, no operation has the key, or the target has no word for what was done.
pub(crate) fn export(
    source: &HistorySource,
    options: ImportOptions,
    export: Export<'_>,
) -> anyhow::Result<u64> {
    match source.open(options)? {
        OpenHistory::Kvlab(own) => {
            let mut survey = Survey::default();
            let (judged, kept) = judge_ours(source, own, |event| survey.note(event))?;
            expect_key(source, &judged, export.key)?;
            drop(judged);
            if let Some(kept) = &kept {
                survey.note_kept(kept);
            }
            ours(source, export, &survey, kept.as_ref())
        }
        OpenHistory::Foreign(foreign) => theirs(source, export, foreign).map(|()| 0),
    }
}

/// What has to be known of a history of ours before its first line is written.
#[derive(Debug, Default)]
struct Survey {
    /// More than the highest number of a client.
    processes: u64,
    /// Keys on which an async write was tried: what is read of them promises nothing.
    unreplicated: HashSet<String>,
}

impl Survey {
    fn note(&mut self, event: &HistoryEvent) {
        self.processes = self.processes.max(u64::from(event.client) + 1);
        if event.consistency == Consistency::Async && !self.unreplicated.contains(&event.key) {
            self.unreplicated.insert(event.key.clone());
        }
    }

    /// Of keys that cannot be judged without the beginning of the history nothing is promised to who has not got it.
    fn note_kept(&mut self, kept: &Kept) {
        self.unreplicated.extend(kept.odd_keys().cloned());
        self.processes = self.processes.max(kept.processes());
    }

    fn is_promised(&self, event: &HistoryEvent) -> bool {
        event.consistency == Consistency::Quorum && !self.unreplicated.contains(&event.key)
    }
}

fn ours(
    source: &HistorySource,
    export: Export<'_>,
    survey: &Survey,
    kept: Option<&Kept>,
) -> anyhow::Result<u64> {
    let mut events = source.reopen()?;
    // Ours says of each operation what was promised, so nothing need be left out.
    let whole = export.all || export.target == Target::Kvlab;
    let promised = if whole { "every operation" } else { "quorum operations, on keys without async writes" };
    let exporter = Exporter::new(export.target, export.key.is_none(), survey.processes);
    let begins = kept.map_or_else(String::new, |kept| {
        let kept = words::kept(kept.from, kept.to);
        format!("; {kept} is kept: what was read and written before is written first, of unknown outcome")
    });
    let mut out = Writer::begin(export, exporter, &format!("{promised}, as kvlab recorded them{begins}"))?;
    let (mut left_out, mut i) = (0, 0);
    let mut ahead = VecDeque::new();
    match kept {
        // Its first line says it all.
        Some(kept) if export.target == Target::Kvlab => out.out.write(&(kept.first_line() + "\n"))?,
        Some(kept) => ahead = beginning(kept, &mut events),
        None => {}
    }
    // It has been read before: a line that is cut at its end is known.
    while let Some(event) = ahead.pop_front().or_else(|| events.next().ok().flatten()) {
        if kept.is_some_and(|kept| event.i < kept.from_i && export.target == Target::Kvlab) {
            continue;
        }
        if export.key.is_some_and(|key| key != event.key) {
            continue;
        }
        if !whole && !survey.is_promised(&event) {
            left_out += 1;
        } else if export.target == Target::Kvlab {
            // Of one key the events are counted anew: a history has no gaps.
            i += 1;
            let i = if export.key.is_some() { i } else { event.i };
            out.out.write(&(serde_json::to_string(&HistoryEvent { i, ..event })? + "\n"))?;
        } else {
            out.event(OpEvent::from(&event)).with_context(|| source.name.clone())?;
        }
    }
    out.finish().with_context(|| source.name.clone())?;
    Ok(left_out)
}

/// What comes before the first event that is kept, in the order of indices, and that event: the writes of which nothing
/// else is known, and the operations that were running.
fn beginning(kept: &Kept, events: &mut HistoryReader<impl BufRead>) -> VecDeque<HistoryEvent> {
    let mut ahead = kept.writes_before(|_| true);
    while let Ok(Some(event)) = events.next() {
        let is_kept = event.i >= kept.from_i;
        ahead.push(event);
        if is_kept {
            break;
        }
    }
    ahead.sort_by_key(|event| event.i);
    ahead.into()
}

fn theirs(source: &HistorySource, export: Export<'_>, mut foreign: ForeignHistory) -> anyhow::Result<()> {
    let keyed = foreign.is_keyed() && export.key.is_none();
    foreign.keep(export.key, &source.name)?;
    let exporter =
        Exporter::of_keys(export.target, keyed, &foreign.keys).with_context(|| source.name.clone())?;
    let from = if foreign.format == Format::Edn { "EDN" } else { "Jepsen's log" };
    let mut out = Writer::begin(export, exporter, &format!("what was read from {from}"))?;
    for event in op_events(&foreign.keys) {
        out.event(event).with_context(|| source.name.clone())?;
    }
    out.finish().with_context(|| source.name.clone())
}

/// Where lines go, and what makes them.
struct Writer {
    exporter: Exporter,
    out: OutputFile,
    lines: String,
}

impl Writer {
    /// Says what follows, where the target has comments.
    fn begin(export: Export<'_>, exporter: Exporter, what: &str) -> anyhow::Result<Self> {
        let mut out = OutputFile::create(export.out)?;
        if export.target != Target::Kvlab {
            out.write(&format!("; {what}; written by kvlab export\n"))?;
        }
        Ok(Self { exporter, out, lines: String::new() })
    }

    fn event(&mut self, event: OpEvent) -> anyhow::Result<()> {
        self.exporter.event(event, &mut self.lines)?;
        self.out.write(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.exporter.finish(&mut self.lines)?;
        self.out.write(&self.lines)?;
        self.out.finish()
    }
}
