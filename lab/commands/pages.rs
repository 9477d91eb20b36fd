//! `kvlab completions` and `kvlab man`: what the command line is, for shells and for `man`.

use clap::CommandFactory as _;

use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::{Cli, CompletionsArgs, ManArgs};

pub fn completions(args: &CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kvlab", &mut script);
    output::print(script)?;
    Ok(Exit::Done)
}

pub fn man(args: &ManArgs) -> Result<Exit, CommandError> {
    let mut command = Cli::command();
    command.build();
    for name in &args.subcommand {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| {
            let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let there_are = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Exit::Usage.because(format!("there is no subcommand {name:?}; there are {there_are}"))
        })?;
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| Exit::Usage.because(format!("the page cannot be made: {error}")))?;
    output::print(page)?;
    Ok(Exit::Done)
}
