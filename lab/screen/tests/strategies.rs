//! Arbitrary events: every kind, in any order, with any numbers in them.

use std::time::Duration;

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{
    Ballot, ClockCondition, DiskCondition, EPOCH_NUMBER_MAX, Epoch, Event, MemberVote, NodeCondition, NodeId,
    NodeStatus, PeerStatus, Position, Quirk, Quirks, ReadLevel, Report, ResyncReason, Resyncs, Role, SEQ_MAX,
    Status, Vote, WriteLevel,
};
use proptest::prelude::*;

use crate::action::{Action, SlowLink};
use crate::run::event::*;

/// Members and strangers.
pub fn node() -> impl Strategy<Value = NodeId> {
    (1u8..=11).prop_map(NodeId)
}

/// Small numbers, large ones, and the ends. Boxed, since an event has many: else they overflow the stack of a test.
pub fn number() -> BoxedStrategy<u64> {
    prop_oneof![0u64..20, 0u64..2_000_000, Just(u64::MAX), any::<u64>()].boxed()
}

/// Words, long texts, wide signs, control characters, nothing.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        "[a-z ]{0,200}",
        "\\PC{0,20}",
        Just("\u{1b}[2J\n\t\0".to_owned()),
        Just("日本語 ✓ e\u{301}".to_owned())
    ]
}

pub fn epoch() -> impl Strategy<Value = Epoch> {
    let bounded = number().prop_map(|number| number.min(EPOCH_NUMBER_MAX));
    (bounded, prop_oneof![Just(NodeId::NONE), node()]).prop_map(|(number, node)| Epoch { number, node })
}

fn position() -> impl Strategy<Value = Position> {
    (epoch(), number()).prop_map(|(epoch, seq)| Position { epoch, seq: seq.min(SEQ_MAX) })
}

fn duration() -> impl Strategy<Value = Duration> {
    number().prop_map(Duration::from_micros)
}

fn ballot() -> impl Strategy<Value = Ballot> {
    prop_oneof![
        Just(Ballot::Granted),
        Just(Ballot::Learner),
        epoch().prop_map(|promised| Ballot::Voted { promised }),
        epoch().prop_map(|promised| Ballot::Promised { promised }),
        node().prop_map(|primary| Ballot::PrimaryAlive { primary }),
        (node(), position(), position()).prop_map(|(voter, voter_last, candidate_last)| Ballot::Ahead {
            voter,
            voter_last,
            candidate_last
        }),
    ]
}

fn core_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (epoch(), any::<bool>(), any::<bool>()).prop_map(|(epoch, pre, operator)| Event::Campaign {
            epoch,
            pre,
            operator
        }),
        (epoch(), prop::collection::vec((node(), prop::option::of(ballot())), 0..5))
            .prop_map(|(epoch, ballots)| Event::CampaignLost { epoch, ballots }),
        (epoch(), any::<bool>(), prop::collection::vec(node(), 0..5))
            .prop_map(|(epoch, forced, voters)| Event::EpochOpened { epoch, forced, voters }),
        epoch().prop_map(|epoch| Event::EpochEstablished { epoch }),
        (epoch(), epoch()).prop_map(|(epoch, by)| Event::SteppedDown { epoch, by }),
        epoch().prop_map(|epoch| Event::Following { epoch }),
        (epoch(), ballot()).prop_map(|(epoch, ballot)| Event::Voted { epoch, ballot }),
        (node(), position(), number()).prop_map(|(node, from, entries)| Event::PartialResync {
            node,
            from,
            entries
        }),
        (node(), position(), any::<bool>()).prop_map(|(node, from, diverged)| Event::FullResyncStarted {
            node,
            from,
            reason: if diverged { ResyncReason::Diverged } else { ResyncReason::CleanedUp },
        }),
        (node(), position()).prop_map(|(node, at)| Event::FullResyncSent { node, at }),
        (position(), number(), prop::option::of(text()))
            .prop_map(|(at, discarded, file)| Event::FullResyncInstalled { at, discarded, file }),
        (node(), position()).prop_map(|(node, record)| Event::FullResyncRefused { node, record }),
        any::<bool>().prop_map(|stale| Event::Stale { stale }),
        any::<bool>().prop_map(|full| Event::DiskFull { full }),
        Just(Event::LearnerGraduated),
        (position(), text(), text(), number()).prop_map(|(at, key, file, offset)| Event::ValueDamaged {
            at,
            key,
            file,
            offset
        }),
        position().prop_map(|at| Event::ValueRepaired { at }),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Primary), Just(Role::Replica), Just(Role::Candidate), Just(Role::Learner)]
}

