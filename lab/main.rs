//! `kvlab`: the lab around the store. Entry and exit codes.
//!
//! Where to read on: [`cli`] is what can be typed, [`commands`] does it. A live run is a [`session`]: a [`cluster`] under a
//! [`workload`], with a judge. It writes its events to the files of a [`run`]; [`scenario`]s act on it.

#![expect(
    unreachable_pub,
    reason = "nothing in a program is reachable from outside; `pub` marks what a room offers"
)]

mod action;
mod cli;
mod cluster;
mod commands;
mod engine;
mod explain;
mod record;
mod report;
mod run;
mod scenario;
mod screen;
mod session;
mod simulation;
mod text;
mod verify;
mod workload;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => commands::dispatch(cli.command),
        Err(what) => commands::say(&what),
    }
}
