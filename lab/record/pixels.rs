//! Frames as pixels with few colours: text by JetBrains Mono, lines and blocks as outlines that join without seams.

use std::collections::BTreeMap;

use ab_glyph::{Font as _, FontRef, PxScale, point};
use anyhow::Context as _;
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::Rect;

use super::colours::{Look, Plain, single};
use super::glyphs::{self, CELL_WIDTH as OUTLINE_WIDTH, Canvas};
use crate::screen::theme::Background;

/// Pixels of a cell.
pub(super) const CELL_WIDTH: usize = 9;
pub(super) const CELL_HEIGHT: usize = 18;
/// Pixels of the font's em: its advance of 0.6 em is a cell's width.
const EM: f32 = 15.0;
/// From the top of a cell to the line on which text stands.
const BASELINE: f32 = 14.0;
/// The row of pixels that underlines.
const UNDERLINE: usize = 16;
/// How much of a pixel may be covered: none, all, and steps between.
const LEVELS: u8 = 8;
/// Points in a pixel that are looked at, each way.
const SAMPLES: usize = 4;
/// Colours of an image, the transparent one among them.
const COLOURS_MAX: usize = 256;

/// Paints cells. What a sign covers is found out once.
pub(super) struct Painter {
    plain: Plain,
    fonts: [FontRef<'static>; 2],
    covers: BTreeMap<(String, bool, usize), Vec<u8>>,
}

/// An image: an index into the palette for each pixel, row by row. Index 0 is transparent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// Cells, of the frame.
    pub(super) area: Rect,
    /// Red, green, blue; then the next colour.
    pub(super) palette: Vec<u8>,
    pub(super) pixels: Vec<u8>,
}

impl Image {
    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width) * CELL_WIDTH
    }

    pub(super) fn height(&self) -> usize {
        usize::from(self.area.height) * CELL_HEIGHT
    }
}

impl Painter {
    /// For this background.
    ///
    /// # Errors
    /// If the fonts that come with the program cannot be read.
    pub(super) fn new(background: Background) -> anyhow::Result<Self> {
        let font = |bytes| FontRef::try_from_slice(bytes).context("a font of the program's own is damaged");
        let regular = font(&include_bytes!("assets/JetBrainsMono-Regular.ttf")[..])?;
        let bold = font(&include_bytes!("assets/JetBrainsMono-Bold.ttf")[..])?;
        Ok(Self { plain: Plain::on(background), fonts: [regular, bold], covers: BTreeMap::new() })
    }

    /// The cells of an area for which `is_drawn` holds; the others are transparent.
    pub(super) fn paint(&mut self, frame: &Buffer, area: Rect, is_drawn: impl Fn(u16, u16) -> bool) -> Image {
        let pixels = usize::from(area.width) * CELL_WIDTH * usize::from(area.height) * CELL_HEIGHT;
        let mut image = Image { area, palette: vec![0, 0, 0], pixels: vec![0; pixels] };
        let mut looks: BTreeMap<Look, [u8; LEVELS as usize]> = BTreeMap::new();
        for y in area.top()..area.bottom() {
            let mut x = area.left();
            while x < area.right() {
                let cell = &frame[(x, y)];
                let columns = cell.symbol().cell_width().max(1).min(area.right() - x);
                if is_drawn(x, y) {
                    let look = Look::of(cell, self.plain);
                    let shades = *looks.entry(look).or_insert_with(|| shades(look, &mut image.palette));
                    self.cell(&mut image, cell, look, shades, (x, y), usize::from(columns));
                }
                x += columns;
            }
        }
        image
    }

    fn cell(
        &mut self,
        image: &mut Image,
        cell: &Cell,
        look: Look,
        shades: [u8; LEVELS as usize],
        (x, y): (u16, u16),
        columns: usize,
    ) {
        let (width, cell_width) = (image.width(), columns * CELL_WIDTH);
        let left = usize::from(x - image.area.x) * CELL_WIDTH;
        let top = usize::from(y - image.area.y) * CELL_HEIGHT;
        let cover = self.cover(cell, look.bold, columns);
        for row in 0..CELL_HEIGHT {
            let line = &mut image.pixels[(top + row) * width + left..][..cell_width];
            for (pixel, level) in line.iter_mut().zip(&cover[row * cell_width..]) {
                let under = look.underlined && row == UNDERLINE;
                *pixel = shades[usize::from(if under { LEVELS - 1 } else { *level })];
            }
        }
    }

    /// How much a sign covers of each pixel of its cells, as a level.
    fn cover(&mut self, cell: &Cell, bold: bool, columns: usize) -> &[u8] {
        let fonts = &self.fonts;
        self.covers.entry((cell.symbol().to_owned(), bold, columns)).or_insert_with(|| {
            let mut cover = vec![0.0; columns * CELL_WIDTH * CELL_HEIGHT];
            match single(cell).filter(|&c| glyphs::is_drawn(c)) {
                Some(c) => glyphs::draw_on(c, &mut Outline { cover: &mut cover }),
                None => cell.symbol().chars().for_each(|c| {
                    letter(&fonts[usize::from(bold)], c, columns * CELL_WIDTH, &mut cover);
                }),
            }
            cover.iter().map(|cover| (cover * f32::from(LEVELS - 1)).round() as u8).collect()
        })
    }
}

