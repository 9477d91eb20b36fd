//! A stream of frames: however its bytes arrive, it is the same frames, and breaks in the same place.
#![no_main]

use bytes::BytesMut;
use kvlab::wire::{ClientFrame, FrameDecoder};
use tokio_util::codec::Decoder;

libfuzzer_sys::fuzz_target!(|input: (bool, u8, Vec<(bool, &[u8])>)| {
    let (admitted, chunk, parts) = input;
    // No fuzzer guesses a checksum: half of the parts get a header that is right.
    let stream: Vec<u8> = parts
        .into_iter()
        .flat_map(|(whole, bytes)| if whole { frame(bytes) } else { bytes.into() })
        .collect();
    let at_once = frames(admitted, [&stream[..]].into_iter());
    let in_pieces = frames(admitted, stream.chunks(usize::from(chunk).max(1)));
    assert_eq!(at_once, in_pieces);
});

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short input");
    [&length.to_le_bytes()[..], &crc32fast::hash(payload).to_le_bytes(), payload].concat()
}

/// Every frame until the stream breaks, and why it broke.
fn frames<'b>(admitted: bool, chunks: impl Iterator<Item = &'b [u8]>) -> (Vec<ClientFrame>, Option<String>) {
    let mut decoder = FrameDecoder::new();
    if admitted {
        decoder.admit();
    }
    let (mut src, mut frames) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        src.extend_from_slice(chunk);
        loop {
            match decoder.decode(&mut src) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    let end = decoder.decode_eof(&mut src);
    (frames, end.err().map(|error| error.to_string()))
}
