//! What a client and a node say to each other: a payload that is read is written so that it is read as the same.
#![no_main]

use kvlab::wire::{ClientFrame, NodeFrame};

mod again;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    again::read_and_write::<ClientFrame>(payload);
    again::read_and_write::<NodeFrame>(payload);
});
