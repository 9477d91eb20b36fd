//! Histories of mutexes, sets, queues, counters and several registers, as other people write them.

use super::super::*;
use crate::judge::export::{Exporter, Target};
use crate::judge::import::*;
use crate::judge::offline::*;

fn read(text: &str, model: Option<ModelName>) -> Result<Vec<KeyHistory>, ImportError> {
    let options = ImportOptions { model, ..ImportOptions::default() };
    match import(text, Format::Edn, options)? {
        Imported::Keys(keys) => Ok(keys),
        Imported::Kvlab(_) => unreachable!("it is EDN"),
    }
}

/// `0 invoke add 1` a line, as EDN.
fn edn(lines: &str) -> String {
    let event = |line: &str| {
        let mut words = line.trim().splitn(4, ' ');
        let mut next = || words.next().expect("process, type, function and value");
        let (process, phase, function, value) = (next(), next(), next(), next());
        format!("{{:process {process}, :type :{phase}, :f :{function}, :value {value}}}\n")
    };
    lines.lines().map(event).collect()
}

/// The model of a history of one key, and whether it is linearizable.
fn judged(lines: &str, model: Option<ModelName>) -> (ModelName, Option<bool>) {
    let keys = read(&edn(lines), model).unwrap_or_else(|error| panic!("{error}\n{lines}"));
    let [history] = &keys[..] else { panic!("{} keys: {lines}", keys.len()) };
    (history.model(), check_key(history, &mut |_| true).linearizable.known())
}

fn error(lines: &str, model: Option<ModelName>) -> String {
    read(&edn(lines), model).unwrap_err().to_string()
}

#[test]
fn a_mutex_is_held_by_one() {
    let twice = "0 invoke acquire nil
        0 ok acquire nil
        1 invoke acquire nil
        1 ok acquire nil";
    assert_eq!(judged(twice, None), (ModelName::Mutex, Some(false)));
    let unknown = twice.replace("0 ok acquire", "0 info acquire");
    assert_eq!(judged(&unknown, None), (ModelName::Mutex, Some(true)));
    let by_another = "0 invoke acquire nil
        0 ok acquire 17
        1 invoke release nil
        1 ok release nil";
    assert_eq!(
        judged(by_another, None),
        (ModelName::Mutex, Some(true)),
        "tokens and owners are not looked at"
    );
    let taken = read(&edn(by_another), None).unwrap().remove(0);
    let taken = taken.starting_with(initially(ModelName::Mutex, ":taken").unwrap());
    assert_eq!(check_key(&taken, &mut |_| true).linearizable, Linearizable::No);
}

#[test]
fn a_set_has_all_that_was_added() {
    let lines = "0 invoke add 1
        0 ok add 1
        1 invoke add :b
        1 info add :b
        0 invoke read nil
        0 ok read #{1}";
    assert_eq!(judged(lines, None), (ModelName::Set, Some(true)));
    for (seen, expected) in
        [("[:b 1 1]", true), ("(1 :b)", true), ("#{}", false), ("#{1 2}", false), ("#{1 \"b\"}", false)]
    {
        assert_eq!(judged(&lines.replace("#{1}", seen), None), (ModelName::Set, Some(expected)), "{seen}");
    }
}

#[test]
fn a_counter_has_the_sum() {
    let lines = "0 invoke add 2
        0 ok add 2
        1 invoke dec nil
        1 info dec nil
        0 invoke read nil
        0 ok read 2";
    assert_eq!(judged(lines, None), (ModelName::Counter, Some(true)));
    assert_eq!(judged(&lines.replace("read 2", "read 1"), None), (ModelName::Counter, Some(true)));
    assert_eq!(judged(&lines.replace("read 2", "read 3"), None), (ModelName::Counter, Some(false)));
    let error = error(&lines.replace("read 2", "read :many"), None);
    assert!(error.contains(":read of :many") || error.contains("of a set"), "{error}");
}

#[test]
fn a_queue_keeps_the_order_if_it_is_fifo() {
    let lines = "0 invoke enqueue 1
        0 ok enqueue 1
        0 invoke enqueue 2
        0 ok enqueue 2
        1 invoke dequeue nil
        1 ok dequeue 2";
    let (fifo, unordered) = (Some(ModelName::FifoQueue), Some(ModelName::UnorderedQueue));
    assert_eq!(judged(lines, fifo), (ModelName::FifoQueue, Some(false)));
    assert_eq!(judged(lines, unordered), (ModelName::UnorderedQueue, Some(true)));
    assert_eq!(
        error(lines, None),
        "line 1: an operation :enqueue, :dequeue or :drain, which several models have; expected the model to be named: \
         --model fifo-queue or --model unordered-queue"
    );
    let empty = lines.replace("ok dequeue 2", "ok dequeue nil");
    assert_eq!(judged(&empty, unordered).1, Some(false), "it found nothing");
    let failed = lines.replace("ok dequeue 2", "fail dequeue nil");
    assert_eq!(judged(&failed, fifo).1, Some(true), "it did not happen");
    let lost = format!(
        "{}\n2 invoke dequeue nil\n2 ok dequeue 2",
        lines.replace("ok dequeue 2", "info dequeue nil")
    );
    assert_eq!(judged(&lost, fifo).1, Some(true), "1 may be with the one of unknown outcome");
}

