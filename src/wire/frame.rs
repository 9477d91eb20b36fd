//! One frame: its header, its checksum, its payload.

use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::messages::FRAME_BYTES_MAX;

/// Bytes before the payload: its length and its checksum, both `u32` little-endian.
pub const FRAME_HEADER_BYTES: usize = 8;

/// The longest payload of the first frame of a connection. Until a peer has said who it is, this is all that it
/// can make us hold.
pub const HELLO_BYTES_MAX: usize = 4 << 10;

/// Why bytes are not a frame. The stream cannot be read any further after any of these.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The length is beyond the limit that holds at this point of the connection.
    #[error("a frame of {bytes} bytes is longer than the {max} bytes allowed here")]
    TooLong {
        /// Length of the payload.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The payload is not what was sent.
    #[error("the frame's checksum is wrong: {expected:08x} in its header, {found:08x} of its {bytes} bytes")]
    Checksum {
        /// In the header.
        expected: u32,
        /// Of the payload as it arrived.
        found: u32,
        /// Length of the payload.
        bytes: usize,
    },
    /// The payload is whole, but is not a message of the kind expected.
    #[error("the frame of {bytes} bytes is not a {kind}: {}", said(reason))]
    Malformed {
        /// The kind of message expected.
        kind: &'static str,
        /// Length of the payload.
        bytes: usize,
        /// What the decoder says.
        reason: postcard::Error,
    },
    /// The payload goes on after the message.
    #[error("the frame of {bytes} bytes has {trailing} bytes after its {kind}")]
    TrailingBytes {
        /// The kind of message found.
        kind: &'static str,
        /// Length of the payload.
        bytes: usize,
        /// How many of them follow the message.
        trailing: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, after {bytes} bytes of it")]
    Truncated {
        /// Bytes of the frame that had arrived, header included.
        bytes: usize,
    },
    /// The stream itself failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What the first eight bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length of the payload; within the limit it was parsed with.
    pub payload_bytes: usize,
    /// CRC-32 (IEEE) of the payload.
    pub crc32: u32,
}

impl FrameHeader {
    /// Parses the header at the start of `buffer`; `None` if fewer than eight bytes are there.
    ///
    /// # Errors
    /// [`WireError::TooLong`] if the payload would be longer than `payload_bytes_max`.
    pub fn peek(buffer: &[u8], payload_bytes_max: usize) -> Result<Option<Self>, WireError> {
        let Some(header) = buffer.first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        // A length that no `usize` can hold is beyond every limit.
        let payload_bytes = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if payload_bytes > payload_bytes_max {
            return Err(WireError::TooLong { bytes: payload_bytes, max: payload_bytes_max });
        }
        Ok(Some(Self { payload_bytes, crc32: u32::from_le_bytes([c0, c1, c2, c3]) }))
    }

    /// Length of the whole frame, header included.
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload_bytes
    }

    /// Whether `payload` is what was sent.
    ///
    /// # Errors
    /// [`WireError::Checksum`].
    pub fn verify(&self, payload: &[u8]) -> Result<(), WireError> {
        let found = crc32fast::hash(payload);
        if found == self.crc32 {
            Ok(())
        } else {
            Err(WireError::Checksum { expected: self.crc32, found, bytes: payload.len() })
        }
    }
}

/// One message as a whole frame.
///
/// # Errors
/// [`WireError::TooLong`] if the message does not fit into a frame. Messages within the limits of
/// [`check_limits`](crate::types::check_limits) always do.
///
/// # Examples
/// ```
/// use kvlab::wire::{ClientFrame, FRAME_HEADER_BYTES, decode_payload, encode};
///
/// let hello = ClientFrame::Hello { version: 1, token: None };
/// let frame = encode(&hello)?;
/// let again: ClientFrame = decode_payload(&frame[FRAME_HEADER_BYTES..])?;
/// assert_eq!(again, hello);
/// # Ok::<(), kvlab::wire::WireError>(())
/// ```
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, WireError> {
    let mut buffer = BytesMut::new();
    encode_into(message, &mut buffer)?;
    Ok(buffer.freeze())
}

