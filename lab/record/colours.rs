//! The colours of recordings: what a terminal's theme would say, for a dark and a light background.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use crate::screen::theme::Background;

/// The colours of what has none of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    /// Of text.
    pub(super) ink: u32,
    /// Behind text.
    pub(super) ground: u32,
}

const DARK: Plain = Plain { ink: 0xd6_dae0, ground: 0x10_1418 };
const LIGHT: Plain = Plain { ink: 0x1f_2328, ground: 0xff_ffff };
/// The colours that a terminal theme defines: black, red, green, yellow, blue, magenta, cyan, white, then the bright ones.
pub(super) const SIXTEEN: [u32; 16] = [
    0x1b_2026, 0xd5_5e00, 0x00_9e73, 0xe6_9f00, 0x38_82c4, 0xcc_79a7, 0x56_b4e9, 0xc4_c9d1, 0x6b_7280,
    0xf0_8040, 0x40_c09a, 0xf0_e442, 0x6f_b0e8, 0xe0_a0c8, 0x8f_d0f5, 0xf5_f7fa,
];

/// How one cell looks, its colours resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub(super) ink: u32,
    pub(super) ground: u32,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underlined: bool,
}

impl Plain {
    pub(super) fn on(background: Background) -> Self {
        match background {
            Background::Dark => DARK,
            Background::Light => LIGHT,
        }
    }
}

impl Look {
    pub(super) fn of(cell: &Cell, plain: Plain) -> Self {
        let has = |m: Modifier| cell.modifier.contains(m);
        let (mut ink, mut ground) = (rgb(cell.fg, plain.ink), rgb(cell.bg, plain.ground));
        if has(Modifier::REVERSED) {
            (ink, ground) = (ground, ink);
        }
        Self {
            ink,
            ground,
            bold: has(Modifier::BOLD),
            dim: has(Modifier::DIM),
            italic: has(Modifier::ITALIC),
            underlined: has(Modifier::UNDERLINED),
        }
    }
}

/// The one character of a cell; `None`: it has several, or none.
pub(super) fn single(cell: &Cell) -> Option<char> {
    let mut chars = cell.symbol().chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn rgb(colour: Color, default: u32) -> u32 {
    let i = match colour {
        Color::Reset => return default,
        Color::Rgb(r, g, b) => return u32::from_be_bytes([0, r, g, b]),
        Color::Indexed(i) => i,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    indexed(i)
}

/// xterm's 256 colours: 16 of the theme, a cube of 6×6×6, 24 greys.
fn indexed(i: u8) -> u32 {
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match i {
        0..16 => SIXTEEN[usize::from(i)],
        16..232 => {
            let i = i - 16;
            u32::from_be_bytes([0, level(i / 36), level(i / 6 % 6), level(i % 6)])
        }
        232.. => {
            let grey = 8 + 10 * (i - 232);
            u32::from_be_bytes([0, grey, grey, grey])
        }
    }
}
