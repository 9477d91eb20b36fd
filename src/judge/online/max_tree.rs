//! A range-maximum tree over a sliding run of places.

use std::ops::Range;

/// The maximum of any range of places, in O(log n). Places are absolute and only grow; the tree holds a run of
/// them in a ring, so that the oldest can be let go for nothing.
///
/// * The caller knows which places are live; those let go are never asked for.
/// * The capacity is a power of two and at least the number of live places.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxTree {
    /// Node 1 is the root, the leaves are the second half. Empty until the first place.
    nodes: Vec<u64>,
}

impl MaxTree {
    /// Sets the next place, `live.end`, to `value`; `live` are the places set and not let go before it.
    pub(super) fn push(&mut self, live: Range<u64>, value: u64) {
        let place = live.end;
        if live.end - live.start >= self.capacity() {
            self.grow(live);
        }
        let mut node = self.leaf(place);
        self.nodes[node] = value;
        // The leaf may hold what an earlier round of the ring left above it: parents are recomputed, not raised.
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].max(self.nodes[2 * node + 1]);
        }
    }

    /// Raises a live place to `value` if that is more.
    pub(super) fn raise(&mut self, place: u64, value: u64) {
        let mut node = self.leaf(place);
        while node >= 1 && self.nodes[node] < value {
            self.nodes[node] = value;
            node /= 2;
        }
    }

    /// The value of a live place.
    pub(super) fn get(&self, place: u64) -> u64 {
        self.nodes[self.leaf(place)]
    }

    /// The maximum over a range of live places; 0 if it is empty.
    pub(super) fn max(&self, range: Range<u64>) -> u64 {
        if range.start >= range.end {
            return 0;
        }
        let capacity = self.capacity();
        debug_assert!(range.end - range.start <= capacity, "{range:?} is more than {capacity} places");
        let (from, to) = (self.leaf(range.start), self.leaf(range.end - 1));
        if from <= to {
            self.max_of_leaves(from, to)
        } else {
            let (first, last) = (capacity as usize, 2 * capacity as usize - 1);
            self.max_of_leaves(from, last).max(self.max_of_leaves(first, to))
        }
    }

    fn capacity(&self) -> u64 {
        (self.nodes.len() / 2) as u64
    }

    fn leaf(&self, place: u64) -> usize {
        let capacity = self.capacity();
        (capacity + (place & (capacity - 1))) as usize
    }

    fn max_of_leaves(&self, mut from: usize, mut to: usize) -> u64 {
        let mut max = 0;
        to += 1;
        while from < to {
            if from % 2 == 1 {
                max = max.max(self.nodes[from]);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                max = max.max(self.nodes[to]);
            }
            from /= 2;
            to /= 2;
        }
        max
    }

    fn grow(&mut self, live: Range<u64>) {
        let capacity = (2 * self.capacity()).max(1);
        let mut grown = Self { nodes: vec![0; 2 * capacity as usize] };
        for place in live {
            let leaf = grown.leaf(place);
            grown.nodes[leaf] = self.get(place);
        }
        for node in (1..capacity as usize).rev() {
            grown.nodes[node] = grown.nodes[2 * node].max(grown.nodes[2 * node + 1]);
        }
        *self = grown;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is pushed, raised and let go: every range answers as a plain list does.
        #[test]
        fn every_range_answers_as_a_list(steps in prop::collection::vec((0u8..4, 0u64..50, any::<prop::sample::Index>()), 1..120)) {
            let mut tree = MaxTree::default();
            let (mut list, mut first) = (Vec::<u64>::new(), 0_usize);
            for (what, value, at) in steps {
                match what {
                    0 | 1 => {
                        tree.push(first as u64..list.len() as u64, value);
                        list.push(value);
                    }
                    2 if first < list.len() => {
                        let place = first + at.index(list.len() - first);
                        tree.raise(place as u64, value);
                        list[place] = list[place].max(value);
                    }
                    3 if first < list.len() => first += 1,
                    _ => {}
                }
                for from in first..=list.len() {
                    for to in from..=list.len() {
                        let expected = list[from..to].iter().copied().max().unwrap_or(0);
                        prop_assert_eq!(tree.max(from as u64..to as u64), expected, "{}..{}", from, to);
                    }
                }
            }
        }
    }
}
