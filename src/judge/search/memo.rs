//! Which sets of operations have been placed, and with what result.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::judge::hash::AsIs;

/// The set of operations placed now, and every (set, state) that has been reached, up to a bound. Exact: hashes only
/// find. What is not remembered beyond the bound is searched again.
#[derive(Default)]
pub(super) struct Memo {
    /// A bit for each operation.
    bits: Vec<u64>,
    /// Words from the first that are full, at most all of them.
    full: usize,
    /// One more than the last word that is not empty, at the most.
    end: usize,
    /// The combined hash of the operations placed.
    hash: u64,
    heads: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    entries: Vec<Entry>,
    /// The words of all entries.
    words: Vec<u64>,
}

/// A set with a state: all words before `from` are full, and all after its words are empty.
struct Entry {
    state: u64,
    start: usize,
    from: u32,
    len: u32,
    /// The next entry of the same hash, by number; `NONE` ends.
    chain: u32,
}

const NONE: u32 = u32::MAX;

/// Sets that are remembered: with their words within [`WORDS_MAX`] some 1.5 GiB.
const ENTRIES_MAX: usize = 1 << 24;
/// Words that are.
const WORDS_MAX: usize = 1 << 26;

impl Memo {
    pub(super) fn new(operations: usize) -> Self {
        Self { bits: vec![0; operations.div_ceil(64)], ..Self::default() }
    }

    /// Places one more operation.
    pub(super) fn place(&mut self, call: u32) {
        let word = call as usize / 64;
        self.bits[word] |= 1 << (call % 64);
        self.hash ^= mix(u64::from(call));
        self.end = self.end.max(word + 1);
        while self.bits.get(self.full) == Some(&u64::MAX) {
            self.full += 1;
        }
    }

    /// Whether an operation is in the set.
    pub(super) fn holds(&self, call: u32) -> bool {
        self.bits[call as usize / 64] >> (call % 64) & 1 == 1
    }

    /// Takes an operation out of the set again.
    pub(super) fn take_back(&mut self, call: u32) {
        let word = call as usize / 64;
        self.bits[word] &= !(1 << (call % 64));
        self.hash ^= mix(u64::from(call));
        self.full = self.full.min(word);
        while self.end > 0 && self.bits[self.end - 1] == 0 {
            self.end -= 1;
        }
    }

    /// Notes that the set gives this state. False: it was reached with this state before.
    pub(super) fn note(&mut self, state: u64) -> bool {
        let from = self.full.min(self.end);
        let words = &self.bits[from..self.end];
        let hash = self.hash ^ mix(!state);
        let head = self.heads.get(&hash).copied().unwrap_or(NONE);
        let mut at = head;
        while at != NONE {
            let entry = &self.entries[at as usize];
            let same = entry.state == state && entry.from as usize == from;
            if same && self.words[entry.start..entry.start + entry.len as usize] == *words {
                return false;
            }
            at = entry.chain;
        }
        if self.entries.len() >= ENTRIES_MAX || self.words.len() + words.len() > WORDS_MAX {
            return true;
        }
        let number = self.entries.len() as u32;
        let (start, len) = (self.words.len(), words.len() as u32);
        self.entries.push(Entry { state, start, from: from as u32, len, chain: head });
        self.words.extend_from_slice(words);
        self.heads.insert(hash, number);
        true
    }
}

/// Spreads a number over all bits (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
