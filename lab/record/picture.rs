//! A picture of a run that is over, from its `events.jsonl`.
#![expect(clippy::disallowed_methods, reason = "writes the picture")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::layout::Size;

use super::{Paper, frame_at, to_svg, to_text};
use crate::event::Stamped;
use crate::records;
use crate::screen::Theme;

/// Draws the screen of a run as it was at `at` (at its end, if not given) into `out`: SVG, or text if its name
/// ends in `.txt`.
///
/// # Errors
/// If the events cannot be read, or the picture cannot be written.
pub fn draw(events: &Path, at: Option<Duration>, size: Size, out: &Path) -> anyhow::Result<()> {
    let title = format!("The screen of {}", events.display());
    let events = records::events(events)?;
    let at = at.or_else(|| events.last().map(Stamped::t)).unwrap_or_default();
    let buf = frame_at(&events, at, size, Theme::RECORDING);
    let picture = match out.extension().and_then(|e| e.to_str()) {
        Some("svg") => to_svg(&buf, &Paper::DARK, &title),
        Some("txt") => to_text(&buf),
        _ => bail!("{}: pictures are .svg or .txt", out.display()),
    };
    fs::write(out, picture).with_context(|| format!("cannot write {}", out.display()))
}
