//! `kvlab`: the lab around the store. Entry and exit codes.

mod action;
mod event;

fn main() {}
