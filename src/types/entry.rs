//! Entries: what a log holds, and what a lookup finds of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::position::Position;

/// The longest key, in bytes. Checked at the edge: a longer one is a definite error.
pub const KEY_BYTES_MAX: usize = 64 << 10;
/// The longest value, in bytes. Checked at the edge: a longer one is a definite error.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// What an entry does to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Nothing: the entry with which a primary opens its epoch.
    Noop,
    /// Sets a key.
    Put {
        /// At most [`KEY_BYTES_MAX`] bytes.
        key: Bytes,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
    },
    /// Removes a key; deletes have versions too.
    Del {
        /// At most [`KEY_BYTES_MAX`] bytes.
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

/// What a member's durable state holds for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The value; `None` if the key is absent.
    pub value: Option<Bytes>,
    /// The version that wrote or deleted it. For a key that the store does not know: the position up to which
    /// it has dropped tombstones (`Position::ZERO` if it never has).
    pub version: Position,
}

impl Op {
    /// Whether key and value are no longer than a log takes. What comes from a client is refused at the edge
    /// ([`check_limits`](super::check_limits)); what comes from a peer is checked by this.
    pub fn is_within_limits(&self) -> bool {
        self.key().is_none_or(|key| key.len() <= KEY_BYTES_MAX) && self.value().len() <= VALUE_BYTES_MAX
    }

    /// The key that this touches, if any.
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Self::Noop => None,
            Self::Put { key, .. } | Self::Del { key } => Some(key),
        }
    }

    /// The value that it sets; empty if it sets none.
    pub fn value(&self) -> &[u8] {
        if let Self::Put { value, .. } = self { value } else { &[] }
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key().map_or(0, Bytes::len) + self.value().len()
    }
}

impl Entry {
    /// Bytes of key and value plus a fixed overhead: what bounds on memory and batches count.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.op.bytes()
    }
}
