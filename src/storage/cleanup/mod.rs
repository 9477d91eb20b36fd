//! Cleanup: closed segments are written anew without what nobody needs, while writes go on.
//!
//! A cleanup goes through the closed segments in the order of the log, a *group* of neighbours at a time, as many as
//! become one segment. For each group it
//!
//! 1. reads the records in slices and asks the [`Store`](super::Store), which alone has the index, which to keep;
//! 2. writes those to a new file beside the old ones, with its hint; syncs both, renames both, syncs the directory;
//! 3. has the [`Writer`](super::Writer) swap: the log is synced and the meta file replaced by one that names the new
//!    segment instead of the old ones. *This is the instant.* A crash before it leaves the old segments, a crash after
//!    it the new one; whichever do not count are removed by the next start;
//! 4. has the store point the index to the new places, in slices; both files are readable until that is done;
//! 5. removes the old files. Streams of a full resync that have them open read on.
//!
//! # Where it runs
//!
//! On a thread of its own ([`Keeper`](super::Keeper)). Copying must not stand between two group commits, so it cannot
//! be the disk thread; the node's thread has the sockets. What those two do for it is small: a few thousand lookups, one
//! replacement of the meta file for each group. It holds one slice, one write buffer, the hint and the dropped keys of
//! one group, each with a bound, so its memory does not depend on the log. It syncs what it writes every few
//! megabytes, so that no commit's sync has to carry all of it.
//!
//! # What may go
//!
//! Only entries up to the *bound*: the seq that the node knew to be committed when the cleanup began.
//!
//! * A **no-op**. Epochs that are not in the log any more are in the meta file's lineage.
//! * A record **superseded** by a newer one of its key that is in the index, and so durable in the sense of the
//!   durability mode; the sync before the swap makes it durable in every sense.
//! * A **tombstone** that is its key's newest record: every older record of its key goes with it or has gone before,
//!   since the groups are cleaned from the beginning of the log, and a group that is left alone has nothing to drop.
//!   The meta file that swaps the group also raises the *floor*: the store answers for a key that it does not know
//!   "absent as of the floor", so that an older copy elsewhere never wins a quorum read.
//!
//! Why the bound: entries above it may yet be discarded by a full resync, and must be in `rollback/` then, overwritten
//! or not. What is committed no safe promotion discards. A *forced* one may; then `rollback/` has the last value of
//! each key and a line that says up to where cleanup had dropped others. The backlog is in memory and does not care.
//! Quorum reads ask for newest versions only, and those stay, or are covered by the floor, which is never above what
//! is committed.

//!
//! # Files
//!
//! [`plan`] chooses the groups, [`run`] goes through them, [`copy`] writes a group's new segment, [`questions`] are
//! what it asks of the store, and [`keeper`] is the thread.

mod copy;
pub(super) mod keeper;
pub(super) mod plan;
pub(super) mod questions;
pub(super) mod run;
