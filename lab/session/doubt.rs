//! When what was found may be gone, and where to ask for it. Pure.
//!
//! An acknowledged write that was found once is not safe for ever: a member that makes itself primary by force may not
//! have it. So everything is asked for again when somebody opens an epoch, when a member says that it has discarded
//! entries, and when the cluster is whole again. What the members say decides nothing: it only says when to ask.

use std::time::Duration;

use kvlab::types::{Event, NodeId, Report, Role};

use super::recovery::is_whole;
use crate::cluster::View;
use crate::engine::{NodeState, Term};
use crate::run::event::{LabEvent, ProcessState, quorum};

/// A status that is older says nothing of who leads now.
const FRESH: Duration = Duration::from_secs(1);

/// Watches for changes after which everything must be asked for again.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    led: Option<Term>,
    broken: bool,
}

impl Doubt {
    /// Whether this event is such a change.
    pub(crate) fn is_raised_by(event: &LabEvent) -> bool {
        match event {
            LabEvent::Node { report: Report::Event { event, .. }, .. } => match event {
                Event::EpochOpened { .. } => true,
                Event::LogCut { discarded, .. } | Event::FullResyncInstalled { discarded, .. } => {
                    *discarded > 0
                }
                _ => false,
            },
            LabEvent::Damage { .. } => true,
            _ => false,
        }
    }

    /// Whether there was such a change since the last look: another term is led, or the cluster is whole again.
    pub(crate) fn look(&mut self, view: &View) -> bool {
        let whole = is_whole(view);
        let healed = whole && std::mem::replace(&mut self.broken, !whole);
        self.broken = !whole;
        let led = alive(view).filter(|state| state.role == Role::Primary).map(|state| &state.term).max();
        let news = led.filter(|led| self.led.as_ref().is_none_or(|before| *led > before));
        let promoted = news.is_some() && self.led.is_some();
        if let Some(led) = news {
            self.led = Some(led.clone());
        }
        healed || promoted
    }
}

/// Whom to ask for what was acknowledged, so that what it does not find is lost: the only member that calls itself primary,
/// while a quorum is with it. Whatever it holds, it finds. While two lead, or a primary is cut off, what is not found may
/// still come back: then nobody is asked.
pub(crate) fn whom_to_ask(view: &View, now: Duration) -> Option<NodeId> {
    let mut primaries = alive(view).filter(|state| state.role == Role::Primary);
    let primary = primaries.next()?;
    let heard = 1 + primary.peers.iter().filter(|peer| peer.is_heard()).count();
    let (at, _) = view.statuses.get(&primary.node)?;
    let fresh = now.saturating_sub(*at) <= FRESH;
    let runs = matches!(view.processes.get(&primary.node), Some(ProcessState::Running { .. }));
    let sole = primaries.next().is_none() && fresh && runs && heard >= quorum(view.processes.len());
    sole.then_some(primary.node)
}

/// The last words of every member whose process is there, be it stopped in its tracks.
fn alive(view: &View) -> impl Iterator<Item = &NodeState> {
    let there = |node: &NodeId| {
        let process = view.processes.get(node);
        matches!(process, Some(ProcessState::Running { .. } | ProcessState::Paused { .. }))
    };
    view.statuses.iter().filter(move |(node, _)| there(node)).map(|(_, (_, state))| state)
}

#[cfg(test)]
#[path = "tests/doubt.rs"]
mod tests;
