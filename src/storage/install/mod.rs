//! A full resync at the storage: a [`snapshot`] leaves, an [`incoming`] state arrives, and what is discarded goes to a
//! [`rollback`] file first.

pub(super) mod incoming;
pub(super) mod rollback;
pub(super) mod snapshot;
