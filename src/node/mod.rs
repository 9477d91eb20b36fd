//! One process: sockets, disk thread and timers around the core.
//!
//! A node has three threads. One runs its loop, which takes one input after another and hands each to the driver. The
//! driver steps the core and carries out what it says; it knows no sockets, so it can be tested without them. The second
//! thread does the disk's work, and the third, the keeper, writes hints and cleans up. Around the loop stand small tasks
//! that only carry bytes: one for each client, one for each direction to each other member.
//!
//! ```text
//!  clients ── server ──┐                      ┌── links ── members
//!  members ── peer ────┼─▶ loop: driver(core, store) ──▶ hub ─┼── answers, watchers ── clients
//!  disk thread ────────┤        │ jobs ▼                └── log
//!  keeper ─────────────┘        disk thread
//! ```
//!
//! Read `serve` for what a node is put together from, `running` for the loop, `driver` for the contract with the core.
//!
//! What others can make a node hold or do is bounded, each bound a constant or a setting ([`Limits`]) beside the code
//! that keeps it. The node does not know that it is being tested: faults are outside, in the links and in signals.
//! Two exceptions are explicit: quirks, and the [`NodeConditions`] of its disk and clock, which are off unless asked for.

mod bounds;
mod clock;
mod conditions;
mod conn;
mod driver;
mod error;
mod frames;
mod gate;
mod housekeeping;
mod hub;
mod local;
mod meter;
mod options;
mod outbox;
mod peer;
mod routes;
mod running;
mod scrubbing;
mod serve;
mod server;
mod strangers;
mod token;
mod watch;

pub use self::bounds::replication_bytes_max;
pub use self::conditions::NodeConditions;
pub use self::error::NodeError;
pub use self::options::{Limits, MEMBERS_MAX, NodeOptions, OptionsError};
pub use self::running::Stop;
pub use self::scrubbing::SCRUB_RATE;
pub use self::serve::serve;
pub use self::token::{TOKEN_BYTES_MAX, Token, TokenLength};
