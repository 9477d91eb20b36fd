//! One claim each, by hand.

use super::super::*;
use super::script::{judged, script};

/// The names of the parts of the only violation's order proof, with who did them.
fn order_proof(report: &Judgement) -> OrderProof {
    let [violation] = &report.violations[..] else { panic!("not one violation: {:#?}", report.violations) };
    let ViolationKind::Order(proof) = &violation.kind else { panic!("another kind: {violation:#?}") };
    assert!(proof.holds(), "{proof:#?}");
    (**proof).clone()
}

fn clients(proof: &OrderProof) -> Vec<(&'static str, u32)> {
    proof.parts().into_iter().map(|(name, operation)| (name, operation.client)).collect()
}

#[test]
fn a_stale_read_is_flagged_in_the_event_in_which_it_returns() {
    let events = script(
        "1 invoke put a
         1 ok put a
         2 invoke put b
         2 ok put b
         3 invoke get -
         3 ok get a",
    );
    let mut judge = Judge::new(JudgeOptions::default());
    let found: Vec<_> = events.iter().map(|event| judge.observe(event).unwrap()).collect();
    assert!(found[..5].iter().all(Option::is_none));
    let violation = found[5].clone().unwrap();
    assert_eq!((violation.i, violation.linearizability), (5, true));
    assert_eq!(judge.judgement().linearizable, Linearizable::No);
    let proof = order_proof(&judge.judgement());
    assert_eq!(clients(&proof), [("a1", 1), ("b1", 2), ("b2", 2), ("a2", 3)]);
    assert_eq!(violation.operations().len(), 3, "client 2's write plays two parts");
    assert_eq!(
        violation.to_string(),
        "key \"k\": \"a\" was there before \"b\" (client 1 wrote \"a\" at n1 (#0 to #1, t=0.000 s to 0.001 s) had \
         ended when client 2 wrote \"b\" at n1 (#2 to #3, t=0.002 s to 0.003 s) began), and \"b\" was there before \
         \"a\" (client 2's operation #2 had ended when client 3 read \"a\" at n1 (#4 to #5, t=0.004 s to 0.005 s) \
         began), but each was written only once"
    );
}

/// The example of `docs/judge.md`: two writes run together, and four readers cannot all be right.
#[test]
fn readers_that_disagree_about_the_order_of_two_writes_are_proved_wrong_by_four_operations() {
    let report = judged(
        "1 invoke put a
         2 invoke put b
         3 invoke get -
         4 invoke get -
         3 ok get a
         4 ok get b
         5 invoke get -
         6 invoke get -
         6 ok get a
         5 ok get b
         1 ok put a
         2 ok put b",
    );
    assert_eq!(report.violations[0].i, 9);
    let proof = order_proof(&report);
    assert_eq!((&proof.a, &proof.b), (&Some("b".into()), &Some("a".into())));
    assert_eq!(report.violations[0].operations().len(), 4);
    assert_eq!(clients(&proof), [("a1", 4), ("b1", 6), ("b2", 3), ("a2", 5)]);
}

#[test]
fn absence_after_a_write_is_proved_by_two_operations() {
    let report = judged(
        "1 invoke put a
         1 ok put a
         2 invoke get -
         2 ok get -",
    );
    let proof = order_proof(&report);
    assert_eq!(proof.parts().len(), 2);
    assert!(report.violations[0].explanation().contains("nothing deletes the key"));
    assert_eq!(report.quorum_ledger.known_lost(), Some(1), "the ledger counts it too");
}

#[test]
fn reads_of_a_running_write_may_go_either_way_until_one_has_seen_it() {
    let fine = "1 invoke put a
                2 invoke get -
                2 ok get -
                3 invoke get -
                3 ok get a
                2 invoke get -
                2 ok get a";
    assert_eq!(judged(fine).linearizable, Linearizable::Yes);
    let back = format!("{fine}\n 4 invoke get -\n 4 ok get -");
    assert_eq!(judged(&back).linearizable, Linearizable::No);
}

