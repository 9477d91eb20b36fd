//! The times in which something was broken, from what was done to links and processes.

use std::collections::{BTreeMap, BTreeSet};

use kvlab::types::{CLOCK_PERMILLE_TRUE, DiskCondition, NodeCondition, NodeId};

use crate::action::Action;
use crate::run::event::{LabEvent, LinkState, ProcessState, Stamped};
use crate::text::words;

/// Faults shown at most, the first ones.
pub(super) const FAULTS_MAX: usize = 200;
/// What begins, and ends, within this of each other is one fault: a partition cuts many links.
const TOGETHER_US: u64 = 100_000;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    /// Links are silent.
    Cut,
    /// Links are slow.
    Slow,
    /// A process is stopped by SIGSTOP.
    Paused,
    /// A process has ended.
    Down,
    /// A disk or a clock is not as it should be.
    Inside,
}

/// A time in which something was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// In microseconds since the run began.
    pub(super) since_us: u64,
    /// Likewise; the run's end if it was never mended.
    pub(super) until_us: u64,
    /// In words: `cut n1 ↔ n2, n3`.
    pub(super) what: String,
}

impl FaultKind {
    /// The class that styles it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Slow => "slow",
            Self::Paused => "paused",
            Self::Down => "down",
            // As slow as a slow link, to the eye.
            Self::Inside => "slow",
        }
    }
}

/// What a fault is a fault of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Link(NodeId, NodeId),
    Node(NodeId),
    Disk(NodeId),
    Clock(NodeId),
}

/// What is the matter there. Two slow links are one fault if they are as slow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Trouble {
    kind: FaultKind,
    detail: String,
}

#[derive(Clone, Debug)]
struct Single {
    subject: Subject,
    trouble: Trouble,
    since_us: u64,
    until_us: u64,
}

/// All faults, the first first, at most [`FAULTS_MAX`]. That the lab ends its nodes when it ends is none.
pub(super) fn faults(events: &[Stamped], end_us: u64) -> Vec<Fault> {
    let mut tracker = FaultTracker::default();
    for stamped in events {
        tracker.apply(stamped);
    }
    let mut singles = tracker.finish(end_us);
    singles.sort_by(|a, b| (&a.trouble, a.since_us, a.subject).cmp(&(&b.trouble, b.since_us, b.subject)));
    let mut groups: Vec<Vec<Single>> = Vec::new();
    for single in singles {
        let near = |other: &Single| {
            other.trouble == single.trouble
                && other.since_us.abs_diff(single.since_us) <= TOGETHER_US
                && other.until_us.abs_diff(single.until_us) <= TOGETHER_US
        };
        match groups.iter_mut().rev().find(|group| near(&group[0])) {
            Some(group) => group.push(single),
            None => groups.push(vec![single]),
        }
    }
    let mut faults: Vec<Fault> = groups.iter().map(|group| together(group)).collect();
    faults.sort_by_key(|fault| (fault.since_us, fault.until_us));
    faults.truncate(FAULTS_MAX);
    faults
}

#[derive(Debug, Default)]
struct FaultTracker {
    open: BTreeMap<Subject, (Trouble, u64)>,
    over: Vec<Single>,
    /// Nodes that somebody has asked to end, and which have not been started since.
    doomed: BTreeSet<NodeId>,
}

impl FaultTracker {
    fn apply(&mut self, stamped: &Stamped) {
        let t_us = stamped.t_us;
        match &stamped.event {
            LabEvent::Link { from, to, state } => self.set(Subject::Link(*from, *to), link(*state), t_us),
            LabEvent::Process { node, state } => {
                if matches!(state, ProcessState::Running { .. }) {
                    self.doomed.remove(node);
                }
                // Between spawning and readiness a node that was down is still down.
                if !matches!(state, ProcessState::Starting { .. }) {
                    self.set(Subject::Node(*node), process(state), t_us);
                }
            }
            LabEvent::Condition { node, condition: NodeCondition::Disk(disk) } => {
                self.set(Subject::Disk(*node), disk_trouble(*disk), t_us);
            }
            // A jump is over at once.
            LabEvent::Condition { node, condition: NodeCondition::Clock(clock) } => {
                if let Some(permille) = clock.permille() {
                    self.set(Subject::Clock(*node), clock_trouble(permille), t_us);
                }
            }
            LabEvent::Action { action, error: None, .. } => {
                self.doomed.extend(ends(action));
            }
            _ => {}
        }
    }

