//! The words of the protocol: members, epochs, positions, entries, lineages.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Time since an arbitrary start, chosen by whoever drives the core. The core only subtracts.
pub type Time = std::time::Duration;

/// A member of the cluster, fixed at start. Prints and parses as `n1`; 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u8);

/// Who claimed primacy, and when: ordered by number, then by node, and unique for each promotion because the
/// claimant is part of it. Prints and parses as `3@n2`. The default, `0@n0`, is below every real epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch {
    /// Which claim this is; a claimant takes one more than the highest it has seen.
    pub number: u64,
    /// The member that claims.
    pub node: NodeId,
}

/// A place in a log, and the version of a key: the epoch that wrote an entry, and its sequence number.
/// Prints as `1@n1/412`. Ordered by epoch first: of two logs, the one whose last position is greater is ahead.
/// The default, `0@n0/0`, is the place before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The epoch in which the entry was written.
    pub epoch: Epoch,
    /// The entry's number in its log; the first is 1, and there are no gaps.
    pub seq: u64,
}

/// What an entry does to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Nothing: the entry with which a primary opens its epoch.
    Noop,
    /// Sets a key.
    Put {
        /// At most [`KEY_BYTES_MAX`](crate::wire::KEY_BYTES_MAX) bytes.
        key: Bytes,
        /// At most [`VALUE_BYTES_MAX`](crate::wire::VALUE_BYTES_MAX) bytes.
        value: Bytes,
    },
    /// Removes a key; deletes have versions too.
    Del {
        /// At most [`KEY_BYTES_MAX`](crate::wire::KEY_BYTES_MAX) bytes.
        key: Bytes,
    },
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its epoch and number.
    pub at: Position,
    /// What it does.
    pub op: Op,
}

/// A log's history of primaries: for each epoch in it, the epoch and the first seq written in it.
///
/// * Epochs strictly ascend, first seqs strictly ascend (every epoch opens with a no-op of its own).
/// * Log A is a prefix of log B if and only if A's last position lies on B's lineage.
///
/// Decoding checks the first of these: what another member sends, or a file holds, is never taken on trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Epoch, u64)>")]
pub struct Lineage(Vec<(Epoch, u64)>);

impl NodeId {
    /// Nobody: the claimant of the epoch below all others.
    pub const NONE: Self = Self(0);
}

impl Epoch {
    /// Below every epoch that a member can claim.
    pub const ZERO: Self = Self { number: 0, node: NodeId::NONE };

    /// An epoch from its parts.
    pub const fn new(number: u64, node: NodeId) -> Self {
        Self { number, node }
    }
}

impl Position {
    /// The place before the first entry.
    pub const ZERO: Self = Self { epoch: Epoch::ZERO, seq: 0 };

    /// A position from its parts.
    pub const fn new(epoch: Epoch, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

impl Op {
    /// Whether key and value are no longer than a log takes. What comes from a client is refused at the edge
    /// ([`check_limits`](crate::wire::check_limits)); what comes from a peer is checked by this.
    pub fn is_within_limits(&self) -> bool {
        let value = if let Self::Put { value, .. } = self { value.len() } else { 0 };
        self.key().is_none_or(|key| key.len() <= KEY_BYTES_MAX) && value <= VALUE_BYTES_MAX
    }

    /// The key that this touches, if any.
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Self::Noop => None,
            Self::Put { key, .. } | Self::Del { key } => Some(key),
        }
    }
}

impl Entry {
    /// Bytes of key and value plus a fixed overhead: what bounds on memory and batches count.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD
            + match &self.op {
                Op::Noop => 0,
                Op::Put { key, value } => key.len() + value.len(),
                Op::Del { key } => key.len(),
            }
    }
}

impl Lineage {
    /// A lineage from its spans. Returns `None` unless epochs and seqs strictly ascend from seq 1 or later.
    pub fn from_spans(spans: Vec<(Epoch, u64)>) -> Option<Self> {
        let lineage = Self(spans);
        lineage.is_sound().then_some(lineage)
    }

    /// Whether epochs and seqs strictly ascend from seq 1 or later. What comes from a peer is checked.
    pub fn is_sound(&self) -> bool {
        let ascends = self.0.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1);
        ascends && self.0.first().is_none_or(|&(epoch, first)| first >= 1 && epoch > Epoch::ZERO)
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

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.node)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.seq)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A member or an epoch that is not written as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct ParseError {
    found: String,
    expected: &'static str,
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

impl FromStr for NodeId {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        s.strip_prefix('n')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| ParseError { found: s.to_owned(), expected: "a node like n1" })
    }
}

impl FromStr for Epoch {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let parse = || {
            let (number, node) = s.split_once('@')?;
            let node = if node == "n0" { NodeId::NONE } else { node.parse().ok()? };
            Some(Self { number: number.parse().ok()?, node })
        };
        parse().ok_or_else(|| ParseError { found: s.to_owned(), expected: "an epoch like 3@n2" })
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u8(self.0) }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            text.parse().map_err(D::Error::custom)
        } else {
            u8::deserialize(d).map(Self)
        }
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { (self.number, self.node).serialize(s) }
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            text.parse().map_err(D::Error::custom)
        } else {
            <(u64, NodeId)>::deserialize(d).map(|(number, node)| Self { number, node })
        }
    }
}
