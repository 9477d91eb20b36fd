//! `kvlab node` from outside: real processes, real sockets, real disk, and a client that is nothing but frames.

mod cleanup;
mod cluster;
mod disk;
mod input;
mod life;
mod setup;
mod support;
