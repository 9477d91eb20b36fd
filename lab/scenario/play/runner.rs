//! Plays a scenario on a stage: steps in order, then settling, then the verdict.

use std::time::Duration;

use kvlab::types::Reply;

use super::conclusion::{Conclusion, Ending, FailedStep, StepFailure, conclude};
use super::observation::{Moment, Observation};
use super::plan;
use super::roles::Roles;
use super::stage::Stage;
use crate::cluster::View;
use crate::run::event::{Operation, Outcome, ScenarioEvent, Verdict, micros};
use crate::scenario::language::model::{Act, Condition, Finds, Scenario, Start, Step, StepOp, Wanted};
use crate::scenario::language::words::say_duration;
use crate::session::Performed;

/// How long the cluster may take to be whole before the first step.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a running member may take to report before a step that needs to know who is who.
const REPORTS_WITHIN: Duration = Duration::from_secs(5);

/// Plays the whole scenario. A failed step ends the steps, not the run: it settles and is judged all the same.
pub async fn play<S: Stage>(stage: &mut S, scenario: &Scenario) -> Conclusion {
    let now = stage.now();
    let roles = Roles::new(stage.members());
    let mut player = Player { stage, roles, changed: now, repaired: None, recovery: None };
    let failed = player.steps(scenario).await.err();
    let ending = player.end(scenario, failed).await;
    let outcome = conclude(scenario, ending);
    for expectation in &outcome.expectations {
        player.stage.tell(ScenarioEvent::Expectation(expectation.clone()));
    }
    player.stage.tell(ScenarioEvent::Finished { outcome: outcome.outcome, why: outcome.why() });
    outcome
}

struct Player<'a, S> {
    stage: &'a mut S,
    roles: Roles,
    /// When something was last done to the cluster.
    changed: Duration,
    /// When a fault was last undone, until convergence.
    repaired: Option<Duration>,
    /// The longest recovery that a step has waited for.
    recovery: Option<Duration>,
}

