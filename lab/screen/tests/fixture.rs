//! A made-up run for tests and pictures: three nodes, a split brain, and its healing.
//!
//! Events come at the pace of a real run: statuses and load samples ten times a second.

use std::time::Duration;

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{
    Ballot, Epoch, Event, MemberVote, NodeId, NodeStatus, PeerStatus, Position, Quirks, Report, ResyncReason,
    Role, Status, Vote,
};

use crate::action::{Action, SlowLink};
use crate::run::event::*;

mod broken;

pub use self::broken::broken_promise;

/// The members.
pub const N1: NodeId = NodeId(1);
/// The second.
pub const N2: NodeId = NodeId(2);
/// The third.
pub const N3: NodeId = NodeId(3);

/// Moments of [`split_brain`], in microseconds.
pub mod moment {
    /// All is well, and the load runs.
    pub const CALM: u64 = 3_500_000;
    /// The primary is isolated.
    pub const ISOLATED: u64 = 5_800_000;
    /// There are two primaries.
    pub const SPLIT: u64 = 9_600_000;
    /// Healed, settled and judged.
    pub const HEALED: u64 = 13_500_000;
}

/// Whether a person plays at the keys, or a scenario does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    /// `kvlab up 3`.
    Person,
    /// `kvlab run split-brain`.
    Scenario,
}

/// Builds a list of events in time order.
#[derive(Debug)]
pub struct Tale {
    events: Vec<Stamped>,
    t_us: u64,
    nodes: Vec<Actor3>,
    load_on: bool,
    failing: u64,
    i: u64,
}

/// What a node of the tale is.
#[derive(Clone, Debug)]
struct Actor3 {
    id: NodeId,
    up: bool,
    role: Role,
    epoch: Epoch,
    log_epoch: Epoch,
    seq: u64,
    commit: u64,
    alone: bool,
    heard_us: u64,
}

const E1: Epoch = Epoch::new(1, N1);
const E2: Epoch = Epoch::new(2, N2);

impl Tale {
    /// A run of so many nodes, not started yet.
    pub fn new(nodes: u8, scenario: Option<ScenarioHeader>) -> Self {
        let ids: Vec<_> = (1..=nodes).map(NodeId).collect();
        let node = |&id: &NodeId| Actor3 {
            id,
            up: false,
            role: Role::Replica,
            epoch: Epoch::ZERO,
            log_epoch: Epoch::ZERO,
            seq: 0,
            commit: 0,
            alone: false,
            heard_us: 0,
        };
        let nodes = ids.iter().map(node).collect();
        let mut tale = Self { events: vec![], t_us: 0, nodes, load_on: false, failing: 0, i: 0 };
        tale.emit(LabEvent::Header(Header {
            version: EVENTS_VERSION,
            kvlab: "0.1.0".to_owned(),
            seed: 7,
            nodes: ids,
            started_unix_s: 1_790_000_000,
            run_dir: "runs/1".to_owned(),
            quirks: Quirks::NONE,
            scenario,
        }));
        tale
    }

    /// An event, now.
    pub fn emit(&mut self, event: LabEvent) -> &mut Self {
        self.events.push(Stamped { t_us: self.t_us, event });
        self
    }

    /// Something that a node says.
    pub fn says(&mut self, node: NodeId, event: Event) -> &mut Self {
        self.emit(LabEvent::Node { node, report: Report::Event { uptime_ms: self.t_us / 1000, event } })
    }

    /// Something done.
    pub fn act(&mut self, by: Actor, action: Action) -> &mut Self {
        self.emit(LabEvent::Action { by, action, error: None })
    }

    /// Time passes until `t_us`; everybody who is up reports ten times a second.
    pub fn until(&mut self, t_us: u64) -> &mut Self {
        while self.t_us + 100_000 <= t_us {
            self.t_us += 100_000;
            self.tick();
        }
        self.t_us = t_us;
        self
    }

