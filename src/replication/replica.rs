//! The replica's side: following a primary, taking its entries, saying what is durable.

use std::time::Duration;

use bytes::Bytes;

use super::config::HEARTBEAT_EVERY;
use super::core::{Core, RoleState};
use super::io::RequestId;
use super::quorum_read::LocalRead;
use crate::types::{
    Entry, Epoch, Event, Failure, LossId, Message, NodeId, Position, Quirk, ResyncReason, Time, Unfollowed,
};

/// A replica, with or without a primary.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// The primary that it follows. `None` from a vote (or a restart) until that epoch's primary is heard.
    pub(super) following: Option<Following>,
    /// When a primary was last heard, and the last seq that it named: what the staleness gate goes by.
    pub(super) heartbeat: Option<(Time, u64)>,
    /// Whether eventual reads are refused, as last told.
    pub(super) stale: bool,
}

/// A replica's relation to one primary.
///
/// * `epoch` is the node's promise.
/// * `verified`: the whole log is a prefix of this primary's. Until then nothing is acknowledged to it.
#[derive(Debug)]
pub(super) struct Following {
    /// The primary's epoch.
    pub(super) epoch: Epoch,
    /// When it last heard from that primary.
    pub(super) heard: Time,
    /// Whether its log is known to be a prefix of the primary's.
    pub(super) verified: bool,
    /// When it last asked to be synchronised, and how long it then waits before it asks again.
    pub(super) asked: Option<(Time, Duration)>,
    /// Entries do not do: it needs the whole state, for this reason.
    pub(super) whole: Option<ResyncReason>,
}

/// A replica asks for what it lacks at most this often; the pause is doubled each time that nothing has come of it, for
/// an answer may be long on its way.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// The longest pause between two questions.
const ASK_EVERY_MAX: Duration = Duration::from_secs(2);

impl Core {
    /// Hears from a primary. Follows it if its epoch is the highest; refuses it if not. Returns whether this
    /// node follows it.
    pub(super) fn hears_primary(&mut self, from: NodeId, epoch: Epoch) -> bool {
        self.see(epoch);
        if epoch.node != from || epoch.node == self.config.id {
            return false;
        }
        if epoch < self.fence() {
            // Following its primary, or holding an entry of it, is knowing that an epoch was opened.
            let promised = self.promise.epoch;
            let opened = self.primary().is_some() || self.log.last.epoch == promised;
            self.send(from, Message::Refused { epoch, promised, opened });
            self.follow_refused(from, Unfollowed::Below { epoch, promised });
            return false;
        }
        let follows = |core: &Self| core.following().is_some_and(|f| f.epoch == epoch);
        if !follows(self) {
            self.follow(epoch);
        }
        let now = self.now;
        if let Some(following) = self.following_mut() {
            following.heard = now;
        }
        self.follow_obeyed(epoch);
        true
    }

    /// Nothing of an epoch below this is accepted: the promise.
    fn fence(&self) -> Epoch {
        if self.config.quirks.has(Quirk::NoFence) {
            return self.log.last.epoch; // the mistake: a vote leaves no mark in the log
        }
        self.promise.epoch
    }

    fn follow(&mut self, epoch: Epoch) {
        self.yield_to(epoch);
        if epoch > self.promise.epoch {
            self.promise_to(epoch);
        }
        self.auto_campaign = None;
        let heard = self.now;
        if let Some(replica) = self.replica_mut() {
            let following = Following { epoch, heard, verified: false, asked: None, whole: None };
            replica.following = Some(following);
        }
        self.tell(Event::Following { epoch });
    }

    /// Stops being whatever this node was under a lower epoch: primary, or follower of another primary.
    pub(super) fn yield_to(&mut self, epoch: Epoch) {
        self.step_down(epoch);
        self.abandon_install();
        if let Some(replica) = self.replica_mut() {
            replica.following = None;
        }
    }