impl<S: Stage> Player<'_, S> {
    async fn steps(&mut self, scenario: &Scenario) -> Result<(), FailedStep> {
        let began = self.ready().await.map_err(|why| self.fail(1, StepFailure::NotDone(why)))?;
        let mut ended = began;
        for (index, step) in (1..).zip(&scenario.steps) {
            let due = match step.start {
                Start::Now => ended,
                Start::At(at) => began + at,
                Start::After(after) => ended + after,
            };
            self.pass_time(index, due).await;
            self.step(index, step).await.map_err(|failure| self.fail(index, failure))?;
            ended = self.stage.now();
            self.stage.tell(ScenarioEvent::StepDone { index });
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, failure: StepFailure) -> FailedStep {
        self.stage.tell(ScenarioEvent::StepFailed { index, why: failure.to_string() });
        FailedStep { index, failure }
    }

    /// Before the first step, the cluster is whole: everyone follows one primary. Returns when that was so.
    async fn ready(&mut self) -> Result<Duration, String> {
        let observation = Observation::new(self.changed);
        self.until(observation, &[Condition::Converged], READY_WITHIN)
            .await
            .map(|()| self.stage.now())
            .map_err(|why| format!("the cluster did not come up: {why}"))
    }

    /// Waits for the time of a step.
    async fn pass_time(&mut self, index: usize, due: Duration) {
        let mut now = self.stage.now();
        if now < due {
            self.announce(index, None, Some(due));
        }
        while now < due {
            self.stage.next(due).await;
            self.observe();
            now = self.stage.now();
        }
    }

    fn announce(&mut self, index: usize, say: Option<String>, until: Option<Duration>) {
        let since_us = micros(self.stage.now());
        self.stage.tell(ScenarioEvent::Step { index, say, since_us, until_us: until.map(micros) });
    }

    async fn step(&mut self, index: usize, step: &Step) -> Result<(), StepFailure> {
        let within = match &step.act {
            Some(Act::Wait { within, .. }) => Some(*within),
            _ => None,
        };
        self.announce(index, step.say.clone(), within.map(|within| self.stage.now() + within));
        let Some(act) = &step.act else { return Ok(()) };
        let observation = Observation::new(self.changed);
        match act {
            Act::Wait { conditions, within } => {
                self.until(observation, conditions, *within).await.map_err(StepFailure::Unmet)?;
                if conditions.contains(&Condition::Converged)
                    && let Some(repaired) = self.repaired.take()
                {
                    let took = self.stage.now().saturating_sub(repaired);
                    self.recovery = self.recovery.max(Some(took));
                }
                Ok(())
            }
            Act::Expect(conditions) => self.expect(observation, conditions).await,
            act => self.perform(index, act, observation).await,
        }
    }

    /// Waits until all conditions hold at once, or says what was still missing.
    async fn until(
        &mut self,
        mut observation: Observation,
        conditions: &[Condition],
        within: Duration,
    ) -> Result<(), String> {
        let missing = self.wait(within, |moment| observation.holds(moment, conditions)).await;
        missing.map_err(|missing| format!("not within {}: {missing}", say_duration(within)))
    }

    /// Waits until every running member has reported since the last change.
    async fn informed(&mut self, observation: &Observation) -> Result<(), StepFailure> {
        self.wait(REPORTS_WITHIN, |moment| observation.informed(moment)).await.map_err(|missing| {
            let within = say_duration(REPORTS_WITHIN);
            StepFailure::NotDone(format!("{missing} for {within}, so nobody knows who is who"))
        })
    }

    /// Looks until it is so, or says what was still missing at the end.
    async fn wait(
        &mut self,
        within: Duration,
        mut is_so: impl FnMut(Moment<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let deadline = self.stage.now() + within;
        loop {
            let Err(missing) = self.look(&mut is_so) else { return Ok(()) };
            if self.stage.now() >= deadline {
                return Err(missing);
            }
            self.stage.next(deadline).await;
        }
    }

    async fn expect(
        &mut self,
        mut observation: Observation,
        conditions: &[Condition],
    ) -> Result<(), StepFailure> {
        self.informed(&observation).await?;
        self.look(|moment| observation.holds(moment, conditions)).map_err(StepFailure::Unmet)
    }

    async fn perform(
        &mut self,
        index: usize,
        act: &Act,
        observation: Observation,
    ) -> Result<(), StepFailure> {
        if plan::needs_roles(act) {
            self.informed(&observation).await?;
        }
        let view = self.observe();
        let actions = plan::actions(&self.roles, &view, act).map_err(StepFailure::NotDone)?;
        for action in actions {
            let performed = self.stage.perform(index, action).await;
            self.changed = self.stage.now();
            let performed = performed.map_err(|e| StepFailure::NotDone(format!("{act}: {e:#}")))?;
            check(act, performed)?;
        }
        if plan::repairs(act) {
            self.repaired = Some(self.changed);
        }
        Ok(())
    }

    /// Takes what is known now, and remembers who was primary.
    fn observe(&mut self) -> View {
        let view = self.stage.view();
        self.roles.observe(&view);
        view
    }

    fn look<T>(&mut self, judge: impl FnOnce(Moment<'_>) -> T) -> T {
        let view = self.observe();
        let verdict = self.stage.verdict();
        judge(Moment { view: &view, verdict: &verdict, roles: &self.roles })
    }

    /// Settles if the scenario wants that, and gathers all that is known in the end.
    async fn end(&mut self, scenario: &Scenario, failed: Option<FailedStep>) -> Ending {
        let mut ending = Ending {
            failed,
            verdict: Verdict::default(),
            converged: None,
            recovery: self.recovery,
            unsettled: None,
            elapsed: Duration::ZERO,
        };
        match scenario.settle {
            None => ending.verdict = self.stage.verdict(),
            Some(within) => match self.stage.settle(within).await {
                Ok(settled) => {
                    ending.verdict = settled.verdict;
                    ending.converged = Some(settled.converged_after.is_some());
                    ending.recovery = settled.converged_after.and(self.recovery.max(settled.converged_after));
                }
                Err(error) => {
                    ending.verdict = self.stage.verdict();
                    ending.unsettled = Some(format!("{error:#}"));
                }
            },
        }
        ending.elapsed = self.stage.now();
        ending
    }
}

/// Whether an operation or an order ended as the step wants it.
fn check(act: &Act, performed: Performed) -> Result<(), StepFailure> {
    let (wanted, ended) = match (act, &performed) {
        (Act::Operation { outcome, .. }, Performed::Operation(operation)) => {
            (*outcome, operation.outcome.clone())
        }
        (Act::Promote { outcome, .. }, Performed::Promotion(reply)) => (*outcome, order(reply)),
        (Act::Follow { outcome, .. }, Performed::Follow(reply)) => (*outcome, order(reply)),
        (Act::Operation { .. } | Act::Promote { .. } | Act::Follow { .. }, _) => {
            return Err(StepFailure::NotDone(format!("{act}: nobody says how it ended")));
        }
        _ => return Ok(()),
    };
    let (word, why) = match ended {
        Outcome::Ok => (Wanted::Ok, String::new()),
        Outcome::Failed(why) => (Wanted::Failed, why),
        Outcome::Unknown(why) => (Wanted::Unknown, why),
    };
    let fits = match wanted {
        Wanted::Any => true,
        Wanted::NotOk => word != Wanted::Ok,
        wanted => word == wanted,
    };
    if !fits {
        let say = |wanted| crate::scenario::language::say::word_for(&Wanted::WORDS, &wanted);
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        return Err(StepFailure::Unmet(format!("{act}: expected {}, was {}{why}", say(wanted), say(word))));
    }
    match (act, performed) {
        (Act::Operation { op: StepOp::Get { finds, .. }, .. }, Performed::Operation(operation)) => {
            found(act, finds, &operation)
        }
        _ => Ok(()),
    }
}

fn found(act: &Act, finds: &Finds, operation: &Operation) -> Result<(), StepFailure> {
    let expected = match finds {
        Finds::Anything => return Ok(()),
        Finds::Nothing => None,
        Finds::Value(value) => Some(value),
    };
    if operation.value.as_ref() == expected {
        return Ok(());
    }
    let say = |value: Option<&String>| value.map_or("nothing".to_owned(), |value| format!("{value:?}"));
    let (expected, actual) = (say(expected), say(operation.value.as_ref()));
    Err(StepFailure::Unmet(format!("{act}: expected {expected}, found {actual}")))
}

fn order(reply: &Reply) -> Outcome {
    match reply {
        Reply::Promoted { .. } | Reply::Following { .. } => Outcome::Ok,
        Reply::Failed(failure) if failure.is_definite() => Outcome::Failed(failure.to_string()),
        Reply::Failed(failure) => Outcome::Unknown(failure.to_string()),
        other => Outcome::Unknown(format!("an answer that makes no sense: {other:?}")),
    }
}
