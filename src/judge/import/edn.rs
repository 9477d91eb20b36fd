//! EDN maps: `{:process 3, :type :invoke, :f :write, :value 4}`.
//!
//! * `scan` knows where forms begin and end, `form` what they are, `number` how numbers and characters are written, and
//!   `print` makes values of them.
//! * [`Events`] takes a text piece by piece and hands out one event after another, so that none is held as a whole.
//!
//! Of a map only the fields that are asked for are looked into. The rest is passed over, and so is the whole event of a
//! process that is no client, whatever it tells.

mod form;
mod number;
mod print;
mod scan;

use self::form::Form;
use self::scan::{Fault, Scanner};
use super::raw::{RawEvent, RawValue, phase_of};
use super::{ImportError, quoted};
use crate::judge::value::Value;

/// An event, or whatever else is one form of the text, has at most so many bytes.
const FORM_BYTES_MAX: usize = 128 << 20;

/// The events of a text that comes in pieces. One pair of brackets around all of them is taken off.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come and was not handed out: less than a form, or the end of the last.
    rest: String,
    /// Less than this cannot be a whole form: it has been tried.
    tried: usize,
    /// Line ends before `rest`.
    lines: u64,
    /// The bracket that closes the whole, and the line of the one that opens it.
    inside: Option<(u8, u64)>,
}

/// What to do with an event.
pub(super) type Sink<'a> = dyn FnMut(RawEvent<'_>) -> Result<(), ImportError> + 'a;

impl Events {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str, sink: &mut Sink<'_>) -> Result<(), ImportError> {
        if self.rest.is_empty() {
            let taken = self.take(piece, false, sink)?;
            self.rest.push_str(&piece[taken..]);
        } else {
            self.rest.push_str(piece);
            // A form that is long is not read from its beginning again for every piece.
            if self.rest.len() < self.tried {
                return Ok(());
            }
            let mut rest = std::mem::take(&mut self.rest);
            let taken = self.take(&rest, false, sink)?;
            rest.drain(..taken);
            self.rest = rest;
        }
        self.tried = 2 * self.rest.len();
        if self.rest.len() > FORM_BYTES_MAX {
            let found =
                format!("a form of more than {FORM_BYTES_MAX} bytes: {}", quoted(first_line(&self.rest)));
            return Err(ImportError::new(self.lines + 1, found, "one event a map"));
        }
        Ok(())
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), ImportError> {
        let rest = std::mem::take(&mut self.rest);
        self.take(&rest, true, sink)?;
        match self.inside {
            None => Ok(()),
            Some((close, line)) => Err(ImportError::new(
                self.lines + 1,
                format!("the text ends inside the list that begins on line {line}"),
                format!("{:?} at its end", char::from(close)),
            )),
        }
    }

    /// Hands out all events of the text that are whole. Returns how much of it they are.
    fn take(&mut self, text: &str, is_last: bool, sink: &mut Sink<'_>) -> Result<usize, ImportError> {
        let mut scanner = Scanner { text, at: 0, is_last };
        loop {
            let from = scanner.at;
            match self.next(&mut scanner) {
                Ok(Some(Some(event))) => sink(event)?,
                Ok(Some(None)) => {}
                Ok(None) => {
                    self.lines += newlines(&text[from..scanner.at]);
                    return Ok(scanner.at);
                }
                Err(Fault::Open) if !is_last => return Ok(from),
                Err(Fault::Open) => {
                    let begun = text[from..].trim_start_matches([' ', ',', '\n', '\r', '\t']);
                    let line = self.line_of(&text[from..text.len() - begun.len()]);
                    let found = format!("the text ends inside {}", quoted(first_line(begun)));
                    return Err(ImportError::new(line, found, "the rest of it"));
                }
                Err(Fault::At { at, found, expected }) => {
                    return Err(ImportError::new(self.line_of(&text[from..at]), found, expected));
                }
            }
            self.lines += newlines(&text[from..scanner.at]);
        }
    }

    /// The line of what comes after this.
    fn line_of(&self, before: &str) -> u64 {
        self.lines + 1 + newlines(before)
    }

    /// The event of the next form, which is none (`Some(None)`) of a bracket and of a process that is no client; `None`
    /// at the end.
    fn next<'t>(&mut self, scanner: &mut Scanner<'t>) -> Result<Option<Option<RawEvent<'t>>>, Fault> {
        let from = scanner.at;
        scanner.skip_blank(0)?;
        let Some(first) = scanner.peek() else { return Ok(None) };
        let line = self.line_of(&scanner.text[from..scanner.at]);
        match (first, self.inside) {
            (b'[', None) => self.inside = Some((b']', line)),
            (b'(', None) => self.inside = Some((b')', line)),
            (close, Some((expected, _))) if close == expected => self.inside = None,
            (b']' | b')' | b'}', _) => {
                return Err(scanner.fault(format!("{:?}", char::from(first)), "a map, or the end"));
            }
            _ => return event(scanner, line).map(Some),
        }
        scanner.at += 1;
        Ok(Some(None))
    }
}

/// A value at the beginning of what is left of a log's line: after it an error may be told.
pub(super) fn value(text: &str, line: u64) -> Result<RawValue, ImportError> {
    let mut scanner = Scanner { text, at: 0, is_last: true };
    scanner.form(0).map(Form::into_raw).map_err(|_| {
        ImportError::new(line, quoted(text), "a value of EDN: nil, a number, a keyword, a string or a vector")
    })
}

