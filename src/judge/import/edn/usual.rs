//! An event as nearly every history writes it, read in one go: `{:process 3, :type :invoke, :f :write, :value 4}`.
//!
//! Usual is a map on one line, bare or a Jepsen record, of the fields below, each once, whose values are nil, whole
//! numbers, words, strings with nothing escaped, and pairs of these. What is not usual may be an event all the same:
//! that is for the parser of all EDN to say, and so is every error.

use std::borrow::Cow;

use super::super::raw::{RawEvent, RawValue, phase_of};
use crate::judge::value::Value;

/// What newer Jepsens write before each map.
const RECORD: &str = "#jepsen.history.Op";
/// Pairs within pairs: a key, and what a compare-and-set compares and sets.
const PAIRS_MAX: usize = 2;
/// Every whole number of so many digits is an EDN integer.
const DIGITS_MAX: usize = 18;

/// The event of the usual map at the beginning of the text (`None`: of a process that is no client), and the text
/// after it.
pub(super) fn event(text: &str, line: u64) -> Option<(Option<RawEvent<'_>>, &str)> {
    let mut rest = Rest(text.strip_prefix(RECORD).unwrap_or(text));
    rest.take(b'{')?;
    let (mut process, mut kind, mut function) = (None, None, None);
    let (mut key, mut value, mut time, mut index) = (None, None, None, None);
    loop {
        rest.skip_blank();
        if rest.take(b'}').is_some() {
            break;
        }
        let field = rest.word()?;
        rest.skip_blank();
        match field {
            ":process" => once(&mut process, rest.atom()?)?,
            ":type" => once(&mut kind, rest.word()?)?,
            // Elle's have an operation within.
            ":f" => once(&mut function, rest.word().filter(|name| *name != ":txn")?)?,
            ":key" => once(&mut key, rest.atom()?)?,
            ":value" => once(&mut value, rest.value(PAIRS_MAX)?)?,
            ":time" => once(&mut time, rest.atom()?)?,
            ":index" => once(&mut index, rest.atom()?)?,
            _ => return None,
        }
    }
    let process = match process? {
        Atom::Number(number) => number.parse().ok()?,
        Atom::Word(_) => return Some((None, rest.0)),
        Atom::Nil | Atom::Text(_) => return None,
    };
    let event = RawEvent {
        line,
        process,
        phase: phase_of(&kind?[1..])?,
        function: Cow::Borrowed(&function?[1..]),
        key: key.and_then(Atom::value),
        value: value.unwrap_or(RawValue::Nil),
        t_ns: match time {
            Some(Atom::Number(time)) => time.parse().ok(),
            _ => None,
        },
    };
    Some((Some(event), rest.0))
}

/// Notes what a field says; `None`: it has said something before.
fn once<T>(field: &mut Option<T>, said: T) -> Option<()> {
    field.replace(said).is_none().then_some(())
}

