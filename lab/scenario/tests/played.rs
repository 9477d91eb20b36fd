//! Tests: scenarios played on the fake stage, in simulated time.

use std::time::Duration;

use kvlab::types::{Failure, Reply, Role};

use super::fake::Fake;
use super::fixture::{edit, n};
use crate::action::Action;
use crate::run::event::{Outcome, RunOutcome, ScenarioEvent};
use crate::scenario::language::library::Embedded;
use crate::scenario::language::model::Scenario;
use crate::scenario::play::{Conclusion, play};

fn scenario(text: &str) -> Scenario {
    let text = format!("title = \"t\"\n{text}");
    Scenario::parse("t", "t.toml", &text).unwrap_or_else(|e| panic!("{e}"))
}

fn run(fake: &mut Fake, scenario: &Scenario) -> Conclusion {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(play(fake, scenario))
}

fn embedded(name: &str) -> Scenario {
    let embedded = Embedded::named(name).expect("it is embedded");
    Scenario::parse(name, name, embedded.source).unwrap_or_else(|e| panic!("{e}"))
}

const LOADED: &str = "[workload]\n";

#[test]
fn split_brain() {
    let mut fake = Fake::new(3);
    let conclusion = run(&mut fake, &embedded("split-brain"));
    assert_eq!(
        fake.story(),
        [
            r#"2.1 2 {"do":"partition","groups":[["n1"],["n2","n3"]]}"#,
            r#"4.1 3 {"do":"promote","node":"n2","force":true}"#,
            r#"7.2 6 {"do":"heal-all"}"#,
        ]
    );
    assert_eq!((conclusion.outcome, conclusion.why()), (RunOutcome::AsExpected, None));
    let names: Vec<_> = conclusion.expectations.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "promise.linearizable",
            "promise.quorum_writes_lost",
            "promise.members_equal",
            "harm.async_writes_lost",
            "recovery.within"
        ]
    );
}

#[test]
fn primary_crash() {
    let mut fake = Fake::new(3);
    // n3 has got more of the log than n2 when the primary dies.
    fake.later.push((Duration::from_millis(2300), |view| edit(view, 3, |s| s.last.index = 12)));
    let conclusion = run(&mut fake, &embedded("primary-crash"));
    assert_eq!(
        fake.story(),
        [
            r#"2.1 2 {"do":"kill","node":"n1"}"#,
            r#"5.1 4 {"do":"promote","node":"n3","force":false}"#,
            r#"7.2 7 {"do":"restart","node":"n1"}"#,
        ]
    );
    assert_eq!((conclusion.outcome, conclusion.why()), (RunOutcome::AsExpected, None));
}

#[test]
fn stale_replica() {
    let mut fake = Fake::new(3);
    fake.verdict.harm.async_writes_lost = Some(0);
    let failed = || Outcome::Failed("no".to_owned());
    let found = |value: &str| (Outcome::Ok, Some(value.to_owned()));
    fake.answers.extend([(Outcome::Ok, None), (Outcome::Ok, None), found("before"), found("after")]);
    fake.answers.extend([(failed(), None), (failed(), None), found("after")]);
    fake.later.push((Duration::from_secs(3), |view| edit(view, 3, |s| s.stale = true)));
    fake.later.push((Duration::from_secs(6), |view| edit(view, 3, |s| s.stale = false)));
    let conclusion = run(&mut fake, &embedded("stale-replica"));
    assert_eq!((conclusion.outcome, conclusion.why()), (RunOutcome::AsExpected, None));
    assert_eq!(fake.done.len(), 9);
    assert_eq!(fake.done[1].2, Action::Isolate { node: n(3) });
}

