//! What is written for others is read back as the same operations, with the same verdict.

use super::super::export::{ExportError, Exporter, Target};
use super::super::import::{FailedCas, Format, ImportOptions, Imported, import};
use super::super::offline::{OpEvent, op_events};
use super::super::*;
use super::random::{self, Kind};
use super::script::script;
use super::{agree, checks};
use crate::judge::offline::{KeyAct, KeyHistory, KeyOp, OpOutcome, check_key};

fn exported(told: impl IntoIterator<Item = OpEvent>, mut exporter: Exporter) -> Result<String, ExportError> {
    let mut text = String::new();
    for told in told {
        exporter.event(told, &mut text)?;
    }
    exporter.finish(&mut text)?;
    Ok(text)
}

fn of_events(events: &[HistoryEvent], target: Target) -> String {
    let processes = events.iter().map(|event| u64::from(event.client) + 1).max().unwrap_or(0);
    exported(events.iter().map(OpEvent::from), Exporter::new(target, true, processes)).unwrap()
}

fn read_back(text: &str, target: Target) -> Vec<KeyHistory> {
    read_back_with(text, target, FailedCas::NeverRan)
}

fn read_back_with(text: &str, target: Target, failed_cas: FailedCas) -> Vec<KeyHistory> {
    let format = match target {
        Target::Edn | Target::Elle | Target::Porcupine => Format::Edn,
        Target::JepsenLog => Format::JepsenLog,
        Target::Kvlab => Format::Kvlab,
    };
    assert_eq!(Format::detect(text), Some(format), "{text}");
    match import(text, format, ImportOptions { failed_cas, model: None })
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
    {
        Imported::Keys(keys) => keys,
        Imported::Kvlab(events) => KeyHistory::of_events(&events),
    }
}

/// The operations without their numbers: what was done, whether it happened, and what was before what.
fn shape(history: &KeyHistory, porcupine: bool) -> Vec<(KeyAct, OpOutcome, usize, Option<usize>)> {
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_plain).unwrap_or_default();
    let is_told = |op: &&KeyOp| op.outcome != OpOutcome::Failed || !porcupine;
    let ops: Vec<&KeyOp> = history.ops().iter().filter(is_told).collect();
    let ended = |op: &KeyOp| op.ended.filter(|_| op.outcome == OpOutcome::Ok).map(|ended| ended.i);
    let mut marks: Vec<u64> =
        ops.iter().flat_map(|op| std::iter::once(op.began.i).chain(ended(op))).collect();
    marks.sort_unstable();
    let rank = |i: u64| marks.binary_search(&i).unwrap();
    let act = |act: &KeyAct| match act {
        KeyAct::Read(seen) if porcupine => KeyAct::Get(text(seen)),
        KeyAct::Write(written) if porcupine => KeyAct::Put(text(written)),
        act => act.clone(),
    };
    ops.iter().map(|op| (act(&op.act), op.outcome, rank(op.began.i), ended(op).map(rank))).collect()
}

fn verdict(history: &KeyHistory) -> Linearizable {
    check_key(history, &mut |steps| steps < 1_000_000).linearizable
}

fn assert_same(before: &[KeyHistory], after: &[KeyHistory], target: Target, text: &str) {
    let porcupine = target == Target::Porcupine;
    let says_something = |history: &&KeyHistory| !shape(history, porcupine).is_empty();
    let before: Vec<_> = before.iter().filter(says_something).collect();
    let after: Vec<_> = after.iter().filter(says_something).collect();
    assert_eq!(before.len(), after.len(), "{target}:\n{text}");
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(before.key(), after.key(), "{target}");
        assert_eq!(shape(before, porcupine), shape(after, porcupine), "{target}:\n{text}");
        assert_eq!(verdict(before), verdict(after), "{target}:\n{text}");
    }
}

/// Over two keys, with names and values that need care.
fn difficult(seed: u64) -> Vec<HistoryEvent> {
    let mut events =
        random::history(seed, Kind { deletes: true, repeats: seed.is_multiple_of(2), eventual: false });
    for event in &mut events {
        let keys = ["q0", "a \"key\", \\ [;\n"];
        event.key = keys[event.client as usize % 2].to_owned();
        let careful = [":x", "nil", "7", "\"}\t", "ä\r\n{:f", "\\"];
        let value = event.value.take();
        event.value = value.map(|value| format!("{}{value}", careful[seed as usize % careful.len()]));
    }
    events
}

