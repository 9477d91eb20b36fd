//! The timeline's data: operations as columns of small numbers, strings in tables, JSON around them.
//!
//! A column is a base64 text of variable-length integers (seven bits a byte, the lowest first). Columns marked as
//! differences hold what is added to the number before, zigzag-coded: 0, -1, 1, -2, … become 0, 1, 2, 3. A number
//! that may be missing is one more than it is, and zero if it is missing. `assets/data.js` reads it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvlab::judge::{Consistency, OpKind, Phase};
use serde::Serialize;

use super::operations::{Op, Operations};

/// Characters of a key or a value that are shown; the history has them all.
const CHARS_MAX: usize = 80;

/// Operations by column, each as long as there are operations.
#[derive(Debug, Serialize)]
pub(super) struct Encoded {
    /// How many operations follow.
    count: usize,
    /// How many there were in all.
    total: u64,
    keys: Vec<String>,
    values: Vec<String>,
    epochs: Vec<String>,
    nodes: Vec<String>,
    columns: Columns,
}

#[derive(Debug, Serialize)]
struct Columns {
    /// The history's index of the invoke; differences.
    i: String,
    /// Microseconds since the run began; differences.
    began: String,
    /// Microseconds from invoke to reply; may be missing.
    took: String,
    client: String,
    /// Into `nodes`: who was asked first; may be missing.
    asked: String,
    /// Into `nodes`: who answered; may be missing.
    node: String,
    /// What it is, at which level, how it ended: see [`kind`].
    kind: String,
    /// Into `keys`; differences.
    key: String,
    /// Into `values`, may be missing; differences.
    value: String,
    /// Into `epochs`; may be missing.
    epoch: String,
    /// May be missing; differences.
    seq: String,
    /// Age of what was seen in milliseconds; may be missing: it was not stale.
    stale: String,
    /// Acknowledged writes that it did not see.
    behind: String,
}

/// Operations as columns.
pub(super) fn encode(operations: &Operations) -> Encoded {
    let ops = &operations.shown;
    let (mut keys, mut values, mut epochs, mut nodes) =
        (Table::default(), Table::default(), Table::default(), Table::default());
    let column = |of: &mut dyn FnMut(&Op) -> u64| plain(ops.iter().map(of));
    let columns = Columns {
        i: differences(ops.iter().map(|op| op.i)),
        began: differences(ops.iter().map(|op| op.began_us)),
        took: column(&mut |op| maybe(op.took_us)),
        client: column(&mut |op| op.client.into()),
        asked: column(&mut |op| maybe(op.asked.map(|node| nodes.place(node.to_string())))),
        node: column(&mut |op| maybe(op.node.map(|node| nodes.place(node.to_string())))),
        kind: column(&mut kind),
        key: differences(ops.iter().map(|op| keys.place(cut(&op.key)))),
        value: differences(
            ops.iter().map(|op| maybe(op.value.as_deref().map(|value| values.place(cut(value))))),
        ),
        epoch: column(&mut |op| maybe(op.epoch.map(|epoch| epochs.place(epoch.to_string())))),
        seq: differences(ops.iter().map(|op| maybe(op.seq))),
        stale: column(&mut |op| maybe(op.stale.map(|stale| stale.age_ms()))),
        behind: column(&mut |op| op.stale.map_or(0, |stale| stale.versions)),
    };
    Encoded {
        count: ops.len(),
        total: operations.total,
        keys: keys.names,
        values: values.names,
        epochs: epochs.names,
        nodes: nodes.names,
        columns,
    }
}