    /// All events.
    pub fn events(self) -> Vec<Stamped> {
        self.events
    }

    fn node(&mut self, id: NodeId) -> &mut Actor3 {
        &mut self.nodes[usize::from(id.0) - 1]
    }

    fn tick(&mut self) {
        let wave = self.t_us / 100_000 % 7;
        let share =
            if self.nodes.iter().filter(|n| n.up && n.role == Role::Primary).count() > 1 { 15 } else { 30 };
        let t_us = self.t_us;
        if self.load_on {
            for node in self.nodes.iter_mut().filter(|n| n.up && n.role == Role::Primary) {
                node.seq += if node.alone { 12 } else { share - 3 + wave };
                node.commit = if node.alone { node.commit } else { node.seq.saturating_sub(wave % 3) };
            }
        }
        let leader = self
            .nodes
            .iter()
            .filter(|n| n.role == Role::Primary && !n.alone)
            .max_by_key(|n| n.epoch)
            .cloned();
        for node in self.nodes.iter_mut().filter(|n| n.up && n.role != Role::Primary && !n.alone) {
            if let Some(leader) = &leader {
                node.seq = leader.seq.saturating_sub(u64::from(node.id.0) + wave % 2);
                (node.commit, node.heard_us) = (leader.commit.min(node.seq), t_us - 30_000);
            }
        }
        for node in self.nodes.clone().into_iter().filter(|n| n.up) {
            let status = self.status(&node, leader.as_ref());
            self.emit(LabEvent::Node { node: node.id, report: Report::Status(status) });
        }
        self.sample(wave);
    }

    fn sample(&mut self, wave: u64) {
        let slow = if self.failing > 0 { 9 } else { 1 };
        let ok = if self.load_on { 30 - self.failing.min(25) + wave % 3 } else { 0 };
        self.emit(LabEvent::Load(LoadSample {
            on: self.load_on,
            rate: 300,
            interval_us: 100_000,
            ok,
            failed: self.failing / 3,
            unknown: self.failing / 4,
            p50_us: if ok > 0 { 1_700 + wave * 50 } else { 0 },
            p99_us: if ok > 0 { (5_200 + wave * 310) * slow } else { 0 },
            max_us: if ok > 0 { 11_000 * slow } else { 0 },
        }));
    }

    fn status(&self, node: &Actor3, leader: Option<&Actor3>) -> NodeStatus {
        let leads = node.role == Role::Primary;
        let peer = |other: &Actor3| PeerStatus {
            id: other.id,
            acked: other.seq.min(node.seq),
            lag: node.seq.saturating_sub(other.seq),
            heard_ms: Some(if node.alone || other.alone {
                self.t_us.saturating_sub(4_000_000) / 1000
            } else {
                20
            }),
            connected: !(node.alone || other.alone),
            resyncing: false,
        };
        let heard = (!leads && node.heard_us > 0).then(|| self.t_us.saturating_sub(node.heard_us) / 1000);
        NodeStatus {
            replication: Status {
                id: node.id,
                role: node.role,
                epoch: node.epoch,
                promised: node.epoch,
                primary: (node.epoch != Epoch::ZERO).then_some(node.epoch.node),
                last: Position::new(node.log_epoch, node.seq),
                durable: node.seq,
                commit: node.commit,
                lag: if leads { None } else { leader.map(|l| l.seq.saturating_sub(node.seq)) },
                heard_ms: heard,
                stale: heard.is_some_and(|ms| ms > 5_000),
                disk_full: false,
                resync: None,
                resyncs: Default::default(),
                backlog: kvlab::types::BacklogStatus {
                    bytes: node.seq * 300,
                    bytes_max: 16 << 20,
                    covers_ms: leads.then_some(250_000),
                },
                peers: if leads {
                    self.nodes.iter().filter(|o| o.id != node.id).map(peer).collect()
                } else {
                    vec![]
                },
                quirks: Quirks::NONE,
            },
            applied_per_s: if self.load_on {
                if node.alone { 120 } else { 300 - u64::from(node.id.0) }
            } else {
                0
            },
            connections: 3,
            keys: node.seq / 2,
            log_bytes: node.seq * 180,
            disk: Box::default(),
            uptime_ms: self.t_us / 1000,
            pid: 41_200 + u32::from(node.id.0),
        }
    }

