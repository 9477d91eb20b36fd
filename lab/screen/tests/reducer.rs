//! Events → state: what holds for any events, and what the made-up run must lead to.

use kvlab::types::{
    ClockCondition, DiskCondition, Epoch, Event, NodeCondition, NodeId, NodeStatus, Report, Role,
};
use proptest::prelude::*;

use super::fixture::{N1, N2, N3, Player, Tale, many_faults, moment, split_brain};
use super::strategies::stamped;
use crate::run::event::*;
use crate::run::keyframe::KeyframeState as _;
use crate::screen::state::{Freshness, Health, Severity, ViewState};

/// The view of the made-up run at a moment.
fn at(player: Player, t_us: u64) -> ViewState {
    let events = split_brain(player);
    let mut view = ViewState::of(events.iter().filter(|e| e.t_us <= t_us));
    view.advance(t_us);
    view
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any events, in any order, and whatever is derived from them: no panic; the same twice.
    #[test]
    fn any_events_are_borne(events in prop::collection::vec(stamped(), 0..60)) {
        let view = ViewState::of(&events);
        let again = ViewState::of(&events);
        prop_assert_eq!(&view, &again);
        let situation = view.situation();
        prop_assert!(!situation.title.is_empty() || situation.severity == Severity::Calm);
        prop_assert!(view.members().len() <= 10);
        for id in view.members() {
            let _ = (view.health(id).word(), view.lag(id), view.talks_to(id));
        }
    }

    /// What is written to the event log and read back leads to the same state: a replay shows what was seen.
    #[test]
    fn a_replay_shows_what_was_seen(events in prop::collection::vec(stamped(), 0..20)) {
        let lines: Vec<_> = events.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let read: Vec<Stamped> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        prop_assert_eq!(ViewState::of(&events), ViewState::of(&read));
    }

    /// Whatever has happened, and whatever happens then: what a keyframe restores goes on as the state did itself.
    #[test]
    fn a_keyframe_restores_the_state(
        before in prop::collection::vec(stamped(), 0..30),
        after in prop::collection::vec(stamped(), 0..10),
    ) {
        let mut view = ViewState::of(&before);
        let mut restored: ViewState = view.keyframe().state().unwrap();
        prop_assert_eq!(&restored, &view);
        for event in &after {
            view.apply(event);
            restored.apply(event);
        }
        prop_assert_eq!(restored, view);
    }

    /// However long it runs, the state stays small.
    #[test]
    fn nothing_grows(event in stamped()) {
        let mut view = ViewState::default();
        for i in 0..3_000u64 {
            view.apply(&Stamped { t_us: i * 300_000, ..event.clone() });
        }
        prop_assert!(view.story.len() <= 500 && view.operations.len() <= 100 && view.asked.len() <= 100);
        prop_assert!(view.load.samples.len() <= 1_200 && view.nodes.len() <= 9);
        prop_assert!(view.nodes.values().all(|n| n.lag.len() <= 480));
        prop_assert!(view.scenario.is_none_or(|s| s.expectations.len() <= 64 && s.steps.len() <= 256));
    }
}

#[test]
fn all_is_well_before_the_cut() {
    let view = at(Player::Person, moment::CALM);
    assert_eq!(view.leader().map(|l| l.node), Some(N1));
    assert!(!view.split_brain());
    assert_eq!(view.situation().severity, Severity::Calm);
    assert!([N1, N2, N3].iter().all(|&n| view.health(n) == Health::Up));
    assert!(view.lag(N2).is_some_and(|lag| lag < 10));
}

/// What a node last said of itself before the calm moment.
fn last_status(node: NodeId) -> NodeStatus {
    let events = split_brain(Player::Person);
    let before = events.iter().rev().filter(|event| event.t_us <= moment::CALM);
    let mut statuses = before.filter_map(|event| match &event.event {
        LabEvent::Node { node: of, report: Report::Status(status) } if *of == node => Some(status.clone()),
        _ => None,
    });
    statuses.next().expect("it has told")
}

