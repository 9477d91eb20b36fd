//! `kvlab picture`: one moment of a run, drawn from its events by the code that draws the live screen.

use ratatui::layout::Size;

use super::support::exit::{CommandError, Exit};
use crate::cli::{PictureArgs, PictureTheme};
use crate::record::{self, Picture};
use crate::run::directory;
use crate::screen::theme::Background;

/// The size at which every pane has its place.
const SIZE: Size = Size::new(120, 36);

pub fn run(args: &PictureArgs) -> Result<Exit, CommandError> {
    let background = match args.theme {
        PictureTheme::Dark => Background::Dark,
        PictureTheme::Light => Background::Light,
    };
    let picture = Picture { at: args.at, proof: args.proof, size: SIZE, background };
    record::draw(&directory::find(Some(&args.run))?, picture, &args.out)?;
    Ok(Exit::Done)
}
