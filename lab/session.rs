//! One run: a cluster, its workload, the judge and the journal, behind one handle that the dashboard, the
//! scenario runner and the control socket all use.
//!
//! (Contract; the session's room fills it in.)
#![allow(clippy::todo, missing_docs, unused_variables)]

use std::time::Duration;

use kvlab::replication::{Reply, WriteLevel};

use crate::action::Action;
use crate::cluster::{Cluster, ClusterOptions};
use crate::event::{Actor, Operation, Verdict};
use crate::journal::Journal;

/// The background load.
#[derive(Clone, Debug)]
pub struct WorkloadOptions {
    /// Client tasks, spread over the nodes' zones.
    pub clients: u32,
    /// Operations a second, all clients together.
    pub rate: u32,
    /// Which families of writes run, each with its reads, on separate keys.
    pub levels: Vec<WriteLevel>,
    /// Contended keys per family, judged for linearizability (quorum) or staleness (async).
    pub registers: u32,
    /// Also a fresh key for each of some writes, read back at the end.
    pub ledger: bool,
    pub seed: u64,
    /// Whether it runs from the start.
    pub on: bool,
}

/// One run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {}

/// What an action gave.
#[derive(Clone, Debug)]
pub enum Performed {
    Done,
    Operation(Box<Operation>),
    Promotion(Reply),
}

/// What settling found.
#[derive(Clone, Debug)]
pub struct Settled {
    /// From the healing of the last link to equal members; `None`: not within the limit.
    pub converged_after: Option<Duration>,
    pub verdict: Verdict,
}

impl Session {
    /// Starts the cluster, then the workload. `history.jsonl` goes to the cluster's run directory.
    pub async fn start(
        cluster: ClusterOptions,
        workload: WorkloadOptions,
        journal: Journal,
    ) -> anyhow::Result<Self> {
        todo!()
    }
    pub fn cluster(&self) -> &Cluster {
        todo!()
    }
    pub fn journal(&self) -> &Journal {
        todo!()
    }
    /// Does it, and journals it with its error if it fails.
    pub async fn perform(&self, by: Actor, action: Action) -> anyhow::Result<Performed> {
        todo!()
    }
    pub fn verdict(&self) -> Verdict {
        todo!()
    }
    /// Heals every link, resumes and restarts every node, stops the load, waits for convergence within the
    /// limit (a primary, everyone follows it, equal last positions), reads the ledger and every register back,
    /// compares the members' states.
    pub async fn settle(&self, within: Duration) -> anyhow::Result<Settled> {
        todo!()
    }
    /// Stops the load and the nodes; everything is on disk when this returns.
    pub async fn stop(&self) -> anyhow::Result<()> {
        todo!()
    }
}
