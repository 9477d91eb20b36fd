//! The journal: stamps every event of the lab, writes `events.jsonl`, and hands each to whoever subscribes.
//!
//! (Contract; the cluster's room fills it in.)
#![allow(clippy::todo, missing_docs, unused_variables)]

use std::path::Path;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::event::{LabEvent, Stamped};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {}

impl Journal {
    /// Starts the run's clock and creates `events.jsonl` in `dir` (`None`: nothing is written).
    pub fn start(dir: Option<&Path>) -> anyhow::Result<Self> {
        todo!()
    }
    /// Time since the run began.
    pub fn now(&self) -> Duration {
        todo!()
    }
    pub fn emit(&self, event: LabEvent) {
        todo!()
    }
    pub fn subscribe(&self) -> broadcast::Receiver<Stamped> {
        todo!()
    }
    /// Everything emitted so far is in the file when this returns.
    pub async fn flush(&self) -> anyhow::Result<()> {
        todo!()
    }
}