    /// Every node starts, and n1 opens the first epoch.
    pub fn start(&mut self) -> &mut Self {
        let ids: Vec<_> = self.nodes.iter().map(|n| n.id).collect();
        for &node in &ids {
            let pid = 41_200 + u32::from(node.0);
            self.emit(LabEvent::Process { node, state: ProcessState::Starting { pid } });
        }
        self.t_us = 80_000;
        for &node in &ids {
            let pid = 41_200 + u32::from(node.0);
            let client = format!("127.0.0.1:700{}", node.0);
            let peer = format!("127.0.0.1:4510{}", node.0);
            self.emit(LabEvent::Process { node, state: ProcessState::Running { pid, client, peer } });
            self.emit(LabEvent::Watch { node, up: true });
            self.node(node).up = true;
        }
        self.t_us = 140_000;
        self.says(N1, Event::EpochOpened { epoch: E1, forced: false, voters: ids.clone() });
        for &node in &ids {
            let actor = self.node(node);
            (actor.epoch, actor.log_epoch, actor.seq) = (E1, E1, 1);
            if node == N1 {
                actor.role = Role::Primary;
            } else {
                self.says(node, Event::Following { epoch: E1 });
            }
        }
        self.says(N1, Event::EpochEstablished { epoch: E1 })
    }

    /// Cuts a node off from all others, or heals it.
    pub fn cut(&mut self, id: NodeId, cut: bool) -> &mut Self {
        let state = if cut { LinkState::Cut } else { LinkState::Up };
        let others: Vec<_> = self.nodes.iter().map(|n| n.id).filter(|&n| n != id).collect();
        for other in others {
            self.emit(LabEvent::Link { from: id, to: other, state });
            self.emit(LabEvent::Link { from: other, to: id, state });
        }
        self.node(id).alone = cut;
        self
    }

    /// A client operation; `votes` gives a letter for each member: `a` ack, `n` nack, `p` pending, `t` timeout,
    /// `x` no link.
    pub fn operate(&mut self, o: Made<'_>) -> &mut Self {
        self.i += 2;
        let vote = |c: char| match c {
            'a' => Vote::Ack,
            'n' => Vote::Nack,
            'p' => Vote::Pending,
            't' => Vote::Timeout,
            _ => Vote::Unreachable,
        };
        let member = |(i, c): (u8, char)| MemberVote { node: NodeId(i), vote: vote(c), after_us: None };
        let votes = (1..).zip(o.votes.chars()).map(member).collect();
        let position = matches!(o.outcome, Outcome::Ok).then(|| self.node(o.home)).map(|n| (n.epoch, n.seq));
        let operation = Operation {
            i: self.i + 10_000,
            by: o.by,
            home: o.home,
            node: Some(o.home),
            op: o.op,
            consistency: o.level,
            key: o.key.to_owned(),
            value: o.value.map(str::to_owned),
            outcome: o.outcome,
            epoch: position.map(|p| p.0),
            seq: position.map(|p| p.1),
            votes,
            took_us: o.took_us,
            stale_ms: o.stale_ms,
        };
        self.emit(LabEvent::Operation(operation))
    }
}

/// The parts of an operation that a tale tells.
#[derive(Clone, Debug)]
pub struct Made<'a> {
    /// Who asked.
    pub by: Option<Actor>,
    /// In whose zone.
    pub home: NodeId,
    /// What.
    pub op: OpKind,
    /// At which level.
    pub level: Consistency,
    /// Which key.
    pub key: &'a str,
    /// Written or seen.
    pub value: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// A letter for each member.
    pub votes: &'a str,
    /// How long it took.
    pub took_us: u64,
    /// How old what was seen was.
    pub stale_ms: Option<u64>,
}

