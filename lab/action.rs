//! What can be done to a running lab: by a key, by a scenario's step, by the command line. One list for all.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use kvlab::types::{ClockCondition, DiskCondition, NodeId, ReadLevel, WriteLevel};
use serde::{Deserialize, Serialize};

/// A directed link, as `(from, to)`.
pub type Link = (NodeId, NodeId);

/// What a slow link does to what it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowLink {
    /// Added to the way of everything.
    pub delay: Duration,
    /// At random, up to this much more.
    pub jitter: Duration,
    /// Of a thousand frames, how many are lost; where frames are not known, what TCP makes of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub loss: u16,
    /// Of a thousand frames between members, how many arrive twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicate: u16,
}

impl SlowLink {
    /// Only slow.
    pub fn by(delay: Duration, jitter: Duration) -> Self {
        Self { delay, jitter, ..Self::default() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(permille: &u16) -> bool {
    *permille == 0
}

/// One thing done to the lab. Every action is also an event, so what was done by hand can be replayed.
///
/// Four are composite: [`Partition`](Self::Partition), [`Isolate`](Self::Isolate), [`Heal`](Self::Heal) and
/// [`HealAll`](Self::HealAll) mean several links. Whoever carries actions out carries out their
/// [`primitives`](Self::primitives).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Cut the directed link.
    Cut { from: NodeId, to: NodeId },
    /// Cut every link, in both directions, between members of different groups.
    Partition { groups: Vec<Vec<NodeId>> },
    /// Cut all links of a node, both ways.
    Isolate { node: NodeId },
    /// Slow the directed link down, and maybe have it lose or repeat some of what it carries.
    Slow {
        from: NodeId,
        to: NodeId,
        #[serde(flatten)]
        how: SlowLink,
    },
    /// Break every connection over the directed link, once, with an error that both ends see at once.
    Reset { from: NodeId, to: NodeId },
    /// Heal the directed link.
    HealLink { from: NodeId, to: NodeId },
    /// Heal all links of a node, both ways.
    Heal { node: NodeId },
    /// Heal all links.
    HealAll,
    /// SIGSTOP.
    Pause { node: NodeId },
    /// SIGCONT.
    Resume { node: NodeId },
    /// SIGKILL.
    Kill { node: NodeId },
    /// SIGKILL if it runs, and then the power goes: its log loses what was not synced.
    PowerLoss { node: NodeId },
    /// SIGKILL if it runs, and its last write is torn: its log is cut within the last record.
    TearTail { node: NodeId },
    /// SIGKILL if it runs, and its data is replaced by an empty directory.
    Wipe { node: NodeId },
    /// SIGTERM.
    Terminate { node: NodeId },
    /// Start a stopped node again on its data.
    Restart { node: NodeId },
    /// Set the condition of a node's disk.
    Disk { node: NodeId, condition: DiskCondition },
    /// Set the condition of a node's clock.
    Clock { node: NodeId, condition: ClockCondition },
    /// Ask a node to become primary.
    Promote { node: NodeId, force: bool },
    /// Tell a node to turn to a primary, now.
    Follow { node: NodeId, primary: NodeId },
    /// Have a node drop from its disk what nobody needs.
    Cleanup { node: NodeId },
    /// Write a fresh value at a node (in that node's zone; redirects are followed).
    Put { node: NodeId, key: String, value: Option<String>, level: WriteLevel },
    /// Read at a node (in that node's zone).
    Get { node: NodeId, key: String, level: ReadLevel },
    /// Remove a key at a node (in that node's zone; redirects are followed).
    Del { node: NodeId, key: String, level: WriteLevel },
    /// Background load on or off.
    Load { on: bool },
    /// Background load's rate, in operations a second, all clients together.
    Rate { per_second: u32 },
}

impl Action {
    /// The same in primitive actions, in order: a composite action link by link, any other as it is.
    ///
    /// # Errors
    /// If it makes no sense among these members.
    pub fn primitives(&self, members: &[NodeId]) -> anyhow::Result<Vec<Self>> {
        for node in self.nodes() {
            let names = || members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            ensure!(
                members.contains(&node),
                "there is no {node} in this cluster; its members are {}",
                names()
            );
        }
        let cut = |(from, to)| Self::Cut { from, to };
        let heal = |(from, to)| Self::HealLink { from, to };
        Ok(match self {
            Self::Partition { groups } => links_between(groups)?.into_iter().map(cut).collect(),
            Self::Isolate { node } => links_of(*node, members).map(cut).collect(),
            Self::Heal { node } => links_of(*node, members).map(heal).collect(),
            Self::HealAll => all_links(members).map(heal).collect(),
            Self::Cut { from, to }
            | Self::Slow { from, to, .. }
            | Self::Reset { from, to }
            | Self::HealLink { from, to } => {
                ensure!(from != to, "{from} has no link to itself");
                vec![self.clone()]
            }
            _ => vec![self.clone()],
        })
    }

    /// Every node that it names.
    fn nodes(&self) -> Vec<NodeId> {
        match self {
            Self::Partition { groups } => groups.concat(),
            Self::Cut { from, to }
            | Self::Slow { from, to, .. }
            | Self::Reset { from, to }
            | Self::HealLink { from, to } => vec![*from, *to],
            Self::Follow { node, primary } => vec![*node, *primary],
            Self::HealAll | Self::Load { .. } | Self::Rate { .. } => Vec::new(),
            Self::Isolate { node }
            | Self::Heal { node }
            | Self::Pause { node }
            | Self::Resume { node }
            | Self::Kill { node }
            | Self::PowerLoss { node }
            | Self::TearTail { node }
            | Self::Wipe { node }
            | Self::Terminate { node }
            | Self::Restart { node }
            | Self::Promote { node, .. }
            | Self::Disk { node, .. }
            | Self::Clock { node, .. }
            | Self::Cleanup { node }
            | Self::Put { node, .. }
            | Self::Get { node, .. }
            | Self::Del { node, .. } => vec![*node],
        }
    }
}

/// Every link between two members.
pub fn all_links(members: &[NodeId]) -> impl Iterator<Item = Link> {
    let pairs = members.iter().flat_map(|from| members.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from != to)
}

/// All links of a member, both ways.
fn links_of(node: NodeId, members: &[NodeId]) -> impl Iterator<Item = Link> {
    let others = members.iter().filter(move |other| **other != node);
    others.flat_map(move |other| [(node, *other), (*other, node)])
}

/// Every link, in both directions, between members of different groups. Members in no group keep theirs.
fn links_between(groups: &[Vec<NodeId>]) -> anyhow::Result<Vec<Link>> {
    let mut group_of = BTreeMap::new();
    for (group, nodes) in groups.iter().enumerate() {
        for &node in nodes {
            let before = group_of.insert(node, group);
            ensure!(before.is_none_or(|before| before == group), "{node} cannot be in two groups at once");
        }
    }
    let members: Vec<NodeId> = group_of.keys().copied().collect();
    let links: Vec<Link> = all_links(&members).filter(|(from, to)| group_of[from] != group_of[to]).collect();
    ensure!(!links.is_empty(), "a partition needs two groups with members in them");
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

    fn links(action: &Action, members: usize) -> Vec<Link> {
        let primitives = action.primitives(&N[..members]).expect("makes sense");
        let link = |primitive| match primitive {
            Action::Cut { from, to } | Action::HealLink { from, to } => (from, to),
            other => panic!("{other:?}"),
        };
        primitives.into_iter().map(link).collect()
    }

    #[test]
    fn a_partition_cuts_both_ways_between_groups_and_nothing_within() {
        let partition = Action::Partition { groups: vec![vec![N[0]], vec![N[1], N[2]]] };
        assert_eq!(links(&partition, 3), [(N[0], N[1]), (N[0], N[2]), (N[1], N[0]), (N[2], N[0])]);
    }

    #[test]
    fn a_member_in_no_group_keeps_its_links() {
        let partition = Action::Partition { groups: vec![vec![N[0]], vec![N[1]]] };
        assert_eq!(links(&partition, 5), [(N[0], N[1]), (N[1], N[0])]);
    }

    #[test]
    fn to_isolate_and_to_heal_a_node_mean_its_links_both_ways_and_to_heal_all_means_every_link() {
        let of_n2 = [(N[1], N[0]), (N[0], N[1]), (N[1], N[2]), (N[2], N[1])];
        assert_eq!(links(&Action::Isolate { node: N[1] }, 3), of_n2);
        assert_eq!(links(&Action::Heal { node: N[1] }, 3), of_n2);
        assert_eq!(links(&Action::HealAll, 3).len(), 6);
        let kill = Action::Kill { node: N[0] };
        assert_eq!(kill.primitives(&N).expect("makes sense"), [kill], "the others are primitive");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        let refused = |action: Action| action.primitives(&N[..3]).expect_err("refused").to_string();
        let partition = |groups: &[&[NodeId]]| {
            refused(Action::Partition { groups: groups.iter().map(|group| group.to_vec()).collect() })
        };
        assert!(partition(&[&[N[0], N[1]], &[N[1], N[2]]]).contains("n2 cannot be in two groups"));
        let unknown = "there is no n5 in this cluster; its members are n1, n2, n3";
        assert!(partition(&[&[N[0]], &[N[4]]]).contains(unknown));
        assert!(refused(Action::Kill { node: N[4] }).contains(unknown));
        assert!(partition(&[&[N[0], N[1]]]).contains("two groups"));
        assert!(partition(&[]).contains("two groups"));
        assert!(refused(Action::Cut { from: N[0], to: N[0] }).contains("n1 has no link to itself"));
    }
}
