//! Made-up records for tests.

use std::time::Duration;

use kvlab::judge::{Completion, Consistency, HistoryEvent, OpKind, Operation, Phase, Stamp};
use kvlab::types::NodeId;

use crate::report::operations::Operations;
use crate::report::{HistoryJudge, Records};
use crate::run::event::{LabEvent, LoadSample, Stamped};
use crate::screen::tests::fixture::{Player, split_brain as events_of_split_brain};

/// A history that is written operation by operation, each a millisecond long, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    events: Vec<HistoryEvent>,
}

impl History {
    pub(crate) fn events(&self) -> Vec<HistoryEvent> {
        self.events.clone()
    }

    pub(crate) fn operations(&self) -> Operations {
        let mut collector = crate::report::operations::Collector::new(usize::MAX);
        self.events.iter().for_each(|event| collector.observe(event, None));
        collector.finish(std::iter::empty())
    }

    /// A quorum write.
    pub(crate) fn put(&mut self, client: u32, key: &str, value: &str, phase: Phase) -> &mut Self {
        self.operate(client, OpKind::Put, Consistency::Quorum, key, Some(value), phase)
    }

    /// A quorum read.
    pub(crate) fn get(&mut self, client: u32, key: &str, seen: Option<&str>) -> &mut Self {
        self.operate(client, OpKind::Get, Consistency::Quorum, key, seen, Phase::Ok)
    }

    /// Any operation.
    pub(crate) fn operate(
        &mut self,
        client: u32,
        op: OpKind,
        consistency: Consistency,
        key: &str,
        value: Option<&str>,
        phase: Phase,
    ) -> &mut Self {
        let i = self.events.len() as u64 + 1;
        let value = value.map(str::to_owned);
        let event = HistoryEvent {
            i,
            t_ns: i * 500_000,
            client,
            node: Some(NodeId(u8::try_from(client % 3).expect("small") + 1)),
            phase: Phase::Invoke,
            op,
            key: key.to_owned(),
            value: value.clone().filter(|_| op != OpKind::Get),
            consistency,
            epoch: None,
            seq: None,
        };
        let reply = HistoryEvent { i: i + 1, t_ns: (i + 1) * 500_000, phase, value, ..event.clone() };
        self.events.extend([event, reply]);
        self
    }
}

/// An invoke of a quorum read.
pub(crate) fn invoke(i: u64, client: u32, key: &str) -> HistoryEvent {
    HistoryEvent {
        i,
        t_ns: i * 500_000,
        client,
        node: Some(NodeId(1)),
        phase: Phase::Invoke,
        op: OpKind::Get,
        key: key.to_owned(),
        value: None,
        consistency: Consistency::Quorum,
        epoch: None,
        seq: None,
    }
}

/// An operation of a proof.
pub(crate) fn operation(i: u64, client: u32, key: &str, value: &str) -> Operation {
    let ended = Completion {
        at: Stamp { i: i + 1, t_ns: (i + 1) * 500_000 },
        phase: Phase::Ok,
        epoch: None,
        seq: None,
    };
    Operation {
        client,
        node: Some(NodeId(1)),
        op: OpKind::Put,
        key: key.to_owned(),
        value: Some(value.into()),
        consistency: Consistency::Quorum,
        began: Stamp { i, t_ns: i * 500_000 },
        ended: Some(ended),
    }
}

/// Events and a history become records.
pub(crate) fn records(events: Vec<Stamped>, history: &[HistoryEvent]) -> Records {
    let mut records = Records::default();
    events.into_iter().for_each(|event| records.observe(event));
    let mut judge = HistoryJudge::default();
    history.iter().for_each(|event| judge.observe(event));
    records.history = judge.finish();
    records
}

/// A scenario with a split brain and a history without a fault.
pub(crate) fn split_brain() -> Records {
    let mut history = History::default();
    for n in 0..40_u32 {
        let phase = if n % 10 == 3 { Phase::Info } else { Phase::Ok };
        history.put(1 + n % 3, &format!("q{}", n % 4), &format!("c{}-{n}", 1 + n % 3), phase);
    }
    let mut records = records(events_of_split_brain(Player::Scenario), &history.events());
    records.scenario = Some("title = \"Split brain\"\nstory = \"<b>&</b>\"\n".to_owned());
    records
}

/// The same without a scenario: a person was at the keys.
pub(crate) fn by_hand() -> Records {
    records(events_of_split_brain(Player::Person), &[])
}

/// One violation of three operations: an old value is read after a new one.
pub(crate) fn violated() -> Records {
    let mut history = History::default();
    history.put(1, "q0", "old", Phase::Ok).put(2, "q0", "new", Phase::Ok).get(3, "q0", Some("old"));
    history.put(4, "q1", "x", Phase::Fail);
    records(events_of_split_brain(Player::Scenario), &history.events())
}

/// A run of so many operations by eight clients, with load samples, at about a thousand operations a second.
pub(crate) fn large(operations: u32) -> Records {
    let mut history = History::default();
    for n in 0..operations {
        let (client, key) = (1 + n % 8, format!("q{}", n % 16));
        match n % 4 {
            1 => history.get(client, &format!("r{}", n % 16), None),
            2 => history.operate(client, OpKind::Get, Consistency::Eventual, "elsewhere", None, Phase::Ok),
            _ if n % 997 == 0 => history.put(client, &key, &format!("c{client}-{n}"), Phase::Info),
            _ => history.put(client, &key, &format!("c{client}-{n}"), Phase::Ok),
        };
    }
    let mut events = events_of_split_brain(Player::Scenario);
    let end = Duration::from_micros(u64::from(operations) * 1000);
    for tenth in 136..end.as_millis() as u64 / 100 {
        let sample = LoadSample {
            on: true,
            rate: 1000,
            interval_us: 100_000,
            ok: 100,
            p50_us: 800,
            p99_us: 2100,
            ..LoadSample::default()
        };
        events.push(Stamped { t_us: tenth * 100_000, event: LabEvent::Load(sample) });
    }
    records(events, &history.events())
}
