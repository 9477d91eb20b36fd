//! A simulated network: for each ordered pair of members a queue of messages, and whether the link is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::types::{Message, NodeId, Time};

use super::dice::Dice;

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
}

/// The messages under way and the links that are cut. Nothing is delivered by itself.
#[derive(Debug, Default)]
pub(crate) struct SimNetwork {
    queues: BTreeMap<Link, Vec<Envelope>>,
    cut: BTreeSet<Link>,
    sent: u64,
}

impl SimNetwork {
    /// Puts a message on its way. `None`: the link is cut, and the message is gone.
    pub(crate) fn send(&mut self, link: Link, message: Rc<Message>) -> Option<EnvelopeId> {
        self.sent += 1;
        if self.cut.contains(&link) {
            return None;
        }
        let id = EnvelopeId(self.sent);
        self.queues.entry(link).or_default().push(Envelope { id, message });
        Some(id)
    }

    /// Takes a message out, to be delivered or dropped.
    pub(crate) fn take(&mut self, link: Link, id: EnvelopeId) -> Option<Envelope> {
        let queue = self.queues.get_mut(&link)?;
        let place = queue.iter().position(|envelope| envelope.id == id)?;
        Some(queue.remove(place))
    }

    /// Sends a copy of a message that is under way.
    pub(crate) fn duplicate(&mut self, link: Link, id: EnvelopeId) -> Option<EnvelopeId> {
        let message = self.queues.get(&link)?.iter().find(|envelope| envelope.id == id)?.message.clone();
        self.send(link, message)
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

/// How messages fare when nobody delivers them by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// The shortest delay.
    pub delay_min: Duration,
    /// The longest delay of most messages.
    pub delay_max: Duration,
    /// Of a thousand messages, how many take up to twenty times as long.
    pub straggle: u32,
    /// Of a thousand messages, how many are lost.
    pub drop: u32,
    /// Of a thousand messages, how many arrive twice.
    pub duplicate: u32,
}

impl Weather {
    /// Fast and without loss.
    pub const CALM: Self = Self {
        delay_min: Duration::from_micros(200),
        delay_max: Duration::from_millis(1),
        straggle: 0,
        drop: 0,
        duplicate: 0,
    };

    /// Any weather.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        Self {
            delay_min: Duration::from_micros(100),
            delay_max: Duration::from_micros(dice.between(500, 60_000)),
            straggle: dice.pick(&[0, 5, 50]),
            drop: dice.pick(&[0, 0, 10, 100]),
            duplicate: dice.pick(&[0, 0, 20, 100]),
        }
    }

    /// When a message sent now arrives; `None`: never.
    pub(crate) fn arrival(&self, now: Time, dice: &mut Dice) -> Option<Time> {
        if dice.chance(self.drop) {
            return None;
        }
        let (min, max) = (self.delay_min.as_micros() as u64, self.delay_max.as_micros() as u64);
        let factor = if dice.chance(self.straggle) { dice.between(2, 20) } else { 1 };
        Some(now + Duration::from_micros(dice.between(min, max) * factor))
    }
}
