//! The durable log and the index over it. `docs/storage-format.md` describes the bytes.
//!
//! The log is the store: segments of checksummed records, an index in memory from each key to its newest record,
//! values read from the log when they are asked for. Two halves share one directory. [`Store`] lives on the node's
//! thread and answers lookups from the durable state; [`Writer`] lives on the disk thread ([`DiskThread`]) and
//! carries out [`Job`]s in batches, one sync for each. A [`Done`] comes back for every job and is applied with
//! [`Store::apply`] *before* the core hears of it, so that what the core believes durable can be looked up.
//!
//! In the order in which an entry travels: `job` → `queue` → `thread` → `writer` → `log` → `record`, `segment` →
//! `disk`; back through `store` and `index`. After a crash: `open` → `meta` → `recovery` → `tail`. A full resync
//! leaves by `snapshot` and arrives by `install` and `rollback`. What faults do to a dead node's data is in `damage`.
//!
//! # What holds
//!
//! * What was acknowledged as durable is there after the process is killed; with [`Durability::Always`], after a
//!   loss of power too. A disk that loses what it has synced breaks this, and is found out where it shows.
//! * A torn tail is cut and reported. Bad bytes anywhere else are an error with file and offset. There is no guess.
//! * A promise is on disk before the jobs after it and after the jobs before it.
//! * A full resync replaces the state at one instant, the renaming of the meta file; entries that it discards are
//!   in `rollback/` before.
//! * Where there is no room, the disk thread waits for it, keeps what it was given, and says so. Reads go on.
//! * After a failed sync, or a write that failed for any other reason, nothing more is written. The next start reads
//!   what is there.
//!
//! # What does not hold yet
//!
//! Segments are never rewritten: overwritten values and tombstones stay. Start-up reads the whole log.

mod damage;
mod disk;
mod dump;
mod error;
mod home;
mod index;
mod install;
mod job;
mod log;
mod meta;
mod open;
mod queue;
mod record;
mod recovery;
mod rollback;
mod segment;
mod snapshot;
mod store;
mod synced;
mod tail;
#[cfg(test)]
mod tests;
mod thread;
mod writer;

pub use self::damage::{Cut, cut_to_synced, tear_tail};
pub use self::disk::{Disk, DiskFile, Lock, LockOutcome, Loss, MemoryDisk, real_disk, with_quota};
pub use self::dump::dump;
pub use self::error::StorageError;
pub use self::job::{Done, Job};
pub use self::open::{Durability, Opened, Options, SEGMENT_BYTES, SEGMENT_BYTES_MAX, open};
pub use self::snapshot::SnapshotReader;
pub use self::store::Store;
pub use self::thread::{DiskNews, DiskThread, JOBS_WAITING_MAX};
pub use self::writer::{SyncedEnd, Writer};
