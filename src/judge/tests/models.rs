//! The models of the general search, against an oracle that knows nothing but what each object does.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::*;
use super::oracle::{State, is_linearizable};
use crate::judge::offline::*;

/// Histories of each model; more with `KVLAB_MODEL_CASES`.
fn cases() -> u64 {
    std::env::var("KVLAB_MODEL_CASES").ok().map_or(2_000, |cases| cases.parse().expect("a number"))
}

fn may_continue(steps: u64) -> bool {
    steps < 1_000_000
}

/// An object and its clients, of which some may lie.
struct Maker {
    rng: StdRng,
    model: ModelName,
    /// Whether values are written once each.
    is_unique: bool,
    wrong: f64,
    state: State,
    /// What it held before.
    states: Vec<State>,
    ops: Vec<KeyOp>,
}

/// At most eight operations of at most four processes.
fn small(seed: u64, model: ModelName) -> KeyHistory {
    let mut rng = StdRng::seed_from_u64(seed);
    let wrong = *[0.0, 0.1, 0.3, 0.7].choose(&mut rng).unwrap();
    let operations = rng.random_range(3..=8);
    random(rng, model, operations, wrong)
}

/// So many operations of at most four processes, of which some return something wrong.
pub(super) fn random(mut rng: StdRng, model: ModelName, operations: usize, wrong: f64) -> KeyHistory {
    let mut running: Vec<Option<(usize, bool)>> = vec![None; rng.random_range(1..=4)];
    let mut left = operations;
    let is_unique = rng.random_bool(0.6);
    let mut maker =
        Maker { rng, model, is_unique, wrong, state: State::default(), states: Vec::new(), ops: Vec::new() };
    let mut now = 0;
    while left > 0 || running.iter().any(Option::is_some) {
        let process = maker.rng.random_range(0..running.len());
        now += 1;
        let mark = EventTime { i: now, t_ns: None };
        match running[process] {
            None if left > 0 => {
                left -= 1;
                let act = maker.asked();
                running[process] = Some((maker.ops.len(), false));
                let process = process as u32;
                maker.ops.push(KeyOp { process, act, began: mark, ended: None, outcome: OpOutcome::Unknown });
            }
            None if maker.rng.random_bool(0.05) => break,
            None => {}
            Some((at, false)) => {
                let act = maker.effect(&maker.ops[at].act.clone());
                maker.ops[at].act = act;
                running[process] = Some((at, true));
            }
            Some((at, true)) => {
                running[process] = None;
                maker.ops[at].ended = Some(mark);
                maker.ops[at].outcome = match maker.rng.random_range(0..20) {
                    0 | 1 => OpOutcome::Unknown,
                    2 if maker.rng.random_bool(wrong) => OpOutcome::Failed,
                    _ => OpOutcome::Ok,
                };
            }
        }
    }
    // What is read by an operation of unknown outcome is not known either.
    for op in maker.ops.iter_mut().filter(|op| op.outcome != OpOutcome::Ok) {
        if let KeyAct::Transact(steps) = &mut op.act {
            steps.retain(|step| matches!(step, RegisterAct::Write { .. }));
        }
    }
    maker.ops.retain(|op| op.outcome == OpOutcome::Ok || !op.act.only_looks());
    KeyHistory::new("k", maker.ops).unwrap().as_model(model).unwrap()
}

impl Maker {
    fn value(&mut self) -> Value {
        let fresh = 10 + self.ops.len() as i64;
        let any = self.rng.random_range(0..3_i64);
        Value::from(if self.is_unique { fresh } else { any })
    }

    /// What a client asks for.
    fn asked(&mut self) -> KeyAct {
        let value = self.value();
        let dice = self.rng.random_range(0..10);
        match self.model {
            ModelName::MultiRegister => {
                let count = self.rng.random_range(1..=3);
                let looks = dice < 4;
                KeyAct::Transact((0..count).map(|_| self.register_act(looks)).collect())
            }
            ModelName::Mutex if dice < 5 => KeyAct::Acquire,
            ModelName::Mutex => KeyAct::Release,
            ModelName::Set if dice < 5 => KeyAct::Insert(value),
            ModelName::Set => KeyAct::Members(Vec::new()),
            ModelName::FifoQueue | ModelName::UnorderedQueue => match dice {
                0..=4 => KeyAct::Enqueue(value),
                9 if self.rng.random() => KeyAct::Drain(Vec::new()),
                _ => KeyAct::Dequeue(None),
            },
            ModelName::Counter if dice < 5 => KeyAct::Increase(self.rng.random_range(-1..=3)),
            ModelName::Counter => KeyAct::Count(0),
            ModelName::KeyValue => match dice {
                0..=4 => KeyAct::Get(String::new()),
                5..=7 => KeyAct::Append(format!("{value}.")),
                _ => KeyAct::Put(format!("{value}.")),
            },
            ModelName::Register | ModelName::CasRegister => match dice {
                0..=3 => KeyAct::Read(None),
                7.. if self.model == ModelName::CasRegister => {
                    KeyAct::Cas { from: self.state.of(&"r".into()).cloned(), to: Some(value) }
                }
                _ => KeyAct::Write(Some(value)),
            },
        }
    }

