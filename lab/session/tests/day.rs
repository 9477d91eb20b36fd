//! A day of load through all that a lab remembers of it: the ledger, the judge, what explains, and the screen's state. No
//! processes: a store of one map answers, so that a day takes minutes.
//!
//! `cargo test --bin kvlab -- --ignored --nocapture a_day` runs it; `KVLAB_DAY_OPERATIONS` makes it shorter.
#![expect(clippy::disallowed_methods, reason = "it reads its own memory from the system")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{Epoch, Event, NodeId, Position, ReadLevel, Report, WriteLevel};

use crate::run::event::{LabEvent, LoadSample, Outcome, Stamped, Verdict};
use crate::run::history::{Completion, Intent, Sequencer};
use crate::screen::state::ViewState;
use crate::workload::client::Measured;
use crate::workload::ledger::{Ledger, LedgerKey, ReadingBack, Written};
use crate::workload::options::WorkloadOptions;
use crate::workload::routine::Routine;

const RATE: u32 = 500;
/// So many operations run at once.
const AT_ONCE: usize = 4;
const CLIENTS: u32 = 12;
/// What may be remembered of a day, in KiB.
const GROWTH_MAX_KIB: u64 = 100 << 10;

struct Day {
    now: Duration,
    order: Sequencer,
    ledger: Ledger,
    /// Each client with its number, and whether it has something under way.
    clients: Vec<(u32, Routine, bool)>,
    reader: u32,
    store: BTreeMap<String, String>,
    /// The same as a member has it that lags behind; a forced promotion takes it over.
    behind: BTreeMap<String, String>,
    running: VecDeque<(usize, Intent, Option<LedgerKey>, u64)>,
    view: ViewState,
    verdict: Verdict,
    values: u64,
    operations: u64,
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

impl Day {
    fn new() -> Self {
        let options = WorkloadOptions {
            clients: CLIENTS,
            rate: RATE,
            levels: vec![WriteLevel::Async, WriteLevel::Quorum],
            registers: 8,
            ledger: true,
            seed: 5,
            on: true,
        };
        let members = [1, 2, 3].map(NodeId);
        let mut order = Sequencer::new();
        let clients = (0..CLIENTS).map(|n| {
            let number = order.new_client();
            (number, Routine::new(n, &options, &members, |_, _| number).expect("something to do"), false)
        });
        let clients = clients.collect();
        let reader = order.new_client();
        Self {
            now: Duration::from_secs(1),
            order,
            ledger: Ledger::default(),
            clients,
            reader,
            store: BTreeMap::new(),
            behind: BTreeMap::new(),
            running: VecDeque::new(),
            view: ViewState::default(),
            verdict: Verdict::default(),
            values: 0,
            operations: 0,
        }
    }

    fn tell(&mut self, event: LabEvent) {
        self.view.apply(&Stamped::at(self.now, event));
    }

    /// The next operation begins; the oldest ends, if enough run.
    fn operate(&mut self) {
        self.operations += 1;
        let free = self.clients.iter().position(|(_, _, busy)| !busy).expect("more clients than run at once");
        let (number, routine, busy) = &mut self.clients[free];
        *busy = true;
        let ledger = &mut self.ledger;
        let (way, intent, key) = routine.next(|family| ledger.begin(family));
        let values = &mut self.values;
        let intent = intent.with_value(|| {
            *values += 1;
            format!("c{number}-{values}")
        });
        let i = self.order.invoke(self.now, *number, way.first(), &intent);
        self.running.push_back((free, intent, key, i));
        self.clients.rotate_left(1);
        for (client, ..) in &mut self.running {
            *client = (*client + self.clients.len() - 1) % self.clients.len();
        }
        if self.running.len() >= AT_ONCE {
            self.end_oldest();
        }
    }

    fn end_oldest(&mut self) {
        let Some((client, intent, key, i)) = self.running.pop_front() else { return };
        // One write in five thousand is of unknown outcome: half of them happen.
        let unknown = intent.op == OpKind::Put && self.operations.is_multiple_of(5000);
        if intent.op == OpKind::Put && (!unknown || self.operations.is_multiple_of(10_000)) {
            let value = intent.value.clone().expect("a put has a value");
            self.store.insert(intent.key.clone(), value.clone());
            // A quorum has a quorum write; some async ones are at the primary alone.
            if intent.consistency == Consistency::Quorum || !i.is_multiple_of(97) {
                self.behind.insert(intent.key.clone(), value);
            }
        }
        let outcome = if unknown { Outcome::Unknown("time-out".to_owned()) } else { Outcome::Ok };
        let completion = self.completion(&intent, outcome);
        let (number, routine, busy) = &mut self.clients[client];
        *busy = false;
        let stale_ms = self.order.complete(self.now, *number, &intent, &completion);
        let measured = Measured { i, home: NodeId(1), took_us: 900, stale_ms };
        let operation = measured.operation(intent, completion);
        routine.ended(&operation);
        if let Some(key) = key {
            self.ledger.ended(key, Written::from(&operation.outcome));
        }
        // As many as the lab shows.
        if self.operations.is_multiple_of(25) {
            self.tell(LabEvent::Operation(operation));
        }
    }

