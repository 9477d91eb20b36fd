//! The state behind the screen, and how one event changes it.

use std::collections::BTreeMap;

use kvlab::types::{ClockCondition, DiskCondition, NodeId, Quirks};

use super::Ring;
use super::lesson::{Lesson, LessonStep};
use super::links::Links;
use super::load::LoadView;
use super::node::NodeView;
use super::scenario::ScenarioView;
use crate::explain::Evidence;
use crate::run::event::{Header, LabEvent, Level, Losses, Operation, ProcessState, Stamped, Verdict};
use crate::text::events::{self, EventLine};
use crate::text::words;

/// Operations of each kind kept for the votes pane.
const OPERATIONS_MAX: usize = 100;
/// Lines kept for the events pane.
const STORY_MAX: usize = 500;
/// Lag is sampled this often.
const LAG_EVERY_US: u64 = 250_000;
/// Members beyond this are no members: the lab starts at most nine.
const MEMBER_MAX: u8 = 9;

/// All that the screen knows: a fold over the events of a run.
///
/// * The same events give the same state. There is no clock in it: time comes with events, and by
///   [`ViewState::advance`] where there are none.
/// * Events in any order, or cut off anywhere, never panic.
/// * Everything in it is bounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewState {
    /// The run's first event.
    pub header: Option<Header>,
    /// Microseconds since the run began.
    pub now_us: u64,
    /// Events that the screen was too slow to be told.
    pub missed: u64,
    pub nodes: BTreeMap<NodeId, NodeView>,
    pub links: Links,
    /// The last operations of the background load that the screen was told of, with the times of their ends.
    pub operations: Ring<(u64, Operation), OPERATIONS_MAX>,
    /// The same of the operations that the person or a step asked for.
    pub asked: Ring<(u64, Operation), OPERATIONS_MAX>,
    pub load: LoadView,
    pub verdict: Option<Verdict>,
    /// What happened, in plain words.
    pub story: Ring<EventLine, STORY_MAX>,
    pub scenario: Option<ScenarioView>,
    /// Each broken promise with its proof, and what explains it.
    pub evidence: Evidence,
    /// What the person has tried.
    pub lesson: Lesson,
    lag_due_us: u64,
    /// The losses that the story has told of: of quorum writes, and of async ones.
    told_lost: (u64, u64),
}

