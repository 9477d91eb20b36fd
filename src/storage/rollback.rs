//! Entries that a full resync discards, kept for people: `rollback/<epoch>-<seq>.jsonl`, named after the first of
//! them, one JSON object a line.
//!
//! ```json
//! {"epoch":"1@n1","seq":412,"op":"put","key":"colour","value":"blue"}
//! {"epoch":"1@n1","seq":413,"op":"del","key_hex":"00ff"}
//! ```
//!
//! A key or value that is not UTF-8 stands as hexadecimal digits in `key_hex` or `value_hex` instead.

use std::fmt::Write as _;

use serde::Serialize;

use super::error::StorageError;
use super::home::{Home, ROLLBACK};
use super::segment::Piece;
use super::snapshot::SnapshotReader;
use crate::replication::{Entry, Epoch, Op, Position, Rollback};

/// Lines are written when this much has come together.
const WRITE_BYTES: usize = 1 << 20;

#[derive(Serialize)]
struct Line<'a> {
    epoch: Epoch,
    seq: u64,
    op: &'static str,
    #[serde(flatten)]
    key: Option<Field<'a>>,
    #[serde(flatten)]
    value: Option<Field<'a>>,
}

#[derive(Serialize)]
enum Field<'a> {
    #[serde(rename = "key")]
    Key(&'a str),
    #[serde(rename = "key_hex")]
    KeyHex(String),
    #[serde(rename = "value")]
    Value(&'a str),
    #[serde(rename = "value_hex")]
    ValueHex(String),
}

/// Writes the entries of a log with a seq above `after` to a new file, durably. `None`: there are none.
pub(super) fn keep(home: &Home, pieces: &[Piece], after: u64) -> Result<Option<Rollback>, StorageError> {
    let mut reader = SnapshotReader::from_seq(pieces, after + 1);
    let first = loop {
        match reader.take_next()? {
            Some(entry) if entry.at.seq > after => break entry,
            Some(_) => {}
            None => return Ok(None),
        }
    };
    let dir = home.dir.join(ROLLBACK);
    home.ensure_dir(&dir)?;
    let name = free_name(home, first.at)?;
    let path = Home::part(&dir, &name);
    let file = home.disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
    let (mut buffer, mut written, mut entries) = (Vec::new(), 0, 0);
    let mut next = Some(first);
    while let Some(entry) = next {
        write_line(&mut buffer, &entry);
        entries += 1;
        next = reader.take_next()?;
        if buffer.len() >= WRITE_BYTES || next.is_none() {
            file.write_at(&buffer, written).map_err(|e| StorageError::io("write", &path, e))?;
            written += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.sync().map_err(|e| StorageError::io("sync", &path, e))?;
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

fn write_line(buffer: &mut Vec<u8>, entry: &Entry) {
    let (op, key, value) = match &entry.op {
        Op::Noop => ("noop", None, None),
        Op::Put { key, value } => ("put", Some(key), Some(value)),
        Op::Del { key } => ("del", Some(key), None),
    };
    let key = key.map(|key| match std::str::from_utf8(key) {
        Ok(text) => Field::Key(text),
        Err(_) => Field::KeyHex(hex(key)),
    });
    let value = value.map(|value| match std::str::from_utf8(value) {
        Ok(text) => Field::Value(text),
        Err(_) => Field::ValueHex(hex(value)),
    });
    let line = Line { epoch: entry.at.epoch, seq: entry.at.seq, op, key, value };
    serde_json::to_writer(&mut *buffer, &line).expect("plain data becomes JSON, in memory");
    buffer.push(b'\n');
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("strings take everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::replication::NodeId;

    #[test]
    fn lines_are_as_documented() {
        let entry = |seq, op| Entry { at: Position::new(Epoch::new(1, NodeId(1)), seq), op };
        let bytes = Bytes::from_static;
        let mut lines = Vec::new();
        write_line(&mut lines, &entry(411, Op::Noop));
        write_line(
            &mut lines,
            &entry(412, Op::Put { key: bytes(b"colour"), value: bytes("\"blau\"\u{e4}\n".as_bytes()) }),
        );
        write_line(&mut lines, &entry(413, Op::Del { key: bytes(b"\x00\xff") }));
        write_line(&mut lines, &entry(414, Op::Put { key: bytes(b""), value: bytes(b"\x80") }));
        let expected = concat!(
            r#"{"epoch":"1@n1","seq":411,"op":"noop"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":412,"op":"put","key":"colour","value":"\"blau\"ä\n"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":413,"op":"del","key_hex":"00ff"}"#,
            "\n",
            r#"{"epoch":"1@n1","seq":414,"op":"put","key":"","value_hex":"80"}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }
}
