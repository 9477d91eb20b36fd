//! A picture of a run that is over, from its `events.jsonl`.
#![expect(clippy::disallowed_methods, reason = "reads a run's events and writes the picture")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::layout::Size;

use super::{Paper, frame, to_svg, to_text, view_at};
use crate::event::{EVENTS_VERSION, LabEvent, Stamped};
use crate::screen::Theme;

/// Reads a run's events. A last line without its end, left by a lab that was killed, is passed over.
///
/// # Errors
/// If the file cannot be read, or a line is no event: with file, line and what was expected.
fn read_events(path: &Path) -> anyhow::Result<Vec<Stamped>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut events = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(Stamped { event: LabEvent::Header(header), .. }) if header.version > EVENTS_VERSION => bail!(
                "{}: written by kvlab {} in format {}; this one reads formats up to {EVENTS_VERSION}",
                path.display(),
                header.kvlab,
                header.version
            ),
            Ok(event) => events.push(event),
            Err(_) if !line.ends_with('\n') => break,
            Err(error) => bail!("{}:{}: not an event of a run: {error}", path.display(), i + 1),
        }
    }
    match events.first().map(|e: &Stamped| &e.event) {
        Some(LabEvent::Header(_)) => Ok(events),
        _ => bail!("{}: not the events of a run: it does not begin with a header", path.display()),
    }
}

/// What is to be on a picture.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// The moment, since the run began; `None`: its end.
    pub at: Option<Duration>,
    /// With the proof of a broken promise opened: which, from 1.
    pub proof: Option<u8>,
    /// The size of the screen.
    pub size: Size,
}

/// Draws the screen of a run into `out`: SVG, or text if its name ends in `.txt`.
///
/// # Errors
/// If the events cannot be read, there is no such proof by then, or the picture cannot be written.
pub fn draw(events: &Path, Picture { at, proof, size }: Picture, out: &Path) -> anyhow::Result<()> {
    let file = events;
    let events = read_events(file)?;
    let at = at.or_else(|| events.last().map(Stamped::t)).unwrap_or_default();
    let view = view_at(&events, at);
    let proofs = view.evidence.violations().len();
    if let Some(proof) = proof.filter(|&proof| usize::from(proof) > proofs) {
        let there_are = match proofs {
            0 => "no promise is broken by then".to_owned(),
            _ => format!("{proofs} by then, counted from 1"),
        };
        bail!("{}: there is no proof {proof}: {there_are}", file.display());
    }
    let buf = frame(&view, proof.map(|proof| usize::from(proof) - 1), size, Theme::RECORDING);
    let scenario = view.header.as_ref().and_then(|header| header.scenario.as_ref());
    let title = format!("The screen of {}", scenario.map_or("kvlab up", |scenario| &scenario.name));
    let picture = match out.extension().and_then(|e| e.to_str()) {
        Some("svg") => to_svg(&buf, &Paper::DARK, &title),
        Some("txt") => to_text(&buf),
        _ => bail!("{}: pictures are .svg or .txt", out.display()),
    };
    fs::write(out, picture).with_context(|| format!("cannot write {}", out.display()))
}
