//! The primary's side of synchronisation: entries from the backlog or from the log, or the whole state in chunks.

use std::time::Duration;

use super::core::{Core, RoleState};
use super::io::{Effect, EntriesFound};
use super::progress::{EntryStream, Progress, SEND_AGAIN_MIN, SnapshotStream, Stream};
use crate::types::{Entry, Epoch, Event, LossId, Message, NodeId, Position, Quirk, ResyncReason, SnapshotId};

/// A full resync that a replica no longer knows of (it asks for entries instead) is begun anew after this, at least.
const BEGIN_AGAIN_MIN: Duration = Duration::from_secs(1);
/// And at most: the time is doubled with each that is begun anew.
const BEGIN_AGAIN_MAX: Duration = Duration::from_secs(32);
/// A part of a full resync is sent again after so many times the last round trip.
const ROUND_TRIPS: u32 = 3;

impl Core {
    /// A replica says where its log ends. What follows comes from the backlog, or is read back from the log; a log that
    /// has diverged is told where this one went; and the whole state is sent only where entries do not do.
    pub(super) fn on_sync(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        last: Position,
        learner: Option<LossId>,
        whole: Option<ResyncReason>,
    ) {
        let (on_lineage, now) = (self.is_on_lineage(last), self.now);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peers.get_mut(&from).filter(|_| epoch == primary.epoch) else { return };
        // A member that has lost what it once acknowledged has less.
        peer.acked = peer.acked.min(last.seq);
        if let Stream::Snapshot(snapshot) = &peer.stream {
            let installed = on_lineage && snapshot.opened.is_some_and(|(at, _)| at.seq <= last.seq);
            let patience = peer.begin_again.max(BEGIN_AGAIN_MIN);
            if !installed && now.saturating_sub(snapshot.acked_at) < patience {
                self.hears_learner(from, learner);
                return self.snapshot_again(from);
            }
            peer.begin_again = if installed { Duration::ZERO } else { (patience * 2).min(BEGIN_AGAIN_MAX) };
            self.close_snapshot(from);
        }
        self.hears_learner(from, learner);
        match whole {
            Some(reason) => self.begin_snapshot(from, last, reason),
            None if on_lineage => self.stream_from(from, last),
            None => {
                let (last, lineage) = (self.log.last.seq, self.log.lineage.clone());
                self.send(from, Message::Diverged { epoch, last, lineage });
            }
        }
    }

    /// Whether a log that ends at `last` is a prefix of this one.
    fn is_on_lineage(&self, last: Position) -> bool {
        if self.config.quirks.has(Quirk::NoLineageCheck) && last.seq <= self.log.last.seq {
            // The mistake: whoever wrote it. (A log whose epochs went back would be refused by any disk.)
            return last.epoch <= self.log.lineage.epoch_of(last.seq + 1);
        }
        self.log.contains(last)
    }

    /// Whether this log ends where a primary's entries begin: after `prev`, with one of epoch `next`.
    pub(super) fn joins(&self, prev: Position, next: Epoch) -> bool {
        let last = self.log.last;
        let seems_to = self.config.quirks.has(Quirk::NoLineageCheck); // the mistake: by seq alone
        prev == last || (seems_to && prev.seq == last.seq && last.epoch <= next)
    }

    fn stream_from(&mut self, to: NodeId, last: Position) {
        let (now, end, commit) = (self.now, self.log.last.seq, self.commit);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let (epoch, opening) = (primary.epoch, primary.opening);
        let Some(peer) = primary.peers.get_mut(&to) else { return };
        let mut stream = EntryStream::after(last.seq);
        // An epoch's opening no-op is not worth telling.
        let opening_only = last.seq + 1 == end && end == opening;
        if peer.is_back(now) && last.seq < end && !opening_only && peer.told != Some(last) {
            stream.untold = Some(last);
        }
        peer.stream = Stream::Entries(stream);
        if last.seq == end {
            // Nothing to send; but it learns that its log is a prefix of this one.
            self.send(to, Message::Append { epoch, prev: last, entries: Vec::new(), commit });
        }
        self.stream_to(to);
    }

