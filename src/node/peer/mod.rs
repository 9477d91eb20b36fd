//! Members to members: one connection for each direction.
//!
//! This node sends to a member on the connection that it opened ([`OutgoingLink`]), and hears from it on the one that the
//! member opened ([`PeerServer`]). So a one-way cut is a cut of one connection.

mod incoming;
mod outgoing;
#[cfg(test)]
#[path = "../tests/peer.rs"]
mod tests;

use crate::types::{Message, NodeId};

pub(super) use self::incoming::PeerServer;
pub(super) use self::outgoing::{CONTROL_BYTES_MAX, Dial, OutgoingLink, SETTLED_AFTER};

/// What the node's loop hears of other members.
#[derive(Debug)]
pub(super) enum FromPeer {
    /// A member says something, over the connection of this number: see [`PeerServer::is_current`].
    Message { from: NodeId, connection: u64, message: Message },
    /// This node's connection to a member stands, or is gone.
    Link { to: NodeId, up: bool },
}
