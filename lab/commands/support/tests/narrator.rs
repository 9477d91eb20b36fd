//! The lines that tell a scenario.

use kvlab::judge::Consistency;
use kvlab::types::{Epoch, NodeId};

use super::*;
use crate::run::event::{Cut, Damage};

fn told(scenario: &Scenario, events: Vec<(u64, LabEvent)>) -> Vec<String> {
    let mut narrator = Narrator::new(scenario);
    let stamped = events.into_iter().map(|(ms, event)| Stamped { t_us: ms * 1000, event });
    stamped.flat_map(|event| narrator.lines(&event)).collect()
}

fn step(index: usize, say: Option<&str>, until_us: Option<u64>) -> LabEvent {
    let say = say.map(str::to_owned);
    LabEvent::Scenario(ScenarioEvent::Step { index, say, since_us: 0, until_us })
}

fn done(index: usize) -> LabEvent {
    LabEvent::Scenario(ScenarioEvent::StepDone { index })
}

#[test]
fn each_step_is_told_once_when_it_begins() {
    let text = "title = \"T\"\nepisode = \"015\"\nstory = \"S.\"\n[[step]]\nafter = \"1s\"\nsay = \"One.\"\n\
                kill = \"n1\"\n[[step]]\nwait = { primaries = 1 }\n[[step]]\nafter = \"1s\"\nheal = \"all\"\n\
                [[step]]\nat = \"3s\"\npause = \"n2\"\n";
    let scenario = Scenario::parse("t", "t.toml", text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(Narrator::new(&scenario).opening(), ["t: T (episode 015)", "S.", ""]);
    let failed = ScenarioEvent::StepFailed { index: 4, why: "no".to_owned() };
    let lines = told(
        &scenario,
        vec![
            (100, step(1, None, Some(1_100_000))),
            (1100, step(1, Some("One."), None)),
            (1100, done(1)),
            (1200, step(2, None, Some(9_000_000))),
            (1300, done(2)),
            (1300, step(3, None, Some(2_300_000))),
            (2300, step(3, None, None)),
            (2300, done(3)),
            // Its time has passed, so there is nothing to wait for.
            (2400, step(4, None, None)),
            (2500, LabEvent::Scenario(failed)),
        ],
    );
    assert_eq!(
        lines,
        [
            "   1.1s  1/4   One.",
            "   1.2s  2/4   wait for primaries 1",
            "   2.3s  3/4   heal all",
            "   2.5s  4/4   pause n2",
            "   2.5s        FAILED: no",
        ]
    );
}

#[test]
fn what_was_cut_off_a_log_is_told_with_file_and_bytes() {
    let text = "title = \"T\"\n[[step]]\npower_loss = \"n1\"\n";
    let scenario = Scenario::parse("t", "t.toml", text).unwrap_or_else(|e| panic!("{e}"));
    let cut = || Some(Cut { file: "log-00000001/00000001.log".to_owned(), from: 900, to: 28 });
    let damages = [
        Damage::PowerLost { cut: cut() },
        Damage::PowerLost { cut: None },
        Damage::TailTorn { cut: cut() },
        Damage::TailTorn { cut: None },
        Damage::Wiped,
    ];
    let damage = |damage| (500, LabEvent::Damage { node: NodeId(1), damage });
    let lines = told(&scenario, damages.into_iter().map(damage).collect());
    let file = "log-00000001/00000001.log cut from 900 to 28 bytes";
    let said = [
        &format!("the power took the 872 bytes that were not synced: {file}"),
        "the power took nothing: everything was synced",
        &format!("the last write is torn, one member failed: {file}"),
        "nothing was written that could be torn",
        "the disk is empty, all promises forgotten: one member failed",
    ];
    assert_eq!(lines, said.map(|said| format!("   0.5s        n1: {said}")));
}

#[test]
fn a_step_s_operation_is_told_with_its_outcome() {
    let operation = |op, value: Option<&str>, outcome, seq: Option<u64>| {
        operation_line(&Operation {
            i: 1,
            by: Some(Actor::Step(1)),
            home: NodeId(3),
            node: Some(NodeId(3)),
            op,
            consistency: Consistency::Eventual,
            key: "word".to_owned(),
            value: value.map(str::to_owned),
            outcome,
            epoch: seq.map(|_| Epoch::new(1, NodeId(1))),
            seq,
            votes: Vec::new(),
            took_us: 1,
            stale_ms: None,
        })
    };
    let failed = Outcome::Failed("too stale".to_owned());
    assert_eq!(
        operation(OpKind::Get, Some("a\u{1b}"), Outcome::Ok, Some(7)),
        "get word at n3 finds \"a\\u{1b}\": ok (1@n1/7)"
    );
    assert_eq!(operation(OpKind::Get, None, Outcome::Ok, None), "get word at n3 finds nothing: ok");
    assert_eq!(operation(OpKind::Get, None, failed, None), "get word at n3: failed: too stale");
    assert_eq!(operation(OpKind::Put, Some("v"), Outcome::Ok, None), "put word = \"v\" at n3: ok");
}
