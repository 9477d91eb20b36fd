//! What is to happen when: the clock of a simulation that runs by itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::types::Time;

/// Things to come, earliest first; of two at the same time, the one noted first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// When, in which order noted, and where in `things`: what is moved about is small, whatever `T` is.
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    things: Vec<Option<T>>,
    free: Vec<usize>,
    noted: u64,
}

impl<T> Agenda<T> {
    /// Nothing to come.
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), things: Vec::new(), free: Vec::new(), noted: 0 }
    }

    /// Notes something.
    pub(crate) fn note(&mut self, due: Time, what: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.things.push(None);
            self.things.len() - 1
        });
        self.things[place] = Some(what);
        self.noted += 1;
        self.heap.push(Reverse((due, self.noted, place)));
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.heap.peek().map(|&Reverse((due, ..))| due)
    }

    /// Takes the next thing.
    pub(crate) fn take(&mut self) -> Option<(Time, T)> {
        let Reverse((due, _, place)) = self.heap.pop()?;
        self.free.push(place);
        Some((due, self.things[place].take().expect("a place is taken once")))
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
        agenda.note(ms(3), "e");
        assert_eq!(agenda.take(), Some((ms(3), "e")), "places are used again");
    }
}
