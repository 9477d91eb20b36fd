//! Lineages: the history of primaries in a log.

use serde::{Deserialize, Serialize};

use super::position::{Epoch, ParseError, Position, SEQ_MAX};

/// A log's history of primaries: for each epoch in it, the epoch and the first seq written in it.
///
/// * Epochs strictly ascend, first seqs strictly ascend (every epoch opens with a no-op of its own).
/// * Log A is a prefix of log B if and only if A's last position lies on B's lineage.
///
/// Decoding checks the first of these, and that no seq is beyond [`SEQ_MAX`]: what another member sends, or a file holds, is never taken on trust.
///
/// ```
/// use kvlab::types::{Epoch, Lineage, NodeId, Position};
///
/// let (one, two) = (Epoch::new(1, NodeId(1)), Epoch::new(2, NodeId(2)));
/// // n2 wrote epoch 2 from seq 11 on. n1 went on in epoch 1, up to seq 15.
/// let primary = Lineage::from_spans(vec![(one, 1), (two, 11)]).expect("ascends");
/// let replica = Lineage::from_spans(vec![(one, 1)]).expect("ascends");
/// assert!(primary.contains(Position::new(one, 10), 20));
/// assert!(!primary.contains(Position::new(one, 15), 20), "the two have diverged");
/// assert_eq!(replica.fork_point(15, &primary, 20), Position::new(one, 10));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Epoch, u64)>")]
pub struct Lineage(Vec<(Epoch, u64)>);

impl Lineage {
    /// A lineage from its spans. Returns `None` unless it [is sound](Self::is_sound).
    pub fn from_spans(spans: Vec<(Epoch, u64)>) -> Option<Self> {
        let lineage = Self(spans);
        lineage.is_sound().then_some(lineage)
    }

    /// Whether epochs and seqs strictly ascend, from seq 1 or later to [`SEQ_MAX`] or earlier. What comes from a peer is
    /// checked.
    pub fn is_sound(&self) -> bool {
        let ascends = self.0.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1);
        let begins = self.0.first().is_none_or(|&(epoch, first)| first >= 1 && epoch > Epoch::ZERO);
        ascends && begins && self.0.last().is_none_or(|&(_, first)| first <= SEQ_MAX)
    }

    /// Epochs with the first seq of each, oldest first.
    pub fn spans(&self) -> &[(Epoch, u64)] {
        &self.0
    }

    /// Notes an entry at the end of the log; a new epoch opens a new span.
    ///
    /// # Panics
    /// If the entry's epoch is below the last: logs never go back.
    pub fn extend(&mut self, at: Position) {
        match self.0.last() {
            Some(&(epoch, _)) if epoch == at.epoch => {}
            Some(&(epoch, first)) => {
                assert!(epoch < at.epoch && first < at.seq, "lineage goes back: {epoch} then {at}");
                self.0.push((at.epoch, at.seq));
            }
            None => self.0.push((at.epoch, at.seq)),
        }
    }

    /// The epoch of the entry `seq` of a log that ends at or after it; `Epoch::ZERO` before the first.
    pub fn epoch_of(&self, seq: u64) -> Epoch {
        let after = self.0.partition_point(|&(_, first)| first <= seq);
        after.checked_sub(1).map_or(Epoch::ZERO, |i| self.0[i].0)
    }

    /// Whether `at` lies on this lineage of a log that ends at `last_seq`.
    pub fn contains(&self, at: Position, last_seq: u64) -> bool {
        at == Position::ZERO || (at.seq <= last_seq && at.seq > 0 && self.epoch_of(at.seq) == at.epoch)
    }

    /// The last position that two logs share, given where each ends.
    pub fn fork_point(&self, last_seq: u64, other: &Self, other_last_seq: u64) -> Position {
        let mut fork = Position::ZERO;
        for (i, &(epoch, first)) in self.0.iter().enumerate() {
            let Some(j) = other.0.iter().position(|&span| span == (epoch, first)) else { break };
            let end =
                |spans: &[(Epoch, u64)], i: usize, last: u64| spans.get(i + 1).map_or(last, |s| s.1 - 1);
            let shared = end(&self.0, i, last_seq).min(end(&other.0, j, other_last_seq));
            fork = Position::new(epoch, shared);
        }
        fork
    }
}

impl TryFrom<Vec<(Epoch, u64)>> for Lineage {
    type Error = ParseError;

    fn try_from(spans: Vec<(Epoch, u64)>) -> Result<Self, ParseError> {
        let count = spans.len();
        Self::from_spans(spans).ok_or_else(|| ParseError {
            found: format!("a list of {count} epochs"),
            expected: "a lineage, whose epochs and seqs ascend",
        })
    }
}