    fn set(&mut self, subject: Subject, trouble: Option<Trouble>, t_us: u64) {
        if self.open.get(&subject).map(|(open, _)| open) == trouble.as_ref() {
            return;
        }
        if let Some((trouble, since_us)) = self.open.remove(&subject) {
            self.over.push(Single { subject, trouble, since_us, until_us: t_us });
        }
        if let Some(trouble) = trouble {
            self.open.insert(subject, (trouble, t_us));
        }
    }

    /// A node that ended, was not started again, and that nobody had asked to end: the lab itself was ending.
    fn finish(mut self, end_us: u64) -> Vec<Single> {
        for (subject, (trouble, since_us)) in std::mem::take(&mut self.open) {
            let by_the_lab = matches!(subject, Subject::Node(node) if !self.doomed.contains(&node));
            if trouble.detail == STOPPED && by_the_lab {
                continue;
            }
            self.over.push(Single { subject, trouble, since_us, until_us: end_us.max(since_us) });
        }
        self.over
    }
}

/// The node that an action ends.
fn ends(action: &Action) -> Option<NodeId> {
    match action {
        Action::Kill { node }
        | Action::PowerLoss { node }
        | Action::TearTail { node }
        | Action::Wipe { node }
        | Action::Terminate { node } => Some(*node),
        _ => None,
    }
}

/// A node that the lab has ended, as opposed to one that died.
const STOPPED: &str = "down";

fn link(state: LinkState) -> Option<Trouble> {
    match state {
        LinkState::Up => None,
        LinkState::Cut => Some(Trouble { kind: FaultKind::Cut, detail: "cut".to_owned() }),
        LinkState::Slow(how) => {
            Some(Trouble { kind: FaultKind::Slow, detail: format!("slow {}", words::slow_link(&how)) })
        }
    }
}

fn disk_trouble(disk: DiskCondition) -> Option<Trouble> {
    let bad = disk != DiskCondition::Ok;
    bad.then(|| Trouble { kind: FaultKind::Inside, detail: format!("{} of", words::disk(disk)) })
}

fn clock_trouble(permille: u16) -> Option<Trouble> {
    let detail = || format!("clock {} of", words::clock_rate(permille));
    (permille != CLOCK_PERMILLE_TRUE).then(|| Trouble { kind: FaultKind::Inside, detail: detail() })
}

fn process(state: &ProcessState) -> Option<Trouble> {
    match state {
        ProcessState::Running { .. } | ProcessState::Starting { .. } => None,
        ProcessState::Paused { .. } => Some(Trouble { kind: FaultKind::Paused, detail: "paused".to_owned() }),
        ProcessState::Stopped { .. } => Some(Trouble { kind: FaultKind::Down, detail: STOPPED.to_owned() }),
        ProcessState::Died { .. } => Some(Trouble { kind: FaultKind::Down, detail: "died".to_owned() }),
    }
}

fn together(group: &[Single]) -> Fault {
    let trouble = &group[0].trouble;
    let nodes = group.iter().filter_map(|single| match single.subject {
        Subject::Node(node) | Subject::Disk(node) | Subject::Clock(node) => Some(node),
        Subject::Link(..) => None,
    });
    let links: BTreeSet<_> = group
        .iter()
        .filter_map(|single| match single.subject {
            Subject::Link(from, to) => Some((from, to)),
            Subject::Node(_) | Subject::Disk(_) | Subject::Clock(_) => None,
        })
        .collect();
    let subjects: Vec<String> = nodes.map(|node| node.to_string()).chain(links_say(links)).collect();
    Fault {
        kind: trouble.kind,
        since_us: group.iter().map(|single| single.since_us).min().unwrap_or_default(),
        until_us: group.iter().map(|single| single.until_us).max().unwrap_or_default(),
        what: format!("{} {}", trouble.detail, subjects.join("; ")),
    }
}

