//! What the recorder tells of broken promises, and when.

use std::time::Duration;

use kvlab::types::{NodeId, ReadLevel};

use super::*;
use crate::run::event::{LabEvent, Outcome, Stamped};
use crate::run::journal::Journal;

const N1: NodeId = NodeId(1);

/// What a reader was told that nobody has written.
fn ghost() -> Completion {
    let seen = Some("ghost".to_owned());
    let (node, votes) = (Some(N1), Vec::new());
    Completion { node, outcome: Outcome::Ok, seen, at: None, votes, refused_stale: false }
}

fn read(key: &str) -> Intent {
    Intent::get(key.to_owned(), ReadLevel::Quorum)
}

#[tokio::test]
async fn a_violation_is_journaled_once_and_before_anyone_can_count_it() {
    let journal = Journal::unrecorded();
    let mut events = journal.subscribe();
    let recorder = Recorder::start(journal, None, None).expect("a recorder");
    let client = recorder.new_client();
    recorder.invoke(client, N1, &read("k"));
    assert!(events.try_recv().is_err(), "nothing is broken yet");
    recorder.complete(client, &read("k"), &ghost());
    // It is there as soon as the verdict has it.
    assert_eq!(recorder.verdict(false, None).promise.violations_total, 1);
    let Ok(Stamped { event: LabEvent::Violation(violation), .. }) = events.try_recv() else {
        panic!("the violation is told");
    };
    assert_eq!((violation.key.as_str(), violation.linearizability), ("k", true));
    assert_eq!(recorder.verdict(false, None).promise.violations, [violation.to_string()]);
    assert!(events.try_recv().is_err(), "and told once");
}

#[test]
fn proofs_are_bounded_and_violations_are_counted() {
    let mut sequencer = Sequencer::new();
    let client = sequencer.new_client();
    let mut proved = 0;
    for n in 0..VIOLATIONS_PROVED_MAX + 30 {
        let read = read(&format!("k{n}"));
        sequencer.invoke(Duration::ZERO, client, N1, &read);
        sequencer.complete(Duration::ZERO, client, &read, &ghost());
        proved += sequencer.take_violations().len();
    }
    assert_eq!(proved, VIOLATIONS_PROVED_MAX);
    assert_eq!(sequencer.verdict(false, None).promise.violations_total as usize, VIOLATIONS_PROVED_MAX + 30);
}

mod kept;
