//! The smallest part of a history that fails: it is a proof by itself, and reads as one.

use std::fmt::Write as _;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::*;
use super::models::random;
use super::oracle::is_linearizable;
use crate::judge::offline::*;

fn may_continue(steps: u64) -> bool {
    steps < 1_000_000
}

/// Of an object that mostly works: the first that fail.
fn failing(model: ModelName, operations: usize) -> impl Iterator<Item = (KeyHistory, Part)> {
    let history = move |seed| random(StdRng::seed_from_u64(seed), model, operations, 0.08);
    (0..).map(history).filter_map(|history| {
        let part = shrink(&history, &mut may_continue).ok()?;
        Some((history, part))
    })
}

/// As `kvlab check` shows it.
fn drawn(histories: impl Iterator<Item = (KeyHistory, Part)>) -> String {
    let mut text = String::new();
    for (nth, (history, part)) in (1..).zip(histories) {
        let (left, whole) = (part.history.ops().len(), history.ops().len());
        let _ =
            writeln!(text, "{nth}. {left} of {whole} operations\n\n{}\n", Diagram::of_part(&part).text(100));
    }
    text
}

#[test]
fn proofs_of_compare_and_set() {
    insta::assert_snapshot!(drawn(failing(ModelName::CasRegister, 40).take(10)));
}

#[test]
fn proofs_of_appends() {
    insta::assert_snapshot!(drawn(failing(ModelName::KeyValue, 40).take(10)));
}

#[test]
fn proofs_of_the_other_models() {
    let models = ModelName::ALL
        .into_iter()
        .filter(|model| !matches!(model, ModelName::CasRegister | ModelName::KeyValue));
    let mut text = String::new();
    for model in models {
        let _ = writeln!(text, "== {model}\n\n{}", drawn(failing(model, 30).take(3)));
    }
    insta::assert_snapshot!(text);
}

/// Each part fails by itself, by brute force, and no operation of it that only looks can be left out.
#[test]
fn each_part_fails_by_itself() {
    for model in ModelName::ALL {
        let mut smaller = 0;
        for (history, part) in failing(model, 10).take(150) {
            assert!(!is_linearizable(&part.history), "{model}: {part:#?} of {history:#?}");
            smaller += history.ops().len() - part.history.ops().len();
            for (at, op) in part.history.ops().iter().enumerate().filter(|(_, op)| op.act.only_looks()) {
                let mut ops = part.history.ops().to_vec();
                ops.remove(at);
                let left = KeyHistory::new("k", ops).unwrap().as_model(model).unwrap();
                let left = left.starting_with(part.history.initially().to_vec());
                assert!(is_linearizable(&left), "{model}: {op} can be left out of {part:#?}");
            }
        }
        assert!(smaller > 100, "{model}: {smaller}");
    }
}

/// What is left out may go from any history: where the whole has an order, so has what is left.
#[test]
fn what_is_left_of_a_history_that_fails_is_small_and_fails() {
    for model in ModelName::ALL {
        for (history, part) in failing(model, 60).take(20) {
            let verdict = check_key(&part.history, &mut may_continue);
            assert_eq!(verdict.linearizable, Linearizable::No, "{model}");
            assert!(part.is_minimal && part.history.ops().len() < history.ops().len(), "{model}: {part:#?}");
        }
    }
}