    fn register_act(&mut self, looks: bool) -> RegisterAct {
        let register = Value::from(*["x", "y", "z"].choose(&mut self.rng).unwrap());
        let value = Some(self.rng.random_range(0..3_i64).into());
        if looks || self.rng.random_bool(0.3) {
            RegisterAct::Read { register, value: None }
        } else {
            RegisterAct::Write { register, value }
        }
    }

    /// What the object does and says, which may be wrong.
    fn effect(&mut self, asked: &KeyAct) -> KeyAct {
        let (is_fifo, lies) = (self.model == ModelName::FifoQueue, self.rng.random_bool(self.wrong));
        let any = self.value();
        self.states.push(self.state.clone());
        // Most lies are what was true once.
        let past = self.states.choose(&mut self.rng).cloned().unwrap_or_default();
        match asked {
            KeyAct::Read(_) if lies && self.rng.random() => KeyAct::Read(past.of(&"r".into()).cloned()),
            KeyAct::Read(_) if lies => KeyAct::Read(Some(any)),
            KeyAct::Read(_) => KeyAct::Read(self.state.of(&"r".into()).cloned()),
            KeyAct::Get(_) if lies && self.rng.random() => KeyAct::Get(past.text),
            KeyAct::Get(_) if lies => {
                // One text is lost.
                let texts: Vec<&str> = self.state.text.split_inclusive('.').collect();
                let lost = self.rng.random_range(0..=texts.len());
                KeyAct::Get(
                    texts.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, text)| *text).collect(),
                )
            }
            KeyAct::Get(_) => KeyAct::Get(self.state.text.clone()),
            KeyAct::Count(_) => {
                KeyAct::Count(self.state.sum + if lies { self.rng.random_range(-1..=1) } else { 0 })
            }
            KeyAct::Members(_) => {
                let mut seen: Vec<Value> = self.state.names().into_iter().cloned().collect();
                if lies && self.rng.random() {
                    seen.pop();
                } else if lies {
                    seen.push(any);
                }
                seen.sort();
                seen.dedup();
                KeyAct::Members(seen)
            }
            KeyAct::Dequeue(_) | KeyAct::Drain(_) => {
                let mut taken = Vec::new();
                let wanted = if matches!(asked, KeyAct::Drain(_)) { 3 } else { 1 };
                while taken.len() < wanted && !self.state.values.is_empty() {
                    let len = self.state.values.len();
                    let at = if is_fifo && !lies { 0 } else { self.rng.random_range(0..len) };
                    let keeps = lies && self.rng.random_bool(0.3);
                    taken.push(self.state.values[at].0.clone());
                    if !keeps {
                        self.state.values.remove(at);
                    }
                }
                match asked {
                    KeyAct::Drain(_) => KeyAct::Drain(taken),
                    _ if lies && self.rng.random_bool(0.3) => KeyAct::Dequeue(None),
                    _ => KeyAct::Dequeue(taken.pop()),
                }
            }
            KeyAct::Transact(steps) => {
                let mut seen = self.state.clone();
                let said = |step: &RegisterAct| match step {
                    RegisterAct::Read { register, .. } => {
                        let value = if lies { Some(1.into()) } else { seen.of(register).cloned() };
                        RegisterAct::Read { register: register.clone(), value }
                    }
                    RegisterAct::Write { register, value } => {
                        seen.set(register, value.as_ref());
                        step.clone()
                    }
                };
                let said = steps.iter().map(said).collect();
                self.state = seen;
                KeyAct::Transact(said)
            }
            act => {
                // A liar forgets what it was told.
                if !lies && let Some(next) = self.state.after(act, true, is_fifo).pop() {
                    self.state = next;
                }
                act.clone()
            }
        }
    }
}

/// Models, and how many of their random histories were linearizable and how many not.
fn agrees(model: ModelName) {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..cases() {
        let history = small(seed, model);
        let expected = is_linearizable(&history);
        let verdict = check_key(&history, &mut may_continue);
        assert_eq!(verdict.linearizable.known(), Some(expected), "{model}, seed {seed}: {history:#?}");
        if expected { yes += 1 } else { no += 1 }
    }
    println!("{model}: {yes} linearizable, {no} not");
    assert!(yes > cases() / 10 && no > cases() / 10, "{model}: {yes} {no}");
}

#[test]
fn the_search_agrees_with_the_oracle_on_registers() {
    agrees(ModelName::Register);
    agrees(ModelName::CasRegister);
}

#[test]
fn the_search_agrees_with_the_oracle_on_multi_registers() {
    agrees(ModelName::MultiRegister);
}

