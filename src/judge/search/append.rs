//! A string under a key: put, append, get. Porcupine's and Knossos's key-value histories are of this kind.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::hash::Hash;
use super::{Call, Model};

/// A string that can be set, appended to and read; it starts empty.
///
/// A string matters only as long as a longer one may still be read. So the states are the *live* strings: beginnings
/// of what some get returned that can be made of the texts written. All others are one, [`SPOILED`]: they fit no get,
/// nor does anything that is appended to them. `prepare` finds the live strings, and what each text makes of them:
/// then no string is built or compared any more.
///
/// * Live strings are numbered so that those that begin with string n are n to `last[n]`; 0 is the empty one.
/// * If no text begins with another, a string is made of texts in one way only. A text that was written once and
///   occurs in what some get returned must then have been written where it gives a live string.
#[derive(Clone, Debug, Default)]
pub struct AppendModel {
    /// Of each live string: the last that begins with it.
    last: Vec<u32>,
    /// From a live string, by the text of this number, to the live string that it gives.
    longer: HashMap<(u32, u32), u32, Hash>,
    /// Of each text: whether it gives a live string anywhere.
    is_seen: Vec<bool>,
    /// Of each text: whether it was written once, and some get cannot be without it.
    is_needed: Vec<bool>,
}

/// An operation on the string, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AppendOp {
    /// Set it.
    Put(String),
    /// Appended to it.
    Append(String),
    /// Returned it.
    Get(String),
}

/// An operation with numbers instead of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendStep {
    /// Set it to the text of this number.
    Put(u32),
    /// Appended the text of this number.
    Append(u32),
    /// Returned the live string of this number; [`SPOILED`]: a string that cannot be.
    Get(u32),
}

/// The state in which no get fits until the next put.
const SPOILED: u32 = u32::MAX;
/// The live string that is empty.
const EMPTY: u32 = 0;

impl AppendModel {
    fn after(&self, state: u32, text: u32) -> u32 {
        self.longer.get(&(state, text)).copied().unwrap_or(SPOILED)
    }
}

impl Model for AppendModel {
    type Op = AppendOp;
    type Step = AppendStep;
    type State = u32;

    fn only_looks(&self, op: &AppendOp) -> bool {
        matches!(op, AppendOp::Get(_))
    }

    fn prepare(&mut self, calls: &[&Call<AppendOp>]) -> Vec<AppendStep> {
        *self = Self::default();
        let ops: Vec<&AppendOp> = calls.iter().map(|call| &call.op).collect();
        let texts = Texts::of(&ops);
        let step = |op: &&AppendOp| match *op {
            AppendOp::Put(text) => AppendStep::Put(texts.numbers[text.as_bytes()]),
            AppendOp::Append(text) => AppendStep::Append(texts.numbers[text.as_bytes()]),
            AppendOp::Get(_) => AppendStep::Get(SPOILED),
        };
        let mut steps: Vec<AppendStep> = ops.iter().map(step).collect();
        let gets = ops.iter().zip(0_usize..).filter_map(|(op, at)| Some((op.got()?.as_bytes(), at)));
        let mut gets: Vec<(&[u8], usize)> = gets.collect();
        gets.sort_unstable();
        let mut live = Live { model: self, texts: &texts, path: Vec::new(), count: 0 };
        live.push(0);
        let mut before: &[u8] = &[];
        for (value, at) in gets {
            steps[at] = AppendStep::Get(live.add(before, value));
            before = value;
        }
        live.pop_beyond(None);
        self.is_seen = vec![false; texts.times.len()];
        for &(_, text) in self.longer.keys() {
            self.is_seen[text as usize] = true;
        }
        let once = texts.times.iter().map(|&times| texts.are_separate && times == 1);
        self.is_needed = once.zip(&self.is_seen).map(|(once, &seen)| once && seen).collect();
        steps
    }

    fn initial(&self) -> u32 {
        EMPTY
    }

    fn step(&self, state: u32, step: AppendStep) -> Option<u32> {
        match step {
            AppendStep::Put(text) => Some(self.after(EMPTY, text)),
            AppendStep::Append(text) => Some(self.after(state, text)),
            AppendStep::Get(string) => (string == state && state != SPOILED).then_some(state),
        }
    }

    fn overwrites(&self, step: AppendStep) -> bool {
        matches!(step, AppendStep::Put(_))
    }

    fn leads(&self, state: u32, looks: AppendStep) -> bool {
        let AppendStep::Get(string) = looks else { return false };
        state != SPOILED && state <= string && string <= self.last[state as usize]
    }

    fn is_source(&self, changes: AppendStep, looks: AppendStep) -> bool {
        let AppendStep::Put(text) = changes else { return false };
        self.leads(self.after(EMPTY, text), looks)
    }

    fn is_spoiled(&self, state: u32) -> bool {
        state == SPOILED
    }

    fn is_idle(&self, step: AppendStep) -> bool {
        match step {
            // It only spoils.
            AppendStep::Put(text) | AppendStep::Append(text) => !self.is_seen[text as usize],
            AppendStep::Get(_) => false,
        }
    }

