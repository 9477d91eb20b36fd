//! Tests: `docs/scenarios.md` says what the language is, and says it rightly.

use super::fake::good;
use crate::explain::Evidence;
use crate::run::event::{Expectation, RunOutcome};
use crate::scenario::language::measure::Measure;
use crate::scenario::language::model::{Scenario, Shape, StateWord, Wanted};
use crate::scenario::language::steps::ACTIONS;
use crate::scenario::language::words::TARGET_WORDS;
use crate::scenario::play::Conclusion;
use crate::scenario::play::summary::{Played, json, text};

const REFERENCE: &str = include_str!("../../../docs/scenarios.md");

/// The contents of the fenced blocks of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let opened = REFERENCE.split("\n```").skip(1).step_by(2);
    opened.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n')).collect()
}

/// A part of a file, made whole.
fn whole(part: &str) -> String {
    let mut file = part.to_owned();
    if !file.contains("title ") {
        file.insert_str(0, "title = \"t\"\n");
    }
    if !file.contains("[workload]") {
        file.push_str("\n[workload]\n");
    }
    if !file.contains("[[step]]") {
        file.push_str("\n[[step]]\nsay = \"x\"\n");
    }
    file
}

#[test]
fn every_example_is_valid() {
    let examples = blocks("toml");
    assert!(examples.len() >= 7, "{}", examples.len());
    for example in examples {
        if let Err(error) = Scenario::parse("example", "docs/scenarios.md", &whole(example)) {
            panic!("{error}\n\n{example}");
        }
    }
}

#[test]
fn every_word_is_in_the_reference() {
    let words = ACTIONS
        .into_iter()
        .chain(["at", "after", "say"])
        .chain(TARGET_WORDS.map(|(word, _)| word))
        .chain(Shape::WORDS.map(|(word, _)| word))
        .chain(Wanted::WORDS.map(|(word, _)| word))
        .chain(StateWord::WORDS.map(|(word, _)| word))
        .chain(Measure::ALL.map(Measure::name));
    for word in words {
        assert!(REFERENCE.contains(&format!("`{word}`")), "`{word}` is not explained");
    }
}

#[test]
fn every_key_is_in_an_example() {
    let examples = blocks("toml").join("\n");
    let keys = "nodes failover durability stale_after stale_lag backlog_bytes segment_bytes cleanup_bytes scrub_rate quirks on clients rate consistency registers \
                ledger settle title episode story within primaries primary converged caught_up fresh lag seq state \
                both_ways jitter absent quorum force outcome full slow sync_fails ok rate jump loss duplicate partial_resyncs full_resyncs";
    let actions = ACTIONS.iter().copied();
    for key in keys.split_whitespace().chain(actions).chain(Measure::ALL.map(Measure::name)) {
        let used = examples.split(['\n', '{', ',']).any(|part| {
            part.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        assert!(used, "`{key}` is in no example");
    }
}

#[test]
fn the_json_is_the_one_of_the_reference() {
    let text_of_file = "title = \"t\"\n[[step]]\nsay = \"x\"\n";
    let mut scenario = Scenario::parse("split-brain", "x", text_of_file).unwrap_or_else(|e| panic!("{e}"));
    scenario.settle = None;
    let mut verdict = good();
    verdict.harm.unavailable_ms = 640;
    let conclusion = Conclusion {
        outcome: RunOutcome::AsExpected,
        reasons: Vec::new(),
        verdict,
        broken: Vec::new(),
        expectations: vec![Expectation {
            name: "promise.linearizable".to_owned(),
            expected: "true".to_owned(),
            actual: "true".to_owned(),
            held: Some(true),
        }],
        unchecked: vec!["promise.members_equal (settle = false)".to_owned()],
        elapsed: std::time::Duration::from_millis(14_230),
    };
    let played = Played {
        scenario: &scenario,
        called: "split-brain",
        seed: 7,
        evidence: &Evidence::default(),
        columns: 100,
        run_dir: Some("…"),
    };
    let [example] = blocks("json")[..] else { panic!("one example") };
    let expected: String = example.lines().map(str::trim_start).collect();
    assert_eq!(json(&played, &conclusion).expect("JSON"), expected);

    let said = text(&played, &conclusion);
    for part in [
        "linearizable                yes\n",
        "quorum writes lost          0 (812 acknowledged)\n",
        "stale reads                 97, the oldest 3010 ms old\n",
        "held         promise.linearizable true (was true)\n",
        "not checked  promise.members_equal (settle = false)\n",
        "split-brain: as expected in 14.2 s\n",
        "again: kvlab run split-brain --seed 7\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
}

#[test]
fn what_is_not_known_is_null_or_undecided() {
    let file = "title = \"t\"\n[[step]]\nsay = \"x\"\n";
    let scenario = Scenario::parse("t", "x", file).unwrap_or_else(|e| panic!("{e}"));
    let conclusion = Conclusion::undecided(Default::default(), std::time::Duration::ZERO, "left".to_owned());
    let played = Played {
        scenario: &scenario,
        called: "t",
        seed: 1,
        evidence: &Evidence::default(),
        columns: 100,
        run_dir: Some("d"),
    };
    let object: serde_json::Value =
        serde_json::from_str(&json(&played, &conclusion).expect("JSON")).expect("it can be read");
    assert_eq!(object["outcome"], "undecided");
    assert_eq!(object["promise"]["linearizable"], "undecided");
    for (family, name) in
        [("promise", "quorum_writes_lost"), ("promise", "members_equal"), ("harm", "async_writes_lost")]
    {
        assert!(object[family][name].is_null(), "{name}");
    }
    let said = text(&played, &conclusion);
    assert!(
        said.contains("t: UNDECIDED") && said.contains("members equal               not known"),
        "{said}"
    );
}
