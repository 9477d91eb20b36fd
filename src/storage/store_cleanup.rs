//! The store's part in a cleanup: when one begins, what becomes of each record, and where records have moved.

use bytes::Bytes;

use super::cleanup::plan::{CleanupPolicy, Group, NothingToDo, plan, policy_wants};
use super::cleanup::questions::{
    AnswerKind, CleanupAnswer, CleanupProgress, CleanupRequest, RecordFate, RequestKind,
};
use super::cleanup::run::{Cleaned, Cleanup};
use super::error::StorageError;
use super::gate::Halt;
use super::store::{Cleaning, Store};
use super::tally::Held;
use super::writing::job::{Job, Swap};
use super::writing::writer::Writer;
use crate::types::Position;

/// What is to be done about a cleanup's request.
#[derive(Debug)]
pub enum Served {
    /// Give the cleanup this answer.
    Answer(CleanupAnswer),
    /// Have the writer carry this out; the answer is there when its outcome has been applied
    /// ([`Store::take_answer`]).
    Job(Job),
}

impl Store {
    /// Whether the closed segments hold so much garbage up to the seq `through` that a cleanup should begin by itself.
    pub fn wants_cleanup(&self, policy: CleanupPolicy, through: u64) -> bool {
        let closed = self.contents.segments.closed();
        self.cleaning.is_none() && policy_wants(closed, self.end_of_closed(), through, policy)
    }

    /// Begins a cleanup of the closed segments, but for those that are known to hold a damaged value. `through` is the
    /// highest seq known to be committed: what is above it stays. There is none beside it until [`end_cleanup`](Self::end_cleanup).
    ///
    /// # Errors
    /// Why there is none to begin.
    pub fn begin_cleanup(&mut self, through: u64) -> Result<Cleanup, NothingToDo> {
        if self.cleaning.is_some() {
            return Err(NothingToDo::UnderWay);
        }
        let closed = self.contents.segments.closed();
        let damaged = |held: &Held| self.is_damaged(&held.piece);
        let groups = plan(closed, self.end_of_closed(), through, self.segment_bytes, &damaged)?;
        let total = groups.iter().map(Group::bytes).sum();
        let progress = CleanupProgress { done: 0, total };
        let tombstones_stay = self.contents.segments.closed().iter().any(damaged);
        self.cleaning =
            Some(Cleaning { era: self.ground.era, through, progress, superseded: 0, tombstones_stay });
        Ok(Cleanup { ground: self.ground.clone(), groups, progress })
    }

    /// How far the cleanup under way is, if there is one.
    pub fn cleanup_progress(&self) -> Option<CleanupProgress> {
        self.cleaning.as_ref().map(|cleaning| cleaning.progress)
    }

    /// The cleanup under way has ended, however it did.
    pub fn end_cleanup(&mut self) {
        self.cleaning = None;
        self.answer = None;
    }

    /// Does what the cleanup under way asks for.
    ///
    /// # Errors
    /// If the index does not know a record of the log: a bug, and final.
    pub fn serve(&mut self, request: CleanupRequest) -> Result<Served, StorageError> {
        let Some(cleaning) = self.cleaning.as_mut().filter(|c| c.era == self.ground.era) else {
            return Ok(Served::Answer(CleanupAnswer(AnswerKind::Stop)));
        };
        let answer = match request.0 {
            RequestKind::Judge { records, progress } => {
                cleaning.progress = progress;
                let (through, stay) = (cleaning.through, cleaning.tombstones_stay);
                let judged = records.iter().map(|(at, key)| self.judge(*at, key.as_ref(), through, stay));
                let judged = judged.collect::<Result<Vec<_>, _>>()?;
                let superseded = judged.iter().map(|(_, by)| *by).max().unwrap_or(0);
                if let Some(cleaning) = &mut self.cleaning {
                    cleaning.superseded = cleaning.superseded.max(superseded);
                }
                AnswerKind::Verdicts(judged.into_iter().map(|(fate, _)| fate).collect())
            }
            RequestKind::Swap(swap) => {
                let swap = Swap { superseded: cleaning.superseded, ..*swap };
                return Ok(Served::Job(Job::Swap(Box::new(swap))));
            }
            RequestKind::Move { moved, forgotten } => {
                for (key, slot) in moved {
                    if let Some(before) = self.contents.index.repoint(&key, slot) {
                        self.contents.segments.moved(slot, Some(before));
                    }
                }
                for (key, seq) in forgotten {
                    self.contents.index.forget(&key, seq);
                }
                AnswerKind::Go
            }
            RequestKind::Damaged(met) => {
                cleaning.tombstones_stay = true;
                self.note_damage(met);
                AnswerKind::Go
            }
            RequestKind::Moved => {
                self.contents.segments.forget_replaced();
                AnswerKind::Go
            }
        };
        Ok(Served::Answer(CleanupAnswer(answer)))
    }

    /// What a cleanup has waited for, once its outcome has been applied.
    pub fn take_answer(&mut self) -> Option<CleanupAnswer> {
        self.answer.take()
    }

    /// The last seq of all closed segments.
    fn end_of_closed(&self) -> u64 {
        let active = self.contents.segments.all().last();
        active.map_or(0, |active| active.piece.segment.first.saturating_sub(1))
    }

    /// What is to become of a record of a closed segment, and the seq below which no cut may go then: of what superseded
    /// it, or its own if it is a tombstone.
    fn judge(
        &self,
        at: Position,
        key: Option<&Bytes>,
        through: u64,
        tombstones_stay: bool,
    ) -> Result<(RecordFate, u64), StorageError> {
        if at.seq > through {
            return Ok((RecordFate::Keep, 0));
        }
        let Some(key) = key else { return Ok((RecordFate::Drop, 0)) };
        match self.contents.index.get(key) {
            Some(slot) if slot.seq > at.seq => Ok((RecordFate::Drop, slot.seq)),
            Some(slot) if slot.seq == at.seq && (slot.live || tombstones_stay) => Ok((RecordFate::Keep, 0)),
            Some(slot) if slot.seq == at.seq => Ok((RecordFate::DropTombstone, slot.seq)),
            _ => Err(StorageError::misuse(format!("the index does not know record {at} of the log"))),
        }
    }
}

/// A whole cleanup, here and now, with both halves in one hand: for a simulator, and for tests. `None`: there was
/// nothing to do. `through` is as in [`Store::begin_cleanup`]; `between` is called whenever the cleanup asks for
/// something, before that is done, and may write.
///
/// # Errors
/// As [`Writer::execute`]; a disk that is full is an error as well, but no final one.
pub fn clean_at_once(
    store: &mut Store,
    writer: &mut Writer,
    through: u64,
    mut between: impl FnMut(&mut Store, &mut Writer) -> Result<(), StorageError>,
) -> Result<Option<Cleaned>, StorageError> {
    let Ok(cleanup) = store.begin_cleanup(through) else { return Ok(None) };
    let outcome = cleanup.run(&mut |request| {
        between(store, writer).map_err(Halt::Failed)?;
        match store.serve(request).map_err(Halt::Failed)? {
            Served::Answer(answer) => Ok(answer),
            Served::Job(job) => {
                for done in writer.execute(vec![job]).map_err(Halt::Failed)? {
                    store.apply(done).map_err(Halt::Failed)?;
                }
                store.take_answer().ok_or(Halt::Stopped)
            }
        }
    });
    store.end_cleanup();
    match outcome {
        Ok(cleaned) => Ok(Some(cleaned)),
        Err(Halt::Stopped) => Ok(None),
        Err(Halt::Full(error) | Halt::Failed(error)) => Err(error),
    }
}