#[test]
fn damage_on_a_disk_is_a_hurt_until_it_is_repaired() {
    let calm = at(Player::Person, moment::CALM);
    let damaged = |now: u64| {
        let mut status = last_status(N2);
        status.disk.damage.now = now;
        let mut view = calm.clone();
        let event = LabEvent::Node { node: N2, report: Report::Status(status) };
        view.apply(&Stamped { t_us: view.now_us, event });
        view
    };
    let view = damaged(2);
    assert_eq!((view.health(N2), view.health(N2).word().as_str()), (Health::Damaged(2), "damaged"));
    let situation = view.situation();
    assert_eq!(
        (situation.severity, situation.text.as_str()),
        (Severity::Hurt, "n2 has 2 damaged values on its disk")
    );
    assert_eq!(damaged(0).health(N2), calm.health(N2));
}

#[test]
fn a_full_disk_is_an_alarm_at_the_primary_and_a_hurt_elsewhere() {
    let calm = at(Player::Person, moment::CALM);
    let full = |node: NodeId| {
        let mut status = last_status(node);
        status.replication.disk_full = true;
        let mut view = calm.clone();
        let event = LabEvent::Node { node, report: Report::Status(status) };
        view.apply(&Stamped { t_us: view.now_us, event });
        view
    };
    let view = full(N1);
    assert_eq!((view.health(N1), view.health(N1).word().as_str()), (Health::DiskFull, "disk full"));
    let situation = view.situation();
    assert_eq!((situation.severity, situation.title.as_str()), (Severity::Alarm, "PRIMARY'S DISK IS FULL"));
    let situation = full(N2).situation();
    assert_eq!((situation.severity, situation.text.as_str()), (Severity::Hurt, "n2 has no room on its disk"));
}

/// The last words of a process may come after its end, and even after the next has begun: they are news of its log,
/// and no longer of its part.
#[test]
fn last_words_do_not_bring_a_process_back() {
    let mut view = at(Player::Person, moment::CALM);
    let last_words = last_status(N1);
    assert_eq!(last_words.replication.role, Role::Primary);
    let how = "SIGKILL".to_owned();
    for state in [
        ProcessState::Stopped { how: how.clone() },
        ProcessState::Died { how },
        ProcessState::Starting { pid: 7 },
    ] {
        let opened = Event::EpochOpened { epoch: Epoch::new(2, N1), forced: false, voters: vec![N1, N2] };
        for event in [
            LabEvent::Process { node: N1, state: state.clone() },
            LabEvent::Node { node: N1, report: Report::Status(last_words.clone()) },
            LabEvent::Node { node: N1, report: Report::Event { uptime_ms: 1, event: opened } },
        ] {
            view.apply(&Stamped { t_us: view.now_us + 10, event });
        }
        let n1 = &view.nodes[&N1];
        assert_eq!((n1.role, n1.leads_since_us, n1.watched), (None, None, false), "{state:?}");
        assert_eq!(n1.status_us, view.now_us - 10, "what it said is known");
        assert_eq!(view.leader(), None);
    }
    let mut running = last_words;
    running.replication.role = Role::Replica;
    for event in [
        LabEvent::Process {
            node: N1,
            state: ProcessState::Running { pid: 7, client: "c".into(), peer: "p".into() },
        },
        LabEvent::Node { node: N1, report: Report::Status(running) },
    ] {
        view.apply(&Stamped { t_us: view.now_us + 10, event });
    }
    assert_eq!(view.nodes[&N1].role, Some(Role::Replica));
    assert!(view.nodes[&N1].watched);
}

#[test]
fn a_cut_off_primary_has_no_quorum() {
    let view = at(Player::Person, moment::ISOLATED);
    assert_eq!(view.health(N1), Health::Isolated);
    assert_eq!(view.health(N2), Health::Up, "the majority has nothing wrong with itself");
    let situation = view.situation();
    assert_eq!((situation.severity, situation.title.as_str()), (Severity::Alarm, "NO QUORUM"));
    assert!(situation.text.contains("up to 218 writes"), "{}", situation.text);
    assert!(
        view.lag(N2).is_some_and(|lag| lag > 200),
        "measured by the lab: its own number is as old as the cut"
    );
}

