//! The violations that a run's judge has found, and what its events tell of their cause.

use std::collections::{BTreeMap, BTreeSet};

use kvlab::judge::{Diagram, Violation};
use kvlab::sim;
use kvlab::types::{ClockCondition, Event, NodeId, Report};

use super::{Epochs, Leadership};
use crate::action::Action;
use crate::run::event::{LabEvent, Stamped};
use crate::run::history::VIOLATIONS_PROVED_MAX;

/// The violations of a run, and what explains them. A fold over its events; bounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    violations: Vec<Violation>,
    epochs: Epochs,
    failed: BTreeSet<NodeId>,
    odd_clocks: BTreeSet<NodeId>,
    discards: BTreeMap<NodeId, u64>,
}

impl Evidence {
    /// What all events of a run tell.
    pub(crate) fn of(events: &[Stamped]) -> Self {
        let mut evidence = Self::default();
        events.iter().for_each(|event| evidence.observe(event));
        evidence
    }

    /// The next event of the run.
    pub(crate) fn observe(&mut self, event: &Stamped) {
        self.epochs.observe(event);
        if let LabEvent::Action { action, error: None, .. } = &event.event {
            self.faults_inside(action);
        }
        if let LabEvent::Node { node, report: Report::Event { event, .. } } = &event.event {
            self.discarded(*node, event);
        }
        if let LabEvent::Violation(violation) = &event.event
            && self.violations.len() < VIOLATIONS_PROVED_MAX
        {
            self.violations.push((**violation).clone());
        }
    }

    fn discarded(&mut self, node: NodeId, event: &Event) {
        let (Event::LogCut { discarded, .. } | Event::FullResyncInstalled { discarded, .. }) = event else {
            return;
        };
        if *discarded > 0 {
            let all = self.discards.entry(node).or_default();
            *all = all.saturating_add(*discarded);
        }
    }

    fn faults_inside(&mut self, action: &Action) {
        match action {
            Action::Wipe { node } | Action::TearTail { node } => drop(self.failed.insert(*node)),
            Action::Clock { node, condition } if *condition != ClockCondition::Ok => {
                self.odd_clocks.insert(*node);
            }
            _ => {}
        }
    }

    /// The members whose disks were wiped or whose logs were torn: each counts as failed, and what is promised while a
    /// minority fails is promised of the others.
    pub(crate) fn failed(&self) -> &BTreeSet<NodeId> {
        &self.failed
    }

    /// The members that have discarded entries of their own to follow another primary, with how many: what was acknowledged
    /// by one of them alone is gone.
    pub(crate) fn discards(&self) -> &BTreeMap<NodeId, u64> {
        &self.discards
    }

    /// The members whose clocks did not run true at some time: bounds in time hold by their own clocks only.
    pub(crate) fn odd_clocks(&self) -> &BTreeSet<NodeId> {
        &self.odd_clocks
    }

    /// The violations that were told with their proofs, the first first.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether some of them break linearizability.
    pub(crate) fn breaks_linearizability(&self) -> bool {
        self.violations.iter().any(|violation| violation.linearizability)
    }

    /// Who led in which epoch, in the order of their opening; the last ones.
    pub(crate) fn leaderships(&self) -> &[Leadership] {
        self.epochs.leaderships()
    }

    /// Which rule was broken, in one sentence, if that is known.
    pub(crate) fn rule(&self, violation: &Violation) -> Option<String> {
        self.epochs.rule(violation)
    }

    /// What there is to show for what a simulation's judge found.
    pub(crate) fn of_simulation(finding: &sim::JudgeFinding) -> Self {
        let mut evidence = Self::default();
        finding.member_events.iter().for_each(|event| evidence.observe(&event.clone().into()));
        evidence.violations.push(finding.violation.clone());
        evidence
    }

    /// The proof of a violation, with the rule that was broken, if that is known.
    pub(crate) fn diagram(&self, violation: &Violation) -> Diagram {
        Diagram::with_rule(violation, self.rule(violation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Actor;
    use crate::screen::tests::fixture::broken_promise;

    #[test]
    fn a_proof_fits_its_columns() {
        let evidence = Evidence::of(&broken_promise());
        assert_eq!(evidence.violations().len(), 3);
        for violation in evidence.violations() {
            for width in [72, 80, 100] {
                let text = evidence.diagram(violation).text(width);
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= width && text.ends_with('\n'), "{widest} > {width}\n{text}");
                let rule = evidence.rule(violation).expect("it is known");
                let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(folded(&text).contains(&folded(&rule)), "{rule}\n{text}");
            }
        }
    }

    #[test]
    fn a_torn_member_is_a_failed_one_as_a_wiped_one_is() {
        let [n1, n2, n3] = [1, 2, 3].map(NodeId);
        let done = |action| LabEvent::Action { by: Actor::Person, action, error: None };
        let refused = |action| LabEvent::Action { by: Actor::Person, action, error: Some("no".to_owned()) };
        let rate = ClockCondition::Rate { permille: 1500 };
        let events = [
            done(Action::TearTail { node: n1 }),
            done(Action::Wipe { node: n3 }),
            refused(Action::Wipe { node: n2 }),
            done(Action::Kill { node: n2 }),
            done(Action::Clock { node: n2, condition: rate }),
            done(Action::Clock { node: n2, condition: ClockCondition::Ok }),
            done(Action::Clock { node: n1, condition: ClockCondition::Ok }),
        ];
        let evidence = Evidence::of(&events.map(|event| Stamped { t_us: 0, event }));
        assert_eq!(evidence.failed(), &[n1, n3].into());
        assert_eq!(evidence.odd_clocks(), &[n2].into());
    }

    #[test]
    fn whoever_discarded_entries_is_named_with_how_many() {
        let cut = |node, discarded| LabEvent::Node {
            node: NodeId(node),
            report: Report::Event {
                uptime_ms: 1,
                event: Event::LogCut { fork: kvlab::types::Position::ZERO, discarded, file: None },
            },
        };
        let events = [cut(1, 5), cut(2, 0), cut(1, 2)].map(|event| Stamped { t_us: 0, event });
        assert_eq!(Evidence::of(&events).discards(), &[(NodeId(1), 7)].into());
    }

    #[test]
    fn more_violations_than_the_judge_keeps_are_not_kept_here_either() {
        let events = broken_promise();
        let mut evidence = Evidence::default();
        (0..40).for_each(|_| events.iter().for_each(|event| evidence.observe(event)));
        assert_eq!(evidence.violations().len(), VIOLATIONS_PROVED_MAX);
    }
}
