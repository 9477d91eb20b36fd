//! The journal: stamps every event of the lab, writes `events.jsonl`, and hands each to whoever subscribes.
//!
//! ```text
//! emit ──► order (stamp) ──┬─► bounded queue ──► writer thread ──► events.jsonl, in parts, with keyframes
//!                          └─► broadcast ──► screen, headless printer, scenario runner
//! ```
//!
//! One lock gives every event its stamp and its place in both streams, so file and screen agree on the order.
//! Emission never waits for the disk or for a subscriber. What that costs is never silent: an event that the
//! file could not take leaves a notice with the number missing, exactly where it is missing; a subscriber
//! that is too slow gets `Lagged` from its receiver and resumes at the oldest event still held.
//!
//! Each part of the file begins with the run's header and a keyframe, and another keyframe follows every ten seconds
//! (see [`keyframe`](super::keyframe)). The thread shows every event that it has written to the owner of the state, so
//! a keyframe is the state after exactly those events that stand before it.
#![expect(clippy::disallowed_methods, reason = "the journal owns its file and a writer thread")]

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::clock::Clock;
use super::event::{LabEvent, Level, Stamped, micros};
use super::keyframe::{KEYFRAME_EVERY, KeyframeState};
use super::parts::{PartWriter, RecordFile};

/// The name of the file in the run directory.
const EVENTS_FILE: &str = "events.jsonl";
/// Events that may wait for the disk; more are left out of the file, with a notice.
const QUEUE_MAX: usize = 16 * 1024;
/// Events held for subscribers; one that is further behind gets `Lagged`.
const HELD_MAX: usize = 4 * 1024;

/// The one stream of events of a run. Cheap to clone; the file is complete once [`Journal::flush`] returned.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    queue: Mutex<FileQueue>,
    live: broadcast::Sender<Stamped>,
}

/// The way to the file. Its lock also gives every event its place in both streams.
#[derive(Debug)]
struct FileQueue {
    file: Option<mpsc::Sender<Job>>,
    /// Events left out of the file since the last one that it took.
    missing: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every job is an event")]
enum Job {
    Write(Stamped),
    Flush(oneshot::Sender<Result<(), String>>),
}

impl Journal {
    /// Starts the run's clock; nothing is written.
    #[cfg(test)]
    pub(crate) fn unrecorded() -> Self {
        let (live, _) = broadcast::channel(HELD_MAX);
        Self::of(Clock::start(), None, live)
    }

    /// Starts the run's clock and creates `events.jsonl` in `dir`, which takes no more than `bytes_max` bytes if that is
    /// said: the oldest events go. Keyframes hold `state`, which has seen nothing yet.
    ///
    /// # Errors
    /// If the file exists already or cannot be created.
    pub(crate) fn start(
        dir: &Path,
        bytes_max: Option<u64>,
        state: Box<dyn KeyframeState>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let (live, _) = broadcast::channel(HELD_MAX);
        let parts = PartWriter::create(dir, RecordFile::Events, bytes_max)?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (header, keyframe_due_us) = (Vec::new(), 0);
        let writer = Writer {
            parts,
            state,
            header,
            keyframe_due_us,
            failed: None,
            clock: clock.clone(),
            live: live.clone(),
        };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(receiver))
            .context("cannot start the journal's thread")?;
        Ok(Self::of(clock, Some(sender), live))
    }

    fn of(clock: Clock, file: Option<mpsc::Sender<Job>>, live: broadcast::Sender<Stamped>) -> Self {
        Self(Arc::new(Inner { clock, queue: Mutex::new(FileQueue { file, missing: 0 }), live }))
    }

    /// Time since the run began, without standstills of the lab itself.
    pub(crate) fn now(&self) -> Duration {
        self.0.clock.now()
    }

    /// The beat of the run's timer, to come every [`BEAT`](super::BEAT). Says so if the lab has stood still.
    pub(crate) fn beat(&self) {
        if let Some(stood) = self.0.clock.beat() {
            let seconds = stood.as_secs_f64();
            let text =
                format!("the lab itself stood still for {seconds:.1} s: nothing is concluded from that time");
            self.emit(LabEvent::Notice { level: Level::Warn, text });
        }
    }

    /// The timer has ended.
    pub(crate) fn rest(&self) {
        self.0.clock.rest();
    }

    /// Stamps an event, queues it for the file and hands it to the subscribers. Never waits for either.
    pub(crate) fn emit(&self, event: LabEvent) {
        let mut queue = self.0.lock();
        let stamped = self.0.stamp(event);
        if queue.record(&stamped, || self.0.clock.now()) == 1 {
            let text = format!("{EVENTS_FILE} is missing events from here on: the disk cannot keep up");
            let notice = self.0.stamp(LabEvent::Notice { level: Level::Warn, text });
            let _ = self.0.live.send(notice);
        }
        // Nobody may be listening: that is no error.
        let _ = self.0.live.send(stamped);
    }