/// A put in the background.
pub fn put(home: NodeId, level: Consistency, key: &str) -> Made<'_> {
    let votes = if level == Consistency::Quorum { "aap" } else { "" };
    Made {
        by: None,
        home,
        op: OpKind::Put,
        level,
        key,
        value: Some("w1207"),
        outcome: Outcome::Ok,
        votes,
        took_us: 1_930,
        stale_ms: None,
    }
}

/// A get in the background.
pub fn get(home: NodeId, level: Consistency, key: &str) -> Made<'_> {
    let votes = if level == Consistency::Quorum { "paa" } else { "" };
    Made { op: OpKind::Get, value: Some("w1204"), votes, took_us: 1_210, ..put(home, level, key) }
}

fn header() -> ScenarioHeader {
    let steps = [
        "isolate the primary",
        "promote replica-1 by force",
        "wait for 2 primaries",
        "heal all",
        "wait until converged",
    ];
    ScenarioHeader {
        name: "split-brain".to_owned(),
        title: "Split brain".to_owned(),
        episode: Some("015".to_owned()),
        story: Some("The operator promotes a replica while the old primary is still alive.".to_owned()),
        crc32: 0x5eed,
        steps: steps.map(str::to_owned).to_vec(),
    }
}

/// The verdict of the tale so far.
pub fn verdict(settled: bool) -> Verdict {
    Verdict {
        promise: PromiseVerdict {
            linearizable: Some(true),
            checked_i: 10_480,
            quorum_writes_acked: 812,
            quorum_writes_lost: settled.then_some(0),
            quorum_writes_unread: if settled { 0 } else { 403 },
            quorum_writes_doubtful: 0,
            quorum_writes_released: 0,
            members_equal: settled.then_some(true),
            violations: vec![],
            violations_total: 0,
        },
        harm: HarmVerdict {
            async_writes_acked: 1_630,
            async_writes_lost: settled.then_some(212),
            async_writes_unread: if settled { 0 } else { 810 },
            async_writes_doubtful: 0,
            async_writes_released: 0,
            stale_reads: 37,
            stale_max_ms: 3_010,
            refused_stale: 0,
            unknown: 11,
            unavailable_ms: 640,
        },
    }
}

/// The run: see [`moment`] for what is when.
pub fn split_brain(player: Player) -> Vec<Stamped> {
    let scenario = player == Player::Scenario;
    let by = |step: usize| if scenario { Actor::Step(step) } else { Actor::Person };
    let mut tale = Tale::new(3, scenario.then(header));
    tale.start();
    tale.load_on = true;
    before_the_cut(&mut tale);
    tale.until(4_000_000);
    step(&mut tale, scenario, 1, Some("Cut the primary off. It does not know."), 4_000_000);
    tale.act(by(1), Action::Isolate { node: N1 }).cut(N1, true);
    tale.failing = 12;
    tale.until(4_300_000).emit(LabEvent::Verdict(verdict(false)));
    tale.until(5_000_000).operate(Made {
        votes: "axx",
        outcome: Outcome::Unknown("not committed in time".to_owned()),
        took_us: 500_200,
        by: Some(by(1)),
        ..put(N1, Consistency::Quorum, "demo")
    });
    tale.operate(Made { by: Some(by(1)), took_us: 420, ..put(N1, Consistency::Async, "solo") });
    promotion(&mut tale, scenario, by(2));
    split(&mut tale, scenario);
    healing(&mut tale, scenario, by(4));
    tale.events()
}

