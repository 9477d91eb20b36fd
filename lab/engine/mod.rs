//! A store under test: how its nodes are started, watched and asked. The rest of the lab knows only this.
//!
//! Another store is an [`Engine`] of its own. It says how its process is started on given ports, how it tells that it is
//! ready, and translates its own words into ours. Links, signals, supervision and the run directory stay the same.
//!
//! `engine` has the trait and what it is given, `settings` the settings that every node of a run shares, `state` what a
//! node says of itself in words that every engine has, `kvlab` the engine that is there today, `orders` what the lab tells
//! a node of that one on its standard input, `condition` those of these orders that set a fault.

mod condition;
#[expect(clippy::module_inception, reason = "the trait itself, among what belongs to it")]
mod engine;
mod kvlab;
mod orders;
mod settings;
mod state;

pub use self::engine::{DiskFault, Engine, Framing, Launch};
pub use self::kvlab::{KvlabNode, TOKEN_VARIABLE};
pub use self::orders::{NodeOrder, NotAnOrder, ORDER_BYTES_MAX};
pub use self::settings::{NodeSettings, say_durability};
pub use self::state::{HEARD_WITHIN, NodeState, Place, Term};
#[cfg(test)]
pub use self::state::{Kvlab, Peer};
