//! The primary's side of synchronisation: partial from the backlog, or the whole state in chunks.

use std::time::Duration;

use super::core::{Core, RoleState};
use super::io::Effect;
use super::progress::{EntryStream, SnapshotStream, Stream};
use crate::types::{Entry, Epoch, Event, Message, NodeId, Position, Quirk, ResyncReason, SnapshotId};

/// A part of a full resync that has brought no acknowledgement for this long is sent again.
const SEND_AGAIN: Duration = Duration::from_millis(300);
/// A full resync that a replica no longer knows of (it asks for entries instead) is begun anew after this.
const BEGIN_AGAIN: Duration = Duration::from_secs(1);

impl Core {
    /// A replica says where its log ends: what follows comes from the backlog if it can, else all of it.
    pub(super) fn on_sync(&mut self, from: NodeId, epoch: Epoch, last: Position) {
        let on_lineage = self.is_on_lineage(last);
        let (end, now) = (self.log.last.seq, self.now);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let primary_epoch = primary.epoch;
        let Some(peer) = primary.peers.get_mut(&from).filter(|_| epoch == primary.epoch) else { return };
        // A member that has lost its disk has less than it once acknowledged.
        peer.acked = peer.acked.min(last.seq);
        if let Stream::Snapshot(snapshot) = &peer.stream {
            let installed = on_lineage && snapshot.opened.is_some_and(|(at, _)| at.seq <= last.seq);
            let alive = now.saturating_sub(snapshot.acked_at) < BEGIN_AGAIN;
            if !installed && alive {
                return self.snapshot_again(from);
            }
            self.close_snapshot(from);
        }
        // The state that would be sent is the durable one: it must hold this epoch's opening, and more than the
        // replica has. Until then the replica asks again with every heartbeat.
        let (epoch, durable) = (primary_epoch, self.log.durable_end());
        let worth_it = durable.epoch == epoch && (!on_lineage || durable.seq > last.seq);
        let reason = match on_lineage {
            false => ResyncReason::Diverged,
            true if last.seq < end && !self.log.backlog.holds(last.seq + 1) => ResyncReason::BeyondBacklog,
            true => return self.stream_from(from, last),
        };
        if worth_it {
            self.begin_snapshot(from, last, reason);
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
        let is_back = peer.is_back(now);
        peer.stream = Stream::Entries(EntryStream::after(last.seq));
        // An epoch's opening no-op is not worth telling.
        let opening_only = last.seq + 1 == end && end == opening;
        if is_back && last.seq < end && !opening_only {
            peer.back_at = None;
            // The first entries of an empty log bring nobody back.
            self.resyncs.partial += u64::from(last != Position::ZERO);
            self.tell(Event::PartialResync { node: to, from: last, entries: end - last.seq });
        }
        if last.seq == end {
            // Nothing to send; but it learns that its log is a prefix of this one.
            self.send(to, Message::Append { epoch, prev: last, entries: Vec::new(), commit });
        }
        self.stream_to(to);
    }

    /// The replica was synchronised, and then too slow for the backlog.
    pub(super) fn fell_off_backlog(&mut self, to: NodeId) {
        let RoleState::Primary(primary) = &self.role else { return };
        let acked = primary.peers.get(&to).map_or(0, |peer| peer.acked);
        let at = self.log.position(acked);
        self.begin_snapshot(to, at, ResyncReason::BeyondBacklog);
    }

    fn begin_snapshot(&mut self, to: NodeId, from: Position, reason: ResyncReason) {
        self.snapshots = self.snapshots.wrapping_add(1);
        let (id, now) = (SnapshotId(self.snapshots), self.now);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peers.get_mut(&to) else { return };
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
        let RoleState::Primary(primary) = &self.role else { return };
        if let Some(Stream::Snapshot(snapshot)) = primary.peers.get(&to).map(|peer| &peer.stream)
            && now.saturating_sub(snapshot.sent_at) >= SEND_AGAIN
        {
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

    fn snapshot(&mut self, id: SnapshotId) -> Option<(NodeId, &mut SnapshotStream)> {
        let RoleState::Primary(primary) = &mut self.role else { return None };
        primary.peers.iter_mut().find_map(|(&node, peer)| match &mut peer.stream {
            Stream::Snapshot(snapshot) if snapshot.id == id => Some((node, snapshot)),
            _ => None,
        })
    }

    /// Forgets a full resync, delivered or not.
    fn close_snapshot(&mut self, to: NodeId) {
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
