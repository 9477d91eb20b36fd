//! The timeline's data: operations by column, as JSON that is compressed. `assets/data.js` reads it.
//!
//! By column, because the compressor finds more in values of one kind that follow each other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvlab::judge::{Consistency, OpKind, Phase};
use kvlab::types::{Epoch, NodeId};
use serde::Serialize;

use super::operations::{Operations, TimelineOp};

/// Characters of a key or a value that are shown; the history has them all.
const CHARS_MAX: usize = 80;
/// How hard the compressor tries, of 10: beyond this it takes twice as long for little.
const COMPRESSION_LEVEL: u8 = 2;

/// Operations by column, each as long as there are operations.
#[derive(Debug, Serialize)]
struct Columns<'a> {
    /// The history's index of the invoke.
    i: Vec<u64>,
    /// Microseconds since the run began.
    began: Vec<u64>,
    /// Microseconds from invoke to reply.
    took: Vec<Option<u64>>,
    client: Vec<u32>,
    /// Who was asked first.
    asked: Vec<Option<NodeId>>,
    /// Who answered.
    node: Vec<Option<NodeId>>,
    op: Vec<OpKind>,
    level: Vec<Consistency>,
    /// How it ended.
    phase: Vec<Phase>,
    key: Vec<Cow<'a, str>>,
    value: Vec<Option<Cow<'a, str>>>,
    epoch: Vec<Option<Epoch>>,
    seq: Vec<Option<u64>>,
    /// Age of what was seen in milliseconds, if it was stale.
    stale: Vec<Option<u64>>,
    /// Acknowledged writes that it did not see.
    behind: Vec<u64>,
}

/// The operations as a text that can stand in a page: [`Columns`] as JSON, compressed with zlib, in base64.
///
/// # Panics
/// If the columns do not become JSON: plain data does.
pub(super) fn encode(operations: &Operations) -> String {
    let json = serde_json::to_vec(&columns(&operations.shown)).expect("plain data becomes JSON");
    STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(&json, COMPRESSION_LEVEL))
}

fn columns(ops: &[TimelineOp]) -> Columns<'_> {
    Columns {
        i: column(ops, |op| op.i),
        began: column(ops, |op| op.began_us),
        took: column(ops, |op| op.took_us),
        client: column(ops, |op| op.client),
        asked: column(ops, |op| op.asked),
        node: column(ops, |op| op.node),
        op: column(ops, |op| op.op),
        level: column(ops, |op| op.consistency),
        phase: column(ops, |op| op.phase),
        key: column(ops, |op| cut(&op.key)),
        value: column(ops, |op| op.value.as_deref().map(cut)),
        epoch: column(ops, |op| op.epoch),
        seq: column(ops, |op| op.seq),
        stale: column(ops, |op| op.stale.map(|stale| stale.age_ms())),
        behind: column(ops, |op| op.stale.map_or(0, |stale| stale.versions)),
    }
}

fn column<'a, T>(ops: &'a [TimelineOp], of: impl Fn(&'a TimelineOp) -> T) -> Vec<T> {
    ops.iter().map(of).collect()
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

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        // As the page's program does it.
        let zlib = STANDARD.decode(encode(&operations)).expect("base64");
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(&zlib).expect("zlib");
        let columns: Value = serde_json::from_slice(&bytes).expect("JSON");
        let of =
            |number: fn(&TimelineOp) -> Option<u64>| operations.shown.iter().map(number).collect::<Vec<_>>();
        assert_eq!(columns["i"], json!(of(|op| Some(op.i))));
        assert_eq!(columns["began"], json!(of(|op| Some(op.began_us))));
        assert_eq!(columns["took"], json!(of(|op| op.took_us)));
        assert_eq!(columns["asked"], json!(["n2", "n3", "n2", "n3"]));
        assert_eq!(columns["key"], json!(["q0", "q1", "q0", "q0"]));
        assert_eq!(columns["value"], json!(["a", "b", null, "a"]));
        assert_eq!(columns["op"], json!(["put", "put", "get", "get"]));
        assert_eq!(columns["phase"], json!(["ok", "info", "ok", "ok"]));
        assert_eq!(columns["level"], json!(["quorum", "quorum", "quorum", "quorum"]));
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
