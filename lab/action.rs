//! What can be done to a running lab: by a key, by a scenario's step, by the command line. One list for all.

use std::time::Duration;

use kvlab::types::{NodeId, ReadLevel, WriteLevel};
use serde::{Deserialize, Serialize};

/// One thing done to the lab. Every action is also an event, so what was done by hand can be replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Cut the directed link.
    Cut { from: NodeId, to: NodeId },
    /// Cut every link, in both directions, between members of different groups.
    Partition { groups: Vec<Vec<NodeId>> },
    /// Cut all links of a node, both ways.
    Isolate { node: NodeId },
    /// Slow the directed link down.
    Slow { from: NodeId, to: NodeId, delay: Duration, jitter: Duration },
    /// Break every connection over the directed link, once, with an error that both ends see at once.
    Reset { from: NodeId, to: NodeId },
    /// Heal the directed link.
    HealLink { from: NodeId, to: NodeId },
    /// Heal all links of a node, both ways.
    Heal { node: NodeId },
    /// Heal all links.
    HealAll,
    /// SIGSTOP.
    Pause { node: NodeId },
    /// SIGCONT.
    Resume { node: NodeId },
    /// SIGKILL.
    Kill { node: NodeId },
    /// SIGKILL if it runs, and then the power goes: its log loses what was not synced.
    PowerLoss { node: NodeId },
    /// SIGKILL if it runs, and its last write is torn: its log is cut within the last record.
    TearTail { node: NodeId },
    /// SIGKILL if it runs, and its data is replaced by an empty directory.
    Wipe { node: NodeId },
    /// SIGTERM.
    Terminate { node: NodeId },
    /// Start a stopped node again on its data.
    Restart { node: NodeId },
    /// Ask a node to become primary.
    Promote { node: NodeId, force: bool },
    /// Tell a node to turn to a primary, now.
    Follow { node: NodeId, primary: NodeId },
    /// Have a node drop from its disk what nobody needs.
    Cleanup { node: NodeId },
    /// Write a fresh value at a node (in that node's zone; redirects are followed).
    Put { node: NodeId, key: String, value: Option<String>, level: WriteLevel },
    /// Read at a node (in that node's zone).
    Get { node: NodeId, key: String, level: ReadLevel },
    /// Remove a key at a node (in that node's zone; redirects are followed).
    Del { node: NodeId, key: String, level: WriteLevel },
    /// Background load on or off.
    Load { on: bool },
    /// Background load's rate, in operations a second, all clients together.
    Rate { per_second: u32 },
}