fn peer() -> impl Strategy<Value = PeerStatus> {
    (node(), number(), number(), prop::option::of(number()), any::<bool>(), any::<bool>()).prop_map(
        |(id, acked, lag, heard_ms, connected, resyncing)| PeerStatus {
            id,
            acked,
            lag,
            heard_ms,
            connected,
            resyncing,
        },
    )
}

fn resyncs() -> impl Strategy<Value = Resyncs> {
    (number(), number(), number()).prop_map(|(partial, full, installed)| Resyncs { partial, full, installed })
}

fn status() -> impl Strategy<Value = NodeStatus> {
    let replication = (
        (node(), role(), epoch(), epoch(), prop::option::of(node()), position()),
        (number(), number(), prop::option::of(number()), prop::option::of(number()), any::<bool>()),
        (
            any::<bool>(),
            prop::option::of((number(), number())),
            resyncs(),
            prop::collection::vec(peer(), 0..4),
        ),
    )
        .prop_map(
            |(
                (id, role, epoch, promised, primary, last),
                (durable, commit, lag, heard_ms, stale),
                (disk_full, resync, resyncs, peers),
            )| {
                Status {
                    id,
                    role,
                    epoch,
                    promised,
                    primary,
                    last,
                    durable,
                    commit,
                    lag,
                    heard_ms,
                    stale,
                    disk_full,
                    resync,
                    resyncs,
                    backlog: kvlab::types::BacklogStatus {
                        bytes: commit,
                        bytes_max: durable,
                        covers_ms: lag,
                    },
                    peers,
                    quirks: Quirks::NONE,
                }
            },
        );
    (replication, number(), any::<u32>(), number(), number(), number(), any::<u32>()).prop_map(
        |(replication, applied_per_s, connections, keys, log_bytes, uptime_ms, pid)| NodeStatus {
            replication,
            applied_per_s,
            connections,
            keys,
            log_bytes,
            disk: Box::default(),
            uptime_ms,
            pid,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        3 => status().prop_map(Report::Status),
        3 => (number(), core_event()).prop_map(|(uptime_ms, event)| Report::Event { uptime_ms, event }),
        1 => (number(), text()).prop_map(|(uptime_ms, text)| Report::Notice { uptime_ms, text }),
    ]
}

fn process() -> impl Strategy<Value = ProcessState> {
    prop_oneof![
        any::<u32>().prop_map(|pid| ProcessState::Starting { pid }),
        (any::<u32>(), text(), text()).prop_map(|(pid, client, peer)| ProcessState::Running {
            pid,
            client,
            peer
        }),
        any::<u32>().prop_map(|pid| ProcessState::Paused { pid }),
        text().prop_map(|how| ProcessState::Stopped { how }),
        text().prop_map(|how| ProcessState::Died { how }),
    ]
}

fn link() -> impl Strategy<Value = LinkState> {
    prop_oneof![Just(LinkState::Up), Just(LinkState::Cut), slow().prop_map(LinkState::Slow),]
}

fn slow() -> impl Strategy<Value = SlowLink> {
    (duration(), duration(), 0u16..=1000, 0u16..=1000).prop_map(|(delay, jitter, loss, duplicate)| SlowLink {
        delay,
        jitter,
        loss,
        duplicate,
    })
}

fn disk() -> impl Strategy<Value = DiskCondition> {
    prop_oneof![
        Just(DiskCondition::Ok),
        Just(DiskCondition::Full),
        duration().prop_map(|by| DiskCondition::Slow { by }),
        Just(DiskCondition::SyncFails),
    ]
}

fn clock() -> impl Strategy<Value = ClockCondition> {
    prop_oneof![
        Just(ClockCondition::Ok),
        any::<u16>().prop_map(|permille| ClockCondition::Rate { permille }),
        duration().prop_map(|by| ClockCondition::Jump { by }),
    ]
}

fn condition() -> impl Strategy<Value = NodeCondition> {
    prop_oneof![disk().prop_map(NodeCondition::Disk), clock().prop_map(NodeCondition::Clock)]
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![Just(Actor::Person), any::<usize>().prop_map(Actor::Step), Just(Actor::Lab)]
}

fn action() -> impl Strategy<Value = Action> {
    let write = prop_oneof![Just(WriteLevel::Async), Just(WriteLevel::Quorum)];
    let read = prop_oneof![Just(ReadLevel::Eventual), Just(ReadLevel::Quorum)];
    prop_oneof![
        (node(), node()).prop_map(|(from, to)| Action::Cut { from, to }),
        (node(), node()).prop_map(|(from, to)| Action::Reset { from, to }),
        prop::collection::vec(prop::collection::vec(node(), 0..4), 0..4)
            .prop_map(|groups| Action::Partition { groups }),
        node().prop_map(|node| Action::Isolate { node }),
        (node(), node(), slow()).prop_map(|(from, to, how)| Action::Slow { from, to, how }),
        (node(), disk()).prop_map(|(node, condition)| Action::Disk { node, condition }),
        (node(), clock()).prop_map(|(node, condition)| Action::Clock { node, condition }),
        Just(Action::HealAll),
        node().prop_map(|node| Action::Heal { node }),
        node().prop_map(|node| Action::Kill { node }),
        node().prop_map(|node| Action::PowerLoss { node }),
        node().prop_map(|node| Action::TearTail { node }),
        node().prop_map(|node| Action::Wipe { node }),
        node().prop_map(|node| Action::Restart { node }),
        node().prop_map(|node| Action::Cleanup { node }),
        (node(), any::<bool>()).prop_map(|(node, force)| Action::Promote { node, force }),
        (node(), node()).prop_map(|(node, primary)| Action::Follow { node, primary }),
        (node(), text(), write).prop_map(|(node, key, level)| Action::Put { node, key, value: None, level }),
        (node(), text(), read).prop_map(|(node, key, level)| Action::Get { node, key, level }),
        any::<u32>().prop_map(|per_second| Action::Rate { per_second }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let op = prop_oneof![Just(OpKind::Put), Just(OpKind::Get), Just(OpKind::Del)];
    let level = prop_oneof![Just(Consistency::Async), Just(Consistency::Eventual), Just(Consistency::Quorum)];
    let vote = prop_oneof![
        Just(Vote::Ack),
        Just(Vote::Nack),
        Just(Vote::Pending),
        Just(Vote::Timeout),
        Just(Vote::Unreachable)
    ];
    let vote = (node(), vote, prop::option::of(number())).prop_map(|(node, vote, after_us)| MemberVote {
        node,
        vote,
        after_us,
    });
    let outcome =
        prop_oneof![Just(Outcome::Ok), text().prop_map(Outcome::Failed), text().prop_map(Outcome::Unknown)];
    (
        (number(), prop::option::of(actor()), node(), prop::option::of(node()), op, level),
        (text(), prop::option::of(text()), outcome, prop::option::of(epoch()), prop::option::of(number())),
        (prop::collection::vec(vote, 0..10), number(), prop::option::of(number())),
    )
        .prop_map(
            |(
                (i, by, home, node, op, consistency),
                (key, value, outcome, epoch, seq),
                (votes, took_us, stale_ms),
            )| {
                Operation {
                    i,
                    by,
                    home,
                    node,
                    op,
                    consistency,
                    key,
                    value,
                    outcome,
                    epoch,
                    seq,
                    votes,
                    took_us,
                    stale_ms,
                }
            },
        )
}

fn sample() -> impl Strategy<Value = LoadSample> {
    (
        (any::<bool>(), any::<u32>(), 0u64..2_000_000),
        (0u64..1_000_000, 0u64..1000, 0u64..1000),
        number(),
        number(),
    )
        .prop_map(|((on, rate, interval_us), (ok, failed, unknown), p50_us, p99_us)| LoadSample {
            on,
            rate,
            interval_us,
            ok,
            failed,
            unknown,
            p50_us,
            p99_us,
            max_us: p99_us,
        })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let promise = (
        prop::option::of(any::<bool>()),
        number(),
        number(),
        prop::option::of(number()),
        prop::option::of(any::<bool>()),
        prop::collection::vec(text(), 0..3),
    )
        .prop_map(
            |(
                linearizable,
                checked_i,
                quorum_writes_acked,
                quorum_writes_lost,
                members_equal,
                violations,
            )| PromiseVerdict {
                quorum_writes_unread: checked_i / 2,
                quorum_writes_doubtful: checked_i / 5,
                quorum_writes_released: checked_i / 7,
                violations_total: checked_i / 3,
                linearizable,
                checked_i,
                quorum_writes_acked,
                quorum_writes_lost,
                members_equal,
                violations,
            },
        );
    let harm = (number(), prop::option::of(number()), number(), number(), number(), number(), number())
        .prop_map(
            |(
                async_writes_acked,
                async_writes_lost,
                stale_reads,
                stale_max_ms,
                refused_stale,
                unknown,
                unavailable_ms,
            )| {
                HarmVerdict {
                    async_writes_acked,
                    async_writes_lost,
                    async_writes_unread: unknown,
                    async_writes_doubtful: unknown / 3,
                    async_writes_released: stale_reads,
                    stale_reads,
                    stale_max_ms,
                    refused_stale,
                    unknown,
                    unavailable_ms,
                }
            },
        );
    (promise, harm).prop_map(|(promise, harm)| Verdict { promise, harm })
}

fn scenario() -> impl Strategy<Value = ScenarioEvent> {
    let outcome = prop_oneof![
        Just(RunOutcome::AsExpected),
        Just(RunOutcome::Violated),
        Just(RunOutcome::Undecided),
        Just(RunOutcome::Panicked)
    ];
    let index = prop_oneof![0usize..8, any::<usize>()];
    prop_oneof![
        (index.clone(), prop::option::of(text()), number(), prop::option::of(number())).prop_map(
            |(index, say, since_us, until_us)| ScenarioEvent::Step { index, say, since_us, until_us }
        ),
        index.clone().prop_map(|index| ScenarioEvent::StepDone { index }),
        (index, text()).prop_map(|(index, why)| ScenarioEvent::StepFailed { index, why }),
        number().prop_map(|until_us| ScenarioEvent::Settling { until_us }),
        (number(), number()).prop_map(|(done, total)| ScenarioEvent::ReadingBack { done, total }),
        (text(), text(), text(), prop::option::of(any::<bool>())).prop_map(
            |(name, expected, actual, held)| {
                ScenarioEvent::Expectation(Expectation { name, expected, actual, held })
            }
        ),
        (outcome, prop::option::of(text()))
            .prop_map(|(outcome, why)| ScenarioEvent::Finished { outcome, why }),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let scenario = (text(), text(), prop::option::of(text()), prop::collection::vec(text(), 0..9)).prop_map(
        |(name, title, story, steps)| ScenarioHeader { name, title, episode: None, story, crc32: 0, steps },
    );
    let quirks = prop::sample::subsequence(Quirk::ALL.to_vec(), 0..=Quirk::ALL.len());
    (prop::collection::vec(node(), 0..10), any::<u64>(), quirks, prop::option::of(scenario)).prop_map(
        |(nodes, seed, quirks, scenario)| Header {
            version: EVENTS_VERSION,
            kvlab: "0.1.0".to_owned(),
            seed,
            nodes,
            started_unix_s: 0,
            run_dir: String::new(),
            quirks: quirks.into_iter().collect(),
            scenario,
        },
    )
}

fn damage() -> impl Strategy<Value = Damage> {
    let cut =
        || prop::option::of((text(), number(), number()).prop_map(|(file, from, to)| Cut { file, from, to }));
    prop_oneof![
        cut().prop_map(|cut| Damage::PowerLost { cut }),
        cut().prop_map(|cut| Damage::TailTorn { cut }),
        Just(Damage::Wiped),
    ]
}

/// Any event at any time.
pub fn stamped() -> impl Strategy<Value = Stamped> {
    let level = prop_oneof![Just(Level::Debug), Just(Level::Info), Just(Level::Warn), Just(Level::Error)];
    let event = prop_oneof![
        1 => header().prop_map(LabEvent::Header),
        3 => (node(), process()).prop_map(|(node, state)| LabEvent::Process { node, state }),
        6 => (node(), report()).prop_map(|(node, report)| LabEvent::Node { node, report }),
        1 => (node(), any::<bool>()).prop_map(|(node, up)| LabEvent::Watch { node, up }),
        3 => (node(), node(), link()).prop_map(|(from, to, state)| LabEvent::Link { from, to, state }),
        2 => (actor(), action(), prop::option::of(text()))
            .prop_map(|(by, action, error)| LabEvent::Action { by, action, error }),
        3 => operation().prop_map(LabEvent::Operation),
        2 => sample().prop_map(LabEvent::Load),
        1 => verdict().prop_map(LabEvent::Verdict),
        1 => super::proofs::violation().prop_map(|violation| LabEvent::Violation(Box::new(violation))),
        2 => scenario().prop_map(LabEvent::Scenario),
        1 => (node(), damage()).prop_map(|(node, damage)| LabEvent::Damage { node, damage }),
        1 => (node(), condition()).prop_map(|(node, condition)| LabEvent::Condition { node, condition }),
        1 => (level, text()).prop_map(|(level, text)| LabEvent::Notice { level, text }),
    ];
    let t_us = prop_oneof![8 => 0u64..20_000_000, 1 => any::<u64>()];
    (t_us, event).prop_map(|(t_us, event)| Stamped { t_us, event })
}
