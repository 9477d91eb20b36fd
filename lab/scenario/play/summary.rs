//! The summary of a run: for programs one JSON object, for people a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kvlab::judge::Violation;
use kvlab::types::{NodeId, Quirks};
use serde::Serialize;

use super::conclusion::Conclusion;
use crate::explain::Evidence;
use crate::run::event::{Expectation, Losses, PromiseVerdict, RunOutcome, Verdict};
use crate::scenario::language::model::Scenario;

/// What was played, for its summary.
#[derive(Clone, Debug)]
pub struct Played<'a> {
    /// What was played.
    pub scenario: &'a Scenario,
    /// How it was called on the command line.
    pub called: &'a str,
    /// The seed.
    pub seed: u64,
    /// The proofs of broken promises.
    pub evidence: &'a Evidence,
    /// Columns of a proof in the text.
    pub columns: usize,
    /// Where everything lies; a simulated run leaves nothing behind.
    pub run_dir: Option<&'a str>,
}

/// The JSON of a run: its names and their meanings do not change. `null`: not known.
#[derive(Debug, Serialize)]
struct Object<'a> {
    scenario: &'a str,
    seed: u64,
    /// The mistakes that the nodes made on purpose.
    quirks: Quirks,
    outcome: RunOutcome,
    elapsed_s: f64,
    promise: PromiseObject,
    harm: HarmObject<'a>,
    expectations: &'a [Expectation],
    /// The broken promises that the judge found, with their proofs; the first ones.
    violations: Vec<ViolationObject<'a>>,
    violations_total: u64,
    /// The members whose disks were wiped or whose logs were torn.
    failed_members: &'a BTreeSet<NodeId>,
    /// The members whose clocks did not run true at some time.
    odd_clocks: &'a BTreeSet<NodeId>,
    run_dir: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct PromiseObject {
    linearizable: &'static str,
    quorum_writes_acked: u64,
    quorum_writes_lost: Option<u64>,
    /// Read back twice, and overwritten since: nothing is claimed of them.
    quorum_writes_released: u64,
    members_equal: Option<bool>,
}

#[derive(Debug, Serialize)]
struct HarmObject<'a> {
    async_writes_acked: u64,
    async_writes_lost: Option<u64>,
    /// Read back twice, and overwritten since: nothing is claimed of them.
    async_writes_released: u64,
    /// The members that discarded entries to follow another primary, with how many.
    discarded: &'a BTreeMap<NodeId, u64>,
    stale_reads: u64,
    stale_max_ms: u64,
    unavailable_ms: u64,
}

#[derive(Debug, Serialize)]
struct ViolationObject<'a> {
    #[serde(flatten)]
    violation: &'a Violation,
    explanation: String,
    rule: Option<String>,
}

/// One object, on one line.
pub fn json(played: &Played<'_>, conclusion: &Conclusion) -> serde_json::Result<String> {
    let (promise, harm) = (&conclusion.verdict.promise, &conclusion.verdict.harm);
    serde_json::to_string(&Object {
        scenario: &played.scenario.name,
        seed: played.seed,
        quirks: played.scenario.cluster.settings.quirks,
        outcome: conclusion.outcome,
        elapsed_s: (conclusion.elapsed.as_secs_f64() * 10.0).round() / 10.0,
        promise: PromiseObject {
            linearizable: linearizable(promise.linearizable),
            quorum_writes_acked: promise.quorum_writes_acked,
            quorum_writes_lost: promise.quorum_writes_lost,
            quorum_writes_released: promise.quorum_writes_released,
            members_equal: promise.members_equal,
        },
        harm: HarmObject {
            async_writes_acked: harm.async_writes_acked,
            async_writes_lost: harm.async_writes_lost,
            async_writes_released: harm.async_writes_released,
            discarded: played.evidence.discards(),
            stale_reads: harm.stale_reads,
            stale_max_ms: harm.stale_max_ms,
            unavailable_ms: harm.unavailable_ms,
        },
        expectations: &conclusion.expectations,
        violations: played
            .evidence
            .violations()
            .iter()
            .map(|violation| object(played.evidence, violation))
            .collect(),
        violations_total: promise.violations_total,
        failed_members: played.evidence.failed(),
        odd_clocks: played.evidence.odd_clocks(),
        run_dir: played.run_dir,
    })
}

fn object<'a>(evidence: &Evidence, violation: &'a Violation) -> ViolationObject<'a> {
    ViolationObject { violation, explanation: violation.explanation(), rule: evidence.rule(violation) }
}

/// What the judge found, a line each, and the proof of the first violation in so many columns.
pub fn facts(verdict: &Verdict, evidence: &Evidence, columns: usize) -> String {
    let mut out = String::new();
    let (promise, harm) = (&verdict.promise, &verdict.harm);
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "  {label:<27} {value}");
    };
    line("linearizable", linearizable(promise.linearizable).to_owned());
    line("quorum writes lost", lost(promise.losses()));
    line("members equal", known(promise.members_equal.map(|equal| if equal { "yes" } else { "NO" })));
    line("async writes lost", lost(harm.losses()));
    if !evidence.discards().is_empty() {
        let by = |(node, entries): (&NodeId, &u64)| format!("{node} {entries}");
        let by: Vec<String> = evidence.discards().iter().map(by).collect();
        line("entries discarded", format!("{} (to follow another primary)", by.join(", ")));
    }
    line(
        "stale reads",
        match harm.stale_reads {
            0 => "0".to_owned(),
            n => format!("{n}, the oldest {} ms old", harm.stale_max_ms),
        },
    );
    line("reads refused as stale", harm.refused_stale.to_string());
    line("unknown outcomes", harm.unknown.to_string());
    line("longest time without writes", format!("{} ms", harm.unavailable_ms));
    for (label, nodes, meaning) in [
        ("failed members", evidence.failed(), "their disks forgot"),
        ("clocks that ran untrue", evidence.odd_clocks(), "bounds in time hold by their own clocks only"),
    ] {
        if !nodes.is_empty() {
            let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            line(label, format!("{} ({meaning})", names.join(", ")));
        }
    }
    out + &proof(&verdict.promise, evidence, columns)
}

