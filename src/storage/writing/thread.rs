//! The disk thread: a queue of jobs in, outcomes out. Whatever has come together while the disk was busy is the
//! next batch and shares its sync (group commit).

#![expect(clippy::disallowed_methods, reason = "the disk thread keeps the time of interval syncs")]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::job::{Done, Job};
use super::queue::{JobQueue, Taken};
use super::writer::Writer;
use crate::storage::disk::{Room, RoomPatience};
use crate::storage::error::StorageError;
use crate::storage::log::synced::SyncedEnd;

/// At most this many jobs wait. The core bounds what is under way well below it (requests waiting, a window for
/// each replica, one chunk of a full resync at a time), so more than this is a bug in the driver and ends the
/// thread with an error.
pub const JOBS_WAITING_MAX: usize = 128 << 10;

/// A batch is closed at this many bytes, so that the first of a flood does not wait for the last.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the thread tells, in the order in which it happens.
#[derive(Debug)]
pub enum DiskNews {
    /// A batch is done: one for each of its jobs.
    Done(Vec<Done>),
    /// There is no room for what is to be written here. It is kept, and tried again (after 100 ms, then less often, at
    /// least once a second); everything after it waits.
    Full(PathBuf),
    /// There was room again.
    RoomAgain,
}

/// Runs a [`Writer`] on a thread of its own until it is dropped or [finished](Self::finish), or the writer fails.
#[derive(Debug)]
pub struct DiskThread {
    shared: Arc<Shared>,
    patience: Arc<RoomPatience>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: JobQueue,
    synced: Mutex<SyncedEnd>,
}

impl DiskThread {
    /// Starts the thread. `deliver` is called on it with its news, in order, and must not block; an `Err` comes at
    /// most once, last. It must be taken as the end of the process: see [`Writer::execute`]. A disk without room is
    /// no error: the thread waits for room.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn spawn(
        writer: Writer,
        deliver: impl Fn(Result<DiskNews, StorageError>) + Send + Sync + 'static,
    ) -> Self {
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

    /// Waits until everything submitted is done and synced (in every durability mode), and the thread has ended. It no
    /// longer waits for room: if there is none, it ends with that error.
    pub fn finish(mut self) {
        self.patience.give_up();
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in `deliver` is all that could be reported here, and the driver's own business.
            let _ = thread.join();
        }
    }

    fn with_queue(
        writer: Writer,
        jobs_max: usize,
        deliver: impl Fn(Result<DiskNews, StorageError>) + Send + Sync + 'static,
    ) -> Self {
        let patience = writer.patience().clone();
        let synced = Mutex::new(writer.synced());
        let shared = Arc::new(Shared { queue: JobQueue::new(jobs_max), synced });
        let runner = Runner { shared: shared.clone(), writer, dirty_since: None };
        let run = move || {
            let mut runner = runner;
            let patience = runner.writer.patience().clone();
            let deliver = Arc::new(deliver);
            let tell = deliver.clone();
            patience.wait_here(move |room| match room {
                Room::None(path) => tell(Ok(DiskNews::Full(path.to_owned()))),
                Room::Again => tell(Ok(DiskNews::RoomAgain)),
            });
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| runner.run(&*deliver)));
            runner.shared.queue.abandon();
            patience.give_up();
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => deliver(Err(error)),
                Err(panic) => deliver(Err(StorageError::Panicked { what: message(&*panic) })),
            }
        };
        let thread = Builder::new().name("kvlab-disk".to_owned()).spawn(run).expect("a thread for the disk");
        Self { shared, patience, thread: Some(thread) }
    }
}

