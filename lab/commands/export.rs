//! `kvlab export`: writes a history for another checker.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use kvlab::judge::export::{Exporter, Target, Told, tell};
use kvlab::judge::import::{Format, ImportOptions};
use kvlab::judge::{Consistency, HistoryEvent};

use super::check::format;
use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::{ExportArgs, ExportFormat};
use crate::run::history::HistoryReader;
use crate::run::output_file::OutputFile;
use crate::verify::{self, Input, Opened, Others, Progress};

pub fn run(args: &ExportArgs) -> Result<Exit, CommandError> {
    let input = Input::find(&args.run, format(args.format))?.rereadable()?;
    match input.open(ImportOptions::default())? {
        Opened::Kvlab(reader, length) => {
            let mut found = Found::default();
            let mut progress = Progress::begin();
            verify::judge_ours(&input, reader, length, &mut progress, |event| found.note(event))?;
            drop(progress);
            ours(&input, args, &found)?;
        }
        Opened::Others(others) => self::others(&input, args, others)?,
    }
    Ok(Exit::Done)
}

/// What has to be known of a history of ours before its first line is written.
#[derive(Debug, Default)]
struct Found {
    /// More than the highest number of a client.
    processes: u64,
    keys: HashSet<String>,
    /// Keys on which an async write was tried: what is read of them promises nothing.
    unreplicated: HashSet<String>,
}

impl Found {
    fn note(&mut self, event: &HistoryEvent) {
        self.processes = self.processes.max(u64::from(event.client) + 1);
        if !self.keys.contains(&event.key) {
            self.keys.insert(event.key.clone());
        }
        if event.consistency == Consistency::Async && !self.unreplicated.contains(&event.key) {
            self.unreplicated.insert(event.key.clone());
        }
    }

    fn is_promised(&self, event: &HistoryEvent) -> bool {
        event.consistency == Consistency::Quorum && !self.unreplicated.contains(&event.key)
    }
}

fn ours(input: &Input, args: &ExportArgs, found: &Found) -> anyhow::Result<()> {
    if let Some(key) = args.key.as_ref().filter(|key| !found.keys.contains(*key)) {
        bail!("{}: no operation has the key {key:?}", input.name);
    }
    let Opened::Kvlab(reader, _) = input.open(ImportOptions::default())? else {
        bail!("{} has changed meanwhile", input.name);
    };
    let mut out = Writer::create(args, found.processes, args.key.is_none())?;
    // Ours says of each operation what was promised, so nothing need be left out.
    let whole = args.all || args.history == ExportFormat::Jsonl;
    let promised = if whole { "every operation" } else { "quorum operations, on keys without async writes" };
    out.begin(&format!("{promised}, as kvlab recorded them"))?;
    let (mut events, mut left_out) = (HistoryReader::new(reader), 0_u64);
    // It has been read before: a line that is cut at its end is known.
    while let Ok(Some(event)) = events.next() {
        if args.key.as_ref().is_some_and(|key| *key != event.key) {
            continue;
        }
        if !whole && !found.is_promised(&event) {
            left_out += 1;
        } else if args.history == ExportFormat::Jsonl {
            out.line(&(serde_json::to_string(&event)? + "\n"))?;
        } else {
            out.event(Told::from(&event)).with_context(|| input.name.clone())?;
        }
    }
    out.finish().with_context(|| input.name.clone())?;
    if left_out > 0 {
        output::tell(format_args!(
            "{left_out} events of async writes, of eventual reads and of keys with async writes are left out; --all \
             takes them in"
        ));
    }
    Ok(())
}

fn others(input: &Input, args: &ExportArgs, mut others: Others) -> anyhow::Result<()> {
    let (keyed, processes) = (others.is_keyed() && args.key.is_none(), others.processes());
    others.keep(args.key.as_deref(), &input.name)?;
    let mut out = Writer::create(args, processes, keyed)?;
    out.exporter = out.exporter.with_numbers();
    out.begin(&format!(
        "what was read from {}",
        if others.format == Format::Edn { "EDN" } else { "Jepsen's log" }
    ))?;
    for told in tell(&others.keys) {
        out.event(told).with_context(|| input.name.clone())?;
    }
    out.finish().with_context(|| input.name.clone())
}

/// Where lines go, and what makes them.
struct Writer {
    exporter: Exporter,
    comments: bool,
    out: OutputFile,
    lines: String,
}

impl Writer {
    fn create(args: &ExportArgs, processes: u64, keyed: bool) -> anyhow::Result<Self> {
        let target = match args.history {
            ExportFormat::Edn => Target::Edn,
            ExportFormat::Elle => Target::Elle,
            ExportFormat::Porcupine => Target::Porcupine,
            ExportFormat::Jsonl => Target::Kvlab,
        };
        let exporter = Exporter::new(target, keyed, processes);
        let (comments, out) = (target != Target::Kvlab, OutputFile::create(args.out.as_deref())?);
        Ok(Self { exporter, comments, out, lines: String::new() })
    }

    /// Says what follows, where that is possible.
    fn begin(&mut self, what: &str) -> anyhow::Result<()> {
        if self.comments {
            self.out.write(&format!("; {what}; written by kvlab export\n"))?;
        }
        Ok(())
    }

    fn event(&mut self, told: Told) -> anyhow::Result<()> {
        self.exporter.event(told, &mut self.lines)?;
        self.out.write(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.out.write(line)
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.exporter.finish(&mut self.lines)?;
        self.out.write(&self.lines)?;
        self.out.finish()
    }
}
