//! A log with Jepsen's operations: `INFO  jepsen.util - 3 :invoke :write 4`, or `3 :invoke :write 4` alone.
//!
//! What a line says before the operation is of no interest, so the logger may be anyone's. All other lines are skipped.

use super::edn::Sink;
use super::raw::{RawEvent, RawValue, phase_of};
use super::{ImportError, edn, quoted};
use crate::judge::history::Phase;

/// Whether a line tells an operation of a client.
pub(super) fn is_event(line: &str) -> bool {
    split(line).is_some()
}

/// Hands out the event of a line, if it tells one of a client.
pub(super) fn line(line: &str, number: u64, sink: &mut Sink<'_>) -> Result<(), ImportError> {
    match split(line) {
        Some((process, rest)) => sink(event(process, rest, number)?),
        None => Ok(()),
    }
}

/// The process and the rest of a line that tells an operation of a client: the first number that is followed by a
/// keyword. Where a logger's prefix ends, or the line begins, nothing else can be meant; elsewhere it must be followed
/// by a type and an operation.
fn split(line: &str) -> Option<(&str, &str)> {
    let mut words = Words { line, at: 0 };
    let (mut before, mut word) = ("", words.next()?);
    loop {
        let after = words.at;
        let next = words.next()?;
        if let Some(name) = next.strip_prefix(':') {
            let is_place = before.is_empty() || before == "-" || before.ends_with(':');
            let is_type = phase_of(name).is_some();
            let is_operation = is_type && words.clone().next().is_some_and(|third| third.starts_with(':'));
            if is_place || is_operation {
                let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
                if is_number {
                    return Some((word, line[after..].trim()));
                }
                // Of a process that is no client, whatever it tells.
                if is_operation {
                    return None;
                }
            }
        }
        (before, word) = (word, next);
    }
}

/// The words of a line.
#[derive(Clone)]
struct Words<'t> {
    line: &'t str,
    at: usize,
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.line[self.at..].trim_start();
        let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        self.at = self.line.len() - rest.len() + word.len();
        (!word.is_empty()).then_some(word)
    }
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
    let function = function.ok_or_else(|| error(rest, "an operation, like :read"))?;
    let value = match (value.trim(), phase) {
        // The line was cut, or its value is told elsewhere.
        ("", _) => return Err(error(rest, "a value after the operation, like 4 or nil")),
        (value, Phase::Invoke | Phase::Ok) => edn::value(value, line)?,
        // An error may stand there instead, in any words; the value is known from the invoke.
        (value, Phase::Fail | Phase::Info) => edn::value(value, line).unwrap_or(RawValue::Nil),
    };
    Ok(RawEvent { line, process: process_number, phase, function, key: None, value, t_ns: None })
}

fn rest_of<'t>(process: &'t str, rest: &'t str) -> &'t str {
    if rest.is_empty() { process } else { rest }
}
