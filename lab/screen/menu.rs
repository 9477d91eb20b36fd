//! The menu of conditions: what its keys set, and take back. Pure: it says which actions.
//!
//! A condition that is on is taken back by the key that sets it. What a link does to its load adds up: one that is slow
//! can lose some of it as well.

use std::time::Duration;

use kvlab::types::{CLOCK_PERMILLE_TRUE, ClockCondition, DiskCondition, NodeId};

use super::keys::KeyCommand;
use super::state::ViewState;
use crate::action::{Action, SlowLink};
use crate::run::event::LinkState;

/// A link is delayed by this.
pub const SLOW_DELAY: Duration = Duration::from_millis(80);
/// And by up to this much more.
pub const SLOW_JITTER: Duration = Duration::from_millis(10);
/// Of a thousand frames, a link loses so many, or delivers so many twice.
pub const SHARE_PERMILLE: u16 = 50;
/// Each write and each sync of a slow disk takes longer by this.
pub const DISK_SLOW_BY: Duration = Duration::from_millis(50);
/// The rates of a clock that is fast and of one that is slow, in thousandths of the true one.
pub const CLOCK_FAST: u16 = 1500;
/// See [`CLOCK_FAST`].
pub const CLOCK_SLOW: u16 = 500;
/// A clock jumps by this.
pub const CLOCK_JUMP: Duration = Duration::from_secs(10);

/// Whose conditions the menu is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// Of the selected member.
    Node,
    /// Of the links between the selected member and this one, both ways.
    Link(NodeId),
}

/// What a key of a member's menu does.
pub fn node_actions(command: KeyCommand, node: NodeId, view: &ViewState) -> Vec<Action> {
    let disk = |condition| vec![Action::Disk { node, condition }];
    let clock = |condition| vec![Action::Clock { node, condition }];
    let on = node_is_on(command, node, view);
    match command {
        KeyCommand::DiskFull | KeyCommand::DiskSlow | KeyCommand::DiskSyncFails if on => {
            disk(DiskCondition::Ok)
        }
        KeyCommand::DiskFull => disk(DiskCondition::Full),
        KeyCommand::DiskSlow => disk(DiskCondition::Slow { by: DISK_SLOW_BY }),
        KeyCommand::DiskSyncFails => disk(DiskCondition::SyncFails),
        KeyCommand::ClockFast | KeyCommand::ClockSlow if on => clock(ClockCondition::Ok),
        KeyCommand::ClockFast => clock(ClockCondition::Rate { permille: CLOCK_FAST }),
        KeyCommand::ClockSlow => clock(ClockCondition::Rate { permille: CLOCK_SLOW }),
        KeyCommand::ClockJump => clock(ClockCondition::Jump { by: CLOCK_JUMP }),
        KeyCommand::PowerLoss => vec![Action::PowerLoss { node }],
        KeyCommand::TearTail => vec![Action::TearTail { node }],
        KeyCommand::NodeOk => [disk(DiskCondition::Ok), clock(ClockCondition::Ok)].concat(),
        _ => Vec::new(),
    }
}

/// Whether the condition that a key of a member's menu sets is on.
pub fn node_is_on(command: KeyCommand, node: NodeId, view: &ViewState) -> bool {
    let Some(seen) = view.nodes.get(&node) else { return false };
    match command {
        KeyCommand::DiskFull => seen.disk == DiskCondition::Full,
        KeyCommand::DiskSlow => matches!(seen.disk, DiskCondition::Slow { .. }),
        KeyCommand::DiskSyncFails => seen.disk == DiskCondition::SyncFails,
        KeyCommand::ClockFast => seen.clock > CLOCK_PERMILLE_TRUE,
        KeyCommand::ClockSlow => seen.clock < CLOCK_PERMILLE_TRUE,
        _ => false,
    }
}

/// What a key of the links' menu does, both ways.
pub fn link_actions(command: KeyCommand, (a, b): (NodeId, NodeId), view: &ViewState) -> Vec<Action> {
    let on = link_is_on(command, (a, b), view);
    let act = |(from, to): (NodeId, NodeId)| {
        let mut how = bent(from, to, view);
        match command {
            KeyCommand::LinkReset => return Some(Action::Reset { from, to }),
            KeyCommand::LinkOk => how = SlowLink::default(),
            KeyCommand::LinkSlow if on => (how.delay, how.jitter) = (Duration::ZERO, Duration::ZERO),
            KeyCommand::LinkSlow => (how.delay, how.jitter) = (SLOW_DELAY, SLOW_JITTER),
            KeyCommand::LinkLoss => how.loss = if on { 0 } else { SHARE_PERMILLE },
            KeyCommand::LinkDuplicate => how.duplicate = if on { 0 } else { SHARE_PERMILLE },
            _ => return None,
        }
        let whole = how == SlowLink::default();
        Some(if whole { Action::HealLink { from, to } } else { Action::Slow { from, to, how } })
    };
    [(a, b), (b, a)].into_iter().filter_map(act).collect()
}

/// Whether what a key of the links' menu sets is on, one way at least.
pub fn link_is_on(command: KeyCommand, (a, b): (NodeId, NodeId), view: &ViewState) -> bool {
    [bent(a, b, view), bent(b, a, view)].iter().any(|how| match command {
        KeyCommand::LinkSlow => !how.delay.is_zero() || !how.jitter.is_zero(),
        KeyCommand::LinkLoss => how.loss > 0,
        KeyCommand::LinkDuplicate => how.duplicate > 0,
        _ => false,
    })
}

/// What a link does to its load; nothing if it is up or cut.
fn bent(from: NodeId, to: NodeId, view: &ViewState) -> SlowLink {
    match view.links.get(from, to) {
        LinkState::Slow(how) => how,
        LinkState::Up | LinkState::Cut => SlowLink::default(),
    }
}
