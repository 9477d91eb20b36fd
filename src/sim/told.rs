//! What members tell whoever watches a simulated world, as a lab of real processes is told it.

use std::time::Duration;

use super::world::World;
use crate::types::{Event, NodeId};

/// Something told of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Simulated time.
    pub at: Duration,
    /// The member.
    pub node: NodeId,
    /// What is told.
    pub what: Telling,
}

/// See [`Told`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The member's own words: a change of its state.
    Event(Event),
    /// Its process has ended.
    Stopped,
    /// Its disk was wiped, its promises with it.
    Wiped,
}

impl<T> World<T> {
    /// Keeps what members tell from now on. It grows with the world's life: a world without end is to be asked for it
    /// ([`World::take_told`]) now and then.
    pub fn listen(&mut self) {
        self.told.get_or_insert_default();
    }

    /// What was told since this was last asked.
    pub fn take_told(&mut self) -> Vec<Told> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn tell(&mut self, node: NodeId, what: Telling) {
        let at = self.now();
        if let Some(told) = &mut self.told {
            told.push(Told { at, node, what });
        }
    }
}
