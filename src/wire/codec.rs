//! Frames out of and into a stream of bytes.

use std::marker::PhantomData;

use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder};

use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, HELLO_BYTES_MAX, WireError, decode_payload, encode_into,
};
use super::messages::FRAME_BYTES_MAX;

/// How far ahead of the bytes that have arrived a decoder reserves memory. A header that promises 17 MiB costs
/// no more than this until they come.
const RESERVE_BYTES_MAX: usize = 64 << 10;

/// Frames out of a stream of bytes, as messages of type `T`.
///
/// It begins with the small limit of a Hello ([`HELLO_BYTES_MAX`]); the reader calls [`admit`](Self::admit) when
/// it knows whom it talks to. After an error it yields nothing more: a broken stream has no next frame.
///
/// ```
/// use bytes::BytesMut;
/// use kvlab::wire::{ClientFrame, FrameDecoder, encode};
/// use tokio_util::codec::Decoder;
///
/// let hello = ClientFrame::Hello { version: 1, token: None };
/// let frame = encode(&hello)?;
/// let (mut decoder, mut arrived) = (FrameDecoder::new(), BytesMut::new());
/// arrived.extend_from_slice(&frame[..5]);
/// assert_eq!(decoder.decode(&mut arrived)?, None, "it waits for the rest");
/// arrived.extend_from_slice(&frame[5..]);
/// assert_eq!(decoder.decode(&mut arrived)?, Some(hello));
/// # Ok::<(), kvlab::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct FrameDecoder<T> {
    payload_bytes_max: usize,
    broken: bool,
    message: PhantomData<fn() -> T>,
}

/// Messages into a stream of bytes, each as one frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameEncoder;

impl<T> FrameDecoder<T> {
    /// For a connection on which nobody has said who they are.
    pub fn new() -> Self {
        Self { payload_bytes_max: HELLO_BYTES_MAX, broken: false, message: PhantomData }
    }

    /// The first frame was in order: from now on frames may have their full length ([`FRAME_BYTES_MAX`]).
    pub fn admit(&mut self) {
        self.payload_bytes_max = FRAME_BYTES_MAX;
    }

    fn next_frame(&self, src: &mut BytesMut) -> Result<Option<T>, WireError>
    where
        T: DeserializeOwned,
    {
        let Some(header) = FrameHeader::peek(src, self.payload_bytes_max)? else { return Ok(None) };
        let missing = header.frame_bytes().saturating_sub(src.len());
        if missing > 0 {
            src.reserve(missing.min(RESERVE_BYTES_MAX));
            return Ok(None);
        }
        let frame = src.split_to(header.frame_bytes());
        let payload = &frame[FRAME_HEADER_BYTES..];
        header.verify(payload)?;
        decode_payload(payload).map(Some)
    }
}

impl<T> Default for FrameDecoder<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned> Decoder for FrameDecoder<T> {
    type Item = T;
    type Error = WireError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<T>, WireError> {
        if self.broken {
            src.clear();
            return Ok(None);
        }
        let outcome = self.next_frame(src);
        self.broken = outcome.is_err();
        outcome
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<T>, WireError> {
        match self.decode(src)? {
            Some(message) => Ok(Some(message)),
            None if src.is_empty() => Ok(None),
            None => {
                self.broken = true;
                Err(WireError::Truncated { bytes: src.len() })
            }
        }
    }
}

impl<T: Serialize> Encoder<T> for FrameEncoder {
    type Error = WireError;

