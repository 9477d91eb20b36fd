//! What can go wrong, and whether it then certainly did not happen.

use std::time::Duration;

use crate::types::{Failure, LimitError, NodeId};

/// Why there is no connection to an address. Nothing was asked, so this is always definite.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there; what the system says.
    #[error("cannot connect to {0}: {1}")]
    Refused(String, #[source] std::io::Error),
    /// No connection, or no Welcome, within this time.
    #[error("{} did not answer within {} ms", .0, .1.as_millis())]
    Timeout(String, Duration),
    /// The node said Goodbye, and why: a wrong token or version, or too many connections.
    #[error("{0} refused the connection: {1}")]
    Rejected(String, String),
    /// Whatever is there does not speak this protocol; what it did.
    #[error("{0} does not answer as a kvlab node: {1}")]
    Protocol(String, String),
}

/// The connection ended before the answer came: the request may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connection was lost: {0}")]
pub struct ConnectionLost(pub String);

/// How an operation did not end well. [`is_definite`](Self::is_definite) says whether it certainly did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A node answered, with a failure; whether it is definite depends on which.
    #[error("{node}: {failure}")]
    Failed {
        /// Who said so.
        node: NodeId,
        /// What it said.
        failure: Failure,
        /// How many times it was tried.
        attempts: u32,
    },
    /// The last node tried could not be reached; nothing was sent to it. Definite.
    #[error("{node} cannot be reached: {reason}")]
    Unreachable {
        /// Who.
        node: NodeId,
        /// Why not.
        reason: String,
        /// How many times it was tried.
        attempts: u32,
    },
    /// It was sent, and no answer came: it may have happened, or may yet.
    #[error("outcome unknown: {node} did not answer: {reason}")]
    NoAnswer {
        /// Who.
        node: NodeId,
        /// What happened instead.
        reason: String,
        /// How many times it was tried.
        attempts: u32,
    },
    /// It breaks a limit and was not sent. Definite.
    #[error(transparent)]
    Invalid(#[from] LimitError),
}

impl ClientError {
    /// Whether the operation certainly did not happen. Of a write that is not definite nobody can say.
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Failed { failure, .. } => failure.is_definite(),
            Self::Unreachable { .. } | Self::Invalid(_) => true,
            Self::NoAnswer { .. } => false,
        }
    }

    /// The node that was asked last, if any was.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Failed { node, .. } | Self::Unreachable { node, .. } | Self::NoAnswer { node, .. } => {
                Some(*node)
            }
            Self::Invalid(_) => None,
        }
    }

    /// The failure that a node answered with, if one answered.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}
