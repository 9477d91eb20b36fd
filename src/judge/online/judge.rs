//! The judge: history events in, one at a time; violations out, in the event that reveals them.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;
use std::sync::Arc;

use super::ids::{Ids, NO_ID, Span};
use super::key::{Key, Mode, Ruling, Unmeasured};
use super::ledger::{Ledgers, Standing};
use super::options::{Bounds, JudgeOptions};
use super::orders::{Advance, KeyContent};
use super::staleness::{Measured, Stale};
use super::totals::Totals;
use crate::judge::error::{HistoryError, HistoryFault};
use crate::judge::hash::Hash;
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::judgement::{Judgement, KeyJudgement, Linearizable, Method, Undecided, UndecidedKey};
use crate::judge::value::Value;
use crate::judge::violation::{Violation, ViolationKind};

/// Judges a history while it is made.
///
/// * Events come in the order of their index.
/// * What it costs: O(log n) for a completion, memory within [`JudgeOptions`].
/// * The same events give the same answers: it has no clock and no randomness.
///
/// ```
/// use kvlab::judge::import::read_event;
/// use kvlab::judge::{Judge, JudgeOptions, Linearizable};
///
/// // A write is acknowledged, and a read that begins after it finds nothing.
/// let history = r#"
/// {"i":1,"t_ns":10,"client":1,"node":"n1","type":"invoke","op":"put","key":"k","value":"a","consistency":"quorum"}
/// {"i":2,"t_ns":20,"client":1,"node":"n1","type":"ok","op":"put","key":"k","value":"a","consistency":"quorum"}
/// {"i":3,"t_ns":30,"client":2,"node":"n2","type":"invoke","op":"get","key":"k","value":null,"consistency":"quorum"}
/// {"i":4,"t_ns":40,"client":2,"node":"n2","type":"ok","op":"get","key":"k","value":null,"consistency":"quorum"}"#;
///
/// let mut judge = Judge::new(JudgeOptions::default());
/// let mut violations = Vec::new();
/// for (number, line) in (1..).zip(history.trim().lines()) {
///     violations.extend(judge.observe(&read_event(line, number)?)?);
/// }
/// assert_eq!(violations.len(), 1);
/// println!("{}", violations[0].explanation());
/// assert_eq!(judge.finish().linearizable, Linearizable::No);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Judge {
    bounds: Bounds,
    last: Option<u64>,
    now_ns: u64,
    events: u64,
    ended: bool,
    /// By client: each does one thing at a time.
    running: HashMap<u32, Running, Hash>,
    names: HashMap<Arc<str>, u32, Hash>,
    keys: Vec<Key>,
    ids: Ids,
    /// Acknowledgements remembered, of all keys.
    acks: usize,
    by_search: Vec<u32>,
    totals: Totals,
    ledgers: Ledgers,
    measured: Measured,
    stale: Option<Stale>,
    violations: Vec<Violation>,
    undecided: Vec<UndecidedKey>,
}

/// What may have been done on a key before the history that is shown begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before<'a> {
    /// A write of this value was tried, of the level of this read or write: of unknown outcome.
    Written(&'a str, Consistency),
    /// An async write was tried: the key is not judged for linearizability.
    Async,
    /// Anything: the key cannot be decided.
    Unknown,
}

/// Undecided keys that a judgement names.
const UNDECIDED_NAMED: usize = 64;
/// Indices stay below this, so that they can be counted on.
const INDEX_END: u64 = 1 << 62;
/// The key of an operation that is not judged.
const UNTRACKED: u32 = u32::MAX;

/// An operation that has no reply yet.
#[derive(Clone, Debug)]
struct Running {
    key: u32,
    id: u32,
    op: OpKind,
    consistency: Consistency,
    span: Span,
}

impl Judge {
    /// A judge of an empty history.
    pub fn new(options: JudgeOptions) -> Self {
        Self { bounds: Bounds::new(options), ..Self::default() }
    }

