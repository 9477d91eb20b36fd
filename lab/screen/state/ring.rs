//! A list that forgets its oldest items instead of growing.

use std::collections::VecDeque;

/// The newest items, at most `max` of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring<T> {
    items: VecDeque<T>,
    max: usize,
}

impl<T> Ring<T> {
    /// An empty ring for `max` items (at least one).
    pub fn new(max: usize) -> Self {
        Self { items: VecDeque::new(), max: max.max(1) }
    }

    /// Adds an item and forgets the oldest if there are too many.
    pub fn push(&mut self, item: T) {
        if self.items.len() == self.max {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// The newest.
    pub fn newest(&self) -> Option<&T> {
        self.items.back()
    }

    /// The newest, to be changed.
    pub fn newest_mut(&mut self) -> Option<&mut T> {
        self.items.back_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn forgets_the_oldest() {
        let mut ring = Ring::new(3);
        (0..10).for_each(|i| ring.push(i));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(ring.newest(), Some(&9));
    }
}
