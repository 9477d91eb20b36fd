//! What replication can make a node hold at most, added up from the constants beside the code that keeps each.

use super::peer::CONTROL_BYTES_MAX;
use crate::replication::CHUNK_BYTES;

/// At most so many bytes are held for replication by a primary with `replicas` replicas, however slowly these read,
/// while no entry weighs more than `entry_bytes_max` ([`Entry::weight`](crate::types::Entry::weight)):
///
/// * the backlog, trimmed when it exceeds twice its bound, and the entry that makes it exceed that;
/// * for each replica what waits on its connection, and one frame more, in a buffer that grows by doubling;
/// * for each replica one chunk of a full resync, kept until it is acknowledged, and the buffer that it is read into.
///
/// What grows with the data (the index) and with the clients (requests under way, answers not read) has bounds of its
/// own and is not counted here.
pub fn replication_bytes_max(replicas: usize, backlog_bytes: usize, entry_bytes_max: usize) -> usize {
    let frame = CHUNK_BYTES.max(entry_bytes_max);
    let backlog = 2 * backlog_bytes + entry_bytes_max;
    let each = 2 * (CONTROL_BYTES_MAX + frame) + 2 * frame;
    backlog + replicas * each
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_the_defaults_and_small_entries_three_members_hold_less_than_64_mib() {
        let bytes = replication_bytes_max(2, 16 << 20, 64 << 10);
        assert!(bytes > 32 << 20 && bytes < 64 << 20, "{bytes}");
    }
}
