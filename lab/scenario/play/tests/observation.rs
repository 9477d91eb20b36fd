//! Which conditions hold, on views made by hand.

use kvlab::types::Epoch;

use super::*;
use crate::scenario::language::model::Act;
use crate::scenario::language::model::Scenario;
use crate::scenario::tests::fixture::*;

const BEGAN: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(6);

/// Conditions as they are written in a file.
fn conditions(text: &str) -> Vec<Condition> {
    let file = format!("title = \"t\"\n[[step]]\nwait = {text}\n");
    let scenario = Scenario::parse("t", "t.toml", &file).unwrap_or_else(|e| panic!("{e}"));
    match scenario.steps[0].act.clone() {
        Some(Act::Wait { conditions, .. }) => conditions,
        other => panic!("{other:?}"),
    }
}

fn look(observation: &mut Observation, view: &View, text: &str) -> String {
    let mut roles = Roles::new(members(3));
    roles.observe(view);
    let mut verdict = Verdict::default();
    verdict.harm.stale_reads = 3;
    let moment = Moment { view, verdict: &verdict, roles: &roles };
    observation.holds(moment, &conditions(text)).map_or_else(|why| why, |()| "holds".to_owned())
}

fn once(view: &View, text: &str) -> String {
    look(&mut Observation::new(BEGAN), view, text)
}

#[test]
fn conditions_of_a_healthy_cluster() {
    let view = healthy(3, LATER);
    for (text, expected) in [
        ("{ primaries = 1 }", "holds"),
        ("{ primaries = \">=2\" }", "n1 is primary"),
        ("{ primary = \"n1\" }", "holds"),
        ("{ primary = \"n2\" }", "n1 is primary"),
        ("{ converged = true }", "holds"),
        ("{ caught_up = \"replicas\" }", "holds"),
        ("{ fresh = \"all\" }", "holds"),
        ("{ stale = \"n3\" }", "n3 serves reads"),
        ("{ lag = { node = \"n2\", is = 0 } }", "holds"),
        ("{ lag = { node = \"n2\", is = \">5\" } }", "n2 is 0 behind"),
        ("{ seq = { node = \"n2\", is = \">=10\" } }", "holds"),
        ("{ seq = { node = \"n2\", is = \">10\" } }", "n2 is at 10"),
        ("{ state = { node = \"all\", is = \"running\" } }", "holds"),
        ("{ state = { node = \"n2\", is = \"paused\" } }", "n2 is running"),
        ("{ partial_resyncs = 0, full_resyncs = 0 }", "holds"),
        ("{ partial_resyncs = \">0\" }", "there were 0 partial resyncs"),
        ("{ harm.stale_reads = \">2\" }", "holds"),
        ("{ harm.stale_reads = 0 }", "harm.stale_reads is 3"),
        ("{ promise.linearizable = true }", "promise.linearizable is not known"),
        ("{ primaries = 1, stale = \"n2\" }", "n2 serves reads"),
    ] {
        assert_eq!(once(&view, text), expected, "{text}");
    }
}

#[test]
fn reports_from_before_do_not_count() {
    let mut view = healthy(3, LATER);
    view.statuses.get_mut(&n(2)).expect("n2").0 = BEGAN + Duration::from_millis(10);
    assert_eq!(once(&view, "{ converged = true }"), "n2 runs but has not reported");
    // A paused member cannot report, and is not waited for.
    process(&mut view, 2, ProcessState::Paused { pid: 102 });
    assert_eq!(once(&view, "{ converged = true }"), "holds");
}

#[test]
fn a_paused_primary_is_not_counted_as_running() {
    let mut view = healthy(3, LATER);
    process(&mut view, 1, ProcessState::Paused { pid: 101 });
    assert_eq!(once(&view, "{ primaries = 1 }"), "nobody is primary");
    assert_eq!(once(&view, "{ primary = \"n1\" }"), "nobody is primary");
}

#[test]
fn two_primaries_do_not_converge() {
    let mut view = healthy(3, LATER);
    edit(&mut view, 2, |s| turn(s, Role::Primary, Epoch::new(2, n(2))));
    assert_eq!(once(&view, "{ primaries = 2 }"), "holds");
    assert_eq!(once(&view, "{ converged = true }"), "there are 2 primaries");
    assert_eq!(once(&view, "{ primary = \"n2\" }"), "holds");
}

#[test]
fn convergence_needs_the_epoch_in_every_log() {
    let mut view = healthy(3, LATER);
    edit(&mut view, 3, |s| s.last.term = Epoch::ZERO.into());
    assert_eq!(once(&view, "{ converged = true }"), "n3 does not follow n1 in 1@n1 yet");
    let mut view = healthy(3, LATER);
    edit(&mut view, 3, |s| s.resync = Some((1, 2)));
    assert_eq!(once(&view, "{ converged = true }"), "n3 does not follow n1 in 1@n1 yet");
    process(&mut view, 2, stopped());
    process(&mut view, 3, stopped());
    assert_eq!(once(&view, "{ converged = true }"), "only 1 members run");
}

#[test]
fn convergence_can_be_reached_under_load() {
    let mut view = healthy(3, LATER);
    let mut observation = Observation::new(BEGAN);
    edit(&mut view, 1, |s| (s.last.index, s.durable) = (20, 20));
    assert_eq!(look(&mut observation, &view, "{ converged = true }"), "n2 is at 10 of 20");
    // The primary has gone on, the replicas have what it had.
    edit(&mut view, 1, |s| (s.last.index, s.durable) = (40, 40));
    for id in [2, 3] {
        edit(&mut view, id, |s| (s.last.index, s.durable) = (25, 25));
    }
    assert_eq!(look(&mut observation, &view, "{ converged = true }"), "holds");
    // In a new epoch the goal is set anew.
    for id in [1, 2, 3] {
        edit(&mut view, id, |s| {
            turn(s, s.role, Epoch::new(2, n(1)));
            s.last.term = s.term.clone();
        });
    }
    assert_eq!(look(&mut observation, &view, "{ converged = true }"), "n2 is at 25 of 40");
}

#[test]
fn resyncs_of_all_running_members_are_counted() {
    let mut view = healthy(3, LATER);
    edit(&mut view, 1, |s| (ours(s).resyncs.partial, ours(s).resyncs.full) = (2, 1));
    edit(&mut view, 2, |s| ours(s).resyncs.full = 1);
    assert_eq!(once(&view, "{ partial_resyncs = 2, full_resyncs = 2 }"), "holds");
    process(&mut view, 2, stopped());
    assert_eq!(once(&view, "{ full_resyncs = 2 }"), "there were 1 full resyncs");
}

#[test]
fn catching_up_has_a_fixed_goal() {
    let mut view = healthy(3, LATER);
    let mut observation = Observation::new(BEGAN);
    edit(&mut view, 1, |s| s.last.index = 20);
    assert_eq!(look(&mut observation, &view, "{ caught_up = \"n3\" }"), "n3 is at 1@n1/10 of 1@n1/20");
    edit(&mut view, 1, |s| s.last.index = 99);
    edit(&mut view, 3, |s| (s.last.index, s.durable) = (20, 20));
    assert_eq!(look(&mut observation, &view, "{ caught_up = \"n3\" }"), "holds");
}
