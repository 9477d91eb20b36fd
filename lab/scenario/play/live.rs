//! The stage of real processes on real time: a [`Session`].

#![expect(
    clippy::disallowed_methods,
    reason = "this stage waits for the real clock; the runner does not know it"
)]

use std::time::Duration;

use anyhow::Context;
use kvlab::types::NodeId;
use tokio::sync::{broadcast, watch};

use super::stage::Stage;
use crate::action::Action;
use crate::cluster::View;
use crate::run::event::{Actor, LabEvent, ScenarioEvent, Stamped, Verdict};
use crate::session::{Performed, Session, Settled};

/// No action takes longer: the session bounds each of its own, and this bounds a mistake there.
const ACTION_WITHIN: Duration = Duration::from_secs(60);

/// A session as a stage.
#[derive(Debug)]
pub struct Live {
    session: Session,
    changes: watch::Receiver<u64>,
    events: broadcast::Receiver<Stamped>,
}

impl Live {
    /// The session is to be started already; it is not stopped at the end.
    pub fn new(session: Session) -> Self {
        let changes = session.cluster().changes();
        let events = session.journal().subscribe();
        Self { session, changes, events }
    }
}

impl Stage for Live {
    fn members(&self) -> Vec<NodeId> {
        self.session.cluster().members().to_vec()
    }

    fn now(&self) -> Duration {
        self.session.journal().now()
    }

    fn view(&self) -> View {
        self.session.cluster().view()
    }

    fn verdict(&self) -> Verdict {
        self.session.verdict()
    }

    fn tell(&mut self, event: ScenarioEvent) {
        self.session.journal().emit(LabEvent::Scenario(event));
    }

    async fn next(&mut self, until: Duration) {
        let left = until.saturating_sub(self.now());
        tokio::select! {
            () = changed(&mut self.changes) => {}
            () = judged(&mut self.events) => {}
            () = tokio::time::sleep(left) => {}
        }
    }

    async fn perform(&mut self, step: usize, action: Action) -> anyhow::Result<Performed> {
        tokio::time::timeout(ACTION_WITHIN, self.session.perform(Actor::Step(step), action))
            .await
            .with_context(|| format!("not done within {} s", ACTION_WITHIN.as_secs()))?
    }

    async fn settle(&mut self, within: Duration) -> anyhow::Result<Settled> {
        self.session.settle(within).await
    }
}

/// The view has changed. If it never will again, this never returns.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The verdict has changed, or may have: events were missed.
async fn judged(events: &mut broadcast::Receiver<Stamped>) {
    loop {
        match events.recv().await {
            Ok(Stamped { event: LabEvent::Verdict(_), .. }) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