#[test]
fn an_unknown_write_may_turn_up_at_any_time_but_not_go_again() {
    let fine = "1 invoke put a
                1 info put a
                2 invoke put b
                2 ok put b
                3 invoke get -
                3 ok get b
                3 invoke get -
                3 ok get a";
    assert_eq!(judged(fine).linearizable, Linearizable::Yes);
    let back = format!("{fine}\n 3 invoke get -\n 3 ok get b");
    assert_eq!(judged(&back).linearizable, Linearizable::No);
}

#[test]
fn what_nobody_began_to_write_is_a_violation_for_reads_of_any_level() {
    for (level, linearizability) in [("quorum", true), ("eventual", false)] {
        let report = judged(&format!(
            "1 invoke get - {level}
             1 ok get ghost {level}"
        ));
        let [violation] = &report.violations[..] else { panic!("{report:#?}") };
        assert!(matches!(&violation.kind, ViolationKind::NeverWritten { .. }));
        assert_eq!(violation.linearizability, linearizability);
        assert_eq!(report.linearizable.known(), Some(!linearizability));
    }
}

#[test]
fn a_write_that_failed_and_is_read_is_a_violation_whichever_comes_first() {
    let failed_first = judged(
        "1 invoke put a
         1 fail put a
         2 invoke get -
         2 ok get a",
    );
    let read_first = judged(
        "1 invoke put a
         2 invoke get -
         2 ok get a
         1 fail put a",
    );
    for report in [failed_first, read_first] {
        let [violation] = &report.violations[..] else { panic!("{report:#?}") };
        assert!(
            matches!(&violation.kind, ViolationKind::FailedWrite { read: Some(_), .. }),
            "{violation:#?}"
        );
        assert_eq!(report.linearizable, Linearizable::No);
        assert_eq!(violation.operations().len(), 2);
    }
}

#[test]
fn a_violation_that_goes_on_is_told_once_and_counted_always() {
    let mut text = "1 invoke put a
                    1 ok put a
                    2 invoke put b
                    2 ok put b"
        .to_owned();
    for _ in 0..5 {
        text += "\n 3 invoke get - \n 3 ok get a";
    }
    let report = judged(&text);
    assert_eq!((report.violations.len(), report.violations_total), (1, 5));
}

#[test]
fn a_key_with_an_async_write_is_measured_not_judged() {
    let report = judged(
        "1 invoke put a async
         1 ok put a async
         2 invoke get -
         2 ok get -
         3 invoke put b async key=other
         3 ok put b async key=other",
    );
    assert_eq!(report.linearizable, Linearizable::Yes);
    assert_eq!((report.keys.measured, report.keys.by_ids), (2, 0));
    assert_eq!(
        (report.async_ledger.acked, report.async_ledger.lost, report.async_ledger.waiting()),
        (2, 1, 1)
    );
    assert_eq!(report.quorum_ledger, Ledger::default());
    assert_eq!((report.async_writes.acked, report.quorum_writes.acked), (2, 0));
}

#[test]
fn a_violation_found_before_an_async_write_stands() {
    let report = judged(
        "1 invoke put a
         1 ok put a
         2 invoke get -
         2 ok get -
         3 invoke put b async
         3 ok put b async",
    );
    assert_eq!((report.linearizable, report.keys.measured), (Linearizable::No, 1));
}

#[test]
fn deletes_are_judged_by_search() {
    let fine = "1 invoke put a
                1 ok put a
                1 invoke del -
                1 ok del -
                2 invoke get -
                2 ok get -";
    let report = judged(fine);
    assert_eq!((report.linearizable, report.keys.by_search), (Linearizable::Yes, 1));
    let back = judged(&format!("{fine}\n 2 invoke get - \n 2 ok get a"));
    assert_eq!(back.linearizable, Linearizable::No);
    let explanation = back.violations[0].explanation();
    assert!(
        explanation.ends_with("whatever order the operations took, the key was absent by then"),
        "{explanation}"
    );
}

#[test]
fn by_search_the_verdict_waits_for_what_runs_and_says_so() {
    let events = script(
        "1 invoke del -
         1 ok del -
         2 invoke put a
         3 invoke get -
         3 ok get b",
    );
    let mut judge = Judge::new(JudgeOptions::default());
    for event in &events[..4] {
        judge.observe(event).unwrap();
    }
    assert_eq!(judge.judgement().checked_i, 1, "client 2 runs from event 2 on");
    assert_eq!(judge.judgement().linearizable, Linearizable::Yes, "as far as checked");
    assert!(judge.observe(&events[4]).unwrap().is_some(), "nobody began to write b: that needs no waiting");
}

