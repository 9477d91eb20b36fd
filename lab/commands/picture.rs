//! `kvlab picture`: one moment of a run, drawn from its events by the code that draws the live screen.

use ratatui::layout::Size;

use super::support::exit::{CommandError, Exit};
use crate::cli::{PictureArgs, PictureTheme};
use crate::record::{self, Picture};
use crate::run::journal::EVENTS_FILE;
use crate::screen::theme::Background;

/// The size at which every pane has its place.
const SIZE: Size = Size::new(120, 36);

pub fn run(args: &PictureArgs) -> Result<Exit, CommandError> {
    let background = match args.theme {
        PictureTheme::Dark => Background::Dark,
        PictureTheme::Light => Background::Light,
    };
    let picture = Picture { at: args.at, proof: args.proof, size: SIZE, background };
    record::draw(&args.run.join(EVENTS_FILE), picture, &args.out)?;
    Ok(Exit::Done)
}
