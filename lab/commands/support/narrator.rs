//! A scenario told line by line, for a run without a dashboard.

use std::time::Duration;

use kvlab::judge::{OpKind, Violation};
use kvlab::types::Quirk;

use crate::run::event::{Actor, LabEvent, Level, Operation, Outcome, ProcessState, ScenarioEvent, Stamped};
use crate::scenario::{Scenario, Step};

/// Turns a run's events into lines. A step is told once, when it begins.
#[derive(Debug)]
pub struct Narrator<'a> {
    scenario: &'a Scenario,
    /// The last step that was told.
    told: usize,
    /// The step whose time is being waited for.
    awaited: usize,
    /// A broken promise was told.
    broken: bool,
    /// That everything was read back was told.
    read_back: bool,
}

impl<'a> Narrator<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, told: 0, awaited: 0, broken: false, read_back: false }
    }

    /// What is told before the first event.
    pub fn opening(&self) -> Vec<String> {
        let Scenario { name, title, episode, story, .. } = self.scenario;
        let episode = episode.as_ref().map(|episode| format!(" (episode {episode})")).unwrap_or_default();
        let title = format!("{name}: {title}{episode}");
        let quirk = |quirk: Quirk| format!("QUIRK {quirk}: {}, on purpose", quirk.mistake());
        let quirks = self.scenario.cluster.settings.quirks.iter().map(quirk);
        std::iter::once(title).chain(story.clone()).chain(quirks).chain([String::new()]).collect()
    }

    /// The lines for an event.
    pub fn lines(&mut self, event: &Stamped) -> Vec<String> {
        let mut lines = Vec::new();
        match &event.event {
            LabEvent::Scenario(told) => self.scenario(told, &mut lines),
            LabEvent::Operation(operation @ Operation { by: Some(Actor::Step(index)), .. }) => {
                self.begin(*index, &mut lines);
                lines.push(format!("       {}", operation_line(operation)));
            }
            LabEvent::Process { node, state: ProcessState::Died { how } } => {
                lines.push(format!("       {node} died by itself: {how}"));
            }
            LabEvent::Damage { node, damage } => {
                lines.push(format!("       {node}: {damage}"));
            }
            LabEvent::Violation(violation) => self.violation(violation, &mut lines),
            LabEvent::Notice { level: Level::Warn | Level::Error, text } => {
                lines.push(format!("       {text}"));
            }
            _ => {}
        }
        lines.into_iter().map(|line| format!("{} {line}", stamp(event.t()))).collect()
    }

    /// Only the first is told; its proof comes at the end.
    fn violation(&mut self, violation: &Violation, lines: &mut Vec<String>) {
        if !std::mem::replace(&mut self.broken, true) {
            let what =
                if violation.linearizability { "NOT linearizable" } else { "a value that nobody wrote" };
            lines.push(format!("       PROMISE BROKEN: key {:?}: {what}", violation.key));
        }
    }

    fn scenario(&mut self, told: &ScenarioEvent, lines: &mut Vec<String>) {
        match told {
            ScenarioEvent::Step { index, say, .. } => {
                let Some(step) = self.step(*index) else { return };
                // An event without the step's words, before its time: it is only waited for.
                let waits =
                    say.is_none() && self.awaited != *index && (step.say.is_some() || step.start.is_later());
                if waits {
                    self.awaited = *index;
                } else {
                    self.begin(*index, lines);
                }
            }
            ScenarioEvent::StepDone { index } => self.begin(*index, lines),
            ScenarioEvent::StepFailed { index, why } => {
                self.begin(*index, lines);
                lines.push(format!("       FAILED: {why}"));
            }
            ScenarioEvent::Settling { .. } => {
                lines.push("settling: stop the load, heal and restart everything".to_owned());
            }
            ScenarioEvent::ReadingBack { done, total } if done == total && !self.read_back => {
                self.read_back = true;
                lines.push(format!("settling: {total} keys read back"));
            }
            ScenarioEvent::ReadingBack { .. }
            | ScenarioEvent::Expectation(_)
            | ScenarioEvent::Finished { .. } => {}
        }
    }

    /// Tells a step unless that was done.
    fn begin(&mut self, index: usize, lines: &mut Vec<String>) {
        if index <= self.told {
            return;
        }
        self.told = index;
        if let Some(step) = self.step(index) {
            lines.push(format!("{index:>2}/{:<2}  {}", self.scenario.steps.len(), step.line()));
        }
    }

    fn step(&self, index: usize) -> Option<&'a Step> {
        self.scenario.steps.get(index.checked_sub(1)?)
    }
}

/// Time since the run began: `  12.3s`.
fn stamp(t: Duration) -> String {
    format!("{:>6.1}s", t.as_secs_f64())
}

/// A step's operation and what came of it.
fn operation_line(operation: &Operation) -> String {
    let Operation { home, op, key, value, outcome, epoch, seq, .. } = operation;
    let value = value.as_deref().map(str::escape_debug);
    let what = match (op, value) {
        (OpKind::Put, Some(value)) => format!("put {key} = \"{value}\" at {home}"),
        (OpKind::Put, None) => format!("put {key} at {home}"),
        (OpKind::Del, _) => format!("del {key} at {home}"),
        (OpKind::Get, Some(value)) if *outcome == Outcome::Ok => {
            format!("get {key} at {home} finds \"{value}\"")
        }
        (OpKind::Get, _) if *outcome == Outcome::Ok => format!("get {key} at {home} finds nothing"),
        (OpKind::Get, _) => format!("get {key} at {home}"),
    };
    match (outcome, epoch.zip(*seq)) {
        (Outcome::Ok, Some((epoch, seq))) => format!("{what}: ok ({epoch}/{seq})"),
        (Outcome::Ok, None) => format!("{what}: ok"),
        (Outcome::Failed(why), _) => format!("{what}: failed: {why}"),
        (Outcome::Unknown(why), _) => format!("{what}: unknown: {why}"),
    }
}

#[cfg(test)]
#[path = "tests/narrator.rs"]
mod tests;
