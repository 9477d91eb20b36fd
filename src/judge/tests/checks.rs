//! Whole histories of one key: compare-and-set, appends, shrinking.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::*;
use super::agree::cases;
use super::{brute, random};
use crate::judge::offline::*;

fn may_continue(steps: u64) -> bool {
    steps < 1_000_000
}

fn mark(i: usize) -> EventTime {
    EventTime { i: i as u64, t_ns: None }
}

/// What is done, and with which values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// Reads, writes and compare-and-sets of three values.
    Register,
    /// Puts, gets and appends of three texts.
    Few,
    /// Of texts that can be taken for several others in a row.
    Alike,
    /// Of texts that are written once each.
    Once,
}

/// A register with compare-and-set, or a string with appends, that mostly works: at most eight operations of at
/// most four processes, over few values.
pub(super) fn history(seed: u64, strings: bool) -> KeyHistory {
    history_of(seed, if strings { Values::Few } else { Values::Register })
}

/// The same with these values.
fn history_of(seed: u64, values: Values) -> KeyHistory {
    let mut rng = StdRng::seed_from_u64(seed);
    let wrong = *[0.0, 0.2, 0.6].choose(&mut rng).unwrap();
    let mut running: Vec<Option<(usize, bool)>> = vec![None; rng.random_range(1..=4)];
    let (mut ops, mut state, mut now) = (Vec::<KeyOp>::new(), None::<Value>, 0);
    let mut left = rng.random_range(3..=8);
    while left > 0 || running.iter().any(Option::is_some) {
        let process = rng.random_range(0..running.len());
        now += 1;
        match running[process] {
            None if left > 0 => {
                left -= 1;
                let act = match values {
                    Values::Register => random_register_act(&mut rng),
                    Values::Few => random_string_act(rng.random_range(0..3).to_string(), &mut rng),
                    Values::Alike => random_string_act(
                        (*["", "a", "aa", "ab", "b", "ba"].choose(&mut rng).unwrap()).to_owned(),
                        &mut rng,
                    ),
                    Values::Once => random_string_act(format!("{left}."), &mut rng),
                };
                running[process] = Some((ops.len(), false));
                let process = process as u32;
                ops.push(KeyOp { process, act, began: mark(now), ended: None, outcome: OpOutcome::Unknown });
            }
            None if rng.random_bool(0.05) => break,
            None => {}
            Some((at, false)) => {
                take_effect(&mut ops[at].act, &mut state, wrong, &mut rng);
                running[process] = Some((at, true));
            }
            Some((at, true)) => {
                running[process] = None;
                ops[at].ended = Some(mark(now));
                ops[at].outcome = match rng.random_range(0..20) {
                    0 | 1 => OpOutcome::Unknown,
                    2 if rng.random_bool(wrong) => OpOutcome::Failed,
                    _ => OpOutcome::Ok,
                };
            }
        }
    }
    ops.retain(|op| op.outcome == OpOutcome::Ok || !op.act.only_looks());
    KeyHistory::new("k", ops).unwrap()
}

fn random_register_act(rng: &mut StdRng) -> KeyAct {
    let (one, other) = (Some(random_value(rng)), Some(random_value(rng)));
    match rng.random_range(0..10) {
        0..=3 => KeyAct::Read(None),
        4..=6 => KeyAct::Write(one),
        _ => KeyAct::Cas { from: one, to: other },
    }
}

/// One of three, of which two are told apart only by their types.
fn random_value(rng: &mut StdRng) -> Value {
    match rng.random_range(0..3) {
        0 => Value::from(0),
        1 => Value::from("0"),
        _ => Value::from("1"),
    }
}

fn random_string_act(text: String, rng: &mut StdRng) -> KeyAct {
    match rng.random_range(0..10) {
        0..=4 => KeyAct::Get(String::new()),
        5..=7 => KeyAct::Append(text),
        _ => KeyAct::Put(text),
    }
}

