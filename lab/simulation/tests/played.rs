//! The simulated stage: every step that it knows, in one story, and the same story again.

use std::time::Duration;

use kvlab::types::NodeId;

use super::play::at_once;
use super::stage::*;
use crate::action::Action;
use crate::cluster::View;
use crate::explain::Evidence;
use crate::run::event::RunOutcome;
use crate::run::event::{Actor, LabEvent, ProcessState, Stamped};
use crate::scenario::Scenario;
use crate::scenario::play::stage::Stage as _;
use crate::scenario::{Conclusion, EMBEDDED, play};

/// Everything that can be done, once.
const EVERYTHING: &str = r#"
title = "Everything"
[cluster]
nodes = 5
stale_after = "1s"
backlog_bytes = 2000
durability = "os"
[workload]
clients = 10
rate = "200/s"
consistency = ["async", "quorum"]
registers = 2
ledger = true
[[step]]
after = "200ms"
reset = "n3"
[[step]]
after = "500ms"
put = { node = "primary", key = "k", value = "v", quorum = true }
[[step]]
get = { node = "n4", key = "k", quorum = true, value = "v" }
[[step]]
slow = { node = "n5", delay = "20ms", jitter = "10ms" }
[[step]]
cut = { from = "primary", to = "n4" }
[[step]]
pause = "n3"
[[step]]
get = { node = "n3", key = "k", outcome = "not-ok" }
[[step]]
wait = { stale = "n4", within = "3s" }
[[step]]
resume = "n3"
[[step]]
heal = "n4"
[[step]]
wait = { fresh = "n4", caught_up = "n4", within = "5s" }
[[step]]
kill = "n2"
[[step]]
get = { node = "n2", key = "k", outcome = "failed" }
[[step]]
promote = { node = "n2", outcome = "any" }
"#;

const REST: &str = r#"
[[step]]
restart = "n2"
[[step]]
term = "n5"
[[step]]
expect = { state = { node = "n5", is = "stopped" }, primaries = 1 }
[[step]]
restart = "n5"
[[step]]
wait = { converged = true, within = "5s" }
[[step]]
load = "400/s"
[[step]]
after = "500ms"
partition = "isolate-primary"
[[step]]
after = "1s"
promote = "newest-replica"
[[step]]
wait = { primaries = 2, within = "2s" }
[[step]]
load = false
[[step]]
heal = "all"
[[step]]
wait = { converged = true, within = "5s" }
[[step]]
del = { node = "n1", key = "k", quorum = true }
[[step]]
get = { node = "n3", key = "k", quorum = true, absent = true }
"#;

fn scenario(source: &str) -> Scenario {
    Scenario::parse("t", "t.toml", source).unwrap_or_else(|e| panic!("{e}"))
}

fn played(scenario: &Scenario, seed: u64) -> (Conclusion, Vec<Stamped>) {
    let mut stage = Simulated::new(scenario, scenario.load(seed), seed);
    let outcome = at_once(play(&mut stage, scenario));
    assert_eq!(stage.broken(), None, "seed {seed}");
    (outcome, stage.take_events())
}

#[test]
fn every_step_can_be_played_and_the_seed_decides() {
    // A promotion of a member that is down cannot be carried out: that story is another one, below.
    let steps = EVERYTHING.replace("[[step]]\npromote = { node = \"n2\", outcome = \"any\" }\n", "");
    let everything = scenario(&(steps + REST));
    for seed in 0..3 {
        let (outcome, told) = played(&everything, seed);
        assert_eq!((outcome.outcome, outcome.why()), (RunOutcome::AsExpected, None), "seed {seed}");
        let actions = |event: &&Stamped| matches!(event.event, LabEvent::Action { by: Actor::Step(_), .. });
        assert!(told.iter().filter(actions).count() >= 20, "{told:#?}");
        assert_eq!(played(&everything, seed).1, told, "seed {seed}");
    }
}

/// What a split brain cost is known within seconds of the heal, while the load goes on. Before that nobody says that
/// nothing is lost; after it the losses stay.
#[test]
fn losses_of_a_split_brain_are_known_within_seconds_of_the_heal() {
    let scenario = scenario(
        "title = \"t\"\n[workload]\nrate = \"300/s\"\nconsistency = [\"async\", \"quorum\"]\n[[step]]\nsay = \"x\"\n",
    );
    for seed in 0..3 {
        let mut stage = Simulated::new(&scenario, scenario.load(seed), seed);
        let wait =
            |stage: &mut Simulated, ms| stage.until(stage.now() + Duration::from_millis(ms), |_| false);
        let act = |stage: &mut Simulated, action| {
            at_once(stage.perform(1, action)).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
        };
        let [n1, n2] = [1, 2].map(NodeId);
        wait(&mut stage, 3000);
        act(&mut stage, Action::Isolate { node: n1 });
        wait(&mut stage, 1000);
        assert_eq!(stage.verdict().harm.async_writes_lost, None, "seed {seed}: they may still come back");
        act(&mut stage, Action::Promote { node: n2, force: true });
        wait(&mut stage, 2000);
        act(&mut stage, Action::HealAll);
        let mut told = Vec::new();
        let discarded = stage.until(stage.now() + Duration::from_secs(5), |stage| {
            told.extend(stage.take_events());
            Evidence::of(&told).discards().contains_key(&n1)
        });
        assert!(discarded, "seed {seed}");
        let harm = stage.verdict().harm;
        assert!(harm.async_writes_lost.is_none() && harm.async_writes_doubtful > 0, "seed {seed}: {harm:?}");
        let known = stage.until(stage.now() + Duration::from_secs(3), |stage| {
            let harm = stage.verdict().harm;
            harm.async_writes_doubtful == 0 && harm.async_writes_lost > Some(0)
        });
        let lost = stage.verdict().harm.async_writes_lost;
        assert!(known, "seed {seed}: {:?}", stage.verdict());
        wait(&mut stage, 3000);
        assert_eq!(stage.verdict().harm.async_writes_lost, lost, "seed {seed}: a loss stays");
        let settled = at_once(stage.settle(Duration::from_secs(10))).expect("it settles");
        assert_eq!(settled.verdict.harm.async_writes_lost, lost, "seed {seed}: as the whole reading says");
        assert_eq!(settled.verdict.promise.quorum_writes_lost, Some(0), "seed {seed}");
    }
}

