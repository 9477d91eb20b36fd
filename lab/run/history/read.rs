//! `history.jsonl` read again: line by line, never as a whole, however long it is.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read as _};

use kvlab::judge::import::{ImportError, LineOrder, read_event};
use kvlab::judge::{HistoryEvent, Judge, Judgement};

use super::part_line::{PART_BEGINS, PartLine};

/// A line with a longer event is refused. The largest key and the largest value, every byte of them escaped as six,
/// are well below.
const LINE_BYTES_MAX: u64 = 128 << 20;

/// The events of a history, one after another. Empty lines and a byte order mark are skipped.
#[derive(Debug)]
pub(crate) struct HistoryReader<R> {
    reader: R,
    buffer: Vec<u8>,
    order: LineOrder,
    line: u64,
    bytes: u64,
    /// The index of the last event.
    last: Option<u64>,
    /// How the first part begins, if it is not the first of the history.
    beginning: Option<PartLine>,
    /// Of that: the operations that were running, the next first.
    running: VecDeque<HistoryEvent>,
}

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The file could not be read.
    #[error("after line {line}: {error}")]
    Io {
        /// The last line that could.
        line: u64,
        /// Why not the next.
        error: io::Error,
    },
    /// A line is no event.
    #[error(transparent)]
    Line(#[from] ImportError),
    /// The last line ends inside an event, as when its writer was killed. Everything before it is a history.
    #[error(transparent)]
    Cut(ImportError),
}

/// A history that was judged as a whole.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The judge, at the end: it can be asked about each key.
    pub(crate) judge: Judge,
    /// What it says.
    pub(crate) report: Judgement,
    /// The last line ends inside an event, as when its writer was killed. It is not judged; what is before it is.
    pub(crate) cut: Option<ImportError>,
}

/// Judges a history as a whole, by a judge that has seen nothing of it yet. `each` is shown every event, in order, with the bytes read so far.
///
/// # Errors
/// If it cannot be read, or a line is no event, or none that can follow those before it. Of a run that was killed the
/// last line may be cut, which is no error ([`Judged::cut`]).
pub(crate) fn judge_lines(
    reader: impl BufRead,
    mut judge: Judge,
    mut each: impl FnMut(&HistoryEvent, u64),
) -> Result<Judged, Unreadable> {
    let mut events = HistoryReader::new(reader);
    let mut cut = None;
    loop {
        let event = match events.next() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(Unreadable::Cut(error)) => {
                cut = Some(error);
                break;
            }
            Err(error) => return Err(error),
        };
        judge.observe(&event).map_err(|error| ImportError {
            line: events.line,
            found: error.to_string(),
            expected: "an event that can follow those before it".to_owned(),
        })?;
        each(&event, events.bytes);
    }
    let report = judge.finish();
    Ok(Judged { judge, report, cut })
}

impl<R: BufRead> HistoryReader<R> {
    /// Of these lines.
    pub(crate) fn new(reader: R) -> Self {
        let (buffer, running, order) = (Vec::new(), VecDeque::new(), LineOrder::default());
        Self { reader, buffer, order, line: 0, bytes: 0, last: None, beginning: None, running }
    }

    /// How the first part begins that was read, if it is not the first of the history. Known once an event was read.
    pub(super) fn part_line(&self) -> Option<PartLine> {
        self.beginning.clone()
    }

