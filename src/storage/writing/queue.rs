//! The queue in front of the disk thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Job;

/// Jobs, first in, first out, taken in batches.
#[derive(Debug)]
pub(crate) struct JobQueue {
    state: Mutex<State>,
    changed: Condvar,
    jobs_max: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// No more jobs come, or nobody takes them any more.
    closed: bool,
    /// A job came that there was no room for.
    overrun: bool,
}

/// What there was to take.
#[derive(Debug)]
pub(crate) enum Taken {
    Batch(Vec<Job>),
    /// Nothing in the time given.
    Nothing,
    /// Nothing, and no more comes.
    Closed,
    /// The job after those taken before found no room. Nothing more comes.
    Overrun,
}

impl JobQueue {
    /// Holds at most `jobs_max` jobs.
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), jobs_max }
    }

    /// Adds a job; dropped if the queue is closed.
    pub(crate) fn push(&self, job: Job) {
        let mut state = self.lock();
        if state.closed || state.overrun {
            return;
        }
        if state.jobs.len() >= self.jobs_max {
            state.overrun = true;
        } else {
            state.bytes += job.weight();
            state.jobs.push_back(job);
        }
        self.changed.notify_one();
    }

    /// Takes as much as is there, up to `bytes_max` or one job; waits at most `patience` for the first.
    pub(crate) fn take(&self, bytes_max: usize, patience: Option<Duration>) -> Taken {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed && !state.overrun;
        let state = self.lock();
        let mut state = match patience {
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.changed
                    .wait_timeout_while(state, patience, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        if state.jobs.is_empty() {
            return match (state.overrun, state.closed) {
                (true, _) => Taken::Overrun,
                (false, true) => Taken::Closed,
                (false, false) => Taken::Nothing,
            };
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(job) = state.jobs.front() {
            bytes += job.weight();
            if !batch.is_empty() && bytes > bytes_max {
                break;
            }
            batch.extend(state.jobs.pop_front());
        }
        state.bytes -= batch.iter().map(Job::weight).sum::<usize>();
        Taken::Batch(batch)
    }

    /// How many jobs wait, and how many bytes they hold.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.jobs.len(), state.bytes)
    }

    /// No more jobs come. What waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Nobody takes jobs any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.jobs = VecDeque::new();
        state.bytes = 0;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::{DiskJob, LogId};
    use crate::types::{Entry, Op, Position, SnapshotId};

    fn abort(n: u64) -> Job {
        Job::Core(DiskJob::InstallAbort { id: SnapshotId(n) })
    }

    fn append(entries: usize) -> Job {
        let entry = Entry { at: Position::ZERO, op: Op::Noop };
        Job::Core(DiskJob::Append { log: LogId(0), entries: vec![entry; entries] })
    }

    #[test]
    fn takes_all_that_is_there_within_the_bound() {
        let queue = JobQueue::new(10);
        let weight = append(1).weight();
        for _ in 0..4 {
            queue.push(append(1));
        }
        assert_eq!(queue.waiting(), (4, 4 * weight));
        let Taken::Batch(batch) = queue.take(3 * weight, None) else { panic!("a batch") };
        assert_eq!(batch.len(), 3);
        assert_eq!(queue.waiting(), (1, weight));
        queue.push(append(100));
        let Taken::Batch(batch) = queue.take(weight / 2, None) else { panic!("one at least") };
        assert_eq!(batch.len(), 1);
        assert!(matches!(queue.take(0, None), Taken::Batch(batch) if batch.len() == 1));
        assert!(matches!(queue.take(0, Some(Duration::ZERO)), Taken::Nothing));
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = JobQueue::new(10);
        queue.push(abort(1));
        queue.close();
        queue.push(abort(2));
        assert!(matches!(queue.take(1, None), Taken::Batch(batch) if batch.len() == 1));
        assert!(matches!(queue.take(1, None), Taken::Closed));
    }

    #[test]
    fn an_overrun_ends_the_queue_after_what_it_held() {
        let queue = JobQueue::new(2);
        for n in 0..4 {
            queue.push(abort(n));
        }
        assert!(matches!(queue.take(usize::MAX, None), Taken::Batch(batch) if batch.len() == 2));
        queue.push(abort(5));
        assert!(matches!(queue.take(1, None), Taken::Overrun), "no job may be missing between two others");
    }
}
