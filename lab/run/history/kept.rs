//! A history whose beginning is not kept: what is known of it all the same, and what may be concluded from the rest.
//!
//! The first line of what is kept tells some of it. The rest is learnt by reading what is kept once:
//! whatever was read and not written there was written before, by a write of which nothing else is known.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::time::Duration;

use kvlab::judge::{Before, Consistency, HistoryEvent, Judge, OpKind, Phase};

use super::part_line::{OddKeys, PartLine};
use super::read::{HistoryReader, Unreadable};

/// What is kept of a history whose beginning is not.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The index of the first event that is kept.
    pub(crate) from_i: u64,
    /// When that was, and when the last event was, since the run began.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    odd: OddKeys,
    /// Every key is odd: there were too many to be named.
    all_odd: bool,
    /// How it begins.
    line: PartLine,
    /// More than the highest number of a client.
    clients: u32,
    /// What was read of each key, and written before what is kept, with the level of the first read.
    before: BTreeMap<String, BTreeMap<String, Consistency>>,
}

impl Kept {
    /// What is kept, if the beginning of the history is not; it is read once, to its end or as far as it can be read.
    ///
    /// # Errors
    /// If its first line cannot be read.
    pub(crate) fn of(reader: impl BufRead) -> Result<Option<Self>, Unreadable> {
        let mut events = HistoryReader::new(reader);
        let mut first = events.next()?;
        let Some(line) = events.part_line() else { return Ok(None) };
        let from = Duration::from_nanos(line.from_t_ns);
        let keys = line.odd_keys();
        let mut kept = Self {
            from_i: line.from_i,
            from,
            to: from,
            all_odd: keys.is_none(),
            odd: keys.unwrap_or_default(),
            clients: 1,
            before: BTreeMap::new(),
            line,
        };
        let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        // What cannot be read is told by who reads it next.
        while let Some(event) = first.take().or_else(|| events.next().ok().flatten()) {
            kept.note(&event, &mut written);
        }
        Ok(Some(kept))
    }

    fn note(&mut self, event: &HistoryEvent, written: &mut BTreeMap<String, BTreeSet<String>>) {
        self.to = self.to.max(Duration::from_nanos(event.t_ns));
        self.clients = self.clients.max(event.client.saturating_add(1));
        if self.all_odd && !self.odd.unknown.contains(&event.key) {
            self.odd.unknown.insert(event.key.clone());
        }
        let Some(value) = &event.value else { return };
        match (event.op, event.phase) {
            (OpKind::Put, Phase::Invoke) => {
                // It may have been written before as well, and then reads do not name their writes.
                if !is_fresh(event, value) {
                    self.odd.unknown.insert(event.key.clone());
                }
                written.entry(event.key.clone()).or_default().insert(value.clone());
            }
            (OpKind::Get, Phase::Ok)
                if !written.get(&event.key).is_some_and(|values| values.contains(value)) =>
            {
                let before = self.before.entry(event.key.clone()).or_default();
                before.entry(value.clone()).or_insert(event.consistency);
            }
            _ => {}
        }
    }

    /// Tells a judge that has seen nothing yet.
    pub(crate) fn tell(&self, judge: &mut Judge) {
        self.odd.measured.iter().for_each(|key| judge.suppose(key, Before::Async));
        for (key, values) in &self.before {
            values.iter().for_each(|(value, &level)| judge.suppose(key, Before::Written(value, level)));
        }
        self.odd.unknown.iter().for_each(|key| judge.suppose(key, Before::Unknown));
    }

    /// The first line of what is kept, without its end.
    pub(crate) fn first_line(&self) -> String {
        serde_json::to_string(&self.line).expect("plain data becomes JSON")
    }

    /// More than the highest number of a client, those of [`Kept::writes_before`] included.
    pub(crate) fn processes(&self) -> u64 {
        u64::from(self.clients) + self.before.values().map(|values| values.len() as u64).sum::<u64>()
    }

    /// The keys of which linearizability cannot be decided, whoever tries.
    pub(crate) fn odd_keys(&self) -> impl Iterator<Item = &String> {
        self.odd.unknown.union(&self.odd.measured)
    }

    /// Whether linearizability cannot be decided of this key, whoever tries.
    pub(crate) fn is_odd(&self, key: &str) -> bool {
        self.odd.unknown.contains(key) || self.odd.measured.contains(key)
    }

    /// The writes of which nothing is known but that they were tried before what is kept, as events: each of unknown
    /// outcome, by a client of its own. For who has no judge of ours.
    pub(crate) fn writes_before(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<HistoryEvent> {
        // There are enough indices: these writes had two each.
        let running: BTreeSet<u64> = self.line.running.iter().map(|event| event.i).collect();
        let mut free = (1..self.from_i).filter(|i| !running.contains(i));
        let mut events = Vec::new();
        let wanted = self.before.iter().filter(|(key, _)| is_wanted(key));
        let writes = wanted.flat_map(|(key, values)| values.iter().map(move |write| (key, write)));
        for ((key, (value, level)), client) in writes.zip(self.clients..) {
            let (Some(invoke), Some(info)) = (free.next(), free.next()) else { break };
            let event = |i, phase| HistoryEvent {
                i,
                t_ns: 0,
                client,
                node: None,
                phase,
                op: OpKind::Put,
                key: key.clone(),
                value: Some(value.clone()),
                consistency: if *level == Consistency::Eventual { Consistency::Async } else { *level },
                epoch: None,
                seq: None,
            };
            events.extend([event(invoke, Phase::Invoke), event(info, Phase::Info)]);
        }
        events
    }
}

/// Whether a client made the value up for this write alone: `c3-17` is the seventeenth of client 3.
fn is_fresh(event: &HistoryEvent, value: &str) -> bool {
    let number = value.strip_prefix(&format!("c{}-", event.client));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
