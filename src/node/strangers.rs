//! Connections on which nobody has said yet who they are: bounded, and the newest always finds a place.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// The strangers of one port. They have places of their own, so that however many come, and however long they are mute,
/// they keep nobody out: whoever is let in needs none of these places any more, and for whoever comes when all are taken
/// the oldest stranger has to go.
#[derive(Debug)]
pub(super) struct Strangers {
    max: usize,
    next: Cell<u64>,
    /// In the order in which they came, each with the bell that tells it to go.
    waiting: RefCell<BTreeMap<u64, Rc<Notify>>>,
}

/// One connection's place among the strangers, until it is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    number: u64,
    bell: Rc<Notify>,
    among: Rc<Strangers>,
}

impl Strangers {
    /// Room for `max` at a time.
    pub(super) fn at_most(max: usize) -> Rc<Self> {
        Rc::new(Self { max, next: Cell::new(0), waiting: RefCell::default() })
    }

    /// One more. If there are too many, the oldest is told to go, and counts no more.
    pub(super) fn enter(self: &Rc<Self>) -> Stranger {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let bell = Rc::new(Notify::new());
        let mut waiting = self.waiting.borrow_mut();
        waiting.insert(number, bell.clone());
        if waiting.len() > self.max
            && let Some((_, oldest)) = waiting.pop_first()
        {
            oldest.notify_one();
        }
        drop(waiting);
        Stranger { number, bell, among: self.clone() }
    }
}

impl Stranger {
    /// Returns when its place is somebody else's.
    pub(super) async fn has_to_go(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.among.waiting.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_oldest_goes_for_the_newest_and_whoever_is_let_in_goes_for_nobody() {
        let strangers = Strangers::at_most(2);
        let has_to_go = |stranger: &Stranger| stranger.has_to_go().now_or_never().is_some();
        let (first, second) = (strangers.enter(), strangers.enter());
        assert!(!has_to_go(&first) && !has_to_go(&second));
        let third = strangers.enter();
        assert!(has_to_go(&first) && !has_to_go(&second) && !has_to_go(&third));
        // The second is let in, so there is room.
        drop(second);
        let fourth = strangers.enter();
        drop(first);
        assert!(!has_to_go(&third) && !has_to_go(&fourth));
        let _fifth = strangers.enter();
        assert!(has_to_go(&third) && !has_to_go(&fourth));
    }
}
