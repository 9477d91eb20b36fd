//! A directed link: what becomes of the bytes that one zone sends to another.
//!
//! A link is a small value that every connection over it looks at all the time, so that a change applies to
//! live connections at once. It knows nothing of sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::types::NodeId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use crate::action::SlowLink;
use crate::run::event::LinkState;

/// One directed link. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setting: watch::Sender<Setting>,
    /// Draws jitter, loss and repetition: the same seed and the same frames give the same delays.
    rng: Mutex<SmallRng>,
}

/// What a connection sees of its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Setting {
    /// What the link does.
    pub(super) state: LinkState,
    /// How often it has been cut: tells a connection of a cut that was healed before it could look.
    pub(super) cuts: u64,
    /// How often its connections have been reset.
    pub(super) resets: u64,
}

impl Link {
    /// The link from one member to another, up.
    pub(super) fn new(seed: u64, from: NodeId, to: NodeId) -> Self {
        let pair = (u64::from(from.0) << 8) | u64::from(to.0);
        // Any fixed mixing does: links must differ from each other and be the same in the next run.
        let seed = seed ^ pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rng = Mutex::new(SmallRng::seed_from_u64(seed));
        Self(Arc::new(Inner { setting: watch::Sender::new(Setting::default()), rng }))
    }

    /// Changes what the link does, for live connections as well. Returns whether that is a change.
    pub(super) fn set(&self, state: LinkState) -> bool {
        self.0.setting.send_if_modified(|setting| {
            let changed = setting.state != state;
            if changed && state == LinkState::Cut {
                setting.cuts += 1;
            }
            setting.state = state;
            changed
        })
    }

    /// Breaks every connection over the link, once, with an error that both ends see at once.
    pub(super) fn reset(&self) {
        self.0.setting.send_modify(|setting| setting.resets += 1);
    }

    /// The link as it is, and every change of it.
    pub(super) fn watch(&self) -> watch::Receiver<Setting> {
        self.0.setting.subscribe()
    }

    /// How long the next frame takes: `delay` up to `delay + jitter`, drawn anew for each.
    pub(super) fn draw(&self, state: LinkState) -> Duration {
        match state {
            LinkState::Up | LinkState::Cut => Duration::ZERO,
            LinkState::Slow(SlowLink { delay, jitter, .. }) if jitter.is_zero() => delay,
            LinkState::Slow(SlowLink { delay, jitter, .. }) => {
                delay + jitter.mul_f64(self.rng().random_range(0.0..=1.0))
            }
        }
    }

    /// Whether the next frame is lost.
    pub(super) fn loses(&self, state: LinkState) -> bool {
        matches!(state, LinkState::Slow(SlowLink { loss, .. }) if self.happens(loss))
    }

    /// Whether the next frame arrives twice.
    pub(super) fn repeats(&self, state: LinkState) -> bool {
        matches!(state, LinkState::Slow(SlowLink { duplicate, .. }) if self.happens(duplicate))
    }

    /// In so many of a thousand cases. Draws nothing when the answer is certain.
    fn happens(&self, permille: u16) -> bool {
        permille > 0 && self.rng().random_range(0..1000) < permille
    }

    fn rng(&self) -> MutexGuard<'_, SmallRng> {
        self.0.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: LinkState = LinkState::Slow(SlowLink {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(10),
        loss: 100,
        duplicate: 50,
    });

    fn draws(link: &Link) -> Vec<Duration> {
        (0..100).map(|_| link.draw(SLOW)).collect()
    }

    #[test]
    fn jitter_is_seeded_bounded_and_the_links_own() {
        let (n1, n2) = (NodeId(1), NodeId(2));
        let delays = draws(&Link::new(7, n1, n2));
        let range = Duration::from_millis(20)..=Duration::from_millis(30);
        assert!(delays.iter().all(|delay| range.contains(delay)));
        assert_eq!(delays, draws(&Link::new(7, n1, n2)));
        assert_ne!(delays, draws(&Link::new(8, n1, n2)));
        assert_ne!(delays, draws(&Link::new(7, n2, n1)));
    }

    #[test]
    fn loss_and_repetition_are_seeded_and_as_often_as_said() {
        let count = |of: fn(&Link, LinkState) -> bool, state: LinkState| {
            let link = Link::new(7, NodeId(1), NodeId(2));
            (0..10_000).filter(|_| of(&link, state)).count()
        };
        assert!((900..1100).contains(&count(Link::loses, SLOW)));
        assert!((400..600).contains(&count(Link::repeats, SLOW)));
        assert_eq!(count(Link::loses, SLOW), count(Link::loses, SLOW));
        assert_eq!(count(Link::loses, LinkState::Up) + count(Link::repeats, LinkState::Cut), 0);
    }

    #[test]
    fn a_cut_healed_unseen_still_counts() {
        let link = Link::new(0, NodeId(1), NodeId(2));
        let watch = link.watch();
        assert!(!link.set(LinkState::Up), "it is up already");
        assert!(link.set(LinkState::Cut) && !link.set(LinkState::Cut));
        assert!(link.set(LinkState::Up));
        assert_eq!(*watch.borrow(), Setting { state: LinkState::Up, cuts: 1, resets: 0 });
    }
}
