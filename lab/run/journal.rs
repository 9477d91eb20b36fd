//! The journal: stamps every event of the lab, writes `events.jsonl`, and hands each to whoever subscribes.
//!
//! ```text
//! emit ──► order (stamp) ──┬─► bounded queue ──► writer thread ──► events.jsonl
//!                          └─► broadcast ──► screen, headless printer, scenario runner
//! ```
//!
//! One lock gives every event its stamp and its place in both streams, so file and screen agree on the order.
//! Emission never waits for the disk or for a subscriber. What that costs is never silent: an event that the
//! file could not take leaves a notice with the number missing, exactly where it is missing; a subscriber
//! that is too slow gets `Lagged` from its receiver and resumes at the oldest event still held.
#![expect(
    clippy::disallowed_methods,
    reason = "the journal owns the run's clock, its file and a writer thread"
)]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::event::{LabEvent, Level, Stamped};

/// The name of the file in the run directory.
pub(crate) const EVENTS_FILE: &str = "events.jsonl";
/// Events that may wait for the disk; more are left out of the file, with a notice.
const QUEUE_MAX: usize = 16 * 1024;
/// Events held for subscribers; one that is further behind gets `Lagged`.
const HELD_MAX: usize = 4 * 1024;

/// The one stream of events of a run. Cheap to clone; the file is complete once [`Journal::flush`] returned.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    order: Mutex<Order>,
    live: broadcast::Sender<Stamped>,
}

/// What the lock protects: the place of the next event in both streams.
#[derive(Debug)]
struct Order {
    file: Option<mpsc::Sender<Line>>,
    /// Events left out of the file since the last one that it took.
    missing: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every line is an event")]
enum Line {
    Event(Stamped),
    Flush(oneshot::Sender<Result<(), String>>),
}

impl Journal {
    /// Starts the run's clock and creates `events.jsonl` in `dir` (`None`: nothing is written).
    ///
    /// # Errors
    /// If the file exists already or cannot be created.
    pub(crate) fn start(dir: Option<&Path>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let (live, _) = broadcast::channel(HELD_MAX);
        let file = match dir {
            None => None,
            Some(dir) => {
                let path = dir.join(EVENTS_FILE);
                let file =
                    File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
                let (sender, receiver) = mpsc::channel(QUEUE_MAX);
                let writer = Writer { out: BufWriter::new(file), failed: None, began, live: live.clone() };
                std::thread::Builder::new()
                    .name("journal".to_owned())
                    .spawn(move || writer.run(receiver))
                    .context("cannot start the journal's thread")?;
                Some(sender)
            }
        };
        Ok(Self(Arc::new(Inner { began, order: Mutex::new(Order { file, missing: 0 }), live })))
    }