/// Appends one message as a whole frame to `buffer`, which is left as it was on an error.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<T: Serialize>(message: &T, buffer: &mut BytesMut) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    let bytes_max = start + FRAME_HEADER_BYTES + FRAME_BYTES_MAX;
    let mut payload = Payload { buffer, bytes_max, bytes_wanted: start + FRAME_HEADER_BYTES };
    let outcome = postcard::serialize_with_flavor(message, &mut payload);
    let bytes = payload.bytes_wanted - start - FRAME_HEADER_BYTES;
    match outcome {
        Ok(()) => {}
        Err(postcard::Error::SerializeBufferFull) => {
            buffer.truncate(start);
            return Err(WireError::TooLong { bytes, max: FRAME_BYTES_MAX });
        }
        Err(reason) => {
            buffer.truncate(start);
            return Err(WireError::Malformed { kind: kind_of::<T>(), bytes, reason });
        }
    }
    let length = u32::try_from(bytes).expect("a frame's limit is far below 4 GiB");
    let crc32 = crc32fast::hash(&buffer[start + FRAME_HEADER_BYTES..]);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + FRAME_HEADER_BYTES].copy_from_slice(&crc32.to_le_bytes());
    Ok(())
}

/// The message in a payload whose checksum has been verified.
///
/// # Errors
/// [`WireError::Malformed`] if it is no message of this kind, [`WireError::TrailingBytes`] if it goes on after it.
pub fn decode_payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    let kind = kind_of::<T>();
    let bytes = payload.len();
    let (message, rest) =
        postcard::take_from_bytes(payload).map_err(|reason| WireError::Malformed { kind, bytes, reason })?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(WireError::TrailingBytes { kind, bytes, trailing: rest.len() })
    }
}

/// What the decoder says; where one of our own checks has refused a value, it does not pass on which.
fn said(reason: &postcard::Error) -> String {
    match reason {
        postcard::Error::SerdeDeCustom => {
            "a value is out of its bounds (an epoch or a seq beyond 2^48, a lineage that goes back)"
                .to_owned()
        }
        reason => reason.to_string(),
    }
}

/// `ClientFrame` rather than `kvlab::wire::messages::ClientFrame`.
fn kind_of<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

/// Where postcard writes: the end of a buffer, up to a limit. It remembers how far it was asked to go, so that
/// the error can say at least how long the frame would have been.
struct Payload<'a> {
    buffer: &'a mut BytesMut,
    bytes_max: usize,
    bytes_wanted: usize,
}

