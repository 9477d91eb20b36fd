//! The timeline's data: operations as columns of packed numbers, names in tables, JSON around them. `assets/data.js`
//! reads it.

use kvlab::judge::{Consistency, OpKind, Phase};
use serde::Serialize;

use super::operations::{Op, Operations};
use super::pack::{Names, Table, differences, maybe, plain, sparse, sparse_differences};

/// Characters of a key or a value that are shown; the history has them all.
const CHARS_MAX: usize = 80;

/// Operations by column, each as long as there are operations.
#[derive(Debug, Serialize)]
pub(super) struct Encoded {
    /// How many operations follow.
    count: usize,
    /// How many there were in all.
    total: u64,
    keys: Names,
    values: Names,
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
    /// Into `epochs`, may be missing; differences, sparse.
    epoch: String,
    /// May be missing; differences.
    seq: String,
    /// Age of what was seen in milliseconds, may be missing: it was not stale; sparse.
    stale: String,
    /// Acknowledged writes that it did not see; sparse.
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
        epoch: sparse_differences(
            ops.iter().map(|op| maybe(op.epoch.map(|epoch| epochs.place(epoch.to_string())))),
        ),
        seq: differences(ops.iter().map(|op| maybe(op.seq))),
        stale: sparse(ops.iter().map(|op| maybe(op.stale.map(|stale| stale.age_ms())))),
        behind: sparse(ops.iter().map(|op| op.stale.map_or(0, |stale| stale.versions))),
    };
    Encoded {
        count: ops.len(),
        total: operations.total,
        keys: keys.packed(),
        values: values.packed(),
        epochs: epochs.names(),
        nodes: nodes.names(),
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

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack::tests::{unpacked_differences, unpacked_plain};
    use super::*;
    use crate::report::tests::fixture;

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
        assert_eq!(unpacked_differences(&columns.i), of(|op| op.i.cast_signed()));
        assert_eq!(unpacked_differences(&columns.began), of(|op| op.began_us.cast_signed()));
        assert_eq!(unpacked_plain(&columns.took), of(|op| op.took_us.map_or(0, |us| us.cast_signed() + 1)));
        assert_eq!(unpacked_differences(&columns.key), [0, 1, 0, 0]);
        assert_eq!(unpacked_differences(&columns.value), [1, 2, 0, 1]);
        assert_eq!(unpacked_plain(&columns.kind), [6, 6 + 18, 7, 7]);
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
