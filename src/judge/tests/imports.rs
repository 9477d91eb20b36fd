//! Other people's histories: what is read, and what is refused with which line.

use proptest::prelude::*;

use super::super::import::*;
use super::super::*;
use crate::judge::offline::{KeyAct, KeyHistory, OpOutcome, Refutation, check_key};

fn keys_of(text: &str, options: ImportOptions) -> Vec<KeyHistory> {
    let format = Format::detect(text).expect("a known format");
    match import(text, format, options).unwrap() {
        Imported::Keys(keys) => keys,
        Imported::Kvlab(_) => panic!("not ours"),
    }
}

fn verdict(text: &str) -> Linearizable {
    let keys = keys_of(text, ImportOptions::default());
    let verdicts: Vec<_> = keys.iter().map(|key| check_key(key, &mut |_| true).linearizable).collect();
    if verdicts.contains(&Linearizable::No) { Linearizable::No } else { Linearizable::Yes }
}

fn refused(text: &str) -> String {
    let format = Format::detect(text).expect("a known format");
    import(text, format, ImportOptions::default()).unwrap_err().to_string()
}

const LOG: &str = "\
INFO  jepsen.core - starting\n\
INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
INFO  jepsen.util - 0\t:ok\t:read\tnil\n\
INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n\
INFO  jepsen.util - 1\t:invoke\t:write\t3\n\
INFO  jepsen.util - 2\t:invoke\t:cas\t[3 0]\n\
INFO  jepsen.util - 1\t:info\t:write\t:timed-out\n\
INFO  jepsen.util - 2\t:ok\t:cas\t[3 0]\n\
INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out\n\
INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n\
INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n";

#[test]
fn a_jepsen_log_is_read() {
    assert_eq!(Format::detect(LOG), Some(Format::JepsenLog));
    let keys = keys_of(LOG, ImportOptions::default());
    let ops: Vec<_> = keys[0].ops().iter().map(|op| (op.to_string(), op.outcome)).collect();
    let expected = [
        ("process 0: read absent (#2 to #3)", OpOutcome::Ok),
        ("process 1: write 3, outcome unknown (#5 to #7)", OpOutcome::Unknown),
        ("process 2: cas 3 to 0 (#6 to #8)", OpOutcome::Ok),
        ("process 0: cas 1 to 2, which failed (#11 to #12)", OpOutcome::Failed),
    ];
    assert_eq!(ops, expected.map(|(op, outcome)| (op.to_owned(), outcome)));
    assert_eq!(verdict(LOG), Linearizable::Yes, "the write of unknown outcome happened");
    assert_eq!(verdict(&LOG.replace(":info\t:write\t:timed-out", ":fail\t:write\t3")), Linearizable::No);
}

#[test]
fn newer_jepsen_logs_are_read_too() {
    let text = "2024-01-01 00:00:00,1{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:invoke\t:write\t[7 1]\n\
                2024-01-01 00:00:00,2{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:ok\t:write\t[7 1]\n";
    let keys = keys_of(text, ImportOptions::default());
    assert_eq!((keys[0].key(), keys[0].ops().len()), (&7.into(), 1));
}

#[test]
fn what_a_log_tells_after_the_value_is_no_part_of_it() {
    let text = "INFO  jepsen.util - 0\t:invoke\t:write\t[7 1]\n\
                INFO  jepsen.util - 0\t:info\t:write\t[7 1]\t[:timeout \"it's (late\"]\n\
                INFO  jepsen.util - 1 :invoke :read [7 nil]\n\
                INFO  jepsen.util - 1 :ok :read [7 1] indeterminate: ) read timed out\n";
    let keys = keys_of(text, ImportOptions::default());
    let acts: Vec<_> = keys[0].ops().iter().map(|op| (op.act.to_string(), op.outcome)).collect();
    let expected = [("write 1", OpOutcome::Unknown), ("read 1", OpOutcome::Ok)];
    assert_eq!(acts, expected.map(|(act, outcome)| (act.to_owned(), outcome)));
}

