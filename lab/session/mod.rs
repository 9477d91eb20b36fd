//! One run: a cluster, its workload, the judge and the journal, behind one handle that the dashboard, the
//! scenario runner and the control socket all use.
//!
//! * [`Session::perform`] does one [`Action`](crate::action::Action), whoever asked for it, and journals it.
//! * A sampler journals load and verdict ten times a second.
//! * [`Session::settle`] ends an episode: it makes the cluster whole, waits until it has grown together, reads
//!   everything back and compares the members. Only then is the verdict whole.

mod compare;
mod perform;
mod read_back;
pub(crate) mod recovery;
mod run;
mod settle;
#[cfg(test)]
mod tests;
mod verdict;
mod visitors;

pub(crate) use self::perform::{Performed, why_not_done};
pub(crate) use self::run::{Session, Settled};
pub(crate) use self::verdict::verdict;
pub(crate) use crate::workload::WorkloadOptions;