#[test]
fn too_much_at_once_on_a_key_with_a_delete_is_undecided_not_a_pass() {
    let mut text = "0 invoke del -\n 0 ok del -".to_owned();
    for client in 1..=65 {
        text += &format!("\n {client} invoke put v{client} \n {client} info put v{client}");
    }
    let report = judged(&text);
    assert_eq!((report.linearizable, report.keys.undecided), (Linearizable::Undecided, 1));
    assert_eq!(report.undecided[0].why, Undecided::TooManyAtOnce);
    assert_eq!(report.linearizable.known(), None);
}

#[test]
fn keys_beyond_the_bound_make_the_report_undecided() {
    let mut judge = Judge::new(JudgeOptions { keys_max: 1, ..JudgeOptions::default() });
    for event in
        script("1 invoke put a key=one \n 1 ok put a key=one \n 1 invoke put b key=two \n 1 ok put b key=two")
    {
        judge.observe(&event).unwrap();
    }
    let report = judge.finish();
    assert_eq!((report.linearizable, report.keys.operations_untracked), (Linearizable::Undecided, 1));
    assert_eq!(report.quorum_writes.acked, 2, "counted all the same");
}

/// Two writes of a key, one after the other: the first was overwritten, the second is what must be found.
#[test]
fn of_a_key_that_is_overwritten_the_last_acknowledged_write_must_be_found() {
    let two_writes = "1 invoke put a
                      1 ok put a
                      1 invoke put b
                      1 ok put b";
    let ledger = |more: &str| judged(&format!("{two_writes}\n{more}")).quorum_ledger;
    let counts = |ledger: Ledger| (ledger.acked, ledger.read_back, ledger.lost);
    assert_eq!(counts(ledger("")), (1, 0, 0));
    assert_eq!(counts(ledger("2 invoke get -\n2 ok get b")), (1, 1, 0));
    assert_eq!(counts(ledger("2 invoke get -\n2 ok get a")), (1, 0, 1));
    assert_eq!(counts(ledger("2 invoke get -\n2 ok get -")), (1, 0, 1));
}

/// A key of a ring: released again and again, while the judge remembers next to nothing of it once there is much. A loss,
/// and a read of what is forgotten, are told all the same.
#[test]
fn a_key_of_a_ring_costs_no_memory_and_hides_no_loss() {
    let round = |n: u32| {
        format!(
            "1 invoke put v{n} async\n1 ok put v{n} async\n2 invoke get -\n2 ok get v{n}\n2 invoke get -\n2 ok get v{n}\n"
        )
    };
    let rounds: String = (0..500).map(round).collect();
    let lost = format!("{rounds}1 invoke put last async\n1 ok put last async\n2 invoke get -\n2 ok get v499");
    let little = JudgeOptions { ids_altogether: 100, ..JudgeOptions::default() };
    let finished = |text: &str| {
        let mut judge = Judge::new(little.clone());
        for event in script(text) {
            judge.observe(&event).unwrap();
            assert!(judge.remembered() <= little.ids_altogether / 2 + 1, "{}", judge.remembered());
        }
        judge.finish()
    };
    let ledger = finished(&lost).async_ledger;
    assert_eq!((ledger.released, ledger.acked, ledger.lost, ledger.waiting()), (500, 1, 1, 0));

    let quorum = lost.replace("async", "quorum");
    let old_read = format!("{quorum}\n2 invoke get -\n2 ok get v3");
    let report = judged(&old_read);
    assert!(matches!(report.violations[1].kind, ViolationKind::Order(_)), "whole: {:?}", report.violations);
    let report = finished(&old_read);
    assert_eq!((report.linearizable, report.quorum_ledger.lost), (Linearizable::No, 1));
    assert!(matches!(report.violations[1].kind, ViolationKind::Forgotten { .. }), "{:?}", report.violations);
}

