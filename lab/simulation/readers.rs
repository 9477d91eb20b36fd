//! Who reads the ledger of a simulated cluster back.

use std::time::Duration;

use crate::workload::ledger::ReadingBack;

/// Clients that read back at once.
pub(super) const READERS: usize = 8;
/// Whether something is due is looked at this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The readers, each a guest with what it reads.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    pub(super) readers: Vec<(usize, Option<ReadingBack>)>,
    /// While it settles, nothing else is read.
    pub(super) settling: bool,
}