    fn encode(&mut self, message: T, dst: &mut BytesMut) -> Result<(), WireError> {
        encode_into(&message, dst)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::wire::tests::strategies::{client_frame, node_frame, peer_frame};
    use crate::wire::{ClientFrame, NodeFrame, PeerFrame, encode};

    /// Feeds `chunks` one after the other and returns every frame and the error, if any.
    fn feed<T: DeserializeOwned>(
        decoder: &mut FrameDecoder<T>,
        chunks: &[&[u8]],
    ) -> (Vec<T>, Option<WireError>) {
        let mut src = BytesMut::new();
        let mut frames = Vec::new();
        for chunk in chunks {
            src.extend_from_slice(chunk);
            loop {
                match decoder.decode(&mut src) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        let end = decoder.decode_eof(&mut src);
        (frames, end.err())
    }

    fn admitted<T>() -> FrameDecoder<T> {
        let mut decoder = FrameDecoder::new();
        decoder.admit();
        decoder
    }

    fn round_trips<T: Serialize + DeserializeOwned + Debug + PartialEq>(frame: &T) {
        let bytes = encode(frame).expect("encodes");
        let (frames, error) = feed::<T>(&mut admitted(), &[&bytes]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(frames.as_slice(), std::slice::from_ref(frame));
    }

    fn stream(frames: &[PeerFrame]) -> Bytes {
        let mut bytes = BytesMut::new();
        for frame in frames {
            FrameEncoder.encode(frame, &mut bytes).expect("encodes");
        }
        bytes.freeze()
    }

    /// Whether the error says that the bytes are wrong (rather than that the stream failed).
    fn refuses(error: &WireError) -> bool {
        !matches!(error, WireError::Io(_))
    }

    proptest! {
        #[test]
        fn every_client_frame_round_trips(frame in client_frame()) {
            round_trips(&frame);
        }

        #[test]
        fn every_node_frame_round_trips(frame in node_frame()) {
            round_trips(&frame);
        }

        #[test]
        fn every_peer_frame_round_trips(frame in peer_frame()) {
            round_trips(&frame);
        }

        #[test]
        fn any_split_of_the_stream_gives_the_same_frames(
            frames in prop::collection::vec(peer_frame(), 1..6),
            cuts in prop::collection::vec(any::<Index>(), 0..12),
        ) {
            let bytes = stream(&frames);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (got, error) = feed::<PeerFrame>(&mut admitted(), &chunks);
            prop_assert!(error.is_none(), "{:?}", error);
            prop_assert_eq!(got, frames);
        }

        #[test]
        fn a_truncated_frame_waits_and_is_named_at_the_end(frame in peer_frame(), cut in any::<Index>()) {
            let bytes = encode(&frame).expect("encodes");
            let cut = 1 + cut.index(bytes.len() - 1);
            let mut decoder = admitted::<PeerFrame>();
            let mut src = BytesMut::from(&bytes[..cut]);
            prop_assert!(decoder.decode(&mut src).expect("waits").is_none());
            let error = decoder.decode_eof(&mut src).expect_err("the stream ended inside a frame");
            prop_assert!(matches!(error, WireError::Truncated { bytes } if bytes == cut), "{}", error);
        }

        #[test]
        fn a_flipped_bit_never_passes(frame in peer_frame(), at in any::<Index>(), bit in 0..8_u32) {
            let mut bytes = encode(&frame).expect("encodes").to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (frames, error) = feed::<PeerFrame>(&mut admitted(), &[&bytes]);
            prop_assert!(frames.is_empty());
            prop_assert!(error.as_ref().is_some_and(refuses), "{:?}", error);
        }

        #[test]
        fn arbitrary_bytes_neither_panic_nor_reserve_more_than_they_are(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            admit in any::<bool>(),
        ) {
            let mut decoder = FrameDecoder::<NodeFrame>::new();
            if admit {
                decoder.admit();
            }
            let mut src = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = decoder.decode(&mut src) {}
            // A reserve may double what is there; it never follows the length in the header.
            prop_assert!(src.capacity() <= 2 * (bytes.len() + RESERVE_BYTES_MAX), "{}", src.capacity());
        }

        #[test]
        fn an_arbitrary_payload_with_a_good_checksum_never_panics(
            payload in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let bytes = framed(&payload);
            for error in [
                feed::<ClientFrame>(&mut admitted(), &[&bytes]).1,
                feed::<NodeFrame>(&mut admitted(), &[&bytes]).1,
                feed::<PeerFrame>(&mut admitted(), &[&bytes]).1,
            ].iter().flatten() {
                prop_assert!(refuses(error), "{}", error);
            }
        }

        #[test]
        fn a_message_changed_inside_is_refused_or_is_another_message(
            frame in peer_frame(),
            changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        ) {
            let mut payload = encode(&frame).expect("encodes")[FRAME_HEADER_BYTES..].to_vec();
            for (at, byte) in changes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            let (frames, error) = feed::<PeerFrame>(&mut admitted(), &[&framed(&payload)]);
            prop_assert_eq!(frames.len(), usize::from(error.is_none()));
        }
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short");
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn four_gibibytes_are_refused_from_the_header_alone() {
        let mut decoder = admitted::<ClientFrame>();
        let mut src = BytesMut::with_capacity(FRAME_HEADER_BYTES);
        src.extend_from_slice(&[0xff; FRAME_HEADER_BYTES]);
        let capacity = src.capacity();
        let error = decoder.decode(&mut src).expect_err("too long");
        assert_eq!(src.capacity(), capacity, "nothing was allocated for it");
        let text = error.to_string();
        assert!(text.contains("4294967295") && text.contains(&FRAME_BYTES_MAX.to_string()), "{text}");
    }

    #[test]
    fn the_first_frame_has_the_limit_of_a_hello() {
        let long = ClientFrame::Hello { version: 1, token: Some("t".repeat(HELLO_BYTES_MAX)) };
        let bytes = encode(&long).expect("encodes");
        let (frames, error) = feed::<ClientFrame>(&mut FrameDecoder::new(), &[&bytes[..FRAME_HEADER_BYTES]]);
        assert!(frames.is_empty());
        assert!(matches!(error, Some(WireError::TooLong { max: HELLO_BYTES_MAX, .. })), "{error:?}");

        let (frames, error) = feed::<ClientFrame>(&mut admitted(), &[&bytes]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(frames, [long]);
    }

    #[test]
    fn a_length_that_is_allowed_is_not_reserved_before_the_bytes_come() {
        let mut decoder = admitted::<ClientFrame>();
        let mut src = BytesMut::new();
        src.extend_from_slice(&u32::try_from(FRAME_BYTES_MAX).expect("fits").to_le_bytes());
        src.extend_from_slice(&[0; 4]);
        assert!(decoder.decode(&mut src).expect("waits").is_none());
        assert!(src.capacity() <= 2 * RESERVE_BYTES_MAX, "{}", src.capacity());
    }

    #[test]
    fn bytes_after_the_message_are_refused_and_counted() {
        let frame = ClientFrame::Hello { version: 1, token: None };
        let mut payload = encode(&frame).expect("encodes")[FRAME_HEADER_BYTES..].to_vec();
        payload.extend_from_slice(b"xyz");
        let (frames, error) = feed::<ClientFrame>(&mut admitted(), &[&framed(&payload)]);
        assert!(frames.is_empty());
        let error = error.expect("refused").to_string();
        assert!(error.contains("3 bytes after its ClientFrame"), "{error}");
    }

    #[test]
    fn nothing_follows_an_error() {
        let good = encode(&ClientFrame::Hello { version: 1, token: None }).expect("encodes");
        let mut bytes = good.to_vec();
        bytes[FRAME_HEADER_BYTES] ^= 1;
        bytes.extend_from_slice(&good);
        let mut decoder = admitted::<ClientFrame>();
        let mut src = BytesMut::from(bytes.as_slice());
        decoder.decode(&mut src).expect_err("a wrong checksum");
        assert!(decoder.decode(&mut src).expect("quiet").is_none());
        assert!(src.is_empty(), "what is left of a broken stream is dropped");
    }

    #[test]
    fn a_message_too_long_leaves_the_buffer_as_it_was() {
        let mut bytes = BytesMut::from(&b"before"[..]);
        let long = NodeFrame::Goodbye { reason: "x".repeat(FRAME_BYTES_MAX + 1) };
        let error = FrameEncoder.encode(long, &mut bytes).expect_err("too long");
        assert!(matches!(error, WireError::TooLong { bytes, .. } if bytes > FRAME_BYTES_MAX), "{error}");
        assert_eq!(&bytes[..], b"before");
    }

    #[test]
    fn a_count_that_lies_is_refused() {
        // PeerFrame::Message(Message::Append { epoch 0@n0, prev 0@n0/0, entries: 2^63 of them, and nothing more.
        let mut payload = vec![1, 4, 0, 0, 0, 0, 0];
        payload.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        let error = feed::<PeerFrame>(&mut admitted(), &[&framed(&payload)]).1.expect("refused");
        assert!(matches!(error, WireError::Malformed { kind: "PeerFrame", .. }), "{error}");
    }

    #[test]
    fn a_lineage_that_goes_back_is_refused() {
        let spans = |second: u64| {
            // PeerFrame::Message(Message::SnapshotBegin { epoch 3@n1, id 1, at 3@n1/9, lineage of two spans, 0 })
            framed(&[1, 11, 3, 1, 1, 3, 1, 9, 2, 1, 1, 1, 3, 1, u8::try_from(second).expect("small"), 0])
        };
        let (frames, error) = feed::<PeerFrame>(&mut admitted(), &[&spans(5)]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(frames.len(), 1);
        let error = feed::<PeerFrame>(&mut admitted(), &[&spans(1)]).1.expect("refused");
        assert!(matches!(error, WireError::Malformed { .. }), "{error}");
    }
}
