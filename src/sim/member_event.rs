//! What happens to the members of a simulated cluster, as a lab of real processes would see it.

use std::time::Duration;

use crate::types::{Event, NodeId};

/// Something that happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// Simulated time.
    pub at: Duration,
    /// The member.
    pub node: NodeId,
    /// What happened.
    pub kind: MemberEventKind,
}

/// See [`MemberEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEventKind {
    /// It reported a change of its state.
    Event(Event),
    /// Its process has ended.
    Stopped,
    /// Its process has ended by itself: a sync has failed.
    DiskFailed,
    /// Its disk was wiped, its promises with it.
    Wiped,
}