#[test]
fn operations_may_come_late_in_a_log() {
    let setup = "INFO  jepsen.core - setting up\n".repeat(5000);
    assert_eq!(Format::detect(&setup), None);
    assert_eq!(Format::detect(&format!("{setup}{LOG}")), Some(Format::JepsenLog));
}

#[test]
fn after_an_unknown_outcome_a_process_goes_on_under_its_number_or_another() {
    for next in [0, 10] {
        let text = format!(
            "{{:process 0, :type :invoke, :f :write, :value 1}}\n{{:process 0, :type :info, :f :write, :value 1}}\n\
             {{:process {next}, :type :invoke, :f :write, :value 2}}\n{{:process {next}, :type :ok, :f :write, :value 2}}\n\
             {{:process 5, :type :invoke, :f :read, :value nil}}\n{{:process 5, :type :ok, :f :read, :value SEEN}}\n"
        );
        // The first write may take effect at any time from its begin, or never.
        for (seen, expected) in
            [("1", Linearizable::Yes), ("2", Linearizable::Yes), ("nil", Linearizable::No)]
        {
            assert_eq!(verdict(&text.replace("SEEN", seen)), expected, "{next} {seen}");
        }
        let unfinished = text.replacen("{:process 0, :type :info, :f :write, :value 1}\n", "", 1);
        if next == 10 {
            assert_eq!(
                verdict(&unfinished.replace("SEEN", "1")),
                Linearizable::Yes,
                "never completed is unknown"
            );
        } else {
            assert!(refused(&unfinished.replace("SEEN", "1")).starts_with("line 2: process 0 begins anew"));
        }
    }
}

#[test]
fn marks_and_line_ends_of_other_systems_are_no_part_of_a_history() {
    for (text, format) in [(LOG, Format::JepsenLog), (EDN, Format::Edn)] {
        let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(Format::detect(&other), Some(format));
        let read = |text| import(text, format, ImportOptions::default()).unwrap();
        assert_eq!(read(&other), read(text));
    }
}

#[test]
fn a_failed_compare_and_set_did_not_happen_unless_it_is_said_to_have_looked() {
    let text = "[{:process 0, :type :invoke, :f :write, :value 1}
                 {:process 0, :type :ok, :f :write, :value 1}
                 {:process 0, :type :invoke, :f :cas, :value [1 2]}
                 {:process 0, :type :fail, :f :cas, :value [1 2]}]";
    assert_eq!(verdict(text), Linearizable::Yes, "it failed for whatever reason");
    let observed = keys_of(text, ImportOptions { failed_cas: FailedCas::Observed, model: None });
    let observed = check_key(&observed[0], &mut |_| true).linearizable;
    assert_eq!(observed, Linearizable::No, "it would have matched");
    let read =
        "{:process 0, :type :invoke, :f :read, :value nil} {:process 0, :type :ok, :f :read, :value 2}]";
    assert_eq!(verdict(&(text[..text.len() - 1].to_owned() + read)), Linearizable::No, "nobody set it");
}

#[test]
fn an_edn_history_in_brackets_with_comments_records_and_errors_is_read() {
    let text = "; a history\n\
        (#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 1, :f :read, :value nil},\n\
         {:type :invoke, :process 101, :f :write, :value 3}\n\
         #_{:type :nonsense}\n\
         {:type :info, :process :nemesis, :f :start, :value {:a [1 \"]\" \\]]}}\n\
         {:type :fail, :process 101, :f :write, :value 3, :error [:temporarily-unavailable nil]}\n\
         {:type :ok, :time 25, :process 1, :f :read, :value 3})\n";
    assert_eq!(Format::detect(text), Some(Format::Edn));
    let keys = keys_of(text, ImportOptions::default());
    assert_eq!(keys[0].ops().len(), 2);
    assert_eq!(keys[0].ops()[0].began.t_ns, Some(10));
    assert_eq!(verdict(text), Linearizable::No, "a write that failed was read");
}

