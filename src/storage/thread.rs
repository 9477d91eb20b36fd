//! The disk thread: a queue of jobs in, outcomes out. Whatever has come together while the disk was busy is the
//! next batch and shares its sync (group commit).

#![expect(clippy::disallowed_methods, reason = "the disk thread keeps the time of interval syncs")]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::error::StorageError;
use super::job::{Done, Job};
use super::queue::{Queue, Taken};
use super::writer::{SyncedEnd, Writer};

/// At most this many jobs wait. The core bounds what is under way well below it (requests waiting, a window for
/// each replica, one chunk of a full resync at a time), so more than this is a bug in the driver and ends the
/// thread with an error.
pub const JOBS_WAITING_MAX: usize = 128 << 10;

/// A batch is closed at this many bytes, so that the first of a flood does not wait for the last.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Runs a [`Writer`] on a thread of its own until it is dropped or [finished](Self::finish), or the writer fails.
#[derive(Debug)]
pub struct DiskThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    synced: Mutex<SyncedEnd>,
}

impl DiskThread {
    /// Starts the thread. `deliver` is called on it with each batch's outcome, in order, and must not block; an
    /// `Err` comes at most once, last. It must be taken as the end of the process: see [`Writer::execute`].
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn spawn(writer: Writer, deliver: impl Fn(Result<Vec<Done>, StorageError>) + Send + 'static) -> Self {
        Self::with_queue(writer, JOBS_WAITING_MAX, deliver)
    }

    /// Hands a job over. Never blocks. After the writer has failed, jobs are dropped: the error says so.
    pub fn submit(&self, job: Job) {
        self.shared.queue.push(job);
    }

    /// How many jobs wait, and how many bytes they hold: for a driver that wants to take less from its clients
    /// while the disk is slow.
    pub fn waiting(&self) -> (usize, usize) {
        self.shared.queue.waiting()
    }

    /// Up to where the log is durable whatever happens to the power, as of the last batch.
    pub fn synced(&self) -> SyncedEnd {
        *self.shared.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything submitted is done and synced (in every durability mode), and the thread has ended.
    pub fn finish(mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in `deliver` is all that could be reported here, and the driver's own business.
            let _ = thread.join();
        }
    }

    fn with_queue(
        writer: Writer,
        jobs_max: usize,
        deliver: impl Fn(Result<Vec<Done>, StorageError>) + Send + 'static,
    ) -> Self {
        let synced = Mutex::new(writer.synced());
        let shared = Arc::new(Shared { queue: Queue::new(jobs_max), synced });
        let runner = Runner { shared: shared.clone(), writer, dirty_since: None };
        let run = move || {
            let mut runner = runner;
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| runner.run(&deliver)));
            runner.shared.queue.abandon();
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => deliver(Err(error)),
                Err(panic) => deliver(Err(StorageError::Panicked { what: message(&*panic) })),
            }
        };
        let thread = Builder::new().name("kvlab-disk".to_owned()).spawn(run).expect("a thread for the disk");
        Self { shared, thread: Some(thread) }
    }
}

impl Drop for DiskThread {
    /// Lets the thread end by itself, after what it was given.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

struct Runner {
    shared: Arc<Shared>,
    writer: Writer,
    /// When something was first written that is not synced yet.
    dirty_since: Option<Instant>,
}

impl Runner {
    fn run(&mut self, deliver: &impl Fn(Result<Vec<Done>, StorageError>)) -> Result<(), StorageError> {
        loop {
            let sync_at = self.writer.sync_every().zip(self.dirty_since).map(|(every, since)| since + every);
            let patience = sync_at.map(|at| at.saturating_duration_since(Instant::now()));
            match self.shared.queue.take(BATCH_BYTES_MAX, patience) {
                Taken::Batch(jobs) => deliver(Ok(self.writer.execute(jobs)?)),
                Taken::Nothing => {}
                Taken::Closed => return self.writer.sync(),
                Taken::Overrun => {
                    self.writer.sync()?;
                    let what = format!("more than {JOBS_WAITING_MAX} jobs are waiting for the disk");
                    return Err(StorageError::misuse(what));
                }
            }
            // Also in the midst of a flood.
            if sync_at.is_some_and(|at| at <= Instant::now()) {
                self.writer.sync()?;
            }
            self.dirty_since = match self.dirty_since {
                _ if !self.writer.is_dirty() => None,
                Some(since) => Some(since),
                None => Some(Instant::now()),
            };
            *self.shared.synced.lock().unwrap_or_else(PoisonError::into_inner) = self.writer.synced();
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