#[test]
fn two_primaries_are_shouted() {
    let view = at(Player::Person, moment::SPLIT);
    assert!(view.split_brain() && view.is_old_primary(N1) && !view.is_old_primary(N2));
    let situation = view.situation();
    assert_eq!((situation.severity, situation.title.as_str()), (Severity::Alarm, "TWO PRIMARIES"));
    assert!(situation.text.starts_with("n1 (1@n1) and n2 (2@n2)"), "{}", situation.text);
    assert!(situation.text.contains("at risk on n1"), "{}", situation.text);
}

#[test]
fn a_promotion_is_no_split_until_the_old_primary_is_heard_again() {
    let events = split_brain(Player::Person);
    let opened = events
        .iter()
        .position(|e| format!("{:?}", e.event).contains("EpochOpened { epoch: 2@n2"))
        .expect("n2 opens an epoch");
    let view = ViewState::of(&events[..=opened]);
    assert_eq!(view.claims().len(), 2);
    assert!(!view.split_brain(), "n1 may have stepped down meanwhile");
    let heard = events[opened..]
        .iter()
        .position(|e| matches!(&e.event, LabEvent::Node { node, report: Report::Status(_) } if *node == N1));
    let view = ViewState::of(&events[..=opened + heard.expect("n1 reports again")]);
    assert!(view.split_brain(), "it has not");
}

#[test]
fn healing_ends_it_and_the_story_says_what_it_cost() {
    let view = at(Player::Scenario, moment::HEALED);
    assert!(!view.split_brain());
    assert_eq!(view.leader().map(|l| l.node), Some(N2));
    let told = |text: &str| view.story.iter().any(|line| line.text.contains(text));
    assert!(told("n2 refuses n3 its vote for 2@n3: n2 is ahead: 1@n1/1219 against 1@n1/1198"));
    assert!(told("n1 steps down from 1@n1: 2@n2 is higher"));
    assert!(told("n1 discarded 605 entries"));
    assert!(told("212 writes acknowledged by one node lost"));
    assert!(told("finished as expected"));
}

#[test]
fn old_numbers_are_never_live() {
    let mut view = at(Player::Person, moment::CALM);
    assert_eq!(view.nodes[&N2].freshness(view.now_us), Freshness::Live);
    view.advance(moment::CALM + 1_500_000);
    assert!(matches!(view.nodes[&N2].freshness(view.now_us), Freshness::Old(_)), "silence");
    assert_eq!(view.health(N2), Health::Silent);
    assert_eq!(view.situation().title, "PRIMARY SILENT");

    let mut view = at(Player::Person, moment::CALM);
    view.apply(&Stamped { t_us: moment::CALM, event: LabEvent::Watch { node: N2, up: false } });
    assert!(matches!(view.nodes[&N2].freshness(view.now_us), Freshness::Old(_)), "no watch");
    let paused = ProcessState::Paused { pid: 1 };
    view.apply(&Stamped { t_us: moment::CALM, event: LabEvent::Process { node: N3, state: paused } });
    assert!(matches!(view.nodes[&N3].freshness(view.now_us), Freshness::Old(_)), "paused");
}

#[test]
fn a_killed_primary_is_no_primary_and_a_paused_one_is() {
    let mut view = at(Player::Person, moment::CALM);
    let process = |state| Stamped { t_us: moment::CALM, event: LabEvent::Process { node: N1, state } };
    view.apply(&process(ProcessState::Paused { pid: 41_201 }));
    assert_eq!(view.situation().title, "PRIMARY PAUSED");
    view.apply(&process(ProcessState::Stopped { how: "kill -9".to_owned() }));
    assert_eq!(view.leader(), None);
    assert_eq!(view.situation().title, "NO PRIMARY");
    assert_eq!(view.health(N1), Health::Stopped);
}

