//! The screen from outside: any events, any size, any key, and a real terminal.

pub(crate) mod fixture;
mod frames;
mod input;
mod proofs;
mod pty;
mod reducer;
mod strategies;
