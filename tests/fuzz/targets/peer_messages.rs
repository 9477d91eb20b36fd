//! What members say to each other: a payload that is read is written so that it is read as the same.
#![no_main]

use kvlab::wire::PeerFrame;

mod again;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| again::read_and_write::<PeerFrame>(payload));