/// The values of a list or a set; `None`: it is neither.
pub(super) fn items(value: &Value) -> Option<Vec<Value>> {
    match parsed(&value.to_string())? {
        Form::Vector(items) | Form::Set(items) => Some(items.into_iter().map(Form::into_value).collect()),
        _ => None,
    }
}

/// The entries of a map, of which nil is nothing; `None`: it is none.
pub(super) fn entries(value: &Value) -> Option<Vec<(Value, Option<Value>)>> {
    match parsed(&value.to_string())? {
        Form::Map(entries) => {
            Some(entries.into_iter().map(|(key, held)| (key.into_value(), held.known())).collect())
        }
        _ => None,
    }
}

fn parsed(printed: &str) -> Option<Form<'_>> {
    Scanner { text: printed, at: 0, is_last: true }.form(0).ok()
}

/// Where the fields of an event are.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    process: Option<usize>,
    kind: Option<usize>,
    function: Option<usize>,
    value: Option<usize>,
    key: Option<usize>,
    time: Option<usize>,
}

/// The event of a map, whatever its tag; `None`: of a process that is no client.
fn event<'t>(scanner: &mut Scanner<'t>, line: u64) -> Result<Option<RawEvent<'t>>, Fault> {
    let from = scanner.at;
    while scanner.peek() == Some(b'#')
        && scanner.peek_second().is_some_and(|second| !b"{\"#'".contains(&second))
    {
        scanner.tag()?;
        scanner.skip_blank(0)?;
    }
    if scanner.peek() != Some(b'{') {
        scanner.skip_form(0)?;
        let found = quoted(first_line(&scanner.text[from..scanner.at]));
        let expected = "a map like {:process 3, :type :invoke, :f :write, :value 4}".to_owned();
        return Err(Fault::At { at: from, found, expected });
    }
    let fields = fields(scanner)?;
    let end = scanner.at;
    let event = Reading { scanner, map: from, fields }.event(line);
    scanner.at = end;
    event
}

/// Where each field is, once the map has been passed over.
fn fields(scanner: &mut Scanner<'_>) -> Result<Fields, Fault> {
    let mut fields = Fields::default();
    scanner.at += 1;
    while !scanner.closes(b'}', 0)? {
        let from = scanner.at;
        scanner.skip_form(1)?;
        let name = &scanner.text[from..scanner.at];
        let field = match name {
            ":process" => Some(&mut fields.process),
            ":type" => Some(&mut fields.kind),
            ":f" => Some(&mut fields.function),
            ":value" => Some(&mut fields.value),
            ":key" => Some(&mut fields.key),
            ":time" => Some(&mut fields.time),
            _ => None,
        };
        scanner.expect_value(0)?;
        if let Some(field) = field
            && field.replace(scanner.at).is_some()
        {
            return Err(scanner.fault(format!("a map with two {name}"), "one of each"));
        }
        scanner.skip_form(1)?;
    }
    Ok(fields)
}

/// A map that has been passed over, read field by field.
struct Reading<'s, 't> {
    scanner: &'s mut Scanner<'t>,
    map: usize,
    fields: Fields,
}

impl<'t> Reading<'_, 't> {
    fn event(mut self, line: u64) -> Result<Option<RawEvent<'t>>, Fault> {
        let Some(process) = self.process()? else { return Ok(None) };
        let kind = self.form(self.fields.kind)?;
        let phase = match &kind {
            Some(Form::Keyword(name)) => phase_of(name),
            _ => None,
        };
        let Some(phase) = phase else {
            let found = kind.map_or("no :type".to_owned(), |kind| format!(":type {kind}"));
            return Err(self.fault(found, ":type :invoke, :ok, :fail or :info"));
        };
        let Some(Form::Keyword(std::borrow::Cow::Borrowed(function))) = self.form(self.fields.function)?
        else {
            return Err(self.fault("a map without :f", "what it does, like :f :read"));
        };
        let t_ns = match self.form(self.fields.time)? {
            Some(Form::Integer(time)) => u64::try_from(time).ok(),
            _ => None,
        };
        let value = self.form(self.fields.value)?;
        let key = self.form(self.fields.key)?.filter(|key| *key != Form::Nil).map(Form::into_value);
        let value = value.map_or(RawValue::Nil, Form::into_raw);
        Ok(Some(RawEvent { line, process, phase, function, key, value, t_ns }))
    }

    /// `None`: it is a word, and so no client.
    fn process(&mut self) -> Result<Option<u32>, Fault> {
        match self.form(self.fields.process)? {
            Some(Form::Integer(process)) => match u32::try_from(process) {
                Ok(process) => Ok(Some(process)),
                Err(_) => Err(self.fault(format!(":process {process}"), "a number from 0 to 4294967295")),
            },
            Some(Form::Keyword(_)) => Ok(None),
            Some(Form::Atom(word)) if word.starts_with(|c: char| c.is_alphabetic()) => Ok(None),
            Some(process) => {
                let expected = "a number, like :process 3, or a word, like :nemesis";
                Err(self.fault(format!(":process {process}"), expected))
            }
            None => Err(self.fault("a map without :process", "a process, like :process 3")),
        }
    }

    /// The form that begins there.
    fn form(&mut self, at: Option<usize>) -> Result<Option<Form<'t>>, Fault> {
        let Some(at) = at else { return Ok(None) };
        self.scanner.at = at;
        self.scanner.form(1).map(Some)
    }

    /// A fault of the map as a whole.
    fn fault(&self, found: impl Into<String>, expected: &str) -> Fault {
        Fault::At { at: self.map, found: found.into(), expected: expected.to_owned() }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|&byte| byte == b'\n').count() as u64
}