/// Whoever says that everything must be asked for again makes the judge claim less, and nothing else.
#[test]
fn what_was_found_counts_as_unread_once_it_must_be_asked_for_again() {
    let mut judge = Judge::new(JudgeOptions::default());
    let events = script("1 invoke put a\n1 ok put a\n2 invoke get -\n2 ok get a\n2 invoke get -\n2 ok get a");
    for event in &events[..4] {
        judge.observe(event).unwrap();
    }
    let counts = |judge: &Judge| {
        let ledger = judge.judgement().quorum_ledger;
        (ledger.read_back, ledger.waiting(), ledger.doubtful)
    };
    assert_eq!(counts(&judge), (1, 0, 0));
    judge.ask_again();
    assert_eq!(counts(&judge), (0, 1, 1));
    for event in &events[4..] {
        judge.observe(event).unwrap();
    }
    assert_eq!(counts(&judge), (1, 0, 0));
}

#[test]
fn the_ledger_tells_lost_from_not_asked_for() {
    let report = judged(
        "1 invoke put a quorum key=one
         1 ok put a quorum key=one
         1 invoke put b quorum key=two
         1 ok put b quorum key=two
         1 invoke put c quorum key=three
         1 info put c quorum key=three
         2 invoke get - quorum key=one
         2 ok get a quorum key=one
         2 invoke get - eventual key=two
         2 ok get - eventual key=two",
    );
    let ledger = report.quorum_ledger;
    assert_eq!((ledger.acked, ledger.read_back, ledger.lost, ledger.waiting()), (2, 1, 0, 1));
    assert_eq!((report.quorum_writes.unknown, report.unknown), (1, 1));
}

#[test]
fn staleness_is_measured_in_time_and_versions() {
    let events = script(
        "1 invoke put a async
         1 ok put a async
         1 invoke put b async
         1 ok put b async
         1 invoke put c async
         1 ok put c async
         +2000
         2 invoke get - eventual
         2 ok get a eventual
         2 invoke get - eventual
         2 ok get c eventual",
    );
    let mut judge = Judge::new(JudgeOptions::default());
    let mut stale = Vec::new();
    for event in &events {
        judge.observe(event).unwrap();
        stale.push(judge.stale());
    }
    // The later of the two writes since was acknowledged at 5 ms, the first at 3 ms; the read began at 2006 ms.
    assert_eq!(stale[7], Some(Stale { age_ns: 2_003_000_000, versions: 2, at_least: false }));
    assert!(stale.iter().enumerate().all(|(at, stale)| at == 7 || stale.is_none()));
    let staleness = judge.judgement().staleness;
    assert_eq!((staleness.reads, staleness.stale, staleness.at_least), (2, 1, 0));
    assert_eq!((staleness.age_ms.max, staleness.versions.max), (2003.0, 2.0));
    assert_eq!(judge.judgement().violations_total, 0);
}

#[test]
fn absence_on_a_key_with_a_delete_is_not_measured() {
    let report = judged(
        "1 invoke put a
         1 ok put a
         1 invoke del -
         1 ok del -
         2 invoke get - eventual
         2 ok get - eventual
         2 invoke get - eventual
         2 ok get a eventual",
    );
    assert_eq!((report.staleness.reads, report.staleness.stale, report.staleness.unmeasured), (1, 1, 1));
}

#[test]
fn what_is_forgotten_is_flagged_with_less_to_show() {
    let mut judge =
        Judge::new(JudgeOptions { ids_remembered: 2, acks_remembered: 2, ..JudgeOptions::default() });
    let mut text = String::new();
    for n in 0..50 {
        text += &format!("1 invoke put v{n} \n 1 ok put v{n} \n");
    }
    text += "2 invoke get - eventual \n 2 ok get v3 eventual \n 2 invoke get - \n 2 ok get v4";
    let events = script(&text);
    for event in &events[..100] {
        judge.observe(event).unwrap();
        assert!(judge.remembered() <= 6, "{}", judge.remembered());
    }
    assert!(events[100..103].iter().all(|event| judge.observe(event).unwrap().is_none()));
    let violation = judge.observe(&events[103]).unwrap().unwrap();
    assert!(matches!(violation.kind, ViolationKind::Forgotten { .. }), "{violation:#?}");
    let report = judge.judgement();
    assert_eq!((report.linearizable, report.staleness.at_least), (Linearizable::No, 1));
}

