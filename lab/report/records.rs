//! What a run left, judged: all that a page is made from.

use std::collections::BTreeMap;

use kvlab::judge::{HistoryEvent, Judge, JudgeOptions, Judgement, Violation};
use kvlab::types;
use serde::Deserialize;

use super::operations::{Collector, KEPT_MAX, Operations};
use crate::explain::Evidence;
use crate::run::event::{Header, LabEvent, Operation, RunOutcome, ScenarioEvent, Stamped, Verdict};
use crate::run::history::Kept;
use crate::run::keyframe::Keyframe;

/// A tenth of a second, in microseconds: stale reads are drawn as the oldest of each.
const BUCKET_US: u64 = 100_000;

/// The records of a run.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The header first; what comes several times a second is kept only where it is drawn.
    pub(super) events: Vec<Stamped>,
    /// What the judge said while the run went on, last.
    pub(super) verdict: Option<Verdict>,
    /// When the last event happened, in microseconds since the run began.
    pub(super) last_us: u64,
    /// From when on events are kept, likewise; 0: all are.
    pub(super) kept_from_us: u64,
    /// What the judge had found while the run went on, and what explains violations.
    pub(super) evidence: Evidence,
    /// The history, judged again.
    pub history: JudgedHistory,
    /// `scenario.toml`, if a scenario was played.
    pub scenario: Option<String>,
    /// The run was still going on when its records were read.
    pub so_far: bool,
}

/// A history as the judge sees it, read to its end.
#[derive(Clone, Debug, Default)]
pub struct JudgedHistory {
    pub(super) report: Judgement,
    pub(super) operations: Operations,
    pub(super) stale: StaleReads,
    /// Why the judge, or the reader, refused to go on: what comes after is not judged.
    pub(super) refused: Option<String>,
    /// Not every value was remembered: proofs and ages may say less.
    pub(super) bounded: bool,
    /// From when on it is kept, in microseconds since the run began; 0: all of it is.
    pub(super) kept_from_us: u64,
    /// When the last event happened, in microseconds.
    pub(super) end_us: u64,
}

/// Stale reads over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StaleReads {
    /// By tenths of a second: how many, and the age of the oldest in microseconds.
    buckets: BTreeMap<u64, (u64, u64)>,
}

/// Takes a history event by event.
#[derive(Debug)]
pub struct HistoryJudge {
    judge: Judge,
    bounded: bool,
    collector: Collector,
    stale: StaleReads,
    refused: Option<String>,
    kept_from_us: u64,
    end_us: u64,
}

impl Default for HistoryJudge {
    /// Every value is remembered.
    fn default() -> Self {
        Self::new(JudgeOptions::unbounded())
    }
}

impl HistoryJudge {
    /// As much is remembered as the options say.
    pub fn new(options: JudgeOptions) -> Self {
        Self {
            bounded: options != JudgeOptions::unbounded(),
            judge: Judge::new(options),
            collector: Collector::new(KEPT_MAX),
            stale: StaleReads::default(),
            refused: None,
            kept_from_us: 0,
            end_us: 0,
        }
    }

    /// The beginning of the history is not kept. To be told before the first event.
    pub fn begin_at(&mut self, kept: &Kept) {
        kept.tell(&mut self.judge);
        self.kept_from_us = u64::try_from(kept.from.as_micros()).unwrap_or(u64::MAX);
    }

    /// The next event.
    pub fn observe(&mut self, event: &HistoryEvent) {
        let mut stale = None;
        if self.refused.is_none() {
            match self.judge.observe(event) {
                Ok(_) => stale = self.judge.stale(),
                Err(error) => self.refused = Some(format!("the history is wrong: {error}")),
            }
        }
        if let Some(stale) = stale {
            let bucket = self.stale.buckets.entry(event.t_ns / 1000 / BUCKET_US).or_default();
            *bucket = (bucket.0 + 1, bucket.1.max(stale.age_ns / 1000));
        }
        self.end_us = self.end_us.max(event.t_ns / 1000);
        self.collector.observe(event, stale);
    }

    /// The history cannot be read any further.
    pub fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    /// No event will follow.
    pub fn finish(mut self) -> JudgedHistory {
        let report = self.judge.finish();
        let accused = report.violations.iter().flat_map(Violation::operations);
        let operations = self.collector.finish(accused);
        let Self { stale, refused, bounded, kept_from_us, end_us, .. } = self;
        JudgedHistory { report, operations, stale, refused, bounded, kept_from_us, end_us }
    }
}

impl StaleReads {
    /// Each tenth of a second with stale reads: its middle in microseconds, how many, and the age of the oldest in
    /// microseconds.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.buckets.iter().map(|(bucket, (count, oldest))| {
            ((bucket * BUCKET_US).saturating_add(BUCKET_US / 2), *count, *oldest)
        })
    }
}

impl Records {
    /// What was before this keyframe is not kept: what is known of it stands in the keyframe.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn begin_at(&mut self, keyframe: &Keyframe) -> anyhow::Result<()> {
        /// The parts of the state that a report needs.
        #[derive(Deserialize)]
        struct Known {
            evidence: Evidence,
            verdict: Option<Verdict>,
        }
        let Known { evidence, verdict } = keyframe.state()?;
        (self.evidence, self.verdict, self.kept_from_us) = (evidence, verdict, keyframe.t_us);
        Ok(())
    }

    /// The next event of `events.jsonl`.
    pub fn observe(&mut self, event: Stamped) {
        self.evidence.observe(&event);
        self.last_us = self.last_us.max(event.t_us);
        match event.event {
            LabEvent::Verdict(verdict) => self.verdict = Some(verdict),
            // Most of a run's events; the history has every operation, and nobody asks for a status of then.
            LabEvent::Node { report: types::Report::Status(_), .. } => {}
            LabEvent::Operation(Operation { by: None, .. }) => {}
            _ => self.events.push(event),
        }
    }

    /// How the run began. `None`: these are not the events of a run.
    pub(super) fn header(&self) -> Option<&Header> {
        self.events.iter().find_map(|stamped| match &stamped.event {
            LabEvent::Header(header) => Some(header),
            _ => None,
        })
    }

    /// Violations with their proofs, the first first: as the history shows them, or, if there is none that does, as they
    /// were found while the run went on.
    pub(super) fn violations(&self) -> &[Violation] {
        let (judged, told) = (&self.history.report.violations, self.evidence.violations());
        let is_whole = self.kept_from_us() == 0;
        if judged.is_empty() || !is_whole && !told.is_empty() { told } else { judged }
    }

    /// From when on everything is kept, in microseconds since the run began; 0: all of it is.
    pub(super) fn kept_from_us(&self) -> u64 {
        self.kept_from_us.max(self.history.kept_from_us)
    }

    /// When the last thing happened that is known of, in microseconds since the run began; at least one.
    pub(super) fn end_us(&self) -> u64 {
        self.last_us.max(self.history.end_us).max(1)
    }

    /// How the scenario ended, and why, if it came to its end.
    pub(super) fn outcome(&self) -> Option<(RunOutcome, Option<&str>)> {
        self.events.iter().rev().find_map(|stamped| match &stamped.event {
            LabEvent::Scenario(ScenarioEvent::Finished { outcome, why }) => Some((*outcome, why.as_deref())),
            _ => None,
        })
    }
}
