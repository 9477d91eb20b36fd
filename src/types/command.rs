//! Commands: what a client asks, and what one may contain. Checked where it enters: by the client before it sends, by
//! the node before the core sees it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::{KEY_BYTES_MAX, Op, VALUE_BYTES_MAX};
use super::position::NodeId;

/// The longest time that a request may ask a node to wait for a quorum.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// What a client may ask of a node's core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Set a key, or delete it.
    Write {
        /// Put or Del; never a no-op.
        op: Op,
        /// When to acknowledge.
        level: WriteLevel,
        /// How long a quorum write may wait before its outcome is unknown.
        timeout: Duration,
    },
    /// Read a key.
    Read {
        /// The key.
        key: Bytes,
        /// From where.
        level: ReadLevel,
        /// How long a quorum read may look for a quorum.
        timeout: Duration,
    },
    /// Make this node the primary.
    Promote {
        /// Without votes.
        force: bool,
    },
    /// Turn to this primary, now. Members follow the highest epoch by themselves, and go on doing so.
    Follow {
        /// The member that is, or is about to be, a primary.
        primary: NodeId,
    },
}

impl Command {
    /// Whether only an operator may ask this: where the cluster has a token, it must have been shown.
    pub fn is_for_operators(&self) -> bool {
        match self {
            Self::Write { .. } | Self::Read { .. } => false,
            Self::Promote { .. } | Self::Follow { .. } => true,
        }
    }
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteLevel {
    /// When it is durable on the primary.
    #[default]
    Async,
    /// When it is committed.
    Quorum,
}

/// Where a read is answered from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadLevel {
    /// This node's durable state, however old.
    #[default]
    Eventual,
    /// A quorum's: linearizable with quorum writes.
    Quorum,
}

/// Why a command is refused before anything is done about it: a definite error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error("the key has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// The value is longer than [`VALUE_BYTES_MAX`].
    #[error("the value has {bytes} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    Value {
        /// Its length.
        bytes: usize,
    },
    /// The timeout is longer than [`REQUEST_TIMEOUT_MAX`].
    #[error("the timeout is {} s; at most {} s are allowed", timeout.as_secs(), REQUEST_TIMEOUT_MAX.as_secs())]
    Timeout {
        /// What was asked for.
        timeout: Duration,
    },
    /// Only a primary writes no-ops.
    #[error("a no-op cannot be written by a client")]
    Noop,
}

/// Whether a node may take this command.
///
/// # Errors
/// The first limit that it breaks.
pub fn check_limits(command: &Command) -> Result<(), LimitError> {
    let timeout = match command {
        Command::Write { op, timeout, .. } => {
            check_op(op)?;
            *timeout
        }
        Command::Read { key, timeout, .. } => {
            check_key(key)?;
            *timeout
        }
        Command::Promote { .. } | Command::Follow { .. } => return Ok(()),
    };
    if timeout > REQUEST_TIMEOUT_MAX { Err(LimitError::Timeout { timeout }) } else { Ok(()) }
}

fn check_op(op: &Op) -> Result<(), LimitError> {
    check_key(op.key().ok_or(LimitError::Noop)?)?;
    let bytes = op.value().len();
    if bytes > VALUE_BYTES_MAX { Err(LimitError::Value { bytes }) } else { Ok(()) }
}

fn check_key(key: &[u8]) -> Result<(), LimitError> {
    if key.len() > KEY_BYTES_MAX { Err(LimitError::Key { bytes: key.len() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn put(key: usize, value: usize, timeout: Duration) -> Command {
        let op = Op::Put { key: Bytes::from(vec![b'k'; key]), value: Bytes::from(vec![b'v'; value]) };
        Command::Write { op, level: WriteLevel::Quorum, timeout }
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        assert_eq!(check_limits(&put(KEY_BYTES_MAX, VALUE_BYTES_MAX, REQUEST_TIMEOUT_MAX)), Ok(()));
    }

    #[test]
    fn one_byte_more_is_refused_with_its_length() {
        let key_error = LimitError::Key { bytes: KEY_BYTES_MAX + 1 };
        assert_eq!(check_limits(&put(KEY_BYTES_MAX + 1, 0, SECOND)), Err(key_error));
        assert!(key_error.to_string().contains("65537"), "{key_error}");
        let value_error = LimitError::Value { bytes: VALUE_BYTES_MAX + 1 };
        assert_eq!(check_limits(&put(1, VALUE_BYTES_MAX + 1, SECOND)), Err(value_error));

        let key = Bytes::from(vec![b'k'; KEY_BYTES_MAX + 1]);
        let read = Command::Read { key: key.clone(), level: ReadLevel::Eventual, timeout: SECOND };
        assert_eq!(check_limits(&read), Err(key_error));
        let del = Command::Write { op: Op::Del { key }, level: WriteLevel::Async, timeout: SECOND };
        assert_eq!(check_limits(&del), Err(key_error));
    }

    #[test]
    fn endless_timeouts_and_no_ops_are_refused() {
        let timeout = Duration::MAX;
        assert_eq!(check_limits(&put(1, 1, timeout)), Err(LimitError::Timeout { timeout }));
        let noop = Command::Write { op: Op::Noop, level: WriteLevel::Async, timeout: SECOND };
        assert_eq!(check_limits(&noop), Err(LimitError::Noop));
        assert_eq!(check_limits(&Command::Promote { force: true }), Ok(()));
    }
}
