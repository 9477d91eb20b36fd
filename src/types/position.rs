//! Members, epochs and positions: who, when, and where in a log.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Time since an arbitrary start, chosen by whoever drives the core. The core only subtracts.
pub type Time = std::time::Duration;

/// The highest seq that is taken from outside: 2^48, at a million writes a second the work of nine years. So a seq can be
/// counted on from, added to and compared without ever wrapping.
pub const SEQ_MAX: u64 = 1 << 48;
/// The highest number of an epoch that is taken from outside: 2^48. So a higher epoch can always be opened.
pub const EPOCH_NUMBER_MAX: u64 = 1 << 48;

/// A member of the cluster, fixed at start. Prints and parses as `n1`; 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u8);

/// Who claimed primacy, and when: ordered by number, then by node, and unique for each promotion because the
/// claimant is part of it. Prints and parses as `3@n2`. The default, `0@n0`, is below every real epoch.
///
/// ```
/// use kvlab::types::{Epoch, NodeId};
///
/// let (first, second) = (Epoch::new(1, NodeId(3)), Epoch::new(2, NodeId(1)));
/// assert!(first < second && Epoch::ZERO < first, "the number decides, then the node");
/// assert_eq!(second.to_string(), "2@n1");
/// assert_eq!("2@n1".parse(), Ok(second));
/// ```
///
/// What is decoded or parsed is at most [`EPOCH_NUMBER_MAX`].
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
///
/// ```
/// use kvlab::types::{Epoch, NodeId, Position};
///
/// let long = Position::new(Epoch::new(1, NodeId(1)), 412);
/// let short = Position::new(Epoch::new(2, NodeId(2)), 7);
/// assert!(short > long, "the log that ends in the higher epoch is ahead, however short it is");
/// assert_eq!(long.to_string(), "1@n1/412");
/// ```
///
/// What is decoded has a seq of at most [`SEQ_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The epoch in which the entry was written.
    pub epoch: Epoch,
    /// The entry's number in its log; the first is 1, and there are no gaps.
    #[serde(deserialize_with = "seq_from_outside")]
    pub seq: u64,
}

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

    fn within_bounds(self) -> Option<Self> {
        (self.number <= EPOCH_NUMBER_MAX).then_some(self)
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

macro_rules! debug_as_display {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_display!(NodeId, Epoch, Position);

/// A member or an epoch that is not written as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct ParseError {
    pub(super) found: String,
    pub(super) expected: &'static str,
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
            Self { number: number.parse().ok()?, node }.within_bounds()
        };
        parse().ok_or_else(|| ParseError {
            found: s.to_owned(),
            expected: "an epoch like 3@n2, with a number of at most 2^48",
        })
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
            let (number, node) = <(u64, NodeId)>::deserialize(d)?;
            Self { number, node }
                .within_bounds()
                .ok_or_else(|| D::Error::custom(format_args!("an epoch's number of {number} is beyond 2^48")))
        }
    }
}

/// A seq, as far as one may come from outside.
fn seq_from_outside<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let seq = u64::deserialize(d)?;
    if seq <= SEQ_MAX {
        Ok(seq)
    } else {
        Err(D::Error::custom(format_args!("a seq of {seq} is beyond 2^48")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(number: u64, seq: u64) -> [Option<Position>; 2] {
        let position = Position::new(Epoch::new(number, NodeId(2)), seq);
        let (bytes, text) = (postcard::to_allocvec(&position), serde_json::to_string(&position));
        [
            postcard::from_bytes(&bytes.expect("encodes")).ok(),
            serde_json::from_str(&text.expect("encodes")).ok(),
        ]
    }

    #[test]
    fn what_comes_from_outside_is_bounded_wherever_it_is_decoded() {
        let most = Position::new(Epoch::new(EPOCH_NUMBER_MAX, NodeId(2)), SEQ_MAX);
        assert_eq!(decoded(EPOCH_NUMBER_MAX, SEQ_MAX), [Some(most); 2]);
        for (number, seq) in [(EPOCH_NUMBER_MAX + 1, 1), (u64::MAX, 1), (1, SEQ_MAX + 1), (1, u64::MAX)] {
            assert_eq!(decoded(number, seq), [None; 2], "{number}/{seq}");
        }
        assert_eq!(most.epoch.to_string().parse(), Ok(most.epoch));
        let error = "281474976710657@n2".parse::<Epoch>().expect_err("one more");
        assert!(error.to_string().contains("at most 2^48"), "{error}");
    }
}
