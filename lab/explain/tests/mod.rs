//! Leaderships from events, and a sentence for each way in which a promise can break.

use kvlab::judge::{
    Completion, Consistency, OpKind, Operation, OrderProof, Phase, Stamp, Violation, ViolationKind,
};
use kvlab::types::{Ballot, Epoch, Event, MemberVote, NodeId, Position, Quirks, Report, Vote};

use super::leadership::LEADERSHIPS_MAX;
use super::*;
use crate::run::event::{self, Cut, Damage, Header, LabEvent, Outcome, ProcessState, Stamped};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

/// A run of three members, told by hand.
struct Tale(Epochs);

impl Tale {
    fn new() -> Self {
        let mut tale = Self(Epochs::default());
        tale.at(
            0,
            LabEvent::Header(Header {
                version: event::EVENTS_VERSION,
                kvlab: "0".to_owned(),
                seed: 1,
                nodes: vec![N1, N2, N3],
                started_unix_s: 0,
                run_dir: String::new(),
                quirks: Quirks::NONE,
                scenario: None,
            }),
        );
        tale.opened(100, epoch(1, N1), &[N1, N2]);
        tale
    }

    fn at(&mut self, ms: u64, event: LabEvent) {
        self.0.observe(&Stamped { t_us: ms * 1000, event });
    }

    fn says(&mut self, ms: u64, node: NodeId, event: Event) {
        self.at(ms, LabEvent::Node { node, report: Report::Event { uptime_ms: ms, event } });
    }

    fn opened(&mut self, ms: u64, epoch: Epoch, voters: &[NodeId]) {
        let forced = voters.is_empty();
        self.says(ms, epoch.node, Event::EpochOpened { epoch, forced, voters: voters.to_vec() });
    }
}

const fn epoch(number: u64, node: NodeId) -> Epoch {
    Epoch::new(number, node)
}

/// A quorum operation on one key: its invoke is event `i`, its reply event `i + 1`; a millisecond between events.
fn operation(i: u64, node: NodeId, op: OpKind, value: Option<&str>, at: Option<(Epoch, u64)>) -> Operation {
    let stamp = |i: u64| Stamp { i, t_ns: i * 1_000_000 };
    Operation {
        client: 1,
        node: Some(node),
        op,
        key: "k".to_owned(),
        value: value.map(Into::into),
        consistency: Consistency::Quorum,
        began: stamp(i),
        ended: Some(Completion {
            at: stamp(i + 1),
            phase: Phase::Ok,
            epoch: at.map(|(epoch, _)| epoch),
            seq: at.map(|(_, seq)| seq),
        }),
    }
}

fn wrote(i: u64, node: NodeId, value: &str, at: (Epoch, u64)) -> Operation {
    operation(i, node, OpKind::Put, Some(value), Some(at))
}

fn read(i: u64, node: NodeId, value: &str, at: (Epoch, u64)) -> Operation {
    operation(i, node, OpKind::Get, Some(value), Some(at))
}

/// "old" was written, then "new", then "old" was read.
fn went_back(old: Operation, new: Operation, again: Operation) -> Violation {
    let proof = OrderProof {
        a: old.value.clone(),
        b: new.value.clone(),
        a1: Some(old),
        b1: Some(new.clone()),
        b2: Some(new),
        a2: Some(again),
    };
    assert!(proof.holds(), "{proof:#?}");
    violation(ViolationKind::Order(Box::new(proof)))
}

fn violation(kind: ViolationKind) -> Violation {
    let violation = Violation { key: "k".to_owned(), i: 0, linearizability: true, kind };
    let i = violation.operations().iter().filter_map(|o| o.ended.as_ref()).map(|e| e.at.i).max();
    Violation { i: i.expect("something ended"), ..violation }
}

fn damage(node: NodeId, from: u64, to: u64) -> LabEvent {
    let cut = Some(Cut { file: "log".to_owned(), from, to });
    LabEvent::Damage { node, damage: Damage::PowerLost { cut } }
}