/// What the register or string does, and what it says, which may be wrong.
fn take_effect(act: &mut KeyAct, state: &mut Option<Value>, wrong: f64, rng: &mut StdRng) {
    let lies = rng.random_bool(wrong);
    let any = random_value(rng);
    let text = |state: &Option<Value>| state.as_ref().map(Value::to_plain).unwrap_or_default();
    match act.clone() {
        KeyAct::Read(_) => *act = KeyAct::Read(if lies { Some(any) } else { state.clone() }),
        KeyAct::Get(_) => *act = KeyAct::Get(if lies { any.to_plain() } else { text(state) }),
        KeyAct::Write(value) => *state = value,
        KeyAct::Put(value) => *state = Some(value.into()),
        KeyAct::Append(value) => *state = Some((text(state) + &value).into()),
        KeyAct::Cas { from, to } | KeyAct::CasFailed { from, to } => {
            let matches = *state == from;
            if matches {
                state.clone_from(&to);
            }
            if matches == lies {
                *act = KeyAct::CasFailed { from, to };
            }
        }
        act => unreachable!("{act}"),
    }
}

#[test]
fn search_agrees_with_the_oracle_on_compare_and_set_and_on_appends() {
    for values in [Values::Register, Values::Few, Values::Alike, Values::Once] {
        let (mut yes, mut no) = (0, 0);
        for seed in 0..cases() / 4 {
            let history = history_of(seed, values);
            let expected = brute::is_linearizable(&brute::of_history(&history));
            let verdict = check_key(&history, &mut may_continue);
            assert_eq!(verdict.linearizable.known(), Some(expected), "seed {seed}: {history:#?}");
            if expected { yes += 1 } else { no += 1 }
        }
        assert!(yes > cases() / 40 && no > cases() / 40, "{values:?} {yes} {no}");
    }
}

/// The order that the search finds for a string is one: in time, complete and right. What it cannot place fits nowhere
/// after the longest order.
#[test]
fn what_the_search_finds_for_a_string_holds() {
    for seed in 0..cases() / 4 {
        let values = if seed % 2 == 0 { Values::Alike } else { Values::Once };
        let operations = brute::of_history(&history_of(seed, values));
        let op = |act: &KeyAct| match act.clone() {
            KeyAct::Put(text) => AppendOp::Put(text),
            KeyAct::Append(text) => AppendOp::Append(text),
            KeyAct::Get(text) => AppendOp::Get(text),
            other => unreachable!("{other}"),
        };
        let call = |one: &brute::Op| Call { op: op(&one.act), began: one.began, ended: one.ended };
        let calls: Vec<_> = operations.iter().map(call).collect();
        let (order, stuck) = match search(&mut AppendModel::default(), &calls, &mut may_continue).0 {
            SearchResult::Linearizable(order) => (order, None),
            SearchResult::NotLinearizable { longest, stuck } => (longest, Some(stuck)),
            SearchResult::Undecided => panic!("seed {seed} is undecided"),
        };
        let mut state = String::new();
        for (at, &one) in order.iter().enumerate() {
            match &calls[one].op {
                AppendOp::Put(text) => state.clone_from(text),
                AppendOp::Append(text) => state.push_str(text),
                AppendOp::Get(text) => assert_eq!(*text, state, "seed {seed}: {order:?} {calls:#?}"),
            }
            for later in (0..calls.len()).filter(|later| !order[..=at].contains(later)) {
                assert!(
                    calls[later].ended.is_none_or(|ended| ended > calls[one].began),
                    "seed {seed} {order:?}"
                );
            }
        }
        match stuck {
            None => assert!((0..calls.len()).all(|at| order.contains(&at) || calls[at].ended.is_none())),
            Some(stuck) => assert!(
                !order.contains(&stuck) && matches!(&calls[stuck].op, AppendOp::Get(text) if *text != state),
                "seed {seed}: {stuck} after {order:?} {calls:#?}"
            ),
        }
    }
}

#[test]
fn our_own_events_and_their_whole_operations_are_judged_alike() {
    for seed in 0..cases() / 4 {
        let kind = random::Kind { deletes: seed % 2 == 0, repeats: seed % 3 == 0, eventual: true };
        let events = random::history(seed, kind);
        let expected = brute::is_linearizable(&brute::operations(&events, "k"));
        for history in KeyHistory::of_events(&events) {
            let verdict = check_key(&history, &mut may_continue);
            assert_eq!(verdict.linearizable.known(), Some(expected), "seed {seed}: {history:#?}");
            assert_eq!(verdict.method == Method::Ids, history.has_unique_ids());
        }
    }
}

fn writes(act: &KeyAct, value: &Option<Value>) -> bool {
    matches!(act, KeyAct::Write(written) | KeyAct::Cas { to: written, .. } if written == value)
}