#[test]
fn our_histories_are_read_back_as_they_were_from_every_format() {
    let mut verdicts = [0, 0];
    for seed in 0..agree::cases() / 8 {
        let events = difficult(seed);
        let before = KeyHistory::of_events(&events);
        for target in [Target::Edn, Target::JepsenLog, Target::Porcupine, Target::Kvlab] {
            let text = of_events(&events, target);
            if text.is_empty() {
                continue;
            }
            assert_same(&before, &read_back(&text, target), target, &text);
        }
        let fails = before.iter().any(|history| verdict(history) == Linearizable::No);
        verdicts[usize::from(fails)] += 1;
    }
    assert!(verdicts.iter().all(|&count| count > agree::cases() / 80), "{verdicts:?}");
}

/// Elle has no word for a delete.
#[test]
fn transactions_of_one_operation_are_read_back_as_they_were() {
    for seed in 0..agree::cases() / 8 {
        let events = random::history(seed, Kind::default());
        let text = of_events(&events, Target::Elle);
        assert_same(&KeyHistory::of_events(&events), &read_back(&text, Target::Elle), Target::Elle, &text);
    }
    let events = script("1 invoke del -\n1 ok del -");
    let refused = exported(events.iter().map(OpEvent::from), Exporter::new(Target::Elle, true, 2));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .starts_with("event #0: a delete of key \"k\" cannot be written as elle")
    );
}

#[test]
fn other_peoples_histories_are_written_as_they_came() {
    for seed in 0..agree::cases() / 8 {
        for strings in [false, true] {
            let history = checks::history(seed, strings);
            let keys = [Value::from(7), "7".into(), Value::of_edn(":k".to_owned())];
            let key = keys[seed as usize % keys.len()].clone();
            // A format says of both only that they failed.
            let (failed_cas, other): (_, fn(&KeyOp) -> bool) = if seed.is_multiple_of(2) {
                (FailedCas::NeverRan, |op| matches!(op.act, KeyAct::CasFailed { .. }))
            } else {
                (FailedCas::Observed, |op| {
                    op.outcome == OpOutcome::Failed && matches!(op.act, KeyAct::Cas { .. })
                })
            };
            let ops = history.ops().iter().filter(|op| !other(op)).cloned().collect();
            let before = [KeyHistory::new(key, ops).unwrap()];
            for target in [Target::Edn, Target::JepsenLog] {
                let exporter = Exporter::of_keys(target, true, &before).unwrap();
                let text = exported(op_events(&before), exporter).unwrap();
                if text.is_empty() {
                    continue;
                }
                let after = read_back_with(&text, target, failed_cas);
                assert_same(&before, &after, target, &text);
            }
        }
    }
}

const EVENTS: &str = "1 invoke put a
    2 invoke get -
    2 fail get -
    1 info put a
    1 invoke del -
    2 invoke get -
    2 ok get a
    1 ok del -
    3 invoke put b
    3 fail put b
    4 invoke get -
    2 invoke put c";

#[test]
fn jepsen_and_knossos_get_every_outcome_and_a_new_process_after_an_unknown_one() {
    let text = of_events(&script(EVENTS), Target::Edn);
    let expected = r#"{:process 1, :type :invoke, :f :write, :value ["k" "a"], :index 0, :time 0}
{:process 2, :type :invoke, :f :read, :value ["k" nil], :index 1, :time 1000000}
{:process 2, :type :fail, :f :read, :value ["k" nil], :index 2, :time 2000000}
{:process 1, :type :info, :f :write, :value ["k" "a"], :index 3, :time 3000000}
{:process 6, :type :invoke, :f :write, :value ["k" nil], :index 4, :time 4000000}
{:process 2, :type :invoke, :f :read, :value ["k" nil], :index 5, :time 5000000}
{:process 2, :type :ok, :f :read, :value ["k" "a"], :index 6, :time 6000000}
{:process 6, :type :ok, :f :write, :value ["k" nil], :index 7, :time 7000000}
{:process 3, :type :invoke, :f :write, :value ["k" "b"], :index 8, :time 8000000}
{:process 3, :type :fail, :f :write, :value ["k" "b"], :index 9, :time 9000000}
{:process 4, :type :invoke, :f :read, :value ["k" nil], :index 10, :time 10000000}
{:process 2, :type :invoke, :f :write, :value ["k" "c"], :index 11, :time 11000000}
"#;
    assert_eq!(text, expected);
}

