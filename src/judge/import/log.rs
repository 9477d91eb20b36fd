//! Jepsen's plain log: `INFO  jepsen.util - 3 :invoke :write 4`.

use super::raw::{RawEvent, phase_of};
use super::{ImportError, edn, quoted};

/// What marks the lines that tell operations.
const MARKER: &str = "jepsen.util";

/// All events of the text; other lines are skipped.
pub(super) fn events(text: &str) -> Result<Vec<RawEvent<'_>>, ImportError> {
    let mut events = Vec::new();
    for (line, number) in text.lines().zip(1_u64..) {
        if let Some((process, rest)) = split(line) {
            events.push(event(process, rest, number)?);
        }
    }
    Ok(events)
}

/// Whether a line tells an operation of a client.
pub(super) fn is_event(line: &str) -> bool {
    split(line).is_some()
}

/// The process and the rest of a line that tells an operation of a client.
fn split(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(MARKER)?;
    let rest = rest.trim_start_matches(['-', ':', ' ', '\t']);
    let (process, rest) = rest.split_once(char::is_whitespace)?;
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.trim_start().starts_with(':')).then_some((process, rest.trim()))
}

fn event<'t>(process: &str, rest: &'t str, line: u64) -> Result<RawEvent<'t>, ImportError> {
    let error = |found: &str, expected: &str| ImportError::new(line, quoted(found), expected);
    let process_number = process.parse().map_err(|_| error(process, "a process from 0 to 4294967295"))?;
    let (phase, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let phase = phase.strip_prefix(':').and_then(phase_of);
    let phase = phase.ok_or_else(|| error(rest_of(process, rest), ":invoke, :ok, :fail or :info"))?;
    let rest = rest.trim_start();
    let (function, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let function = function.strip_prefix(':').filter(|name| !name.is_empty());
    let function = function.ok_or_else(|| error(rest, "an operation, like :read"))?.into();
    let value = match value.trim() {
        // The line was cut, or its value is told elsewhere.
        "" => return Err(error(rest, "a value after the operation, like 4 or nil")),
        value => edn::value(value, line)?,
    };
    Ok(RawEvent { line, process: process_number, phase, function, key: None, value, t_ns: None })
}

fn rest_of<'t>(process: &'t str, rest: &'t str) -> &'t str {
    if rest.is_empty() { process } else { rest }
}
