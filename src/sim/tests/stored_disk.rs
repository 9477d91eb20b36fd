//! What the simulator hears of a value that had rotted: the oracle counts it by what had stood there.

use crate::replication::{DiskJob, LogId};
use crate::sim::disk::{SimDisk, StoredDisk};
use crate::storage::Options;
use crate::types::{Entry, Epoch, Lineage, NodeId, Op, Position, SnapshotId};

const ONE: Epoch = Epoch::new(1, NodeId(1));
const TWO: Epoch = Epoch::new(2, NodeId(2));

fn put(epoch: Epoch, seq: u64, key: &'static str) -> Entry {
    Entry { at: Position::new(epoch, seq), op: Op::Put { key: key.into(), value: vec![7; 64].into() } }
}

fn run(disk: &mut StoredDisk, job: DiskJob) {
    disk.write(vec![job]);
    disk.apply();
}

/// One entry that others have too, and two that a full resync discards; the first of the two has rotted.
fn discarded() -> (StoredDisk, [Entry; 2]) {
    let mut disk = StoredDisk::new(Options::new(NodeId(1)), 0);
    let gone = [put(ONE, 2, "b"), put(ONE, 3, "c")];
    let log = LogId(0);
    run(
        &mut disk,
        DiskJob::Append { log, entries: vec![put(ONE, 1, "a"), gone[0].clone(), gone[1].clone()] },
    );
    disk.cleanup(0); // closes the segment, and drops nothing
    assert!(disk.rot(gone[0].at, 0));
    let id = SnapshotId(1);
    run(&mut disk, DiskJob::InstallBegin { id });
    run(&mut disk, DiskJob::InstallChunk { id, entries: vec![put(ONE, 1, "a"), put(TWO, 2, "d")] });
    let lineage = Lineage::from_spans(vec![(ONE, 1), (TWO, 2)]).unwrap();
    let (at, fork) = (Position::new(TWO, 2), Position::new(ONE, 1));
    run(&mut disk, DiskJob::InstallCommit { id, log: LogId(1), at, lineage, fork });
    (disk, gone)
}

#[test]
fn a_rotten_value_that_is_discarded_is_known_by_what_had_stood_there() {
    let (disk, gone) = discarded();
    assert_eq!(disk.rollbacks(), gone);
}

#[test]
fn a_wipe_forgets_no_rollback() {
    let (mut disk, gone) = discarded();
    disk.wipe();
    assert_eq!(disk.rollbacks(), gone);
}
