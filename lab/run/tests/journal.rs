//! The journal: one order, and nothing missing unsaid.

use super::*;
use crate::action::{Action, SlowLink};
use crate::run::event::{Actor, LinkState, ProcessState};
use crate::run::keyframe::KEYFRAME_BEGINS;
use crate::run::reader::{self, EventReader};
use crate::screen::ViewState;
use crate::screen::tests::fixture::{Player, split_brain};
use kvlab::types::{ClockCondition, DiskCondition, NodeCondition, NodeId};

fn notice(text: &str) -> LabEvent {
    LabEvent::Notice { level: Level::Info, text: text.to_owned() }
}

fn read_back(dir: &Path) -> Vec<Stamped> {
    let text = std::fs::read_to_string(dir.join(EVENTS_FILE)).expect("the file");
    let events = text.lines().filter(|line| !line.as_bytes().starts_with(KEYFRAME_BEGINS));
    events.map(|line| serde_json::from_str(line).expect("an event a line")).collect()
}

#[tokio::test]
async fn file_and_subscribers_see_the_same_events_in_the_same_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::start(dir.path(), None, Box::<ViewState>::default()).expect("a journal");
    let mut live = journal.subscribe();
    let emitters: Vec<_> = (0..4)
        .map(|emitter| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for i in 0..200 {
                    journal.emit(notice(&format!("{emitter}/{i}")));
                }
            })
        })
        .collect();
    for emitter in emitters {
        emitter.join().expect("no panic");
    }
    journal.flush().await.expect("written");
    let written = read_back(dir.path());
    let mut seen = Vec::new();
    while let Ok(event) = live.try_recv() {
        seen.push(event);
    }
    assert_eq!(written.len(), 800);
    assert_eq!(written, seen);
    assert!(written.is_sorted_by_key(|event| event.t_us));
}

#[tokio::test]
async fn events_survive_the_way_to_the_file_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::start(dir.path(), None, Box::<ViewState>::default()).expect("a journal");
    let (from, to) = (NodeId(1), NodeId(2));
    let slow = LinkState::Slow(SlowLink::by(Duration::from_millis(20), Duration::from_micros(1500)));
    let how = SlowLink { loss: 50, duplicate: 1, ..SlowLink::default() };
    let slow_disk = DiskCondition::Slow { by: Duration::from_millis(20) };
    let fast = ClockCondition::Rate { permille: 1500 };
    let broken = crate::screen::tests::fixture::broken_promise().into_iter().map(|stamped| stamped.event);
    let mut events = vec![
        LabEvent::Process { node: from, state: ProcessState::Paused { pid: 7 } },
        LabEvent::Process { node: from, state: ProcessState::Died { how: "exit code 1".into() } },
        LabEvent::Link { from, to, state: slow },
        LabEvent::Link { from, to, state: LinkState::Cut },
        LabEvent::Link { from, to, state: LinkState::Slow(how) },
        LabEvent::Action { by: Actor::Person, action: Action::Slow { from, to, how }, error: None },
        LabEvent::Condition { node: to, condition: NodeCondition::Disk(slow_disk) },
        LabEvent::Condition { node: to, condition: NodeCondition::Clock(fast) },
        LabEvent::Action {
            by: Actor::Step(2),
            action: Action::Disk { node: to, condition: slow_disk },
            error: None,
        },
        LabEvent::Action { by: Actor::Lab, action: Action::Clock { node: to, condition: fast }, error: None },
        LabEvent::Watch { node: to, up: false },
        LabEvent::Load(crate::run::event::LoadSample { ok: u64::MAX, ..Default::default() }),
        LabEvent::Verdict(crate::run::event::Verdict::default()),
        LabEvent::Scenario(crate::run::event::ScenarioEvent::StepFailed { index: 3, why: "late".into() }),
    ];
    events.extend(broken.filter(|event| matches!(event, LabEvent::Violation(_) | LabEvent::Verdict(_))));
    for event in &events {
        journal.emit(event.clone());
    }
    journal.flush().await.expect("written");
    let back: Vec<_> = read_back(dir.path()).into_iter().map(|stamped| stamped.event).collect();
    assert_eq!(back, events);
}

#[test]
fn a_verdict_of_format_1_is_read() {
    let line = r#"{"t_us":7,"event":"verdict","promise":{"linearizable":false,"checked_i":9,
        "quorum_writes_acked":4,"quorum_writes_lost":1,"members_equal":null,"violations":["why"]},
        "harm":{"async_writes_acked":0,"async_writes_lost":null,"stale_reads":0,"stale_max_ms":0,
        "refused_stale":0,"unknown":0,"unavailable_ms":0}}"#;
    let stamped: Stamped = serde_json::from_str(line).expect("an event");
    let LabEvent::Verdict(verdict) = stamped.event else { panic!("{stamped:?}") };
    assert_eq!((verdict.promise.quorum_writes_lost, verdict.promise.quorum_writes_unread), (Some(1), 0));
    assert_eq!((verdict.promise.violations.len(), verdict.promise.violations_total), (1, 0));
}

#[tokio::test]
async fn a_slow_subscriber_is_told_and_goes_on() {
    let journal = Journal::unrecorded();
    let mut slow = journal.subscribe();
    for i in 0..HELD_MAX + 10 {
        journal.emit(notice(&i.to_string()));
    }
    assert!(matches!(slow.recv().await, Err(broadcast::error::RecvError::Lagged(10))));
    assert_eq!(slow.recv().await.expect("the oldest held").event, notice("10"));
    journal.flush().await.expect("nothing to write");
}