/// An operation on the screen of which only `acks` are known to stand behind it.
fn voted(i: u64, acks: &[NodeId]) -> LabEvent {
    let vote = |node| MemberVote {
        node,
        vote: if acks.contains(&node) { Vote::Ack } else { Vote::Pending },
        after_us: None,
    };
    LabEvent::Operation(event::Operation {
        i,
        by: None,
        home: N1,
        node: Some(N1),
        op: OpKind::Put,
        consistency: Consistency::Quorum,
        key: "k".to_owned(),
        value: None,
        outcome: Outcome::Ok,
        epoch: None,
        seq: None,
        votes: [N1, N2, N3].map(vote).to_vec(),
        took_us: 1,
        stale_ms: None,
    })
}

fn operation_of(event: LabEvent) -> event::Operation {
    let LabEvent::Operation(operation) = event else { panic!("{event:?}") };
    operation
}

#[track_caller]
fn rule(tale: &Tale, violation: &Violation, sentence: &str) {
    assert_eq!(tale.0.rule(violation).as_deref(), Some(sentence));
}

#[test]
fn a_leadership_lasts_until_somebody_says_that_it_is_over() {
    let mut tale = Tale::new();
    tale.opened(2000, epoch(2, N3), &[N2, N3]);
    tale.says(2500, N1, Event::SteppedDown { epoch: epoch(1, N1), by: epoch(2, N3) });
    tale.at(3000, LabEvent::Process { node: N3, state: ProcessState::Died { how: "killed".to_owned() } });
    tale.opened(3500, epoch(3, N2), &[]);
    let ms = |at: std::time::Duration| at.as_millis();
    let told: Vec<_> = tale
        .0
        .leaderships()
        .iter()
        .map(|r| (r.epoch.to_string(), r.primary, ms(r.since), r.until.map(ms), r.voters.len(), r.forced))
        .collect();
    assert_eq!(
        told,
        [
            ("1@n1".to_owned(), N1, 100, Some(2500), 2, false),
            ("2@n3".to_owned(), N3, 2000, Some(3000), 2, false),
            ("3@n2".to_owned(), N2, 3500, None, 0, true),
        ]
    );
}

#[test]
fn however_long_the_run_the_leaderships_are_bounded() {
    let mut tale = Tale::new();
    let all = LEADERSHIPS_MAX as u64 + 10;
    (2..all).for_each(|number| tale.opened(number, epoch(number, N2), &[N2, N3]));
    assert_eq!(tale.0.leaderships().len(), LEADERSHIPS_MAX);
    assert_eq!(tale.0.leaderships().last().map(|leadership| leadership.epoch.number), Some(all - 1));
}

#[test]
fn a_write_after_the_quorum_has_moved() {
    let mut tale = Tale::new();
    tale.opened(3900, epoch(2, N3), &[N2, N3]);
    let old = wrote(200, N1, "before", (epoch(1, N1), 98));
    let doomed = wrote(4210, N1, "doomed", (epoch(1, N1), 99));
    let broken = went_back(old, doomed, read(6000, N2, "before", (epoch(1, N1), 98)));
    rule(
        &tale,
        &broken,
        "n1 acknowledged entry 99 in epoch 1@n1 at t=4.211 s; n3's quorum {n2,n3} had moved to 2@n3 at t=3.900 s",
    );
}