    /// The first entries for a member that was away have been sent.
    pub(super) fn tell_partial_resync(&mut self, to: NodeId) {
        let end = self.log.last.seq;
        let Some(from) = self.entries_to(to).and_then(|stream| stream.untold.take()) else { return };
        let RoleState::Primary(primary) = &mut self.role else { return };
        if let Some(peer) = primary.peers.get_mut(&to) {
            (peer.back_at, peer.told) = (None, Some(from));
        }
        // The first entries of an empty log bring nobody back.
        self.resyncs.partial += u64::from(from != Position::ZERO);
        self.tell(Event::PartialResync { node: to, from, entries: end - from.seq });
    }

    /// What a member needs next is not in the backlog any more: it is read back from the log.
    pub(super) fn read_entries_for(&mut self, to: NodeId, from: u64, bytes: usize) {
        if let Some(stream) = self.entries_to(to).filter(|stream| !stream.reading) {
            stream.reading = true;
            self.emit(Effect::EntriesRead { to, from, bytes });
        }
    }

    pub(super) fn on_entries_read(&mut self, to: NodeId, from: u64, found: EntriesFound) {
        let (now, prev, commit) = (self.now, self.log.position(from.saturating_sub(1)), self.commit);
        let Some(stream) = self.entries_to(to).filter(|stream| stream.reading && stream.next == from) else {
            return;
        };
        stream.reading = false;
        match found {
            EntriesFound::Entries(entries) => {
                stream.sent(&entries, now);
                let epoch = self.promise.epoch;
                self.send(to, Message::Append { epoch, prev, entries, commit });
                self.tell_partial_resync(to);
                self.stream_to(to);
            }
            EntriesFound::Gone => self.begin_snapshot(to, prev, ResyncReason::CleanedUp),
            EntriesFound::Damaged => {} // its next acknowledgement asks again
        }
    }

    fn entries_to(&mut self, to: NodeId) -> Option<&mut EntryStream> {
        let RoleState::Primary(primary) = &mut self.role else { return None };
        match primary.peers.get_mut(&to) {
            Some(Progress { stream: Stream::Entries(stream), .. }) => Some(stream),
            _ => None,
        }
    }

    /// Sends the whole state to a member whose log ends at `from`. The state that is sent is the durable one: it must
    /// hold this epoch's opening. Until it does, the member asks again with every heartbeat.
    fn begin_snapshot(&mut self, to: NodeId, from: Position, reason: ResyncReason) {
        let (now, holds_opening) = (self.now, self.log.durable_end().epoch == self.promise.epoch);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peers.get_mut(&to) else { return };
        if !holds_opening {
            peer.stream = Stream::Unknown;
            return;
        }
        self.snapshots = self.snapshots.wrapping_add(1);
        let id = SnapshotId(self.snapshots);
        peer.stream = Stream::Snapshot(SnapshotStream::new(id, now));
        peer.back_at = None;
        self.resyncs.full += 1;
        self.tell(Event::FullResyncStarted { node: to, from, reason });
        self.emit(Effect::SnapshotOpen { id });
    }

    pub(super) fn on_snapshot_opened(&mut self, id: SnapshotId, at: Position, bytes_total: u64) {
        assert!(self.log.contains(at), "a snapshot is a state of this log");
        let now = self.now;
        let Some((to, snapshot)) = self.snapshot(id) else {
            return self.emit(Effect::SnapshotClose { id });
        };
        snapshot.opened = Some((at, bytes_total));
        snapshot.acked_at = now;
        self.send_snapshot_part(to);
    }

    pub(super) fn on_snapshot_read(&mut self, id: SnapshotId, entries: Vec<Entry>, done: bool) {
        let Some((to, snapshot)) = self.snapshot(id) else { return };
        if entries.is_empty() && !done {
            snapshot.waits_for_repair = true; // looked at again with the next heartbeat
            return;
        }
        let index = snapshot.chunk.take().map_or(1, |(index, ..)| index + 1);
        snapshot.chunk = Some((index, entries, done));
        snapshot.reading = false;
        self.send_snapshot_part(to);
    }

