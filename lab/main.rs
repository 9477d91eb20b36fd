//! `kvlab`: the lab around the store. Entry and exit codes.

mod action;
mod cluster;
mod event;
mod journal;
mod record;
mod screen;
mod session;

fn main() {}
