//! A log as lines of text, for people and for tests.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::super::disk::Disk;
use super::super::error::StorageError;
use super::super::file::File;
use super::super::home::{Home, META};
use super::super::log::record::{Kind, Record};
use super::super::log::segment::{HEADER_BYTES, Piece, Scan, ScanStep, Segment};
use super::super::meta::Meta;
use super::super::recovery;

/// At most this many bytes of a key or value are shown.
const SHOWN_BYTES: usize = 32;

/// Writes what is in the data directory `dir`, a line at a time: the meta file's facts, then each segment and its
/// records with offset, length, position and operation. Takes no lock and changes nothing, so it may look at a
/// store in use; what is just being written shows as a bad record at the end. A bad record ends its segment.
///
/// # Errors
/// If there is no store, its meta file or a segment's header is bad, or the disk cannot be read.
pub(super) fn dump(
    disk: Arc<dyn Disk>,
    dir: &Path,
    mut line: impl FnMut(String),
) -> Result<(), StorageError> {
    let home = Home { disk, dir: dir.to_owned() };
    let Some(meta) = Meta::load(&home)? else {
        return Err(StorageError::corrupt(&dir.join(META), 0, "there is no meta file, so no store"));
    };
    let learner = if meta.promise.learner { " learner" } else { "" };
    let Meta { node, generation, base, floor, .. } = meta;
    let promised = meta.promise.epoch;
    line(format!(
        "meta: node {node} generation {generation} promised {promised}{learner} base {base} floor {floor}"
    ));
    for &(epoch, first) in meta.lineage.spans() {
        line(format!("lineage: {epoch} from {first}"));
    }
    let log_dir = home.log_dir(meta.generation);
    for name in recovery::segment_names(&home, &log_dir, &meta)? {
        let path = log_dir.join(name.log());
        let file = File::open(&*home.disk, &path)?;
        let bytes = file.size()?;
        let segment = Segment { name, first: 0, file };
        segment.check_header(meta.generation)?;
        let rewritten = if name.revision > 0 { format!("-{}", name.revision) } else { String::new() };
        line(format!("segment {}{rewritten}: {bytes} bytes", name.number));
        dump_records(Piece { segment: segment.into(), bytes: bytes.max(HEADER_BYTES) }, &mut line)?;
    }
    Ok(())
}

fn dump_records(piece: Piece, line: &mut impl FnMut(String)) -> Result<(), StorageError> {
    let end = piece.bytes;
    let mut scan = Scan::new(piece);
    loop {
        match scan.next()? {
            ScanStep::End => return Ok(()),
            ScanStep::Record(offset, record) => line(describe(offset, &record)),
            ScanStep::Bad(offset, flaw) => {
                line(format!("  {offset} +{}: bad: {flaw}", end - offset));
                return Ok(());
            }
        }
    }
}

fn describe(offset: u32, record: &Record<'_>) -> String {
    let mut text = format!("  {offset} +{} {} ", record.bytes(), record.at);
    let done = match record.kind {
        Kind::Noop => write!(text, "noop"),
        Kind::Put => write!(text, "put {} = {}", shown(record.key), shown(record.value.expect("whole"))),
        Kind::Del => write!(text, "del {}", shown(record.key)),
    };
    done.expect("strings take everything");
    text
}

/// The beginning of a key or value, with everything that is not plain text escaped.
fn shown(bytes: &[u8]) -> String {
    let beginning = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if bytes.len() > SHOWN_BYTES { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", beginning.escape_ascii())
}
