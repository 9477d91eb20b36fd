//! Messages as bytes, and back: what travels between clients, nodes and members. No sockets.
//!
//! * [`messages`](self) say what travels: [`ClientFrame`] and [`NodeFrame`] between a client and a node,
//!   [`PeerFrame`] from member to member.
//! * A frame is `payload length (u32, little-endian) | CRC-32 of the payload (u32, little-endian) | payload`; the
//!   payload is one message in postcard's encoding. [`FrameHeader`] parses the first eight bytes, and refuses a
//!   length beyond the limit before anything is allocated for it.
//! * [`encode`] and [`decode_payload`] are the plain functions, [`FrameEncoder`] and [`FrameDecoder`] the same for
//!   a stream of bytes.
//!
//! Whether a command may go into the store is not said here: [`check_limits`](crate::types::check_limits) does.
//!
//! `docs/protocol.md` describes all of it for clients in other languages.

mod codec;
mod frame;
mod messages;
#[cfg(test)]
mod tests;

pub use self::codec::*;
pub use self::frame::*;
pub use self::messages::*;
