//! What is to happen when: the clock of a simulation that runs by itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::replication::Time;

/// Things to come, earliest first; of two at the same time, the one noted first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<Item<T>>>,
    noted: u64,
}

#[derive(Debug)]
struct Item<T> {
    due: Time,
    order: u64,
    what: T,
}

impl<T> Agenda<T> {
    /// Nothing to come.
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), noted: 0 }
    }

    /// Notes something.
    pub(crate) fn note(&mut self, due: Time, what: T) {
        self.noted += 1;
        self.heap.push(Reverse(Item { due, order: self.noted, what }));
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(item)| item.due)
    }

    /// Takes the next thing.
    pub(crate) fn take(&mut self) -> Option<(Time, T)> {
        self.heap.pop().map(|Reverse(item)| (item.due, item.what))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_ties_keep_their_order() {
        let mut agenda = Agenda::new();
        let ms = Time::from_millis;
        for (due, what) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            agenda.note(ms(due), what);
        }
        assert_eq!(agenda.next_due(), Some(ms(1)));
        let order: Vec<_> = std::iter::from_fn(|| agenda.take()).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