#[test]
fn an_answer_from_an_epoch_that_is_over() {
    let mut tale = Tale::new();
    tale.opened(3900, epoch(2, N3), &[N2, N3]);
    let old = wrote(200, N1, "before", (epoch(1, N1), 98));
    let new = wrote(4000, N3, "after", (epoch(2, N3), 100));
    let broken = went_back(old.clone(), new.clone(), read(5000, N1, "before", (epoch(1, N1), 98)));
    rule(
        &tale,
        &broken,
        "n1 answered with entry 98 of epoch 1@n1 at t=5.001 s; n3's quorum {n2,n3} had moved to 2@n3 at t=3.900 s",
    );
    let mut forced = Tale::new();
    forced.opened(3900, epoch(2, N3), &[]);
    rule(
        &forced,
        &broken,
        "n1 answered with entry 98 of epoch 1@n1 at t=5.001 s; n3 had made itself primary of 2@n3 by force at \
         t=3.900 s: no quorum stood behind it",
    );
    // Nothing was told of that epoch: what the operations tell is left.
    rule(
        &Tale::new(),
        &broken,
        "n1 answered in epoch 1@n1 at t=5.001 s; n3 had answered in epoch 2@n3 at t=4.001 s",
    );
}

#[test]
fn what_a_new_primary_left_behind() {
    let mut tale = Tale::new();
    tale.opened(3900, epoch(2, N3), &[]);
    let written = wrote(3000, N1, "kept?", (epoch(1, N1), 99));
    let absent = operation(6000, N2, OpKind::Get, None, None);
    let proof = OrderProof {
        a: Some("kept?".into()),
        b: None,
        a1: Some(written),
        b1: Some(absent),
        b2: None,
        a2: None,
    };
    assert!(proof.holds());
    rule(
        &tale,
        &violation(ViolationKind::Order(Box::new(proof))),
        "n1 acknowledged entry 99 in epoch 1@n1 at t=3.001 s; n3 made itself primary of 2@n3 by force at t=3.900 s: \
         no quorum stood behind it; then n2 answered that there is nothing at t=6.001 s",
    );
}

#[test]
fn a_quorum_of_one() {
    let mut tale = Tale::new();
    tale.at(1940, voted(1937, &[N1]));
    tale.at(1950, voted(300, &[N1, N3]));
    let old = wrote(300, N1, "a", (epoch(1, N1), 147));
    let new = wrote(1937, N1, "b", (epoch(1, N1), 186));
    let broken = went_back(old, new, read(1973, N2, "a", (epoch(1, N1), 147)));
    rule(
        &tale,
        &broken,
        "n1 acknowledged entry 186 in epoch 1@n1 at t=1.938 s with {n1} alone behind it: 1 of 3, where a quorum is 2",
    );
    let mut alone = Tale::new();
    alone.at(
        1980,
        LabEvent::Operation(event::Operation { votes: Vec::new(), ..operation_of(voted(1973, &[])) }),
    );
    rule(
        &alone,
        &broken,
        "n2 answered with entry 147 of epoch 1@n1 at t=1.974 s, and no member was asked for it: not one vote came with \
         it",
    );
    rule(
        &Tale::new(),
        &broken,
        "n2 answered with entry 147 of epoch 1@n1 at t=1.974 s; n1 had answered with entry 186 at t=1.938 s",
    );
}

#[test]
fn what_the_power_took() {
    let mut tale = Tale::new();
    tale.at(3000, damage(N2, 900, 800));
    tale.at(3500, damage(N1, 1000, 660));
    tale.at(9000, damage(N1, 660, 600));
    let old = wrote(200, N1, "first", (epoch(1, N1), 98));
    let new = wrote(2500, N1, "second", (epoch(1, N1), 99));
    let broken = went_back(old, new, read(6000, N1, "first", (epoch(1, N1), 98)));
    rule(
        &tale,
        &broken,
        "n1 acknowledged entry 99 in epoch 1@n1 at t=2.501 s; the power took the last 340 bytes of n1's log at \
         t=3.500 s, which were not synced",
    );
}

#[test]
fn a_vote_that_was_forgotten() {
    let mut tale = Tale::new();
    tale.says(1900, N2, Event::Voted { epoch: epoch(2, N3), ballot: Ballot::Granted });
    tale.opened(1910, epoch(2, N3), &[N2, N3]);
    tale.says(2400, N2, Event::Following { epoch: epoch(1, N1) });
    let old = wrote(200, N1, "before", (epoch(1, N1), 98));
    let doomed = wrote(4210, N1, "doomed", (epoch(1, N1), 99));
    let broken = went_back(old, doomed, read(6000, N2, "before", (epoch(1, N1), 98)));
    rule(
        &tale,
        &broken,
        "n2 had voted for 2@n3 at t=1.900 s, and followed n1 in 1@n1 again at t=2.400 s; n1 acknowledged entry 99 in \
         epoch 1@n1 at t=4.211 s",
    );
}

