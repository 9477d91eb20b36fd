//! Settings of the store that every node of a run has, and how they are written on a node's command line.

use std::time::Duration;

use kvlab::storage::Durability;
use kvlab::types::Quirks;

/// Settings of the store, the same for every node of a run; `None`: the node's default.
///
/// They are typed by a person or by a scenario, and reach a node as [`flags`](Self::flags).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// When a write counts as durable.
    pub durability: Option<Durability>,
    /// Eventual reads are refused when the primary has not been heard for so long.
    pub stale_after: Option<Duration>,
    /// Eventual reads are refused when the replica is more operations behind.
    pub stale_lag: Option<u64>,
    /// The bound of the backlog.
    pub backlog_bytes: Option<u64>,
    /// When a file of the log is closed.
    pub segment_bytes: Option<u64>,
    /// How much garbage there must be before a node cleans up by itself.
    pub cleanup_bytes: Option<u64>,
    /// How many bytes of closed files are looked through for damage a second; 0: none.
    pub scrub_rate: Option<u64>,
    /// The mistakes that each node makes on purpose.
    pub quirks: Quirks,
}

impl NodeSettings {
    /// The words with which `kvlab node` is told of them.
    pub fn flags(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let flags = [
            ("--stale-after", self.stale_after.map(say_millis)),
            ("--stale-lag", number(self.stale_lag)),
            ("--durability", self.durability.map(say_durability)),
            ("--backlog-bytes", number(self.backlog_bytes)),
            ("--segment-bytes", number(self.segment_bytes)),
            ("--cleanup-bytes", number(self.cleanup_bytes)),
            ("--scrub-rate", number(self.scrub_rate)),
        ];
        let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        let quirks = self.quirks.iter().map(|quirk| ["--quirk", quirk.name()].map(str::to_owned));
        given.chain(quirks).flatten().collect()
    }
}

/// A durability as it is typed: `always`, `interval=10ms` or `os`.
pub fn say_durability(durability: Durability) -> String {
    match durability {
        Durability::Always => "always".to_owned(),
        Durability::Interval(every) => format!("interval={}", say_millis(every)),
        Durability::Os => "os".to_owned(),
    }
}

/// To the microsecond, which is as exactly as a time can be typed: `250ms`, `1.5ms`.
fn say_millis(time: Duration) -> String {
    format!("{}ms", time.as_micros() as f64 / 1000.0)
}