fn step(tale: &mut Tale, scenario: bool, index: usize, say: Option<&str>, since_us: u64) {
    if !scenario {
        return;
    }
    if index > 1 {
        tale.emit(LabEvent::Scenario(ScenarioEvent::StepDone { index: index - 1 }));
    }
    let (say, until_us) = (say.map(str::to_owned), Some(since_us + 3_000_000));
    tale.emit(LabEvent::Scenario(ScenarioEvent::Step { index, say, since_us, until_us }));
}

fn before_the_cut(tale: &mut Tale) {
    tale.emit(LabEvent::Verdict(Verdict {
        promise: PromiseVerdict { linearizable: Some(true), checked_i: 210, ..PromiseVerdict::default() },
        ..Verdict::default()
    }));
    tale.until(2_000_000).operate(Made { by: Some(Actor::Person), ..put(N1, Consistency::Quorum, "demo") });
    tale.until(2_400_000).operate(put(N2, Consistency::Quorum, "r3")).operate(get(
        N3,
        Consistency::Quorum,
        "r3",
    ));
    tale.until(3_000_000).operate(put(N1, Consistency::Async, "a5")).operate(get(
        N2,
        Consistency::Eventual,
        "a5",
    ));
    tale.until(3_300_000).operate(put(N3, Consistency::Quorum, "r1"));
}

fn promotion(tale: &mut Tale, scenario: bool, by: Actor) {
    tale.until(6_000_000);
    step(tale, scenario, 2, Some("An operator promotes a replica. n1 still takes writes."), 6_000_000);
    let claim = Epoch::new(2, N3);
    let refused = Ballot::Ahead {
        voter: N2,
        voter_last: Position::new(E1, 1_219),
        candidate_last: Position::new(E1, 1_198),
    };
    tale.says(N3, Event::Campaign { epoch: claim, pre: false, operator: true });
    tale.says(N2, Event::Voted { epoch: claim, ballot: refused });
    tale.says(N3, Event::CampaignLost { epoch: claim, ballots: vec![(N1, None), (N2, Some(refused))] });
    tale.until(6_400_000).act(by, Action::Promote { node: N2, force: false });
    tale.says(N2, Event::Campaign { epoch: E2, pre: false, operator: true });
    tale.says(N3, Event::Voted { epoch: E2, ballot: Ballot::Granted });
    tale.says(N2, Event::EpochOpened { epoch: E2, forced: false, voters: vec![N2, N3] });
    for id in [N2, N3] {
        let actor = tale.node(id);
        (actor.epoch, actor.log_epoch) = (E2, E2);
        actor.seq += 1;
    }
    tale.node(N2).role = Role::Primary;
    tale.says(N3, Event::Following { epoch: E2 });
    tale.until(6_450_000).says(N2, Event::EpochEstablished { epoch: E2 });
    tale.failing = 4;
}

fn split(tale: &mut Tale, scenario: bool) {
    tale.until(7_000_000);
    step(tale, scenario, 3, None, 7_000_000);
    let asked = scenario.then_some(Actor::Step(3)).or(Some(Actor::Person));
    tale.operate(put(N2, Consistency::Quorum, "r4"));
    tale.until(7_600_000).operate(Made { votes: "xaa", ..put(N2, Consistency::Quorum, "r1") });
    tale.until(8_000_000).operate(Made {
        by: asked,
        stale_ms: Some(1_600),
        took_us: 310,
        ..get(N1, Consistency::Eventual, "demo")
    });
    tale.until(8_200_000).operate(Made {
        votes: "axx",
        outcome: Outcome::Failed("no quorum answered in one epoch".to_owned()),
        took_us: 500_400,
        by: asked,
        ..get(N1, Consistency::Quorum, "demo")
    });
    tale.until(8_700_000).operate(Made { votes: "xpa", ..get(N3, Consistency::Quorum, "r4") });
    tale.operate(Made { took_us: 390, ..put(N1, Consistency::Async, "a2") });
    tale.until(9_000_000).operate(Made {
        votes: "att",
        outcome: Outcome::Unknown("not committed in time".to_owned()),
        took_us: 500_000,
        ..put(N1, Consistency::Quorum, "r2")
    });
    tale.until(9_300_000).operate(Made { votes: "xaa", ..put(N3, Consistency::Quorum, "r2") });
}

