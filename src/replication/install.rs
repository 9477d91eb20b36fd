//! The replica's side of a full resync: receiving a state beside the present one, and moving over.

use std::time::Duration;

use super::core::Core;
use super::event::Event;
use super::io::{Effect, LogId, Rollback};
use super::message::{Message, SnapshotId};
use super::types::{Entry, Epoch, Lineage, NodeId, Position, Time};

/// A state being received.
///
/// * The primary's epoch was promised, durably, before it began.
/// * It replaces the log only when it is whole; until then the present state is what this node has.
/// * Once the disk has the order to move over (`committing`) it cannot be called back: nothing else is taken
///   into the log, and no other state is received, until the disk has answered.
#[derive(Debug)]
pub(super) struct Install {
    id: SnapshotId,
    epoch: Epoch,
    pub(super) at: Position,
    lineage: Lineage,
    received: u64,
    stored: u64,
    pub(super) bytes: u64,
    pub(super) bytes_total: u64,
    pub(super) committing: bool,
    /// When it last got anywhere.
    moved_at: Time,
}

/// A full resync that has brought nothing for this long is given up: its primary may know of another, or of none.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

impl Core {
    pub(super) fn on_snapshot_begin(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        id: SnapshotId,
        at: Position,
        lineage: Lineage,
        bytes_total: u64,
    ) {
        let sound = at.epoch <= epoch && lineage.is_sound() && lineage.contains(at, at.seq);
        if !sound || !self.hears_primary(from, epoch) || !self.promise_is_saved() {
            return; // not saved: the primary begins again when it is asked again
        }
        if at <= self.log.last || at.epoch != epoch {
            return self.ask_for_entries(); // it has that much already, and may have acknowledged it
        }
        match &self.install {
            Some(install) if install.committing => return,
            Some(install) if install.id == id && install.epoch == epoch => return self.install_acknowledge(),
            _ => {}
        }
        let Some(following) = self.following_mut() else { return };
        following.verified = false;
        let (received, stored, bytes, committing) = (0, 0, 0, false);
        let moved_at = self.now;
        let install =
            Install { id, epoch, at, lineage, received, stored, bytes, bytes_total, committing, moved_at };
        self.install = Some(install);
        self.emit(Effect::InstallBegin { id });
        self.install_acknowledge();
    }

    pub(super) fn on_snapshot_chunk(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        id: SnapshotId,
        index: u64,
        entries: Vec<Entry>,
        done: bool,
    ) {
        if !self.hears_primary(from, epoch) {
            return;
        }
        let now = self.now;
        let Some(install) = &mut self.install else { return };
        if install.id != id || install.epoch != epoch || install.committing {
            return;
        }
        if index != install.received + 1 {
            return self.install_acknowledge();
        }
        install.received = index;
        install.moved_at = now;
        install.bytes += entries.iter().map(|entry| entry.weight() as u64).sum::<u64>();
        install.committing = done;
        let (at, lineage) = (install.at, install.lineage.clone());
        self.emit(Effect::InstallChunk { id, entries });
        if done {
            let fork = self.log.lineage.fork_point(self.log.last.seq, &lineage, at.seq);
            let log = LogId(self.log.id.0 + 1);
            self.emit(Effect::InstallCommit { id, log, at, lineage, fork });
        }
    }

    /// The disk has taken a chunk: the next may come. Acknowledging earlier would let a fast primary pile
    /// chunks up in front of a slow disk.
    pub(super) fn on_chunk_stored(&mut self, id: SnapshotId) {
        let now = self.now;
        if let Some(install) = self.install.as_mut().filter(|install| install.id == id) {
            install.moved_at = now;
            install.stored += 1;
            self.install_acknowledge();
        }
    }

    pub(super) fn on_installed(&mut self, id: SnapshotId, log: LogId, rollback: Option<Rollback>) {
        let Some(install) = self.install.take_if(|install| install.id == id && install.committing) else {
            return;
        };
        self.log.replace(log, install.at, install.lineage);
        // By force a committed entry can be lost; what is no longer there is not committed here.
        self.commit = self.commit.min(install.at.seq);
        let (discarded, file) = rollback.map_or((0, None), |r| (r.entries, Some(r.file)));
        self.tell(Event::FullResyncInstalled { at: install.at, discarded, file });
        if let Some(following) = self.following_mut() {
            // Of a primary that was superseded meanwhile, this is a state like any other: to be verified.
            following.verified = following.epoch == install.epoch;
            following.voice_from = None;
            following.asked = None;
        }
        self.ask_for_entries();
        self.acknowledge();
    }

    /// Tells the primary how far the state has arrived and been written.
    pub(super) fn install_acknowledge(&mut self) {
        let Some(install) = &self.install else { return };
        let (epoch, id, index) = (install.epoch, install.id, install.stored);
        if epoch == self.promise.epoch {
            self.send(epoch.node, Message::SnapshotAck { epoch, id, index });
        }
    }

    /// Gives up a state that is being received, unless the disk is already moving over.
    pub(super) fn abandon_install(&mut self) {
        if let Some(install) = self.install.take_if(|install| !install.committing) {
            self.emit(Effect::InstallAbort { id: install.id });
        }
    }

    /// Gives up a state of which nothing more comes.
    pub(super) fn abandon_stuck_install(&mut self) {
        let now = self.now;
        if self.install.as_ref().is_some_and(|i| now.saturating_sub(i.moved_at) >= GIVE_UP_AFTER) {
            self.abandon_install();
        }
    }

    /// Whether the disk has the order to replace the log and has not answered.
    pub(super) fn is_moving_over(&self) -> bool {
        self.install.as_ref().is_some_and(|install| install.committing)
    }

    /// Where this node's log ends, as far as anyone may hold it to that: a state on its way in counts from
    /// the moment it cannot be called back.
    pub(super) fn last_for_votes(&self) -> Position {
        let coming = self.install.as_ref().filter(|install| install.committing).map(|install| install.at);
        coming.map_or(self.log.last, |at| at.max(self.log.last))
    }
}