#[test]
fn a_log_that_was_joined_to_another() {
    let mut tale = Tale::new();
    tale.opened(700, epoch(2, N2), &[N2, N3]);
    let from = Position::new(epoch(1, N1), 3);
    tale.says(960, N2, Event::PartialResync { node: N1, from, entries: 2 });
    let first = wrote(119, N1, "first", (epoch(1, N1), 2));
    let ghost = read(974, N1, "ghost", (epoch(1, N1), 3));
    let broken = went_back(first, ghost, read(985, N3, "first", (epoch(1, N1), 2)));
    rule(
        &tale,
        &broken,
        "n2 of 2@n2 took n1's log, ending in 1@n1/3, for a part of its own at t=0.960 s; n1 answered with entry 3 of \
         epoch 1@n1 at t=0.975 s; then n3 answered with entry 2 of epoch 1@n1 at t=0.986 s",
    );
}

#[test]
fn what_was_acknowledged_and_is_not_there_in_the_same_epoch() {
    let written = wrote(80, N1, "c5-2", (epoch(1, N1), 10));
    let absent = operation(84, N1, OpKind::Get, None, None);
    let proof = OrderProof {
        a: None,
        b: Some("c5-2".into()),
        a1: None,
        b1: None,
        b2: Some(written),
        a2: Some(absent),
    };
    assert!(proof.holds());
    rule(
        &Tale::new(),
        &violation(ViolationKind::Order(Box::new(proof))),
        "n1 acknowledged entry 10 in epoch 1@n1 at t=0.081 s; then n1 answered that there is nothing at t=0.085 s",
    );
}

#[test]
fn a_vote_that_nobody_counted_or_that_a_wipe_took_is_no_reason() {
    let old = wrote(200, N1, "before", (epoch(1, N1), 98));
    let doomed = wrote(4210, N1, "doomed", (epoch(1, N1), 99));
    let broken = went_back(old, doomed, read(6000, N2, "before", (epoch(1, N1), 98)));
    let mut uncounted = Tale::new();
    uncounted.says(1900, N2, Event::Voted { epoch: epoch(2, N3), ballot: Ballot::Granted });
    uncounted.says(2400, N2, Event::Following { epoch: epoch(1, N1) });
    let mut wiped = Tale::new();
    wiped.says(1900, N2, Event::Voted { epoch: epoch(2, N3), ballot: Ballot::Granted });
    wiped.opened(1910, epoch(2, N3), &[N2, N3]);
    wiped.at(2000, LabEvent::Damage { node: N2, damage: Damage::Wiped });
    wiped.says(2400, N2, Event::Following { epoch: epoch(1, N1) });
    for tale in [uncounted, wiped] {
        let sentence = tale.0.rule(&broken).expect("the operations tell something");
        assert!(!sentence.contains("voted"), "{sentence}");
    }
}

#[test]
fn a_value_out_of_nowhere_from_an_epoch_that_is_over() {
    let mut tale = Tale::new();
    tale.opened(3900, epoch(2, N3), &[N2, N3]);
    let ghost = Box::new(read(5000, N1, "ghost", (epoch(1, N1), 191)));
    rule(
        &tale,
        &violation(ViolationKind::NeverWritten { read: ghost.clone() }),
        "n1 answered with entry 191 of epoch 1@n1 at t=5.001 s; n3's quorum {n2,n3} had moved to 2@n3 at t=3.900 s",
    );
    assert_eq!(Tale::new().0.rule(&violation(ViolationKind::NeverWritten { read: ghost })), None);
}
