//! The oracle of all models: it tries every order that time allows, and knows nothing but what each object does.

use std::collections::BTreeSet;

use super::super::*;
use crate::judge::offline::*;

/// One step of an operation.
#[derive(Debug)]
struct Step {
    act: KeyAct,
    is_known: bool,
    began: u64,
    ended: Option<u64>,
    /// The step that comes before it.
    after: Option<usize>,
}

/// What an object holds: values in their order, whatever they mean.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) values: Vec<(Value, Value)>,
    pub(super) sum: i64,
    pub(super) text: String,
}

impl State {
    pub(super) fn of(&self, name: &Value) -> Option<&Value> {
        self.values.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub(super) fn set(&mut self, name: &Value, value: Option<&Value>) {
        self.values.retain(|(other, _)| other != name);
        self.values.extend(value.map(|value| (name.clone(), value.clone())));
    }

    pub(super) fn names(&self) -> Vec<&Value> {
        self.values.iter().map(|(name, _)| name).collect()
    }

    /// All that it may be after a step; nothing, if the step cannot have its result.
    pub(super) fn after(&self, act: &KeyAct, is_known: bool, is_fifo: bool) -> Vec<Self> {
        let (mut next, r) = (self.clone(), Value::from("r"));
        let push = |next: &mut Self, value: &Value| next.values.push((value.clone(), value.clone()));
        let fits = match act {
            KeyAct::Read(seen) => self.of(&r) == seen.as_ref(),
            KeyAct::Write(value) => {
                next.set(&r, value.as_ref());
                true
            }
            KeyAct::Cas { from, to } => {
                next.set(&r, to.as_ref());
                self.of(&r) == from.as_ref()
            }
            KeyAct::CasFailed { from, .. } => self.of(&r) != from.as_ref(),
            KeyAct::Transact(steps) => steps.iter().all(|step| match step {
                RegisterAct::Read { register, value } => next.of(register) == value.as_ref(),
                RegisterAct::Write { register, value } => {
                    next.set(register, value.as_ref());
                    true
                }
            }),
            KeyAct::Acquire => {
                next.sum = 1;
                self.sum == 0
            }
            KeyAct::Release => {
                next.sum = 0;
                self.sum == 1
            }
            KeyAct::Insert(element) => {
                next.set(element, Some(element));
                true
            }
            KeyAct::Members(seen) => {
                self.names().into_iter().collect::<BTreeSet<_>>() == seen.iter().collect::<BTreeSet<_>>()
            }
            KeyAct::Enqueue(value) => {
                push(&mut next, value);
                true
            }
            KeyAct::Dequeue(_) if !is_known => {
                let reach = if is_fifo { self.values.len().min(1) } else { self.values.len() };
                let lost = (0..reach).map(|at| {
                    let mut next = self.clone();
                    next.values.remove(at);
                    next
                });
                return lost.chain([self.clone()]).collect();
            }
            KeyAct::Dequeue(None) => self.values.is_empty(),
            KeyAct::Dequeue(Some(value)) => match self.names().iter().position(|other| *other == value) {
                Some(at) if at == 0 || !is_fifo => {
                    next.values.remove(at);
                    true
                }
                _ => false,
            },
            KeyAct::Increase(amount) => {
                next.sum += i64::from(*amount);
                true
            }
            KeyAct::Count(seen) => self.sum == *seen,
            KeyAct::Get(seen) => self.text == *seen,
            KeyAct::Put(text) => {
                next.text.clone_from(text);
                true
            }
            KeyAct::Append(text) => {
                next.text.push_str(text);
                true
            }
            KeyAct::Drain(_) => unreachable!("it is several steps"),
        };
        if fits { vec![next] } else { Vec::new() }
    }
}

/// Whether any order of the steps explains their results, by trying all.
pub(super) fn is_linearizable(history: &KeyHistory) -> bool {
    let mut steps: Vec<Step> = Vec::new();
    let enqueued = history.ops().iter().filter(|op| matches!(op.act, KeyAct::Enqueue(_))).count();
    for op in history.ops().iter().filter(|op| op.outcome != OpOutcome::Failed) {
        let is_known = op.outcome == OpOutcome::Ok;
        let ended = op.ended.filter(|_| is_known).map(|ended| ended.i);
        let step = |act: KeyAct, after| Step { act, is_known, began: op.began.i, ended, after };
        match &op.act {
            KeyAct::Drain(values) if is_known => {
                for (nth, value) in values.iter().enumerate() {
                    let after = (nth > 0).then(|| steps.len() - 1);
                    steps.push(step(KeyAct::Dequeue(Some(value.clone())), after));
                }
            }
            // They are all alike, so one order of them will do.
            KeyAct::Drain(_) => {
                for nth in 0..enqueued {
                    let after = (nth > 0).then(|| steps.len() - 1);
                    steps.push(step(KeyAct::Dequeue(None), after));
                }
            }
            act => steps.push(step(act.clone(), None)),
        }
    }
    let is_fifo = history.model() == ModelName::FifoQueue;
    let mut state = State::default();
    for act in history.initially() {
        state = state.after(act, true, is_fifo).remove(0);
    }
    extend(&steps, &mut vec![false; steps.len()], &state, is_fifo)
}

fn extend(steps: &[Step], placed: &mut [bool], state: &State, is_fifo: bool) -> bool {
    let left: Vec<usize> = (0..steps.len()).filter(|&at| !placed[at]).collect();
    let Some(first_end) = left.iter().filter_map(|&at| steps[at].ended).min() else { return true };
    for at in left {
        let step = &steps[at];
        if step.began > first_end || step.after.is_some_and(|before| !placed[before]) {
            continue;
        }
        placed[at] = true;
        let next = state.after(&step.act, step.is_known, is_fifo);
        let explained = next.iter().any(|next| extend(steps, placed, next, is_fifo));
        placed[at] = false;
        if explained {
            return true;
        }
    }
    false
}
