//! `kvlab shrink`: the smallest part of a history that still fails, drawn and written.

use std::path::Path;

use super::check::{format, limits, options};
use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::ShrinkArgs;
use crate::run::output_file::OutputFile;
use crate::verify::{self, FailedCasTaken, HistorySource, PrintStyle, Shrunk, Smaller};

pub fn run(args: &ShrinkArgs) -> Result<Exit, CommandError> {
    let source = HistorySource::find(&args.history, format(args.reading.format))?.rereadable()?;
    let source = source.starting_with(args.reading.initial.clone());
    let (options, limits) = (options(&args.reading)?, limits(&args.reading));
    match verify::shrink(&source, options, limits, args.key.as_deref())? {
        Shrunk::Smaller(smaller) => {
            show(args.out.as_deref(), &smaller)?;
            Ok(Exit::Refused)
        }
        Shrunk::Fine(what) => {
            output::tell(format_args!("{}: {what} does not fail: there is nothing to shrink", source.name));
            Ok(Exit::Done)
        }
        Shrunk::Undecided(what, why) => {
            output::tell(format_args!("{}: {what} is undecided: {why}", source.name));
            Ok(Exit::Unknown)
        }
    }
}

/// The drawing, and what is left: below it, or where `--out` says.
fn show(out: Option<&Path>, smaller: &Smaller) -> Result<(), CommandError> {
    let Smaller { history, before, text, diagram } = smaller;
    let key = if history.key().is_empty() { String::new() } else { format!("key {}: ", history.key()) };
    let left = history.ops().len();
    let fails = if left == 1 { "fails" } else { "fail" };
    let summary = format!("{key}{left} of {before} operations still {fails}\n\n");
    let mut drawing = summary + &diagram.text(PrintStyle::of_stdout().width);
    if let Some(taken) = FailedCasTaken::of(history) {
        drawing += &format!("\n{}\n", taken.says());
    }
    let Some(out) = out else {
        return output::print(format!("{drawing}\n{text}"));
    };
    if out == Path::new("-") {
        output::tell(drawing.trim_end());
    } else {
        output::print(&drawing)?;
    }
    let mut whole = OutputFile::create(Some(out))?;
    whole.write(text)?;
    Ok(whole.finish()?)
}
