//! Online judge, general search and oracle agree on random small histories.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashMap;

use super::super::*;
use super::brute;
use super::random::{self, Kind, shown};
use crate::judge::offline::KeyAct;

/// Histories of each kind, so many that all tests together see more than 100 000; more with `KVLAB_ORACLE_CASES`.
pub(super) fn cases() -> u64 {
    std::env::var("KVLAB_ORACLE_CASES").ok().map_or(22_000, |cases| cases.parse().expect("a number"))
}

/// How often each verdict was given, so that a test knows that it tested something.
#[derive(Debug, Default)]
struct Tally {
    yes: u64,
    no: u64,
    undecided: u64,
}

impl Tally {
    fn count(&mut self, verdict: Linearizable) {
        match verdict {
            Linearizable::Yes => self.yes += 1,
            Linearizable::No => self.no += 1,
            Linearizable::Undecided => self.undecided += 1,
        }
    }

    fn is_balanced(&self) -> bool {
        self.yes > cases() / 5 && self.no > cases() / 5
    }
}

/// The verdict, and after how many events it turned.
fn judge(events: &[HistoryEvent], options: &JudgeOptions) -> (Judgement, Option<usize>) {
    let mut judge = Judge::new(options.clone());
    let mut turned = None;
    for (at, event) in events.iter().enumerate() {
        let violation = judge.observe(event).unwrap();
        if violation.is_some_and(|violation| violation.linearizability) && turned.is_none() {
            turned = Some(at);
        }
    }
    (judge.finish(), turned)
}

fn oracle(events: &[HistoryEvent]) -> bool {
    brute::is_linearizable(&brute::operations(events, "k"))
}

fn searched(events: &[HistoryEvent]) -> Linearizable {
    let mut numbers = HashMap::new();
    let mut number = |value: &Option<String>| match value {
        None => ABSENT,
        Some(value) => {
            let fresh = numbers.len() as u32 + 1;
            *numbers.entry(value.clone()).or_insert(fresh)
        }
    };
    let calls: Vec<_> = brute::operations(events, "k")
        .into_iter()
        .map(|op| {
            let register = match &op.act {
                KeyAct::Write(value) => RegisterOp::Write(number(value)),
                KeyAct::Read(value) => RegisterOp::Read(number(value)),
                other => unreachable!("{other}"),
            };
            Call { op: register, began: op.began, ended: op.ended }
        })
        .collect();
    match search(&mut RegisterModel, &calls, &mut |steps| steps < 1_000_000).0 {
        SearchResult::Linearizable(order) => {
            assert_explains(&calls, &order);
            Linearizable::Yes
        }
        SearchResult::NotLinearizable { longest, stuck } => {
            assert!(!longest.contains(&stuck));
            Linearizable::No
        }
        SearchResult::Undecided => Linearizable::Undecided,
    }
}

/// The order that the search found is one: in time, complete and right.
fn assert_explains(calls: &[Call<RegisterOp>], order: &[usize]) {
    let mut state = ABSENT;
    for (at, &one) in order.iter().enumerate() {
        state = RegisterModel.step(state, calls[one].op).expect("every operation fits");
        for &later in &order[at + 1..] {
            assert!(calls[later].ended.is_none_or(|ended| ended > calls[one].began), "{order:?} {calls:?}");
        }
    }
    let missing = (0..calls.len()).filter(|at| !order.contains(at));
    assert!(missing.map(|at| &calls[at]).all(|call| call.ended.is_none()));
}

fn verdict(linearizable: bool) -> Linearizable {
    if linearizable { Linearizable::Yes } else { Linearizable::No }
}

fn assert_proofs(report: &Judgement, seed: u64) {
    for violation in &report.violations {
        assert!((1..=4).contains(&violation.operations().len()), "seed {seed}: {violation}");
        if let ViolationKind::Order(proof) = &violation.kind {
            assert!(proof.holds(), "seed {seed}: {violation:?}");
        }
    }
}

/// Unique ids: the verdict is right, and turns in the event in which the history ceases to be linearizable, however
/// little is remembered.
#[test]
fn online_by_ids_agrees_with_the_oracle_and_the_search() {
    let kind = Kind { eventual: true, ..Kind::default() };
    let forgetful = JudgeOptions { ids_remembered: 1, acks_remembered: 1, ..JudgeOptions::default() };
    let mut tally = Tally::default();
    for seed in 0..cases() {
        let events = random::history(seed, kind);
        let (report, turned) = judge(&events, &JudgeOptions::default());
        let expected = verdict(oracle(&events));
        tally.count(expected);
        assert_eq!(report.linearizable, expected, "seed {seed}:\n{}", shown(&events));
        assert_eq!(searched(&events), expected, "search, seed {seed}");
        if let Some(turned) = turned {
            assert!(
                !oracle(&events[..=turned]),
                "seed {seed} turned at {turned}, too early:\n{}",
                shown(&events)
            );
            assert!(
                oracle(&events[..turned]),
                "seed {seed} turned at {turned}, too late:\n{}",
                shown(&events)
            );
        }
        assert_eq!(report.keys.by_ids, 1);
        assert_proofs(&report, seed);
        let (forgetful, turned_too) = judge(&events, &forgetful);
        assert_eq!((forgetful.linearizable, turned_too), (expected, turned), "forgetful, seed {seed}");
        assert_proofs(&forgetful, seed);
    }
    assert!(tally.is_balanced(), "{tally:?}");
}

