//! The replication core. Essay to come with the code.

mod config;
mod core;
mod event;
mod io;
mod message;
#[cfg(test)]
mod scripts;
mod status;
mod types;

pub use self::config::*;
pub use self::core::Core;
pub use self::event::{Event, ResyncReason};
pub use self::io::*;
pub use self::message::{Ballot, Found, Message, RoundId, SnapshotId};
pub use self::status::{PeerStatus, Role, Status};
pub use self::types::{Entry, Epoch, Lineage, NodeId, Op, ParseError, Position, Time};
