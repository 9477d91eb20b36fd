//! The end of an episode: whole again, at rest, read back, compared.
#![expect(clippy::disallowed_methods, reason = "settling has a time limit")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kvlab::types::{ClockCondition, DiskCondition, NodeId};

use super::compare::compare;
use super::recovery::{LeaderlessWatch, LogEnd, converged, differ_wrongly, ends};
use super::run::{Session, Settled};
use crate::action::Action;
use crate::run::event::{Actor, LabEvent, Level, LinkState, ProcessState, ScenarioEvent, micros};

/// How often the comparison begins anew because somebody wrote meanwhile.
const COMPARISONS_MAX: u32 = 3;

impl Session {
    /// Heals every link, disk and clock, resumes and restarts every node, stops the load, waits for convergence within the limit
    /// (a primary, everyone follows it, equal last positions), reads the ledger and every register back, compares
    /// the members' states. A cluster that is left without a primary gets one by vote, which loses nothing that a
    /// quorum acknowledged. Journals [`ScenarioEvent::Settling`] and [`ScenarioEvent::ReadingBack`].
    ///
    /// # Errors
    /// If the history could not be written. Whatever else goes wrong is in the verdict and in notices.
    pub(crate) async fn settle(&self, within: Duration) -> anyhow::Result<Settled> {
        let until = self.0.journal.now() + within;
        self.0.journal.emit(LabEvent::Scenario(ScenarioEvent::Settling { until_us: micros(until) }));
        self.0.read_back.store(false, Ordering::Relaxed);
        self.0.settling.store(true, Ordering::Relaxed);
        self.set_members_equal(None);
        self.make_whole().await;
        self.0.workload.quiet().await;

        let at_rest = self.0.journal.now();
        let agreed = self.wait_until_converged(at_rest, until).await;
        if let Err(reason) = &agreed {
            let ms = within.as_millis();
            self.notice(Level::Warn, format!("the members do not agree after {ms} ms: {reason}"));
        }
        let keys = self.keys();
        self.catch_up_with_doubt();
        self.ask_again();
        self.read_back(keys.clone()).await;
        self.compare_members(&keys, agreed.is_ok()).await;
        self.tell_verdict();
        self.0.settling.store(false, Ordering::Relaxed);
        self.0.recorder.flush().await?;
        Ok(Settled { converged_after: agreed.ok().and(self.recovered_after()), verdict: self.verdict() })
    }

    /// Undoes whatever is broken. What cannot be undone is told, and shows in what follows.
    async fn make_whole(&self) {
        let view = self.0.cluster.view();
        if view.links.values().any(|link| *link != LinkState::Up) {
            self.try_to(Action::HealAll).await;
        }
        for &node in view.disks.keys() {
            self.try_to(Action::Disk { node, condition: DiskCondition::Ok }).await;
        }
        for &node in view.clocks.keys() {
            self.try_to(Action::Clock { node, condition: ClockCondition::Ok }).await;
        }
        for (node, state) in view.processes {
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
        let mut leaderless = LeaderlessWatch::default();
        loop {
            changes.mark_unchanged();
            let (now, view) = (self.0.journal.now(), self.0.cluster.view());
            let Err(reason) = converged(&view, since) else { return Ok(()) };
            let mut wait_until = until;
            if let Some((node, at)) = leaderless.observe(now, &view, since) {
                if at <= now {
                    self.try_to(Action::Promote { node, force: false }).await;
                    continue;
                }
                wait_until = at.min(until);
            }
            match tokio::time::timeout(wait_until.saturating_sub(now), changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err("the cluster has ended".to_owned()),
                Err(_) if wait_until < until => {}
                Err(_) => return Err(reason),
            }
        }
    }

    fn recovered_after(&self) -> Option<Duration> {
        let (now, view) = (self.0.journal.now(), self.0.cluster.view());
        let mut recovery = self.0.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever watches may not have come round to the last change yet.
        recovery.observe(now, &view);
        recovery.took()
    }

    /// All that has been acknowledged, all registers, and all that persons and steps have touched.
    fn keys(&self) -> Vec<String> {
        let keys: BTreeSet<String> = self.0.workload.keys().into_iter().chain(self.0.pool.keys()).collect();
        keys.into_iter().collect()
    }

    async fn read_back(&self, keys: Vec<String>) {
        let progress = |done, total| {
            self.0.journal.emit(LabEvent::Scenario(ScenarioEvent::ReadingBack { done, total }));
        };
        let unread = self.0.readers.read(keys, &self.0.recorder, &self.0.zones, progress).await;
        self.0.read_back.store(true, Ordering::Relaxed);
        if unread > 0 {
            let text = format!("{unread} keys could not be read back: nobody knows whether they are lost");
            self.notice(Level::Warn, text);
        }
    }

    /// Members that do not even say that they agree are not asked key by key.
    async fn compare_members(&self, keys: &[String], agreed: bool) {
        if !agreed {
            let differ = differ_wrongly(&self.0.cluster.view());
            return self.set_members_equal(differ.then_some(false));
        }
        for _ in 0..COMPARISONS_MAX {
            let before = ends(&self.0.cluster.view());
            match compare(self.0.zones.as_ref(), keys).await {
                Err(error) => {
                    self.notice(Level::Warn, format!("the members could not be compared: {error:#}"));
                    return;
                }
                // Somebody wrote meanwhile: a difference may be nothing but that.
                Ok(_) if ends(&self.0.cluster.view()) != before => {}
                Ok(None) => return self.set_members_equal(Some(self.same_number_of_keys(&before))),
                Ok(Some(difference)) => {
                    self.notice(Level::Error, difference.to_string());
                    return self.set_members_equal(Some(false));
                }
            }
        }
        self.notice(Level::Warn, "the members could not be compared: somebody keeps writing".to_owned());
    }

    /// Keys that the lab does not know of are at least counted.
    fn same_number_of_keys(&self, ends: &BTreeMap<NodeId, LogEnd>) -> bool {
        let first = ends.values().next();
        let equal = ends.values().all(|end| Some(end.keys) == first.map(|first| first.keys));
        if !equal {
            let counts: Vec<String> = ends.iter().map(|(node, end)| format!("{node} {}", end.keys)).collect();
            let counts = counts.join(", ");
            self.notice(Level::Error, format!("the members hold different numbers of keys: {counts}"));
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