/// What is left still fails, was there before, and nothing more can be left out.
fn assert_shrunk(history: &KeyHistory, part: &Part, seed: u64) {
    let shrunk = &part.history;
    assert!(part.is_minimal && part.before.is_none(), "seed {seed}: {part:#?}");
    let fails =
        |ops: Vec<KeyOp>| !brute::is_linearizable(&brute::of_history(&KeyHistory::new("k", ops).unwrap()));
    assert!(fails(shrunk.ops().to_vec()), "seed {seed}: {shrunk:#?} of {history:#?}");
    for op in shrunk.ops() {
        let whole = history.ops().iter().find(|other| other.began == op.began).expect("it was there before");
        assert!(part.has_gaps || whole.act == op.act, "seed {seed}: {part:#?}");
        let KeyAct::Read(seen @ Some(_)) = &op.act else { continue };
        let until = op.ended.expect("reads have ended").i;
        let writes = |history: &KeyHistory| {
            let happened = history.ops().iter().filter(|write| write.outcome != OpOutcome::Failed);
            happened.filter(|write| write.began.i < until && writes(&write.act, seen)).count()
        };
        let stays = writes(history) == 0 || writes(shrunk) > 0;
        assert!(stays, "seed {seed}: a read of {seen:?} stays, and no write of it: {shrunk:#?}");
    }
    for (at, _) in shrunk.ops().iter().enumerate().filter(|(_, op)| op.act.only_looks()) {
        let mut ops = shrunk.ops().to_vec();
        ops.remove(at);
        assert!(!fails(ops), "seed {seed}: operation {at} could be left out of {shrunk:#?}");
    }
}

#[test]
fn what_is_shrunk_still_fails_and_cannot_lose_another_read() {
    let mut shrunk_total = 0;
    for seed in 0..cases() / 8 {
        let kind = random::Kind { deletes: seed % 2 == 0, repeats: seed % 4 == 0, eventual: false };
        let ours = KeyHistory::of_events(&random::history(seed, kind)).pop().unwrap();
        for history in [history(seed, false), history(seed, true), ours] {
            let expected = brute::is_linearizable(&brute::of_history(&history));
            let shrunk = shrink(&history, &mut may_continue);
            assert_eq!(shrunk.is_err(), expected, "seed {seed}");
            if let Ok(shrunk) = shrunk {
                shrunk_total += history.ops().len() - shrunk.history.ops().len();
                assert_shrunk(&history, &shrunk, seed);
            }
        }
    }
    assert!(shrunk_total > cases() as usize / 8, "{shrunk_total}");
}

#[test]
fn a_long_history_with_one_stale_read_shrinks_to_three_operations() {
    let mut ops = Vec::new();
    let mut op = |act| {
        let i = 2 * ops.len();
        ops.push(KeyOp { process: 0, act, began: mark(i), ended: Some(mark(i + 1)), outcome: OpOutcome::Ok });
    };
    for n in 0..2_000 {
        op(KeyAct::Write(Some(format!("v{n}").into())));
        op(KeyAct::Read(Some(format!("v{n}").into())));
    }
    op(KeyAct::Read(Some("v1990".into())));
    for n in 2_000..2_100 {
        op(KeyAct::Write(Some(format!("v{n}").into())));
    }
    let history = KeyHistory::new("k", ops).unwrap();
    let shrunk = shrink(&history, &mut may_continue).unwrap();
    assert_eq!(shrunk.history.ops().len(), 3, "{shrunk:#?}");
}

#[test]
fn a_refusal_by_search_is_proved_by_a_part_that_fails_by_itself() {
    for values in [Values::Register, Values::Few, Values::Alike, Values::Once] {
        let mut refused = 0;
        for seed in 0..cases() / 8 {
            let history = history_of(seed, values);
            let mut verdict = check_key(&history, &mut may_continue);
            explain_key(&history, &mut verdict, &mut may_continue);
            let Some(Refutation::Part(part)) = verdict.refutation else { continue };
            refused += 1;
            assert_shrunk(&history, &part, seed);
            // It fails in the end of what is said to fit nowhere, and not before.
            let stuck = &part.history.ops()[part.stuck];
            let until = stuck.ended.expect("what is stuck has ended");
            let others = part.history.ops().iter().filter(|op| op.began != stuck.began);
            let others = KeyHistory::new("k", others.cloned().collect()).unwrap();
            assert!(
                stuck.outcome == OpOutcome::Ok
                    && others
                        .ops()
                        .iter()
                        .all(|op| op.ended.is_none_or(|at| at < until || op.outcome == OpOutcome::Failed))
            );
            assert!(
                !stuck.act.only_looks() || brute::is_linearizable(&brute::of_history(&others)),
                "seed {seed}"
            );
            assert!(!part.notes.is_empty());
        }
        assert!(refused > cases() / 80, "{values:?}: {refused}");
    }
}

