//! A still as a PNG: four chunks around a compressed image. The compressor and the checksums are in the tree already.

use std::io::Write;

use ratatui::buffer::Buffer;

use super::pixels::Painter;
use crate::screen::theme::Background;

/// How hard the compressor tries, of 10.
const COMPRESSION_LEVEL: u8 = 6;
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Eight bits a pixel, each an index into the palette; deflate, the standard filters, not interlaced.
const INDEXED: [u8; 5] = [8, 3, 0, 0, 0];

/// Writes a frame, drawn for this background.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write_png(mut out: impl Write, frame: &Buffer, background: Background) -> anyhow::Result<()> {
    let image = Painter::new(background)?.paint(frame, frame.area, |_, _| true);
    let (width, height) = (u32::try_from(image.width())?, u32::try_from(image.height())?);
    let mut rows = Vec::with_capacity(image.pixels.len() + image.height());
    for row in image.pixels.chunks_exact(image.width()) {
        // Each row says how it is filtered: not at all.
        rows.push(0);
        rows.extend_from_slice(row);
    }
    let rows = miniz_oxide::deflate::compress_to_vec_zlib(&rows, COMPRESSION_LEVEL);
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &INDEXED].concat();
    out.write_all(SIGNATURE)?;
    for (name, data) in
        [(b"IHDR", &header), (b"PLTE", &image.palette), (b"IDAT", &rows), (b"IEND", &Vec::new())]
    {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(name);
        checksum.update(data);
        out.write_all(&u32::try_from(data.len())?.to_be_bytes())?;
        out.write_all(name)?;
        out.write_all(data)?;
        out.write_all(&checksum.finalize().to_be_bytes())?;
    }
    Ok(())
}