/// The first violation with its proof; the others are counted. What has no proof has a line.
fn proof(promise: &PromiseVerdict, evidence: &Evidence, columns: usize) -> String {
    let mut out = String::new();
    let proved = evidence.violations().first();
    let first = proved.map(ToString::to_string);
    // Without proofs: violations of a run whose events were lost, or why its history cannot be judged.
    for line in promise.violations.iter().take_while(|line| Some(*line) != first.as_ref()) {
        let _ = writeln!(out, "\n  {line}");
    }
    let Some(violation) = proved else { return out };
    let promise_of = if violation.linearizability { "NOT linearizable" } else { "a value that nobody wrote" };
    let _ = writeln!(out, "\n  key {:?}: {promise_of}\n", violation.key);
    let width = columns.saturating_sub(2);
    for line in evidence.diagram(violation).text(width).lines() {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    }
    let more = promise.violations_total.max(evidence.violations().len() as u64) - 1;
    if more > 0 {
        let _ = writeln!(out, "\n  and {more} more like this");
    }
    out
}

/// The summary that a person reads, ending with a line break.
pub fn text(played: &Played<'_>, conclusion: &Conclusion) -> String {
    let mut out = facts(&conclusion.verdict, played.evidence, played.columns);
    let _ = writeln!(out);
    for expectation in &conclusion.expectations {
        let _ = writeln!(out, "  {}", expectation_line(expectation));
    }
    for unchecked in &conclusion.unchecked {
        let _ = writeln!(out, "  not checked  {unchecked}");
    }
    let _ = writeln!(
        out,
        "\n{}: {} in {:.1} s",
        played.scenario.name,
        verdict_words(conclusion.outcome),
        conclusion.elapsed.as_secs_f64()
    );
    for remark in remarks(played.scenario, conclusion) {
        let _ = writeln!(out, "  {remark}");
    }
    for reason in &conclusion.reasons {
        let _ = writeln!(out, "  {reason}");
    }
    if let Some(run_dir) = played.run_dir {
        let _ = writeln!(out, "run directory: {run_dir}");
    }
    let simulated = if played.run_dir.is_none() { " --simulated" } else { "" };
    let _ = writeln!(out, "again: kvlab run {}{simulated} --seed {}", played.called, played.seed);
    out
}

/// What must not be read as the store's usual conduct: promises that were broken as expected, and mistakes that were
/// made on purpose.
pub fn remarks(scenario: &Scenario, conclusion: &Conclusion) -> Vec<String> {
    let broken: Vec<_> = conclusion.broken.iter().map(String::as_str).collect();
    let quirks = scenario.cluster.settings.quirks;
    let mut remarks = Vec::new();
    if !broken.is_empty() {
        remarks.push(format!("BROKEN, as expected: {}", broken.join(", ")));
    }
    remarks.extend(quirks.iter().map(|quirk| format!("QUIRK {quirk}: {}", quirk.mistake())));
    remarks
}

/// How the outcome is said to a person.
pub fn verdict_words(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::AsExpected => "as expected",
        RunOutcome::Violated => "VIOLATED",
        RunOutcome::Undecided => "UNDECIDED",
        RunOutcome::Panicked => "PANICKED, a fault of kvlab's own",
    }
}

/// One expectation in one line.
fn expectation_line(expectation: &Expectation) -> String {
    let Expectation { name, expected, actual, held } = expectation;
    match held {
        Some(true) => format!("held         {name} {expected} (was {actual})"),
        Some(false) => format!("NOT HELD     {name}: expected {expected}, was {actual}"),
        None => format!("undecided    {name}: expected {expected}, {actual}"),
    }
}

fn linearizable(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "undecided",
    }
}

fn lost(losses: Losses) -> String {
    let Losses { acked, unread, doubtful, released, .. } = losses;
    let released = match released {
        0 => String::new(),
        _ => format!("; {released} were read back twice and released: nothing is said of them since"),
    };
    let known = match losses.lost {
        None | Some(0) if doubtful > 0 => {
            format!("not known: {unread} were not read back since the last change ({acked} acknowledged)")
        }
        Some(lost) if unread > 0 => format!("{lost} so far, {unread} not read back ({acked} acknowledged)"),
        None if unread > 0 => format!("0 so far, {unread} not read back ({acked} acknowledged)"),
        Some(lost) => format!("{lost} ({acked} acknowledged)"),
        None => format!("not known ({acked} acknowledged)"),
    };
    known + &released
}

fn known(value: Option<&str>) -> String {
    value.unwrap_or("not known").to_owned()
}