#[test]
fn a_broken_promise_beats_everything() {
    let mut view = at(Player::Person, moment::SPLIT);
    let mut tell = |change: fn(&mut PromiseVerdict)| {
        let mut verdict = super::fixture::verdict(true);
        change(&mut verdict.promise);
        view.apply(&Stamped { t_us: moment::SPLIT, event: LabEvent::Verdict(verdict) });
        (view.situation().title, view.story.newest().map(|l| (l.level, l.text.clone())))
    };
    let (title, line) = tell(|p| p.quorum_writes_lost = Some(3));
    assert_eq!(title, "PROMISE BROKEN: 3 QUORUM WRITES LOST");
    assert_eq!(line, Some((Level::Info, "all members hold the same state".to_owned())));
    let (title, line) = tell(|p| p.members_equal = Some(false));
    assert_eq!(title, "PROMISE BROKEN: MEMBERS DIFFER");
    assert_eq!(line.map(|l| l.0), Some(Level::Error));
    let (title, _) = tell(|p| {
        p.linearizable = Some(false);
        p.violations = vec!["r3: #17 read w1 after w2 was committed".to_owned()];
    });
    assert_eq!(title, "PROMISE BROKEN: NOT LINEARIZABLE");
    let proof = view.story.iter().filter(|l| l.text.starts_with("NOT linearizable: r3: #17"));
    assert_eq!(proof.count(), 1, "with its proof");
}

#[test]
fn one_node_has_nobody_to_be_cut_from() {
    let mut tale = Tale::new(1, None);
    tale.start().until(2_000_000);
    let view = ViewState::of(&tale.events());
    assert_eq!(view.health(N1), Health::Up);
    assert_eq!(view.situation().severity, Severity::Calm);
}

#[test]
fn part_cuts_and_slow_links_have_their_words() {
    let view = ViewState::of(&many_faults(5));
    assert_eq!(view.health(N1), Health::PartCut);
    assert_eq!(view.health(N2), Health::Slow);
    let text = view.situation().text;
    for part in ["n1 is cut from n3", "n2 is behind a slow link", "n4 is paused", "n5 died"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(view.lag(NodeId(4)).is_some_and(|lag| lag > 1_000), "a paused node falls behind");
}

#[test]
fn conditions_have_their_words_until_they_are_taken_back() {
    let word = |condition| {
        let mut events = split_brain(Player::Person);
        events.retain(|stamped| stamped.t_us <= moment::CALM);
        let t_us = events.last().expect("some").t_us;
        let said = |condition| Stamped { t_us, event: LabEvent::Condition { node: N2, condition } };
        events.push(said(condition));
        let before = ViewState::of(&events).health(N2).word();
        events.push(said(NodeCondition::Disk(DiskCondition::Ok)));
        events.push(said(NodeCondition::Clock(ClockCondition::Ok)));
        assert_eq!(ViewState::of(&events).health(N2), Health::Up);
        before
    };
    let by = std::time::Duration::from_millis(20);
    assert_eq!(word(NodeCondition::Disk(DiskCondition::Full)), "disk full");
    assert_eq!(word(NodeCondition::Disk(DiskCondition::Slow { by })), "slow disk");
    assert_eq!(word(NodeCondition::Disk(DiskCondition::SyncFails)), "sync fails");
    assert_eq!(word(NodeCondition::Clock(ClockCondition::Rate { permille: 1500 })), "clock ×1.5");
    assert_eq!(word(NodeCondition::Clock(ClockCondition::Jump { by })), "up");
}

#[test]
fn the_lesson_is_ticked_off() {
    let done = |t_us| {
        let view = at(Player::Person, t_us);
        view.lesson_steps().iter().map(|s| s.done).collect::<Vec<_>>()
    };
    assert_eq!(done(moment::CALM), [true, false, false, false, false, false, false]);
    assert_eq!(done(moment::ISOLATED), [true, true, true, false, false, false, false]);
    assert_eq!(done(moment::SPLIT), [true, true, true, true, true, false, false]);
    assert_eq!(done(moment::HEALED), [true, true, true, true, true, true, false]);
}

#[test]
fn missed_events_are_told() {
    let mut view = at(Player::Person, moment::CALM);
    view.miss(12);
    assert_eq!(view.missed, 12);
    assert!(view.story.newest().is_some_and(|line| line.text.contains("missed 12 events")));
}
