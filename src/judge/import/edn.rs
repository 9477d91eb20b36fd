//! EDN maps: `{:process 3, :type :invoke, :f :write, :value 4}`.

mod usual;

use clojure_reader::edn::{self, Edn};

use super::raw::{RawEvent, RawStep, RawValue, phase_of};
use super::{ImportError, quoted};
use crate::judge::value::Value;

/// Brackets within brackets; a form nested deeper is refused before it is parsed.
const DEPTH_MAX: usize = 32;

/// All events of the text.
pub(super) fn events(text: &str) -> Result<Vec<RawEvent<'_>>, ImportError> {
    let mut events = Vec::new();
    let mut forms = Forms { rest: text, line: 1, inside: None };
    while let Some(form) = forms.next()? {
        events.extend(match form {
            Form::Read(event) => event,
            Form::Unread(form, line) => parse(form, line)?,
        });
    }
    Ok(events)
}

/// The event of a form, whatever it looks like; `None`: of a process that is no client.
fn parse(form: &str, line: u64) -> Result<Option<RawEvent<'_>>, ImportError> {
    let parsed = edn::read_string(form).map_err(|error| {
        // The parser's own count takes a lone carriage return for the end of a line, as nothing else here does.
        let before = error.ptr.and_then(|ptr| form.as_bytes().get(..ptr)).unwrap_or_default();
        let line = line + newlines(before);
        ImportError::new(line, format!("{:?} in {}", error.code, quoted(form)), "an EDN map")
    })?;
    event(untagged(&parsed), line)
}

/// A value as EDN, at the beginning of what is left of a log's line: after it an error may be told.
pub(super) fn value(text: &str, line: u64) -> Result<RawValue, ImportError> {
    let bad = || ImportError::new(line, quoted(text), "a value: nil, a number, a string or a vector");
    let Extent::To(end) = extent(text) else { return Err(bad()) };
    Ok(to_value(&edn::read_string(&text[..end]).map_err(|_| bad())?))
}

/// The event of a map; `None`: of a process that is no client.
fn event<'e>(form: &Edn<'e>, line: u64) -> Result<Option<RawEvent<'e>>, ImportError> {
    let error = |found: String, expected: &str| Err(ImportError::new(line, found, expected));
    let Edn::Map(map) = form else {
        return error(
            quoted(&form.to_string()),
            "a map like {:process 3, :type :invoke, :f :write, :value 4}",
        );
    };
    let field = |name: &'static str| map.get(&Edn::key(name));
    let process = match field("process") {
        Some(&Edn::Int(process)) => match u32::try_from(process) {
            Ok(process) => process,
            Err(_) => return error(format!(":process {process}"), "a number from 0 to 4294967295"),
        },
        Some(Edn::Key(_) | Edn::Symbol(_)) => return Ok(None),
        Some(process) => {
            let expected = "a number, like :process 3, or a word, like :nemesis";
            return error(format!(":process {process}"), expected);
        }
        None => return error("a map without :process".to_owned(), "a process, like :process 3"),
    };
    let phase = match field("type") {
        Some(Edn::Key(name)) => phase_of(name),
        _ => None,
    };
    let Some(phase) = phase else {
        let found = field("type").map_or("no :type".to_owned(), |found| format!(":type {found}"));
        return error(found, ":type :invoke, :ok, :fail or :info");
    };
    let Some(Edn::Key(function)) = field("f") else {
        return error("a map without :f".to_owned(), "what it does, like :f :read");
    };
    let t_ns = match field("time") {
        Some(&Edn::Int(time)) => u64::try_from(time).ok(),
        _ => None,
    };
    Ok(Some(RawEvent {
        line,
        process,
        phase,
        function: function.clone(),
        key: field("key").filter(|key| **key != Edn::Nil).map(to_key),
        value: field("value").map_or(RawValue::Nil, to_value),
        t_ns,
    }))
}

