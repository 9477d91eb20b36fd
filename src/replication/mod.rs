//! The replication core. Essay to come with the code.

mod backlog;
mod campaign;
mod config;
mod core;
mod event;
mod install;
mod io;
mod log;
mod message;
mod primary;
mod progress;
mod quorum;
mod quorum_read;
mod replica;
mod resync;
mod status;
mod types;

pub use self::config::*;
pub use self::core::Core;
pub use self::event::{Event, ResyncReason};
pub use self::io::*;
pub use self::message::{Ballot, Found, Message, RoundId, SnapshotId};
pub use self::status::{PeerStatus, Role, Status};
pub use self::types::{Entry, Epoch, Lineage, NodeId, Op, ParseError, Position, Time};
