//! Our own `history.jsonl`.

use super::super::history::HistoryEvent;
use super::super::online::Judge;
use super::super::options::JudgeOptions;
use super::{ImportError, quoted};

/// Reads the event of one line; `number` is the line's, from 1.
///
/// # Errors
/// If the line is not one.
pub fn read_event(line: &str, number: u64) -> Result<HistoryEvent, ImportError> {
    serde_json::from_str(line).map_err(|error| {
        let found = if error.is_eof() {
            format!("the line ends inside an event: {}", quoted(line))
        } else {
            format!("{error} in {}", quoted(line))
        };
        ImportError::new(number, found, r#"a history event like {"i":17,"t_ns":1,"client":3,…}"#)
    })
}

/// All events; empty lines are skipped.
pub(super) fn events(text: &str) -> Result<Vec<HistoryEvent>, ImportError> {
    // Whether each event can follow is the judge's to say; what it concludes is of no interest here.
    let mut judge = Judge::new(JudgeOptions::default());
    let mut events = Vec::new();
    for (line, number) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty()) {
        let event = read_event(line, number)?;
        let follows = judge.observe(&event);
        follows.map_err(|error| {
            ImportError::new(number, error.to_string(), "an event that can follow those before it")
        })?;
        events.push(event);
    }
    Ok(events)
}