#[test]
fn a_refusal_by_search_says_what_fits_nowhere_and_who_wrote_what_it_saw() {
    let op = |process, act, began, ended| KeyOp {
        process,
        act,
        began: mark(began),
        ended: Some(mark(ended)),
        outcome: OpOutcome::Ok,
    };
    let value = |value: &str| Some(Value::from(value));
    let ops = vec![
        op(0, KeyAct::Write(value("1")), 0, 1),
        op(1, KeyAct::Cas { from: value("1"), to: value("2") }, 2, 4),
        op(2, KeyAct::Cas { from: value("1"), to: value("3") }, 3, 5),
    ];
    let history = KeyHistory::new("k", ops).unwrap();
    let mut verdict = check_key(&history, &mut may_continue);
    assert_eq!((verdict.linearizable, verdict.method), (Linearizable::No, Method::Search));
    explain_key(&history, &mut verdict, &mut |_| false);
    let Some(Refutation::Part(part)) = &verdict.refutation else { panic!("{verdict:?}") };
    assert!(!part.is_minimal, "there was no time");
    let mut verdict = check_key(&history, &mut may_continue);
    explain_key(&history, &mut verdict, &mut may_continue);
    let Some(Refutation::Part(part)) = &verdict.refutation else { panic!("{verdict:?}") };
    assert_eq!((part.history.ops().len(), part.stuck, part.is_minimal), (3, 2, true));
    assert_eq!(
        part.notes,
        [
            "process 2: cas \"1\" to \"3\" (#3 to #5) fits into no order of the others: wherever it fits, process 1: \
             cas \"1\" to \"2\" (#2 to #4) does not.",
            "What it compares with was written only by process 0: write \"1\" (#0 to #1).",
        ]
    );
}

#[test]
fn a_search_that_is_given_up_is_undecided() {
    // All together are two short of what was read, but nothing here sees that before it has tried.
    let op = |n: usize| KeyOp {
        process: n as u32,
        act: KeyAct::Append("a".repeat(2 << n)),
        began: mark(n),
        ended: Some(mark(100 + n)),
        outcome: OpOutcome::Ok,
    };
    let mut ops: Vec<_> = (0..12).map(op).collect();
    ops.push(KeyOp {
        process: 99,
        act: KeyAct::Get("a".repeat(2 << 12)),
        began: mark(200),
        ended: Some(mark(201)),
        ..op(0)
    });
    let history = KeyHistory::new("k", ops).unwrap();
    let mut polls = 0;
    let verdict = check_key(&history, &mut |_| {
        polls += 1;
        polls < 3
    });
    assert_eq!((verdict.linearizable, polls, verdict.steps), (Linearizable::Undecided, 3, 3 * 1024));
}

#[test]
fn operations_that_are_no_history_are_refused() {
    let op = |process, act, began, ended: Option<usize>| KeyOp {
        process,
        act,
        began: mark(began),
        ended: ended.map(mark),
        outcome: OpOutcome::Unknown,
    };
    let read = || KeyAct::Read(None);
    let new = |ops| KeyHistory::new("", ops);
    assert_eq!(new(vec![op(0, read(), 3, Some(2))]), Err(NoHistory::Order(3)));
    assert_eq!(new(vec![op(0, read(), 1, Some(2)), op(1, read(), 2, None)]), Err(NoHistory::Order(2)));
    let overlap = new(vec![op(0, read(), 1, Some(4)), op(0, read(), 2, None)]);
    assert_eq!(overlap, Err(NoHistory::Overlap { process: 0, i: 2 }));
    let mixed = new(vec![op(0, read(), 1, Some(4)), op(1, KeyAct::Get(String::new()), 2, None)]);
    let (theirs, model) = (ModelName::KeyValue, ModelName::CasRegister);
    assert_eq!(mixed, Err(NoHistory::Mixed { i: 2, theirs, model }));
}