    pub(super) fn on_heartbeat(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        (last, commit, sent): (u64, u64, u64),
        counts: Option<LossId>,
    ) {
        if !self.hears_primary(from, epoch) {
            return;
        }
        self.excuse_install();
        self.note_heartbeat(last);
        self.learn_commit(commit);
        if counts.is_some() && counts == self.loss() && self.is_in_step() {
            self.graduate();
        }
        if !self.promise_is_saved() {
            return; // on_saved goes on
        }
        if sent > 0 {
            self.abandon_install(); // the primary sends entries: it knows of no full resync
        }
        self.abandon_stuck_install();
        if self.install.is_some() {
            return self.install_acknowledge();
        }
        let verified = self.following().is_some_and(|following| following.verified);
        if !verified || self.log.last.seq < sent || (sent == 0 && self.log.last.seq < last) {
            self.ask_for_entries();
        }
        self.acknowledge();
    }

    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        prev: Position,
        entries: Vec<Entry>,
        commit: u64,
    ) {
        if !well_formed(epoch, prev, &entries) || !self.hears_primary(from, epoch) {
            return;
        }
        let end = entries.last().map_or(prev.seq, |entry| entry.at.seq);
        self.note_heartbeat(end.max(self.heartbeat_seq()));
        let (last, joins) = (self.log.last, self.joins(prev, entries.first().map_or(epoch, |e| e.at.epoch)));
        let in_transit = self.install.is_some() || self.cut.is_some();
        let Some(following) = self.following_mut().filter(|_| !in_transit) else { return };
        // `prev` lies on the primary's lineage: to end there is to be a prefix of the primary's log.
        following.verified |= joins;
        if !following.verified || prev.seq > last.seq {
            return self.ask_for_entries();
        }
        let new: Vec<_> = entries.into_iter().filter(|entry| entry.at.seq > last.seq).collect();
        if new.first().is_some_and(|entry| entry.at.epoch < last.epoch) {
            return; // not from a log of which this one is a prefix
        }
        if new.is_empty() {
            self.acknowledge(); // the acknowledgement may have been lost
        } else if self.disk_full {
            return; // as if they had been lost: nothing may pile up before a disk without room
        } else {
            let now = self.now;
            new.iter().cloned().for_each(|entry| self.log.append(entry, now));
            if let Some(following) = self.following_mut() {
                following.asked = None;
            }
            self.append_to_disk(new);
        }
        self.learn_commit(commit);
    }

    /// A commit index heard from a primary covers only what has been verified against that primary.
    fn learn_commit(&mut self, commit: u64) {
        if self.following().is_some_and(|following| following.verified) {
            self.commit = self.commit.max(commit.min(self.log.last.seq));
        }
    }

    /// Follows a primary with a log that is known to be a prefix of the primary's.
    fn is_in_step(&self) -> bool {
        self.following().is_some_and(|following| following.verified) && self.install.is_none()
    }

    /// Names the primary's epoch and the highest seq that is both verified against it and durable here.
    pub(super) fn acknowledge(&mut self) {
        let Some(following) = self.following() else { return };
        if following.verified && self.install.is_none() && self.promise_is_saved() {
            let (to, epoch) = (following.epoch.node, following.epoch);
            let (durable, learner) = (self.log.durable, self.loss());
            self.send(to, Message::Ack { epoch, durable, learner });
        }
    }

    /// Goes on with a primary whose epoch has just become a durable promise.
    pub(super) fn synchronise(&mut self) {
        match self.following() {
            Some(following) if !following.verified => self.ask_for_entries(),
            Some(_) => self.acknowledge(),
            None => {}
        }
    }

    /// Names the end of its log to the primary, which sends what follows.
    pub(super) fn ask_for_entries(&mut self) {
        let (now, last, learner) = (self.now, self.log.last, self.loss());
        let in_transit = self.install.is_some() || self.cut.is_some();
        let ready = self.promise_is_saved() && !in_transit && !self.disk_full;
        let Some(following) = self.following_mut().filter(|_| ready) else { return };
        let pause = match following.asked {
            Some((asked, pause)) if now.saturating_sub(asked) < pause => return,
            Some((_, pause)) => (pause * 2).min(ASK_EVERY_MAX),
            None => ASK_EVERY,
        };
        following.asked = Some((now, pause));
        let (epoch, whole) = (following.epoch, following.whole);
        self.send(epoch.node, Message::Sync { epoch, last, learner, whole });
    }

    pub(super) fn following(&self) -> Option<&Following> {
        self.replica()?.following.as_ref()
    }

    pub(super) fn following_mut(&mut self) -> Option<&mut Following> {
        self.replica_mut()?.following.as_mut()
    }

    pub(super) fn replica(&self) -> Option<&Replica> {
        match &self.role {
            RoleState::Primary(_) => None,
            RoleState::Replica(replica) | RoleState::Candidate(replica) => Some(replica),
        }
    }

    fn replica_mut(&mut self) -> Option<&mut Replica> {
        match &mut self.role {
            RoleState::Primary(_) => None,
            RoleState::Replica(replica) | RoleState::Candidate(replica) => Some(replica),
        }
    }
}

