//! The judge as the lab uses it: events in, findings out. Everything that knows the judge's own words is here.

use kvlab::judge::HistoryEvent;

/// What the judge has to say so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Quorum operations so far are linearizable; `None`: undecided.
    pub(crate) linearizable: Option<bool>,
    /// The last event that this covers.
    pub(crate) checked_i: u64,
    /// Eventual reads that returned something already overwritten.
    pub(crate) stale_reads: u64,
    /// The age of the oldest of them, in milliseconds.
    pub(crate) stale_max_ms: u64,
    /// One line for each violation, the first first. Bounded.
    pub(crate) violations: Vec<String>,
}

/// What the judge says of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// For the reply of an eventual read that was stale: how old what it saw was, in milliseconds.
    pub(super) stale_ms: Option<u64>,
}

/// The judge at work.
#[derive(Debug, Default)]
pub(super) struct Judging {
    last_i: u64,
}

impl Judging {
    /// Takes the next event.
    pub(super) fn observe(&mut self, event: &HistoryEvent) -> Finding {
        self.last_i = event.i;
        Finding::default()
    }

    /// What it has found so far.
    pub(super) fn findings(&self) -> Findings {
        Findings::default()
    }
}