#[test]
fn porcupine_gets_what_happened_and_writes_that_never_complete() {
    let text = of_events(&script(EVENTS), Target::Porcupine);
    let expected = r#"{:process 1, :type :invoke, :f :put, :key "k", :value "a"}
{:process 6, :type :invoke, :f :put, :key "k", :value ""}
{:process 2, :type :invoke, :f :get, :key "k", :value nil}
{:process 2, :type :ok, :f :get, :key "k", :value "a"}
{:process 6, :type :ok, :f :put, :key "k", :value ""}
{:process 2, :type :invoke, :f :put, :key "k", :value "c"}
"#;
    assert_eq!(text, expected);
}

#[test]
fn what_a_target_has_no_word_for_is_refused_with_what_to_do() {
    let mut events = script("1 invoke put x\n1 ok put x");
    for event in &mut events {
        event.value = Some(String::new());
    }
    let told = || events.iter().map(OpEvent::from);
    let error = exported(told(), Exporter::new(Target::Porcupine, true, 2)).unwrap_err().to_string();
    assert!(error.starts_with("event #0: the empty string as a value of key \"k\""), "{error}");
    assert!(error.contains("--key"), "{error}");
    let cas = "{:process 0, :type :invoke, :f :cas, :value [1 2]}";
    let Imported::Keys(keys) = import(cas, Format::Edn, ImportOptions::default()).unwrap() else { panic!() };
    for target in [Target::Porcupine, Target::Kvlab] {
        let error = exported(op_events(&keys), Exporter::new(target, true, 1)).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot be written as {target}; take edn")), "{error}");
    }
}

#[test]
fn where_there_are_only_strings_values_that_would_become_equal_are_refused() {
    let write = |key: &str, value: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :write, :value [{key} {value}]}}\n{{:process 0, :type :ok, :f :write, :value [{key} {value}]}}\n"
        )
    };
    let keys = |text: &str| {
        let Imported::Keys(keys) = import(text, Format::Edn, ImportOptions::default()).unwrap() else {
            panic!()
        };
        keys
    };
    for target in [Target::Porcupine, Target::Kvlab] {
        let fine = keys(&(write("1", "3") + &write("2", "\"3\"")));
        let exporter = Exporter::of_keys(target, true, &fine).unwrap();
        let text = exported(op_events(&fine), exporter).unwrap();
        let plain = keys(&(write("\"1\"", "\"3\"") + &write("\"2\"", "\"3\"")));
        assert_same(&plain, &read_back(&text, target), target, &text);

        let values = keys(&(write("1", "3") + &write("1", "\"3\"")));
        let refused = Exporter::of_keys(target, true, &values).unwrap_err().to_string();
        let expected = format!(
            "event #3: the value \"3\", which as a string is the same as 3, cannot be written as {target}; take edn"
        );
        assert_eq!(refused, expected);
        let names = keys(&(write("1", "3") + &write("\"1\"", "3")));
        assert!(
            Exporter::of_keys(target, true, &names)
                .unwrap_err()
                .to_string()
                .contains("the key \"1\", which as a")
        );
        let unasked = exported(op_events(&fine), Exporter::new(target, true, 1)).unwrap_err().to_string();
        assert!(unasked.contains("which is no string, cannot be written"), "{unasked}");
    }
}

#[test]
fn values_keep_their_types_and_one_key_needs_no_name() {
    let text = "{:process 0, :type :invoke, :f :cas, :value [1 x]}\n{:process 0, :type :fail, :f :cas, :value [1 x]}\n";
    let Imported::Keys(keys) = import(text, Format::Edn, ImportOptions::default()).unwrap() else { panic!() };
    let exporter = Exporter::of_keys(Target::Edn, false, &keys).unwrap();
    assert_eq!(
        exported(op_events(&keys), exporter).unwrap(),
        "{:process 0, :type :invoke, :f :cas, :value [1 x], :index 0}\n\
         {:process 0, :type :fail, :f :cas, :value [1 x], :index 1}\n"
    );
}
