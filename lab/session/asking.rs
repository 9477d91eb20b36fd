//! What the rolling read-back keeps in mind beside the ledger: what a person has written, and the events that may raise
//! doubt.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::TryRecvError};

use super::doubt::Doubt;
use crate::cluster::View;
use crate::run::event::Stamped;

/// Keys written by hand that are read back all the time; of more, the first ones.
const BY_HAND_MAX: usize = 1000;
/// A key written by hand that could not be read is asked for again after this.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// What a person has written. It is read back once after each write, and again when everything is.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    keys: BTreeSet<String>,
    /// Those to be read.
    due: BTreeSet<String>,
    not_before: Duration,
}

impl ByHand {
    /// It was written.
    pub(super) fn written(&mut self, key: &str) {
        if self.keys.len() < BY_HAND_MAX || self.keys.contains(key) {
            self.keys.insert(key.to_owned());
            self.due.insert(key.to_owned());
        }
    }

    /// Everything must be read again.
    pub(super) fn ask_again(&mut self) {
        self.due.clone_from(&self.keys);
        self.not_before = Duration::ZERO;
    }

    /// Whether a key is due.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        !self.due.is_empty() && self.not_before <= now
    }

    /// A key to read now, if one is due.
    pub(super) fn next_read(&mut self, now: Duration) -> Option<String> {
        if self.is_due(now) { self.due.pop_first() } else { None }
    }

    /// It could not be read.
    pub(super) fn was_not_read(&mut self, key: String, now: Duration) {
        self.due.insert(key);
        self.not_before = now + PAUSE_AFTER_FAILURE;
    }
}

/// What tells that everything must be asked for again.
#[derive(Debug)]
pub(super) struct DoubtWatch {
    doubt: Doubt,
    events: broadcast::Receiver<Stamped>,
}

impl DoubtWatch {
    /// `events` were subscribed before the first of them.
    pub(super) fn new(events: broadcast::Receiver<Stamped>) -> Self {
        Self { doubt: Doubt::default(), events }
    }

    /// Whether anything since the last call raises doubt.
    pub(super) fn is_raised(&mut self, view: &View) -> bool {
        let mut raised = self.doubt.look(view);
        loop {
            match self.events.try_recv() {
                Ok(event) => raised |= Doubt::is_raised_by(&event.event),
                // Nobody knows what was missed.
                Err(TryRecvError::Lagged(_)) => raised = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return raised,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_was_written_is_read_once_and_again_when_everything_is() {
        let mut by_hand = ByHand::default();
        by_hand.written("solo");
        assert_eq!(by_hand.next_read(ms(1)).as_deref(), Some("solo"));
        assert_eq!(by_hand.next_read(ms(1)), None);
        by_hand.ask_again();
        let key = by_hand.next_read(ms(2)).expect("again");
        by_hand.was_not_read(key, ms(2));
        assert!(!by_hand.is_due(ms(3)), "after a pause");
        assert_eq!(by_hand.next_read(ms(300)).as_deref(), Some("solo"));
    }

    #[test]
    fn more_keys_than_are_kept_are_read_when_the_run_settles() {
        let mut by_hand = ByHand::default();
        (0..2 * BY_HAND_MAX).for_each(|n| by_hand.written(&format!("k{n}")));
        assert_eq!(by_hand.keys.len(), BY_HAND_MAX);
    }
}