#[test]
fn independent_keys_are_taken_off_their_values() {
    let text = "{:process 0, :type :invoke, :f :write, :value [x 1]}
                {:process 1, :type :invoke, :f :cas, :value [y [nil 2]]}
                {:process 0, :type :ok, :f :write, :value [x 1]}
                {:process 1, :type :ok, :f :cas, :value #jepsen.independent.Tuple[y [nil 2]]}
                {:process 2, :type :invoke, :f :read, :value [y nil]}
                {:process 2, :type :ok, :f :read, :value [y 2]}";
    let keys = keys_of(text, ImportOptions::default());
    let shown: Vec<_> = keys.iter().map(|key| (key.key().to_string(), key.ops().len())).collect();
    assert_eq!(shown, [("x".to_owned(), 1), ("y".to_owned(), 2)]);
    assert_eq!(keys[1].ops()[1].act, KeyAct::Read(Some(2.into())));
    assert_eq!(verdict(text), Linearizable::Yes);
}

/// In each pair a person might take one for the other.
const ALIKE: [(&str, &str); 9] = [
    ("3", "\"3\""),
    (":a", "\":a\""),
    ("nil", "\"nil\""),
    ("nil", "\"\""),
    ("true", "\"true\""),
    ("a", "\"a\""),
    ("a", ":a"),
    ("1", "1.0"),
    ("[1 2 3]", "\"[1 2 3]\""),
];

#[test]
fn values_of_different_types_are_different() {
    for (one, other) in ALIKE.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        for again in [
            "",
            "{:process 0, :type :invoke, :f :write, :value 0}\n{:process 0, :type :ok, :f :write, :value 0}\n",
        ] {
            let text = format!(
                "{{:process 0, :type :invoke, :f :write, :value {one}}}\n{{:process 0, :type :ok, :f :write, :value {one}}}\n\
                 {{:process 2, :type :invoke, :f :read, :value nil}}\n{{:process 2, :type :ok, :f :read, :value SEEN}}\n"
            );
            let text = again.repeat(2) + &text;
            assert_eq!(verdict(&text.replace("SEEN", one)), Linearizable::Yes, "{text}");
            assert_eq!(verdict(&text.replace("SEEN", other)), Linearizable::No, "{text}");
        }
        let log = format!(
            "INFO  jepsen.util - 0\t:invoke\t:write\t{one}\nINFO  jepsen.util - 0\t:ok\t:write\t{one}\n"
        );
        let read = format!(
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:ok\t:read\t{other}\n"
        );
        assert_eq!(verdict(&(log + &read)), Linearizable::No, "{one} {other}");
    }
}

#[test]
fn keys_of_different_types_are_different() {
    // Nil is no key.
    for (one, other) in ALIKE.into_iter().filter(|(one, _)| *one != "nil") {
        for key in [one, other] {
            let read = "{:process 1, :type :invoke, :f :read, :value [KEY nil]}\n{:process 1, :type :ok, :f :read, :value [KEY 5]}";
            let text = format!(
                "{{:process 0, :type :invoke, :f :write, :value [{one} 5]}}\n{{:process 0, :type :ok, :f :write, :value [{one} 5]}}\n"
            ) + &read.replace("KEY", key);
            let expected = if key == one { Linearizable::Yes } else { Linearizable::No };
            assert_eq!(verdict(&text), expected, "{text}");
        }
    }
}

#[test]
fn a_proof_shows_the_types_of_values() {
    let text = "{:process 0, :type :invoke, :f :write, :value 3}\n{:process 0, :type :ok, :f :write, :value 3}\n\
                {:process 2, :type :invoke, :f :read, :value nil}\n{:process 2, :type :ok, :f :read, :value \"3\"}\n";
    let keys = keys_of(text, ImportOptions::default());
    let Some(Refutation::Violation(violation)) = check_key(&keys[0], &mut |_| true).refutation else {
        panic!()
    };
    assert!(violation.explanation().starts_with("client 2 read \"3\" ("), "{violation}");
    let text = text.replace("\"3\"", "4").replace("write, :value 3", "write, :value :a");
    let keys = keys_of(&text, ImportOptions::default());
    let Some(Refutation::Violation(violation)) = check_key(&keys[0], &mut |_| true).refutation else {
        panic!()
    };
    assert!(violation.explanation().starts_with("client 2 read 4 ("), "{violation}");
}