/// JSON that can stand in a page's `<script>` element: nothing in it ends the element or begins a comment.
///
/// # Panics
/// If the value does not become JSON: plain data does.
pub(super) fn json_in_page(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("plain data becomes JSON");
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Outside of strings JSON has none of these, so they stand for themselves.
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

/// What, at which level, how it ended, in one number: `what + 3 * level + 9 * end`.
fn kind(op: &Op) -> u64 {
    let what = match op.op {
        OpKind::Put => 0,
        OpKind::Get => 1,
        OpKind::Del => 2,
    };
    let level = match op.consistency {
        Consistency::Async => 0,
        Consistency::Eventual => 1,
        Consistency::Quorum => 2,
    };
    let end = match op.phase {
        Phase::Ok => 0,
        Phase::Fail => 1,
        Phase::Info => 2,
        Phase::Invoke => 3,
    };
    what + 3 * level + 9 * end
}

/// Names in the order in which they first occur.
#[derive(Debug, Default)]
struct Table {
    names: Vec<String>,
    places: HashMap<String, u64>,
}

impl Table {
    fn place(&mut self, name: String) -> u64 {
        let next = self.names.len() as u64;
        *self.places.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        })
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn maybe(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number.saturating_add(1))
}

fn plain(numbers: impl Iterator<Item = u64>) -> String {
    let mut bytes = Vec::new();
    for number in numbers {
        push(&mut bytes, number);
    }
    STANDARD.encode(bytes)
}

fn differences(numbers: impl Iterator<Item = u64>) -> String {
    let mut before = 0_u64;
    plain(numbers.map(|number| {
        let difference = number.wrapping_sub(before).cast_signed();
        before = number;
        ((difference << 1) ^ (difference >> 63)).cast_unsigned()
    }))
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// As `assets/data.js` reads it.
    fn decoded(column: &str, differences: bool) -> Vec<i64> {
        let bytes = STANDARD.decode(column).expect("base64");
        let (mut numbers, mut number, mut shift, mut before) = (Vec::new(), 0_u64, 0, 0);
        for byte in bytes {
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                let plain = number.cast_signed();
                before = if differences { before + ((plain >> 1) ^ -(plain & 1)) } else { plain };
                numbers.push(before);
                (number, shift) = (0, 0);
            }
        }
        numbers
    }

    #[test]
    fn columns_say_what_the_operations_said() {
        let mut history = fixture::History::default();
        history.put(1, "q0", "a", Phase::Ok).put(2, "q1", "b", Phase::Info).get(1, "q0", None).get(
            2,
            "q0",
            Some("a"),
        );
        let operations = history.operations();
        let encoded = encode(&operations);
        let columns = &encoded.columns;
        let of = |number: fn(&Op) -> i64| operations.shown.iter().map(number).collect::<Vec<_>>();
        assert_eq!(decoded(&columns.i, true), of(|op| op.i.cast_signed()));
        assert_eq!(decoded(&columns.began, true), of(|op| op.began_us.cast_signed()));
        assert_eq!(decoded(&columns.took, false), of(|op| op.took_us.map_or(0, |us| us.cast_signed() + 1)));
        assert_eq!(
            (encoded.keys.clone(), encoded.values.clone()),
            (vec!["q0".into(), "q1".into()], vec!["a".into(), "b".into()])
        );
        assert_eq!(decoded(&columns.key, true), [0, 1, 0, 0]);
        assert_eq!(decoded(&columns.value, true), [1, 2, 0, 1]);
        assert_eq!(decoded(&columns.kind, false), [6, 6 + 18, 7, 7]);
    }

    #[test]
    fn numbers_survive_whatever_their_size() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 52, 5, 0];
        let back = |column: String, as_differences| {
            decoded(&column, as_differences).into_iter().map(i64::cast_unsigned).collect::<Vec<_>>()
        };
        assert_eq!(back(plain(numbers.into_iter()), false), numbers);
        assert_eq!(back(differences(numbers.into_iter()), true), numbers);
    }

    #[test]
    fn data_cannot_end_the_element_that_holds_it() {
        let nasty =
            ["</script><script>alert(1)</script>", "<!-- ", "]]>", "\u{2028}\u{2029}", "\"\\\u{0}", "&lt;"];
        let json = json_in_page(&nasty);
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\u{0}']), "{json}");
        let back: Vec<String> = serde_json::from_str(&json).expect("still the same JSON");
        assert_eq!(back, nasty);
    }

    #[test]
    fn long_values_are_cut_where_a_character_ends() {
        assert_eq!(cut(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
        assert_eq!(cut("short"), "short");
    }
}
