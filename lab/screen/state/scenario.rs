//! How far the scenario has come.

use serde::{Deserialize, Serialize};

use crate::run::event::{Expectation, RunOutcome, ScenarioEvent, ScenarioHeader};

/// Expectations kept: more than any scenario has.
const EXPECTATIONS_MAX: usize = 64;
/// Steps shown: more than any scenario has.
const STEPS_MAX: usize = 256;

/// A scenario under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioView {
    /// The file's stem.
    pub name: String,
    pub title: String,
    /// What it is about.
    pub story: Option<String>,
    pub steps: Vec<StepView>,
    /// What was last said.
    pub say: Option<String>,
    pub phase: ScenarioPhase,
    /// Expectations compared so far.
    pub expectations: Vec<Expectation>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What it says or does.
    pub text: String,
    pub state: StepState,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Not begun.
    Ahead,
    /// Waited for or carried out, until `until_us` at the latest.
    Now {
        /// When it began.
        since_us: u64,
        /// When it will have ended.
        until_us: Option<u64>,
    },
    Done,
    /// Not done, and why.
    Failed(String),
}

/// What a scenario is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScenarioPhase {
    #[default]
    Steps,
    /// Healing everything and waiting for equal members.
    Settling {
        /// When that began.
        since_us: u64,
        /// When it gives up.
        until_us: u64,
    },
    /// Reading the ledger back.
    ReadingBack {
        /// Entries read.
        done: u64,
        /// Entries in all.
        total: u64,
    },
    Finished {
        outcome: RunOutcome,
        /// Why, if it was not as expected.
        why: Option<String>,
    },
}

impl ScenarioView {
    /// A scenario that has not begun.
    pub fn new(header: &ScenarioHeader) -> Self {
        let step = |text: &String| StepView { text: text.clone(), state: StepState::Ahead };
        Self {
            name: header.name.clone(),
            title: header.title.clone(),
            story: header.story.clone(),
            steps: header.steps.iter().take(STEPS_MAX).map(step).collect(),
            ..Self::default()
        }
    }

    /// It moved on at `t_us`.
    pub fn apply(&mut self, event: &ScenarioEvent, t_us: u64) {
        match event {
            ScenarioEvent::Step { index, say, since_us, until_us } => {
                if say.is_some() {
                    self.say.clone_from(say);
                }
                self.step_is(*index, StepState::Now { since_us: *since_us, until_us: *until_us });
            }
            ScenarioEvent::StepDone { index } => self.step_is(*index, StepState::Done),
            ScenarioEvent::StepFailed { index, why } => self.step_is(*index, StepState::Failed(why.clone())),
            ScenarioEvent::Settling { until_us } => {
                self.phase = ScenarioPhase::Settling { since_us: t_us, until_us: *until_us };
            }
            ScenarioEvent::ReadingBack { done, total } => {
                self.phase = ScenarioPhase::ReadingBack { done: *done, total: *total };
            }
            ScenarioEvent::Expectation(expectation) => {
                if self.expectations.len() < EXPECTATIONS_MAX {
                    self.expectations.push(expectation.clone());
                }
            }
            ScenarioEvent::Finished { outcome, why } => {
                self.phase = ScenarioPhase::Finished { outcome: *outcome, why: why.clone() };
            }
        }
    }

    fn step_is(&mut self, index: usize, state: StepState) {
        if let Some(step) = index.checked_sub(1).and_then(|i| self.steps.get_mut(i)) {
            step.state = state;
        }
    }

    /// The step under way, or else the last one done: its number from 1; 0 before the first.
    pub fn at_step(&self) -> usize {
        self.steps.iter().rposition(|s| s.state != StepState::Ahead).map_or(0, |i| i + 1)
    }

    /// Whether it still runs: quitting now would break it off.
    pub fn runs(&self) -> bool {
        !matches!(self.phase, ScenarioPhase::Finished { .. })
    }
}
