//! `kvlab check`: judges histories, and exits with the verdict.

use std::path::Path;

use kvlab::judge::import::{FailedCas, Format, ImportOptions};
use kvlab::judge::offline::ModelName;
use kvlab::judge::{Diagram, Linearizable};

use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::{CheckArgs, FailedCasArg, HistoryFormat, ModelArg, ReadingArgs};
use crate::run::output_file::OutputFile;
use crate::verify::{self, HistorySource, JsonVerdicts, PrintStyle, SearchLimits};

pub fn run(args: &CheckArgs) -> Result<Exit, CommandError> {
    let (style, options) = (PrintStyle::of_stdout(), options(&args.reading)?);
    let (mut worst, mut unreadable) = (Linearizable::Yes, false);
    let (mut verdicts, mut proof) = (JsonVerdicts::new(), None);
    for (nth, file) in args.files.iter().enumerate() {
        let source = HistorySource::find(file, format(args.reading.format));
        let source = source.map(|source| source.starting_with(args.reading.initial.clone()));
        let checked = source.and_then(|source| verify::check(&source, options, limits(&args.reading)));
        match checked {
            Ok(checked) => {
                worst = worst.max(checked.verdict());
                proof = proof.or_else(|| checked.first_proof());
                if let Some(warning) = &checked.warning {
                    output::tell(format_args!("warning: {warning}"));
                }
                if args.json {
                    verdicts.add(checked);
                } else {
                    let gap = if nth > 0 { "\n" } else { "" };
                    output::print(format!("{gap}{}", verify::printed(&checked, style)))?;
                }
            }
            Err(error) => {
                unreadable = true;
                output::tell(format_args!("error: {error:#}"));
                verdicts.add_unreadable(file.display().to_string(), format!("{error:#}"));
            }
        }
    }
    if args.json {
        output::print(verdicts.line())?;
    }
    if let Some(path) = &args.svg {
        draw(path, proof.as_ref())?;
    }
    // What is violated is violated, whatever else could not be read.
    Ok(match worst {
        Linearizable::No => Exit::Refused,
        _ if unreadable => Exit::Usage,
        Linearizable::Undecided => Exit::Unknown,
        Linearizable::Yes => Exit::Done,
    })
}

fn draw(path: &Path, proof: Option<&Diagram>) -> anyhow::Result<()> {
    let Some(proof) = proof else {
        output::tell(format_args!("{} is not written: there is no proof to draw", path.display()));
        return Ok(());
    };
    let mut svg = OutputFile::create(Some(path))?;
    svg.write(&proof.svg())?;
    svg.finish()
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
///
/// # Errors
/// If that is said in a way that is no more.
pub(super) fn options(reading: &ReadingArgs) -> anyhow::Result<ImportOptions> {
    anyhow::ensure!(
        !reading.drop_failed_cas,
        "--drop-failed-cas is no more: a cas that failed did not happen unless --failed-cas observed is given; leave it away"
    );
    let failed_cas = match reading.failed_cas {
        FailedCasArg::NeverRan => FailedCas::NeverRan,
        FailedCasArg::Observed => FailedCas::Observed,
    };
    Ok(ImportOptions { failed_cas, model: reading.model.map(model) })
}

/// The model that was said.
pub(super) fn model(model: ModelArg) -> ModelName {
    match model {
        ModelArg::Register => ModelName::Register,
        ModelArg::CasRegister => ModelName::CasRegister,
        ModelArg::MultiRegister => ModelName::MultiRegister,
        ModelArg::Mutex => ModelName::Mutex,
        ModelArg::Set => ModelName::Set,
        ModelArg::FifoQueue => ModelName::FifoQueue,
        ModelArg::UnorderedQueue => ModelName::UnorderedQueue,
        ModelArg::Counter => ModelName::Counter,
        ModelArg::KeyValue => ModelName::KeyValue,
    }
}

/// How long searches may take.
pub(super) fn limits(reading: &ReadingArgs) -> SearchLimits {
    SearchLimits::within(reading.timeout)
}
