//! Where a frame ends: all that a proxy must know of what it carries.

use bytes::{Buf as _, Bytes, BytesMut};
use kvlab::wire::FRAME_BYTES_MAX;

use crate::engine::Framing;

/// Bytes of a frame before its payload.
const HEADER_BYTES: usize = 8;
/// Room made for reads of small frames.
const BLOCK_BYTES: usize = 64 << 10;
/// With less room than this a new block is begun. Frames on their way keep their block alive, so blocks must be
/// filled: a block for each read would hold a thousand times what is in it.
const ROOM_MIN: usize = 4 << 10;

/// Cuts what has been read into whole pieces. Holds at most one unfinished frame and one read.
#[derive(Debug)]
pub(super) struct Splitter {
    framing: Framing,
    bytes: BytesMut,
}

impl Splitter {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, bytes: BytesMut::new() }
    }

    /// Whether its pieces are frames; else they are whatever was read at once.
    pub(super) fn knows_frames(&self) -> bool {
        self.framing == Framing::Frames
    }

    /// Where the next read goes; there is always room.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let missing = self.frame_bytes().map_or(0, |frame| frame.saturating_sub(self.bytes.len()));
        if self.bytes.capacity() - self.bytes.len() < missing.max(ROOM_MIN) {
            self.bytes.reserve(missing.max(BLOCK_BYTES));
        }
        &mut self.bytes
    }

    /// The next whole piece, if there is one.
    ///
    /// A length that no frame may have shows that this is not our protocol. From there on it is carried as it
    /// comes: to refuse it is for the node, and the lab must see how the node does it.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        if self.framing == Framing::Frames {
            let frame = self.frame_bytes()?;
            if frame <= HEADER_BYTES + FRAME_BYTES_MAX {
                return (self.bytes.len() >= frame).then(|| self.bytes.split_to(frame).freeze());
            }
            self.framing = Framing::Stream;
        }
        (!self.bytes.is_empty()).then(|| self.bytes.split().freeze())
    }

    /// Drops what is held.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Length of the frame at the front, header and all, if its length has arrived.
    fn frame_bytes(&self) -> Option<usize> {
        let mut length = self.bytes.get(..4)?;
        (self.framing == Framing::Frames).then(|| HEADER_BYTES.saturating_add(length.get_u32_le() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a small payload");
        [&length.to_le_bytes()[..], &[0; 4], payload].concat()
    }

    proptest! {
        #[test]
        fn pieces_are_whole_frames_however_the_bytes_arrive(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            cuts in prop::collection::vec(1usize..50, 1..400),
        ) {
            let frames: Vec<_> = payloads.iter().map(|payload| frame(payload)).collect();
            let wire = frames.concat();
            let mut splitter = Splitter::new(Framing::Frames);
            let mut pieces = Vec::new();
            let (mut rest, mut cuts) = (&wire[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().expect("endless").min(rest.len()));
                splitter.room().extend_from_slice(now);
                rest = later;
                while let Some(piece) = splitter.next_piece() {
                    pieces.push(piece.to_vec());
                }
            }
            prop_assert_eq!(pieces, frames);
        }

        #[test]
        fn no_byte_is_lost_whatever_it_is(wire in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut splitter = Splitter::new(Framing::Frames);
            splitter.room().extend_from_slice(&wire);
            let mut out = Vec::new();
            while let Some(piece) = splitter.next_piece() {
                out.extend_from_slice(&piece);
            }
            out.extend_from_slice(&splitter.bytes);
            prop_assert_eq!(out, wire);
        }
    }

    // Once found by the first property above.
    #[test]
    fn a_frame_that_comes_byte_by_byte_is_one_piece() {
        let mut splitter = Splitter::new(Framing::Frames);
        let wire = frame(&[0; 8]);
        let (last, first) = wire.split_last().expect("has bytes");
        for &byte in first {
            splitter.room().extend_from_slice(&[byte]);
            assert_eq!(splitter.next_piece(), None);
        }
        splitter.room().extend_from_slice(&[*last]);
        assert_eq!(splitter.next_piece().as_deref(), Some(&wire[..]));
    }

    #[test]
    fn small_frames_share_their_memory() {
        let mut splitter = Splitter::new(Framing::Frames);
        let mut held = Vec::new();
        for _ in 0..10_000 {
            splitter.room().extend_from_slice(&frame(&[1; 100]));
            held.push(splitter.next_piece().expect("a frame"));
        }
        let adjacent = |pair: &&[Bytes]| pair[0].as_ptr_range().end == pair[1].as_ptr();
        let blocks = held.len() - held.windows(2).filter(adjacent).count();
        assert!(blocks <= 2 * held.len() * 108 / BLOCK_BYTES, "{blocks} blocks");
    }

    #[test]
    fn an_impossible_length_is_carried_as_it_comes() {
        let mut splitter = Splitter::new(Framing::Frames);
        splitter.room().extend_from_slice(&[0xff; 6]);
        assert_eq!(splitter.next_piece().as_deref(), Some(&[0xff; 6][..]));
        splitter.room().extend_from_slice(b"more");
        assert_eq!(splitter.next_piece().as_deref(), Some(&b"more"[..]));
    }

    #[test]
    fn a_long_frame_is_waited_for() {
        let mut splitter = Splitter::new(Framing::Frames);
        let long = frame(&vec![7; FRAME_BYTES_MAX]);
        splitter.room().extend_from_slice(&long[..long.len() - 1]);
        assert_eq!(splitter.next_piece(), None);
        assert!(splitter.room().capacity() >= long.len());
        splitter.room().extend_from_slice(&long[long.len() - 1..]);
        assert_eq!(splitter.next_piece().map(|piece| piece.len()), Some(long.len()));
    }
}
