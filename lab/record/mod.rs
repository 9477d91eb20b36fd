//! Stills and films of a run, drawn from its events by the same code as the live screen.
//!
//! `outputs` are the files that are asked for, by the endings of their names; `export` reads a run and hands its `film`
//! to each of them, cue by cue. `frame` is one screen, `marks` the moments that one may want to go to, `about` what a
//! recording is asked to be, `colours` what a terminal's theme would say, `glyphs` signs as outlines. The kinds:
//! `cast` is an asciicast, `page` a page that plays one and has the `verdicts`; `svg` is a still, `strip` a film as SVG;
//! `png` and `gif` are made of `pixels`; `picture` is what the live screen saves.

mod about;
mod cast;
mod colours;
mod export;
mod film;
mod frame;
mod gif;
mod glyphs;
mod marks;
mod outputs;
mod page;
mod picture;
mod pixels;
mod png;
mod strip;
mod svg;
mod verdicts;

pub use self::about::{CastVersion, FPS_DEFAULT, Recording, SIZE_MAX, SIZE_MIN};
pub use self::export::Source;
pub use self::frame::{frame, to_text};
#[cfg(test)]
pub use self::glyphs::is_drawn;
pub use self::outputs::Outputs;
pub use self::picture::save_frame;
pub use self::svg::to_svg;

#[cfg(test)]
mod tests;
