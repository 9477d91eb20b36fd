//! A simulated network: for each ordered pair of members a queue of messages, and whether the link is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::types::{Message, NodeId};

/// One direction between two members.
pub(crate) type Link = (NodeId, NodeId);

/// Names one message under way; grows in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvelopeId(pub(crate) u64);

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// Its name.
    pub(crate) id: EnvelopeId,
    /// What it says.
    pub(crate) message: Rc<Message>,
    /// Which start of its sender's process has sent it.
    pub(crate) start: u64,
}

/// The messages under way and the links that are cut. Nothing is delivered by itself.
#[derive(Debug, Default)]
pub(crate) struct SimNetwork {
    queues: BTreeMap<Link, Vec<Envelope>>,
    cut: BTreeSet<Link>,
    /// The newest process that has been heard on each link.
    newest: BTreeMap<Link, u64>,
    sent: u64,
}

impl SimNetwork {
    /// Puts a message on its way. `None`: the link is cut, and the message is gone.
    pub(crate) fn send(&mut self, link: Link, message: Rc<Message>, start: u64) -> Option<EnvelopeId> {
        self.sent += 1;
        if self.cut.contains(&link) {
            return None;
        }
        let id = EnvelopeId(self.sent);
        self.queues.entry(link).or_default().push(Envelope { id, message, start });
        Some(id)
    }

    /// Takes a message out, to be delivered or dropped.
    pub(crate) fn take(&mut self, link: Link, id: EnvelopeId) -> Option<Envelope> {
        let queue = self.queues.get_mut(&link)?;
        let place = queue.iter().position(|envelope| envelope.id == id)?;
        Some(queue.remove(place))
    }

    /// Whether a message that arrives is heard: not if a newer process of its sender has been, as a newer connection
    /// ends the one before.
    pub(crate) fn is_heard(&mut self, link: Link, envelope: &Envelope) -> bool {
        let newest = self.newest.entry(link).or_default();
        *newest = envelope.start.max(*newest);
        envelope.start == *newest
    }

    /// Sends a copy of a message that is under way.
    pub(crate) fn duplicate(&mut self, link: Link, id: EnvelopeId) -> Option<EnvelopeId> {
        let envelope = self.queues.get(&link)?.iter().find(|envelope| envelope.id == id)?.clone();
        self.send(link, envelope.message, envelope.start)
    }

    /// What is under way on a link, oldest first.
    #[cfg(test)]
    pub(crate) fn queue(&self, link: Link) -> &[Envelope] {
        self.queues.get(&link).map_or(&[], Vec::as_slice)
    }

    /// Every message under way, oldest first.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> Vec<(Link, EnvelopeId)> {
        let mut all: Vec<_> =
            self.queues.iter().flat_map(|(link, queue)| queue.iter().map(|e| (*link, e.id))).collect();
        all.sort_by_key(|&(_, id)| id);
        all
    }

    /// Whether a link is cut.
    pub(crate) fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    /// Cuts a link. What is under way stays so: whoever delivers decides whether it had got through before.
    pub(crate) fn cut(&mut self, link: Link) {
        self.cut.insert(link);
    }

    /// Heals a link.
    pub(crate) fn heal(&mut self, link: Link) {
        self.cut.remove(&link);
    }

    /// Heals every link.
    pub(crate) fn heal_all(&mut self) {
        self.cut.clear();
    }

    /// Drops everything that is under way on a link.
    pub(crate) fn clear(&mut self, link: Link) -> usize {
        self.queues.remove(&link).map_or(0, |queue| queue.len())
    }
}
