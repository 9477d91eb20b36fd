//! The ids of one key in the order in which they may be forgotten.

use super::ids::{Ids, NO_ID};

/// A list through the ids themselves: each names the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventQueue {
    head: u32,
    tail: u32,
    len: usize,
}

impl EventQueue {
    /// Of no id.
    pub(super) fn new() -> Self {
        Self { head: NO_ID, tail: NO_ID, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts an id at the end.
    pub(super) fn push(&mut self, ids: &mut Ids, at: u32) {
        ids[at].queue = NO_ID;
        if self.len == 0 {
            self.head = at;
        } else {
            ids[self.tail].queue = at;
        }
        self.tail = at;
        self.len += 1;
    }

    /// Takes the first id, of which there must be one.
    pub(super) fn pop(&mut self, ids: &Ids) -> u32 {
        let at = self.head;
        self.head = ids[at].queue;
        self.len -= 1;
        at
    }

    /// The ids in their order.
    pub(super) fn iter(self, ids: &Ids) -> impl Iterator<Item = u32> {
        let following = |&at: &u32| Some(ids[at].queue).filter(|&next| next != NO_ID);
        std::iter::successors(Some(self.head).filter(|&head| head != NO_ID), following)
    }
}
