//! `kvlab check`: judges histories, and exits with the verdict.

use kvlab::judge::Diagram;
use kvlab::judge::import::{Format, ImportOptions};

use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::{CheckArgs, HistoryFormat, ReadingArgs};
use crate::run::output_file::OutputFile;
use crate::verify::{self, Input, Limits, Look, Object, Overall};

pub fn run(args: &CheckArgs) -> Result<Exit, CommandError> {
    let look = Look::of_stdout();
    let (mut worst, mut unreadable) = (Overall::Linearizable, 0);
    let (mut object, mut proof) = (Object::new(), None::<Diagram>);
    for (nth, file) in args.files.iter().enumerate() {
        let input = Input::find(file, format(args.reading.format));
        let checked =
            input.and_then(|input| verify::check(&input, options(&args.reading), limits(&args.reading)));
        match checked {
            Ok(checked) => {
                worst = worst.max(checked.overall());
                proof = proof.or_else(|| checked.first_proof());
                if let Some(warning) = &checked.warning {
                    output::tell(format_args!("warning: {warning}"));
                }
                if args.json {
                    object.add(&checked);
                } else {
                    let gap = if nth > 0 { "\n" } else { "" };
                    output::print(format!("{gap}{}", verify::text(&checked, look)));
                }
            }
            Err(error) => {
                unreadable += 1;
                output::tell(format_args!("error: {error:#}"));
                object.add_unreadable(file.display().to_string(), format!("{error:#}"));
            }
        }
    }
    if args.json {
        output::print(object.line());
    }
    if let Some(path) = &args.svg {
        match &proof {
            Some(proof) => {
                let mut svg = OutputFile::create(Some(path))?;
                svg.write(&proof.svg())?;
                svg.finish()?;
            }
            None => {
                output::tell(format_args!("{} is not written: there is no proof to draw", path.display()));
            }
        }
    }
    Ok(exit(worst, unreadable > 0))
}

/// What is violated is violated, whatever else could not be read.
fn exit(worst: Overall, unreadable: bool) -> Exit {
    match worst {
        Overall::Violated => Exit::Refused,
        _ if unreadable => Exit::Usage,
        Overall::Undecided => Exit::Unknown,
        Overall::Linearizable => Exit::Done,
    }
}

/// The format that was said.
pub(super) fn format(format: Option<HistoryFormat>) -> Option<Format> {
    format.map(|format| match format {
        HistoryFormat::Kvlab => Format::Kvlab,
        HistoryFormat::Edn => Format::Edn,
        HistoryFormat::JepsenLog => Format::JepsenLog,
    })
}

/// How to read what is ambiguous.
pub(super) fn options(reading: &ReadingArgs) -> ImportOptions {
    ImportOptions { drop_failed_cas: reading.drop_failed_cas }
}

/// How long searches may take.
pub(super) fn limits(reading: &ReadingArgs) -> Limits {
    Limits::within(reading.timeout)
}
