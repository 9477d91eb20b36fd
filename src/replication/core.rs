//! The core: one member's whole replication state.

use super::config::{Config, Recovered};
use super::io::{Effect, Input};
use super::status::Status;
use super::types::Time;

/// One member's replication state machine.
#[derive(Debug)]
pub struct Core {
    #[expect(dead_code)]
    config: Config,
}

impl Core {
    /// A member that has just started with what its disk held. The effects are carried out before any input.
    pub fn new(config: Config, recovered: Recovered, now: Time) -> (Self, Vec<Effect>) {
        let _ = (recovered, now);
        (Self { config }, Vec::new())
    }

    /// Takes one input and returns what is to be done about it, in order.
    #[must_use = "effects that are not carried out break every promise"]
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let _ = (now, input);
        todo!()
    }

    /// When the core next wants an [`Input::Tick`].
    pub fn deadline(&self) -> Time {
        todo!()
    }

    /// What a watcher sees.
    pub fn status(&self, now: Time) -> Status {
        let _ = now;
        todo!()
    }
}