// === Eventual reads and the staleness gate

impl Core {
    pub(super) fn on_eventual_read(&mut self, request: RequestId, key: Bytes) {
        match self.too_stale() {
            Some(failure) => self.fail(request, failure),
            None => self.read_local(LocalRead::Eventual { request }, key),
        }
    }

    /// Operations behind the primary as of its last heartbeat.
    pub(super) fn lag(&self) -> Option<u64> {
        let (_, last) = self.replica()?.heartbeat?;
        Some(last.saturating_sub(self.log.durable))
    }

    /// Time since a primary was last heard.
    pub(super) fn heartbeat_age(&self) -> Option<Duration> {
        let (at, _) = self.replica()?.heartbeat?;
        Some(self.now.saturating_sub(at))
    }

    fn too_stale(&self) -> Option<Failure> {
        let replica = self.replica()?;
        let (age, lag) = (self.heartbeat_age(), self.lag().unwrap_or(0));
        let heard = replica.heartbeat.is_some() && age.is_some_and(|age| age <= self.config.stale_after);
        if heard && lag <= self.config.stale_lag {
            return None;
        }
        Some(Failure::TooStale { primary: self.primary(), age, lag })
    }

    /// Tells when the gate closes or opens.
    pub(super) fn staleness_on_time(&mut self) {
        let now_stale = self.too_stale().is_some();
        if let Some(replica) = self.replica_mut().filter(|replica| replica.stale != now_stale) {
            replica.stale = now_stale;
            self.tell(Event::Stale { stale: now_stale });
        }
    }

    /// When the gate closes if nothing is heard until then.
    pub(super) fn stale_deadline(&self, replica: &Replica) -> Option<Time> {
        let (at, _) = replica.heartbeat.filter(|_| !replica.stale)?;
        Some(at + self.config.stale_after + HEARTBEAT_EVERY / 100)
    }

    fn note_heartbeat(&mut self, last: u64) {
        let now = self.now;
        if let Some(replica) = self.replica_mut() {
            replica.heartbeat = Some((now, last));
        }
    }

    fn heartbeat_seq(&self) -> u64 {
        self.replica().and_then(|replica| replica.heartbeat).map_or(0, |(_, last)| last)
    }
}

/// Peer input is checked, never trusted: entries follow `prev` without a gap, no epoch goes back or beyond the
/// sender's, and nothing is longer than the disk takes.
fn well_formed(epoch: Epoch, prev: Position, entries: &[Entry]) -> bool {
    let mut before = prev;
    prev.epoch <= epoch
        && entries.iter().all(|entry| {
            let follows =
                entry.at.seq == before.seq + 1 && before.epoch <= entry.at.epoch && entry.at.epoch <= epoch;
            before = entry.at;
            follows && entry.op.is_within_limits()
        })
}