    fn completion(&self, intent: &Intent, outcome: Outcome) -> Completion {
        let seen = (intent.op == OpKind::Get).then(|| self.store.get(&intent.key).cloned()).flatten();
        let at = Some(Position::new(Epoch::new(1, NodeId(1)), self.operations));
        Completion { node: Some(NodeId(1)), outcome, seen, at, votes: Vec::new(), refused_stale: false }
    }

    fn read_back(&mut self) {
        while let Some(read) = self.ledger.next_read(self.now) {
            self.read(read);
        }
    }

    fn read(&mut self, read: ReadingBack) {
        let intent = Intent::get(read.key.name(), ReadLevel::Quorum);
        self.order.invoke(self.now, self.reader, NodeId(1), &intent);
        let completion = self.completion(&intent, Outcome::Ok);
        self.order.complete(self.now, self.reader, &intent, &completion);
        self.ledger.was_read(read, Some(completion.seen), self.now);
    }

    /// What happens ten times a second.
    fn tick(&mut self) {
        let verdict = self.order.verdict(false, None);
        if verdict != self.verdict {
            self.verdict = verdict.clone();
            self.tell(LabEvent::Verdict(verdict));
        }
        self.tell(LabEvent::Load(LoadSample { on: true, rate: RATE, ok: 50, ..LoadSample::default() }));
    }

    /// A member that lags behind makes itself primary by force: what it does not have is lost.
    fn promote(&mut self, number: u64) {
        while !self.running.is_empty() {
            self.end_oldest();
        }
        self.store = self.behind.clone();
        self.ledger.ask_again();
        self.order.ask_again();
        let epoch = Epoch::new(number, NodeId(2));
        let told = [
            Event::EpochOpened { epoch, forced: true, voters: Vec::new() },
            Event::LogCut { fork: Position::ZERO, discarded: 9, file: None },
        ];
        for event in told {
            self.tell(LabEvent::Node { node: NodeId(2), report: Report::Event { uptime_ms: 1, event } });
        }
    }
}

#[test]
#[ignore = "a day of 43 million operations takes some minutes"]
fn a_day_of_load_is_remembered_within_bounds() {
    let all = std::env::var("KVLAB_DAY_OPERATIONS").map_or(43_200_000, |n| n.parse().expect("a number"));
    let hour = u64::from(RATE) * 3600;
    let (mut day, began) = (Day::new(), rss_kib());
    let mut peak = began;
    for n in 1..=all {
        day.now += Duration::from_secs(1) / RATE;
        day.operate();
        if n % u64::from(RATE / 10) == 0 {
            day.read_back();
            day.tick();
        }
        if n % (hour / 4) == 0 {
            day.promote(1 + n / (hour / 4));
        }
        if n % (hour / 12) == 0 {
            peak = peak.max(rss_kib());
        }
        if n % hour == 0 || n == all {
            let harm = day.order.verdict(false, None).harm;
            println!(
                "{:>5.2} h, {n} operations: {} KiB more than at the start (peak {}); async acknowledged {}, lost {:?}, \
                 released {}, unread {}",
                n as f64 / hour as f64,
                rss_kib().saturating_sub(began),
                peak - began,
                harm.async_writes_acked,
                harm.async_writes_lost,
                harm.async_writes_released,
                harm.async_writes_unread,
            );
        }
    }
    let verdict = day.order.verdict(false, None);
    assert_eq!(verdict.promise.linearizable, Some(true), "{:?}", verdict.promise.violations);
    assert!(verdict.harm.async_writes_lost > Some(0), "the promotions cost something: {:?}", verdict.harm);
    assert!(verdict.harm.async_writes_released > 0, "the ring goes round: {:?}", verdict.harm);
    assert!(peak - began < GROWTH_MAX_KIB, "{} KiB", peak - began);
}
