//! A list that forgets its oldest items instead of growing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The newest items, at most `MAX` of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ring<T, const MAX: usize> {
    items: VecDeque<T>,
}

impl<T, const MAX: usize> Default for Ring<T, MAX> {
    fn default() -> Self {
        Self { items: VecDeque::new() }
    }
}

impl<T, const MAX: usize> Ring<T, MAX> {
    /// Adds an item and forgets the oldest if there are too many.
    pub fn push(&mut self, item: T) {
        if self.items.len() == MAX {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    pub fn newest(&self) -> Option<&T> {
        self.items.back()
    }

    pub fn newest_mut(&mut self) -> Option<&mut T> {
        self.items.back_mut()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn forgets_the_oldest() {
        let mut ring = Ring::<_, 3>::default();
        (0..10).for_each(|i| ring.push(i));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(ring.newest(), Some(&9));
    }
}