#[test]
fn the_search_agrees_with_the_oracle_on_mutexes() {
    agrees(ModelName::Mutex);
}

#[test]
fn the_search_agrees_with_the_oracle_on_sets() {
    agrees(ModelName::Set);
}

#[test]
fn the_search_agrees_with_the_oracle_on_fifo_queues() {
    agrees(ModelName::FifoQueue);
}

#[test]
fn the_search_agrees_with_the_oracle_on_unordered_queues() {
    agrees(ModelName::UnorderedQueue);
}

#[test]
fn the_search_agrees_with_the_oracle_on_counters() {
    agrees(ModelName::Counter);
}

#[test]
fn the_search_agrees_with_the_oracle_on_strings() {
    agrees(ModelName::KeyValue);
}

/// A history of so many operations: each model is fast where nothing is wrong, and where one thing is.
fn long(acts: impl IntoIterator<Item = (KeyAct, OpOutcome)>, model: ModelName) -> KeyHistory {
    // Five at a time, whose ends are in the order of their begins.
    let op = |(nth, (act, outcome)): (usize, (KeyAct, OpOutcome))| {
        let (group, within) = (nth as u64 / 5 * 20, nth as u64 % 5);
        let mark = |i| EventTime { i, t_ns: None };
        let ended = (outcome == OpOutcome::Ok).then(|| mark(group + 10 + within));
        KeyOp { process: nth as u32, act, began: mark(group + within), ended, outcome }
    };
    let ops = acts.into_iter().enumerate().map(op).collect();
    KeyHistory::new("k", ops).unwrap().as_model(model).unwrap()
}

fn verdict(history: &KeyHistory) -> Option<bool> {
    check_key(history, &mut may_continue).linearizable.known()
}

#[test]
fn a_lost_element_among_many_of_unknown_outcome_is_found() {
    let count = 1500_i64;
    let outcome = |n: i64| if n % 7 == 0 { OpOutcome::Unknown } else { OpOutcome::Ok };
    let adds = (0..count).map(|n| (KeyAct::Insert(n.into()), outcome(n)));
    let read = |lost: i64| KeyAct::Members((0..count).filter(|&n| n != lost).map(Value::from).collect());
    let with = |last| long(adds.clone().chain([(last, OpOutcome::Ok)]), ModelName::Set);
    assert_eq!(verdict(&with(read(-1))), Some(true));
    assert_eq!(verdict(&with(read(700))), Some(true), "it may not have happened");
    assert_eq!(verdict(&with(read(701))), Some(false));
}

#[test]
fn a_lost_value_of_a_queue_is_found() {
    let count = 400_i64;
    let outcome = |n: i64| if n % 7 == 0 { OpOutcome::Unknown } else { OpOutcome::Ok };
    let enqueues = (0..count).map(|n| (KeyAct::Enqueue(n.into()), outcome(n)));
    let order = |swapped: bool| {
        let mut taken: Vec<i64> = (0..count).collect();
        if swapped {
            taken.swap(100, 300);
        }
        taken
    };
    let dequeues =
        |taken: Vec<i64>| taken.into_iter().map(|n| (KeyAct::Dequeue(Some(n.into())), OpOutcome::Ok));
    let all = |taken, model| long(enqueues.clone().chain(dequeues(taken)), model);
    for (model, swapped) in [(ModelName::FifoQueue, Some(false)), (ModelName::UnorderedQueue, Some(true))] {
        assert_eq!(verdict(&all(order(false), model)), Some(true), "{model}");
        assert_eq!(verdict(&all(order(true), model)), swapped, "{model}");
        let twice = order(false).into_iter().chain([200]).collect();
        assert_eq!(verdict(&all(twice, model)), Some(false), "{model}");
    }
    let without = order(false).into_iter().filter(|&n| n != 200).collect();
    assert_eq!(verdict(&all(without, ModelName::FifoQueue)), Some(false), "200 is passed over");
}

#[test]
fn long_histories_of_mutexes_and_counters_are_judged() {
    let turns = (0..600).flat_map(|_| [(KeyAct::Acquire, OpOutcome::Ok), (KeyAct::Release, OpOutcome::Ok)]);
    assert_eq!(verdict(&long(turns.clone(), ModelName::Mutex)), Some(true));
    assert_eq!(
        verdict(&long(turns.chain([(KeyAct::Release, OpOutcome::Ok)]), ModelName::Mutex)),
        Some(false)
    );
    let outcome = |n: i32| if n % 9 == 0 { OpOutcome::Unknown } else { OpOutcome::Ok };
    let adds = (0..600).map(|n| (KeyAct::Increase(1), outcome(n)));
    let read = |sum| long(adds.clone().chain([(KeyAct::Count(sum), OpOutcome::Ok)]), ModelName::Counter);
    // 67 of them may not have happened.
    assert_eq!(
        [532, 533, 600, 601].map(|sum| verdict(&read(sum))),
        [Some(false), Some(true), Some(true), Some(false)]
    );
}
