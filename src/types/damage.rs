//! Damage: a value on a member's disk that is not the one that was written, though its record's head is whole.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::Found;
use super::position::Position;

/// One damaged value: of which version, of which key, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The version: the position of the record.
    pub at: Position,
    /// The key that the record sets.
    pub key: Bytes,
    /// The file, relative to the data directory.
    pub file: String,
    /// The byte of the file at which the record begins.
    pub offset: u64,
}

/// What a lookup in a member's durable state comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lookup {
    /// The key's value, or its absence.
    Found(Found),
    /// The key has a value of this version, and it is damaged here.
    Damaged(Box<Damage>),
}

impl Damage {
    /// The key as text: what is no UTF-8 is shown as such, and a long one is cut.
    pub fn key_text(&self) -> String {
        const CHARS_MAX: usize = 64;
        let text = String::from_utf8_lossy(&self.key);
        match text.char_indices().nth(CHARS_MAX) {
            None => text.into_owned(),
            Some((end, _)) => format!("{}…", &text[..end]),
        }
    }
}

impl Lookup {
    /// The version that it found.
    pub fn version(&self) -> Position {
        match self {
            Self::Found(found) => found.version,
            Self::Damaged(damage) => damage.at,
        }
    }

    /// What can be told to a client; `None` if that is damaged.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Found(found) => Some(found),
            Self::Damaged(_) => None,
        }
    }
}

impl From<Found> for Lookup {
    fn from(found: Found) -> Self {
        Self::Found(found)
    }
}