/// Links in few words: `n1 ↔ n2, n3` rather than four arrows; the node with the most links first.
fn links_say(mut links: BTreeSet<(NodeId, NodeId)>) -> Vec<String> {
    let mut said = Vec::new();
    let list = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    loop {
        let both = |node: NodeId, links: &BTreeSet<(NodeId, NodeId)>| -> Vec<NodeId> {
            let to = links.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to);
            to.filter(|to| links.contains(&(*to, node))).collect()
        };
        let nodes: BTreeSet<NodeId> = links.iter().map(|(from, _)| *from).collect();
        let most = nodes.into_iter().rev().max_by_key(|node| both(*node, &links).len());
        let Some((node, others)) = most.map(|node| (node, both(node, &links))).filter(|(_, o)| !o.is_empty())
        else {
            break;
        };
        for other in &others {
            links.remove(&(node, *other));
            links.remove(&(*other, node));
        }
        said.push(format!("{node} ↔ {}", list(&others)));
    }
    let one_way = links.iter().map(|(from, to)| format!("{from} → {to}"));
    said.extend(one_way);
    said
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvlab::types::ClockCondition;

    use super::*;
    use crate::action::SlowLink;
    use crate::run::event::Actor;

    const N: [NodeId; 4] = [NodeId(0), NodeId(1), NodeId(2), NodeId(3)];

    fn at(ms: u64, event: LabEvent) -> Stamped {
        Stamped { t_us: ms * 1000, event }
    }

    fn link(ms: u64, from: usize, to: usize, state: LinkState) -> Stamped {
        at(ms, LabEvent::Link { from: N[from], to: N[to], state })
    }

    fn process(ms: u64, node: usize, state: ProcessState) -> Stamped {
        at(ms, LabEvent::Process { node: N[node], state })
    }

    fn said(events: &[Stamped]) -> Vec<(String, u64, u64)> {
        faults(events, 9_000_000)
            .into_iter()
            .map(|f| (f.what, f.since_us / 1000, f.until_us / 1000))
            .collect()
    }

    #[test]
    fn a_partition_is_one_fault_and_a_one_way_cut_has_its_direction() {
        use LinkState::{Cut, Up};
        let mut events: Vec<_> =
            [(1, 2), (2, 1), (1, 3), (3, 1)].map(|(a, b)| link(2000 + a as u64, a, b, Cut)).into();
        events.push(link(3000, 2, 3, Cut));
        events.extend([(1, 2), (2, 1), (1, 3), (3, 1)].map(|(a, b)| link(7000, a, b, Up)));
        events.push(link(8000, 2, 3, Up));
        assert_eq!(
            said(&events),
            [("cut n1 ↔ n2, n3".to_owned(), 2001, 7000), ("cut n2 → n3".to_owned(), 3000, 8000)]
        );
    }

    #[test]
    fn what_is_not_mended_lasts_to_the_end_and_slow_links_say_how_slow() {
        let slow = |ms| LinkState::Slow(SlowLink::by(Duration::from_millis(ms), Duration::ZERO));
        let events = [link(1000, 1, 2, slow(80)), link(1000, 2, 1, slow(80)), link(1000, 1, 3, slow(500))];
        let lasting = |what: &str| (what.to_owned(), 1000, 9000);
        assert_eq!(said(&events), [lasting("slow by 500 ms n1 → n3"), lasting("slow by 80 ms n1 ↔ n2")]);
    }

    #[test]
    fn a_bad_disk_and_an_odd_clock_are_faults_until_they_are_taken_back() {
        let condition = |ms, condition| at(ms, LabEvent::Condition { node: N[1], condition });
        let clock = NodeCondition::Clock;
        let events = [
            condition(1000, NodeCondition::Disk(DiskCondition::Full)),
            condition(1500, clock(ClockCondition::Rate { permille: 1500 })),
            condition(1600, clock(ClockCondition::Jump { by: Duration::from_secs(9) })),
            condition(2000, NodeCondition::Disk(DiskCondition::Ok)),
            condition(3000, clock(ClockCondition::Ok)),
        ];
        let over = [("full disk of n1".to_owned(), 1000, 2000), ("clock ×1.5 of n1".to_owned(), 1500, 3000)];
        assert_eq!(said(&events), over);
    }

    #[test]
    fn a_kill_is_a_fault_and_the_end_of_the_lab_is_none() {
        let running = || ProcessState::Running { pid: 1, client: String::new(), peer: String::new() };
        let stopped = || ProcessState::Stopped { how: "SIGKILL".to_owned() };
        let kill = |node| LabEvent::Action { by: Actor::Person, action: Action::Kill { node }, error: None };
        let events = [
            process(100, 1, running()),
            process(100, 2, running()),
            at(1000, kill(N[1])),
            process(1001, 1, stopped()),
            process(2000, 1, ProcessState::Starting { pid: 2 }),
            process(2100, 1, running()),
            process(3000, 2, ProcessState::Paused { pid: 1 }),
            process(4000, 2, running()),
            at(5000, kill(N[2])),
            process(5001, 2, stopped()),
            process(8900, 1, stopped()),
        ];
        assert_eq!(
            said(&events),
            [
                ("down n1".to_owned(), 1001, 2100),
                ("paused n2".to_owned(), 3000, 4000),
                ("down n2".to_owned(), 5001, 9000)
            ]
        );
    }
}
