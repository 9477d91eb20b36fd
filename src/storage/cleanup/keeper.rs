//! The keeper's thread: hints, cleanups and slices of the scrub, one after the other, beside the disk thread.
//!
//! A cleanup asks the store, which lives elsewhere: its questions come out as [`KeeperNews::Ask`], one at a time, and
//! it waits for each [`answer`](Keeper::answer).
#![expect(clippy::disallowed_methods, reason = "the keeper is a thread")]

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use super::questions::{CleanupAnswer, CleanupRequest};
use super::run::{Cleaned, Cleanup};
use crate::storage::error::StorageError;
use crate::storage::gate::Halt;
use crate::storage::hints::task::HintTask;
use crate::storage::scrub::{ScrubTask, Scrubbed};
use crate::types::Damage;

/// What the keeper has to say.
#[derive(Debug)]
pub enum KeeperNews {
    /// The cleanup under way asks this of the store, and waits.
    Ask(CleanupRequest),
    /// The cleanup is over. `None`: it has been given up, since the log was replaced or cut.
    Cleaned(Option<Cleaned>),
    /// A hint or a cleanup was given up for lack of room, and what was written of it removed.
    NoRoom {
        /// It was the cleanup, which is over.
        cleanup: bool,
        /// The message.
        error: StorageError,
    },
    /// Damaged values were met on the way.
    Damaged(Vec<Damage>),
    /// A slice of the scrub has been read.
    Scrubbed(Scrubbed),
    /// The disk has failed, or does not hold what was written. Final for the process, like an error of the disk
    /// thread.
    Failed(StorageError),
}

/// Runs [`HintTask`]s, [`Cleanup`]s and [`ScrubTask`]s on a thread of its own until it is dropped or [finished](Self::finish).
///
/// Its queue needs no bound: segments close one at a time, and each lacks its hint once; of cleanups the store begins
/// one at a time; and whoever scrubs waits for one slice before it hands over the next.
#[derive(Debug)]
pub struct Keeper {
    tasks: Option<Sender<Task>>,
    answers: Option<Sender<CleanupAnswer>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Task {
    Hint(HintTask),
    Clean(Cleanup),
    Scrub(ScrubTask),
}

impl Keeper {
    /// Starts the thread. `deliver` is called on it and must not block.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn spawn(deliver: impl Fn(KeeperNews) + Send + 'static) -> Self {
        let (tasks, tasks_in) = channel();
        let (answers, answers_in) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker { answers: answers_in, stop: stop.clone(), deliver };
        let run = move || {
            for task in tasks_in {
                let outcome = panic::catch_unwind(AssertUnwindSafe(|| worker.carry_out(task)));
                if outcome.is_err() {
                    let what = "a panic while cleaning up, scrubbing or writing a hint".to_owned();
                    (worker.deliver)(KeeperNews::Failed(StorageError::Panicked { what }));
                }
            }
        };
        let thread =
            Builder::new().name("kvlab-keeper".to_owned()).spawn(run).expect("a thread for the keeper");
        Self { tasks: Some(tasks), answers: Some(answers), stop, thread: Some(thread) }
    }

    /// Has a hint written.
    pub fn hint(&self, task: HintTask) {
        self.take(Task::Hint(task));
    }

    /// Has a cleanup run. Its end is told as [`KeeperNews::Cleaned`] or [`KeeperNews::NoRoom`].
    pub fn clean(&self, cleanup: Cleanup) {
        self.take(Task::Clean(cleanup));
    }

    /// Has a slice of the scrub read. Told as [`KeeperNews::Scrubbed`].
    pub fn scrub(&self, task: ScrubTask) {
        self.take(Task::Scrub(task));
    }

    /// Answers [`KeeperNews::Ask`].
    pub fn answer(&self, answer: CleanupAnswer) {
        if let Some(answers) = &self.answers {
            // A thread that is gone has said so.
            let _ = answers.send(answer);
        }
    }

