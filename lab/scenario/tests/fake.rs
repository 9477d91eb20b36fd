//! For tests: a stage without processes, on simulated time. It knows just enough of replication to answer a
//! scenario: who is primary, who follows, who has heard of it.

use std::collections::VecDeque;
use std::time::Duration;

use kvlab::judge::Consistency;
use kvlab::types::{Epoch, NodeCondition, NodeId, Reply, Role};

use super::fixture;
use crate::action::Action;
use crate::cluster::View;
use crate::engine::Place;
use crate::run::event::{LinkState, Operation, Outcome, ProcessState, ScenarioEvent, Verdict};
use crate::run::history::Intent;
use crate::scenario::play::stage::Stage;
use crate::session::{Performed, Settled};
use crate::workload::request;

/// Every member reports so often.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What a member does by itself.
type Change = fn(&mut View);

pub(crate) struct Fake {
    count: u8,
    now: Duration,
    pub(crate) view: View,
    pub(crate) verdict: Verdict,
    /// What the members will do by themselves, and when.
    pub(crate) later: Vec<(Duration, Change)>,
    /// How the next operations end, with what they read; then all end well and read nothing.
    pub(crate) answers: VecDeque<(Outcome, Option<String>)>,
    /// What the next promotions and orders to follow say; then all succeed.
    pub(crate) refusals: VecDeque<Reply>,
    /// This action cannot be done.
    pub(crate) impossible: Option<Action>,
    /// What settling finds: convergence after so long.
    pub(crate) settled: Result<Option<Duration>, &'static str>,
    pub(crate) done: Vec<(Duration, usize, Action)>,
    pub(crate) told: Vec<(Duration, ScenarioEvent)>,
    pub(crate) settles: u32,
}

impl Fake {
    pub(crate) fn new(count: u8) -> Self {
        Self {
            count,
            now: Duration::ZERO,
            view: fixture::healthy(count, Duration::ZERO),
            verdict: good(),
            later: Vec::new(),
            answers: VecDeque::new(),
            refusals: VecDeque::new(),
            impossible: None,
            settled: Ok(Some(Duration::from_millis(300))),
            done: Vec::new(),
            told: Vec::new(),
            settles: 0,
        }
    }

    /// What was done, each as `time step action`, times in seconds.
    pub(crate) fn story(&self) -> Vec<String> {
        let say = |(t, step, action): &(Duration, usize, Action)| {
            format!(
                "{:.1} {step} {}",
                t.as_secs_f64(),
                serde_json::to_string(action).expect("an action is JSON")
            )
        };
        self.done.iter().map(say).collect()
    }

    fn running(&self, node: NodeId) -> bool {
        matches!(self.view.processes.get(&node), Some(ProcessState::Running { .. }))
    }

    /// The epoch that a member leads or follows.
    fn epoch(&self, node: NodeId) -> Epoch {
        self.view.statuses[&node].1.term.text.parse().expect("an epoch")
    }

    fn highest(&self) -> Epoch {
        self.view.statuses.keys().map(|node| self.epoch(*node)).max().unwrap_or_default()
    }

    fn joined(&self, a: NodeId, b: NodeId) -> bool {
        let up = |pair| self.view.links.get(&pair) == Some(&LinkState::Up);
        a == b || (up((a, b)) && up((b, a)))
    }

    /// Everyone who can hear the primary of the highest epoch follows it and has what it has.
    fn follow(&mut self) {
        let epoch = self.highest();
        let leads = self.running(epoch.node);
        let last = self.view.statuses[&epoch.node].1.last.clone();
        for node in fixture::members(self.count) {
            if node != epoch.node && leads && self.running(node) && self.joined(node, epoch.node) {
                fixture::edit(&mut self.view, node.0, |s| {
                    fixture::turn(s, Role::Replica, epoch);
                    (s.last, s.durable) = (last.clone(), last.index);
                });
            }
        }
    }

    fn report(&mut self) {
        self.follow();
        for node in fixture::members(self.count) {
            if self.running(node) {
                self.view.statuses.get_mut(&node).expect("a member").0 = self.now;
            }
        }
    }