#[test]
fn times_are_kept_and_told() {
    let mut fake = Fake::new(3);
    let text = "[[step]]\nat = \"1s\"\nsay = \"one\"\nkill = \"n2\"\n[[step]]\nafter = \"2s\"\nsay = \"two\"\n\
                [[step]]\nat = \"3500ms\"\nwait = { primaries = 1, within = \"4s\" }\n";
    run(&mut fake, &scenario(text));
    let steps: Vec<String> = fake
        .told
        .iter()
        .filter_map(|(t, event)| {
            let t = t.as_millis();
            match event {
                ScenarioEvent::Step { index, say, since_us, until_us } => {
                    assert_eq!(u128::from(*since_us), t * 1000);
                    Some(format!("{t} {index} {say:?} until {:?}", until_us.map(|us| us / 1000)))
                }
                ScenarioEvent::StepDone { index } => Some(format!("{t} {index} done")),
                ScenarioEvent::Settling { until_us } => {
                    Some(format!("{t} settling until {}", until_us / 1000))
                }
                _ => None,
            }
        })
        .collect();
    // The run begins at 100 ms: the first time that every member has reported.
    assert_eq!(
        steps,
        [
            "100 1 None until Some(1100)",
            "1100 1 Some(\"one\") until None",
            "1100 1 done",
            "1100 2 None until Some(3100)",
            "3100 2 Some(\"two\") until None",
            "3100 2 done",
            "3100 3 None until Some(3600)",
            "3600 3 None until Some(7600)",
            "3600 3 done",
            "3600 settling until 13600",
        ]
    );
}