    /// Time since the run began.
    pub(crate) fn now(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// Stamps an event, queues it for the file and hands it to the subscribers. Never waits for either.
    pub(crate) fn emit(&self, event: LabEvent) {
        let mut order = self.0.lock();
        let stamped = self.0.stamp(event);
        if order.record(&stamped, || self.0.began.elapsed()) == Recorded::FirstMissing {
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
        let gap = self.0.lock().take_gap(self.0.began.elapsed());
        if let Some(gap) = gap {
            place.send(Line::Event(gap));
        }
        let (done, written) = oneshot::channel();
        file.send(Line::Flush(done)).await.map_err(|_| ended())?;
        written.await.map_err(|_| ended())?.map_err(|error| anyhow!("cannot write {EVENTS_FILE}: {error}"))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called under the lock, so that stamps never go back.
    fn stamp(&self, event: LabEvent) -> Stamped {
        stamped(self.began.elapsed(), event)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    Yes,
    FirstMissing,
    Missing,
}

impl Order {
    fn record(&mut self, event: &Stamped, now: impl Fn() -> Duration) -> Recorded {
        let Some(file) = self.file.clone() else { return Recorded::Yes };
        // The gap's notice takes its place before the event that follows it, or both wait for another time.
        let places = if self.missing > 0 { 2 } else { 1 };
        match file.try_reserve_many(places) {
            Ok(mut places) => {
                if let Some(gap) = self.take_gap(now()) {
                    places.next().expect("a place for the notice").send(Line::Event(gap));
                }
                places.next().expect("a place for the event").send(Line::Event(event.clone()));
                Recorded::Yes
            }
            Err(_) => {
                self.missing += 1;
                if self.missing == 1 { Recorded::FirstMissing } else { Recorded::Missing }
            }
        }
    }

    fn take_gap(&mut self, now: Duration) -> Option<Stamped> {
        let missing = std::mem::take(&mut self.missing);
        (missing > 0).then(|| {
            let text = format!("{missing} events are missing here: the disk could not keep up");
            stamped(now, LabEvent::Notice { level: Level::Warn, text })
        })
    }
}

/// The thread that owns the file.
struct Writer {
    out: BufWriter<File>,
    /// The first error. From then on nothing is written: half a line must stay the last.
    failed: Option<String>,
    began: Instant,
    live: broadcast::Sender<Stamped>,
}

impl Writer {
    fn run(mut self, mut lines: mpsc::Receiver<Line>) {
        while let Some(line) = lines.blocking_recv() {
            self.take(line);
            while let Ok(line) = lines.try_recv() {
                self.take(line);
            }
            // Whenever the queue is empty the file is whole: a lab killed with -9 loses next to nothing.
            self.flush();
        }
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Event(event) => self.write(&event),
            Line::Flush(done) => {
                self.flush();
                let _ = done.send(self.failed.clone().map_or(Ok(()), Err));
            }
        }
    }

    fn write(&mut self, event: &Stamped) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, event)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.note(written);
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            let flushed = self.out.flush();
            self.note(flushed);
        }
    }

    fn note(&mut self, result: std::io::Result<()>) {
        let Err(error) = result else { return };
        let text = format!("cannot write {EVENTS_FILE}: {error}; from here on this run is not recorded");
        self.failed = Some(error.to_string());
        let _ = self.live.send(stamped(self.began.elapsed(), LabEvent::Notice { level: Level::Error, text }));
    }
}

fn stamped(now: Duration, event: LabEvent) -> Stamped {
    Stamped { t_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX), event }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{LinkState, ProcessState};
    use kvlab::types::NodeId;

    fn notice(text: &str) -> LabEvent {
        LabEvent::Notice { level: Level::Info, text: text.to_owned() }
    }

    fn read_back(dir: &Path) -> Vec<Stamped> {
        let text = std::fs::read_to_string(dir.join(EVENTS_FILE)).expect("the file");
        text.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }

    #[tokio::test]
    async fn file_and_subscribers_see_the_same_events_in_the_same_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::start(Some(dir.path())).expect("a journal");
        let mut live = journal.subscribe();
        let emitters: Vec<_> = (0..4)
            .map(|emitter| {
                let journal = journal.clone();
                std::thread::spawn(move || {
                    for i in 0..200 {
                        journal.emit(notice(&format!("{emitter}/{i}")));
                    }
                })
            })
            .collect();
        for emitter in emitters {
            emitter.join().expect("no panic");
        }
        journal.flush().await.expect("written");
        let written = read_back(dir.path());
        let mut seen = Vec::new();
        while let Ok(event) = live.try_recv() {
            seen.push(event);
        }
        assert_eq!(written.len(), 800);
        assert_eq!(written, seen);
        assert!(written.is_sorted_by_key(|event| event.t_us));
    }

    #[tokio::test]
    async fn events_survive_the_way_to_the_file_and_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::start(Some(dir.path())).expect("a journal");
        let (from, to) = (NodeId(1), NodeId(2));
        let slow = LinkState::Slow { delay: Duration::from_millis(20), jitter: Duration::from_micros(1500) };
        let broken = crate::screen::tests::fixture::broken_promise().into_iter().map(|stamped| stamped.event);
        let mut events = vec![
            LabEvent::Process { node: from, state: ProcessState::Paused { pid: 7 } },
            LabEvent::Process { node: from, state: ProcessState::Died { how: "exit code 1".into() } },
            LabEvent::Link { from, to, state: slow },
            LabEvent::Link { from, to, state: LinkState::Cut },
            LabEvent::Watch { node: to, up: false },
            LabEvent::Load(crate::run::event::LoadSample { ok: u64::MAX, ..Default::default() }),
            LabEvent::Verdict(crate::run::event::Verdict::default()),
            LabEvent::Scenario(crate::run::event::ScenarioEvent::StepFailed { index: 3, why: "late".into() }),
        ];
        events.extend(broken.filter(|event| matches!(event, LabEvent::Violation(_) | LabEvent::Verdict(_))));
        for event in &events {
            journal.emit(event.clone());
        }
        journal.flush().await.expect("written");
        let back: Vec<_> = read_back(dir.path()).into_iter().map(|stamped| stamped.event).collect();
        assert_eq!(back, events);
    }

    #[test]
    fn a_verdict_of_format_1_is_read() {
        let line = r#"{"t_us":7,"event":"verdict","promise":{"linearizable":false,"checked_i":9,
            "quorum_writes_acked":4,"quorum_writes_lost":1,"members_equal":null,"violations":["why"]},
            "harm":{"async_writes_acked":0,"async_writes_lost":null,"stale_reads":0,"stale_max_ms":0,
            "refused_stale":0,"unknown":0,"unavailable_ms":0}}"#;
        let stamped: Stamped = serde_json::from_str(line).expect("an event");
        let LabEvent::Verdict(verdict) = stamped.event else { panic!("{stamped:?}") };
        assert_eq!((verdict.promise.quorum_writes_lost, verdict.promise.quorum_writes_unread), (Some(1), 0));
        assert_eq!((verdict.promise.violations.len(), verdict.promise.violations_total), (1, 0));
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_and_goes_on() {
        let journal = Journal::start(None).expect("a journal");
        let mut slow = journal.subscribe();
        for i in 0..HELD_MAX + 10 {
            journal.emit(notice(&i.to_string()));
        }
        assert!(matches!(slow.recv().await, Err(broadcast::error::RecvError::Lagged(10))));
        assert_eq!(slow.recv().await.expect("the oldest held").event, notice("10"));
        journal.flush().await.expect("nothing to write");
    }

    #[test]
    fn what_the_file_cannot_take_is_counted_where_it_is_missing() {
        let (sender, mut queue) = mpsc::channel(2);
        let mut order = Order { file: Some(sender), missing: 0 };
        let event = |text: &str| stamped(Duration::ZERO, notice(text));
        let now = || Duration::ZERO;
        assert_eq!(order.record(&event("a"), now), Recorded::Yes);
        assert_eq!(order.record(&event("b"), now), Recorded::Yes);
        assert_eq!(order.record(&event("c"), now), Recorded::FirstMissing);
        assert_eq!(order.record(&event("d"), now), Recorded::Missing);
        let mut texts = Vec::new();
        let mut drain = |queue: &mut mpsc::Receiver<Line>| {
            while let Ok(Line::Event(Stamped { event: LabEvent::Notice { text, .. }, .. })) = queue.try_recv()
            {
                texts.push(text);
            }
        };
        drain(&mut queue);
        assert_eq!(order.record(&event("e"), now), Recorded::Yes);
        drain(&mut queue);
        assert_eq!(texts, ["a", "b", "2 events are missing here: the disk could not keep up", "e"]);
    }

    #[test]
    fn an_old_record_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(EVENTS_FILE), "kept").expect("a file");
        let error = Journal::start(Some(dir.path())).expect_err("the file exists");
        assert!(error.to_string().contains(EVENTS_FILE), "{error}");
    }
}
