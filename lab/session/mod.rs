//! One live run: a cluster, its workload, the judge and the journal, behind one handle that the dashboard and the
//! scenario runner use.
//!
//! * [`Session::perform`] does one [`Action`](crate::action::Action), whoever asked for it, and journals it.
//! * A sampler journals load and verdict ten times a second.
//! * The ledger is read back all the time ([`rolling`]), and again whenever what was found may be gone ([`doubt`]).
//! * [`Session::settle`] ends an episode: it heals, resumes and restarts everything, waits until the members agree, reads
//!   everything back and compares the members. Only then is the verdict complete.

mod asking;
mod client_pool;
mod compare;
pub(crate) mod doubt;
mod perform;
mod read_back;
pub(crate) mod recovery;
mod rolling;
mod run;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use self::perform::{Performed, why_not_done};
pub(crate) use self::run::{Session, Settled};
pub(crate) use crate::workload::WorkloadOptions;