    pub(super) fn on_snapshot_ack(&mut self, from: NodeId, epoch: Epoch, id: SnapshotId, index: u64) {
        let (now, current) = (self.now, epoch == self.promise.epoch);
        if !current || self.snapshot(id).is_none_or(|(to, _)| to != from) {
            return;
        }
        self.heard_of_snapshot(from);
        let Some((to, snapshot)) = self.snapshot(id) else { return };
        if snapshot.reading || snapshot.delivered {
            return;
        }
        let (under_way, last) = snapshot.chunk.as_ref().map_or((0, false), |&(index, _, done)| (index, done));
        if index < under_way {
            return self.snapshot_again(from);
        }
        snapshot.acked_at = now;
        snapshot.send_again = (now.saturating_sub(snapshot.sent_at) * ROUND_TRIPS).max(SEND_AGAIN_MIN);
        if !last {
            snapshot.reading = true;
            return self.emit(Effect::SnapshotRead { id });
        }
        snapshot.delivered = true;
        snapshot.chunk = None;
        let at = snapshot.opened.map_or(Position::ZERO, |(at, _)| at);
        self.emit(Effect::SnapshotClose { id });
        self.tell(Event::FullResyncSent { node: to, at });
    }

    /// A state that waited for a damaged value to be repaired is looked at again.
    pub(super) fn snapshots_on_heartbeat(&mut self) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        let mut waiting = Vec::new();
        for peer in primary.peers.values_mut() {
            if let Stream::Snapshot(snapshot) = &mut peer.stream
                && std::mem::take(&mut snapshot.waits_for_repair)
            {
                snapshot.acked_at = now; // it is this side that keeps the other waiting
                waiting.push(snapshot.id);
            }
        }
        waiting.into_iter().for_each(|id| self.emit(Effect::SnapshotRead { id }));
    }

    /// A member that acknowledges parts of a full resync is not silent: what it asks for afterwards belongs to that.
    fn heard_of_snapshot(&mut self, from: NodeId) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        if let Some(peer) = primary.peers.get_mut(&from) {
            peer.acked_at = Some(now);
        }
    }

    /// Sends the part under way again, if it has been under way for long.
    fn snapshot_again(&mut self, to: NodeId) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        if let Some(Stream::Snapshot(snapshot)) = primary.peers.get_mut(&to).map(|peer| &mut peer.stream)
            && now.saturating_sub(snapshot.sent_at) >= snapshot.send_again
        {
            snapshot.send_again = (snapshot.send_again * 2).min(BEGIN_AGAIN_MAX);
            self.send_snapshot_part(to);
        }
    }

    fn send_snapshot_part(&mut self, to: NodeId) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        let epoch = primary.epoch;
        let Some(Stream::Snapshot(snapshot)) = primary.peers.get_mut(&to).map(|peer| &mut peer.stream) else {
            return;
        };
        let Some((at, bytes_total)) = snapshot.opened else { return };
        let id = snapshot.id;
        let message = match snapshot.chunk.clone() {
            Some((index, entries, done)) => Message::SnapshotChunk { epoch, id, index, entries, done },
            None if snapshot.delivered => return,
            None => {
                let lineage = self.log.lineage_until(at.seq);
                Message::SnapshotBegin { epoch, id, at, lineage, bytes_total }
            }
        };
        snapshot.sent_at = now;
        self.send(to, message);
    }

    pub(super) fn snapshot(&mut self, id: SnapshotId) -> Option<(NodeId, &mut SnapshotStream)> {
        let RoleState::Primary(primary) = &mut self.role else { return None };
        primary.peers.iter_mut().find_map(|(&node, peer)| match &mut peer.stream {
            Stream::Snapshot(snapshot) if snapshot.id == id => Some((node, snapshot)),
            _ => None,
        })
    }

    /// Forgets a full resync, delivered or not.
    pub(super) fn close_snapshot(&mut self, to: NodeId) {
        let RoleState::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peers.get_mut(&to) else { return };
        if let Stream::Snapshot(snapshot) = std::mem::take(&mut peer.stream)
            && !snapshot.delivered
        {
            self.emit(Effect::SnapshotClose { id: snapshot.id });
        }
    }

    pub(super) fn close_snapshots(&mut self) {
        self.others().into_iter().for_each(|other| self.close_snapshot(other));
    }
}