    /// Every event from now on. One that falls behind by more than a few thousand events gets `Lagged`.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Stamped> {
        self.0.live.subscribe()
    }

    /// Everything emitted so far is in the file when this returns.
    ///
    /// # Errors
    /// If something could not be written, now or earlier.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let Some(file) = self.0.lock().file.clone() else { return Ok(()) };
        let ended = || anyhow!("the journal's thread has ended");
        // A place in the queue first, so that a gap at the very end is told in the file as well.
        let place = file.reserve().await.map_err(|_| ended())?;
        let gap = self.0.lock().take_gap(self.0.clock.now());
        if let Some(gap) = gap {
            place.send(Job::Write(gap));
        }
        let (done, written) = oneshot::channel();
        file.send(Job::Flush(done)).await.map_err(|_| ended())?;
        written.await.map_err(|_| ended())?.map_err(|error| anyhow!("cannot write {EVENTS_FILE}: {error}"))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, FileQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called under the lock, so that stamps never go back.
    fn stamp(&self, event: LabEvent) -> Stamped {
        Stamped::at(self.clock.now(), event)
    }
}

impl FileQueue {
    /// Queues an event for the file. Returns how many are missing since the last one that it took.
    fn record(&mut self, event: &Stamped, now: impl Fn() -> Duration) -> u64 {
        let Some(file) = self.file.clone() else { return 0 };
        // The gap's notice takes its place before the event that follows it, or both wait for another time.
        let places = if self.missing > 0 { 2 } else { 1 };
        match file.try_reserve_many(places) {
            Ok(mut places) => {
                if let Some(gap) = self.take_gap(now()) {
                    places.next().expect("a place for the notice").send(Job::Write(gap));
                }
                places.next().expect("a place for the event").send(Job::Write(event.clone()));
            }
            Err(_) => self.missing += 1,
        }
        self.missing
    }

    fn take_gap(&mut self, now: Duration) -> Option<Stamped> {
        let missing = std::mem::take(&mut self.missing);
        (missing > 0).then(|| {
            let text = format!("{missing} events are missing here: the disk could not keep up");
            Stamped::at(now, LabEvent::Notice { level: Level::Warn, text })
        })
    }
}

/// The thread that owns the file.
struct Writer {
    parts: PartWriter,
    /// The state after every event that was written.
    state: Box<dyn KeyframeState>,
    /// The line of the run's header, with which every part begins; empty before the first event.
    header: Vec<u8>,
    /// An event of this time or later follows a keyframe.
    keyframe_due_us: u64,
    /// The first error. From then on nothing is written: half a line must stay the last.
    failed: Option<String>,
    clock: Clock,
    live: broadcast::Sender<Stamped>,
}

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            self.take(job);
            while let Ok(job) = jobs.try_recv() {
                self.take(job);
            }
            // Whenever the queue is empty the file is whole: a lab killed with -9 loses next to nothing.
            self.flush();
        }
    }

    fn take(&mut self, line: Job) {
        match line {
            Job::Write(event) => self.write(&event),
            Job::Flush(done) => {
                self.flush();
                let _ = done.send(self.failed.clone().map_or(Ok(()), Err));
            }
        }
    }

    fn write(&mut self, event: &Stamped) {
        if self.failed.is_none() {
            let written = self.write_event(event);
            self.note(written);
        }
    }

    fn write_event(&mut self, event: &Stamped) -> std::io::Result<()> {
        let line = line(event)?;
        if self.header.is_empty() {
            // The first of all, and its keyframe.
            self.parts.write(&line)?;
            self.header.clone_from(&line);
            self.state.observe(event);
            self.write_keyframe(event.t_us)?;
            self.parts.begin();
            return Ok(());
        }
        if !self.parts.has_room(line.len()) {
            self.parts.next_part()?;
            self.parts.write(&self.header)?;
            self.write_keyframe(event.t_us)?;
            self.parts.begin();
        } else if event.t_us >= self.keyframe_due_us {
            self.write_keyframe(event.t_us)?;
        }
        self.parts.write(&line)?;
        self.state.observe(event);
        Ok(())
    }

    /// Writes the state as it is. A keyframe may go a little beyond the bound of its part: the state is bounded.
    fn write_keyframe(&mut self, now_us: u64) -> std::io::Result<()> {
        self.keyframe_due_us = now_us.saturating_add(micros(KEYFRAME_EVERY));
        self.parts.write(&line(&self.state.keyframe())?)
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            let flushed = self.parts.flush();
            self.note(flushed);
        }
    }

    fn note(&mut self, result: std::io::Result<()>) {
        let Err(error) = result else { return };
        let text = format!("cannot write {EVENTS_FILE}: {error}; from here on this run is not recorded");
        self.failed = Some(error.to_string());
        let _ = self.live.send(Stamped::at(self.clock.now(), LabEvent::Notice { level: Level::Error, text }));
    }
}

/// A line of the file, with its end.
fn line(object: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(object)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
#[path = "tests/journal.rs"]
mod tests;
