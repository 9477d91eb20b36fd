//! `kvlab node` from outside: real processes, real sockets, real disk, and a client that is nothing but frames.

mod cleanup;
mod cluster;
mod conditions;
mod damage;
mod disk;
mod failover;
mod flood;
mod input;
mod kill;
mod life;
mod line;
mod orphans;
mod resync;
mod setup;
mod speak;
mod stopping;
mod support;