/// A letter of the font; a box if it has none.
fn letter(font: &FontRef<'_>, c: char, width: usize, cover: &mut [f32]) {
    if c.is_whitespace() || c.is_control() {
        return;
    }
    let per_em = font.units_per_em().unwrap_or(1000.0);
    let scale = PxScale::from(EM * font.height_unscaled() / per_em);
    let glyph = font.glyph_id(c).with_scale_and_position(scale, point(0.0, BASELINE));
    let Some(outline) = font.outline_glyph(glyph) else { return };
    let bounds = outline.px_bounds();
    outline.draw(|x, y, covered| {
        let (x, y) = (bounds.min.x as i64 + i64::from(x), bounds.min.y as i64 + i64::from(y));
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
            && x < width
            && y < CELL_HEIGHT
        {
            let pixel = &mut cover[y * width + x];
            *pixel = (*pixel + covered).min(1.0);
        }
    });
}

/// Indices of the colours from ground to ink; colours that are new are added to the palette.
fn shades(look: Look, palette: &mut Vec<u8>) -> [u8; LEVELS as usize] {
    let ink = if look.dim { blend(look.ground, look.ink, 0.6) } else { look.ink };
    std::array::from_fn(|level| {
        let colour = blend(look.ground, ink, level as f32 / f32::from(LEVELS - 1));
        let [_, red, green, blue] = colour.to_be_bytes();
        // Index 0 is transparent, whatever its colour.
        let known = palette.chunks_exact(3).skip(1).position(|known| known == [red, green, blue]);
        let index = known.map_or_else(
            || {
                if palette.len() / 3 < COLOURS_MAX {
                    palette.extend([red, green, blue]);
                    palette.len() / 3 - 1
                } else {
                    nearest(palette, [red, green, blue])
                }
            },
            |index| index + 1,
        );
        u8::try_from(index).unwrap_or(u8::MAX)
    })
}

/// The index of the colour that differs least; not the transparent one.
fn nearest(palette: &[u8], colour: [u8; 3]) -> usize {
    let distance = |known: &[u8]| -> u32 {
        known.iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let others = palette.chunks_exact(3).enumerate().skip(1);
    others.min_by_key(|(_, known)| distance(known)).map_or(1, |(index, _)| index)
}

/// So much of the way from one colour to another.
fn blend(from: u32, to: u32, share: f32) -> u32 {
    let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
    u32::from_be_bytes(std::array::from_fn(|i| {
        (f32::from(from[i]) + (f32::from(to[i]) - f32::from(from[i])) * share).round() as u8
    }))
}

/// A cell on which outlines are drawn, scaled to its pixels.
struct Outline<'a> {
    cover: &'a mut [f32],
}

impl Outline<'_> {
    /// Covers what is inside, by points of each pixel.
    fn fill(&mut self, is_inside: impl Fn(f32, f32) -> bool) {
        const WIDER: f32 = OUTLINE_WIDTH / CELL_WIDTH as f32;
        let points = || (0..SAMPLES).map(|i| (i as f32 + 0.5) / SAMPLES as f32);
        for y in 0..CELL_HEIGHT {
            for x in 0..CELL_WIDTH {
                let inside = points()
                    .flat_map(|dy| points().map(move |dx| (dx, dy)))
                    .filter(|(dx, dy)| is_inside((x as f32 + dx) * WIDER, y as f32 + dy));
                let covered = inside.count() as f32 / (SAMPLES * SAMPLES) as f32;
                let pixel = &mut self.cover[y * CELL_WIDTH + x];
                *pixel = pixel.max(covered);
            }
        }
    }
}

impl Canvas for Outline<'_> {
    fn polygon(&mut self, points: &[(f32, f32)]) {
        self.fill(|x, y| {
            let edges = points.iter().zip(points.iter().cycle().skip(1));
            let crossed = edges.filter(|((x0, y0), (x1, y1))| {
                (*y0 > y) != (*y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
            });
            crossed.count() % 2 == 1
        });
    }

    /// Edges are sharp: they lie between pixels.
    fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
        let wider = CELL_WIDTH as f32 / OUTLINE_WIDTH;
        let pixels = |from: f32, to: f32, most: usize| {
            let from = (from.max(0.0) as usize).min(most - 1);
            (from, (to.max(0.0) as usize).clamp(from + 1, most))
        };
        let (left, right) = pixels((x0 * wider).round(), (x1 * wider).round(), CELL_WIDTH);
        let (top, bottom) = pixels((y0 - 0.05).ceil(), y1.round(), CELL_HEIGHT);
        for y in top..bottom {
            self.cover[y * CELL_WIDTH + left..y * CELL_WIDTH + right].fill(1.0);
        }
    }

    fn disc(&mut self, x: f32, y: f32, r: f32, hole: f32) {
        self.fill(|px, py| {
            let distance = (px - x).hypot(py - y);
            distance <= r && distance >= hole
        });
    }
}
