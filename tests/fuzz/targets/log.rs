//! Jepsen's plain log lines: a text is read, or refused with the line.
#![no_main]

use kvlab::judge::import::Format;

mod read;

libfuzzer_sys::fuzz_target!(|text: &str| read::history(text, Format::JepsenLog));
