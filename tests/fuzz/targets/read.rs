//! Reading a history.

use kvlab::judge::import::{FailedCas, Format, ImportOptions, import};

/// A text is a history, or the error names one of its lines.
pub fn history(text: &str, format: Format) {
    let _ = Format::detect(text);
    for failed_cas in [FailedCas::NeverRan, FailedCas::Observed] {
        if let Err(error) = import(text, format, ImportOptions { failed_cas, model: None }) {
            let lines = text.split('\n').count() as u64;
            assert!((1..=lines).contains(&error.line), "{error}; the text has {lines} lines");
        }
    }
}
