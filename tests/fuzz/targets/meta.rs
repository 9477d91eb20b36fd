#![no_main]

use kvlab::storage::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::meta(bytes));
