//! What the core knows of its log: where it ends, how far it is durable, who wrote what.

use super::backlog::Backlog;
use super::config::Recovered;
use super::io::LogId;
use crate::types::{Entry, Epoch, Lineage, Op, Position, Time};

/// The log as the core sees it; the records themselves are the driver's.
///
/// * `durable <= last.seq`.
/// * `lineage.epoch_of(last.seq) == last.epoch`.
#[derive(Debug)]
pub(super) struct Log {
    /// Its name towards the driver; a full resync begins a new one.
    pub(super) id: LogId,
    /// Its last position, durable or not.
    pub(super) last: Position,
    /// The highest seq that is durable.
    pub(super) durable: u64,
    /// Its history of primaries.
    pub(super) lineage: Lineage,
    /// Its newest entries.
    pub(super) backlog: Backlog,
}

impl Log {
    pub(super) fn new(recovered: Recovered, backlog_bytes: usize) -> Self {
        let Recovered { last, lineage, .. } = recovered;
        assert_eq!(lineage.epoch_of(last.seq), last.epoch, "recovered lineage contradicts the log's end");
        Self { id: LogId(0), last, durable: last.seq, lineage, backlog: Backlog::new(backlog_bytes) }
    }

    /// Makes the next entry, in `epoch`.
    pub(super) fn write(&mut self, epoch: Epoch, op: Op, now: Time) -> Entry {
        let entry = Entry { at: Position::new(epoch, self.last.seq + 1), op };
        self.append(entry.clone(), now);
        entry
    }

    /// Takes the next entry.
    pub(super) fn append(&mut self, entry: Entry, now: Time) {
        assert_eq!(entry.at.seq, self.last.seq + 1, "a log has no gaps");
        self.lineage.extend(entry.at);
        self.last = entry.at;
        self.backlog.push(entry, self.durable, now);
    }

    /// A full resync has put another log in this one's place.
    pub(super) fn replace(&mut self, id: LogId, last: Position, lineage: Lineage) {
        assert_eq!(lineage.epoch_of(last.seq), last.epoch, "installed lineage contradicts the log's end");
        self.id = id;
        self.last = last;
        self.durable = last.seq;
        self.lineage = lineage;
        self.backlog.clear();
    }

    /// It was cut back to `fork`, and what is left of it is durable.
    pub(super) fn cut(&mut self, id: LogId, fork: Position) {
        assert!(self.contains(fork), "a log is cut at a position of its own");
        self.id = id;
        self.lineage = self.lineage_until(fork.seq);
        self.last = fork;
        self.durable = fork.seq;
        self.backlog.cut(fork.seq);
    }

    /// Everything up to the seq `through` is durable.
    pub(super) fn persisted(&mut self, through: u64) {
        self.durable = through;
        self.backlog.trim(through);
    }

    /// The position of the entry `seq`.
    pub(super) fn position(&self, seq: u64) -> Position {
        Position::new(self.lineage.epoch_of(seq), seq)
    }

    /// Where the durable part ends.
    pub(super) fn durable_end(&self) -> Position {
        self.position(self.durable)
    }

    /// Whether `at` is a position of this log.
    pub(super) fn contains(&self, at: Position) -> bool {
        self.lineage.contains(at, self.last.seq)
    }

    /// The lineage of this log's first `seq` entries.
    pub(super) fn lineage_until(&self, seq: u64) -> Lineage {
        let spans = self.lineage.spans().iter().copied().take_while(|&(_, first)| first <= seq).collect();
        Lineage::from_spans(spans).expect("part of a lineage is a lineage")
    }
}
