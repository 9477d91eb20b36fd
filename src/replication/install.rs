//! The replica's side of a full resync: receiving a state beside the present one, and moving over.

use std::time::Duration;

use super::config::UNREACHABLE_AFTER;
use super::core::Core;
use super::io::{DiskJob, Effect, LogId, Rollback};
use crate::types::{Entry, Epoch, Event, Lineage, Message, NodeId, Position, SnapshotId, Time};

/// A state being received.
///
/// * The primary's epoch was promised, durably, before it began.
/// * It replaces the log only when it is whole; until then the present state is what this node has.
/// * Once the disk has the order to move over (`committing`) it cannot be called back: nothing else is taken
///   into the log, and no other state is received, until the disk has answered.
#[derive(Debug)]
pub(super) struct Install {
    /// Names it, as the primary chose.
    id: SnapshotId,
    /// The primary's epoch.
    epoch: Epoch,
    /// The position of the state.
    pub(super) at: Position,
    /// The lineage up to there.
    lineage: Lineage,
    /// The last record received: what follows must ascend.
    last: Position,
    /// Chunks received.
    received: u64,
    /// Chunks that the disk has written; these are acknowledged.
    stored: u64,
    /// Bytes received.
    pub(super) bytes: u64,
    /// Bytes in all, as the primary announced.
    pub(super) bytes_total: u64,
    /// Whether the disk has the order to move over.
    pub(super) committing: bool,
    /// When it last got anywhere.
    moved_at: Time,
}

impl Install {
    /// Peer input is checked, never trusted: records ascend, lie on the lineage, end where the state does, and are
    /// no longer than the disk takes. The first that is otherwise.
    fn first_bad(&self, entries: &[Entry]) -> Option<Position> {
        let mut before = self.last.seq;
        let bad = |entry: &&Entry| {
            let at = entry.at;
            let fits =
                at.seq > before && self.lineage.contains(at, self.at.seq) && entry.op.is_within_limits();
            before = at.seq;
            !fits
        };
        entries.iter().find(bad).map(|entry| entry.at)
    }
}