    fn carry_out(&mut self, action: &Action) -> Performed {
        match *action {
            Action::Cut { from, to } => self.set_link(from, to, LinkState::Cut),
            Action::HealLink { from, to } => self.set_link(from, to, LinkState::Up),
            Action::Slow { from, to, how } => self.set_link(from, to, LinkState::Slow(how)),
            Action::Kill { node }
            | Action::Terminate { node }
            | Action::PowerLoss { node }
            | Action::TearTail { node }
            | Action::Wipe { node } => {
                self.view.processes.insert(node, fixture::stopped());
            }
            Action::Restart { node } | Action::Resume { node } => self.restart(node),
            Action::Pause { node } => {
                let pid = self.view.statuses[&node].1.pid;
                self.view.processes.insert(node, ProcessState::Paused { pid });
            }
            Action::Promote { node, .. } => return Performed::Promotion(self.promote(node)),
            Action::Follow { primary, .. } => {
                let epoch = self.epoch(primary);
                return Performed::Follow(self.refusals.pop_front().unwrap_or(Reply::Following { epoch }));
            }
            Action::Put { .. } | Action::Get { .. } | Action::Del { .. } => return self.operation(action),
            Action::Disk { node, condition } => self.view.set_condition(node, NodeCondition::Disk(condition)),
            Action::Clock { node, condition } => {
                self.view.set_condition(node, NodeCondition::Clock(condition));
            }
            Action::Load { .. } | Action::Rate { .. } | Action::Cleanup { .. } | Action::Reset { .. } => {}
            Action::Partition { .. } | Action::Isolate { .. } | Action::Heal { .. } | Action::HealAll => {
                unreachable!("{action:?} is not primitive")
            }
        }
        Performed::Done
    }

    fn set_link(&mut self, from: NodeId, to: NodeId, state: LinkState) {
        self.view.links.insert((from, to), state);
    }

    fn promote(&mut self, node: NodeId) -> Reply {
        if let Some(refusal) = self.refusals.pop_front() {
            return refusal;
        }
        let epoch = Epoch::new(self.highest().number + 1, node);
        fixture::edit(&mut self.view, node.0, |s| {
            fixture::turn(s, Role::Primary, epoch);
            s.last = Place { term: epoch.into(), index: s.last.index + 1 };
            s.durable = s.last.index;
        });
        Reply::Promoted { epoch, ballots: Vec::new() }
    }

    fn restart(&mut self, node: NodeId) {
        let pid = 1000 + u32::from(node.0);
        let running = ProcessState::Running { pid, client: String::new(), peer: String::new() };
        self.view.processes.insert(node, running);
        let (_, status) = self.view.statuses.get_mut(&node).expect("a member");
        status.pid = pid;
        status.role = Role::Replica;
    }

    fn operation(&mut self, action: &Action) -> Performed {
        let (outcome, value) = self.answers.pop_front().unwrap_or((Outcome::Ok, None));
        let (way, Intent { op, key, .. }) = request(action).expect("an operation");
        let home = way.first();
        Performed::Operation(Box::new(Operation {
            i: 0,
            by: None,
            home,
            node: Some(home),
            op,
            consistency: Consistency::Quorum,
            key,
            value,
            outcome,
            epoch: None,
            seq: None,
            votes: Vec::new(),
            took_us: 0,
            stale_ms: None,
        }))
    }
}

/// A verdict with which every promise holds.
pub(crate) fn good() -> Verdict {
    let mut verdict = Verdict::default();
    verdict.promise.linearizable = Some(true);
    verdict.promise.quorum_writes_acked = 812;
    verdict.promise.quorum_writes_lost = Some(0);
    verdict.promise.members_equal = Some(true);
    verdict.harm.async_writes_acked = 1630;
    verdict.harm.async_writes_lost = Some(212);
    verdict.harm.stale_reads = 97;
    verdict.harm.stale_max_ms = 3010;
    verdict.harm.refused_stale = 5;
    verdict.harm.unavailable_ms = 2640;
    verdict
}

impl Stage for Fake {
    fn members(&self) -> Vec<NodeId> {
        fixture::members(self.count)
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    fn tell(&mut self, event: ScenarioEvent) {
        self.told.push((self.now, event));
    }

    async fn next(&mut self, until: Duration) {
        assert!(until > self.now, "the runner waits for what has passed");
        self.now = until.min(self.now + REPORT_EVERY);
        let (due, later) = self.later.iter().partition(|(at, _)| *at <= self.now);
        self.later = later;
        self.report();
        for (_, change) in due {
            change(&mut self.view);
        }
    }

    async fn perform(&mut self, step: usize, action: Action) -> anyhow::Result<Performed> {
        anyhow::ensure!(self.impossible.as_ref() != Some(&action), "it is impossible");
        self.done.push((self.now, step, action.clone()));
        let mut performed = Performed::Done;
        for primitive in action.primitives(&self.members())? {
            performed = self.carry_out(&primitive);
        }
        Ok(performed)
    }

    async fn settle(&mut self, within: Duration) -> anyhow::Result<Settled> {
        self.settles += 1;
        let until_us = u64::try_from((self.now + within).as_micros()).expect("a short run");
        self.tell(ScenarioEvent::Settling { until_us });
        match self.settled {
            Ok(converged_after) => Ok(Settled { converged_after, verdict: self.verdict.clone() }),
            Err(why) => Err(anyhow::anyhow!(why)),
        }
    }
}
