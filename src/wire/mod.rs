//! Bytes to messages and back. No sockets.

mod messages;

pub use self::messages::*;
