//! The end of an episode: whole again, at rest, read back, compared.
#![expect(clippy::disallowed_methods, reason = "settling has a time limit")]

use std::sync::PoisonError;
use std::time::Duration;

use kvlab::replication::NodeId;

use super::compare::compare;
use super::read_back::Item;
use super::recovery::{converged, ends};
use super::run::{Session, Settled};
use crate::action::Action;
use crate::event::{Actor, LabEvent, Level, ProcessState, ScenarioEvent};
use crate::workload::Family;

/// How often the comparison begins anew because somebody wrote meanwhile.
const COMPARISONS_MAX: u32 = 3;

impl Session {
    /// Heals every link, resumes and restarts every node, stops the load, waits for convergence within the limit
    /// (a primary, everyone follows it, equal last positions), reads the ledger and every register back, compares
    /// the members' states. Journals [`ScenarioEvent::Settling`] and [`ScenarioEvent::ReadingBack`].
    ///
    /// # Errors
    /// If the history could not be written. Whatever else goes wrong is in the verdict and in notices.
    pub(crate) async fn settle(&self, within: Duration) -> anyhow::Result<Settled> {
        let until = self.0.journal.now() + within;
        let until_us = u64::try_from(until.as_micros()).unwrap_or(u64::MAX);
        self.0.journal.emit(LabEvent::Scenario(ScenarioEvent::Settling { until_us }));
        self.set_members_equal(None);
        self.make_whole().await;
        self.0.workload.quiet().await;

        let at_rest = self.0.journal.now();
        let agreed = self.wait_until_converged(at_rest, until).await;
        if let Err(reason) = &agreed {
            let ms = within.as_millis();
            self.notice(Level::Warn, format!("the members do not agree after {ms} ms: {reason}"));
        }
        let items = self.everything();
        self.read_back(items.clone()).await;
        self.compare_members(&keys_of(&items), agreed.is_ok()).await;
        self.tell_verdict();
        self.0.recorder.flush().await?;

        let took = self.0.recovery.lock().unwrap_or_else(PoisonError::into_inner).took();
        let converged_after = agreed.ok().and(took.or(Some(self.0.journal.now().saturating_sub(at_rest))));
        Ok(Settled { converged_after, verdict: self.verdict() })
    }

    /// Undoes whatever is broken. What cannot be undone is told, and shows in what follows.
    async fn make_whole(&self) {
        if !self.broken_links().is_empty() {
            self.try_to(Action::HealAll).await;
        }
        for (node, state) in self.0.cluster.view().processes {
            match state {
                ProcessState::Paused { .. } => self.try_to(Action::Resume { node }).await,
                ProcessState::Stopped { .. } | ProcessState::Died { .. } => {
                    self.try_to(Action::Restart { node }).await;
                }
                ProcessState::Starting { .. } | ProcessState::Running { .. } => {}
            }
        }
    }

    async fn try_to(&self, action: Action) {
        // The journal has the action with its error.
        let _ = self.perform(Actor::Lab, action).await;
    }

    /// `since`: what was said before does not count. An error is the last reason why not.
    async fn wait_until_converged(&self, since: Duration, until: Duration) -> Result<(), String> {
        let mut changes = self.0.cluster.changes();
        loop {
            changes.mark_unchanged();
            let Err(reason) = converged(&self.0.cluster.view(), since) else { return Ok(()) };
            let left = until.saturating_sub(self.0.journal.now());
            match tokio::time::timeout(left, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err("the cluster has ended".to_owned()),
                Err(_) => return Err(reason),
            }
        }
    }

    /// All that has been acknowledged, all registers, and all that persons and steps have touched.
    fn everything(&self) -> Vec<Item> {
        let workload = &self.0.workload;
        let mut items: Vec<Item> =
            workload.with_ledger(|ledger| ledger.entries()).into_iter().map(Item::Ledger).collect();
        let registers = if workload.options().clients == 0 { 0 } else { workload.options().registers };
        for family in workload.families() {
            items.extend((0..registers).map(|register| Item::Register(family.register_key(register))));
        }
        let visited = self.0.visitors.keys();
        items.extend(visited.into_iter().filter(|key| !self.is_register(key)).map(Item::Register));
        items
    }

