//! A still as a PNG.

use std::io::Write;

use png::{BitDepth, ColorType, Encoder};
use ratatui::buffer::Buffer;

use super::pixels::Painter;
use crate::screen::theme::Background;

/// Writes a frame, drawn for this background.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write_png(out: impl Write, frame: &Buffer, background: Background) -> anyhow::Result<()> {
    let image = Painter::new(background)?.paint(frame, frame.area, |_, _| true);
    let (width, height) = (u32::try_from(image.width())?, u32::try_from(image.height())?);
    let mut encoder = Encoder::new(out, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(image.palette);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.pixels)?;
    writer.finish()?;
    Ok(())
}
