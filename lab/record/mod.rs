//! Pictures and recordings, drawn from a run's events by the same code as the live screen.

mod frame;
mod glyphs;
mod picture;
mod svg;

pub use self::frame::{frame, to_text};
#[cfg(test)]
pub use self::glyphs::is_drawn;
pub use self::picture::{Picture, draw, save_frame};
pub use self::svg::to_svg;

#[cfg(test)]
mod tests;
