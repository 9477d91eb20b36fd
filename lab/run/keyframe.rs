//! Keyframes: the whole state of the screen in one line of `events.jsonl`.
//!
//! Whoever reads the events from a keyframe on knows as much as who has read them from the first. Every part of the
//! record begins with one (behind the header, which is written again), and another is written every
//! [`KEYFRAME_EVERY`]. What the state is, only its owner knows: the journal is handed one as a [`KeyframeState`].

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::event::Stamped;

/// The version of the state's format. Raise it with every change of a field of the screen's `ViewState`, or of what is
/// in it. It has `evidence` and `verdict`, which others read as well.
pub(crate) const KEYFRAME_VERSION: u32 = 1;
/// The time between two keyframes.
pub(crate) const KEYFRAME_EVERY: Duration = Duration::from_secs(10);
/// How a line with a keyframe begins, and no other does.
pub(super) const KEYFRAME_BEGINS: &[u8] = b"{\"keyframe\":";
/// How hard the compressor tries, of 10: beyond this it takes twice as long for little.
const COMPRESSION_LEVEL: u8 = 2;
/// No packed value becomes larger than this when it is unpacked.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// The state after every event that stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keyframe {
    /// [`KEYFRAME_VERSION`].
    #[serde(rename = "keyframe")]
    pub(crate) version: u32,
    /// When the last event before it happened, in microseconds since the run began.
    pub(crate) t_us: u64,
    /// The state, packed.
    state: String,
}

/// A state that grows with the events of a run. The same events lead to the same state, and the state that is read
/// from a keyframe grows as the one does that was written.
pub(crate) trait KeyframeState: fmt::Debug + Send {
    /// The next event of the run.
    fn observe(&mut self, event: &Stamped);

    /// The state as it is now.
    fn keyframe(&self) -> Keyframe;
}

impl Keyframe {
    /// Of a state to which the events up to this time have led.
    pub(crate) fn of(t_us: u64, state: &impl Serialize) -> Self {
        Self { version: KEYFRAME_VERSION, t_us, state: pack(state) }
    }

    /// Whether this program knows how to read it.
    pub(crate) fn is_known(&self) -> bool {
        self.version == KEYFRAME_VERSION
    }

    /// The state, or a part of it.
    ///
    /// # Errors
    /// If it is of another version, or damaged.
    pub(crate) fn state<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if !self.is_known() {
            bail!(
                "a keyframe of version {}, and this program knows {KEYFRAME_VERSION}; use the program that wrote it",
                self.version
            );
        }
        unpack(&self.state).context("a keyframe cannot be read")
    }
}

/// Writes a value small: JSON, compressed with zlib, in base64.
///
/// # Panics
/// If it does not become JSON: plain data does.
pub(crate) fn pack(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("plain data becomes JSON");
    STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(&json, COMPRESSION_LEVEL))
}

/// Reads again what [`pack`] has written.
///
/// # Errors
/// If that is damaged, or is no such value.
pub(crate) fn unpack<T: DeserializeOwned>(packed: &str) -> anyhow::Result<T> {
    let bytes = STANDARD.decode(packed).context("it is not base64")?;
    let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&bytes, UNPACKED_BYTES_MAX);
    let json = json.map_err(|error| anyhow::anyhow!("it cannot be decompressed: {error}"))?;
    serde_json::from_slice(&json).context("it does not hold what it should")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_keyframe_is_known_by_its_beginning() {
        let keyframe = Keyframe::of(9, &[1, 2, 3]);
        let line = serde_json::to_vec(&keyframe).expect("JSON");
        assert!(line.starts_with(KEYFRAME_BEGINS));
        assert_eq!(serde_json::from_slice::<Keyframe>(&line).expect("a keyframe"), keyframe);
        assert_eq!(keyframe.state::<Vec<u32>>().expect("unpacked"), [1, 2, 3]);
        let newer = Keyframe { version: KEYFRAME_VERSION + 1, ..keyframe };
        let error = newer.state::<Vec<u32>>().expect_err("who knows what is in it");
        assert!(error.to_string().contains("use the program that wrote it"), "{error}");
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        for packed in ["", "%", "AAAA", &pack(&"text")] {
            assert!(unpack::<Vec<u32>>(packed).is_err(), "{packed}");
        }
    }
}