    /// The history that will be shown begins in the middle: this was done on a key before, or may have been. To be told
    /// before the first event. The key is then no key of the ledger.
    pub fn suppose(&mut self, key: &str, before: Before<'_>) {
        let key = self.key(key);
        if key == UNTRACKED {
            return;
        }
        let state = &mut self.keys[key as usize];
        (state.ledger, state.deletes) = (Standing::left(), true);
        match before {
            Before::Written(value, level) => {
                let span = Span::supposed(level);
                let (id, _) = state.put_began(&mut self.ids, value, span);
                let outcome = state.put_ended(&mut self.ids, id, &span, &self.bounds.usual);
                self.settle(key, outcome, span.is_quorum());
            }
            Before::Async => self.turn(key, Mode::Measured),
            Before::Unknown => self.undecide(key, Undecided::BeginningUnknown),
        }
    }

    /// Judges the next event. Returns the violation that it reveals, unless it goes on as one told before; at most eight
    /// are told of each key, and [`Judgement::violations_total`] counts all.
    ///
    /// # Errors
    /// If it cannot follow the events before it; it is then as if it had not come.
    pub fn observe(&mut self, event: &HistoryEvent) -> Result<Option<Violation>, HistoryError> {
        if let Some(fault) = self.fault(event) {
            return Err(HistoryError { i: event.i, client: event.client, fault });
        }
        self.last = Some(event.i);
        self.now_ns = self.now_ns.max(event.t_ns);
        self.events += 1;
        self.stale = None;
        if event.phase == Phase::Invoke {
            self.invoke(event);
            return Ok(None);
        }
        let Some(mut running) = self.running.remove(&event.client) else { return Ok(None) };
        running.span.end(event);
        self.totals.ended(running.op, running.consistency, &running.span);
        if running.key == UNTRACKED {
            return Ok(None);
        }
        let outcome = match running.op {
            OpKind::Put | OpKind::Del => self.write_ended(&running),
            OpKind::Get => self.read_ended(&running, event.value.as_deref()),
        };
        let found = self.settle(running.key, outcome, running.span.is_quorum());
        let outcome = self.advance(running.key);
        Ok(found.or(self.settle(running.key, outcome, true)))
    }

    /// How stale what the last event's eventual read saw was; `None` if it was not, or the event was another.
    pub fn stale(&self) -> Option<Stale> {
        self.stale
    }

    /// Something has happened since which acknowledged writes that were found may be gone (another primary leads, a
    /// member has discarded entries): in [`Judgement::quorum_ledger`] and [`Judgement::async_ledger`] they count as not
    /// read back until they are found again. It decides nothing: it only makes the judge claim less.
    pub fn ask_again(&mut self) {
        self.ledgers.ask_again(self.last.unwrap_or(0));
    }

    /// No event will follow: operations without a reply are of unknown outcome.
    pub fn finish(&mut self) -> Judgement {
        self.ended = true;
        let mut running: Vec<_> = self.running.drain().map(|(_, running)| running).collect();
        running.sort_by_key(|running| running.span.began.i);
        for running in running.iter_mut().filter(|running| running.key != UNTRACKED) {
            running.span.phase = Phase::Info;
            if let Mode::BySearch(orders) = &mut self.keys[running.key as usize].mode {
                orders.end(&running.span, Phase::Info, None);
            }
        }
        for key in self.by_search.clone() {
            let outcome = self.advance(key);
            self.settle(key, outcome, true);
        }
        self.judgement()
    }

    /// What can be said so far. Costs little beside copying the violations kept.
    pub fn judgement(&self) -> Judgement {
        let totals = &self.totals;
        let undecided = totals.keys.undecided > 0 || totals.keys.operations_untracked > 0;
        Judgement {
            events: self.events,
            checked_i: self.checked(),
            linearizable: match (totals.not_linearizable, undecided) {
                (true, _) => Linearizable::No,
                (false, true) => Linearizable::Undecided,
                (false, false) => Linearizable::Yes,
            },
            keys: totals.keys,
            undecided: self.undecided.clone(),
            violations: self.violations.clone(),
            violations_total: totals.violations,
            quorum_writes: totals.quorum,
            async_writes: totals.unreplicated,
            unknown: totals.unknown,
            quorum_ledger: self.ledgers.quorum,
            async_ledger: self.ledgers.unreplicated,
            staleness: self.measured.report(),
            unavailable: totals.unavailable(self.now_ns),
        }
    }

