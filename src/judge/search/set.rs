//! A set that grows: add, read of all.

use std::collections::BTreeMap;

use super::interner::Interner;
use super::{Call, Model};

/// A set of elements that are numbers; it starts empty, and nothing is removed.
///
/// What reads returned is known beforehand, and the set goes through it from the smaller to the larger: `reads`. So an
/// element that is not in the next of these has to wait until all reads of what is there now have been placed; and
/// between two of them nobody looks, so that whatever is in the next is placed as soon as it can be.
#[derive(Debug, Default)]
pub struct SetModel {
    /// What reads returned, each once, the smallest first; as bits.
    reads: Vec<Bits>,
    /// How many elements each of them has.
    sizes: Vec<u32>,
    /// A read of an element that nobody adds.
    misfit: Option<u32>,
    /// Whether any read returned the element.
    seen: Bits,
    sets: Interner<u64>,
}

/// An operation on a set, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Added this element.
    Add(u32),
    /// Returned these elements, in any order.
    Read(Vec<u32>),
}

/// An operation with numbers instead of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetStep {
    /// Added this element.
    Add(u32),
    /// Returned the set of this number, in the order of their sizes.
    Read(u32),
}

/// A set as bits; it has no empty words at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Bits(Vec<u64>);

impl Bits {
    fn of(elements: &[u32]) -> Self {
        let mut bits = Self::default();
        for &element in elements {
            bits.insert(element);
        }
        bits
    }

    fn insert(&mut self, element: u32) {
        let word = element as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (element % 64);
    }

    fn has(words: &[u64], element: u32) -> bool {
        words.get(element as usize / 64).is_some_and(|word| word >> (element % 64) & 1 == 1)
    }

    fn size(words: &[u64]) -> u32 {
        words.iter().map(|word| word.count_ones()).sum()
    }
}

impl SetModel {
    /// The next of `reads` that is larger than the set, if any, and whether the set is as large as one.
    fn next(&self, words: &[u64]) -> (Option<usize>, bool) {
        let size = Bits::size(words);
        let next = self.sizes.partition_point(|&other| other <= size);
        (Some(next).filter(|&next| next < self.reads.len()), next > 0 && self.sizes[next - 1] == size)
    }

    fn with(&self, words: &[u64], element: u32) -> u32 {
        let mut larger = Bits(words.to_vec());
        larger.insert(element);
        self.sets.number(&larger.0)
    }
}

impl Model for SetModel {
    type Op = SetOp;
    type Step = SetStep;
    type State = u32;

    fn only_looks(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Read(_))
    }

    fn prepare(&mut self, calls: &[&Call<SetOp>]) -> Vec<SetStep> {
        *self = Self::default();
        let mut added = Bits::default();
        let mut reads: BTreeMap<(u32, Bits), u32> = BTreeMap::new();
        let sized = |elements: &[u32]| {
            let bits = Bits::of(elements);
            (Bits::size(&bits.0), bits)
        };
        for call in calls {
            match &call.op {
                SetOp::Add(element) => added.insert(*element),
                SetOp::Read(elements) => {
                    elements.iter().for_each(|&element| self.seen.insert(element));
                    reads.insert(sized(elements), 0);
                }
            }
        }
        for ((size, bits), number) in &mut reads {
            *number = self.reads.len() as u32;
            self.sizes.push(*size);
            self.reads.push(bits.clone());
        }
        let is_added = |element: &u32| Bits::has(&added.0, *element);
        let is_misfit = |call: &&Call<SetOp>| match &call.op {
            SetOp::Read(elements) => !elements.iter().all(is_added),
            SetOp::Add(_) => false,
        };
        self.misfit = calls.iter().position(is_misfit).map(|at| at as u32);
        let step = |call: &&Call<SetOp>| match &call.op {
            SetOp::Add(element) => SetStep::Add(*element),
            SetOp::Read(elements) => SetStep::Read(reads[&sized(elements)]),
        };
        calls.iter().map(step).collect()
    }

    fn initial(&self) -> u32 {
        self.sets.number(&[])
    }

    fn step(&self, state: u32, step: SetStep) -> Option<u32> {
        let words = self.sets.list(state);
        match step {
            SetStep::Add(element) if Bits::has(&words, element) => Some(state),
            SetStep::Add(element) => Some(self.with(&words, element)),
            SetStep::Read(read) => (*words == self.reads[read as usize].0[..]).then_some(state),
        }
    }

    fn is_wasted(&self, step: SetStep, after: u32) -> bool {
        // The smallest read that has all that is there now: before the element came it was the next one.
        let SetStep::Add(element) = step else { return false };
        let words = self.sets.list(after);
        let next = self.sizes.partition_point(|&size| size < Bits::size(&words));
        self.reads.get(next).is_some_and(|next| !Bits::has(&next.0, element))
    }

    fn leads(&self, state: u32, looks: SetStep) -> bool {
        let SetStep::Read(read) = looks else { return true };
        Bits::size(&self.sets.list(state)) <= self.sizes[read as usize]
    }

    fn misfit(&self) -> Option<u32> {
        self.misfit
    }

    fn is_idle(&self, step: SetStep) -> bool {
        matches!(step, SetStep::Add(element) if !Bits::has(&self.seen.0, element))
    }

    fn settles(&self, state: u32, step: SetStep) -> Option<u32> {
        let SetStep::Add(element) = step else { return None };
        let words = self.sets.list(state);
        if Bits::has(&words, element) {
            return Some(state);
        }
        let (next, is_read) = self.next(&words);
        let fits = next.is_none_or(|next| Bits::has(&self.reads[next].0, element));
        (!is_read && fits).then(|| self.with(&words, element))
    }
}
