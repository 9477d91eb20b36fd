//! Entries that a full resync or a cut discards, kept for people: `rollback/<epoch>-<seq>.jsonl`, named after the first of
//! them, one JSON object a line.
//!
//! ```json
//! {"epoch":"1@n1","seq":412,"op":"put","key":"colour","value":"blue"}
//! {"epoch":"1@n1","seq":413,"op":"del","key_hex":"00ff"}
//! ```
//!
//! A put whose value is damaged has the op `damaged`, and its key. A key or value that is not UTF-8 stands as hexadecimal digits in `key_hex` or `value_hex` instead. If some of the
//! entries had been dropped by cleanup, here or where the log came from, the last line says up to where:
//!
//! ```json
//! {"epoch":"1@n1","seq":430,"op":"cleaned"}
//! ```
//!
//! The last value of each key is there nevertheless: cleanup drops what was overwritten or deleted.

use bytes::Bytes;
use serde::Serialize;

use super::snapshot::{Item, SnapshotReader};
use crate::replication::Rollback;
use crate::storage::error::StorageError;
use crate::storage::file::File;
use crate::storage::home::{Home, ROLLBACK};
use crate::storage::log::segment::Piece;
use crate::types::{Epoch, Lineage, Op, Position};

/// Lines are written when this much has come together.
const WRITE_BYTES: usize = 1 << 20;

/// A line of the file. What is not there is left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    epoch: Epoch,
    seq: u64,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

/// Writes the entries of a log with a seq above `after` to a new file, durably. The log ends at the seq `last` of its
/// `lineage`. `None`: there are none.
pub(crate) fn keep(
    home: &Home,
    pieces: &[Piece],
    after: u64,
    last: u64,
    lineage: &Lineage,
) -> Result<Option<Rollback>, StorageError> {
    if after >= last {
        return Ok(None);
    }
    let mut reader = SnapshotReader::from_seq(pieces, after + 1);
    let mut next = loop {
        match reader.next_item()? {
            Some(item) if item.record().0.seq <= after => {}
            other => break other,
        }
    };
    let position = |seq| Position::new(lineage.epoch_of(seq), seq);
    let dir = home.dir.join(ROLLBACK);
    home.ensure_dir(&dir)?;
    let name = free_name(home, next.as_ref().map_or_else(|| position(after + 1), |first| first.record().0))?;
    let file = File::create(&*home.disk, &Home::part(&dir, &name))?;
    let (mut buffer, mut written, mut entries) = (Vec::new(), 0, 0);
    let (mut expected, mut missing) = (after + 1, None);
    loop {
        // What is not there between this entry and the one before, or the end of the log.
        let at = next.as_ref().map_or(last + 1, |item| item.record().0.seq);
        if at > expected {
            missing = Some(position(at - 1));
        }
        expected = at + 1;
        match &next {
            Some(item) => {
                write_line(&mut buffer, item);
                entries += 1;
            }
            None => missing.iter().for_each(|at| write_cleaned(&mut buffer, *at)),
        }
        if buffer.len() >= WRITE_BYTES || next.is_none() {
            file.write_at(&buffer, written)?;
            written += buffer.len() as u64;
            buffer.clear();
        }
        if next.is_none() {
            break;
        }
        next = reader.next_item()?;
    }
    file.sync()?;
    home.finish_part(&dir, &name)?;
    Ok(Some(Rollback { entries, file: format!("{ROLLBACK}/{name}") }))
}

/// A name that no earlier file has: what one full resync kept, a later one must not overwrite.
fn free_name(home: &Home, first: Position) -> Result<String, StorageError> {
    let taken = home.list(&home.dir.join(ROLLBACK))?;
    let stem = format!("{}-{}", first.epoch, first.seq);
    let candidates =
        (1..).map(|n| if n == 1 { format!("{stem}.jsonl") } else { format!("{stem}.{n}.jsonl") });
    let free = candidates.take(taken.len() + 1).find(|name| !taken.contains(name));
    Ok(free.expect("one name more than there are files"))
}

fn write_line(buffer: &mut Vec<u8>, item: &Item) {
    let (at, _) = item.record();
    let (op, key, value) = match item {
        Item::Damaged(damage, _) => ("damaged", Some(&damage.key), None),
        Item::Entry(entry) => match &entry.op {
            Op::Noop => ("noop", None, None),
            Op::Put { key, value } => ("put", Some(key), Some(value)),
            Op::Del { key } => ("del", Some(key), None),
        },
    };
    let (key, key_hex) = key.map_or((None, None), text_or_hex);
    let (value, value_hex) = value.map_or((None, None), text_or_hex);
    push(buffer, &Line { epoch: at.epoch, seq: at.seq, op, key, key_hex, value, value_hex });
}

/// Up to `at`, entries are missing.
fn write_cleaned(buffer: &mut Vec<u8>, at: Position) {
    push(buffer, &Line { epoch: at.epoch, seq: at.seq, op: "cleaned", ..Line::default() });
}

fn push(buffer: &mut Vec<u8>, line: &Line<'_>) {
    serde_json::to_writer(&mut *buffer, line).expect("plain data becomes JSON, in memory");
    buffer.push(b'\n');
}

fn text_or_hex(bytes: &Bytes) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Damage, Entry, NodeId};

    #[test]
    fn lines_are_as_documented() {
        let at = |seq| Position::new(Epoch::new(1, NodeId(1)), seq);
        let entry = |seq, op| Item::Entry(Entry { at: at(seq), op });
        let bytes = Bytes::from_static;
        let mut lines = Vec::new();
        write_line(&mut lines, &entry(411, Op::Noop));
        write_line(
            &mut lines,
            &entry(412, Op::Put { key: bytes(b"colour"), value: bytes("\"blau\"\u{e4}\n".as_bytes()) }),
        );
        write_line(&mut lines, &entry(413, Op::Del { key: bytes(b"\x00\xff") }));
        write_line(&mut lines, &entry(414, Op::Put { key: bytes(b""), value: bytes(b"\x80") }));
        let damage = Damage { at: at(415), key: bytes(b"lost"), file: String::new(), offset: 28 };
        write_line(&mut lines, &Item::Damaged(damage, 50));
        let expected = concat!(
            r#"{"epoch":"1@n1","seq":411,"op":"noop"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":412,"op":"put","key":"colour","value":"\"blau\"ä\n"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":413,"op":"del","key_hex":"00ff"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":414,"op":"put","key":"","value_hex":"80"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":415,"op":"damaged","key":"lost"}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }
}
