//! Reading a payload, writing what was read, and reading that.

use std::fmt::Debug;

use kvlab::wire::{FRAME_HEADER_BYTES, decode_payload, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message is the same after it has been written and read again.
pub fn read_and_write<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = decode_payload::<T>(payload) else { return };
    let frame = encode(&message).expect("what was read can be written");
    let again: T = decode_payload(&frame[FRAME_HEADER_BYTES..]).expect("what was written can be read");
    assert_eq!(again, message);
}
