//! The replica's side of a divergence: cutting off what the primary's log does not have.
//!
//! A replica whose log has entries that are not on its primary's lineage is told so, with that lineage
//! ([`Message::Diverged`](crate::types::Message::Diverged)). It finds the fork itself: the last position that both logs
//! have. What comes after it goes to a rollback file, is cut off, and the replica is a prefix of the primary again, so
//! that entries do. This is Raft's rule for followers (§5.3), in one step instead of one entry at a time.
//!
//! * Nothing is cut before the primary's epoch is promised, durably: from then on no lower epoch can want it back.
//! * Only entries off the primary's lineage are cut, so an answer that comes late or twice cuts nothing.
//! * Once the disk has the order it cannot be called back: nothing is taken into the log until it has answered, and this
//!   node does not stand for election.
//! * The disk refuses where its cleanup has dropped what a cut would uncover. Then the whole state is asked for.

use super::core::Core;
use super::io::{CutOutcome, DiskJob, Effect, LogId};
use crate::types::{Epoch, Event, Lineage, NodeId, Position, ResyncReason, SEQ_MAX};

/// A cut that the disk is at.
#[derive(Debug)]
pub(super) struct Cut {
    /// Where the log will end.
    fork: Position,
    /// The name that it will have.
    log: LogId,
}

impl Core {
    pub(super) fn on_diverged(&mut self, from: NodeId, epoch: Epoch, last: u64, lineage: &Lineage) {
        if !self.hears_primary(from, epoch) || !self.promise_is_saved() {
            return; // not saved: it is said again when this node asks again
        }
        let in_transit = self.install.is_some() || self.cut.is_some();
        if in_transit || self.following().is_none_or(|following| following.verified) {
            return;
        }
        let fork = self.fork_from(epoch, last, lineage);
        if fork == self.log.last {
            return self.ask_for_entries();
        }
        let log = LogId(self.log.id.0 + 1);
        self.cut = Some(Cut { fork, log });
        self.emit(Effect::Disk(DiskJob::Cut { log, fork }));
    }

    /// The last position that this log shares with that of the primary of `epoch`, which ended at the seq `last` when it
    /// named its lineage. What this log has of that very epoch came from there, however late the answer is.
    fn fork_from(&self, epoch: Epoch, last: u64, lineage: &Lineage) -> Position {
        let goes_on = lineage.spans().last().is_some_and(|&(newest, _)| newest == epoch);
        let end = if goes_on { SEQ_MAX } else { last };
        self.log.lineage.fork_point(self.log.last.seq, lineage, end)
    }

    pub(super) fn on_log_cut(&mut self, log: LogId, outcome: CutOutcome) {
        let Some(cut) = self.cut.take_if(|cut| cut.log == log) else { return };
        let whole = match outcome {
            CutOutcome::Done(rollback) => {
                self.log.cut(log, cut.fork);
                // By force a committed entry can be lost; what is no longer there is not committed here.
                self.commit = self.commit.min(cut.fork.seq);
                let (discarded, file) = rollback.map_or((0, None), |r| (r.entries, Some(r.file)));
                self.tell(Event::LogCut { fork: cut.fork, discarded, file });
                None
            }
            CutOutcome::BelowCleanup => {
                self.log.id = log;
                Some(ResyncReason::Diverged)
            }
        };
        if let Some(following) = self.following_mut() {
            following.whole = whole;
            following.asked = None;
        }
        self.ask_for_entries();
    }
}
