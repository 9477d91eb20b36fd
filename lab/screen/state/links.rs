//! The directed links between members, as the lab has set them.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::types::NodeId;
use serde::{Deserialize, Serialize};

use crate::run::event::LinkState;

/// Every directed link that is not simply up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(NodeId, NodeId, LinkState)>", into = "Vec<(NodeId, NodeId, LinkState)>")]
pub struct Links {
    bent: BTreeMap<(NodeId, NodeId), LinkState>,
}

impl Links {
    pub fn set(&mut self, from: NodeId, to: NodeId, state: LinkState) {
        if from == to || state == LinkState::Up {
            self.bent.remove(&(from, to));
        } else {
            self.bent.insert((from, to), state);
        }
    }

    pub fn get(&self, from: NodeId, to: NodeId) -> LinkState {
        self.bent.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Whether anything gets from one to the other.
    pub fn passes(&self, from: NodeId, to: NodeId) -> bool {
        self.get(from, to) != LinkState::Cut
    }

    /// Whether the two can talk: both ways.
    pub fn talk(&self, a: NodeId, b: NodeId) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    /// The delay of the link, if it is slow.
    pub fn delay(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        match self.get(from, to) {
            LinkState::Slow(slow) => Some(slow.delay),
            _ => None,
        }
    }

    /// How many links are cut or slow.
    pub fn bent(&self) -> usize {
        self.bent.len()
    }
}

/// A pair cannot be the name of a field: as a list it can be written down.
impl From<Links> for Vec<(NodeId, NodeId, LinkState)> {
    fn from(links: Links) -> Self {
        links.bent.into_iter().map(|((from, to), state)| (from, to, state)).collect()
    }
}

impl From<Vec<(NodeId, NodeId, LinkState)>> for Links {
    fn from(bent: Vec<(NodeId, NodeId, LinkState)>) -> Self {
        Self { bent: bent.into_iter().map(|(from, to, state)| ((from, to), state)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_cut_is_no_talk() {
        let (a, b) = (NodeId(1), NodeId(2));
        let mut links = Links::default();
        links.set(a, b, LinkState::Cut);
        assert!(!links.passes(a, b) && links.passes(b, a) && !links.talk(b, a));
        links.set(a, b, LinkState::Up);
        assert_eq!(links, Links::default());
    }
}
