//! Values of histories: what was written and seen, and what keys are called.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of a history. Values of different types differ: `3` is not `"3"`, and `:a` is not `":a"`.
///
/// Whoever judges need only compare it; [`Display`](fmt::Display) shows it as EDN, which tells the types apart. There is
/// no nil: where a value may be absent it is an `Option`. A clone is cheap.
///
/// In JSON a string is a string, a whole number of 64 bits a number, and anything else an object `{"edn": ":a"}`.
///
/// # Examples
/// ```
/// use kvlab::judge::Value;
///
/// assert_ne!(Value::from(3), Value::from("3"));
/// assert_eq!((Value::from(3).to_string(), Value::from("3").to_string()), ("3".to_owned(), "\"3\"".to_owned()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(Kept);

/// How a value is kept: in sixteen bytes, since histories have millions. Equal values are kept in one way only.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Kept {
    Integer(i64),
    /// So many bytes of UTF-8, and then zeros: most texts need no memory of their own.
    Short(Sort, u8, [u8; SHORT_BYTES]),
    /// What is longer.
    Long(Sort, Arc<String>),
}

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    /// A string.
    Text,
    /// Whatever else EDN has, as it is printed.
    Edn,
}

/// As many as fit beside the rest.
const SHORT_BYTES: usize = 13;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known<'a> {
    Integer(i64),
    Text(&'a str),
    Edn(&'a str),
}

impl Value {
    /// Neither a string nor a whole number of 64 bits, from how EDN prints it; equal values must be printed in one
    /// way only.
    pub(in crate::judge) fn of_edn(printed: String) -> Self {
        Self::kept(Sort::Edn, printed)
    }

    fn kept(sort: Sort, text: String) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        Self(match bytes.get_mut(..text.len()) {
            Some(short) => {
                short.copy_from_slice(text.as_bytes());
                Kept::Short(sort, text.len() as u8, bytes)
            }
            None => Kept::Long(sort, Arc::new(text)),
        })
    }

    fn known(&self) -> Known<'_> {
        let (sort, text) = match &self.0 {
            Kept::Integer(number) => return Known::Integer(*number),
            Kept::Short(sort, len, bytes) => {
                (sort, std::str::from_utf8(&bytes[..usize::from(*len)]).expect("they were a text"))
            }
            Kept::Long(sort, text) => (sort, text.as_str()),
        };
        match sort {
            Sort::Text => Known::Text(text),
            Sort::Edn => Known::Edn(text),
        }
    }

    /// The text, of a string.
    pub fn text(&self) -> Option<&str> {
        match self.known() {
            Known::Text(text) => Some(text),
            Known::Integer(_) | Known::Edn(_) => None,
        }
    }

    /// The number, of a whole number of 64 bits.
    pub fn integer(&self) -> Option<i64> {
        match self.known() {
            Known::Integer(number) => Some(number),
            Known::Text(_) | Known::Edn(_) => None,
        }
    }

    /// Whether it is the empty string. A key that nobody names is called so.
    pub fn is_empty(&self) -> bool {
        self.text() == Some("")
    }

    /// As a format says it that has only strings: what is no string as EDN prints it. Different values may be the same
    /// there.
    pub fn to_plain(&self) -> String {
        self.text().map_or_else(|| self.to_string(), str::to_owned)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers, then strings, then everything else as it is printed.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.known().cmp(&other.known())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known().fmt(f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::kept(Sort::Text, text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(Kept::Integer(number))
    }
}

/// As EDN, whole and on one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Known::Integer(number) => write!(f, "{number}"),
            Known::Text(text) => write_string(text, f),
            Known::Edn(printed) => f.write_str(printed),
        }
    }
}

/// A string as EDN, on one line.
pub(in crate::judge) fn write_string(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    write_escaped(text, out)?;
    out.write_char('"')
}