/// Records (`#jepsen.history.Op{…}`) and tuples (`#jepsen.independent.Tuple[k v]`) are what they hold.
fn untagged<'a, 'e>(form: &'a Edn<'e>) -> &'a Edn<'e> {
    match form {
        Edn::Tagged(_, inner) => untagged(inner),
        _ => form,
    }
}

fn to_value(form: &Edn<'_>) -> RawValue {
    match untagged(form) {
        Edn::Nil => RawValue::Nil,
        form if let Some(steps) = steps(form) => RawValue::Steps(steps),
        Edn::Vector(items) if items.len() == 2 => {
            RawValue::Pair(Box::new(to_value(&items[0])), Box::new(to_value(&items[1])))
        }
        form => RawValue::One(to_key(form)),
    }
}

fn to_key(form: &Edn<'_>) -> Value {
    match untagged(form) {
        Edn::Str(text) => Value::from(&**text),
        &Edn::Int(number) => number.into(),
        form => Value::of_edn(form.to_string()),
    }
}

/// The steps of a transaction, if the value is one: a list of reads and writes. An empty list may be anything.
fn steps(value: &Edn<'_>) -> Option<Vec<RawStep>> {
    let Edn::Vector(steps) = value else { return None };
    let step = |step: &Edn<'_>| {
        let Edn::Vector(parts) = step else { return None };
        let [Edn::Key(name), register, value] = &**parts else { return None };
        let writes = match &**name {
            "r" | "read" => false,
            "w" | "write" => true,
            _ => return None,
        };
        let value: Option<Value> = Some(value).filter(|value| **value != Edn::Nil).map(to_key);
        Some(RawStep { writes, register: to_key(register), value })
    };
    steps.iter().map(step).collect::<Option<Vec<_>>>().filter(|steps| !steps.is_empty())
}

/// The values of a list or a set; `None`: it is neither.
pub(super) fn items(value: &Value) -> Option<Vec<Value>> {
    let printed = value.to_string();
    match untagged(&edn::read_string(&printed).ok()?) {
        Edn::Vector(items) | Edn::List(items) => Some(items.iter().map(to_key).collect()),
        Edn::Set(items) => Some(items.iter().map(to_key).collect()),
        _ => None,
    }
}

/// The entries of a map, of which nil is nothing; `None`: it is none.
pub(super) fn entries(value: &Value) -> Option<Vec<(Value, Option<Value>)>> {
    let printed = value.to_string();
    let parsed = edn::read_string(&printed).ok()?;
    let Edn::Map(map) = untagged(&parsed) else { return None };
    let value = |value: &Edn<'_>| Some(value).filter(|value| **value != Edn::Nil).map(to_key);
    Some(map.iter().map(|(key, held)| (to_key(key), value(held))).collect())
}

/// A form of a text.
enum Form<'t> {
    /// A usual one, read already; `None`: of a process that is no client.
    Read(Option<RawEvent<'t>>),
    /// Any other, and the line on which it begins.
    Unread(&'t str, u64),
}

/// Splits a text into its forms, so that a history is parsed one event at a time and each has its line. One pair
/// of brackets around all of them is taken off.
struct Forms<'t> {
    rest: &'t str,
    line: u64,
    /// The bracket that closes the whole, and the line of the one that opens it.
    inside: Option<(char, u64)>,
}

