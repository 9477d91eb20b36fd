//! A proof as a picture: clients from top to bottom, time from left to right, an operation as a bar.
//!
//! Not to scale: what matters is what was before what, so every bar is as long as its words and every begin and
//! end has its own place, in their order. The same layout is drawn as text and as SVG.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

mod picture;
pub mod svg;
mod text;

use std::collections::HashSet;
use std::ops::Range;

use super::history::{OpKind, Phase};
use super::offline::{Excerpts, KeyHistory, KeyOp, OpOutcome, Part};
use super::operation::{Completion, Operation};
use super::value::Shown;
use super::violation::{Violation, ViolationKind};

/// Operations in space and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagram {
    bars: Vec<Bar>,
    /// Below the drawing, a line each.
    notes: Vec<String>,
}

/// One line of the drawing: a client and its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// As it is drawn, without a newline.
    pub text: String,
    /// Which characters of it are the operation that gave the violation away, if that is in this line.
    pub accused: Option<Range<usize>>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bar {
    who: String,
    /// The same in fewer characters.
    who_short: String,
    label: String,
    began: u64,
    /// `None`: it is not known to have ended.
    ended: Option<u64>,
    /// The part that it plays in the proof: `a1`.
    parts: String,
    accused: bool,
}

/// Where everything is, in columns of a character each.
struct Layout<'d> {
    /// From top to bottom: who, and the bars of the lane with the columns of their begin and end.
    lanes: Vec<(&'d str, Vec<Placed<'d>>)>,
    who_width: usize,
    width: usize,
}

struct Placed<'d> {
    bar: &'d Bar,
    label: String,
    from: usize,
    to: usize,
}

/// Columns between two events that follow each other.
const STEP: usize = 2;
/// Columns of a bar besides its label: `├─ … ─┤`.
const ENDS: usize = 6;
/// The same, where the labels are numbers: `├1┤`.
const ENDS_NARROW: usize = 2;
/// Characters of a number.
const NUMBER_MAX: usize = 2;
/// Notes are broken at this many columns at least.
const NOTE_MIN: usize = 60;
/// Labels are not cut shorter than this.
const LABEL_MIN: usize = 8;

impl Diagram {
    /// Operations of the longest order that [`Diagram::of_stuck`] draws: as many as fit a terminal one after another.
    pub const LAST_DRAWN: usize = 3;

    /// The operations of a violation, with the parts that they play, why it is one, and which rule was broken, as far
    /// as the operations tell ([`Violation::rule`]).
    pub fn of_violation(violation: &Violation) -> Self {
        Self::with_rule(violation, violation.rule())
    }

    /// The same, where more is known of the rule than the operations tell.
    pub fn with_rule(violation: &Violation, rule: Option<String>) -> Self {
        let parts = match &violation.kind {
            ViolationKind::Order(proof) => proof.parts(),
            _ => Vec::new(),
        };
        let bar = |operation: &Operation| {
            // What was read from a file may say that it ended before it began.
            let after = |ended: &&Completion| ended.phase != Phase::Info && ended.at.i > operation.began.i;
            let ended = operation.ended.as_ref().filter(after);
            let names = parts.iter().filter(|(_, part)| part.began == operation.began).map(|(name, _)| *name);
            Bar {
                who: who(operation, "client "),
                who_short: who(operation, "c"),
                label: label(operation),
                began: operation.began.i,
                ended: ended.map(|ended| ended.at.i),
                parts: names.collect::<Vec<_>>().join(" "),
                accused: operation.ended.as_ref().is_some_and(|ended| ended.at.i == violation.i),
            }
        };
        let bars = violation.operations().into_iter().map(bar).collect();
        let notes = std::iter::once(violation.explanation()).chain(rule).collect();
        Self { bars, notes }
    }

    /// Without the sentences below the drawing, for who says them elsewhere.
    pub fn without_notes(self) -> Self {
        Self { notes: Vec::new(), ..self }
    }

    /// The same, with the other operations of the history to which it belongs: those that are needed and play no part.
    #[must_use]
    pub fn among(mut self, history: &KeyHistory) -> Self {
        let drawn: HashSet<u64> = self.bars.iter().map(|bar| bar.began).collect();
        let others = history.ops().iter().filter(|op| !drawn.contains(&op.began.i));
        let excerpts = Excerpts::of(history);
        self.bars.extend(others.map(|op| Bar::of(op, "client", false, &excerpts)));
        self.bars.sort_by_key(|bar| bar.began);
        self
    }

