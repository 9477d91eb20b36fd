//! `kvlab node` (written in another room).

use std::process::ExitCode;

/// See `kvlab node --help`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NodeArgs {}

pub(crate) fn run(_args: NodeArgs) -> ExitCode {
    ExitCode::from(2)
}
