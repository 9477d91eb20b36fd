//! The durable log and the index over it. `docs/storage-format.md` describes the bytes.
//!
//! The log is the store: segments of checksummed records, an index in memory from each key to its newest record,
//! values read from the log when they are asked for. Two halves share one directory. [`Store`] lives on the node's
//! thread and answers lookups from the durable state; [`Writer`] lives on the disk thread ([`DiskThread`]) and
//! carries out [`Job`]s in batches, one sync for each. A [`Done`] comes back for every job and is applied with
//! [`Store::apply`] *before* the core hears of it, so that what the core believes durable can be looked up.
//!
//! # Files
//!
//! * [`writing`]: the disk thread. Jobs are queued, taken in batches, carried out, and answered.
//! * [`log`]: the bytes. Records in segments, the writing end, where a torn log ends.
//! * [`store`] over [`index`] and [`tally`]: where each key's newest record is, and what each segment is used for.
//!   [`store_entries`] reads the log in batches, [`cursors`] are where those ended.
//! * [`open`], [`meta`], [`recovery`]: a start reads the meta file, then the log, or the [`hints`] that stand for it.
//!   [`ending`] says how the log ends, [`mending`] puts that right, [`sweep`] removes leftovers.
//! * [`cutting`]: the end of a log that its primary does not share goes, durably.
//! * [`install`]: a full resync, read here or put in place here; what it discards goes to a file first.
//! * [`cleanup`], with the store's part in [`store_cleanup`]: what may be dropped, and why. It runs beside all this.
//! * [`damages`] are values that are not what was written, with the store's part in [`store_damage`]; [`scrub`] looks for
//!   them before they are needed, with the store's part in [`store_scrub`].
//! * [`home`], [`gate`], [`file`], [`segment_name`]: the data directory, who may write to it, its files and their names.
//! * [`disk`]: the file system, real or in memory. [`damage`]: what faults do to a dead node's data.
//!
//! # What holds
//!
//! * What was acknowledged as durable is there after the process is killed; with [`Durability::Always`], after a
//!   loss of power too. A disk that loses what it has synced breaks this, and is found out where it shows.
//! * A torn tail is cut and reported. If it had been synced, the member is durably a learner before. A value that is not
//!   the one that was written is refused when it is asked for, told with key, file and offset, and repaired from other
//!   members. Bad bytes anywhere else are an error with file and offset. There is no guess.
//! * A promise is on disk before the jobs after it and after the jobs before it.
//! * A full resync replaces the state at one instant, the renaming of the meta file, and so does a cut; entries that
//!   they discard are in `rollback/` before.
//! * A cleanup changes nothing that a lookup can see, but for dropped tombstones, whose keys are absent as of the
//!   floor. A crash at any of its steps leaves the segments as they were before a swap or as they are after it.
//! * A hint tells only of what is durable, and counts only if it is right in every byte. With hints, a start does not
//!   read values. So damage to a closed segment shows when a value of it is read, or copied, or scrubbed, and not at the
//!   start.
//! * Where there is no room, the disk thread waits for it, keeps what it was given, and says so. Reads go on. (A
//!   cleanup or a hint for which there is no room is given up instead, without a trace.)
//! * After a failed sync, or a write that failed for any other reason, nothing more is written. The next start reads
//!   what is there, and writes again what is not known to be synced.

mod cleanup;
mod cursors;
mod cutting;
mod damage;
mod damages;
mod disk;
mod ending;
mod error;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod hints;
mod home;
mod index;
mod install;
mod log;
mod mending;
mod meta;
mod open;
mod options;
mod recovery;
mod scrub;
mod segment_name;
mod store;
mod store_cleanup;
mod store_damage;
mod store_entries;
mod store_scrub;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod writing;

pub use self::cleanup::keeper::{Keeper, KeeperNews};
pub use self::cleanup::plan::{CleanupPolicy, NothingToDo};
pub use self::cleanup::questions::{CleanupAnswer, CleanupProgress, CleanupRequest};
pub use self::cleanup::run::{Cleaned, Cleanup};
pub use self::damage::{Cut, Rotten, cut_to_synced, rot_value, tear_tail};
pub use self::damages::{DAMAGES_MAX, Repair};
pub use self::disk::{
    Disk, DiskFile, DiskSwitch, Lock, LockOutcome, Loss, MemoryDisk, real_disk, with_conditions, with_quota,
};
pub use self::ending::Forgotten;
pub use self::error::StorageError;
pub use self::hints::task::HintTask;
pub use self::install::snapshot::SnapshotReader;
pub use self::log::synced::SyncedEnd;
pub use self::open::{Opened, open};
pub use self::options::{Durability, Options, SEGMENT_BYTES, SEGMENT_BYTES_MAX};
pub use self::scrub::{ScrubCursor, ScrubTask, Scrubbed};
pub use self::store::{Store, Usage};
pub use self::store_cleanup::{Served, clean_at_once};
pub use self::store_damage::SnapshotPart;
pub use self::store_scrub::{rot_value_of, scrub_at_once};
pub use self::writing::job::{Done, Job, Swap};
pub use self::writing::thread::{DiskNews, DiskThread, JOBS_WAITING_MAX};
pub use self::writing::writer::Writer;
