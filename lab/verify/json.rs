//! The verdict as one JSON object. `docs/judge.md` describes it; its names and their meanings do not change.

use kvlab::judge::import::Format;
use kvlab::judge::offline::{Method, Op};
use kvlab::judge::{Ledger, Linearizable, Report, Staleness, Unavailable, Violation, Writes};
use serde::Serialize;

use super::judging::{Checked, KeyCheck, Overall, Proof};

/// The object that `kvlab check --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Object {
    linearizable: Linearizable,
    histories: Vec<History>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum History {
    Judged(Box<Said>),
    Unreadable { file: String, error: String },
}

#[derive(Debug, Serialize)]
struct Said {
    file: String,
    format: &'static str,
    operations: u64,
    linearizable: Linearizable,
    took_s: f64,
    keys: Vec<Key>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

#[derive(Debug, Serialize)]
struct Key {
    key: String,
    operations: u64,
    /// `null`: not judged.
    linearizable: Option<Linearizable>,
    method: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Told>,
}

/// A proof.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    Violation {
        explanation: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        violation: Violation,
    },
    Stuck {
        explanation: String,
        is_first: bool,
        placed: usize,
        last: Vec<Op>,
        stuck: Op,
    },
}

/// What only our own histories tell.
#[derive(Debug, Serialize)]
struct Measured {
    quorum_writes: Writes,
    async_writes: Writes,
    unknown: u64,
    quorum_ledger: Ledger,
    async_ledger: Ledger,
    staleness: Staleness,
    unavailable: Unavailable,
    violations_total: u64,
}

impl Object {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self { linearizable: Linearizable::Yes, histories: Vec::new() }
    }

    /// One more history.
    pub(crate) fn add(&mut self, checked: &Checked) {
        self.linearizable = match (self.linearizable, verdict(checked.overall())) {
            (Linearizable::No, _) | (_, Linearizable::No) => Linearizable::No,
            (Linearizable::Undecided, _) | (_, Linearizable::Undecided) => Linearizable::Undecided,
            (Linearizable::Yes, Linearizable::Yes) => Linearizable::Yes,
        };
        self.histories.push(History::Judged(Box::new(said(checked))));
    }

    /// One that could not be read: nobody knows of all of them together, unless one is known to fail.
    pub(crate) fn add_unreadable(&mut self, file: String, error: String) {
        if self.linearizable == Linearizable::Yes {
            self.linearizable = Linearizable::Undecided;
        }
        self.histories.push(History::Unreadable { file, error });
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("plain data becomes JSON") + "\n"
    }
}

fn verdict(overall: Overall) -> Linearizable {
    match overall {
        Overall::Linearizable => Linearizable::Yes,
        Overall::Undecided => Linearizable::Undecided,
        Overall::Violated => Linearizable::No,
    }
}

fn said(checked: &Checked) -> Said {
    Said {
        file: checked.name.clone(),
        format: match checked.format {
            Format::Kvlab => "kvlab",
            Format::Edn => "edn",
            Format::JepsenLog => "jepsen-log",
        },
        operations: checked.operations,
        linearizable: verdict(checked.overall()),
        took_s: (checked.took.as_secs_f64() * 1000.0).round() / 1000.0,
        keys: checked.keys.iter().map(key).collect(),
        broken: checked.broken().map(|violation| told(violation, violation.rule())).collect(),
        measured: checked.report.as_ref().map(measured),
    }
}

fn key(check: &KeyCheck) -> Key {
    let KeyCheck { key, operations, method, linearizable, why, proof } = check;
    let proof = proof.as_ref().map(|proof| match proof {
        Proof::Violation(violation, rule) => told(violation, rule.clone()),
        Proof::Stuck(stuck) => Told::Stuck {
            explanation: proof.diagram().notes().join(" "),
            is_first: stuck.is_first,
            placed: stuck.placed,
            last: stuck.last.clone(),
            stuck: stuck.stuck.clone(),
        },
    });
    Key {
        key: key.clone(),
        operations: *operations,
        linearizable: *linearizable,
        method: *method,
        why: why.clone(),
        proof,
    }
}

fn told(violation: &Violation, rule: Option<String>) -> Told {
    Told::Violation { explanation: violation.explanation(), rule, violation: violation.clone() }
}

fn measured(report: &Report) -> Measured {
    Measured {
        quorum_writes: report.quorum_writes,
        async_writes: report.async_writes,
        unknown: report.unknown,
        quorum_ledger: report.quorum_ledger,
        async_ledger: report.async_ledger,
        staleness: report.staleness,
        unavailable: report.unavailable,
        violations_total: report.violations_total,
    }
}