    /// What can be said of each key so far, in the order in which they were first used.
    pub fn keys(&self) -> impl Iterator<Item = KeyJudgement<'_>> {
        self.keys.iter().map(|key| {
            let (method, linearizable) = match key.mode {
                Mode::ByIds => (Some(Method::Ids), Some(Linearizable::Yes)),
                Mode::BySearch(_) | Mode::Violated => (Some(Method::Search), Some(Linearizable::Yes)),
                Mode::Undecided => (Some(Method::Search), Some(Linearizable::Undecided)),
                Mode::Measured => (None, None),
            };
            let linearizable = if key.violated { Some(Linearizable::No) } else { linearizable };
            KeyJudgement { key: &key.name, operations: key.operations, method, linearizable }
        })
    }

    /// Write attempts that are remembered now; it stays within the options.
    pub fn remembered(&self) -> usize {
        self.ids.len()
    }

    /// What keeps the event from following, if anything does.
    fn fault(&self, event: &HistoryEvent) -> Option<HistoryFault> {
        if self.ended {
            return Some(HistoryFault::AfterEnd);
        }
        if event.i >= INDEX_END {
            return Some(HistoryFault::IndexTooLarge);
        }
        if let Some(last) = self.last.filter(|&last| event.i <= last) {
            return Some(HistoryFault::IndexGoesBack { last });
        }
        match (self.running.get(&event.client), event.phase) {
            (Some(running), Phase::Invoke) => {
                Some(HistoryFault::InvokeWhileOutstanding { invoked: running.span.began.i })
            }
            (None, Phase::Invoke) => invoke_fault(event),
            (Some(running), _) => self.reply_fault(event, running),
            (None, _) => Some(HistoryFault::ReplyWithoutInvoke),
        }
    }

    fn reply_fault(&self, event: &HistoryEvent, running: &Running) -> Option<HistoryFault> {
        let key = self.keys.get(running.key as usize);
        let wrote = (running.id != NO_ID).then(|| &*self.ids[running.id].value);
        let what = if event.op != running.op {
            "operation"
        } else if key.is_some_and(|key| *key.name != *event.key) {
            "key"
        } else if event.consistency != running.consistency {
            "consistency"
        } else if wrote.is_some() && event.value.is_some() && event.value.as_deref() != wrote {
            "value"
        } else {
            return None;
        };
        Some(HistoryFault::ReplyMismatch { invoked: running.span.began.i, what })
    }

    fn invoke(&mut self, event: &HistoryEvent) {
        let key = self.key(&event.key);
        let span = Span::begin(event);
        let (op, consistency) = (event.op, event.consistency);
        let mut running = Running { key, id: NO_ID, op, consistency, span };
        self.totals.began(event);
        if key == UNTRACKED {
            self.totals.keys.operations_untracked += 1;
            self.running.insert(event.client, running);
            return;
        }
        if op != OpKind::Get {
            running.id = self.write_began(key, event, span);
        }
        let state = &mut self.keys[key as usize];
        state.operations += 1;
        if span.is_quorum() {
            state.began(&span);
            if let Mode::BySearch(orders) = &mut state.mode {
                let value = event.value.as_deref();
                orders.begin(span, (op != OpKind::Get).then(|| KeyContent::from_value(value)));
            }
        }
        self.running.insert(event.client, running);
    }

    /// Returns the id that the write gets, if any.
    fn write_began(&mut self, key: u32, event: &HistoryEvent, span: Span) -> u32 {
        let puts = event.op == OpKind::Put;
        let state = &mut self.keys[key as usize];
        self.ledgers.tried(&mut state.ledger, puts);
        state.deletes |= !puts;
        let (id, unique) = match event.value.as_deref().filter(|_| puts) {
            Some(value) => state.put_began(&mut self.ids, value, span),
            None => (NO_ID, false),
        };
        if event.consistency == Consistency::Async {
            self.turn(key, Mode::Measured);
        } else if !unique && matches!(state.mode, Mode::ByIds) {
            self.search(key);
        }
        id
    }

    /// From now on the key is judged by search.
    fn search(&mut self, key: u32) {
        if self.keys[key as usize].forgot_unknown() {
            return self.undecide(key, Undecided::UnknownForgotten);
        }
        let mut outstanding = Vec::new();
        for running in self.running.values().filter(|running| running.key == key && running.span.is_quorum())
        {
            let held = match running.op {
                OpKind::Get => None,
                OpKind::Del => Some(KeyContent::Absent),
                // One that was read already is among the ids that are known.
                OpKind::Put if self.ids[running.id].zone.is_known() => continue,
                OpKind::Put => Some(KeyContent::from_value(Some(&self.ids[running.id].value))),
            };
            outstanding.push((running.span, held));
        }
        self.keys[key as usize].search(&mut self.ids, &outstanding, &self.bounds.usual);
        self.by_search.push(key);
        self.totals.keys.by_ids -= 1;
        self.totals.keys.by_search += 1;
    }

    /// From now on the key is judged otherwise, and neither by ids nor by search.
    fn turn(&mut self, key: u32, mode: Mode) {
        let (state, keys) = (&mut self.keys[key as usize], &mut self.totals.keys);
        match (&state.mode, &mode) {
            (Mode::ByIds, _) => keys.by_ids -= 1,
            (Mode::BySearch(_), _) => {
                self.by_search.retain(|&other| other != key);
                keys.by_search -= 1;
            }
            // What was found out before stands.
            (Mode::Measured | Mode::Undecided | Mode::Violated, _) => return,
        }
        match mode {
            Mode::Measured => keys.measured += 1,
            Mode::Undecided => keys.undecided += 1,
            Mode::ByIds | Mode::BySearch(_) | Mode::Violated => keys.by_search += 1,
        }
        state.turn(&mut self.ids, mode);
    }

    fn write_ended(&mut self, running: &Running) -> Ruling {
        let options = self.bounds.of(self.altogether(), self.keys[running.key as usize].ledger.is_reused());
        let (key, span) = (&mut self.keys[running.key as usize], &running.span);
        if span.phase == Phase::Ok {
            self.acks += 1;
            self.acks -= key.acks.push(span.began.i, span.ended, options.acks_remembered);
        }
        self.ledgers.ended(&mut key.ledger, running.id, running.consistency, span.phase, span.ended.i);
        if span.is_quorum() {
            key.ended(span);
            if let Mode::BySearch(orders) = &mut key.mode {
                orders.end(span, span.phase, None);
            }
        }
        match running.op {
            OpKind::Put => key.put_ended(&mut self.ids, running.id, span, options),
            OpKind::Del | OpKind::Get => Ruling::Fine,
        }
    }

    fn read_ended(&mut self, running: &Running, value: Option<&str>) -> Ruling {
        let options = self.bounds.of(self.altogether(), self.keys[running.key as usize].ledger.is_reused());
        let (key, span) = (&mut self.keys[running.key as usize], &running.span);
        let quorum = span.is_quorum();
        if quorum {
            key.ended(span);
        }
        if span.phase != Phase::Ok {
            if let Mode::BySearch(orders) = &mut key.mode {
                orders.end(span, Phase::Fail, None);
            }
            return Ruling::Fine;
        }
        let seen = key.seen(&self.ids, value);
        if quorum {
            let sight = key.sight(&self.ids, seen, value, span);
            self.ledgers.read(&mut key.ledger, span.began.i, sight);
        }
        let phantom = key.phantom(&self.ids, seen, value, span);
        if let Mode::BySearch(orders) = &mut key.mode
            && quorum
        {
            let phase = if phantom.is_some() { Phase::Fail } else { Phase::Ok };
            orders.end(span, phase, Some(KeyContent::from_value(value)));
        }
        if let Some(kind) = phantom {
            return Ruling::Violated(kind);
        }
        if !quorum {
            match key.staleness(&self.ids, seen, span) {
                Ok(stale) => {
                    self.stale = stale;
                    self.measured.record(stale);
                }
                Err(Unmeasured) => self.measured.unmeasured += 1,
            }
        } else if matches!(key.mode, Mode::ByIds) {
            return key.quorum_read(&mut self.ids, seen, value, span, options);
        }
        key.read_seen(&mut self.ids, seen, span.ended.i);
        Ruling::Fine
    }

    /// What is remembered of all keys together: ids or acknowledgements, whichever are more.
    fn altogether(&self) -> usize {
        self.ids.len().max(self.acks)
    }

    /// Places what can be placed of a key that is judged by search.
    fn advance(&mut self, key: u32) -> Ruling {
        let Mode::BySearch(orders) = &mut self.keys[key as usize].mode else { return Ruling::Fine };
        match orders.advance() {
            Advance::Fine => Ruling::Fine,
            Advance::Undecided(why) => Ruling::Undecided(why),
            Advance::Violated(misfit) => {
                self.turn(key, Mode::Violated);
                let value = misfit.value.as_ref().and_then(KeyContent::name);
                let operation = Box::new(misfit.span.operation(&self.keys[key as usize].name, value));
                let possible = misfit.possible.iter().map(|held| held.name().map(Value::from)).collect();
                Ruling::Violated(ViolationKind::NoOrder { operation, possible })
            }
        }
    }

    /// Counts and keeps what was found.
    fn settle(&mut self, key: u32, outcome: Ruling, quorum: bool) -> Option<Violation> {
        match outcome {
            Ruling::Fine => None,
            Ruling::Again => {
                self.totals.violations += 1;
                None
            }
            Ruling::Undecided(why) => {
                self.undecide(key, why);
                None
            }
            Ruling::Violated(kind) => {
                let judged = !matches!(self.keys[key as usize].mode, Mode::Measured)
                    && !matches!(kind, ViolationKind::FailedWrite { read: None, .. });
                let violation = Violation {
                    key: self.keys[key as usize].name.to_string(),
                    i: self.last.unwrap_or(0),
                    linearizability: quorum && judged,
                    kind,
                };
                self.totals.violations += 1;
                self.totals.not_linearizable |= violation.linearizability;
                self.keys[key as usize].violated |= violation.linearizability;
                if self.violations.len() < self.bounds.usual.violations_kept {
                    self.violations.push(violation.clone());
                }
                Some(violation)
            }
        }
    }

    fn undecide(&mut self, key: u32, why: Undecided) {
        if self.undecided.len() < UNDECIDED_NAMED {
            let since_i = match &self.keys[key as usize].mode {
                Mode::BySearch(orders) => orders.waits_at().unwrap_or(0).saturating_sub(1),
                _ => self.last.unwrap_or(0).saturating_sub(1),
            };
            let key = self.keys[key as usize].name.to_string();
            self.undecided.push(UndecidedKey { key, since_i, why });
        }
        self.turn(key, Mode::Undecided);
    }

    /// Up to where linearizability has been checked: keys judged by search may lag behind.
    fn checked(&self) -> u64 {
        let lag = |&key: &u32| match &self.keys[key as usize].mode {
            Mode::BySearch(orders) => orders.waits_at().map(|at| at.saturating_sub(1)),
            _ => None,
        };
        self.by_search.iter().filter_map(lag).min().unwrap_or(self.last.unwrap_or(0))
    }

    fn key(&mut self, name: &str) -> u32 {
        if let Some(&key) = self.names.get(name) {
            return key;
        }
        if self.keys.len() >= self.bounds.usual.keys_max.min(UNTRACKED as usize) {
            return UNTRACKED;
        }
        let (key, name) = (self.keys.len() as u32, Arc::<str>::from(name));
        self.names.insert(Arc::clone(&name), key);
        self.keys.push(Key::new(name, key));
        self.totals.keys.by_ids += 1;
        key
    }
}

/// What is wrong with an invoke, whatever came before it.
fn invoke_fault(event: &HistoryEvent) -> Option<HistoryFault> {
    let (op, consistency) = (event.op, event.consistency);
    let other = if op == OpKind::Get { Consistency::Async } else { Consistency::Eventual };
    if consistency == other {
        Some(HistoryFault::NoSuchLevel { op, consistency })
    } else if op == OpKind::Put && event.value.is_none() {
        Some(HistoryFault::PutWithoutValue { key: event.key.clone() })
    } else {
        None
    }
}
