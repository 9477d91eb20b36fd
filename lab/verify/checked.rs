//! A history and what was found out about it.

use std::time::Duration;

use kvlab::judge::import::Format;
use kvlab::judge::offline::{KeyAct, KeyHistory, KeyOp, KeyVerdict, OpOutcome, Refutation};
use kvlab::judge::{Diagram, Judgement, Linearizable, Method, Value, Violation};
use serde::Serialize;

use super::parallel::GivenUp;
use crate::run::history::Kept;

/// A history and what was found out about it.
#[derive(Debug)]
pub(crate) struct CheckedHistory {
    /// What its source is called.
    pub(crate) name: String,
    /// How it can be named to another command; `None`: it cannot be read again.
    pub(crate) path: Option<String>,
    /// The format in which it was.
    pub(crate) format: Format,
    /// Each key: ours in the order of their first use, others' in the order of their names.
    pub(crate) keys: Vec<CheckedKey>,
    /// What else the judge says of a history of ours.
    pub(crate) judgement: Option<Judgement>,
    /// How long it took.
    pub(crate) took: Duration,
    /// What was not judged of it.
    pub(crate) warning: Option<String>,
    /// What is kept of a history of ours, if its beginning is not: everything that is said is said of that.
    pub(crate) kept: Option<Kept>,
}

/// The verdict on a key, as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedKey {
    /// The key; empty where there is only one and nobody names it.
    pub(crate) key: Value,
    /// Operations on it.
    pub(crate) operations: u64,
    /// The verdict; `None`: it is not judged for linearizability.
    pub(crate) linearizable: Option<Linearizable>,
    /// How it was judged; `None`: not for linearizability.
    pub(crate) method: Option<Method>,
    /// Why it is undecided or not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// Of a key that is not linearizable and has a compare-and-set that failed: what that was taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed_cas: Option<FailedCasTaken>,
    /// Why it is not linearizable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<KeyProof>,
}

/// What a compare-and-set that failed was taken for, as JSON has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailedCasTaken {
    /// It did not happen.
    NeverRan,
    /// It looked and did not match.
    Observed,
}

/// Why a promise is broken, as JSON has it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum KeyProof {
    /// At most four operations, and which rule was broken, if that is known.
    Violation {
        explanation: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        violation: Box<Violation>,
    },
    /// The search's: the smallest part that was found that still fails.
    Part {
        explanation: String,
        /// Whether nothing more can be left out of it.
        is_minimal: bool,
        /// What the object holds before the first of its operations, as what was done.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        initially: Vec<KeyAct>,
        /// Its operations.
        part: Vec<KeyOp>,
        /// The operation that fits nowhere among them.
        stuck: Box<KeyOp>,
        #[serde(skip)]
        diagram: Diagram,
    },
    /// As far as a search came that nobody had the time to make more of.
    Stuck {
        explanation: String,
        /// How many operations the longest order has that was found.
        placed: usize,
        /// The last of them, in that order.
        last: Vec<KeyOp>,
        /// The operation that fits nowhere after it.
        stuck: Box<KeyOp>,
        #[serde(skip)]
        diagram: Diagram,
    },
}

impl CheckedHistory {
    /// The verdict on the whole: `No` if any promise is broken.
    pub(crate) fn verdict(&self) -> Linearizable {
        let is_broken = self.judgement.as_ref().is_some_and(|judgement| judgement.violations_total > 0);
        let worst = self.keys.iter().filter_map(|key| key.linearizable).max();
        if is_broken { Linearizable::No } else { worst.unwrap_or_default() }
    }

    /// Operations that began.
    pub(crate) fn operations(&self) -> u64 {
        self.keys.iter().map(|key| key.operations).sum()
    }

    /// The keys with this verdict.
    pub(crate) fn with(&self, verdict: Option<Linearizable>) -> impl Iterator<Item = &CheckedKey> {
        self.keys.iter().filter(move |key| key.linearizable == verdict)
    }

