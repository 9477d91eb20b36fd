//! The verdict as one JSON object. `docs/judge.md` describes it; its names and their meanings do not change.

use kvlab::judge::import::Format;
use kvlab::judge::{Judgement, Ledger, Linearizable, Staleness, Unavailable, Violation, Writes};
use serde::Serialize;

use super::checked::{CheckedHistory, CheckedKey, KeyProof};

/// The object that `kvlab check --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct JsonVerdicts {
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
    /// If the beginning of the history is not kept: from where on it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeptPart>,
    linearizable: Linearizable,
    took_s: f64,
    keys: Vec<CheckedKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<KeyProof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

/// All that is said is said of the events from this one on, of that time of the run up to that.
#[derive(Debug, Serialize)]
struct KeptPart {
    from_i: u64,
    from_s: f64,
    to_s: f64,
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

impl JsonVerdicts {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self { linearizable: Linearizable::Yes, histories: Vec::new() }
    }

    /// One more history.
    pub(crate) fn add(&mut self, checked: CheckedHistory) {
        let said = Said::of(checked);
        self.linearizable = self.linearizable.max(said.linearizable);
        self.histories.push(History::Judged(Box::new(said)));
    }

    /// One that could not be read: nobody knows of all of them together, unless one is known to fail.
    pub(crate) fn add_unreadable(&mut self, file: String, error: String) {
        self.linearizable = self.linearizable.max(Linearizable::Undecided);
        self.histories.push(History::Unreadable { file, error });
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("plain data becomes JSON") + "\n"
    }
}

impl Said {
    fn of(checked: CheckedHistory) -> Self {
        let proof = |violation: &Violation| KeyProof::of_violation(violation.clone(), violation.rule());
        Self {
            operations: checked.operations(),
            kept: checked.kept.as_ref().map(|kept| KeptPart {
                from_i: kept.from_i,
                from_s: kept.from.as_secs_f64(),
                to_s: kept.to.as_secs_f64(),
            }),
            linearizable: checked.verdict(),
            broken: checked.broken().map(proof).collect(),
            file: checked.name,
            format: match checked.format {
                Format::Kvlab => "kvlab",
                Format::Edn => "edn",
                Format::JepsenLog => "jepsen-log",
            },
            took_s: (checked.took.as_secs_f64() * 1000.0).round() / 1000.0,
            keys: checked.keys,
            measured: checked.judgement.map(Measured::from),
        }
    }
}

impl From<Judgement> for Measured {
    fn from(judgement: Judgement) -> Self {
        Self {
            quorum_writes: judgement.quorum_writes,
            async_writes: judgement.async_writes,
            unknown: judgement.unknown,
            quorum_ledger: judgement.quorum_ledger,
            async_ledger: judgement.async_ledger,
            staleness: judgement.staleness,
            unavailable: judgement.unavailable,
            violations_total: judgement.violations_total,
        }
    }
}
