//! The end of a simulated run: whole again, at rest, read back, compared.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;
use kvlab::types::{ClockCondition, DiskCondition, ReadLevel};

use super::stage::{Advanced, QUIET_WITHIN, Simulated};
use crate::action::Action;
use crate::run::event::{Actor, Operation, Outcome as Ended, ScenarioEvent};
use crate::run::history::Intent;
use crate::scenario::play::stage::Stage as _;
use crate::session::Settled;
use crate::session::recovery::{LeaderlessWatch, converged, differ_wrongly};
use crate::workload::Way;

/// Clients that read back at once.
const READERS: usize = 16;
/// How often one key is asked for before it counts as unread.
const TRIES: usize = 3;
/// How long all reading back may take.
const READ_BACK_WITHIN: Duration = Duration::from_secs(30);

impl Simulated {
    /// Heals and restarts everything, stops the load, waits for convergence, reads back and compares, as a session of
    /// real processes does.
    pub(crate) fn settled(&mut self, within: Duration) -> anyhow::Result<Settled> {
        let until = self.now() + within;
        let until_us = u64::try_from(until.as_micros()).unwrap_or(u64::MAX);
        self.tell(ScenarioEvent::Settling { until_us });
        (self.read_back, self.members_equal) = (false, None);
        self.rolling.settling = true;
        self.make_whole()?;
        self.clients.set_on(&mut self.world, false)?;
        self.until(self.now() + QUIET_WITHIN, |stage| stage.clients.is_quiet());

        let at_rest = self.now();
        let agreed = match self.converge(at_rest, until) {
            Ok(()) => true,
            Err(reason) => {
                self.warn(format!("the members do not agree after {} ms: {reason}", within.as_millis()));
                false
            }
        };
        let keys: BTreeSet<String> = self.clients.keys().into_iter().chain(self.touched.clone()).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        self.clients.ask_again();
        let unread = self.read_back(&keys);
        self.rolling.settling = false;
        self.read_back = true;
        if unread > 0 {
            self.warn(format!("{unread} keys could not be read back: nobody knows whether they are lost"));
        }
        self.compare_members(agreed);
        if agreed
            && self.broken.is_none()
            && let Err(broken) = self.world.settled()
        {
            self.violated(broken);
        }
        if let Some(broken) = &self.broken {
            bail!("the cluster has broken a promise: {broken}");
        }
        let (now, view) = (self.now(), self.view.clone());
        self.recovery.observe(now, &view);
        let converged_after = if agreed { self.recovery.took() } else { None };
        Ok(Settled { converged_after, verdict: self.verdict() })
    }

    /// `since`: what was said before does not count. Where nobody leads, somebody is promoted by vote. An error is the
    /// last reason why not.
    fn converge(&mut self, since: Duration, until: Duration) -> Result<(), String> {
        let mut leaderless = LeaderlessWatch::default();
        loop {
            let Err(reason) = converged(&self.view, since) else { return Ok(()) };
            let now = self.now();
            if now >= until {
                return Err(reason);
            }
            match leaderless.observe(now, &self.view, since) {
                Some((node, at)) if at <= now => {
                    // What was told has it with its error.
                    let _ = self.perform_and_record(Actor::Lab, Action::Promote { node, force: false });
                }
                next => {
                    let look_again = next.map_or(until, |(_, at)| at.min(until));
                    while let Advanced::Something = self.advance(look_again) {}
                }
            }
        }
    }

    /// Undoes whatever is broken.
    fn make_whole(&mut self) -> anyhow::Result<()> {
        self.carry_out(&Action::HealAll)?;
        for node in self.view.disks.keys().copied().collect::<Vec<_>>() {
            self.carry_out(&Action::Disk { node, condition: DiskCondition::Ok })?;
        }
        for node in self.view.clocks.keys().copied().collect::<Vec<_>>() {
            self.carry_out(&Action::Clock { node, condition: ClockCondition::Ok })?;
        }
        for node in self.members() {
            if self.world.is_paused(node) {
                self.resume(node)?;
            } else if !self.world.is_running(node) {
                self.restart(node)?;
            }
        }
        Ok(())
    }

    /// Reads every key with a quorum, as the lab's readers do. Returns how many could not be read.
    fn read_back(&mut self, keys: &[String]) -> usize {
        let (members, deadline) = (self.members(), self.now() + READ_BACK_WITHIN);
        let mut waiting: Vec<(&String, usize)> = keys.iter().rev().map(|key| (key, 0)).collect();
        let mut readers: Vec<(usize, Option<(&String, usize)>)> =
            (0..READERS).map(|_| (self.clients.guest(None), None)).collect();
        let mut unread = 0;
        loop {
            for (index, (guest, reading)) in readers.iter_mut().enumerate() {
                if let Some((key, tries)) = *reading {
                    let Some(Operation { outcome, .. }) = self.clients.take_ended(*guest) else { continue };
                    *reading = None;
                    match outcome {
                        Ended::Ok => {}
                        _ if tries < TRIES && self.world.now() < deadline => waiting.push((key, tries)),
                        _ => unread += 1,
                    }
                }
                if let Some((key, tries)) = waiting.pop() {
                    // Readers begin at different members, and go to another when one fails them.
                    let first = members[(index + tries) % members.len()];
                    let read = Intent::get(key.clone(), ReadLevel::Quorum);
                    self.clients.begin(&mut self.world, *guest, Way::From(first), read);
                    *reading = Some((key, tries + 1));
                }
            }
            let pending = readers.iter().filter(|(_, reading)| reading.is_some()).count();
            if pending == 0 {
                return unread;
            }
            if matches!(self.advance(deadline + QUIET_WITHIN), Advanced::Arrived) {
                return unread + pending + waiting.len();
            }
        }
    }

    /// Members that do not even say that they agree are not compared; that they differ breaks a promise only where
    /// one primary leads them all.
    fn compare_members(&mut self, agreed: bool) {
        let members = self.members();
        self.members_equal = if agreed {
            let first = self.world.contents(members[0]);
            Some(members.iter().all(|node| self.world.contents(*node) == first))
        } else {
            differ_wrongly(&self.view).then_some(false)
        };
    }
}