    /// Whether events name their key.
    pub(crate) fn is_keyed(&self) -> bool {
        !matches!(&*self.keys, [only] if only.key.is_empty())
    }

    /// The first proof that there is.
    pub(crate) fn first_proof(&self) -> Option<Diagram> {
        let of_key = self.keys.iter().find_map(|key| key.proof.as_ref()).map(KeyProof::diagram);
        of_key.or_else(|| self.broken().next().map(Diagram::of_violation))
    }

    /// Promises broken other than linearizability: eventual reads of what was never written.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &Violation> {
        let violations = self.judgement.iter().flat_map(|judgement| &judgement.violations);
        violations.filter(|violation| !violation.linearizability)
    }
}

impl CheckedKey {
    /// What a search, or the online judge, says of a key's history.
    pub(super) fn of(history: &KeyHistory, verdict: KeyVerdict, given_up: Option<GivenUp>) -> Self {
        let undecided = verdict.linearizable == Linearizable::Undecided;
        Self {
            key: verdict.key,
            operations: verdict.operations as u64,
            linearizable: Some(verdict.linearizable),
            method: Some(verdict.method),
            failed_cas: FailedCasTaken::of(history).filter(|_| verdict.linearizable == Linearizable::No),
            why: given_up.filter(|_| undecided).map(|why| why.to_string()),
            proof: verdict.refutation.map(|refutation| KeyProof::of(history, refutation)),
        }
    }
}

impl FailedCasTaken {
    /// What those of a history were; `None`: it has none.
    pub(crate) fn of(history: &KeyHistory) -> Option<Self> {
        history.ops().iter().find_map(|op| match (&op.act, op.outcome) {
            (KeyAct::CasFailed { .. }, _) => Some(Self::Observed),
            (KeyAct::Cas { .. }, OpOutcome::Failed) => Some(Self::NeverRan),
            _ => None,
        })
    }

    /// In a sentence, with the way to the other.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::NeverRan => {
                "a cas that failed did not happen here; --failed-cas observed takes it for one that looked and did not \
                 match"
            }
            Self::Observed => {
                "a cas that failed is taken for one that looked and did not match, as --failed-cas observed says; \
                 without it, it did not happen"
            }
        }
    }
}

impl KeyProof {
    /// By a violation, and the rule that it broke, if that is known.
    pub(super) fn of_violation(violation: Violation, rule: Option<String>) -> Self {
        Self::Violation { explanation: violation.explanation(), rule, violation: Box::new(violation) }
    }

    fn of(history: &KeyHistory, refutation: Refutation) -> Self {
        match refutation {
            // What comes of whole operations names no entries, by which a rule would be known.
            Refutation::Violation(violation) => Self::of_violation(*violation, None),
            Refutation::Part(part) => {
                let diagram = Diagram::of_part(&part);
                Self::Part {
                    explanation: diagram.notes().join(" "),
                    is_minimal: part.is_minimal,
                    initially: part.history.initially().to_vec(),
                    part: part.history.ops().to_vec(),
                    stuck: Box::new(part.history.ops()[part.stuck].clone()),
                    diagram,
                }
            }
            Refutation::Stuck { longest, stuck } => {
                let diagram = Diagram::of_stuck(history, &longest, stuck);
                let last = &longest[longest.len().saturating_sub(Diagram::LAST_DRAWN)..];
                Self::Stuck {
                    explanation: diagram.notes().join(" "),
                    placed: longest.len(),
                    last: last.iter().map(|&at| history.ops()[at].clone()).collect(),
                    stuck: Box::new(history.ops()[stuck].clone()),
                    diagram,
                }
            }
        }
    }

    /// As a picture.
    pub(crate) fn diagram(&self) -> Diagram {
        match self {
            Self::Violation { violation, rule, .. } => Diagram::with_rule(violation, rule.clone()),
            Self::Part { diagram, .. } | Self::Stuck { diagram, .. } => diagram.clone(),
        }
    }
}