    /// Gives up what is under way, removes what was written of it, and waits until the thread has ended.
    pub fn finish(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn take(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever waits for an answer or a task hears that there will be none.
        self.answers = None;
        self.tasks = None;
    }
}

impl Drop for Keeper {
    /// Lets the thread end by itself.
    fn drop(&mut self) {
        self.end();
    }
}

struct Worker<D> {
    answers: Receiver<CleanupAnswer>,
    stop: Arc<AtomicBool>,
    deliver: D,
}

impl<D: Fn(KeeperNews)> Worker<D> {
    fn carry_out(&self, task: Task) {
        let may_continue = || !self.stop.load(Ordering::Relaxed);
        if !may_continue() {
            return;
        }
        let (cleanup, outcome) = match task {
            Task::Hint(task) => match task.run(&may_continue) {
                Ok(damaged) if damaged.is_empty() => return,
                Ok(damaged) => return (self.deliver)(KeeperNews::Damaged(damaged)),
                Err(halt) => (false, Err(halt)),
            },
            Task::Scrub(task) => match task.run(&may_continue) {
                Ok(scrubbed) => return (self.deliver)(KeeperNews::Scrubbed(scrubbed)),
                Err(error) => return (self.deliver)(KeeperNews::Failed(error)),
            },
            Task::Clean(cleanup) => (true, cleanup.run(&mut |request| self.ask(request)).map(Some)),
        };
        let news = match outcome {
            Err(Halt::Stopped) if !cleanup => return,
            Ok(cleaned) => KeeperNews::Cleaned(cleaned),
            Err(Halt::Stopped) => KeeperNews::Cleaned(None),
            Err(Halt::Full(error)) => KeeperNews::NoRoom { cleanup, error },
            Err(Halt::Failed(error)) => KeeperNews::Failed(error),
        };
        (self.deliver)(news);
    }

    fn ask(&self, request: CleanupRequest) -> Result<CleanupAnswer, Halt> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Halt::Stopped);
        }
        (self.deliver)(KeeperNews::Ask(request));
        self.answers.recv().map_err(|_| Halt::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::replication::{DiskJob, LogId};
    use crate::storage::{Disk, Job, MemoryDisk, Options, Served, Store, Writer, open};
    use crate::types::{Entry, Epoch, NodeId, Op, Position};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn put(seq: u64, key: u64) -> Job {
        let op =
            Op::Put { key: Bytes::from(format!("key {key}")), value: Bytes::from(format!("value {seq}")) };
        let at = Position::new(Epoch::new(1, NodeId(1)), seq);
        Job::Core(DiskJob::Append { log: LogId(0), entries: vec![Entry { at, op }] })
    }

    fn start() -> (MemoryDisk, Store, Writer) {
        let disk = MemoryDisk::new(1);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let options = Options { segment_bytes: 500, ..Options::new(NodeId(1)) };
        let (store, writer, _) = open(shared, Path::new("/d"), options).unwrap();
        (disk, store, writer)
    }

    fn run(store: &mut Store, writer: &mut Writer, job: Job) {
        for done in writer.execute(vec![job]).unwrap() {
            store.apply(done).unwrap();
        }
    }

    #[test]
    fn a_cleanup_on_its_own_thread_asks_until_it_is_over_while_writes_go_on() {
        let (_disk, mut store, mut writer) = start();
        for seq in 1..=200 {
            run(&mut store, &mut writer, put(seq, seq % 10));
        }
        let (news, told) = channel();
        let mut keeper = Keeper::spawn(move |what| news.send(what).unwrap());
        store.take_hint_tasks().into_iter().for_each(|task| keeper.hint(task));
        keeper.clean(store.begin_cleanup(200).unwrap());
        let mut seq = 200;
        let cleaned = loop {
            seq += 1;
            run(&mut store, &mut writer, put(seq, seq % 10));
            match told.recv_timeout(PATIENCE).expect("news in time") {
                KeeperNews::Ask(request) => match store.serve(request).unwrap() {
                    Served::Answer(answer) => keeper.answer(answer),
                    Served::Job(job) => {
                        run(&mut store, &mut writer, job);
                        keeper.answer(store.take_answer().expect("a swap was carried out"));
                    }
                },
                KeeperNews::Cleaned(cleaned) => break cleaned.expect("nothing replaced the log"),
                other => panic!("{other:?}"),
            }
        };
        store.end_cleanup();
        keeper.finish();
        assert!(cleaned.after < cleaned.before && cleaned.dropped > 150, "{cleaned:?}");
        for key in 0..10 {
            let newest = seq - (seq - key) % 10;
            let found = store.get(format!("key {key}").as_bytes()).unwrap();
            assert_eq!(found.value, Some(Bytes::from(format!("value {newest}"))));
        }
    }

    #[test]
    fn finishing_gives_up_what_is_under_way_and_leaves_nothing_behind() {
        let (disk, mut store, mut writer) = start();
        for seq in 1..=50 {
            run(&mut store, &mut writer, put(seq, seq % 3));
        }
        let dir = Path::new("/d/log-00000001");
        let before = disk.list(dir).unwrap();
        let (news, told) = channel();
        let mut keeper = Keeper::spawn(move |what| drop(news.send(what)));
        keeper.clean(store.begin_cleanup(50).unwrap());
        // It has asked, so its files are there; nobody answers.
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(KeeperNews::Ask(_))));
        assert!(disk.list(dir).unwrap().iter().any(|name| name.ends_with(".part")));
        keeper.finish();
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(KeeperNews::Cleaned(None))));
        assert_eq!(disk.list(dir).unwrap(), before);
    }
}
