//! Reading a history.

use kvlab::judge::import::{Format, ImportOptions, import};

/// A text is a history, or the error names one of its lines.
pub fn history(text: &str, format: Format) {
    let _ = Format::detect(text);
    for drop_failed_cas in [false, true] {
        if let Err(error) = import(text, format, ImportOptions { drop_failed_cas }) {
            let lines = text.split('\n').count() as u64;
            assert!((1..=lines).contains(&error.line), "{error}; the text has {lines} lines");
        }
    }
}