/// A full resync that has brought nothing for this long is given up: its primary may know of another, or of none. The
/// time is doubled with each that is given up, for the link may be slow, and begins anew with one that is installed.
pub(super) const GIVE_UP_AFTER_MIN: Duration = Duration::from_secs(2);
/// The longest such time.
const GIVE_UP_AFTER_MAX: Duration = Duration::from_secs(32);

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
        let ends_there =
            lineage.spans().last().is_some_and(|&(last, first)| last == at.epoch && first <= at.seq);
        let sound = at.epoch <= epoch && lineage.is_sound() && ends_there;
        if !sound || !self.hears_primary(from, epoch) || !self.promise_is_saved() {
            return; // not saved: the primary begins again when it is asked again
        }
        if at <= self.log.last || at.epoch != epoch {
            return self.ask_for_entries(); // it has that much already, and may have acknowledged it
        }
        if self.cut.is_some() {
            return;
        }
        match &self.install {
            Some(install) if install.committing => return,
            Some(install) if install.id == id && install.epoch == epoch => return self.install_acknowledge(),
            _ => {}
        }
        let Some(following) = self.following_mut() else { return };
        following.verified = false;
        self.install = Some(Install {
            id,
            epoch,
            at,
            lineage,
            last: Position::ZERO,
            received: 0,
            stored: 0,
            bytes: 0,
            bytes_total,
            committing: false,
            moved_at: self.now,
        });
        self.emit(Effect::Disk(DiskJob::InstallBegin { id }));
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
        if let Some(bad) = install.first_bad(&entries) {
            // To the disk it would be a contradiction, and the end of this process.
            self.abandon_install();
            return self.tell(Event::FullResyncRefused { node: from, record: bad });
        }
        install.last = entries.last().map_or(install.last, |entry| entry.at);
        install.received = index;
        install.moved_at = now;
        install.bytes += entries.iter().map(|entry| entry.weight() as u64).sum::<u64>();
        install.committing = done;
        let (at, lineage) = (install.at, install.lineage.clone());
        self.emit(Effect::Disk(DiskJob::InstallChunk { id, entries }));
        if done {
            let fork = self.log.lineage.fork_point(self.log.last.seq, &lineage, at.seq);
            let log = LogId(self.log.id.0 + 1);
            self.emit(Effect::Disk(DiskJob::InstallCommit { id, log, at, lineage, fork }));
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
        self.resyncs.installed += 1;
        // By force a committed entry can be lost; what is no longer there is not committed here.
        self.commit = self.commit.min(install.at.seq);
        let (discarded, file) = rollback.map_or((0, None), |r| (r.entries, Some(r.file)));
        self.tell(Event::FullResyncInstalled { at: install.at, discarded, file });
        if let Some(following) = self.following_mut() {
            // Of a primary that was superseded meanwhile, this is a state like any other: to be verified.
            following.verified = following.epoch == install.epoch;
            following.whole = None;
            following.asked = None;
            self.give_up_after = GIVE_UP_AFTER_MIN;
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
            self.emit(Effect::Disk(DiskJob::InstallAbort { id: install.id }));
        }
    }

    /// Nobody was heard for a while: that the state has got nowhere meanwhile is no reason to give it up.
    pub(super) fn excuse_install(&mut self) {
        let (now, age) = (self.now, self.heartbeat_age());
        if let Some(install) =
            self.install.as_mut().filter(|_| age.is_some_and(|age| age >= UNREACHABLE_AFTER))
        {
            install.moved_at = now;
        }
    }

    /// Gives up a state of which nothing more comes, though its primary is heard.
    pub(super) fn abandon_stuck_install(&mut self) {
        let now = self.now;
        if self.install.as_ref().is_some_and(|i| now.saturating_sub(i.moved_at) >= self.give_up_after) {
            self.give_up_after = (self.give_up_after * 2).min(GIVE_UP_AFTER_MAX);
            self.abandon_install();
        }
    }

    /// Whether the disk has the order to replace or to cut the log and has not answered.
    pub(super) fn is_moving_over(&self) -> bool {
        self.cut.is_some() || self.install.as_ref().is_some_and(|install| install.committing)
    }

    /// Where this node's log ends, as far as anyone may hold it to that: a state on its way in counts from
    /// the moment it cannot be called back.
    pub(super) fn last_for_votes(&self) -> Position {
        let coming = self.install.as_ref().filter(|install| install.committing).map(|install| install.at);
        coming.map_or(self.log.last, |at| at.max(self.log.last))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::config::{Config, Recovered};
    use super::super::io::{Input, Promise};
    use super::*;
    use crate::types::{Op, Time, VALUE_BYTES_MAX};

    const N1: NodeId = NodeId(1);
    const E1: Epoch = Epoch::new(1, N1);
    const E2: Epoch = Epoch::new(2, N1);
    const ID: SnapshotId = SnapshotId(7);

    /// A replica that has begun to receive a state as of `2@n1/9`, whose lineage is 1@n1 from 1 and 2@n1 from 5.
    fn receiving(lineage: Vec<(Epoch, u64)>) -> (Core, Vec<Effect>) {
        let (mut core, _) = Core::new(
            Config::new(NodeId(2), vec![N1, NodeId(2), NodeId(3)]),
            Recovered::default(),
            Time::ZERO,
        );
        let mut step = |message| core.step(Time::ZERO, Input::Peer { from: N1, message });
        let _ = step(Message::Heartbeat { epoch: E2, last: 9, commit: 9, sent: 0, counts: None });
        let promise = Promise { epoch: E2, learner: false };
        let _ = core.step(Time::ZERO, Input::Saved { promise });
        let lineage = Lineage::from_spans(lineage).expect("ascends");
        let at = Position::new(E2, 9);
        let begin = Message::SnapshotBegin { epoch: E2, id: ID, at, lineage, bytes_total: 900 };
        let effects = core.step(Time::ZERO, Input::Peer { from: N1, message: begin });
        (core, effects)
    }

    fn record(epoch: Epoch, seq: u64, value: usize) -> Entry {
        let op = Op::Put { key: Bytes::from_static(b"k"), value: vec![0; value].into() };
        Entry { at: Position::new(epoch, seq), op }
    }

    fn chunk(core: &mut Core, index: u64, entries: Vec<Entry>) -> Vec<Effect> {
        let message = Message::SnapshotChunk { epoch: E2, id: ID, index, entries, done: false };
        core.step(Time::ZERO, Input::Peer { from: N1, message })
    }

    fn reaches_the_disk(effects: &[Effect]) -> bool {
        effects.iter().any(|effect| matches!(effect, Effect::Disk(DiskJob::InstallChunk { .. })))
    }

    #[test]
    fn records_that_cannot_be_do_not_reach_the_disk() {
        for bad in [
            vec![record(E1, 2, 1)],
            vec![record(E1, 4, 1), record(E1, 4, 1)],
            vec![record(E1, 4, 1), record(E1, 3, 1)],
            vec![record(E1, 5, 1)],
            vec![record(E2, 4, 1)],
            vec![record(E2, 9, 1), record(E2, 10, 1)],
            vec![record(E2, 9, VALUE_BYTES_MAX + 1)],
        ] {
            let (mut core, _) = receiving(vec![(E1, 1), (E2, 5)]);
            assert!(reaches_the_disk(&chunk(&mut core, 1, vec![record(E1, 1, 1), record(E1, 2, 1)])));
            let effects = chunk(&mut core, 2, bad.clone());
            let told = |effect: &Effect| matches!(effect, Effect::Event(Event::FullResyncRefused { .. }));
            assert!(!reaches_the_disk(&effects), "{:?}", bad[0].at);
            assert!(
                effects.contains(&Effect::Disk(DiskJob::InstallAbort { id: ID })) && effects.iter().any(told),
                "{effects:?}"
            );
            // Whatever more of it comes is not taken up again.
            assert!(!reaches_the_disk(&chunk(&mut core, 2, vec![record(E2, 9, 1)])));
        }
    }

    #[test]
    fn records_on_the_lineage_do_gaps_and_all() {
        let (mut core, _) = receiving(vec![(E1, 1), (E2, 5)]);
        assert!(reaches_the_disk(&chunk(&mut core, 1, vec![record(E1, 4, 1), record(E2, 5, 1)])));
        assert!(reaches_the_disk(&chunk(&mut core, 2, vec![record(E2, 9, 1)])));
    }

    #[test]
    fn a_lineage_that_goes_on_after_the_state_is_not_begun() {
        let begun = |effects: &[Effect]| effects.contains(&Effect::Disk(DiskJob::InstallBegin { id: ID }));
        assert!(begun(&receiving(vec![(E1, 1), (E2, 9)]).1));
        assert!(!begun(&receiving(vec![(E1, 1), (E2, 10)]).1));
        assert!(!begun(&receiving(vec![(E1, 1), (E2, 5), (Epoch::new(3, N1), 10)]).1));
    }
}