#[test]
fn a_time_that_has_passed_is_now() {
    let mut fake = Fake::new(3);
    fake.later.push((Duration::from_secs(4), |view| edit(view, 3, |s| s.stale = true)));
    let text = "[[step]]\nwait = { stale = \"n3\" }\n[[step]]\nat = \"1s\"\nkill = \"n3\"\n";
    assert_eq!(run(&mut fake, &scenario(text)).outcome, RunOutcome::AsExpected);
    assert_eq!(fake.story(), [r#"4.0 2 {"do":"kill","node":"n3"}"#]);
}

#[test]
fn a_wait_in_vain_ends_the_steps_and_is_a_violation() {
    let mut fake = Fake::new(3);
    let text = "[[step]]\nwait = { primaries = 2, within = \"1s\" }\n[[step]]\nkill = \"all\"\n";
    let conclusion = run(&mut fake, &scenario(text));
    assert_eq!(conclusion.outcome, RunOutcome::Violated);
    assert_eq!(conclusion.why().as_deref(), Some("step 1: not within 1s: n1 is primary"));
    assert_eq!((fake.done.len(), fake.settles), (0, 1));
    let failed = |event: &ScenarioEvent| matches!(event, ScenarioEvent::StepFailed { index: 1, .. });
    assert!(fake.told.iter().any(|(_, event)| failed(event)));
    assert!(matches!(
        fake.told.last(),
        Some((_, ScenarioEvent::Finished { outcome: RunOutcome::Violated, why: Some(_) }))
    ));
}

#[test]
fn a_step_that_cannot_be_done_decides_nothing() {
    let text = "[[step]]\nrestart = \"old-primary\"\n[expect]\nharm.refused_stale = \">100\"\n";
    let mut fake = Fake::new(3);
    let conclusion = run(&mut fake, &scenario(text));
    assert_eq!(conclusion.outcome, RunOutcome::Undecided);
    assert!(conclusion.reasons[0].contains("`old-primary` names nobody"), "{:?}", conclusion.reasons);
    // But a broken promise is broken, however far the scenario came.
    let mut fake = Fake::new(3);
    fake.verdict.promise.members_equal = Some(false);
    assert_eq!(run(&mut fake, &scenario(text)).outcome, RunOutcome::Violated);
}

#[test]
fn an_action_that_the_lab_cannot_do_decides_nothing() {
    let mut fake = Fake::new(3);
    fake.impossible = Some(Action::Restart { node: n(2) });
    let conclusion = run(&mut fake, &scenario("[[step]]\nrestart = \"n2\"\n"));
    assert_eq!(conclusion.outcome, RunOutcome::Undecided);
    assert_eq!(conclusion.why().as_deref(), Some("step 1 could not be done: restart n2: it is impossible"));
}

#[test]
fn a_cluster_that_does_not_come_up_decides_nothing() {
    let mut fake = Fake::new(3);
    edit(&mut fake.view, 1, |s| s.role = Role::Candidate);
    let conclusion = run(&mut fake, &scenario("[[step]]\nkill = \"n1\"\n"));
    assert_eq!(conclusion.outcome, RunOutcome::Undecided);
    let why = "step 1 could not be done: the cluster did not come up: not within 10s: there are 0 primaries";
    assert_eq!(conclusion.why().as_deref(), Some(why));
    assert!(fake.done.is_empty());
}

#[test]
fn what_is_not_known_is_undecided_and_never_passed_over() {
    let text = format!("{LOADED}[[step]]\nsay = \"nothing\"\n");
    let forgets: [fn(&mut Fake); 5] = [
        |fake| fake.verdict.promise.quorum_writes_acked = 0,
        |fake| fake.verdict.promise.linearizable = None,
        |fake| fake.verdict.promise.quorum_writes_lost = None,
        |fake| fake.verdict.promise.members_equal = None,
        |fake| fake.settled = Err("the ledger cannot be read"),
    ];
    for forget in forgets {
        let mut fake = Fake::new(3);
        forget(&mut fake);
        assert_eq!(run(&mut fake, &scenario(&text)).outcome, RunOutcome::Undecided);
    }
}

#[test]
fn the_promises_are_demanded_of_a_scenario_that_does_not_mention_them() {
    let text = format!("{LOADED}[[step]]\nsay = \"nothing\"\n");
    let breaks: [fn(&mut Fake); 4] = [
        |fake| fake.verdict.promise.linearizable = Some(false),
        |fake| fake.verdict.promise.quorum_writes_lost = Some(1),
        |fake| fake.verdict.promise.members_equal = Some(false),
        |fake| fake.settled = Ok(None),
    ];
    for break_it in breaks {
        let mut fake = Fake::new(3);
        break_it(&mut fake);
        let conclusion = run(&mut fake, &scenario(&text));
        assert_eq!(conclusion.outcome, RunOutcome::Violated);
        assert_eq!(conclusion.expectations.iter().filter(|e| e.held == Some(false)).count(), 1);
    }
    assert_eq!(run(&mut Fake::new(3), &scenario(&text)).outcome, RunOutcome::AsExpected);
}

#[test]
fn a_scenario_may_expect_a_broken_promise() {
    let expect = "[expect]\npromise.linearizable = false\npromise.quorum_writes_lost = \">0\"\n";
    let text = format!("{LOADED}[[step]]\nsay = \"nothing\"\n{expect}");
    let mut fake = Fake::new(3);
    fake.verdict.promise.linearizable = Some(false);
    fake.verdict.promise.quorum_writes_lost = Some(3);
    assert_eq!(run(&mut fake, &scenario(&text)).outcome, RunOutcome::AsExpected);
    assert_eq!(run(&mut Fake::new(3), &scenario(&text)).outcome, RunOutcome::Violated);
}

#[test]
fn without_settling_the_outcome_says_what_it_did_not_check() {
    let mut fake = Fake::new(3);
    fake.verdict.promise.quorum_writes_lost = None;
    fake.verdict.promise.members_equal = None;
    let conclusion = run(&mut fake, &scenario(&format!("settle = false\n{LOADED}[[step]]\nkill = \"n1\"\n")));
    assert_eq!((conclusion.outcome, fake.settles), (RunOutcome::AsExpected, 0));
    assert_eq!(
        conclusion.unchecked,
        [
            "promise.quorum_writes_lost (settle = false)",
            "promise.members_equal (settle = false)",
            "recovery.within (settle = false)"
        ]
    );
}

#[test]
fn operations_end_as_the_step_wants() {
    let unknown = || Outcome::Unknown("time-out".to_owned());
    let failed = || Outcome::Failed("read-only".to_owned());
    let cases: [(&str, Outcome, Option<&str>); 12] = [
        ("put = { node = \"n1\", key = \"k\" }", Outcome::Ok, None),
        (
            "put = { node = \"n1\", key = \"k\" }",
            failed(),
            Some("put k at n1: expected ok, was failed (read-only)"),
        ),
        (
            "del = { node = \"n1\", key = \"k\" }",
            unknown(),
            Some("del k at n1: expected ok, was unknown (time-out)"),
        ),
        ("put = { node = \"n1\", key = \"k\", outcome = \"unknown\" }", unknown(), None),
        (
            "put = { node = \"n1\", key = \"k\", outcome = \"unknown\" }",
            Outcome::Ok,
            Some("put k at n1: expected unknown, was ok"),
        ),
        ("put = { node = \"n1\", key = \"k\", outcome = \"not-ok\" }", failed(), None),
        (
            "put = { node = \"n1\", key = \"k\", outcome = \"not-ok\" }",
            Outcome::Ok,
            Some("expected not-ok, was ok"),
        ),
        ("put = { node = \"n1\", key = \"k\", outcome = \"any\" }", unknown(), None),
        ("get = { node = \"n1\", key = \"k\" }", Outcome::Ok, None),
        ("get = { node = \"n1\", key = \"k\", value = \"seen\" }", Outcome::Ok, None),
        (
            "get = { node = \"n1\", key = \"k\", value = \"other\" }",
            Outcome::Ok,
            Some("get k at n1: expected \"other\", found \"seen\""),
        ),
        (
            "get = { node = \"n1\", key = \"k\", absent = true }",
            Outcome::Ok,
            Some("get k at n1: expected nothing, found \"seen\""),
        ),
    ];
    for (step, ended, expected) in cases {
        let mut fake = Fake::new(3);
        fake.answers.push_back((ended, Some("seen".to_owned())));
        let conclusion = run(&mut fake, &scenario(&format!("[[step]]\n{step}\n")));
        let why = conclusion.why().unwrap_or_default();
        match expected {
            None => assert_eq!(why, "", "{step}"),
            Some(expected) => {
                assert!(why.starts_with("step 1: ") && why.ends_with(expected), "{step}: {why}");
            }
        }
    }
}

#[test]
fn a_refused_promotion_says_why() {
    let refused = || Reply::Failed(Failure::PromotionRefused { ballots: vec![(n(3), None)] });
    let mut fake = Fake::new(3);
    fake.refusals.push_back(refused());
    let conclusion = run(&mut fake, &scenario("[[step]]\npromote = \"n2\"\n"));
    let why = "step 1: promote n2: expected ok, was failed (promotion refused: n3 did not answer)";
    assert_eq!((conclusion.outcome, conclusion.why().as_deref()), (RunOutcome::Violated, Some(why)));
    let mut fake = Fake::new(3);
    fake.refusals.push_back(refused());
    let wanted = scenario("[[step]]\npromote = { node = \"n2\", outcome = \"failed\" }\n");
    assert_eq!(run(&mut fake, &wanted).outcome, RunOutcome::AsExpected);
}

#[test]
fn expect_looks_once_at_a_present_that_is_known() {
    let text = "[[step]]\nkill = \"n1\"\n[[step]]\nexpect = { primaries = 0 }\n[[step]]\n\
                expect = { harm.stale_reads = 97 }\n[[step]]\nexpect = { primaries = 1 }\n";
    let mut fake = Fake::new(3);
    let conclusion = run(&mut fake, &scenario(text));
    assert_eq!(conclusion.why().as_deref(), Some("step 4: nobody is primary"));
}

#[test]
fn every_action_reaches_the_stage() {
    for (step, expected) in [
        (
            "partition = [[\"n1\"], [\"n2\", \"n3\"]]",
            vec![r#"{"do":"partition","groups":[["n1"],["n2","n3"]]}"#],
        ),
        (
            "partition = \"isolate-primary\"",
            vec![
                r#"{"do":"cut","from":"n1","to":"n2"}"#,
                r#"{"do":"cut","from":"n1","to":"n3"}"#,
                r#"{"do":"cut","from":"n2","to":"n1"}"#,
                r#"{"do":"cut","from":"n3","to":"n1"}"#,
            ],
        ),
        ("cut = \"n2\"", vec![r#"{"do":"isolate","node":"n2"}"#]),
        ("cut = { from = \"n1\", to = \"n2\" }", vec![r#"{"do":"cut","from":"n1","to":"n2"}"#]),
        (
            "cut = { from = \"n1\", to = \"replicas\", both_ways = true }",
            vec![
                r#"{"do":"cut","from":"n1","to":"n2"}"#,
                r#"{"do":"cut","from":"n1","to":"n3"}"#,
                r#"{"do":"cut","from":"n2","to":"n1"}"#,
                r#"{"do":"cut","from":"n3","to":"n1"}"#,
            ],
        ),
        (
            "reset = \"n2\"",
            vec![
                r#"{"do":"reset","from":"n1","to":"n2"}"#,
                r#"{"do":"reset","from":"n2","to":"n1"}"#,
                r#"{"do":"reset","from":"n2","to":"n3"}"#,
                r#"{"do":"reset","from":"n3","to":"n2"}"#,
            ],
        ),
        ("reset = { from = \"n1\", to = \"n2\" }", vec![r#"{"do":"reset","from":"n1","to":"n2"}"#]),
        ("heal = \"all\"", vec![r#"{"do":"heal-all"}"#]),
        ("heal = \"n3\"", vec![r#"{"do":"heal","node":"n3"}"#]),
        ("heal = { from = \"n1\", to = \"n2\" }", vec![r#"{"do":"heal-link","from":"n1","to":"n2"}"#]),
        (
            "kill = [\"n2\", \"primary\"]",
            vec![r#"{"do":"kill","node":"n1"}"#, r#"{"do":"kill","node":"n2"}"#],
        ),
        ("term = \"n2\"", vec![r#"{"do":"terminate","node":"n2"}"#]),
        ("power_loss = \"primary\"", vec![r#"{"do":"power-loss","node":"n1"}"#]),
        ("tear_tail = \"replica-2\"", vec![r#"{"do":"tear-tail","node":"n3"}"#]),
        ("wipe = [\"n3\", \"n2\"]", vec![r#"{"do":"wipe","node":"n2"}"#, r#"{"do":"wipe","node":"n3"}"#]),
        ("restart = \"n2\"", vec![r#"{"do":"restart","node":"n2"}"#]),
        ("pause = \"n2\"", vec![r#"{"do":"pause","node":"n2"}"#]),
        ("resume = \"n2\"", vec![r#"{"do":"resume","node":"n2"}"#]),
        (
            "cleanup = \"replicas\"",
            vec![r#"{"do":"cleanup","node":"n2"}"#, r#"{"do":"cleanup","node":"n3"}"#],
        ),
        ("promote = \"replica-2\"", vec![r#"{"do":"promote","node":"n3","force":false}"#]),
        (
            "put = { node = \"primary\", key = \"k\", value = \"v\", quorum = true }",
            vec![r#"{"do":"put","node":"n1","key":"k","value":"v","level":"quorum"}"#],
        ),
        (
            "get = { node = \"n2\", key = \"k\" }",
            vec![r#"{"do":"get","node":"n2","key":"k","level":"eventual"}"#],
        ),
        (
            "del = { node = \"n2\", key = \"k\" }",
            vec![r#"{"do":"del","node":"n2","key":"k","level":"async"}"#],
        ),
        (
            "slow = { from = \"n1\", to = \"n2\", loss = \"5%\", duplicate = \"0.5%\" }",
            vec![
                r#"{"do":"slow","from":"n1","to":"n2","delay":{"secs":0,"nanos":0},"jitter":{"secs":0,"nanos":0},"loss":50,"duplicate":5}"#,
            ],
        ),
        (
            "disk = { node = [\"n1\", \"n2\"], full = true }",
            vec![
                r#"{"do":"disk","node":"n1","condition":{"disk":"full"}}"#,
                r#"{"do":"disk","node":"n2","condition":{"disk":"full"}}"#,
            ],
        ),
        (
            "disk = { node = \"primary\", slow = \"20ms\" }",
            vec![r#"{"do":"disk","node":"n1","condition":{"disk":"slow","by":{"secs":0,"nanos":20000000}}}"#],
        ),
        (
            "disk = { node = \"n3\", sync_fails = true }",
            vec![r#"{"do":"disk","node":"n3","condition":{"disk":"sync-fails"}}"#],
        ),
        (
            "disk = { node = \"n3\", ok = true }",
            vec![r#"{"do":"disk","node":"n3","condition":{"disk":"ok"}}"#],
        ),
        (
            "clock = { node = \"n2\", rate = 1.5 }",
            vec![r#"{"do":"clock","node":"n2","condition":{"clock":"rate","permille":1500}}"#],
        ),
        (
            "clock = { node = \"n2\", jump = \"10s\" }",
            vec![r#"{"do":"clock","node":"n2","condition":{"clock":"jump","by":{"secs":10,"nanos":0}}}"#],
        ),
        (
            "clock = { node = \"n2\", ok = true }",
            vec![r#"{"do":"clock","node":"n2","condition":{"clock":"ok"}}"#],
        ),
        ("load = false", vec![r#"{"do":"load","on":false}"#]),
        ("load = \"50/s\"", vec![r#"{"do":"rate","per_second":50}"#, r#"{"do":"load","on":true}"#]),
    ] {
        let mut fake = Fake::new(3);
        run(&mut fake, &scenario(&format!("{LOADED}[[step]]\n{step}\n")));
        let done: Vec<_> =
            fake.done.iter().map(|(_, _, action)| serde_json::to_string(action).expect("JSON")).collect();
        assert_eq!(done, expected, "{step}");
    }
}

#[test]
fn slow_links() {
    let slowed = |step: &str| {
        let mut fake = Fake::new(3);
        run(&mut fake, &scenario(&format!("[[step]]\nslow = {step}\n")));
        let pair = |(_, _, action): &(Duration, usize, Action)| match action {
            Action::Slow { from, to, how } => {
                assert_eq!((how.delay.as_millis(), how.jitter.as_millis()), (80, 20));
                format!("{from}{to}")
            }
            other => panic!("{other:?}"),
        };
        fake.done.iter().map(pair).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(slowed("{ node = \"n2\", delay = \"80ms\", jitter = \"20ms\" }"), "n1n2 n2n1 n2n3 n3n2");
    assert_eq!(slowed("{ from = \"n2\", to = \"all\", delay = \"80ms\", jitter = \"20ms\" }"), "n2n1 n2n3");
}

#[test]
fn groups_that_overlap_at_run_time_are_found_then() {
    let mut fake = Fake::new(3);
    let conclusion = run(&mut fake, &scenario("[[step]]\npartition = [[\"primary\"], [\"n1\"]]\n"));
    let why = "step 1 could not be done: n1 would be in two groups";
    assert_eq!((conclusion.outcome, conclusion.why().as_deref()), (RunOutcome::Undecided, Some(why)));
}

#[test]
fn recovery_is_the_longest_from_a_repair_to_convergence() {
    let text = "[[step]]\nkill = \"n3\"\n[[step]]\nrestart = \"n3\"\n[[step]]\nwait = { converged = true }\n\
                [expect]\nrecovery.within = \"50ms\"\n";
    let mut fake = Fake::new(3);
    fake.settled = Ok(Some(Duration::from_millis(10)));
    let conclusion = run(&mut fake, &scenario(text));
    assert_eq!(conclusion.why().as_deref(), Some("recovery.within: expected 50ms, was 100ms"));
}