    /// The operations of a history.
    pub fn of_history(history: &KeyHistory) -> Self {
        Self::of_ops(history.ops(), None, &Excerpts::of(history))
    }

    /// The smallest part of a history that still fails: all of it, the operation that fits nowhere, and why.
    pub fn of_part(part: &Part) -> Self {
        let (history, stuck) = (&part.history, part.history.ops().get(part.stuck));
        Self { notes: part.notes.clone(), ..Self::of_ops(history.ops(), stuck, &Excerpts::of(history)) }
    }

    /// As far as a search came that found no order: the end of the longest that it found, and the operation that has no
    /// place after it. The fields are those of [`Refutation::Stuck`](super::offline::Refutation::Stuck).
    pub fn of_stuck(history: &KeyHistory, longest: &[usize], stuck: usize) -> Self {
        let ops = |places: &[usize]| -> Vec<KeyOp> {
            places.iter().filter_map(|&at| history.ops().get(at)).cloned().collect()
        };
        let last = ops(&longest[longest.len().saturating_sub(Self::LAST_DRAWN)..]);
        let Some(stuck) = history.ops().get(stuck) else { return Self::default() };
        let mut drawn = last.clone();
        drawn.push(stuck.clone());
        drawn.sort_by_key(|op| op.began.i);
        drawn.dedup();
        let mut diagram = Self::of_ops(&drawn, Some(stuck), &Excerpts::default());
        let count = longest.len();
        let are_drawn = if last.len() == 1 { "is".to_owned() } else { format!("{} are", last.len()) };
        diagram.notes = vec![match last.last() {
            None => format!("{stuck} fits nowhere, not even at the beginning"),
            Some(ends) => format!(
                "The longest order that was found has {count} of {} operations, of which the last {are_drawn} drawn; it \
                 ends with {ends}. After it {stuck} fits nowhere",
                history.ops().len(),
            ),
        }];
        diagram
    }

    fn of_ops(ops: &[KeyOp], stuck: Option<&KeyOp>, excerpts: &Excerpts) -> Self {
        let bars = ops.iter().map(|op| Bar::of(op, "process", Some(op) == stuck, excerpts)).collect();
        Self { bars, notes: Vec::new() }
    }

    /// The drawing alone, a lane a line, in at most `width` columns if it can be.
    pub fn lanes(&self, width: usize) -> Vec<Lane> {
        text::lanes(self, width)
    }

    /// What is said below the drawing: why it is a violation, and then which rule was broken, if that is known.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// As text, in at most `width` columns if it can be: labels are cut for it, but not below legibility. Ends with
    /// a newline.
    pub fn text(&self, width: usize) -> String {
        text::draw(self, width)
    }

    /// As an SVG document that follows the reader's light or dark scheme.
    pub fn svg(&self) -> String {
        picture::draw(self, true)
    }

    /// The same without colours, to stand within a page that brings them.
    pub fn svg_in_page(&self) -> String {
        picture::draw(self, false)
    }

    /// The same with numbers instead of labels, if with these it is wider than `width`; and what the numbers mean, a line
    /// each.
    fn numbered(&self, width: usize) -> Option<(Self, Vec<String>)> {
        if self.layout_with(self.label_max(), true).width <= width {
            return None;
        }
        let mut numbered = self.clone();
        let legend = (1..).zip(&mut numbered.bars).map(|(number, bar)| {
            let label = std::mem::replace(&mut bar.label, number.to_string());
            format!("{number:>2}  {}: {label}", bar.who)
        });
        let legend = legend.collect();
        Some((numbered, legend))
    }

