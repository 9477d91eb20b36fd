//! The quality of a simulated cluster's network and disks.

use std::time::Duration;

use crate::types::Time;

use super::dice::Dice;

/// How good the network and the disks of a world are.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// How messages fare on their way.
    pub network: NetworkQuality,
    /// The slowest sync. One in some hundred takes up to twenty times as long.
    pub disk_max: Duration,
    /// Messages of one link keep their order and come once, as on one connection.
    pub ordered: bool,
    /// The longest way of a client's request or answer.
    pub client_delay_max: Duration,
}

impl Environment {
    /// A quiet local network and good disks.
    pub const CALM: Self = Self {
        network: NetworkQuality::CALM,
        disk_max: Duration::from_millis(2),
        ordered: true,
        client_delay_max: Duration::from_millis(1),
    };
}

/// How messages fare on one link, beside what the network does to all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkQuality {
    /// Added to the way of every message.
    pub delay: Duration,
    /// At random, up to this much more.
    pub jitter: Duration,
    /// Of a thousand messages, how many are lost.
    pub loss: u16,
    /// Of a thousand messages between members, how many arrive twice. On an ordered link they keep their order.
    pub duplicate: u16,
}

/// How messages fare when nobody delivers them by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkQuality {
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

impl LinkQuality {
    /// Any quality of a bad link.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        Self {
            delay: Duration::from_micros(dice.between(0, 200_000)),
            jitter: Duration::from_micros(dice.between(0, 50_000)),
            loss: dice.pick(&[0, 10, 100, 300]),
            duplicate: dice.pick(&[0, 20, 300]),
        }
    }
}

impl NetworkQuality {
    /// Fast and without loss.
    pub const CALM: Self = Self {
        delay_min: Duration::from_micros(200),
        delay_max: Duration::from_millis(1),
        straggle: 0,
        drop: 0,
        duplicate: 0,
    };

    /// Any network quality.
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
