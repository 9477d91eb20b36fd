//! Frames off a socket, with a limit to how long half a frame may be.
#![expect(clippy::disallowed_methods, reason = "waits for the other side, with a deadline")]

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::codec::Decoder;

use crate::wire::{FrameDecoder, WireError};

/// How much is asked of a socket at once.
const READ_BYTES: usize = 16 << 10;
/// A frame must be whole after this many times the time that it may be silent.
const SLOW_FRAME_FACTOR: u32 = 6;

/// Reads frames of type `T`. Dropping a pending [`next`](Self::next) loses nothing.
pub(super) struct FrameReader<R, T> {
    source: R,
    decoder: FrameDecoder<T>,
    bytes: BytesMut,
    /// A frame that has begun must go on within this time.
    silence_max: Duration,
    /// A frame that has begun must be whole after this time.
    whole_within: Option<Duration>,
}

/// Why there are no more frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The bytes are not a frame.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A frame began and did not go on.
    #[error("half a frame ({bytes} bytes), then nothing for {} ms", after.as_millis())]
    Silent {
        /// Bytes of it that came.
        bytes: usize,
        /// How long nothing followed.
        after: Duration,
    },
    /// A frame came on, but too slowly.
    #[error("one frame took longer than {} s", limit.as_secs_f32())]
    Slow {
        /// The limit.
        limit: Duration,
    },
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: AsyncRead + Unpin, T: DeserializeOwned> FrameReader<R, T> {
    /// Reads from `source`; the first frame has the small limit of a Hello until [`admit`](Self::admit).
    pub(super) fn new(source: R, silence_max: Duration) -> Self {
        let whole_within = Some(silence_max * SLOW_FRAME_FACTOR);
        Self { source, decoder: FrameDecoder::new(), bytes: BytesMut::new(), silence_max, whole_within }
    }

    /// From now on frames may have their full length.
    pub(super) fn admit(&mut self) {
        self.decoder.admit();
    }

    /// From now on a frame may take as long as it goes on: whoever sends it is known, and the line may be slow. (A value of
    /// 16 MiB takes minutes at 100 KB a second.)
    pub(super) fn be_patient(&mut self) {
        self.whole_within = None;
    }

    /// The next frame; `None` at the end of the stream between two frames.
    ///
    /// # Errors
    /// See [`ReadError`]; the stream cannot be read any further.
    pub(super) async fn next(&mut self) -> Result<Option<T>, ReadError> {
        if let Some(frame) = self.decoder.decode(&mut self.bytes)? {
            return Ok(Some(frame));
        }
        if self.bytes.is_empty() && !self.read_more().await? {
            return Ok(None);
        }
        match self.whole_within {
            Some(limit) => {
                timeout(limit, self.rest_of_frame()).await.map_err(|_| ReadError::Slow { limit })?
            }
            None => self.rest_of_frame().await,
        }
    }

    async fn rest_of_frame(&mut self) -> Result<Option<T>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.bytes)? {
                return Ok(Some(frame));
            }
            let bytes = self.bytes.len();
            let after = self.silence_max;
            let more =
                timeout(after, self.read_more()).await.map_err(|_| ReadError::Silent { bytes, after })?;
            if !more? {
                return Ok(self.decoder.decode_eof(&mut self.bytes)?);
            }
        }
    }

    /// Whether anything came; `false` at the end.
    async fn read_more(&mut self) -> Result<bool, ReadError> {
        if self.bytes.capacity() - self.bytes.len() < READ_BYTES / 4 {
            self.bytes.reserve(READ_BYTES);
        }
        Ok(self.source.read_buf(&mut self.bytes).await? > 0)
    }

    /// Takes and forgets what still comes, so that closing does not reset the connection before the other side has
    /// read our last words. Ends at the end of the stream, or after `bytes_max`.
    pub(super) async fn discard(&mut self, bytes_max: usize) {
        let mut discarded = 0;
        while discarded < bytes_max {
            self.bytes.clear();
            if !matches!(self.read_more().await, Ok(true)) {
                return;
            }
            discarded += self.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::wire::{ClientFrame, encode};

    const SILENCE: Duration = Duration::from_millis(50);

    fn hello() -> ClientFrame {
        ClientFrame::Hello { version: 1, token: None }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn frames_come_out_however_they_arrive() {
        run(async {
            let (mut theirs, ours) = duplex(64);
            let mut reader = FrameReader::<_, ClientFrame>::new(ours, Duration::from_secs(5));
            let bytes = encode(&hello()).expect("encodes");
            let two = [&bytes[..], &bytes[..]].concat();
            let writer = async {
                for byte in two.chunks(1) {
                    theirs.write_all(byte).await.expect("written");
                }
                drop(theirs);
            };
            let reader = async {
                assert_eq!(reader.next().await.expect("a frame"), Some(hello()));
                assert_eq!(reader.next().await.expect("a frame"), Some(hello()));
                assert_eq!(reader.next().await.expect("the end"), None);
            };
            tokio::join!(writer, reader);
        });
    }

    #[test]
    fn half_a_frame_and_then_silence_is_an_error_that_says_so() {
        run(async {
            let (mut theirs, ours) = duplex(64);
            let mut reader = FrameReader::<_, ClientFrame>::new(ours, SILENCE);
            theirs.write_all(&[9, 0, 0]).await.expect("written");
            let error = reader.next().await.expect_err("silence").to_string();
            assert!(error.contains("half a frame (3 bytes)"), "{error}");
        });
    }

    #[test]
    fn the_end_inside_a_frame_is_an_error() {
        run(async {
            let (mut theirs, ours) = duplex(64);
            let mut reader = FrameReader::<_, ClientFrame>::new(ours, SILENCE);
            theirs.write_all(&[9, 0, 0]).await.expect("written");
            drop(theirs);
            assert!(matches!(reader.next().await, Err(ReadError::Wire(WireError::Truncated { bytes: 3 }))));
        });
    }

    #[test]
    fn a_known_sender_may_take_its_time_and_not_fall_silent() {
        run(async {
            let (mut theirs, ours) = duplex(64);
            let mut reader = FrameReader::<_, ClientFrame>::new(ours, SILENCE);
            reader.be_patient();
            let bytes = encode(&hello()).expect("encodes");
            // Longer in all than a stranger's frame may take.
            let pause = SILENCE * (SLOW_FRAME_FACTOR + 1) / u32::try_from(bytes.len() - 1).expect("short");
            let writer = async {
                for byte in bytes.chunks(1) {
                    theirs.write_all(byte).await.expect("written");
                    tokio::time::sleep(pause).await;
                }
                theirs.write_all(&[9]).await.expect("written");
            };
            let reads = async {
                assert_eq!(reader.next().await.expect("a frame"), Some(hello()));
                assert!(matches!(reader.next().await, Err(ReadError::Silent { bytes: 1, .. })));
            };
            tokio::join!(writer, reads);
        });
    }

    #[test]
    fn a_trickle_does_not_keep_a_frame_open_for_ever() {
        run(async {
            let (mut theirs, ours) = duplex(64);
            let mut reader = FrameReader::<_, ClientFrame>::new(ours, SILENCE);
            let trickle = async {
                theirs.write_all(&[200, 0, 0, 0, 1, 2, 3, 4]).await.expect("written");
                while theirs.write_all(&[0]).await.is_ok() {
                    tokio::time::sleep(SILENCE / 10).await;
                }
            };
            tokio::select! {
                next = reader.next() => assert!(matches!(next, Err(ReadError::Slow { .. })), "{next:?}"),
                () = trickle => unreachable!("the reader is still there"),
            }
        });
    }
}
