//! Each [`Action`], done to the cluster, the workload or by a client.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use kvlab::types::{NodeId, Reply};

use super::run::{Performed, Session};
use crate::action::Action;
use crate::run::event::{Actor, LabEvent, LinkState};
use crate::run::history::Intent;
use crate::workload::{Hand, Way};

/// What a client asks, once it is known which client.
type MakeIntent = Box<dyn FnOnce(&mut Hand) -> Intent + Send>;

impl Session {
    /// Does it, and journals it with its error if it fails. An operation's outcome and the answer to an order
    /// (a promotion, say) are results, whatever they say; the journal has a refused one with its reason.
    ///
    /// # Errors
    /// If it makes no sense in this cluster, or the cluster could not do it.
    pub(crate) async fn perform(&self, by: Actor, action: Action) -> anyhow::Result<Performed> {
        let outcome = self.carry_out(by, &action).await;
        let error = match &outcome {
            Err(error) => Some(format!("{error:#}")),
            Ok(Performed::Promotion(Reply::Failed(failure)) | Performed::Follow(Reply::Failed(failure))) => {
                Some(failure.to_string())
            }
            Ok(_) => None,
        };
        self.0.journal.emit(LabEvent::Action { by, action, error });
        if let Ok(Performed::Operation(operation)) = &outcome {
            self.0.journal.emit(LabEvent::Operation(operation.as_ref().clone()));
        }
        outcome
    }

    async fn carry_out(&self, by: Actor, action: &Action) -> anyhow::Result<Performed> {
        let cluster = &self.0.cluster;
        match action {
            Action::Cut { from, to } => self.set_links(&[self.link(*from, *to)?], LinkState::Cut)?,
            Action::Reset { from, to } => {
                let (from, to) = self.link(*from, *to)?;
                cluster.reset_link(from, to)?;
            }
            Action::HealLink { from, to } => self.set_links(&[self.link(*from, *to)?], LinkState::Up)?,
            Action::Slow { from, to, delay, jitter } => {
                let state = LinkState::Slow { delay: *delay, jitter: *jitter };
                self.set_links(&[self.link(*from, *to)?], state)?;
            }
            Action::Partition { groups } => {
                self.set_links(&links_between(groups, cluster.members())?, LinkState::Cut)?;
            }
            Action::Isolate { node } => self.set_links(&self.links_of(*node)?, LinkState::Cut)?,
            Action::Heal { node } => self.set_links(&self.links_of(*node)?, LinkState::Up)?,
            Action::HealAll => self.set_links(&self.broken_links(), LinkState::Up)?,
            Action::Pause { node } => cluster.pause(self.member(*node)?).await?,
            Action::Resume { node } => cluster.resume(self.member(*node)?).await?,
            Action::Kill { node } => cluster.kill(self.member(*node)?).await?,
            Action::PowerLoss { node } => cluster.power_loss(self.member(*node)?).await?,
            Action::TearTail { node } => cluster.tear_tail(self.member(*node)?).await?,
            Action::Wipe { node } => cluster.wipe(self.member(*node)?).await?,
            Action::Terminate { node } => cluster.terminate(self.member(*node)?).await?,
            Action::Restart { node } => cluster.restart(self.member(*node)?).await?,
            Action::Promote { node, force } => {
                let reply = cluster.promote(self.member(*node)?, *force).await?;
                return Ok(Performed::Promotion(reply));
            }
            Action::Follow { node, primary } => {
                let reply = cluster.follow(self.member(*node)?, self.member(*primary)?).await?;
                return Ok(Performed::Follow(reply));
            }
            Action::Cleanup { node } => cluster.cleanup(self.member(*node)?).await?,
            Action::Put { .. } | Action::Get { .. } | Action::Del { .. } => {
                return self.operate(by, action).await;
            }
            Action::Load { on } => self.0.workload.set_on(*on)?,
            Action::Rate { per_second } => self.0.workload.set_rate(*per_second)?,
        }
        Ok(Performed::Done)
    }

