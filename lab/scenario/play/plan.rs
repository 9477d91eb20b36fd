//! From what a step does to the actions that do it, once it is known who is meant.

use kvlab::types::{ClockCondition, DiskCondition, NodeCondition, NodeId};

use super::roles::Roles;
use crate::action::{Action, Link, all_links};
use crate::cluster::View;
use crate::scenario::language::model::{Act, Pairs, ProcessAction, StepOp, WhichLinks};
use crate::scenario::language::words::Target;

/// Whether it must be known who is who before this can be done.
pub(crate) fn needs_roles(act: &Act) -> bool {
    let any = |targets: &[Target]| targets.iter().any(|target| target.is_role());
    let pair = |pairs: &Pairs| any(&pairs.from) || any(&pairs.to);
    match act {
        Act::Partition(groups) => groups.iter().any(|group| any(group)),
        Act::Shape(_) => true,
        Act::Isolate(targets) | Act::Heal(targets) => any(targets),
        Act::Process(_, targets) | Act::SetCondition(_, targets) => any(targets),
        Act::Cut(pairs) | Act::HealLinks(pairs) => pair(pairs),
        Act::Slow { links: which, .. } | Act::Reset(which) => match which {
            WhichLinks::Of(targets) => any(targets),
            WhichLinks::Between(pairs) => pair(pairs),
        },
        Act::Promote { node, .. } | Act::Operation { node, .. } => node.is_role(),
        Act::Follow { node, primary, .. } => node.is_role() || primary.is_role(),
        Act::HealAll | Act::Load { .. } | Act::Wait { .. } | Act::Expect(_) => false,
    }
}

/// Whether this undoes a fault, so that recovery begins.
pub(crate) fn repairs(act: &Act) -> bool {
    matches!(
        act,
        Act::HealLinks(_)
            | Act::Heal(_)
            | Act::HealAll
            | Act::Process(ProcessAction::Restart | ProcessAction::Resume, _)
            | Act::SetCondition(
                NodeCondition::Disk(DiskCondition::Ok) | NodeCondition::Clock(ClockCondition::Ok),
                _
            )
            | Act::Promote { .. }
            | Act::Follow { .. }
    )
}

/// The actions, in order. `wait` and `expect` have none.
pub(crate) fn actions(roles: &Roles, view: &View, act: &Act) -> Result<Vec<Action>, String> {
    let who = |targets: &[Target]| roles.resolve_all(view, targets);
    let links = |pairs: &Pairs| links(roles, view, pairs);
    let which = |which: &WhichLinks| match which {
        WhichLinks::Between(pairs) => links(pairs),
        WhichLinks::Of(targets) => Ok(all_links_of(roles, &who(targets)?)),
    };
    Ok(match act {
        Act::Partition(groups) => vec![Action::Partition { groups: disjoint(roles, view, groups)? }],
        Act::Shape(shape) => {
            roles.shape(view, *shape)?.into_iter().map(|(from, to)| Action::Cut { from, to }).collect()
        }
        Act::Isolate(targets) => who(targets)?.into_iter().map(|node| Action::Isolate { node }).collect(),
        Act::Cut(pairs) => links(pairs)?.into_iter().map(|(from, to)| Action::Cut { from, to }).collect(),
        Act::Slow { links, how } => {
            which(links)?.into_iter().map(|(from, to)| Action::Slow { from, to, how: *how }).collect()
        }
        Act::Reset(links) => which(links)?.into_iter().map(|(from, to)| Action::Reset { from, to }).collect(),
        Act::HealLinks(pairs) => {
            links(pairs)?.into_iter().map(|(from, to)| Action::HealLink { from, to }).collect()
        }
        Act::Heal(targets) => who(targets)?.into_iter().map(|node| Action::Heal { node }).collect(),
        Act::HealAll => vec![Action::HealAll],
        Act::Process(action, targets) => {
            who(targets)?.into_iter().map(|node| process(*action, node)).collect()
        }
        Act::SetCondition(what, targets) => {
            who(targets)?.into_iter().map(|node| condition(*what, node)).collect()
        }
        Act::Promote { node, force, .. } => {
            vec![Action::Promote { node: roles.resolve_one(view, *node)?, force: *force }]
        }
        Act::Follow { node, primary, .. } => vec![Action::Follow {
            node: roles.resolve_one(view, *node)?,
            primary: roles.resolve_one(view, *primary)?,
        }],
        Act::Operation { node, op, .. } => vec![operation(roles.resolve_one(view, *node)?, op)],
        Act::Load { on, rate } => {
            let rate = rate.map(|per_second| Action::Rate { per_second });
            rate.into_iter().chain([Action::Load { on: *on }]).collect()
        }
        Act::Wait { .. } | Act::Expect(_) => Vec::new(),
    })
}

/// Groups in which nobody is twice.
fn disjoint(roles: &Roles, view: &View, groups: &[Vec<Target>]) -> Result<Vec<Vec<NodeId>>, String> {
    let mut taken: Vec<NodeId> = Vec::new();
    let mut resolved = Vec::new();
    for group in groups {
        let nodes = roles.resolve_all(view, group)?;
        if let Some(twice) = nodes.iter().find(|node| taken.contains(node)) {
            return Err(format!("{twice} would be in two groups"));
        }
        taken.extend(&nodes);
        resolved.push(nodes);
    }
    Ok(resolved)
}

fn links(roles: &Roles, view: &View, pairs: &Pairs) -> Result<Vec<Link>, String> {
    let (from, to) = (roles.resolve_all(view, &pairs.from)?, roles.resolve_all(view, &pairs.to)?);
    let mut found = Vec::new();
    for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
        found.push((a, b));
        if pairs.both_ways {
            found.push((b, a));
        }
    }
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Err("there is no link from a member to itself".to_owned()) } else { Ok(found) }
}

fn all_links_of(roles: &Roles, nodes: &[NodeId]) -> Vec<Link> {
    all_links(roles.members()).filter(|(a, b)| nodes.contains(a) || nodes.contains(b)).collect()
}

fn condition(condition: NodeCondition, node: NodeId) -> Action {
    match condition {
        NodeCondition::Disk(condition) => Action::Disk { node, condition },
        NodeCondition::Clock(condition) => Action::Clock { node, condition },
    }
}

fn process(action: ProcessAction, node: NodeId) -> Action {
    match action {
        ProcessAction::Kill => Action::Kill { node },
        ProcessAction::Term => Action::Terminate { node },
        ProcessAction::PowerLoss => Action::PowerLoss { node },
        ProcessAction::TearTail => Action::TearTail { node },
        ProcessAction::Wipe => Action::Wipe { node },
        ProcessAction::Restart => Action::Restart { node },
        ProcessAction::Pause => Action::Pause { node },
        ProcessAction::Resume => Action::Resume { node },
        ProcessAction::Cleanup => Action::Cleanup { node },
    }
}

fn operation(node: NodeId, op: &StepOp) -> Action {
    match op.clone() {
        StepOp::Put { key, value, level } => Action::Put { node, key, value, level },
        StepOp::Get { key, level, .. } => Action::Get { node, key, level },
        StepOp::Del { key, level } => Action::Del { node, key, level },
    }
}
