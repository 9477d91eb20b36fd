//! `kvlab`: the lab around the store. Entry and exit codes.

#![expect(
    unreachable_pub,
    reason = "nothing in a program is reachable from outside; `pub` marks what a room offers"
)]

mod action;
mod cluster;
mod event;
mod history;
mod journal;
mod record;
mod run_dir;
mod scenario;
mod screen;
mod session;
mod workload;

fn main() {}