impl ViewState {
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut view = Self::default();
        events.into_iter().for_each(|event| view.apply(event));
        view
    }

    /// One event happened.
    pub fn apply(&mut self, stamped: &Stamped) {
        self.advance(stamped.t_us);
        let mut lesson = self.lesson;
        lesson.apply(&stamped.event, |node| self.leader().is_some_and(|leader| leader.node == node));
        self.lesson = lesson;
        self.tell(stamped);
        self.evidence.observe(stamped);
        match &stamped.event {
            LabEvent::Header(header) => self.header_is(header),
            LabEvent::Process { node, state } => {
                self.node(*node, |n, t_us| n.process_is(state, t_us));
                self.fault_check();
            }
            LabEvent::Node { node, report } => self.node(*node, |n, t_us| {
                n.watched = n.speaks();
                n.reported(report, t_us);
            }),
            LabEvent::Watch { node, up } => self.node(*node, |n, _| n.watched = *up),
            LabEvent::Link { from, to, state } => {
                if is_member(*from) && is_member(*to) {
                    self.links.set(*from, *to, *state);
                    self.fault_check();
                }
            }
            LabEvent::Condition { node, condition } => {
                self.node(*node, |n, _| n.condition_is(*condition));
                self.fault_check();
            }
            LabEvent::Action { action, error: None, .. } => self.blame(action),
            LabEvent::Action { .. }
            | LabEvent::Damage { .. }
            | LabEvent::Violation(_)
            | LabEvent::Notice { .. } => {}
            LabEvent::Operation(operation) => {
                let ring = if operation.by.is_some() { &mut self.asked } else { &mut self.operations };
                ring.push((self.now_us, operation.clone()));
            }
            LabEvent::Load(sample) => self.load.samples.push((self.now_us, sample.clone())),
            LabEvent::Verdict(verdict) => self.verdict_is(verdict),
            LabEvent::Scenario(event) => {
                let now_us = self.now_us;
                self.scenario.get_or_insert_default().apply(event, now_us);
            }
        }
        self.sample_lag();
    }

    /// Time passed without an event. It never goes back.
    pub fn advance(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
    }

    /// The screen was not told of so many events.
    pub fn miss(&mut self, events: u64) {
        self.missed = self.missed.saturating_add(events);
        let text =
            format!("the screen fell behind and missed {events} events; panes may be wrong until told anew");
        self.story.push(EventLine { t_us: self.now_us, level: Level::Warn, text });
    }

    /// All members, ascending.
    pub fn members(&self) -> Vec<NodeId> {
        match &self.header {
            Some(header) => header.nodes.iter().copied().filter(|&n| is_member(n)).collect(),
            None => self.nodes.keys().copied().collect(),
        }
    }

    /// The mistakes that nodes make on purpose, by the run's header and by their own word.
    pub fn quirks(&self) -> Quirks {
        let of_run = self.header.as_ref().map_or(Quirks::NONE, |header| header.quirks);
        let own = self.nodes.values().filter_map(|node| node.status.as_ref()?.kvlab.as_ref());
        own.fold(of_run, |all, own| all.union(own.quirks))
    }

    /// What there is to try, and what of it the person has done.
    pub fn lesson_steps(&self) -> Vec<LessonStep> {
        let leader = self.leader().map(|leader| leader.node);
        self.lesson.steps(&self.members(), leader, self.links.bent() == 0)
    }

    /// Whether a person plays, without a scenario.
    pub fn is_free(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.scenario.is_none())
    }

    /// A majority of the members.
    pub fn quorum(&self) -> usize {
        self.members().len() / 2 + 1
    }

    fn header_is(&mut self, header: &Header) {
        for &id in header.nodes.iter().filter(|&&n| is_member(n)) {
            self.nodes.entry(id).or_insert_with(|| NodeView::new(id));
        }
        self.scenario = header.scenario.as_ref().map(ScenarioView::new);
        self.header = Some(header.clone());
    }

    fn node(&mut self, id: NodeId, change: impl FnOnce(&mut NodeView, u64)) {
        if is_member(id) {
            let now_us = self.now_us;
            change(self.nodes.entry(id).or_insert_with(|| NodeView::new(id)), now_us);
        }
    }

    /// Notes the action as the last fault of whom it hits.
    fn blame(&mut self, action: &crate::action::Action) {
        use crate::action::Action as A;
        let hit = match action {
            A::Cut { from, to } | A::Slow { from, to, .. } => vec![*from, *to],
            A::Partition { groups } => groups.iter().flatten().copied().collect(),
            A::Isolate { node } | A::Pause { node } | A::Kill { node } | A::Terminate { node } => vec![*node],
            A::PowerLoss { node } | A::TearTail { node } | A::Wipe { node } => vec![*node],
            A::Disk { node, condition } if *condition != DiskCondition::Ok => vec![*node],
            A::Clock { node, condition } if *condition != ClockCondition::Ok => vec![*node],
            _ => vec![],
        };
        let text = events::action(action);
        for id in hit {
            self.node(id, |n, t_us| n.last_fault = Some((t_us, text.clone())));
        }
    }

    fn fault_check(&mut self) {
        let broken = self.links.bent() > 0 || self.nodes.values().any(NodeView::has_fault);
        self.load.fault_is(broken, self.now_us);
    }

    fn tell(&mut self, stamped: &Stamped) {
        let line = match &stamped.event {
            LabEvent::Watch { node, up } => self.watch_says(*node, *up),
            // Resumed: the action has said so.
            LabEvent::Process { node, state: ProcessState::Running { .. } }
                if self.nodes.get(node).is_some_and(NodeView::is_paused) =>
            {
                None
            }
            event => events::sentence(event),
        };
        if let Some((level, text)) = line.filter(|(level, _)| *level > Level::Debug) {
            self.story.push(EventLine { t_us: stamped.t_us, level, text });
        }
    }

    /// That the lab lost sight of a node is news only if its process should be there.
    fn watch_says(&self, id: NodeId, up: bool) -> Option<(Level, String)> {
        let node = self.nodes.get(&id)?;
        match (up, node.watched) {
            (false, true) if node.runs() => Some((Level::Warn, format!("the lab lost sight of {id}"))),
            (true, false) if node.status.is_some() && node.runs() => {
                Some((Level::Info, format!("the lab sees {id} again")))
            }
            _ => None,
        }
    }

    fn verdict_is(&mut self, verdict: &Verdict) {
        let old = self.verdict.replace(verdict.clone()).unwrap_or_default();
        let (was, is) = (&old.promise, &verdict.promise);
        let mut news = Vec::new();
        if is.linearizable == Some(false) && was.linearizable != Some(false) {
            // The proof has a line of its own, unless the run was recorded before there were any.
            let why = match is.violations.first() {
                Some(_) if !self.evidence.violations().is_empty() => ": Enter shows why".to_owned(),
                Some(violation) => format!(": {violation}"),
                None => String::new(),
            };
            news.push((Level::Error, format!("NOT linearizable{why}")));
        }
        // While they are read again, the count still grows: told is what it comes to.
        let lost = |losses: Losses, told: &mut u64| {
            let n = losses.lost.filter(|&n| losses.doubtful == 0 && n > *told)?;
            Some(std::mem::replace(told, n)).map(|_| n)
        };
        if let Some(n) = lost(is.losses(), &mut self.told_lost.0) {
            news.push((Level::Error, format!("{} acknowledged by a quorum lost", words::writes(n))));
        }
        if let Some(n) = lost(verdict.harm.losses(), &mut self.told_lost.1) {
            news.push((Level::Warn, format!("{} acknowledged by one node lost", words::writes(n))));
        }
        match (was.members_equal, is.members_equal) {
            (old, Some(true)) if old != Some(true) => {
                news.push((Level::Info, "all members hold the same state".to_owned()));
            }
            (old, Some(false)) if old != Some(false) => {
                news.push((Level::Error, "members hold different states after healing".to_owned()));
            }
            _ => {}
        }
        let t_us = self.now_us;
        news.into_iter().for_each(|(level, text)| self.story.push(EventLine { t_us, level, text }));
    }

    fn sample_lag(&mut self) {
        if self.now_us < self.lag_due_us {
            return;
        }
        self.lag_due_us = (self.now_us / LAG_EVERY_US + 1).saturating_mul(LAG_EVERY_US);
        let lags: Vec<_> = self.nodes.keys().map(|&id| (id, self.lag(id))).collect();
        for (id, lag) in lags {
            self.node(id, |n, t_us| n.lag.push((t_us, lag)));
        }
    }
}

fn is_member(id: NodeId) -> bool {
    (1..=MEMBER_MAX).contains(&id.0)
}
