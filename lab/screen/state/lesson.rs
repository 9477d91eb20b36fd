//! "Try this": a first lesson for a person in front of an empty keyboard, ticked off as it happens.

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{Event, NodeId, Report};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::run::event::{Actor, LabEvent, Operation, Outcome};

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LessonStep {
    /// The keys to press, as a person reads them.
    pub keys: String,
    /// What that does, and what to watch.
    pub text: String,
    pub done: bool,
}

/// What the person has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    wrote_quorum: bool,
    isolated: Option<NodeId>,
    wrote_alone: bool,
    promoted: Option<NodeId>,
    read_both: bool,
    healed: bool,
    killed: bool,
    restarted: bool,
}

impl Lesson {
    /// Notes what has just happened. `led` says whether a member was the primary before.
    pub fn apply(&mut self, event: &LabEvent, led: impl Fn(NodeId) -> bool) {
        match event {
            LabEvent::Operation(operation) if operation.by == Some(Actor::Person) => {
                self.operation(operation);
            }
            LabEvent::Action { by: Actor::Person, action, error: None } => self.action(action, led),
            LabEvent::Node { node, report: Report::Event { event: Event::EpochOpened { .. }, .. } }
                if self.isolated.is_some_and(|n| n != *node) =>
            {
                self.promoted = Some(*node);
            }
            _ => {}
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let ok = operation.outcome == Outcome::Ok;
        match (operation.op, operation.consistency) {
            (OpKind::Put, Consistency::Quorum) => self.wrote_quorum |= ok,
            (OpKind::Put, Consistency::Async) => {
                self.wrote_alone |= ok && self.isolated.is_some() && operation.node == self.isolated;
            }
            (OpKind::Get, _) => self.read_both |= self.promoted.is_some(),
            _ => {}
        }
    }

    fn action(&mut self, action: &Action, led: impl Fn(NodeId) -> bool) {
        match action {
            Action::Isolate { node } if led(*node) => {
                *self = Self { isolated: Some(*node), wrote_quorum: self.wrote_quorum, ..Self::default() };
            }
            Action::HealAll | Action::Heal { .. } if self.promoted.is_some() => self.healed = true,
            Action::Kill { .. } => self.killed = true,
            Action::Restart { .. } => self.restarted |= self.killed,
            _ => {}
        }
    }

    /// The things to try, for these members. `leader` is the primary, `healed` whether every link passes.
    pub fn steps(&self, members: &[NodeId], leader: Option<NodeId>, healed: bool) -> Vec<LessonStep> {
        let step = |keys: String, text: String, done| LessonStep { keys, text, done };
        let leader = self.isolated.or(leader).or_else(|| members.first().copied());
        let (Some(leader), true) = (leader, members.len() >= 3) else {
            return self.small(members.len(), healed);
        };
        let other =
            self.promoted.or_else(|| members.iter().copied().find(|&n| n != leader)).unwrap_or(leader);
        let (lead, next) = (leader.0, other.0);
        vec![
            step("w".into(), "write: a quorum says yes".into(), self.wrote_quorum),
            step(format!("{lead} i"), format!("isolate {leader}, the primary"), self.isolated.is_some()),
            step("a".into(), format!("write at {leader}: it says yes"), self.wrote_alone),
            step(format!("{next} P"), format!("promote {other}: two primaries"), self.promoted.is_some()),
            step(format!("{lead} e s"), "read there: whom to trust?".into(), self.read_both),
            step("U".into(), "heal: what is discarded?".into(), self.healed),
            step(format!("{next} K r"), "kill -9, restart: all there?".into(), self.restarted),
        ]
    }

    /// One or two nodes: no majority without every one of them.
    fn small(&self, members: usize, healed: bool) -> Vec<LessonStep> {
        let step = |keys: &str, text: &str, done| LessonStep { keys: keys.into(), text: text.into(), done };
        let mut steps = vec![step("w", "write: who says yes?", self.wrote_quorum)];
        if members == 2 {
            steps.push(step("1 i", "isolate n1, the primary", self.isolated.is_some()));
            steps.push(step("a", "write at n1: it says yes", self.wrote_alone));
            steps.push(step("U", "heal; w says yes again", self.isolated.is_some() && healed));
        }
        steps.push(step("1 K", "kill -9 the primary", self.killed));
        steps.push(step("r", "restart it: all there?", self.restarted));
        steps
    }
}