impl Flavor for &mut Payload<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.bytes_wanted = self.bytes_wanted.saturating_add(bytes.len());
        if self.bytes_wanted > self.bytes_max {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Duration;

    use super::*;
    use crate::types::{
        Command, Epoch, Failure, Found, KEY_BYTES_MAX, MemberVote, NodeId, Op, Position, REQUEST_TIMEOUT_MAX,
        ReadLevel, Reply, VALUE_BYTES_MAX, Vote, WriteLevel,
    };
    use crate::wire::{CleanupReply, ClientFrame, NodeFrame, PROTOCOL_VERSION, Request, Response};

    const PROTOCOL: &str = include_str!("../../docs/protocol.md");

    /// The worked examples of docs/protocol.md: what each says there, and the message.
    fn client_examples() -> Vec<(&'static str, ClientFrame)> {
        let (key, value) = (Bytes::from_static(b"hello"), Bytes::from_static(b"world"));
        let timeout = Duration::from_millis(500);
        let put =
            Command::Write { op: Op::Put { key: key.clone(), value }, level: WriteLevel::Quorum, timeout };
        let get = Command::Read { key, level: ReadLevel::Eventual, timeout };
        let ask = |id, request| ClientFrame::Request { id, request };
        vec![
            ("Hello, no token", ClientFrame::Hello { version: PROTOCOL_VERSION, token: None }),
            ("Hello, token", ClientFrame::Hello { version: PROTOCOL_VERSION, token: Some("secret".into()) }),
            ("quorum PUT hello=world as request 300", ask(300, Request::Do(put))),
            ("eventual GET hello as request 7", ask(7, Request::Do(get))),
            ("watch every 100 ms as request 1", ask(1, Request::Watch { interval_ms: 100 })),
            ("cleanup as request 2", ask(2, Request::Cleanup)),
        ]
    }

    fn node_examples() -> Vec<(&'static str, NodeFrame)> {
        let at = Position::new(Epoch::new(1, NodeId(1)), 412);
        let votes = vec![
            MemberVote { node: NodeId(1), vote: Vote::Ack, after_us: Some(130) },
            MemberVote { node: NodeId(2), vote: Vote::Unreachable, after_us: None },
        ];
        let found = Found { value: Some(Bytes::from_static(b"world")), version: at };
        let value = Reply::Value { found, epoch: at.epoch, votes: Vec::new() };
        let refused = Reply::Failed(Failure::ReadOnly { primary: Some(NodeId(1)) });
        let address = || Some("127.0.0.1:7001".to_owned());
        let begun = CleanupReply::Begun { bytes_total: 67_108_864 };
        let answer =
            |id, reply, primary| NodeFrame::Response { id, response: Response::Reply { reply, primary } };
        let members = vec![(NodeId(1), address()), (NodeId(2), None)];
        vec![
            ("Welcome", NodeFrame::Welcome { version: PROTOCOL_VERSION, node: NodeId(2), members }),
            ("written", answer(300, Reply::Written { at, votes }, None)),
            ("value", answer(7, value, None)),
            ("read-only", answer(300, refused, address())),
            ("cleanup begun", NodeFrame::Response { id: 2, response: Response::Cleanup(begun) }),
        ]
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let space = if text.is_empty() { "" } else { " " };
            write!(text, "{space}{byte:02x}").expect("writes to a string");
            text
        })
    }

    #[test]
    fn the_examples_in_the_documentation_are_what_is_sent() {
        let client = client_examples().into_iter().map(|(name, frame)| (name, encode(&frame)));
        let node = node_examples().into_iter().map(|(name, frame)| (name, encode(&frame)));
        // Wrapped hex is compared without its line breaks.
        let text = PROTOCOL.split_whitespace().collect::<Vec<_>>().join(" ");
        for (name, frame) in client.chain(node) {
            let hex = hex(&frame.expect("encodes"));
            assert!(text.contains(&hex), "docs/protocol.md lacks the example {name:?}:\n{hex}");
        }
    }

    #[test]
    fn the_largest_command_fits_into_a_frame() {
        let op = Op::Put { key: vec![b'k'; KEY_BYTES_MAX].into(), value: vec![b'v'; VALUE_BYTES_MAX].into() };
        let largest = Command::Write { op, level: WriteLevel::Quorum, timeout: REQUEST_TIMEOUT_MAX };
        let frame = ClientFrame::Request { id: u64::MAX, request: Request::Do(largest) };
        encode(&frame).expect("the largest command fits");
    }

    #[test]
    fn a_header_is_parsed_without_its_payload() {
        let frame = encode(&ClientFrame::Hello { version: 1, token: None }).expect("encodes");
        assert_eq!(FrameHeader::peek(&frame[..7], FRAME_BYTES_MAX).expect("waits"), None);
        let header = FrameHeader::peek(&frame, FRAME_BYTES_MAX).expect("parses").expect("is there");
        assert_eq!(header.frame_bytes(), frame.len());
        header.verify(&frame[FRAME_HEADER_BYTES..]).expect("matches");
        header.verify(b"else").expect_err("does not match");
    }
}