#[test]
fn writes_that_were_tried_without_success_are_time_without_service() {
    let report = judged(
        "1 invoke put a
         1 ok put a
         +99
         1 invoke put b
         +400
         1 info put b
         2 invoke put c async
         2 ok put c async
         +100
         1 invoke put d
         1 ok put d",
    );
    assert_eq!((report.unavailable.any_ms, report.unavailable.async_ms), (403, 1));
    assert_eq!(report.unavailable.quorum_ms, 505, "an async success is none for those who need a quorum");
}

fn refused(text: &str) -> HistoryError {
    let mut judge = Judge::new(JudgeOptions::default());
    let events = script(text);
    let (last, before) = events.split_last().unwrap();
    for event in before {
        judge.observe(event).unwrap();
    }
    let report = judge.judgement();
    let error = judge.observe(last).unwrap_err();
    assert_eq!(judge.judgement(), report, "a refused event changes nothing");
    assert_eq!(error.i, last.i);
    error
}

#[test]
fn what_is_no_history_is_refused_with_what_and_where() {
    let said = |text: &str| refused(text).to_string();
    assert_eq!(said("1 ok get a"), "event 0: client 1 gets a reply, but has nothing invoked");
    assert_eq!(
        said("1 invoke get - \n 1 invoke get -"),
        "event 1: client 1 invokes again, but its operation of event 0 has no reply yet"
    );
    assert_eq!(
        said("1 invoke get - \n 1 ok get - eventual"),
        "event 1: client 1 gets a reply about another consistency than it invoked in event 0"
    );
    assert!(said("1 invoke put a \n 1 ok put b").contains("another value"));
    assert!(said("1 invoke put a \n 1 ok get a").contains("another operation"));
    assert!(said("1 invoke put a \n 1 ok put a quorum key=other").contains("another key"));
    assert!(said("1 invoke put -").contains("without a value"));
    assert!(said("1 invoke put a eventual").contains("which there is not"));
    assert!(said("1 invoke get - async").contains("which there is not"));
}

#[test]
fn indices_that_go_back_and_events_after_the_end_are_refused() {
    let events = script("1 invoke get - \n 1 ok get - \n 1 invoke get -");
    let mut judge = Judge::new(JudgeOptions::default());
    judge.observe(&events[1]).unwrap_err();
    judge.observe(&events[0]).unwrap();
    judge.observe(&events[1]).unwrap();
    let back = judge.observe(&events[0]).unwrap_err();
    assert_eq!(back.to_string(), "event 0 (client 1) comes after event 1: the index must ascend");
    let huge = HistoryEvent { i: u64::MAX, ..events[2].clone() };
    assert_eq!(judge.observe(&huge).unwrap_err().fault, HistoryFault::IndexTooLarge);
    judge.finish();
    assert_eq!(judge.observe(&events[2]).unwrap_err().fault, HistoryFault::AfterEnd);
}

/// Twenty thousand operations of eight clients on one key: what is remembered stays small, and a violation at the
/// end is found with its whole proof.
#[test]
fn a_long_history_costs_no_more_memory_than_a_short_one() {
    let options = JudgeOptions { ids_remembered: 100, acks_remembered: 100, ..JudgeOptions::default() };
    let mut judge = Judge::new(options);
    let mut most = 0;
    for round in 0..5_000 {
        let mut text = String::new();
        for client in 0..4 {
            text += &format!("{client} invoke put v{round}-{client} \n {} invoke get - \n", client + 4);
        }
        for client in 0..4 {
            text += &format!("{client} ok put v{round}-{client} \n");
        }
        for client in 4..8 {
            text += &format!("{client} ok get v{round}-2 \n");
        }
        for mut event in script(&text) {
            event.i += round * 16;
            assert_eq!(judge.observe(&event).unwrap(), None);
        }
        most = most.max(judge.remembered());
    }
    assert!((100..130).contains(&most), "{most}");
    let mut stale = script("9 invoke get - \n 9 ok get v4990-2");
    stale.iter_mut().for_each(|event| event.i += 5_000 * 16);
    judge.observe(&stale[0]).unwrap();
    let violation = judge.observe(&stale[1]).unwrap().unwrap();
    assert!(matches!(violation.kind, ViolationKind::Order(_)), "{violation:#?}");
}
