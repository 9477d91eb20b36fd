//! Each [`Action`], done to the cluster, to the workload or by a client.

use kvlab::judge::OpKind;
use kvlab::types::{NodeCondition, Reply};

use super::run::Session;
use crate::action::Action;
use crate::run::event::{Actor, LabEvent, LinkState, Operation};
use crate::workload::request;

/// What an action gave. A refusal is not an error of the lab.
#[derive(Clone, Debug)]
pub(crate) enum Performed {
    /// It is done.
    Done,
    /// How the operation ended.
    Operation(Box<Operation>),
    /// What the node said to the promotion.
    Promotion(Reply),
    /// What the node said to the order to follow somebody.
    Follow(Reply),
}

/// Why an action was not done, for the journal: it could not be, or a node refused.
pub(crate) fn why_not_done(performed: &anyhow::Result<Performed>) -> Option<String> {
    match performed {
        Err(error) => Some(format!("{error:#}")),
        Ok(Performed::Promotion(Reply::Failed(failure)) | Performed::Follow(Reply::Failed(failure))) => {
            Some(failure.to_string())
        }
        Ok(_) => None,
    }
}

impl Session {
    /// Does it, and journals it with its error if it fails. An operation's outcome and the answer to an order
    /// (a promotion, say) are results, whatever they say; the journal has a refused one with its reason.
    ///
    /// # Errors
    /// If it makes no sense in this cluster, or the cluster could not do it.
    pub(crate) async fn perform(&self, by: Actor, action: Action) -> anyhow::Result<Performed> {
        let performed = self.carry_out(by, &action).await;
        self.0.journal.emit(LabEvent::Action { by, action, error: why_not_done(&performed) });
        if let Ok(Performed::Operation(operation)) = &performed {
            if by == Actor::Person && operation.op != OpKind::Get {
                self.written_by_hand(&operation.key);
            }
            self.0.journal.emit(LabEvent::Operation(operation.as_ref().clone()));
        }
        performed
    }

    async fn carry_out(&self, by: Actor, action: &Action) -> anyhow::Result<Performed> {
        let mut performed = Performed::Done;
        for primitive in action.primitives(self.0.cluster.members())? {
            performed = self.carry_out_primitive(by, &primitive).await?;
        }
        Ok(performed)
    }

    async fn carry_out_primitive(&self, by: Actor, action: &Action) -> anyhow::Result<Performed> {
        let cluster = &self.0.cluster;
        match *action {
            Action::Cut { from, to } => cluster.set_link(from, to, LinkState::Cut)?,
            Action::HealLink { from, to } => cluster.set_link(from, to, LinkState::Up)?,
            Action::Slow { from, to, how } => cluster.set_link(from, to, LinkState::Slow(how))?,
            Action::Reset { from, to } => cluster.reset_link(from, to)?,
            Action::Pause { node } => cluster.pause(node).await?,
            Action::Resume { node } => cluster.resume(node).await?,
            Action::Kill { node } => cluster.kill(node).await?,
            Action::PowerLoss { node } => cluster.power_loss(node).await?,
            Action::TearTail { node } => cluster.tear_tail(node).await?,
            Action::Wipe { node } => cluster.wipe(node).await?,
            Action::Terminate { node } => cluster.terminate(node).await?,
            Action::Restart { node } => cluster.restart(node).await?,
            Action::Promote { node, force } => {
                return Ok(Performed::Promotion(cluster.promote(node, force).await?));
            }
            Action::Follow { node, primary } => {
                return Ok(Performed::Follow(cluster.follow(node, primary).await?));
            }
            Action::Disk { node, condition } => {
                cluster.set_condition(node, NodeCondition::Disk(condition)).await?;
            }
            Action::Clock { node, condition } => {
                cluster.set_condition(node, NodeCondition::Clock(condition)).await?;
            }
            Action::Cleanup { node } => cluster.cleanup(node).await?,
            Action::Load { on } => self.0.workload.set_on(on)?,
            Action::Rate { per_second } => self.0.workload.set_rate(per_second)?,
            Action::Put { .. } | Action::Get { .. } | Action::Del { .. } => {
                let (way, intent) = request(action).expect("an operation");
                let operation = self.0.pool.ask(by, way, intent).await;
                return Ok(Performed::Operation(Box::new(operation)));
            }
            Action::Partition { .. } | Action::Isolate { .. } | Action::Heal { .. } | Action::HealAll => {
                unreachable!("{action:?} is not primitive")
            }
        }
        Ok(Performed::Done)
    }
}
