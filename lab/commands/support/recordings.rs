//! Recordings as commands make them: with progress.

use std::path::PathBuf;

use super::exit::{CommandError, Exit};
use super::output;
use crate::cli::{DisplayOptions, RecordOptions, ThemeChoice};
use crate::record::{Outputs, Recording, Source};
use crate::screen::theme::Background;
use crate::verify::status_line::{self, StatusLine};

/// The recordings that are asked for of a run that has not begun: a name that will not do is refused now.
///
/// # Errors
/// As [`Outputs::create`].
pub fn asked_for(options: &RecordOptions) -> anyhow::Result<Option<Outputs>> {
    let asked = !options.record.is_empty();
    asked.then(|| Outputs::create(&options.record, false)).transpose()
}

/// As a run makes them: on a light background only if the person has said so.
pub fn of_run(display: DisplayOptions) -> Recording {
    let background = if display.theme == ThemeChoice::Light { Background::Light } else { Background::Dark };
    Recording { background, ..Recording::default() }
}

/// Says where recordings lie, and how the command ends: what could not be recorded changes no verdict.
///
/// # Errors
/// If all went well but the recordings.
pub fn ended(exit: Exit, recorded: anyhow::Result<Vec<PathBuf>>, json: bool) -> Result<Exit, CommandError> {
    match recorded {
        Ok(paths) => {
            for path in paths {
                let line = format!("recorded: {}", path.display());
                if json { output::tell(line) } else { output::print(line + "\n")? }
            }
            Ok(exit)
        }
        Err(error) if exit == Exit::Done => Err(error.into()),
        Err(error) => {
            output::tell(format_args!("error: {error:#}"));
            Ok(exit)
        }
    }
}

/// Makes the outputs of a recording. Returns where they lie.
///
/// # Errors
/// As [`Recording::make`].
pub fn make(recording: &Recording, source: Source<'_>, outputs: Outputs) -> anyhow::Result<Vec<PathBuf>> {
    let mut line = StatusLine::begin();
    recording.make(source, outputs, |done| {
        line.draw(|| {
            let percent = (done * 100.0) as u64;
            format!("{}recording: {percent} %", status_line::bar(percent, Some(100)))
        });
    })
}
