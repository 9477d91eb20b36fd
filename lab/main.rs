//! `kvlab`: the lab around the store. Entry and exit codes.

mod action;
mod cluster;
mod event;
mod history;
mod journal;
mod session;
mod workload;

fn main() {}
