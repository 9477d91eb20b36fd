//! A frame of the live screen, saved.
#![expect(clippy::disallowed_methods, reason = "writes the picture")]

use std::fs;
use std::path::{Path, PathBuf};

use ratatui::buffer::Buffer;

use super::{to_svg, to_text};
use crate::screen::theme::Background;

/// Saves a frame, drawn for this background, as SVG and as text, side by side in a directory. Says where the SVG is.
///
/// # Errors
/// If they cannot be written.
pub fn save_frame(buf: &Buffer, dir: &Path, name: &str, on: Background) -> anyhow::Result<PathBuf> {
    let svg = dir.join(format!("{name}.svg"));
    fs::write(&svg, to_svg(buf, name, on))?;
    fs::write(svg.with_extension("txt"), to_text(buf))?;
    Ok(svg)
}
