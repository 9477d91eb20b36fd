//! `kvlab export`: writes a history for another checker.

use kvlab::judge::export::Target;
use kvlab::judge::import::ImportOptions;

use super::check::{format, model};
use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::{ExportArgs, ExportFormat};
use crate::verify::{self, Export, HistorySource};

pub fn run(args: &ExportArgs) -> Result<Exit, CommandError> {
    let source = HistorySource::find(&args.run, format(args.format))?.rereadable()?;
    let target = match args.history {
        ExportFormat::Edn => Target::Edn,
        ExportFormat::Elle => Target::Elle,
        ExportFormat::Porcupine => Target::Porcupine,
        ExportFormat::Jsonl => Target::Kvlab,
    };
    let export = Export { target, key: args.key.as_deref(), all: args.all, out: args.out.as_deref() };
    let options = ImportOptions { model: args.model.map(model), ..ImportOptions::default() };
    let left_out = verify::export(&source, options, export)?;
    if left_out > 0 {
        output::tell(format_args!(
            "{left_out} events of async writes, of eventual reads and of keys with async writes are left out; --all \
             takes them in"
        ));
    }
    Ok(Exit::Done)
}
