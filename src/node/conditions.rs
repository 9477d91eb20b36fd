//! The conditions that a lab sets on a running node: the one fault that sits inside it.

use super::clock::{Clock, ClockSwitch};
use crate::storage::DiskSwitch;
use crate::types::{DiskCondition, NodeCondition, Time};

/// Where the conditions of one node's disk and clock are set, at any time and from any thread. Clones share them. A node
/// has them only if its [options](super::NodeOptions::conditions) do.
#[derive(Clone, Debug)]
pub struct NodeConditions {
    disk: DiskSwitch,
    clock: ClockSwitch,
}

impl NodeConditions {
    /// All is as it should be. The node's clock begins now.
    #[expect(clippy::new_without_default, reason = "it looks at a clock")]
    pub fn new() -> Self {
        Self { disk: DiskSwitch::default(), clock: ClockSwitch::start() }
    }

    /// Sets a condition: of the disk in the place of the one that stood; of the clock from now on.
    pub fn set(&self, condition: NodeCondition) {
        match condition {
            NodeCondition::Disk(disk) => self.disk.set(disk),
            NodeCondition::Clock(clock) => self.clock.set(clock),
        }
    }

    /// The condition of the disk now.
    pub fn disk_condition(&self) -> DiskCondition {
        self.disk.get()
    }

    /// What the node's clock shows now: time since it was made, unless a condition was set.
    pub fn clock_shows(&self) -> Time {
        self.clock().now()
    }

    /// The disk's.
    pub(super) fn disk(&self) -> DiskSwitch {
        self.disk.clone()
    }

    /// The node's clock.
    pub(super) fn clock(&self) -> Clock {
        Clock::obeying(&self.clock)
    }

    /// The clock's, to be told of.
    pub(super) fn clock_switch(&self) -> &ClockSwitch {
        &self.clock
    }
}