#[derive(Clone, Copy)]
enum Atom<'t> {
    Nil,
    /// As EDN prints it: no sign but a minus, no zeros before it.
    Number(&'t str),
    /// With its colon.
    Word(&'t str),
    /// Without its quotes.
    Text(&'t str),
}

impl<'t> Atom<'t> {
    /// As a value; `None` is nil.
    fn value(self) -> Option<Value> {
        match self {
            Self::Nil => None,
            Self::Number(text) => text.parse::<i64>().ok().map(Value::from),
            Self::Word(text) => Some(Value::of_edn(text.to_owned())),
            Self::Text(text) => Some(text.into()),
        }
    }
}

/// What is left of a text. After `None` it is of no use.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    fn first(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    fn skip_blank(&mut self) {
        self.0 = self.0.trim_start_matches([' ', ',']);
    }

    /// Takes this byte if it is next.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(char::from(byte))?;
        Some(())
    }

    /// Takes the first `bytes`, after which something must end.
    fn split(&mut self, bytes: usize) -> Option<&'t str> {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        matches!(self.first()?, b' ' | b',' | b'}' | b']').then_some(taken)
    }

    /// `:invoke`, with its colon.
    fn word(&mut self) -> Option<&'t str> {
        let name = self.0.strip_prefix(':')?;
        let bytes = name.bytes().take_while(|&byte| byte.is_ascii_alphanumeric() || byte == b'-').count();
        if bytes == 0 {
            return None;
        }
        self.split(1 + bytes)
    }

    fn number(&mut self) -> Option<&'t str> {
        let minus = usize::from(self.0.starts_with('-'));
        let digits = &self.0[minus..];
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let one_way_to_write_it = !digits.starts_with('0') || (minus, count) == (0, 1);
        if !(1..=DIGITS_MAX).contains(&count) || !one_way_to_write_it {
            return None;
        }
        self.split(minus + count)
    }

    fn atom(&mut self) -> Option<Atom<'t>> {
        match self.first()? {
            b':' => self.word().map(Atom::Word),
            b'"' => {
                self.take(b'"')?;
                let end = self.0.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
                let text = &self.0[..end];
                self.0 = &self.0[end..];
                // A quote: nothing else is usual here.
                (self.split(1)? == "\"").then_some(Atom::Text(text))
            }
            b'n' => (self.0.starts_with("nil") && self.split(3).is_some()).then_some(Atom::Nil),
            _ => self.number().map(Atom::Number),
        }
    }

    /// An atom, or a pair with at most so many pairs in one another.
    fn value(&mut self, pairs_max: usize) -> Option<RawValue> {
        if self.first()? != b'[' {
            return Some(self.atom()?.value().map_or(RawValue::Nil, RawValue::One));
        }
        let pairs_max = pairs_max.checked_sub(1)?;
        self.take(b'[')?;
        self.skip_blank();
        let one = self.value(pairs_max)?;
        self.skip_blank();
        let other = self.value(pairs_max)?;
        self.skip_blank();
        (self.split(1)? == "]").then(|| RawValue::Pair(Box::new(one), Box::new(other)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Extent, extent, parse};
    use super::*;

    /// What is usual is read as the parser of all EDN reads the form that is there, and just that form.
    fn same(text: &str) -> bool {
        let Some((read, rest)) = event(text, 7) else { return false };
        let Extent::To(end) = extent(text) else { panic!("a form without end: {text}") };
        assert_eq!(rest, &text[end..], "{text}");
        assert_eq!(parse(&text[..end], 7), Ok(read), "{text}");
        true
    }

    fn map() -> impl Strategy<Value = String> {
        let number = || prop_oneof![(0_i64..200).boxed(), any::<i32>().prop_map(i64::from).boxed()];
        let atom = || {
            prop_oneof![
                Just("nil".to_owned()),
                number().prop_map(|number| number.to_string()),
                "\"[a-z0-9 ,:{};é]{0,9}\"",
                ":[a-z][a-z-]{0,5}",
            ]
        };
        let pair = (atom(), atom()).prop_map(|(one, other)| format!("[{one} {other}]"));
        let keyed = (atom(), atom(), atom()).prop_map(|(key, from, to)| format!("[{key} [{from} {to}]]"));
        let value = prop_oneof![3 => atom(), 1 => pair, 1 => keyed];
        let process =
            prop_oneof![5 => (0_u32..200).prop_map(|process| process.to_string()), 1 => ":[a-z]{1,5}"];
        let kind = prop::sample::select(vec![":invoke", ":ok", ":fail", ":info"]);
        let function = prop::sample::select(vec![":read", ":write", ":cas", ":get", ":append", ":start"]);
        let fields = (process, kind, function, value, atom(), prop::option::of(number()));
        let fields = fields.prop_map(|(process, kind, function, value, key, time)| {
            let mut fields =
                vec![format!(":process {process}"), format!(":type {kind}"), format!(":f {function}")];
            fields.extend([format!(":value {value}"), format!(":key {key}")]);
            fields.extend(time.map(|time| format!(":time {time}")));
            fields
        });
        let shape = (prop::bool::ANY, prop::sample::select(vec![", ", " ", " ,, "]));
        (fields.prop_shuffle(), shape).prop_map(|(fields, (record, between))| {
            let record = if record { RECORD } else { "" };
            format!("{record}{{{}}}", fields.join(between))
        })
    }

    #[test]
    fn what_other_programs_write_is_usual() {
        for text in [
            r#"{:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}"#,
            "{:type :ok, :f :read, :value [3 nil], :process 0, :time 3291485317, :index 12}\n{:process 1}",
            "#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 1, :f :cas, :value [7 [1 2]]})",
            "{:process :nemesis, :type :info, :f :start, :value nil}",
        ] {
            assert!(same(text), "{text}");
        }
    }

    #[test]
    fn what_can_be_written_otherwise_or_is_wrong_is_left_to_the_parser() {
        let value = |value: &str| format!("{{:process 0, :type :ok, :f :read, :value {value}}}");
        assert!(same(&value("1")));
        for unusual in
            ["007", "-0", "+1", "1N", "1.5", "1/2", "0x1f", "1234567890123456789", "[1 2 3]", "[1 [2 [3 4]]]"]
        {
            assert!(event(&value(unusual), 1).is_none(), "{unusual}");
        }
        for unusual in [
            r#""a\nb""#,
            "\"a\nb\"",
            "\"",
            "true",
            "nils",
            "\\a",
            ":",
            ":a/b",
            "{:a 1}",
            "1 :value 1",
            "1 :node 2",
        ] {
            assert!(event(&value(unusual), 1).is_none(), "{unusual}");
        }
        for unusual in [
            "{:process 4294967296 :type :ok :f :f}",
            "{:type :ok :f :f}",
            "{:process 0 :f :f}",
            "{:process 0",
        ] {
            assert!(event(unusual, 1).is_none(), "{unusual}");
        }
    }

    proptest! {
        #[test]
        fn usual_maps_are_read_as_the_parser_reads_them(map in map(), after in "[\n\r ]?[{)\\]]?") {
            let text = map + &after;
            prop_assert!(same(&text), "{}", text);
        }

        /// Nothing is usual that the parser reads otherwise, or refuses.
        #[test]
        fn damaged_maps_are_left_to_the_parser_or_read_as_it_reads_them(
            map in map(),
            at in any::<prop::sample::Index>(),
            len in 0_usize..6,
            put in "[\\[\\]0-9{}\":,\\\\ ;#_nil\t\n.+N/e-]{0,3}|:value nil|:key 1|nil|#_|\"\"|é|\u{a0}",
        ) {
            let cuts: Vec<usize> = map.char_indices().map(|(at, _)| at).chain([map.len()]).collect();
            let from = at.index(cuts.len());
            let to = (from + len).min(cuts.len() - 1);
            same(&format!("{}{put}{}", &map[..cuts[from]], &map[cuts[to]..]));
        }
    }
}