    /// Whatever spoils from everywhere is placed where nothing is left to be spoiled.
    fn settles(&self, state: u32, step: AppendStep) -> Option<u32> {
        (state == SPOILED && self.is_idle(step)).then_some(SPOILED)
    }

    fn is_wasted(&self, step: AppendStep, after: u32) -> bool {
        match step {
            AppendStep::Put(text) | AppendStep::Append(text) => {
                after == SPOILED && self.is_needed[text as usize]
            }
            AppendStep::Get(_) => false,
        }
    }
}

impl AppendOp {
    fn written(&self) -> Option<&str> {
        match self {
            Self::Put(text) | Self::Append(text) => Some(text),
            Self::Get(_) => None,
        }
    }

    fn got(&self) -> Option<&str> {
        match self {
            Self::Get(value) => Some(value),
            Self::Put(_) | Self::Append(_) => None,
        }
    }
}

/// The texts that were written.
struct Texts<'a> {
    numbers: HashMap<&'a [u8], u32, Hash>,
    /// How often each was.
    times: Vec<u32>,
    /// Their lengths in bytes, ascending, without 0.
    lengths: Vec<usize>,
    /// Whether none begins with another.
    are_separate: bool,
}

impl<'a> Texts<'a> {
    fn of(ops: &[&'a AppendOp]) -> Self {
        let (mut numbers, mut times) = (HashMap::<&[u8], u32, Hash>::default(), Vec::new());
        for text in ops.iter().filter_map(|op| op.written()) {
            let number = *numbers.entry(text.as_bytes()).or_insert(times.len() as u32);
            if number as usize == times.len() {
                times.push(0);
            }
            times[number as usize] += 1;
        }
        let mut sorted: Vec<&[u8]> = numbers.keys().copied().collect();
        sorted.sort_unstable();
        let are_separate = sorted.windows(2).all(|pair| !pair[1].starts_with(pair[0]));
        let lengths: HashSet<usize, Hash> =
            sorted.iter().map(|text| text.len()).filter(|&len| len > 0).collect();
        let mut lengths: Vec<usize> = lengths.into_iter().collect();
        lengths.sort_unstable();
        Self { numbers, times, lengths, are_separate }
    }

    /// Each text, but the empty one, with which `rest` begins: its length and its number.
    fn at(&self, rest: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let fits = self.lengths.iter().take_while(|&&len| len <= rest.len());
        fits.filter_map(|&len| self.numbers.get(&rest[..len]).map(|&text| (len, text)))
    }
}

/// How many bytes two texts have in common at their beginnings.
fn common(one: &[u8], other: &[u8]) -> usize {
    /// Bytes that are compared at once, for most are equal.
    const BLOCK: usize = 64;
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK));
    let whole = BLOCK * blocks.take_while(|(one, other)| one == other).count();
    whole + one[whole..].iter().zip(&other[whole..]).take_while(|(one, other)| one == other).count()
}

/// The live strings, found from one value to the next in their order: so each comes right before those that begin
/// with it.
struct Live<'a, 't> {
    model: &'a mut AppendModel,
    texts: &'a Texts<'t>,
    /// Those with which the value begins, the shortest first: length and number.
    path: Vec<(usize, u32)>,
    count: u32,
}

impl Live<'_, '_> {
    /// Adds the beginnings of a value that the value before it has not. Returns its own number, or [`SPOILED`].
    fn add(&mut self, before: &[u8], value: &[u8]) -> u32 {
        let common = common(before, value);
        self.pop_beyond(Some(common));
        // By length: what gives a beginning of this length.
        let mut found: BTreeMap<usize, Vec<(u32, u32)>> = BTreeMap::new();
        let reach = self.texts.lengths.last().copied().unwrap_or(0);
        let near = self.path.partition_point(|&(len, _)| len + reach <= common);
        for at in near..self.path.len() {
            self.look(self.path[at], value, common, &mut found);
        }
        while let Some((len, from)) = found.pop_first() {
            let string = self.push(len);
            for step in from {
                self.model.longer.insert(step, string);
            }
            self.look((len, string), value, len, &mut found);
        }
        self.path.last().filter(|(len, _)| *len == value.len()).map_or(SPOILED, |&(_, string)| string)
    }

    /// Notes what texts make of a live string, if that is longer than `common`.
    fn look(
        &mut self,
        (len, string): (usize, u32),
        value: &[u8],
        common: usize,
        found: &mut BTreeMap<usize, Vec<(u32, u32)>>,
    ) {
        for (more, text) in self.texts.at(&value[len..]) {
            if len + more > common {
                found.entry(len + more).or_default().push((string, text));
            }
        }
    }

    fn push(&mut self, len: usize) -> u32 {
        let string = self.count;
        self.count += 1;
        self.model.last.push(string);
        if let Some(&nothing) = self.texts.numbers.get(&[][..]) {
            self.model.longer.insert((string, nothing), string);
        }
        self.path.push((len, string));
        string
    }

    /// Leaves the live strings longer than `common`, or all: no other begins with them.
    fn pop_beyond(&mut self, common: Option<usize>) {
        while let Some(&(len, string)) = self.path.last()
            && common.is_none_or(|common| len > common)
        {
            self.model.last[string as usize] = self.count - 1;
            self.path.pop();
        }
    }
}
