//! The scenario: its steps, how far it is, what it says. Without one: what to try.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::run::event::RunOutcome;
use crate::screen::layout::Pane;
use crate::screen::paint::{self, Row};
use crate::screen::state::{LessonStep, ScenarioPhase, ScenarioView, StepState};
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    match &scene.view.scenario {
        Some(scenario) if scene.view.is_free() => {
            let inner = scene.frame(area, buf, Pane::Script, "Leaving", "q again: at once");
            steps(inner, buf, scene, scenario);
        }
        Some(scenario) => {
            let remark = format!("{}/{}", scenario.at_step(), scenario.steps.len());
            let title = if scenario.title.is_empty() { "Scenario" } else { &scenario.title };
            let inner = scene.frame(area, buf, Pane::Script, title, &remark);
            match &scenario.phase {
                ScenarioPhase::Finished { outcome, why } => {
                    finished(inner, buf, scene, scenario, *outcome, why.as_deref());
                }
                _ => steps(inner, buf, scene, scenario),
            }
        }
        None => {
            let inner = scene.frame(area, buf, Pane::Script, "Try this", "? lists all keys");
            lesson(inner, buf, scene);
        }
    }
}

fn lesson(inner: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let steps = scene.view.lesson_steps();
    let next = steps.iter().position(|s| !s.done);
    let start = window(steps.len(), next.unwrap_or(steps.len()), usize::from(inner.height));
    for (line, (i, step)) in (0..inner.height).zip(steps.iter().enumerate().skip(start)) {
        let mut row = Row::new(buf, scene.theme, inner, line);
        lesson_step(&mut row, step, next == Some(i));
    }
}

fn lesson_step(row: &mut Row<'_>, step: &LessonStep, next: bool) {
    match (step.done, next) {
        (true, _) => row.sign(Glyph::Yes, Tone::Done),
        (false, true) => row.sign(Glyph::Selected, Tone::Key),
        _ => row.skip(1),
    };
    let (keys, text) = if step.done { (Tone::Dim, Tone::Dim) } else { (Tone::Key, Tone::Text) };
    row.skip(1).cell(&step.keys, 7, keys).skip(1);
    let width = row.left();
    row.put(&words::clip(&step.text, width), text);
}

/// The first of `all` lines to show in `height` rows so that `now` is among them, with what comes next.
fn window(all: usize, now: usize, height: usize) -> usize {
    now.saturating_sub(height / 3).min(all.saturating_sub(height))
}

fn steps(inner: Rect, buf: &mut Buffer, scene: &Scene<'_>, scenario: &ScenarioView) {
    let say = scenario.say.as_deref().or(scenario.story.as_deref()).unwrap_or_default();
    let said = words::wrap(say, usize::from(inner.width).saturating_sub(1), 3);
    let said_height = u16::try_from(said.len()).unwrap_or(0).min(inner.height / 2);
    let phase_height = u16::from(scenario.phase != ScenarioPhase::Steps);
    let height = inner.height.saturating_sub(said_height + phase_height);
    let start = window(scenario.steps.len(), scenario.at_step().saturating_sub(1), usize::from(height));
    for (line, (i, step)) in (0..height).zip(scenario.steps.iter().enumerate().skip(start)) {
        let mut row = Row::new(buf, scene.theme, inner, line);
        let tone = match &step.state {
            StepState::Ahead => (None, Tone::Dim),
            StepState::Now { .. } => (Some((Glyph::Selected, Tone::Key)), Tone::Strong),
            StepState::Done => (Some((Glyph::Yes, Tone::Done)), Tone::Text),
            StepState::Failed(_) => (Some((Glyph::No, Tone::Bad)), Tone::Bad),
        };
        match tone.0 {
            Some((sign, tone)) => row.sign(sign, tone),
            None => row.skip(1),
        };
        row.cell_right(&(i + 1).to_string(), 2, Tone::Dim).skip(1);
        let bar = remaining(scene, &step.state);
        let reserve = bar.as_ref().map_or(0, |(_, text)| BAR + 4 + words::width(text));
        let width = row.left().saturating_sub(reserve);
        row.cell(&step.text, width, tone.1);
        if let Some((share, text)) = bar {
            row.skip(1);
            paint::progress(&mut row, share, BAR, Tone::Ok);
            row.skip(1).put(&text, Tone::Dim);
        }
    }
    if phase_height > 0 {
        phase(Row::new(buf, scene.theme, inner, height), scene, scenario);
    }
    for (line, text) in (inner.height - said_height..).zip(said) {
        Row::new(buf, scene.theme, inner, line).skip(1).put(&text, Tone::Strong);
    }
}

/// Cells of a step's progress bar.
const BAR: usize = 6;

/// How far a step with an end is.
fn remaining(scene: &Scene<'_>, state: &StepState) -> Option<(f64, String)> {
    let StepState::Now { since_us, until_us: Some(until_us) } = state else { return None };
    Some(share(scene.view.now_us, *since_us, *until_us))
}