#[test]
fn a_drain_is_dequeues_one_after_another() {
    let lines = |drained: &str| {
        format!(
            "0 invoke enqueue 1
            0 ok enqueue 1
            1 invoke drain nil
            0 invoke enqueue 2
            0 ok enqueue 2
            1 ok drain {drained}"
        )
    };
    for (drained, fifo, unordered) in [
        ("[1 2]", true, true),
        ("[1]", true, true),
        ("[2 1]", false, true),
        ("[2 2]", false, false),
        ("[]", true, true),
    ] {
        let judge = |model| judged(&lines(drained), Some(model)).1;
        assert_eq!(judge(ModelName::FifoQueue), Some(fifo), "{drained}");
        assert_eq!(judge(ModelName::UnorderedQueue), Some(unordered), "{drained}");
    }
}

#[test]
fn several_registers_are_read_and_written_at_once() {
    let lines = "0 invoke txn [[:w :x 1] [:w :y 1]]
        0 ok txn [[:w :x 1] [:w :y 1]]
        1 invoke txn [[:r :x nil] [:r :y nil]]
        1 ok txn [[:r :x 1] [:r :y 1]]";
    assert_eq!(judged(lines, None), (ModelName::MultiRegister, Some(true)));
    let torn = lines.replace("[:r :y 1]", "[:r :y nil]");
    assert_eq!(judged(&torn, None), (ModelName::MultiRegister, Some(false)), "nil is absent");
    let own = lines.replace("[[:r :x nil] [:r :y nil]]", "[[:w :x 5] [:r :x nil]]");
    let own = own.replace("[[:r :x 1] [:r :y 1]]", "[[:w :x 5] [:r :x 5]]");
    assert_eq!(judged(&own, None).1, Some(true), "it sees its own writes");
    assert_eq!(judged(&own.replace("[:r :x 5]", "[:r :x 1]"), None).1, Some(false), "and none before them");
    // Of one step beside one of several; by other names; and with keys.
    let one = format!("{lines}\n2 invoke txn [[:r :x nil]]\n2 ok txn [[:r :x 2]]");
    assert_eq!(judged(&one, None), (ModelName::MultiRegister, Some(false)));
    let named = lines.replace("txn [[:w", "write [[:w").replace("txn [[:r", "read [[:r");
    assert_eq!(judged(&named, None), (ModelName::MultiRegister, Some(true)));
    let keyed = named.replace("[[", "[7 [[").replace("]]", "]]]");
    let keys = read(&edn(&keyed), None).unwrap();
    assert_eq!((keys[0].key(), keys[0].model()), (&Value::from(7), ModelName::MultiRegister));
    // An unknown outcome may be told without the steps, and what it read says nothing.
    let unknown = lines.replace("1 ok txn [[:r :x 1] [:r :y 1]]", "1 info txn nil");
    assert_eq!(judged(&unknown, None).1, Some(true));
    let another = lines.replace("0 ok txn [[:w :x 1]", "0 ok txn [[:w :x 2]");
    assert!(error(&another, None).contains("completes :txn of another value"));
    assert!(error("0 invoke txn [[:append :x 1]]", None).contains("for Elle to judge"));
}

#[test]
fn transactions_of_one_step_are_reads_and_writes_of_a_key() {
    let lines = "0 invoke txn [[:w :x 1]]
        0 ok txn [[:w :x 1]]
        1 invoke txn [[:r :y nil]]
        1 ok txn [[:r :y nil]]";
    let keys = read(&edn(lines), None).unwrap();
    let keys: Vec<_> = keys.iter().map(|history| (history.key().to_string(), history.model())).collect();
    assert_eq!(keys, [(":x".to_owned(), ModelName::CasRegister), (":y".to_owned(), ModelName::CasRegister)]);
}

#[test]
fn registers_may_be_maps_if_that_is_said() {
    let lines = "0 invoke write {:x 1 :y 2}
        0 ok write {:x 1 :y 2}
        1 invoke read nil
        1 ok read {:x 1}";
    assert_eq!(judged(lines, None), (ModelName::CasRegister, Some(false)), "one register that holds maps");
    assert_eq!(judged(lines, Some(ModelName::MultiRegister)), (ModelName::MultiRegister, Some(true)));
    let other = lines.replace("1 ok read {:x 1}", "1 ok read {:x 2}");
    assert_eq!(judged(&other, Some(ModelName::MultiRegister)).1, Some(false));
}

#[test]
fn each_key_is_an_object_of_its_own() {
    let lines = "0 invoke acquire [:a nil]
        0 ok acquire [:a nil]
        1 invoke acquire [:b nil]
        1 ok acquire [:b nil]";
    let keys = read(&edn(lines), None).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|history| check_key(history, &mut |_| true).linearizable == Linearizable::Yes));
}