#[test]
fn what_cannot_be_carried_out_is_said() {
    let (outcome, _) = played(&scenario(EVERYTHING), 1);
    let why = outcome.why().expect("it went wrong");
    assert_eq!(outcome.outcome, RunOutcome::Undecided, "{why}");
    assert!(why.contains("step 14 could not be done") && why.contains("n2: it is down"), "{why}");
}

#[test]
fn every_embedded_scenario_is_as_expected() {
    let mut wrong = Vec::new();
    for embedded in EMBEDDED {
        let scenario = Scenario::parse(embedded.name, &embedded.file(), embedded.source).expect("valid");
        for seed in 0..2 {
            let (outcome, _) = played(&scenario, seed);
            if outcome.outcome != RunOutcome::AsExpected {
                wrong.push(format!("{}, seed {seed}: {:?}", embedded.name, outcome.why()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_cluster_left_without_a_primary_gets_one_when_it_settles() {
    // It has lost what the others have, and nobody votes for it.
    let left = "title = \"t\"\n[cluster]\ndurability = \"os\"\n[workload]\nconsistency = [\"quorum\"]\n\
                [[step]]\nafter = \"500ms\"\npower_loss = \"primary\"\n";
    for seed in 0..5 {
        let (outcome, told) = played(&scenario(left), seed);
        assert_eq!((outcome.outcome, outcome.why()), (RunOutcome::AsExpected, None), "seed {seed}");
        let by_the_lab = |told: &&Stamped| {
            matches!(&told.event, LabEvent::Action { by: Actor::Lab, action: Action::Promote { .. }, .. })
        };
        assert!(told.iter().any(|told| by_the_lab(&told)), "seed {seed}: nobody was promoted by the lab");
    }
}

/// What each condition does is seen by clients and in the process, and settling takes back what still stands.
const CONDITIONS: &str = r#"
title = "t"
settle = "20s"
[workload]
consistency = ["quorum"]
[[step]]
at = "1s"
disk = { node = "n1", full = true }
[[step]]
after = "300ms"
put = { node = "n1", key = "k", quorum = true, outcome = "failed" }
[[step]]
disk = { node = "n1", ok = true }
[[step]]
after = "300ms"
put = { node = "n1", key = "k", value = "v", quorum = true }
[[step]]
clock = { node = "n2", rate = 0.5 }
[[step]]
clock = { node = "n3", jump = "20s" }
[[step]]
wait = { converged = true }
[[step]]
disk = { node = "n3", sync_fails = true }
[[step]]
wait = { state = { node = "n3", is = "died" } }
[[step]]
restart = "n3"
[[step]]
wait = { caught_up = "n3" }
[[step]]
slow = { from = "n1", to = "n2", loss = "20%", duplicate = "20%" }
[[step]]
get = { node = "n1", key = "k", quorum = true, value = "v" }
[[step]]
disk = { node = "n2", full = true }
[[step]]
kill = "n2"
[[step]]
restart = "n2"
"#;

#[test]
fn conditions_do_what_they_say_and_settling_takes_them_back() {
    let scenario = scenario(CONDITIONS);
    for seed in 0..3 {
        let (outcome, told) = played(&scenario, seed);
        assert_eq!((outcome.outcome, outcome.why()), (RunOutcome::AsExpected, None), "seed {seed}");
        let mut view = View::default();
        for stamped in &told {
            if let LabEvent::Condition { node, condition } = stamped.event {
                view.set_condition(node, condition);
            }
        }
        assert!(view.disks.is_empty() && view.clocks.is_empty(), "seed {seed}: {view:?}");
        let died = |told: &Stamped| matches!(&told.event, LabEvent::Process { state: ProcessState::Died { how }, .. } if how.contains("sync"));
        assert!(told.iter().any(died), "seed {seed}");
    }
}

#[test]
fn a_scenario_without_a_load_is_played() {
    let quiet = "title = \"t\"\n[[step]]\nafter = \"500ms\"\n\
                 put = { node = \"primary\", key = \"k\", value = \"v\", quorum = true }\n\
                 [[step]]\nget = { node = \"n2\", key = \"k\", quorum = true, value = \"v\" }\n";
    let scenario = scenario(quiet);
    scenario.load(1).check().expect("no load at all is fine");
    let (outcome, _) = played(&scenario, 1);
    assert_eq!((outcome.outcome, outcome.why()), (RunOutcome::AsExpected, None));
}
