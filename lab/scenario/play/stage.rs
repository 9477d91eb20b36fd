//! What a scenario is played on.

use std::time::Duration;

use kvlab::types::NodeId;

use crate::action::Action;
use crate::cluster::View;
use crate::run::event::{ScenarioEvent, Verdict};
use crate::session::{Performed, Settled};

/// The runner's only contact with the world: a cluster under load, with a judge and a clock. The live one is real
/// processes on real time; a simulated one may let time jump, since the runner never waits by itself.
pub trait Stage {
    /// All members, ascending.
    fn members(&self) -> Vec<NodeId>;

    /// Time since the run began, as its events are stamped.
    fn now(&self) -> Duration;

    /// What is known of the cluster.
    fn view(&self) -> View;

    /// What the judge says.
    fn verdict(&self) -> Verdict;

    /// Tells whoever watches.
    fn tell(&mut self, event: ScenarioEvent);

    /// Returns when the view or the verdict may have changed, and at `until` at the latest.
    async fn next(&mut self, until: Duration);

    /// Does something on behalf of a step (from 1). An error: it could not be done at all.
    async fn perform(&mut self, step: usize, action: Action) -> anyhow::Result<Performed>;

    /// Heals and restarts everything, stops the load, waits for convergence, reads back and compares. It tells of
    /// that itself.
    async fn settle(&mut self, within: Duration) -> anyhow::Result<Settled>;
}
