//! A film as an asciicast: what asciinema plays. One JSON value a line: a header, then events.

use std::io::Write;
use std::time::Duration;

use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::layout::Rect;
use serde::Serialize;

use super::about::{About, CastVersion};
use super::colours::{Plain, SIXTEEN};
use super::film::{Cue, Sink, What};

/// Hides the cursor and begins with an empty screen.
const OPENING: &str = "\x1b[?25l\x1b[2J\x1b[H";

/// To write so many cells again is shorter than to move the cursor.
const GAP_MAX: u16 = 8;

/// Writes a film as an asciicast.
#[derive(Debug)]
pub(super) struct Cast<W> {
    out: W,
    version: CastVersion,
    /// What the terminal shows.
    screen: Buffer,
    clock: Clock,
}

/// Times as they are printed, in milliseconds. What an interval loses or gains by rounding, the next one makes up for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    printed_ms: u64,
}

impl Clock {
    /// The printed time and the printed interval to it, in seconds.
    pub(super) fn go_to(&mut self, at: Duration) -> (String, String) {
        let at_ms = u64::try_from((at.as_micros() + 500) / 1000).unwrap_or(u64::MAX).max(self.printed_ms);
        let interval = at_ms - self.printed_ms;
        self.printed_ms = at_ms;
        let print = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        (print(at_ms), print(interval))
    }
}

#[derive(Serialize)]
struct HeaderTwo<'a> {
    version: u8,
    width: u16,
    height: u16,
    timestamp: u64,
    title: &'a str,
    env: Env,
    theme: ThemeLine,
}

#[derive(Serialize)]
struct HeaderThree<'a> {
    version: u8,
    term: Term,
    timestamp: u64,
    title: &'a str,
}

#[derive(Serialize)]
struct Term {
    cols: u16,
    rows: u16,
    r#type: &'static str,
    theme: ThemeLine,
}

#[derive(Serialize)]
struct Env {
    #[serde(rename = "TERM")]
    term: &'static str,
}

#[derive(Serialize)]
struct ThemeLine {
    fg: String,
    bg: String,
    palette: String,
}

const TERM: &str = "xterm-256color";

impl<W: Write> Cast<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn begin(mut out: W, about: &About, version: CastVersion) -> anyhow::Result<Self> {
        // Colours do not depend on the terminal that this program runs in, or on its having one.
        crossterm::style::force_color_output(true);
        let size = about.recording.size;
        let timestamp = about.end.header.as_ref().map_or(0, |header| header.started_unix_s);
        let title = about.title.as_str();
        let theme = theme(about);
        let header = match version {
            CastVersion::Two => serde_json::to_string(&HeaderTwo {
                version: 2,
                width: size.width,
                height: size.height,
                timestamp,
                title,
                env: Env { term: TERM },
                theme,
            })?,
            CastVersion::Three => serde_json::to_string(&HeaderThree {
                version: 3,
                term: Term { cols: size.width, rows: size.height, r#type: TERM, theme },
                timestamp,
                title,
            })?,
        };
        writeln!(out, "{header}")?;
        let screen = Buffer::empty(Rect::new(0, 0, size.width, size.height));
        Ok(Self { out, version, screen, clock: Clock::default() })
    }

    fn line(&mut self, at: Duration, code: char, data: &str) -> anyhow::Result<()> {
        let (time, interval) = self.clock.go_to(at);
        let time = if self.version == CastVersion::Two { time } else { interval };
        writeln!(self.out, "[{time},\"{code}\",{}]", serde_json::to_string(data)?)?;
        Ok(())
    }
}

impl Cast<Vec<u8>> {
    /// What has been written.
    pub(super) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

impl<W: Write> Sink for Cast<W> {
    fn take(&mut self, cue: &Cue) -> anyhow::Result<()> {
        match &cue.what {
            What::Frame(frame) => {
                let mut bytes = Vec::new();
                if cue.at.is_zero() {
                    bytes.extend_from_slice(OPENING.as_bytes());
                }
                CrosstermBackend::new(&mut bytes).draw(changes(&self.screen, frame).into_iter())?;
                self.screen.clone_from(frame);
                self.line(cue.at, 'o', &String::from_utf8(bytes)?)
            }
            What::Mark(text) => self.line(cue.at, 'm', text),
            // Version 2 has no code for the end: output of nothing makes the last frame last until then.
            What::End if self.version == CastVersion::Two => self.line(cue.at, 'o', ""),
            What::End => self.line(cue.at, 'x', "0"),
        }
    }
}

/// The cells to write so that `now` stands where `before` stood, in the order that takes the fewest bytes: those of one
/// style together, and over a short gap of the same style rather than around it.
fn changes<'a>(before: &Buffer, now: &'a Buffer) -> Vec<(u16, u16, &'a Cell)> {
    let style = |cell: &Cell| (cell.fg, cell.bg, cell.underline_color, cell.modifier);
    let mut styles = Vec::new();
    let mut last: Option<(u16, u16)> = None;
    for (x, y, cell) in before.diff_iter(now) {
        let group = styles.iter().position(|(known, _)| *known == style(cell)).unwrap_or(styles.len());
        if group == styles.len() {
            styles.push((style(cell), Vec::new()));
        }
        let from = last.filter(|(left, row)| *row == y && x - left <= GAP_MAX).map_or(x, |(left, _)| left);
        let is_like = |x: &u16| {
            let other = &now[(*x, y)];
            style(other) == style(cell) && other.symbol().cell_width() == 1
        };
        if (from..x).all(|x| is_like(&x)) {
            styles[group].1.extend((from..x).skip(1).map(|x| (x, y, &now[(x, y)])));
        }
        styles[group].1.push((x, y, cell));
        last = Some((x, y));
    }
    styles.into_iter().flat_map(|(_, cells)| cells).collect()
}

fn theme(about: &About) -> ThemeLine {
    let plain = Plain::on(about.recording.background);
    let colour = |colour: u32| format!("#{colour:06x}");
    ThemeLine { fg: colour(plain.ink), bg: colour(plain.ground), palette: SIXTEEN.map(colour).join(":") }
}
