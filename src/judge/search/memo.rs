//! Which sets of operations have been placed, and with what result.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::super::ids::AsIs;

/// The set of operations placed now, and every (set, state) that has been reached. Exact: hashes only find.
pub(super) struct Memo {
    /// A bit for each operation.
    bits: Vec<u64>,
    /// The combined hash of the operations placed.
    hash: u64,
    heads: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    entries: Vec<Entry>,
    /// The words of all entries.
    words: Vec<u64>,
}

/// A set with a state: all words before `from` are full, and all after its words are empty.
struct Entry {
    state: u32,
    from: u32,
    start: usize,
    len: u32,
    /// The next entry of the same hash, by number; `NONE` ends.
    chain: u32,
}

const NONE: u32 = u32::MAX;

impl Memo {
    pub(super) fn new(operations: usize) -> Self {
        Self {
            bits: vec![0; operations.div_ceil(64)],
            hash: 0,
            heads: HashMap::default(),
            entries: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Places one more operation with this result, unless the same set with the same result was reached before.
    pub(super) fn place(&mut self, call: u32, state: u32) -> bool {
        let (word, bit) = (call as usize / 64, 1_u64 << (call % 64));
        self.bits[word] |= bit;
        self.hash ^= mix(u64::from(call));
        let is_new = self.insert(state);
        if !is_new {
            self.take_back(call);
        }
        is_new
    }

    /// Takes an operation out of the set again.
    pub(super) fn take_back(&mut self, call: u32) {
        self.bits[call as usize / 64] &= !(1_u64 << (call % 64));
        self.hash ^= mix(u64::from(call));
    }

    fn insert(&mut self, state: u32) -> bool {
        let from = self.bits.iter().position(|&word| word != u64::MAX).unwrap_or(self.bits.len());
        let len = self.bits[from..].iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        let words = &self.bits[from..from + len];
        let hash = self.hash ^ mix(u64::from(state) | 1 << 40);
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
        let number = self.entries.len() as u32;
        assert!(number != NONE, "the search is given up before it has taken 2^32 - 1 steps");
        let (from, start, len) = (from as u32, self.words.len(), len as u32);
        self.entries.push(Entry { state, from, start, len, chain: head });
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
