//! The disk as storage needs it: files with positioned reads and writes, directories, and syncs of both.
//!
//! [`real_disk`] is the file system; [`MemoryDisk`] lives in memory, loses on [`MemoryDisk::crash`] what was not
//! synced, and fails when told to. Both keep the same contract, which is POSIX's and no more: a write is durable
//! after a sync of its file, a name after a sync of its directory. Three stand in front of another disk (`layer.rs`): one
//! bounds the bytes of a directory ([`with_quota`]), one waits where there is no room (`patient.rs`), and one has the
//! faults that a lab sets ([`with_conditions`]).

mod contract;
mod layer;
mod memory;
mod patient;
mod quota;
mod real;
mod switch;

pub use self::contract::{Disk, DiskFile, Lock, LockOutcome};
pub use self::memory::{Loss, MemoryDisk};
pub(super) use self::patient::{Room, RoomPatience, is_full, with_patience};
pub use self::quota::with_quota;
pub use self::real::real_disk;
pub use self::switch::{DiskSwitch, with_conditions};
