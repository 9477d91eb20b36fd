//! A validated scenario in words: what a step does, for whoever watches.

use std::fmt;

use kvlab::types::NodeCondition;

use super::model::{Act, Condition, Pairs, ProcessAction, Shape, StateWord, StepOp, WhichLinks};
use super::words::{Target, say_duration};
use crate::action::SlowLink;
use crate::text::words;

/// The word for `meaning` in a table of words.
pub(crate) fn word_for<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, m)| m == meaning).map_or("?", |(word, _)| word)
}

/// Targets as a person would list them.
pub(crate) fn say_targets(targets: &[Target]) -> String {
    targets.iter().map(Target::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(groups) => {
                let groups: Vec<_> = groups.iter().map(|group| say_targets(group)).collect();
                write!(f, "partition {}", groups.join(" | "))
            }
            Self::Shape(shape) => write!(f, "partition {}", word_for(&Shape::WORDS, shape)),
            Self::Isolate(targets) => write!(f, "cut {} off", say_targets(targets)),
            Self::Cut(pairs) => write!(f, "cut {pairs}"),
            Self::Slow { links: WhichLinks::Of(targets), how } => {
                write!(f, "slow {} {}", say_targets(targets), say_slow(how))
            }
            Self::Slow { links: WhichLinks::Between(pairs), how } => {
                write!(f, "slow {pairs} {}", say_slow(how))
            }
            Self::SetCondition(NodeCondition::Disk(disk), targets) => {
                write!(f, "{} of {}", words::disk(*disk), say_targets(targets))
            }
            Self::SetCondition(NodeCondition::Clock(clock), targets) => {
                write!(f, "{} of {}", words::clock_condition(*clock), say_targets(targets))
            }
            Self::Reset(WhichLinks::Of(targets)) => write!(f, "reset {}", say_targets(targets)),
            Self::Reset(WhichLinks::Between(pairs)) => write!(f, "reset {pairs}"),
            Self::HealLinks(pairs) => write!(f, "heal {pairs}"),
            Self::Heal(targets) => write!(f, "heal {}", say_targets(targets)),
            Self::HealAll => f.write_str("heal all"),
            Self::Process(action, targets) => write!(f, "{action} {}", say_targets(targets)),
            Self::Promote { node, force: true, .. } => write!(f, "promote {node} by force"),
            Self::Promote { node, force: false, .. } => write!(f, "promote {node}"),
            Self::Follow { node, primary, .. } => write!(f, "{node} is to follow {primary}"),
            Self::Operation { node, op, .. } => match op {
                StepOp::Put { key, .. } => write!(f, "put {key} at {node}"),
                StepOp::Get { key, .. } => write!(f, "get {key} at {node}"),
                StepOp::Del { key, .. } => write!(f, "del {key} at {node}"),
            },
            Self::Load { on: true, rate: Some(rate) } => write!(f, "load {rate}/s"),
            Self::Load { on, .. } => write!(f, "load {}", if *on { "on" } else { "off" }),
            Self::Wait { conditions, .. } => write!(f, "wait for {}", say_conditions(conditions)),
            Self::Expect(conditions) => write!(f, "expect {}", say_conditions(conditions)),
        }
    }
}

/// What a slow link does, in the words of a scenario: `by 80ms, losing 5%`.
fn say_slow(how: &SlowLink) -> String {
    let only = SlowLink { delay: std::time::Duration::ZERO, jitter: std::time::Duration::ZERO, ..*how };
    let delay = (!how.delay.is_zero()).then(|| format!("by {}", say_duration(how.delay)));
    let rest = Some(words::slow_link(&only)).filter(|rest| !rest.is_empty());
    delay.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
}

fn say_conditions(conditions: &[Condition]) -> String {
    conditions.iter().map(Condition::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primaries(count) => write!(f, "primaries {count}"),
            Self::Primary(node) => write!(f, "primary {node}"),
            Self::Converged => f.write_str("convergence"),
            Self::CaughtUp(nodes) => write!(f, "{} to catch up", say_targets(nodes)),
            Self::Stale(nodes) => write!(f, "{} to refuse reads", say_targets(nodes)),
            Self::Fresh(nodes) => write!(f, "{} to serve reads", say_targets(nodes)),
            Self::Lag(node, lag) => write!(f, "lag of {node} {lag}"),
            Self::Seq(node, seq) => write!(f, "seq of {node} {seq}"),
            Self::State(nodes, state) => {
                write!(f, "{} to be {}", say_targets(nodes), word_for(&StateWord::WORDS, state))
            }
            Self::PartialResyncs(count) => write!(f, "partial resyncs {count}"),
            Self::FullResyncs(count) => write!(f, "full resyncs {count}"),
            Self::Measured(expect) => write!(f, "{} {}", expect.measure.name(), expect.expected),
        }
    }
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.both_ways { "↔" } else { "→" };
        write!(f, "{} {arrow} {}", say_targets(&self.from), say_targets(&self.to))
    }
}

impl fmt::Display for ProcessAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Term => "term",
            Self::PowerLoss => "power loss at",
            Self::TearTail => "tear the tail of",
            Self::Wipe => "wipe",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cleanup => "clean up",
        })
    }
}