    fn is_register(&self, key: &str) -> bool {
        let registers = self.0.workload.options().registers;
        let is = |family: &Family| (0..registers).any(|register| family.register_key(register) == key);
        self.0.workload.families().iter().any(is)
    }

    async fn read_back(&self, items: Vec<Item>) {
        let workload = self.0.workload.clone();
        workload.with_ledger(crate::workload::Ledger::reading_back);
        let found = move |item: &Item, seen: Option<Option<&str>>| {
            if let Item::Ledger(entry) = item {
                workload.with_ledger(|ledger| ledger.read(entry, seen));
            }
        };
        let progress = |done, total| {
            self.0.journal.emit(LabEvent::Scenario(ScenarioEvent::ReadingBack { done, total }));
        };
        self.0.readers.read(items, &self.0.recorder, &self.0.zones, found, progress).await;
        if self.0.workload.options().ledger {
            self.0.workload.with_ledger(crate::workload::Ledger::read_back);
        }
        for family in self.0.workload.families() {
            let unread = self.0.workload.with_ledger(|ledger| ledger.found(*family).unread);
            if unread > 0 {
                let what = format!("{unread} acknowledged {:?} writes", family.consistency());
                self.notice(Level::Warn, format!("{what} could not be read back: nobody knows of them"));
            }
        }
    }

    /// Members that do not even say that they agree are not asked key by key.
    async fn compare_members(&self, keys: &[String], agreed: bool) {
        if !agreed {
            let view = self.0.cluster.view();
            let ends = ends(&view);
            let differ = ends.values().any(|end| Some(end) != ends.values().next());
            let complete = ends.len() == view.processes.len();
            self.set_members_equal(if differ && complete { Some(false) } else { None });
            return;
        }
        for _ in 0..COMPARISONS_MAX {
            let before = ends(&self.0.cluster.view());
            let outcome = compare(self.0.zones.as_ref(), keys).await;
            let still = ends(&self.0.cluster.view()) == before;
            match outcome {
                // Somebody wrote meanwhile: a difference may be nothing but that.
                Ok(_) if !still => continue,
                Ok(None) => return self.set_members_equal(Some(self.same_number_of_keys(&before))),
                Ok(Some(difference)) => {
                    self.notice(Level::Error, difference.to_string());
                    return self.set_members_equal(Some(false));
                }
                Err(error) => {
                    self.notice(Level::Warn, format!("the members could not be compared: {error:#}"));
                    return;
                }
            }
        }
        self.notice(Level::Warn, "the members could not be compared: somebody keeps writing".to_owned());
    }

    /// Keys that the lab does not know of are at least counted.
    fn same_number_of_keys(
        &self,
        ends: &std::collections::BTreeMap<NodeId, (kvlab::replication::Epoch, u64, u64)>,
    ) -> bool {
        let counts: Vec<(NodeId, u64)> = ends.iter().map(|(node, (_, _, keys))| (*node, *keys)).collect();
        let equal = counts.windows(2).all(|pair| pair[0].1 == pair[1].1);
        if !equal {
            let text =
                counts.iter().map(|(node, keys)| format!("{node} {keys}")).collect::<Vec<_>>().join(", ");
            self.notice(Level::Error, format!("the members hold different numbers of keys: {text}"));
        }
        equal
    }

    fn set_members_equal(&self, equal: Option<bool>) {
        *self.0.members_equal.lock().unwrap_or_else(PoisonError::into_inner) = equal;
    }

    fn notice(&self, level: Level, text: String) {
        self.0.journal.emit(LabEvent::Notice { level, text });
    }
}

fn keys_of(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.key().to_owned()).collect()
}