fn healing(tale: &mut Tale, scenario: bool, by: Actor) {
    tale.until(10_000_000);
    step(
        tale,
        scenario,
        4,
        Some("Heal. The higher epoch wins; n1 must forget what it promised."),
        10_000_000,
    );
    tale.act(by, Action::HealAll).cut(N1, false);
    tale.failing = 0;
    let end = Position::new(E1, tale.node(N1).seq);
    let at = Position::new(E2, tale.node(N2).seq);
    tale.until(10_120_000).says(N1, Event::SteppedDown { epoch: E1, by: E2 });
    tale.says(N1, Event::Following { epoch: E2 });
    tale.says(N2, Event::FullResyncStarted { node: N1, from: end, reason: ResyncReason::Diverged });
    tale.node(N1).role = Role::Replica;
    tale.node(N1).epoch = E2;
    let file = Some("rollback/1@n1-1220.jsonl".to_owned());
    tale.until(10_400_000).says(N1, Event::FullResyncInstalled { at, discarded: 605, file });
    tale.node(N1).log_epoch = E2;
    tale.until(11_000_000);
    if scenario {
        tale.emit(LabEvent::Scenario(ScenarioEvent::StepDone { index: 4 }));
        tale.emit(LabEvent::Scenario(ScenarioEvent::StepDone { index: 5 }));
        tale.emit(LabEvent::Scenario(ScenarioEvent::Settling { until_us: 21_000_000 }));
    }
    tale.until(12_000_000);
    tale.load_on = false;
    tale.emit(LabEvent::Verdict(verdict(true)));
    if scenario {
        outcome(tale);
    }
    tale.until(13_900_000);
}

fn outcome(tale: &mut Tale) {
    tale.emit(LabEvent::Scenario(ScenarioEvent::ReadingBack { done: 2_442, total: 2_442 }));
    for (name, expected, actual) in [
        ("promise.quorum_writes_lost", "0", "0"),
        ("promise.linearizable", "true", "true"),
        ("harm.async_writes_lost", ">0", "212"),
    ] {
        tale.emit(LabEvent::Scenario(ScenarioEvent::Expectation(Expectation {
            name: name.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
            held: Some(true),
        })));
    }
    tale.emit(LabEvent::Scenario(ScenarioEvent::Finished { outcome: RunOutcome::AsExpected, why: None }));
}

/// Links that are slow, one-way or part cut, and nodes that are paused, stopped or dead, among `nodes` nodes.
pub fn many_faults(nodes: u8) -> Vec<Stamped> {
    let mut tale = Tale::new(nodes, None);
    tale.start();
    tale.load_on = true;
    tale.until(3_000_000);
    let slow = LinkState::Slow(SlowLink::by(Duration::from_millis(80), Duration::from_millis(10)));
    tale.emit(LabEvent::Link { from: N1, to: N2, state: slow });
    tale.emit(LabEvent::Link { from: N2, to: N1, state: slow });
    tale.act(Actor::Person, Action::Cut { from: N3, to: N1 });
    tale.emit(LabEvent::Link { from: N3, to: N1, state: LinkState::Cut });
    if nodes >= 5 {
        let (paused, dead) = (NodeId(4), NodeId(5));
        tale.act(Actor::Person, Action::Pause { node: paused });
        tale.emit(LabEvent::Process { node: paused, state: ProcessState::Paused { pid: 41_204 } });
        tale.node(paused).up = false;
        tale.until(4_000_000);
        let how = "exit status: 101".to_owned();
        tale.emit(LabEvent::Process { node: dead, state: ProcessState::Died { how } });
        tale.node(dead).up = false;
    }
    tale.until(7_200_000);
    tale.events()
}