fn share(now_us: u64, since_us: u64, until_us: u64) -> (f64, String) {
    let all = until_us.saturating_sub(since_us);
    let done = now_us.saturating_sub(since_us).min(all);
    let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
    (share, format!("{}/{}s", done / 1_000_000, all.div_ceil(1_000_000)))
}

fn phase(mut row: Row<'_>, scene: &Scene<'_>, scenario: &ScenarioView) {
    let (label, share) = match &scenario.phase {
        ScenarioPhase::Settling { since_us, until_us } => {
            ("settling: heal, wait until equal", share(scene.view.now_us, *since_us, *until_us))
        }
        ScenarioPhase::ReadingBack { done, total } => {
            let share = if *total == 0 { 1.0 } else { *done as f64 / *total as f64 };
            ("reading back", (share, format!("{done}/{total}")))
        }
        _ => return,
    };
    row.sign(Glyph::Selected, Tone::Key).skip(1);
    let width = row.left().saturating_sub(BAR + 4 + words::width(&share.1));
    row.cell(label, width, Tone::Strong).skip(1);
    paint::progress(&mut row, share.0, BAR, Tone::Ok);
    row.skip(1).put(&share.1, Tone::Dim);
}

fn outcome_words(outcome: RunOutcome) -> (Glyph, Tone, &'static str) {
    match outcome {
        RunOutcome::AsExpected => (Glyph::Yes, Tone::Done, "AS EXPECTED"),
        RunOutcome::Violated => (Glyph::No, Tone::Bad, "NOT AS EXPECTED"),
        RunOutcome::Undecided => (Glyph::Pending, Tone::Warn, "UNDECIDED"),
        RunOutcome::Panicked => (Glyph::Pending, Tone::Bad, "A FAULT OF KVLAB"),
    }
}

fn finished(
    inner: Rect,
    buf: &mut Buffer,
    scene: &Scene<'_>,
    scenario: &ScenarioView,
    outcome: RunOutcome,
    why: Option<&str>,
) {
    let (sign, tone, text) = outcome_words(outcome);
    let mut row = Row::new(buf, scene.theme, inner, 0);
    row.sign(sign, tone).skip(1).put(text, tone).put("   q leaves", Tone::Dim);
    let why = words::wrap(why.unwrap_or_default(), usize::from(inner.width).saturating_sub(2), 2);
    let mut line = 1;
    for text in &why {
        Row::new(buf, scene.theme, inner, line).skip(2).put(text, Tone::Text);
        line += 1;
    }
    // What was not as expected first.
    let mut compared: Vec<_> = scenario.expectations.iter().collect();
    compared.sort_by_key(|e| e.held == Some(true));
    for expectation in compared {
        let (sign, tone) = match expectation.held {
            Some(true) => (Glyph::Yes, Tone::Done),
            Some(false) => (Glyph::No, Tone::Bad),
            None => (Glyph::Pending, Tone::Warn),
        };
        let mut row = Row::new(buf, scene.theme, inner, line);
        let found = format!("{} ({})", expectation.actual, expectation.expected);
        row.sign(sign, tone).skip(1);
        let width = row.left().saturating_sub(words::width(&found) + 1);
        row.cell(&words::clip(&expectation.name, width), width, Tone::Text).skip(1).put(&found, tone);
        line += 1;
    }
}

/// Draws the pane's essence in one line, for the compact screen.
pub fn script_line(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let mut row = Row::new(buf, scene.theme, area, 0);
    row.skip(1);
    let Some(scenario) = &scene.view.scenario else {
        row.put("Try: ", Tone::Dim);
        match scene.view.lesson_steps().iter().find(|s| !s.done) {
            Some(step) => row.put(&step.keys, Tone::Key).skip(2).put(&step.text, Tone::Text),
            None => row.put("all done; ? lists what else there is", Tone::Text),
        };
        return;
    };
    if let ScenarioPhase::Finished { outcome, why } = &scenario.phase {
        let (sign, tone, text) = outcome_words(*outcome);
        row.sign(sign, tone)
            .skip(1)
            .put(text, tone)
            .skip(2)
            .put(why.as_deref().unwrap_or("q leaves"), Tone::Text);
        return;
    }
    if scenario.phase != ScenarioPhase::Steps {
        phase(row, scene, scenario);
        return;
    }
    let at = scenario.at_step();
    row.sign(Glyph::Selected, Tone::Key).put(&format!(" {at}/{} ", scenario.steps.len()), Tone::Dim);
    let step = at.checked_sub(1).and_then(|i| scenario.steps.get(i));
    if let Some((share, text)) = step.and_then(|s| remaining(scene, &s.state)) {
        paint::progress(&mut row, share, BAR, Tone::Ok);
        row.put(&format!(" {text} "), Tone::Dim);
    }
    let say = scenario.say.as_deref().or(step.map(|s| s.text.as_str())).unwrap_or_default();
    let width = row.left();
    row.skip(1).put(&words::clip(say, width.saturating_sub(1)), Tone::Strong);
}
