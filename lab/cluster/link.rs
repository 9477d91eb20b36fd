//! A directed link: what becomes of the bytes that one zone sends to another.
//!
//! A link is a small value that every connection over it looks at all the time, so that a change applies to
//! live connections at once. It knows nothing of sockets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvlab::types::NodeId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use crate::run::event::LinkState;

/// One directed link. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setting: watch::Sender<Setting>,
    /// Draws jitter: the same seed and the same frames give the same delays.
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
            LinkState::Slow { delay, jitter } if jitter.is_zero() => delay,
            LinkState::Slow { delay, jitter } => {
                let mut rng = self.0.rng.lock().unwrap_or_else(PoisonError::into_inner);
                delay + jitter.mul_f64(rng.random_range(0.0..=1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: LinkState =
        LinkState::Slow { delay: Duration::from_millis(20), jitter: Duration::from_millis(10) };

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
    fn a_cut_healed_unseen_still_counts() {
        let link = Link::new(0, NodeId(1), NodeId(2));
        let watch = link.watch();
        assert!(!link.set(LinkState::Up), "it is up already");
        assert!(link.set(LinkState::Cut) && !link.set(LinkState::Cut));
        assert!(link.set(LinkState::Up));
        assert_eq!(*watch.borrow(), Setting { state: LinkState::Up, cuts: 1, resets: 0 });
    }
}