impl Drop for DiskThread {
    /// Lets the thread end by itself, after what it was given. It no longer waits for room.
    fn drop(&mut self) {
        self.patience.give_up();
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
    fn run(&mut self, deliver: &impl Fn(Result<DiskNews, StorageError>)) -> Result<(), StorageError> {
        loop {
            let sync_at = self.writer.sync_every().zip(self.dirty_since).map(|(every, since)| since + every);
            let patience = sync_at.map(|at| at.saturating_duration_since(Instant::now()));
            match self.shared.queue.take(BATCH_BYTES_MAX, patience) {
                Taken::Batch(jobs) => deliver(Ok(DiskNews::Done(self.writer.execute(jobs)?))),
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::replication::{DiskJob, LogId, Promise};
    use crate::storage::{Disk, Durability, Loss, MemoryDisk, Options, Store, open};
    use crate::types::{Entry, Epoch, NodeId, Op, Position};

    const PATIENCE: Duration = Duration::from_secs(20);

    type JobOutcome = Result<DiskNews, StorageError>;

    fn at(seq: u64) -> Position {
        Position::new(Epoch::new(1, NodeId(1)), seq)
    }

    fn append(seq: u64) -> Job {
        Job::Core(DiskJob::Append { log: LogId(0), entries: vec![Entry { at: at(seq), op: Op::Noop }] })
    }

    fn start(durability: Durability) -> (MemoryDisk, Store, Writer) {
        let disk = MemoryDisk::new(5);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let options = Options { durability, ..Options::new(NodeId(1)) };
        let (store, writer, _) = open(shared, Path::new("/d"), options).unwrap();
        (disk, store, writer)
    }

    fn last_after_crash(disk: &MemoryDisk) -> Position {
        disk.crash(Loss::Whole);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        open(shared, Path::new("/d"), Options::new(NodeId(1))).unwrap().2.recovered.last
    }

    fn forward(to: Sender<JobOutcome>) -> impl Fn(JobOutcome) + Send + Sync {
        move |outcome| to.send(outcome).unwrap()
    }

    /// A `deliver` that lets the thread go on only when told to.
    fn held_back(to: Sender<JobOutcome>) -> (impl Fn(JobOutcome) + Send + Sync, Sender<()>) {
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let deliver = move |outcome| {
            to.send(outcome).unwrap();
            let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
        };
        (deliver, go)
    }

    fn news(outcomes: &Receiver<JobOutcome>) -> JobOutcome {
        outcomes.recv_timeout(PATIENCE).expect("an outcome in time")
    }

    fn next(outcomes: &Receiver<JobOutcome>) -> Result<Vec<Done>, StorageError> {
        news(outcomes).map(done)
    }

    fn len(disk: &MemoryDisk, path: &Path) -> usize {
        usize::try_from(disk.open(path).unwrap().size().unwrap()).unwrap()
    }

    fn done(news: DiskNews) -> Vec<Done> {
        match news {
            DiskNews::Done(done) => done,
            other => panic!("expected a batch, not {other:?}"),
        }
    }

    #[test]
    fn jobs_that_came_meanwhile_share_one_write_and_one_sync() {
        let (disk, _store, writer) = start(Durability::Always);
        let (send, outcomes) = channel();
        let (deliver, go) = held_back(send);
        let thread = DiskThread::spawn(writer, deliver);
        thread.submit(append(1));
        assert_eq!(next(&outcomes).unwrap().len(), 1);
        for seq in 2..=100 {
            thread.submit(append(seq));
        }
        assert_eq!(thread.waiting(), (99, 99 * append(1).weight()));
        let before = disk.operations();
        go.send(()).unwrap();
        let done = next(&outcomes).unwrap();
        // One write, one sync, and one mark of how far that was.
        assert_eq!((done.len(), disk.operations() - before), (99, 3));
        drop(go);
        thread.finish();
    }

    #[test]
    fn finishing_does_everything_and_syncs_it_in_every_mode() {
        for durability in
            [Durability::Always, Durability::Interval(Duration::from_secs(3600)), Durability::Os]
        {
            let (disk, _store, writer) = start(durability);
            let (send, outcomes) = channel();
            let thread = DiskThread::spawn(writer, forward(send));
            for seq in 1..=50 {
                thread.submit(append(seq));
            }
            thread.finish();
            let done: usize = outcomes.iter().map(|outcome| done(outcome.unwrap()).len()).sum();
            assert_eq!(done, 50);
            assert_eq!(last_after_crash(&disk), at(50));
        }
    }

    #[test]
    fn an_interval_is_kept_without_further_jobs() {
        let (disk, _store, writer) = start(Durability::Interval(Duration::from_millis(5)));
        let (send, outcomes) = channel();
        let thread = DiskThread::spawn(writer, forward(send));
        thread.submit(append(1));
        next(&outcomes).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while thread.synced().last != at(1) {
            assert!(Instant::now() < deadline, "never synced");
            std::thread::yield_now();
        }
        assert_eq!(last_after_crash(&disk), at(1));
    }

    #[test]
    fn an_interval_is_kept_in_the_midst_of_a_flood() {
        let (_disk, _store, writer) = start(Durability::Interval(Duration::from_millis(1)));
        let (send, outcomes) = channel();
        let thread = DiskThread::spawn(writer, forward(send));
        let deadline = Instant::now() + PATIENCE;
        let mut seq = 0;
        while thread.synced().last.seq < 3 {
            assert!(Instant::now() < deadline, "never synced");
            // Always one more under way.
            seq += 1;
            thread.submit(append(seq));
            next(&outcomes).unwrap();
        }
        thread.finish();
    }

    #[test]
    fn an_error_comes_once_and_last() {
        let (disk, _store, writer) = start(Durability::Always);
        let (send, outcomes) = channel();
        let thread = DiskThread::spawn(writer, forward(send));
        thread.submit(append(1));
        next(&outcomes).unwrap();
        disk.fail_sync_after(0);
        thread.submit(append(2));
        assert!(matches!(next(&outcomes), Err(StorageError::Io { op: "sync", .. })));
        thread.submit(append(3));
        thread.submit(Job::Core(DiskJob::Save { promise: Promise::default() }));
        assert_eq!(thread.waiting(), (0, 0), "nobody takes them, so nobody keeps them");
        thread.finish();
        assert!(outcomes.recv().is_err(), "nothing more comes");
        assert_eq!(last_after_crash(&disk), at(1));
    }

    #[test]
    fn a_full_disk_is_waited_for_and_nothing_is_lost_or_torn() {
        for durability in
            [Durability::Always, Durability::Interval(Duration::from_secs(3600)), Durability::Os]
        {
            for room in [0, 1, 20, 33] {
                let (disk, mut store, writer) = start(durability);
                let (send, outcomes) = channel();
                let thread = DiskThread::spawn(writer, forward(send));
                thread.submit(append(1));
                let mut heard = next(&outcomes).unwrap();
                disk.set_room(Some(room));
                thread.submit(append(2));
                let Ok(DiskNews::Full(path)) = news(&outcomes) else { panic!("it has no room") };
                assert_eq!(path, Path::new("/d/log-00000001/00000001.log"));
                thread.submit(append(3));
                thread.submit(Job::Core(DiskJob::Save { promise: Promise::default() }));
                assert!(store.get(b"x").unwrap().value.is_none(), "reads go on");
                // What was acknowledged before is synced in every mode, and what was half written is gone.
                assert_eq!((len(&disk, &path), disk.durable_len(&path)), (28 + 38, 28 + 38));
                assert!(outcomes.try_recv().is_err(), "nothing is acknowledged meanwhile");

                disk.set_room(None);
                assert!(matches!(news(&outcomes), Ok(DiskNews::RoomAgain)));
                heard.extend(next(&outcomes).unwrap());
                heard.extend(next(&outcomes).unwrap());
                heard.into_iter().for_each(|done| drop(store.apply(done).unwrap()));
                assert_eq!(store.last(), at(3));
                thread.finish();
                assert_eq!(last_after_crash(&disk), at(3));
            }
        }
    }

    #[test]
    fn a_sync_that_fails_is_final_even_for_lack_of_room() {
        let (disk, _store, writer) = start(Durability::Always);
        let (send, outcomes) = channel();
        let thread = DiskThread::spawn(writer, forward(send));
        disk.set_room(Some(0));
        // The sync before the wait.
        disk.fail_sync_after(0);
        thread.submit(append(1));
        let mut outcome = news(&outcomes);
        if matches!(outcome, Ok(DiskNews::Full(_))) {
            outcome = news(&outcomes);
        }
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("sync before waiting for room"), "{error}");
        thread.finish();
    }

    #[test]
    fn a_thread_that_is_finished_does_not_wait_for_room() {
        for early in [true, false] {
            let (disk, _store, writer) = start(Durability::Always);
            let (send, outcomes) = channel();
            let thread = DiskThread::spawn(writer, forward(send));
            disk.set_room(Some(0));
            thread.submit(append(1));
            if !early {
                assert!(matches!(news(&outcomes), Ok(DiskNews::Full(_))));
            }
            thread.finish();
            let last = outcomes.iter().last().expect("how it ended");
            assert!(matches!(last, Err(StorageError::Full { .. })), "{last:?}");
        }
    }

    #[test]
    fn a_queue_that_overruns_ends_in_an_error_after_what_it_held() {
        let (_disk, _store, writer) = start(Durability::Always);
        let (send, outcomes) = channel();
        let (deliver, go) = held_back(send);
        let thread = DiskThread::with_queue(writer, 3, deliver);
        thread.submit(append(1));
        next(&outcomes).unwrap();
        for seq in 2..=9 {
            thread.submit(append(seq));
        }
        drop(go);
        assert_eq!(next(&outcomes).unwrap().len(), 3);
        assert!(matches!(next(&outcomes), Err(StorageError::Misuse { .. })));
        thread.finish();
    }

    #[test]
    fn a_panic_is_an_error_too() {
        let (_disk, _store, writer) = start(Durability::Always);
        let (send, outcomes) = channel();
        let thread = DiskThread::spawn(writer, move |outcome: JobOutcome| match outcome {
            Ok(_) => panic!("on purpose"),
            Err(_) => send.send(outcome).unwrap(),
        });
        thread.submit(append(1));
        let error = next(&outcomes).unwrap_err();
        assert!(matches!(&error, StorageError::Panicked { what } if what == "on purpose"), "{error}");
        thread.finish();
    }
}