impl<'t> Forms<'t> {
    /// The next form.
    fn next(&mut self) -> Result<Option<Form<'t>>, ImportError> {
        loop {
            self.skip_blank();
            let Some(first) = self.rest.chars().next() else {
                return match self.inside {
                    None => Ok(None),
                    Some((close, line)) => Err(ImportError::new(
                        self.line,
                        format!("the text ends inside the list that begins on line {line}"),
                        format!("{close:?} at its end"),
                    )),
                };
            };
            match (first, self.inside) {
                ('[', None) => self.open(']'),
                ('(', None) => self.open(')'),
                (close, Some((expected, _))) if close == expected => {
                    self.advance(1);
                    self.inside = None;
                }
                (']' | ')' | '}', _) => {
                    return Err(ImportError::new(self.line, format!("{first:?}"), "a map, or the end"));
                }
                _ => {
                    if let Some((event, rest)) = usual::event(self.rest, self.line) {
                        // It is on one line.
                        self.rest = rest;
                        return Ok(Some(Form::Read(event)));
                    }
                    let (line, form) = (self.line, self.take()?);
                    if !form.starts_with("#_") {
                        return Ok(Some(Form::Unread(form, line)));
                    }
                }
            }
        }
    }

    fn open(&mut self, close: char) {
        self.inside = Some((close, self.line));
        self.advance(1);
    }

    /// Takes one form: up to the bracket that closes its first, or a word.
    fn take(&mut self) -> Result<&'t str, ImportError> {
        let (text, line) = (self.rest, self.line);
        match extent(text) {
            Extent::To(end) => {
                self.advance(end);
                Ok(&text[..end])
            }
            Extent::TooDeep => {
                let expected = format!("at most {DEPTH_MAX} brackets within brackets");
                Err(ImportError::new(line, quoted(text), expected))
            }
            Extent::Open => {
                let found = format!("the text ends inside {}", quoted(text.lines().next().unwrap_or(text)));
                Err(ImportError::new(line, found, "the rest of it"))
            }
        }
    }

    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest.find(|c: char| !c.is_whitespace() && c != ',').unwrap_or(self.rest.len());
            self.advance(blank);
            if !self.rest.starts_with(';') {
                return;
            }
            let comment = self.rest.find('\n').unwrap_or(self.rest.len());
            self.advance(comment);
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += newlines(taken.as_bytes());
        self.rest = rest;
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// How far a form goes.
enum Extent {
    /// To this byte.
    To(usize),
    /// It is nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Beyond the end of the text.
    Open,
}

/// How far the form at the beginning of the text goes.
fn extent(text: &str) -> Extent {
    let mut depth = 0_usize;
    for (at, token) in tokens(text) {
        match token {
            Token::Open if depth == DEPTH_MAX => return Extent::TooDeep,
            Token::Open => depth += 1,
            Token::Close if depth == 0 => return Extent::To(at),
            Token::Close => {
                depth -= 1;
                if depth == 0 {
                    return Extent::To(at + 1);
                }
            }
            // A tag and its form may be apart: `#_ {…}`.
            Token::Blank if depth == 0 && !text.starts_with('#') => return Extent::To(at),
            Token::Blank | Token::Other => {}
        }
    }
    if depth == 0 { Extent::To(text.len()) } else { Extent::Open }
}

#[derive(Clone, Copy)]
enum Token {
    Open,
    Close,
    Blank,
    Other,
}

/// What each character is, strings, comments and escaped characters left out.
fn tokens(text: &str) -> impl Iterator<Item = (usize, Token)> {
    #[derive(Clone, Copy)]
    enum State {
        Plain,
        String,
        Comment,
    }
    let (mut state, mut escaped) = (State::Plain, false);
    text.char_indices().map(move |(at, c)| {
        if std::mem::take(&mut escaped) {
            return (at, Token::Other);
        }
        let token = match (state, c) {
            (State::Plain | State::String, '\\') => {
                escaped = true;
                Token::Other
            }
            (State::Plain, '"') => {
                state = State::String;
                Token::Other
            }
            (State::Plain, ';') => {
                state = State::Comment;
                Token::Other
            }
            (State::String, '"') | (State::Comment, '\n') => {
                state = State::Plain;
                if c == '\n' { Token::Blank } else { Token::Other }
            }
            (State::Plain, '[' | '(' | '{') => Token::Open,
            (State::Plain, ']' | ')' | '}') => Token::Close,
            (State::Plain, c) if c.is_whitespace() || c == ',' => Token::Blank,
            _ => Token::Other,
        };
        (at, token)
    })
}
