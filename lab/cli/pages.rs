//! What the commands take that print what the command line is: `completions`, `man`.

use clap::Args;
use clap_complete::Shell;

#[derive(Args, Debug)]
#[command(after_help = "bash: kvlab completions bash > ~/.local/share/bash-completion/completions/kvlab")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "To read it: kvlab man up | man -l -")]
pub struct ManArgs {
    /// The page of this subcommand, and of one below it: `up`, `runs clean`; that of the whole if none is named
    #[arg(value_name = "SUBCOMMAND")]
    pub subcommand: Vec<String>,
}