#[test]
fn what_the_file_cannot_take_is_counted_where_it_is_missing() {
    let (sender, mut jobs) = mpsc::channel(2);
    let mut queue = FileQueue { file: Some(sender), missing: 0 };
    let event = |text: &str| Stamped::at(Duration::ZERO, notice(text));
    let now = || Duration::ZERO;
    assert_eq!(queue.record(&event("a"), now), 0);
    assert_eq!(queue.record(&event("b"), now), 0);
    assert_eq!(queue.record(&event("c"), now), 1);
    assert_eq!(queue.record(&event("d"), now), 2);
    let mut texts = Vec::new();
    let mut drain = |jobs: &mut mpsc::Receiver<Job>| {
        while let Ok(Job::Write(Stamped { event: LabEvent::Notice { text, .. }, .. })) = jobs.try_recv() {
            texts.push(text);
        }
    };
    drain(&mut jobs);
    assert_eq!(queue.record(&event("e"), now), 0);
    drain(&mut jobs);
    assert_eq!(texts, ["a", "b", "2 events are missing here: the disk could not keep up", "e"]);
}

#[test]
fn an_old_record_is_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(EVENTS_FILE), "kept").expect("a file");
    let error = Journal::start(dir.path(), None, Box::<ViewState>::default()).expect_err("the file exists");
    assert!(error.to_string().contains(EVENTS_FILE), "{error}");
}

/// Plays events with their own times, as often as they are asked for, and returns all that were written.
fn record(dir: &Path, bytes_max: Option<u64>, times: u64) -> Vec<Stamped> {
    let parts = PartWriter::create(dir, RecordFile::Events, bytes_max).expect("created");
    let live = broadcast::channel(1).0;
    let (header, state) = (Vec::new(), Box::<ViewState>::default());
    let clock = Clock::start();
    let mut writer = Writer { parts, state, header, keyframe_due_us: 0, failed: None, clock, live };
    let tale = split_brain(Player::Scenario);
    let length = tale.last().expect("events").t_us + 1;
    let mut all = Vec::new();
    for time in 0..times {
        for event in &tale {
            let is_header = matches!(event.event, LabEvent::Header(_));
            if time == 0 || !is_header {
                let event = Stamped { t_us: event.t_us + time * length, event: event.event.clone() };
                writer.write(&event);
                all.push(event);
            }
        }
    }
    writer.flush();
    assert_eq!(writer.failed, None);
    all
}

#[test]
fn from_a_keyframe_on_the_state_is_what_it_is_from_all_events() {
    const STEPS: u64 = 20;
    for bytes_max in [None, Some(1 << 20)] {
        let dir = tempfile::tempdir().expect("a directory");
        let all = record(dir.path(), bytes_max, 12);
        let end = all.last().expect("events").t_us;
        let kept = EventReader::open(dir.path()).expect("the events");
        let begins = kept.beginning().map_or(0, |keyframe| keyframe.t_us);
        assert_eq!(begins > 0, bytes_max.is_some(), "the oldest are gone if there is a bound");
        let (mut state_of_all, mut left) = (ViewState::default(), all.iter().peekable());
        for step in 0..=STEPS {
            let t_us = begins + (end - begins) * step / STEPS;
            while let Some(event) = left.next_if(|event| event.t_us <= t_us) {
                state_of_all.apply(event);
            }
            let moment = reader::moment(dir.path(), Some(t_us)).expect("it is kept");
            let between = moment.events.first().map_or(0, |event| t_us - event.t_us);
            assert!(between < 12_000_000, "a keyframe is never far: {between}");
            let keyframe = moment.keyframe.map(|keyframe| keyframe.state::<ViewState>().expect("a state"));
            let mut state = keyframe.unwrap_or_default();
            moment.events.iter().for_each(|event| state.apply(event));
            assert!(state == state_of_all, "{t_us}: the state from the keyframe is another");
        }
        if begins > 0 {
            let error = reader::moment(dir.path(), Some(begins - 1)).expect_err("it is gone");
            assert!(error.to_string().contains("what is kept of the run begins"), "{error}");
        }
    }
}

#[test]
fn every_part_begins_with_header_and_keyframe_and_no_event_between_the_parts_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = record(dir.path(), Some(1 << 20), 12);
    let bytes: u64 = std::fs::read_dir(dir.path())
        .expect("files")
        .flatten()
        .map(|entry| entry.metadata().expect("a file").len())
        .sum();
    assert!((512 << 10..(1 << 20) + (256 << 10)).contains(&bytes), "{bytes}");
    let parts = RecordFile::Events.open(dir.path()).expect("parts");
    assert!(parts.len() >= 7, "{}", parts.len());
    for part in parts {
        let text = std::io::read_to_string(part.file).expect("read");
        let mut lines = text.lines();
        let header: Stamped = serde_json::from_str(lines.next().expect("a line")).expect("an event");
        assert!(matches!(header.event, LabEvent::Header(_)) && header == all[0]);
        assert!(lines.next().expect("a line").as_bytes().starts_with(KEYFRAME_BEGINS));
    }
    let mut kept = Vec::new();
    EventReader::open(dir.path()).expect("opened").each(|event| kept.push(event)).expect("events");
    assert_eq!(kept[0], all[0]);
    assert_eq!(kept[1..], all[all.len() - (kept.len() - 1)..], "the last ones, without a gap");
}
