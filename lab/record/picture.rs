//! A picture of a run that is over, from its `events.jsonl`.
#![expect(clippy::disallowed_methods, reason = "writes the picture")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::buffer::Buffer;
use ratatui::layout::Size;

use super::{frame, to_svg, to_text};
use crate::run::event::micros;
use crate::run::reader;
use crate::screen::theme::Background;
use crate::screen::{Theme, ViewState};

/// What is to be on a picture.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// The moment, since the run began; `None`: its end.
    pub at: Option<Duration>,
    /// With the proof of a broken promise opened: which, from 1.
    pub proof: Option<u8>,
    /// The size of the screen.
    pub size: Size,
    pub background: Background,
}

/// Draws the screen of a run into `out`: SVG, or text if its name ends in `.txt`.
///
/// # Errors
/// If the events cannot be read, or that moment of them is not kept; if there is no such proof by then, or the picture
/// cannot be written.
pub fn draw(
    run_dir: &Path,
    Picture { at, proof, size, background }: Picture,
    out: &Path,
) -> anyhow::Result<()> {
    let at = at.map(micros);
    let moment = reader::moment(run_dir, at)?;
    let mut view: ViewState =
        moment.keyframe.map(|keyframe| keyframe.state()).transpose()?.unwrap_or_default();
    moment.events.iter().for_each(|event| view.apply(event));
    view.advance(at.unwrap_or_default());
    let proofs = view.evidence.violations().len();
    if let Some(proof) = proof.filter(|&proof| usize::from(proof) > proofs) {
        let there_are = match proofs {
            0 => "no promise is broken by then".to_owned(),
            _ => format!("{proofs} by then, counted from 1"),
        };
        bail!("{}: there is no proof {proof}: {there_are}", run_dir.display());
    }
    let buf = frame(
        &view,
        proof.map(|proof| usize::from(proof) - 1),
        size,
        Theme { background, ..Theme::RECORDING },
    );
    let scenario = view.header.as_ref().and_then(|header| header.scenario.as_ref());
    let title = format!("The screen of {}", scenario.map_or("kvlab up", |scenario| &scenario.name));
    let picture = match out.extension().and_then(|e| e.to_str()) {
        Some("svg") => to_svg(&buf, &title, background),
        Some("txt") => to_text(&buf),
        _ => bail!("{}: pictures are .svg or .txt", out.display()),
    };
    fs::write(out, picture).with_context(|| format!("cannot write {}", out.display()))
}

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