/// What is between the quotes of a string as EDN.
pub(in crate::judge) fn write_escaped(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '\n', '\r', '\t']) {
        let (plain, special) = rest.split_at(at);
        out.write_str(plain)?;
        out.write_str(match special.as_bytes()[0] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\t",
        })?;
        rest = &special[1..];
    }
    out.write_str(rest)
}

/// The name of the one field of a value that JSON has no type for.
const EDN_FIELD: &str = "edn";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.known() {
            Known::Integer(number) => serializer.serialize_i64(number),
            Known::Text(text) => serializer.serialize_str(text),
            Known::Edn(printed) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(EDN_FIELD, printed)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a whole number, or an object with the field \"edn\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::from).map_err(|_| E::custom("a number of more than 64 bits"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((field, printed)) if field == EDN_FIELD => Ok(Value::of_edn(printed)),
            _ => Err(de::Error::missing_field(EDN_FIELD)),
        }
    }
}

/// A value as people read it: as EDN and cut short, or the word absent.
pub(super) struct Shown<'a>(pub(super) Option<&'a Value>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(Value::known) {
            None => f.write_str("absent"),
            Some(Known::Integer(number)) => write!(f, "{number}"),
            Some(Known::Text(text)) => write!(f, "{}", Quoted(text)),
            Some(Known::Edn(printed)) => match cut(printed) {
                None => f.write_str(printed),
                Some(first) => write!(f, "{first}…"),
            },
        }
    }
}

/// Text as people read it: quoted, and cut short.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match cut(self.0) {
            None => write!(f, "{:?}", self.0),
            Some(first) => write!(f, "{first:?}…"),
        }
    }
}

/// A string as EDN prints it.
pub(in crate::judge) fn printed_text(text: &str) -> String {
    let mut printed = String::with_capacity(text.len() + 2);
    write_string(text, &mut printed).expect("a string takes it");
    printed
}

/// What EDN prints of a value, cut short.
pub(in crate::judge) fn shortened(printed: &str) -> String {
    match cut(printed) {
        None => printed.to_owned(),
        Some(first) if printed.starts_with('"') => format!("{}\"…", first.trim_end_matches('\\')),
        Some(first) => format!("{first}…"),
    }
}

/// The beginning of what is too long to show.
fn cut(text: &str) -> Option<&str> {
    /// Characters of a value that are shown.
    const CHARS_MAX: usize = 40;
    text.char_indices().nth(CHARS_MAX).map(|(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_tells_the_types_apart() {
        let values =
            [Value::from(3), "3".into(), Value::of_edn(":a".to_owned()), ":a".into(), i64::MIN.into()];
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(json, r#"[3,"3",{"edn":":a"},":a",-9223372036854775808]"#);
        assert_eq!(serde_json::from_str::<Vec<Value>>(&json).unwrap(), values);
        for wrong in ["1.5", "null", "18446744073709551615", r#"{"a":"b"}"#, "{}", "[]"] {
            assert!(serde_json::from_str::<Value>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn short_and_long_texts_are_in_one_order_and_a_value_is_small() {
        let texts =
            ["", "a", "a\0", "abcdefghijklm", "abcdefghijklmn", "abcdefghijklmno", "b", "é", "ééééééé"];
        let mut values: Vec<Value> = texts.iter().map(|text| Value::from(*text)).collect();
        values.reverse();
        values.sort();
        assert!(values.iter().map(Value::text).eq(texts.iter().map(|text| Some(*text))), "{values:?}");
        assert_eq!(size_of::<Option<Value>>(), 16);
    }

    #[test]
    fn a_value_is_shown_as_edn_and_cut_short() {
        assert_eq!(Value::from("a\"\\\n\r\t\u{e9}").to_string(), "\"a\\\"\\\\\\n\\r\\t\u{e9}\"");
        let long = Value::of_edn(format!("[{}]", "7 ".repeat(100)));
        let shown = Shown(Some(&long)).to_string();
        assert!(shown.starts_with("[7 7 ") && shown.ends_with('…') && shown.chars().count() == 41, "{shown}");
        assert_eq!(Shown(None).to_string(), "absent");
    }
}