    /// A client's operation, in the zone of the node.
    async fn operate(&self, by: Actor, action: &Action) -> anyhow::Result<Performed> {
        let (node, way, intent): (_, _, MakeIntent) = match action.clone() {
            Action::Put { node, key, value, level } => {
                let put = move |hand: &mut Hand| {
                    Intent::put(key, value.unwrap_or_else(|| hand.fresh_value()), level)
                };
                (node, Way::From(node), Box::new(put))
            }
            Action::Del { node, key, level } => {
                (node, Way::From(node), Box::new(move |_: &mut Hand| Intent::del(key, level)))
            }
            // A read is about what this node says, a quorum read about what it can find out.
            Action::Get { node, key, level } => {
                (node, Way::Only(node), Box::new(move |_: &mut Hand| Intent::get(key, level)))
            }
            _ => bail!("{action:?} is no operation"),
        };
        let operation = self.0.visitors.ask(by, self.member(node)?, way, intent).await;
        Ok(Performed::Operation(Box::new(operation)))
    }

    fn member(&self, node: NodeId) -> anyhow::Result<NodeId> {
        check_member(node, self.0.cluster.members())
    }

    fn link(&self, from: NodeId, to: NodeId) -> anyhow::Result<(NodeId, NodeId)> {
        ensure!(from != to, "{from} has no link to itself");
        Ok((self.member(from)?, self.member(to)?))
    }

    /// All links of a node, both ways.
    fn links_of(&self, node: NodeId) -> anyhow::Result<Vec<(NodeId, NodeId)>> {
        self.member(node)?;
        let others = self.0.cluster.members().iter().filter(|other| **other != node);
        Ok(others.flat_map(|other| [(node, *other), (*other, node)]).collect())
    }

    /// All links that are not up.
    pub(super) fn broken_links(&self) -> Vec<(NodeId, NodeId)> {
        let view = self.0.cluster.view();
        view.links.iter().filter(|(_, state)| **state != LinkState::Up).map(|(link, _)| *link).collect()
    }

    fn set_links(&self, links: &[(NodeId, NodeId)], state: LinkState) -> anyhow::Result<()> {
        for &(from, to) in links {
            self.0.cluster.set_link(from, to, state)?;
        }
        Ok(())
    }
}

fn check_member(node: NodeId, members: &[NodeId]) -> anyhow::Result<NodeId> {
    let names = || members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    ensure!(members.contains(&node), "there is no {node} in this cluster; its members are {}", names());
    Ok(node)
}

/// Every link, in both directions, between members of different groups. Members in no group keep theirs.
pub(crate) fn links_between(
    groups: &[Vec<NodeId>],
    members: &[NodeId],
) -> anyhow::Result<Vec<(NodeId, NodeId)>> {
    let mut group_of = BTreeMap::new();
    for (group, nodes) in groups.iter().enumerate() {
        for &node in nodes {
            check_member(node, members)?;
            let before = group_of.insert(node, group);
            ensure!(before.is_none_or(|before| before == group), "{node} cannot be in two groups at once");
        }
    }
    let mut links = Vec::new();
    for (from, from_group) in &group_of {
        let elsewhere = group_of.iter().filter(|(_, group)| *group != from_group);
        links.extend(elsewhere.map(|(to, _)| (*from, *to)));
    }
    ensure!(!links.is_empty(), "a partition needs two groups with members in them");
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

    #[test]
    fn a_partition_cuts_both_ways_between_groups_and_nothing_within() {
        let links = links_between(&[vec![N[0]], vec![N[1], N[2]]], &N[..3]).expect("is a partition");
        assert_eq!(links, [(N[0], N[1]), (N[0], N[2]), (N[1], N[0]), (N[2], N[0])]);
    }

    #[test]
    fn a_member_in_no_group_keeps_its_links() {
        let links = links_between(&[vec![N[0]], vec![N[1]]], &N).expect("is a partition");
        assert_eq!(links, [(N[0], N[1]), (N[1], N[0])]);
    }

    #[test]
    fn partitions_that_make_no_sense_are_refused_with_the_reason() {
        let refused =
            |groups: &[Vec<NodeId>]| links_between(groups, &N[..3]).expect_err("refused").to_string();
        assert!(refused(&[vec![N[0], N[1]], vec![N[1], N[2]]]).contains("n2 cannot be in two groups"));
        assert!(
            refused(&[vec![N[0]], vec![N[4]]])
                .contains("there is no n5 in this cluster; its members are n1, n2, n3")
        );
        assert!(refused(&[vec![N[0], N[1]]]).contains("two groups"));
        assert!(refused(&[]).contains("two groups"));
    }
}
