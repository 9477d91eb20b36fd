//! `kvlab record`: stills and films of a run, drawn from its events by the code that draws the live screen.

use super::support::exit::{CommandError, Exit};
use super::support::{output, recordings};
use crate::cli::{GoneArgs, RecordArgs, RecordTheme};
use crate::record::{CastVersion, Outputs, Recording, Source};
use crate::run::directory;
use crate::screen::theme::Background;

pub fn run(args: &RecordArgs) -> Result<Exit, CommandError> {
    let recording = Recording {
        at: args.at,
        from: args.from,
        to: args.to,
        proof: args.proof,
        size: args.size,
        background: match args.theme {
            RecordTheme::Dark => Background::Dark,
            RecordTheme::Light => Background::Light,
        },
        speed: args.speed,
        fps: args.fps,
        idle_limit: args.idle_limit,
        cast_version: if args.cast_version == 2 { CastVersion::Two } else { CastVersion::Three },
    };
    let run = directory::find(Some(&args.run))?;
    let outputs = Outputs::create(&args.out, args.at.is_some())?;
    for path in recordings::make(&recording, Source::Run(&run), outputs)? {
        output::print(format!("recorded: {}\n", path.display()))?;
    }
    Ok(Exit::Done)
}

/// `kvlab picture`, which is `record` now.
pub fn gone(args: &GoneArgs) -> Result<Exit, CommandError> {
    let rest: Vec<_> = args.rest.iter().map(|arg| arg.to_string_lossy()).collect();
    let rest = if rest.is_empty() { "RUN OUT".to_owned() } else { rest.join(" ") };
    Err(Exit::Usage.because(format!(
        "`kvlab picture` is now `kvlab record`; a still as SVG needs --at TIME, or --at end: kvlab record {rest}"
    )))
}
