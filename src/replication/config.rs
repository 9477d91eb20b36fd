//! What a core is told once, at start.

use std::time::Duration;

use super::io::Promise;
use super::quorum::majority;
use crate::types::{Lineage, NodeId, Position, Quirks};

/// How often a primary says that it is there.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(100);
/// A primary not heard for this long is no longer a reason to refuse an automatic candidate.
pub const PRIMARY_ALIVE_FOR: Duration = Duration::from_millis(500);
/// A member not heard for this long is shown as unreachable in vote reports.
pub const UNREACHABLE_AFTER: Duration = Duration::from_millis(350);
/// How long one question of a campaign waits for answers, at least. It follows the slowest answer that this member has
/// had, and is doubled when a campaign ends with somebody silent.
pub const CAMPAIGN_PATIENCE_MIN: Duration = Duration::from_secs(1);
/// The longest that it waits: links with a round trip beyond this elect nobody.
pub const CAMPAIGN_PATIENCE_MAX: Duration = Duration::from_secs(16);
/// No promotion takes longer: two questions, each with the longest patience.
pub const CAMPAIGN_MAX: Duration = CAMPAIGN_PATIENCE_MAX.saturating_mul(2);
/// An epoch that is further than this above the highest seen is refused: whatever anybody says, there is always room for
/// a higher one.
pub const EPOCH_JUMP_MAX: u64 = 1 << 32;
/// At most this many requests wait in the core; more are refused as busy.
pub const REQUESTS_WAITING_MAX: usize = 16 * 1024;

/// What the core is told at start. Durations and bounds are settings of `kvlab node`.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// All members, this node among them, ascending.
    pub members: Vec<NodeId>,
    /// The member that asks for votes by itself in a cluster that has no history.
    pub first_primary: NodeId,
    /// An eventual read is refused when the last heartbeat is older than this. Default 5 s.
    pub stale_after: Duration,
    /// An eventual read is refused when the replica is more operations behind than this. Default 1000.
    pub stale_lag: u64,
    /// The backlog's bound in bytes; trimmed at twice this down to this. Default 16 MiB.
    pub backlog_bytes: usize,
    /// Bytes sent to a replica and not yet acknowledged; more wait in the backlog. Default 1 MiB.
    pub window_bytes: usize,
    /// Random, drawn anew at each start: names quorum-read rounds.
    pub incarnation: u64,
    /// Seeds the core's random choices (campaign jitter).
    pub seed: u64,
    /// The mistakes that this member makes on purpose; none unless asked for.
    pub quirks: Quirks,
}

/// What the disk held at start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The end of the log.
    pub last: Position,
    /// The log's lineage.
    pub lineage: Lineage,
    /// The last promise saved.
    pub promise: Promise,
    /// The disk was empty though this member had been part of the cluster before: it comes back as a learner. (Of a log
    /// that was torn below its mark, storage says so in the promise.)
    pub wiped: bool,
}

impl Config {
    /// Defaults for a member of a cluster whose first primary is its lowest member.
    ///
    /// # Panics
    /// If `id` is not among `members`.
    pub fn new(id: NodeId, mut members: Vec<NodeId>) -> Self {
        members.sort_unstable();
        members.dedup();
        assert!(members.contains(&id), "{id} is not a member");
        Self {
            id,
            first_primary: members[0],
            members,
            stale_after: Duration::from_secs(5),
            stale_lag: 1000,
            backlog_bytes: 16 << 20,
            window_bytes: 1 << 20,
            incarnation: 0,
            seed: 0,
            quirks: Quirks::NONE,
        }
    }

    /// A majority of the configured members, however many are connected.
    pub fn quorum(&self) -> usize {
        majority(self.members.len())
    }
}
