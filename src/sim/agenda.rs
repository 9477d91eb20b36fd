//! What is to happen when: the clock of a simulation that runs by itself.

use std::collections::BTreeMap;

use crate::types::Time;

/// Things to come, earliest first; of two at the same time, the one noted first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// By when they are due, and in which order they were noted.
    things: BTreeMap<(Time, u64), T>,
    noted: u64,
}

impl<T> Agenda<T> {
    /// Nothing to come.
    pub(crate) fn new() -> Self {
        Self { things: BTreeMap::new(), noted: 0 }
    }

    /// Notes something.
    pub(crate) fn note(&mut self, due: Time, what: T) {
        self.noted += 1;
        self.things.insert((due, self.noted), what);
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.things.first_key_value().map(|(&(due, _), _)| due)
    }

    /// Takes the next thing.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.things.pop_first().map(|(_, what)| what)
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
        let order: Vec<_> = std::iter::from_fn(|| agenda.take()).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        agenda.note(ms(3), "e");
        assert_eq!((agenda.next_due(), agenda.take()), (Some(ms(3)), Some("e")));
    }
}