    /// The next event; `None` at the end. Where the beginning of the history is not kept, the invokes of the operations
    /// that were running then come first.
    ///
    /// # Errors
    /// If the next line is none. What is read after an error is not defined.
    pub(crate) fn next(&mut self) -> Result<Option<HistoryEvent>, Unreadable> {
        loop {
            if let Some(event) = self.running.pop_front() {
                return Ok(Some(event));
            }
            self.buffer.clear();
            let read = self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| Unreadable::Io { line: self.line, error })? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.bytes += read;
            let ended = self.buffer.ends_with(b"\n");
            if !ended && read == LINE_BYTES_MAX {
                let found = format!("a line of more than {LINE_BYTES_MAX} bytes");
                return Err(self.error(found, "one event a line").into());
            }
            let text = match std::str::from_utf8(&self.buffer) {
                Ok(text) => text,
                Err(error) if !ended && error.error_len().is_none() => {
                    let found = "the line ends inside a character".to_owned();
                    return Err(Unreadable::Cut(self.error(found, "the rest of it")));
                }
                Err(error) => {
                    let found = format!("byte {} is not UTF-8 text", error.valid_up_to() + 1);
                    return Err(self.error(found, "a history event, which is").into());
                }
            };
            let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text }.trim();
            if text.starts_with(PART_BEGINS) {
                let part = serde_json::from_str(text).map_err(|error| error.to_string());
                let text = text.to_owned();
                match part.and_then(|part| self.begin_part(part)) {
                    Ok(()) => {}
                    Err(_) if !ended => {
                        return Err(Unreadable::Cut(self.error(text, "the beginning of a part")));
                    }
                    Err(found) => return Err(self.error(found, "the beginning of a part").into()),
                }
            } else if !text.is_empty() {
                let event = read_event(text, self.line);
                let event = event.map_err(|error| {
                    // Every event ends with its line: what is no event and has no end was cut.
                    if ended { Unreadable::Line(error) } else { Unreadable::Cut(error) }
                })?;
                self.order.follow(&event, self.line)?;
                self.last = Some(event.i);
                return Ok(Some(event));
            }
        }
    }

    /// A part begins: the first of all that is read, or one that goes on where the one before it ended.
    fn begin_part(&mut self, part: PartLine) -> Result<(), String> {
        match self.last {
            None => {
                self.running = part.running.iter().cloned().collect();
                self.beginning = Some(part);
            }
            Some(last) if last + 1 != part.from_i => {
                return Err(format!("a part that begins at event {}, after event {last}", part.from_i));
            }
            Some(_) => {}
        }
        // Lines count from the beginning of their file.
        self.line = 1;
        Ok(())
    }

    fn error(&self, found: String, expected: &str) -> ImportError {
        ImportError { line: self.line, found, expected: expected.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use kvlab::judge::JudgeOptions;

    use super::*;

    const LINES: &str = "\
{\"i\":1,\"t_ns\":5,\"client\":1,\"node\":\"n1\",\"type\":\"invoke\",\"op\":\"put\",\"key\":\"k\",\"value\":\"ä\",\"consistency\":\"quorum\"}\n\
{\"i\":2,\"t_ns\":9,\"client\":1,\"node\":\"n1\",\"type\":\"ok\",\"op\":\"put\",\"key\":\"k\",\"value\":\"ä\",\"consistency\":\"quorum\"}\n";

    fn judged(text: &[u8]) -> Result<(Judged, Vec<u64>), Unreadable> {
        let mut seen = Vec::new();
        let judged = judge_lines(text, Judge::new(JudgeOptions::unbounded()), |event, _| seen.push(event.i))?;
        Ok((judged, seen))
    }

    #[test]
    fn line_ends_of_other_systems_blank_lines_and_a_mark_at_the_beginning_are_read() {
        let other = format!("\u{feff}{}\r\n", LINES.replace('\n', "\r\n\r\n"));
        for text in [LINES, LINES.trim_end(), &other] {
            let (judged, seen) = judged(text.as_bytes()).expect("a history");
            assert_eq!((judged.report.events, seen), (2, vec![1, 2]));
            assert_eq!(judged.judge.keys().map(|key| key.operations).collect::<Vec<_>>(), [1]);
        }
        assert_eq!(judged(b"").expect("a history").0.report.events, 0);
    }

    #[test]
    fn a_history_that_is_cut_anywhere_in_its_last_line_says_so() {
        let first = LINES.find('\n').expect("two lines") + 1;
        for end in first + 1..LINES.len() - 1 {
            let (judged, seen) = judged(&LINES.as_bytes()[..end]).expect("a history");
            assert_eq!((judged.cut.map(|error| error.line), seen), (Some(2), vec![1]), "{end}");
        }
    }

    #[test]
    fn what_is_no_event_is_named_with_its_line() {
        let refused = |text: &[u8]| {
            let error = judged(text).expect_err("no history");
            assert!(matches!(error, Unreadable::Line(_)), "{error}");
            error.to_string()
        };
        let (invoke, ok) = LINES.split_at(LINES.find('\n').expect("two lines") + 1);
        assert!(refused(b"\xff\xfe\n").starts_with("line 1: byte 1 is not UTF-8 text"));
        assert!(refused(format!("{LINES}\n[]\n").as_bytes()).starts_with("line 4: "));
        assert!(refused(ok.as_bytes()).contains("line 1: event 2: client 1 gets a reply"));
        let again = invoke.replace("\"i\":1", "\"i\":2");
        assert!(
            refused(format!("{invoke}{again}").as_bytes())
                .contains("line 2: event 2: client 1 invokes again")
        );
        let later = ok.replace("\"i\":2", "\"i\":3");
        assert!(
            refused(format!("{invoke}{later}").as_bytes())
                .contains("line 2: event 3 comes after event 1: what")
        );
        let earlier = ok.replace("\"t_ns\":9", "\"t_ns\":4");
        assert!(
            refused(format!("{invoke}{earlier}").as_bytes()).contains("earlier than the event before it (5)")
        );
        let twice = ok.replace("\"i\":2", "\"i\":1");
        assert!(refused(format!("{invoke}{twice}").as_bytes()).contains("the index must ascend"));
        assert!(refused(format!("{invoke}{}\n", &ok[..30]).as_bytes()).starts_with("line 2: "), "cut inside");
    }
}