/// Deletes and values written twice: the same, but the verdict may turn later, when operations that ran have ended.
#[test]
fn online_by_search_agrees_with_the_oracle_and_the_search() {
    let kinds = [
        Kind { deletes: true, ..Kind::default() },
        Kind { repeats: true, ..Kind::default() },
        Kind { deletes: true, repeats: true, eventual: true },
    ];
    let forgetful = JudgeOptions { ids_remembered: 1, acks_remembered: 1, ..JudgeOptions::default() };
    for kind in kinds {
        let mut tally = Tally::default();
        for seed in 0..cases() / 2 {
            let events = random::history(seed, kind);
            let expected = verdict(oracle(&events));
            tally.count(expected);
            for options in [&JudgeOptions::default(), &forgetful] {
                let (report, turned) = judge(&events, options);
                assert_eq!(
                    report.linearizable,
                    expected,
                    "seed {seed} {kind:?}:\n{}{report:#?}",
                    shown(&events)
                );
                assert_proofs(&report, seed);
                if let Some(turned) = turned {
                    assert!(
                        !oracle(&events[..=turned]),
                        "seed {seed} turned at {turned}, too early:\n{}",
                        shown(&events)
                    );
                }
            }
            assert_eq!(searched(&events), expected, "search, seed {seed}");
        }
        assert!(tally.yes > cases() / 20 && tally.no > cases() / 20, "{kind:?}: {tally:?}");
    }
}

/// With bounds so small that they are always reached, the judge may be undecided, but what it says is right.
#[test]
fn bounds_that_are_reached_never_give_a_wrong_answer() {
    let mut tally = Tally::default();
    for seed in 0..cases() {
        let options = JudgeOptions {
            unknown_remembered: (seed % 2) as usize,
            recent_max: (seed / 2 % 3) as usize,
            waiting_max: 3 + (seed % 5) as usize,
            orders_max: 1 + (seed % 3) as usize,
            ids_remembered: 1 + (seed % 2) as usize,
            ids_altogether: (seed % 7) as usize,
            ..JudgeOptions::default()
        };
        let kind = Kind { deletes: seed % 4 == 0, ..Kind::default() };
        let events = random::history(seed, kind);
        let (report, _) = judge(&events, &options);
        tally.count(report.linearizable);
        if let Some(known) = report.linearizable.known() {
            assert_eq!(known, oracle(&events), "seed {seed} {options:?}:\n{}{report:#?}", shown(&events));
        } else {
            assert!(report.keys.undecided > 0 && !report.undecided.is_empty());
        }
    }
    assert!(
        tally.yes > cases() / 5 && tally.no > cases() / 5 && tally.undecided > cases() / 100,
        "{tally:?}"
    );
}

/// A write is called lost only where no order explains what was read: whatever is forgotten, and if the writes are async
/// as well. Of unique values what is forgotten makes no difference at all.
#[test]
fn a_loss_is_claimed_only_where_no_order_explains_what_was_read() {
    let everything = JudgeOptions::unbounded();
    let forgetful =
        JudgeOptions { ids_remembered: 1, ring_remembered: 1, acks_remembered: 1, ..JudgeOptions::default() };
    let (mut lost, mut lost_async, mut kept, mut released) = (0, 0, 0, 0);
    for seed in 0..cases() {
        let kind = Kind { deletes: seed % 5 == 0, repeats: seed % 3 == 0, eventual: seed % 2 == 0 };
        let events = random::history(seed, kind);
        let ledger = judge(&events, &everything).0.quorum_ledger;
        (lost, kept, released) = (lost + ledger.lost, kept + ledger.read_back, released + ledger.released);
        let explained = oracle(&events);
        assert!(ledger.lost == 0 || !explained, "seed {seed} {ledger:?}:\n{}", shown(&events));
        if !kind.repeats {
            let little = judge(&events, &forgetful).0.quorum_ledger;
            assert_eq!(little, ledger, "forgetful, seed {seed}:\n{}", shown(&events));
        }
        let unreplicated: Vec<_> = events.iter().cloned().map(with_async_writes).collect();
        for options in [&everything, &forgetful] {
            let measured = judge(&unreplicated, options).0.async_ledger;
            assert!(measured.lost == 0 || !explained, "async, seed {seed} {measured:?}:\n{}", shown(&events));
            lost_async += measured.lost;
        }
    }
    let enough = cases() / 100;
    let counts = format!("{lost} lost, {lost_async} async, {kept} kept, {released} released");
    assert!(lost > enough && lost_async > enough && kept > enough && released > 0, "{counts}");
}

fn with_async_writes(mut event: HistoryEvent) -> HistoryEvent {
    if event.op != OpKind::Get {
        event.consistency = Consistency::Async;
    }
    event
}