#[test]
fn what_an_object_holds_at_first_may_be_said() {
    let with = |lines: &str, model: ModelName, initial: &str| {
        let history = read(&edn(lines), Some(model)).unwrap().remove(0);
        let history = history.starting_with(initially(model, initial).unwrap());
        check_key(&history, &mut |_| true).linearizable.known()
    };
    let register = "0 invoke read nil\n0 ok read 5";
    assert_eq!(with(register, ModelName::Register, "5"), Some(true));
    assert_eq!(with(register, ModelName::Register, "\"5\""), Some(false));
    assert_eq!(with(register, ModelName::Counter, "5"), Some(true));
    let queue = "0 invoke dequeue nil\n0 ok dequeue 1";
    assert_eq!(with(queue, ModelName::FifoQueue, "[1 2]"), Some(true));
    assert_eq!(with(queue, ModelName::FifoQueue, "[2 1]"), Some(false));
    assert_eq!(with("0 invoke read nil\n0 ok read [1 2]", ModelName::Set, "#{2 1}"), Some(true));
    assert_eq!(with("0 invoke get nil\n0 ok get \"ab\"", ModelName::KeyValue, "\"ab\""), Some(true));
    let registers = "0 invoke txn [[:r :x nil] [:r :y nil]]\n0 ok txn [[:r :x 1] [:r :y 2]]";
    assert_eq!(with(registers, ModelName::MultiRegister, "{:x 1 :y 2}"), Some(true));
    for (model, wrong) in [
        (ModelName::Counter, "a"),
        (ModelName::Set, "3"),
        (ModelName::Mutex, "1"),
        (ModelName::KeyValue, "3"),
    ] {
        let error = initially(model, wrong).unwrap_err();
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn what_does_not_go_together_is_refused_with_both_lines() {
    for (lines, expected) in [
        (
            "0 invoke acquire nil\n1 invoke enqueue 1",
            "line 2: an operation :enqueue, :dequeue or :drain; expected :acquire or :release, as on line 1",
        ),
        (
            "0 invoke read nil\n1 invoke get nil",
            "line 2: an operation :get, :put or :append; expected :read, :write or :cas, as on line 1",
        ),
        ("0 invoke pop nil", "line 1: the operation :pop; expected :read, :write"),
        (
            "0 invoke add 1",
            "which several models have; expected the model to be named: --model set or --model counter",
        ),
    ] {
        let error = error(lines, None);
        assert!(error.contains(expected), "{error}");
    }
    let error = error("0 invoke cas [1 2]", Some(ModelName::Register));
    assert!(error.contains("which --model names"), "{error}");
}

/// What is written of each model is read back as the same operations.
#[test]
fn what_is_exported_is_read_back_the_same() {
    let histories = [
        (
            ModelName::Mutex,
            "0 invoke acquire nil\n0 ok acquire nil\n0 invoke release nil\n0 info release nil",
        ),
        (ModelName::Set, "0 invoke add \"a\"\n0 ok add \"a\"\n1 invoke read nil\n1 ok read #{\"a\" 2}"),
        (ModelName::Counter, "0 invoke dec 3\n0 ok dec 3\n1 invoke read nil\n1 ok read -3"),
        (
            ModelName::FifoQueue,
            "0 invoke enqueue :a\n0 fail enqueue :a\n1 invoke dequeue nil\n1 ok dequeue nil",
        ),
        (ModelName::UnorderedQueue, "0 invoke drain nil\n0 ok drain [1 :a]\n1 invoke dequeue nil"),
        (
            ModelName::MultiRegister,
            "0 invoke txn [[:w :x 1] [:r \"y\" nil]]\n0 ok txn [[:w :x 1] [:r \"y\" 2]]",
        ),
    ];
    for (model, lines) in histories {
        let keys = read(&edn(lines), Some(model)).unwrap();
        let mut exporter = Exporter::of_keys(Target::Edn, false, &keys).unwrap();
        let mut text = String::new();
        for event in op_events(&keys) {
            exporter.event(event, &mut text).unwrap();
        }
        exporter.finish(&mut text).unwrap();
        let again = read(&text, Some(model)).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let acts = |keys: &[KeyHistory]| -> Vec<(KeyAct, OpOutcome)> {
            keys.iter().flat_map(KeyHistory::ops).map(|op| (op.act.clone(), op.outcome)).collect()
        };
        assert_eq!(acts(&again), acts(&keys), "{text}");
        for target in [Target::Porcupine, Target::Kvlab] {
            let mut exporter = Exporter::new(target, false, 9);
            let mut refused = |event| exporter.event(event, &mut String::new()).err();
            let refused = op_events(&keys)
                .into_iter()
                .find_map(&mut refused)
                .or_else(|| exporter.finish(&mut String::new()).err());
            let refused = refused.unwrap_or_else(|| panic!("{target} takes {model}"));
            assert_eq!(refused.instead, "take edn", "{refused}");
        }
    }
}
