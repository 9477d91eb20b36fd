//! `kvlab`: the lab around the store. Entry and exit codes.

mod action;
mod cluster;
mod event;
mod journal;
mod run_dir;
mod session;

fn main() {}