#[test]
fn a_string_takes_nothing_but_strings() {
    for f in ["put", "append", "get"] {
        let text = format!(
            "{{:process 0, :type :invoke, :f :{f}, :key 1, :value 3}}\n{{:process 0, :type :ok, :f :{f}, :key 1, :value 3}}"
        );
        let line = if f == "get" { 2 } else { 1 };
        assert!(refused(&text).contains(&format!(":{f} of 3; expected a string")), "{}", refused(&text));
        assert!(refused(&text).starts_with(&format!("line {line}: ")), "{}", refused(&text));
    }
}

#[test]
fn key_value_lines_are_strings_with_appends() {
    let text = r#"{:process 0, :type :invoke, :f :get, :key "0", :value nil}
        {:process 0, :type :ok, :f :get, :key "0", :value ""}
        {:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}
        {:process 9, :type :ok, :f :append, :key "0", :value "x 9 0 y"}
        {:process 1, :type :invoke, :f :get, :key "0", :value nil}
        {:process 1, :type :ok, :f :get, :key "0", :value "x 9 0 y"}"#;
    assert_eq!(verdict(text), Linearizable::Yes);
    assert_eq!(verdict(&text.replace(r#""x 9 0 y"}"#, r#""x 9 1 y"}"#)), Linearizable::Yes);
    let stale = text.replacen(r#":f :get, :key "0", :value "x 9 0 y""#, r#":f :get, :key "0", :value """#, 1);
    assert_eq!(verdict(&stale), Linearizable::No);
}

#[test]
fn our_own_history_is_read_back_as_it_was_written() {
    let events = super::random::history(3, super::random::Kind::default());
    let lines: Vec<_> = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
    let text = lines.concat();
    assert_eq!(Format::detect(&text), Some(Format::Kvlab));
    assert_eq!(import(&text, Format::Kvlab, ImportOptions::default()).unwrap(), Imported::Kvlab(events));
    let cut = &text[..text.len() - 20];
    let error = import(cut, Format::Kvlab, ImportOptions::default()).unwrap_err();
    assert_eq!(error.line, lines.len() as u64);
    assert!(error.found.contains("the line ends inside an event"), "{error}");
    let doubled = lines[0].clone() + &lines[0];
    let error = import(&doubled, Format::Kvlab, ImportOptions::default()).unwrap_err();
    assert!(error.line == 2 && error.found.contains("the index must ascend"), "{error}");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let invoke = "{:process 1, :type :invoke, :f :write, :value 3}\n";
    let starts = |text: String, expected: &str| {
        let refused = refused(&text);
        assert!(refused.starts_with(expected), "{refused:?} does not start with {expected:?}");
    };
    starts(format!("{invoke}{invoke}"), "line 2: process 1 begins anew, but its operation of line 1");
    starts(
        "{:process 1, :type :ok, :f :read, :value 3}".to_owned(),
        "line 1: process 1 completes, but has nothing",
    );
    starts(
        format!("{invoke}{{:process 1, :type :ok, :f :read, :value 3}}"),
        "line 2: process 1 completes :read;",
    );
    starts(
        format!("{invoke}{{:process 1, :type :ok, :f :write, :value 4}}"),
        "line 2: process 1 completes :write of",
    );
    starts(format!("{invoke}{{:process 1, :type"), "line 2: the text ends inside \"{:process 1, :type\"");
    starts(format!("{invoke}{{:process 1,\n:type}}"), "line 3: a map with a key that has no value");
    starts(format!("{invoke}{{:process 1,\r\r:type}}"), "line 2: a map with a key that has no value");
    starts(format!("[{invoke}"), "line 2: the text ends inside the list that begins on line 1");
    starts(
        format!("{invoke}{{:process 2, :type :invoke, :f :txn, :value 3}}"),
        "line 2: :txn of 3; expected reads and writes, like [[:r k nil] [:w k 1]]",
    );
    starts(
        format!("{invoke}{{:process 2, :type :invoke, :f :txn, :value [[:append x 3]]}}"),
        "line 2: :txn of [[:append x 3]]; expected reads and writes, like",
    );
    starts(format!("{invoke}{{:process 2, :type :no, :f :read}}"), "line 2: :type :no; expected");
    starts(format!("{invoke}{{:type :ok, :f :read}}"), "line 2: a map without :process");
    starts("{:process \"1\", :type :ok, :f :read}".to_owned(), "line 1: :process \"1\"; expected a number");
    starts("{:process -1, :type :ok, :f :read}".to_owned(), "line 1: :process -1; expected a number from 0");
    let keyed = "{:process 1, :type :invoke, :f :read, :value [x nil]}\n";
    starts(
        format!("{keyed}{{:process 1, :type :ok, :f :read, :value [y 3]}}"),
        "line 2: process 1 completes :read of key y",
    );
    starts(
        "{:process 1, :type :invoke, :f :get, :key \"x\"}\n{:process 1, :type :ok, :f :get, :key \"y\", :value \"\"}".to_owned(),
        "line 2: process 1 completes :get of key \"y\"; expected one of key \"x\"",
    );
    starts(format!("{invoke}nonsense"), "line 2: \"nonsense\"; expected a map");
    starts(format!("{invoke}{{:process 2, :type :invoke, :f :get, :key 1}}"), "line 2: an operation");
    starts(
        format!("{invoke}{{:process 2, :type :invoke, :f :read, :value [1 nil]}}"),
        "line 2: an operation with a key",
    );
    starts(format!("{invoke}{}{}", "[".repeat(500), "]".repeat(500)), "line 2:");
    starts(format!("{invoke}{{:a {}{}}}", "[".repeat(500), "]".repeat(500)), "line 2:");
    starts("INFO  jepsen.util - 3 :invoke :write 4\nINFO  jepsen.util - 3 :ok".to_owned(), "line 2: ");
    starts("INFO  jepsen.util - 3 :inv".to_owned(), "line 1: ");
    starts("INFO  jepsen.util - 3 :invoke :cas 4".to_owned(), "line 1: :cas of 4; expected a pair");
    assert_eq!(Format::detect("hello\nworld"), None);
    assert_eq!(Format::detect(""), None);
}

const EDN: &str = "[{:process 0, :type :invoke, :f :cas, :value [1 2]} ; comment\n#_{:x \\[} #t{:process 0, :type :fail, \
                   :f :cas, :value [1 2], :s \"a]\\\"b\", :n -1.5}]";

proptest! {
    /// Nothing that can be in a file makes a reader panic.
    #[test]
    fn arbitrary_text_is_read_or_refused(text in "\\PC{0,200}") {
        for format in [Format::Kvlab, Format::Edn, Format::JepsenLog] {
            let _ = import(&text, format, ImportOptions::default());
        }
        let _ = Format::detect(&text);
    }

    /// Nor anything that nearly is a history.
    #[test]
    fn damaged_histories_are_read_or_refused(at in 0usize..400, len in 0usize..6, put in "[\\[\\](){}\"\\\\;#:_ \n0a]{0,3}") {
        for (text, format) in [(LOG, Format::JepsenLog), (EDN, Format::Edn)] {
            let from = at.min(text.len());
            let to = (from + len).min(text.len());
            let damaged = format!("{}{put}{}", &text[..from], &text[to..]);
            let _ = import(&damaged, format, ImportOptions::default());
        }
    }
}
