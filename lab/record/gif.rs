//! A film as a GIF. A frame has only the cells that have changed; where it has none, the one before shows through.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use gif::{DisposalMethod, Encoder, Frame, Repeat};
use ratatui::buffer::{Buffer, CellWidth as _};
use ratatui::layout::Rect;

use super::about::About;
use super::film::{Cue, Sink, What};
use super::pixels::{CELL_HEIGHT, CELL_WIDTH, Image, Painter};

/// Delays are in hundredths of a second; browsers stretch any that is shorter.
const DELAY_MIN: u64 = 2;
/// The last frame stays so much longer before it all begins again.
const LAST_FOR: Duration = Duration::from_secs(3);

/// Writes a film as a GIF.
pub(super) struct Gif<W: Write> {
    encoder: Encoder<W>,
    painter: Painter,
    shown: Option<Buffer>,
    /// Painted, and not written yet: how long it stays is not known before the next.
    waiting: Option<(Duration, Image)>,
}

impl<W: Write> Gif<W> {
    /// Writes how it begins.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn begin(out: W, about: &About) -> anyhow::Result<Self> {
        let size = about.recording.size;
        let (width, height) = (pixels(size.width, CELL_WIDTH)?, pixels(size.height, CELL_HEIGHT)?);
        let mut encoder = Encoder::new(out, width, height, &[])?;
        encoder.set_repeat(Repeat::Infinite)?;
        let painter = Painter::new(about.recording.background)?;
        Ok(Self { encoder, painter, shown: None, waiting: None })
    }

    /// Writes the frame that waits, which stays until then.
    fn write_until(&mut self, until: Duration) -> anyhow::Result<()> {
        let Some((at, image)) = self.waiting.take() else { return Ok(()) };
        let delay = hundredths(until).saturating_sub(hundredths(at)).max(DELAY_MIN);
        let frame = Frame {
            delay: u16::try_from(delay).unwrap_or(u16::MAX),
            dispose: DisposalMethod::Keep,
            transparent: Some(0),
            left: pixels(image.area.x, CELL_WIDTH)?,
            top: pixels(image.area.y, CELL_HEIGHT)?,
            width: pixels(image.area.width, CELL_WIDTH)?,
            height: pixels(image.area.height, CELL_HEIGHT)?,
            palette: Some(image.palette),
            buffer: image.pixels.into(),
            ..Frame::default()
        };
        self.encoder.write_frame(&frame)?;
        Ok(())
    }
}

impl<W: Write> Sink for Gif<W> {
    fn take(&mut self, cue: &Cue) -> anyhow::Result<()> {
        match &cue.what {
            What::Frame(frame) => {
                self.write_until(cue.at)?;
                let shown = self.shown.replace((**frame).clone());
                let has_changed =
                    |x: u16, y: u16| shown.as_ref().is_none_or(|shown| has_changed(shown, frame, x, y));
                let area = bounds(frame.area, has_changed);
                self.waiting = Some((cue.at, self.painter.paint(frame, area, has_changed)));
                Ok(())
            }
            What::Mark(_) => Ok(()),
            What::End => self.write_until(cue.at + LAST_FOR),
        }
    }
}

/// Whether a cell looks otherwise than before: it is another, or the sign before it reaches or has reached into it.
fn has_changed(before: &Buffer, now: &Buffer, x: u16, y: u16) -> bool {
    let differs = |x: u16| before[(x, y)] != now[(x, y)];
    let is_wide = |buffer: &Buffer, x: u16| buffer[(x, y)].symbol().cell_width() > 1;
    differs(x) || x.checked_sub(1).is_some_and(|x| differs(x) && (is_wide(before, x) || is_wide(now, x)))
}

/// The smallest area with all cells of which something holds; one cell if it holds of none.
fn bounds(area: Rect, holds: impl Fn(u16, u16) -> bool) -> Rect {
    let cells =
        area.positions().filter(|cell| holds(cell.x, cell.y)).map(|cell| Rect::new(cell.x, cell.y, 1, 1));
    cells.reduce(Rect::union).unwrap_or(Rect::new(area.x, area.y, 1, 1))
}

/// So many cells in pixels.
fn pixels(cells: u16, of_cell: usize) -> anyhow::Result<u16> {
    u16::try_from(usize::from(cells) * of_cell).context("the screen is too large for a GIF")
}

fn hundredths(time: Duration) -> u64 {
    u64::try_from((time.as_millis() + 5) / 10).unwrap_or(u64::MAX)
}