    fn label_max(&self) -> usize {
        self.bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0)
    }

    /// The layout with clients named in short, and then labels cut, so that it fits `width` columns.
    fn layout(&self, width: usize) -> Layout<'_> {
        let mut label_max = self.label_max().max(LABEL_MIN);
        let whole = self.layout_with(label_max, false);
        if whole.width <= width {
            return whole;
        }
        loop {
            let layout = self.layout_with(label_max, true);
            if layout.width <= width || label_max == LABEL_MIN {
                return layout;
            }
            label_max = (label_max - (label_max / 8).max(1)).max(LABEL_MIN);
        }
    }

    fn layout_with(&self, label_max: usize, short: bool) -> Layout<'_> {
        let mut events: Vec<u64> =
            self.bars.iter().flat_map(|bar| [Some(bar.began), bar.ended]).flatten().collect();
        events.sort_unstable();
        events.dedup();
        let place = |event: u64| events.binary_search(&event).unwrap_or(0);
        let label = |bar: &Bar| cut(&bar.label, label_max);
        let ends = if self.label_max() <= NUMBER_MAX { ENDS_NARROW } else { ENDS };
        let mut columns = vec![0_usize; events.len()];
        for at in 1..events.len() {
            // Room for every bar that ends here, so bars are taken by their end.
            let bars = self.bars.iter().filter(|bar| bar.ended == Some(events[at]));
            let needs = bars.map(|bar| columns[place(bar.began)] + label(bar).chars().count() + ends - 1);
            columns[at] = needs.max().unwrap_or(0).max(columns[at - 1] + STEP);
        }
        let open_end = |bar: &Bar| columns[place(bar.began)] + label(bar).chars().count() + ends - 1;
        let open = self.bars.iter().filter(|bar| bar.ended.is_none()).map(open_end).max().unwrap_or(0);
        let last = columns.last().copied().unwrap_or(0).max(open);
        let mut lanes: Vec<(&str, Vec<Placed<'_>>)> = Vec::new();
        for bar in &self.bars {
            let from = columns.get(place(bar.began)).copied().unwrap_or(0);
            let to = bar.ended.map_or(last, |ended| columns[place(ended)]);
            let placed = Placed { bar, label: label(bar), from, to };
            // A process whose operation never ended may go on: then it has another lane.
            let who = if short { &bar.who_short } else { &bar.who };
            let free = |lane: &&mut (&str, Vec<Placed<'_>>)| {
                lane.0 == who && lane.1.last().is_none_or(|before| before.to < from)
            };
            match lanes.iter_mut().find(free) {
                Some(lane) => lane.1.push(placed),
                None => lanes.push((who, vec![placed])),
            }
        }
        let who_width = lanes.iter().map(|lane| lane.0.chars().count()).max().unwrap_or(0);
        let parts = lanes.iter().map(|lane| parts(&lane.1).chars().count()).max().unwrap_or(0);
        Layout { lanes, who_width, width: who_width + 2 + last + 1 + 2 + parts }
    }
}

impl Bar {
    /// `who` is `client` or `process`.
    fn of(op: &KeyOp, who: &'static str, accused: bool, excerpts: &Excerpts) -> Self {
        let act = op.done(&|printed| excerpts.shown(printed));
        Self {
            who: format!("{who} {}", op.process),
            who_short: format!("{}{}", &who[..1], op.process),
            label: match op.outcome {
                OpOutcome::Ok => act,
                OpOutcome::Unknown => format!("{act}?"),
                OpOutcome::Failed => format!("{act}, failed"),
            },
            began: op.began.i,
            ended: op.ended.filter(|_| op.outcome != OpOutcome::Unknown).map(|ended| ended.i),
            parts: String::new(),
            accused,
        }
    }
}

/// The parts that the operations of a lane play: `b1 b2, a2`.
fn parts(bars: &[Placed<'_>]) -> String {
    let parts = bars.iter().map(|placed| &*placed.bar.parts).filter(|parts| !parts.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

fn who(operation: &Operation, client: &str) -> String {
    match operation.node {
        Some(node) => format!("{client}{} at {node}", operation.client),
        None => format!("{client}{}", operation.client),
    }
}

fn label(operation: &Operation) -> String {
    let value = Shown(operation.value.as_ref());
    let what = match operation.op {
        OpKind::Put => format!("write {value}"),
        OpKind::Get => format!("read {value}"),
        OpKind::Del => "delete".to_owned(),
    };
    match operation.ended.as_ref().map(|ended| ended.phase) {
        Some(Phase::Fail) => format!("{what}, failed"),
        Some(Phase::Ok) => what,
        Some(Phase::Info | Phase::Invoke) | None => format!("{what}?"),
    }
}

fn cut(label: &str, max: usize) -> String {
    if label.chars().count() <= max {
        return label.to_owned();
    }
    label.chars().take(max - 1).chain(['…']).collect()
}

/// At spaces, into lines of at most `width` characters where words allow.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
