//! The durable log and the index over it (contract; the storage room fills it in).
//!
//! Two halves share one directory: [`Store`] lives on the node's thread and answers lookups from the durable
//! state; [`Writer`] lives on the disk thread and carries out [`Job`]s in batches (group commit). A [`Done`]
//! comes back for each job and is applied to the store with [`Store::apply`] *before* the core hears of it.

mod contract;
pub use contract::*;
