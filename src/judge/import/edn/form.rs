//! What the forms of an EDN text are.

use std::borrow::Cow;

use super::number;
use super::scan::{Fault, Scanner};

/// A form. Equal values have one form only, as far as an atom is concerned; of collections [`print`](super::print) sees
/// to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form<'t> {
    Nil,
    Integer(i64),
    /// Anything without parts that is not among the others, as it is printed: `true`, `1.5`, `\a`, `##NaN`, a symbol.
    Atom(Cow<'t, str>),
    /// Without its colon.
    Keyword(Cow<'t, str>),
    Text(Cow<'t, str>),
    /// A vector or a list, which are equal if what they hold is.
    Vector(Vec<Self>),
    Set(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// With its tag.
    Tagged(&'t str, Box<Self>),
}

/// What a namespace of `_` takes off, and any other puts on.
const NO_NAMESPACE: &str = "_";

impl<'t> Scanner<'t> {
    /// The next form.
    pub(super) fn form(&mut self, depth: usize) -> Result<Form<'t>, Fault> {
        self.expect_shallow(depth)?;
        self.skip_blank(depth)?;
        let from = self.at;
        match self.peek() {
            None => Err(Fault::Open),
            Some(b'"') => {
                let written = self.string()?;
                unescaped(written).map_err(|found| Fault::At {
                    at: from,
                    found,
                    expected: ESCAPES.to_owned(),
                })
            }
            Some(b'\\') => {
                let name = self.character()?;
                let character = number::character(name);
                let unknown =
                    || Fault::At { at: from, found: format!("\\{name}"), expected: "a character".to_owned() };
                character.map(|printed| Form::Atom(printed.into())).ok_or_else(unknown)
            }
            Some(b'(') => self.items(b')', depth).map(Form::Vector),
            Some(b'[') => self.items(b']', depth).map(Form::Vector),
            Some(b'{') => self.map(depth).map(Form::Map),
            Some(b'#') => self.dispatch(depth),
            Some(_) => {
                let word = self.token()?;
                self.word(word, from)
            }
        }
    }

    fn dispatch(&mut self, depth: usize) -> Result<Form<'t>, Fault> {
        match self.peek_second() {
            None => Err(Fault::Open),
            Some(b'{') => {
                self.at += 1;
                self.items(b'}', depth).map(Form::Set)
            }
            Some(b'"') => {
                self.at += 1;
                // Two backslashes stay two; only the end of a line is put otherwise, for it would break ours.
                let pattern = self.string()?.replace('\n', "\\n").replace('\r', "\\r");
                Ok(Form::Atom(format!("#\"{pattern}\"").into()))
            }
            Some(b'#' | b'\'') => self.dispatched().map(|word| Form::Atom(word.into())),
            Some(_) => {
                let tag = self.tag()?;
                let tagged = self.form(depth + 1)?;
                Ok(match (tag.strip_prefix(':'), tagged) {
                    (Some(namespace), Form::Map(entries)) => Form::Map(qualified(namespace, entries)),
                    (_, tagged) => Form::Tagged(tag, Box::new(tagged)),
                })
            }
        }
    }

    fn items(&mut self, close: u8, depth: usize) -> Result<Vec<Form<'t>>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.closes(close, depth)? {
            items.push(self.form(depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Form<'t>, Form<'t>)>, Fault> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.closes(b'}', depth)? {
            let key = self.form(depth + 1)?;
            self.expect_value(depth)?;
            entries.push((key, self.form(depth + 1)?));
        }
        Ok(entries)
    }

    /// Makes sure that the map does not end after a key.
    pub(super) fn expect_value(&mut self, depth: usize) -> Result<(), Fault> {
        let from = self.at;
        if self.closes(b'}', depth)? {
            self.at = from;
            return Err(self.fault("a map with a key that has no value", "its value"));
        }
        Ok(())
    }

    fn word(&self, word: &'t str, from: usize) -> Result<Form<'t>, Fault> {
        let bytes = word.as_bytes();
        let after_sign = usize::from(matches!(bytes[0], b'+' | b'-'));
        if bytes.get(after_sign).is_some_and(u8::is_ascii_digit) {
            let found = || format!("{word:?}");
            let fault = || Fault::At { at: from, found: found(), expected: "a number of EDN".to_owned() };
            return Ok(match number::number(word).ok_or_else(fault)? {
                number::Number::Integer(number) => Form::Integer(number),
                number::Number::Other(printed) => Form::Atom(printed.into()),
            });
        }
        match word {
            "nil" => Ok(Form::Nil),
            ":" => Err(Fault::At { at: from, found: "\":\"".to_owned(), expected: "a keyword".to_owned() }),
            _ => Ok(match word.strip_prefix(':') {
                Some(name) => Form::Keyword(name.into()),
                None => Form::Atom(word.into()),
            }),
        }
    }
}

/// The entries of `#:name{…}`: each key is of that namespace unless it has one.
fn qualified<'t>(namespace: &str, entries: Vec<(Form<'t>, Form<'t>)>) -> Vec<(Form<'t>, Form<'t>)> {
    let name = |name: Cow<'t, str>| -> Cow<'t, str> {
        match name.split_once('/') {
            None => format!("{namespace}/{name}").into(),
            Some((NO_NAMESPACE, name)) => name.to_owned().into(),
            Some(_) => name,
        }
    };
    let is_symbol = |atom: &str| {
        !atom.starts_with(['#', '\\', '+', '-']) && !atom.starts_with(|c: char| c.is_ascii_digit())
    };
    let key = |key| match key {
        Form::Keyword(word) => Form::Keyword(name(word)),
        Form::Atom(word) if is_symbol(&word) && !matches!(&*word, "true" | "false") => Form::Atom(name(word)),
        other => other,
    };
    entries.into_iter().map(|(one, value)| (key(one), value)).collect()
}

/// What a string may have after a backslash, as errors say it.
const ESCAPES: &str = "an escape that EDN has, like \\n or \\u00e9";

/// A string without its escapes; else what is wrong. One that is no text, for half a surrogate pair is in it, is an atom.
fn unescaped(written: &str) -> Result<Form<'_>, String> {
    if !written.contains('\\') {
        return Ok(Form::Text(written.into()));
    }
    let (mut text, mut is_text, mut rest) = (String::with_capacity(written.len()), true, written);
    let mut printed = String::from("\"");
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        text.push_str(plain);
        let (unit, len) = number::escape(&escape[1..]).ok_or_else(|| {
            format!("\"{}\" in a string", escape.chars().take(2).collect::<String>().escape_debug())
        })?;
        rest = &escape[1 + len..];
        match unit {
            number::Escape::Char(c) => text.push(c),
            number::Escape::Half(half) => {
                is_text = false;
                let _ = crate::judge::value::write_escaped(&text, &mut printed);
                text.clear();
                printed.push_str(&format!("\\u{half:04x}"));
            }
        }
    }
    text.push_str(rest);
    if is_text {
        return Ok(Form::Text(text.into()));
    }
    let _ = crate::judge::value::write_escaped(&text, &mut printed);
    Ok(Form::Atom((printed + "\"").into()))
}
