//! Hints, cleanups and the scrub: when they begin, what becomes of them, what is told of them.
//!
//! The work is done on the keeper's thread (see [`Keeper`]). Its questions come to the node's loop, are answered from
//! the store there, and go to the disk thread where they are jobs. A cleanup begins because somebody asks for it, or
//! by itself when the policy says so; never two at once, the store sees to that.

use std::rc::Rc;
use std::time::Duration;

use tracing::{info, warn};

use super::clock::millis;
use super::conn::Conn;
use super::driver::Driver;
use super::scrubbing::Scrubbing;
use crate::storage::{
    Cleaned, Cleanup, CleanupPolicy, Job, Keeper, KeeperNews, NothingToDo, Served, StorageError,
};
use crate::types::{DiskStatus, LastCleanup, Time};
use crate::wire::{CleanupReply, Response};

/// How often the policy looks whether a cleanup should begin by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long none begins by itself after one was given up for lack of room.
const PAUSE_AFTER_NO_ROOM: Duration = Duration::from_secs(60);
/// How long none begins by itself after one had to leave damage as it is, or could not begin for it: tombstones stay then,
/// count as garbage still, and would ask for the next at once. It may be repaired by then.
const PAUSE_WHERE_DAMAGED: Duration = Duration::from_secs(60);

/// Hints, cleanups and the scrub of one node, as its loop sees them.
#[derive(Debug)]
pub(super) struct Housekeeping {
    keeper: Keeper,
    policy: CleanupPolicy,
    /// Who has asked for a cleanup that begins when the last segment is closed.
    asked: Option<Asker>,
    /// When the policy looks again.
    look_at: Time,
    /// When the cleanup under way began.
    began: Time,
    ended: u64,
    last: Option<LastCleanup>,
    scrubbing: Scrubbing,
}

/// A client's request for a cleanup.
#[derive(Debug)]
pub(super) struct Asker {
    conn: Rc<Conn>,
    id: u64,
}

impl Asker {
    /// The client's request.
    pub(super) fn new(conn: Rc<Conn>, id: u64) -> Self {
        Self { conn, id }
    }

    fn answer(&self, reply: CleanupReply) {
        self.conn.answer(self.id, Response::Cleanup(reply));
    }

    fn refuse(&self, why: NothingToDo) {
        self.answer(match why {
            NothingToDo::NoGarbage => CleanupReply::Nothing,
            NothingToDo::UnderWay | NothingToDo::NotCommitted | NothingToDo::Damaged => {
                CleanupReply::Refused { reason: why.to_string() }
            }
        });
    }
}

impl Housekeeping {
    /// Nothing is under way.
    pub(super) fn new(keeper: Keeper, policy: CleanupPolicy, scrub_rate: u64) -> Self {
        let (look_at, began) = (Time::ZERO, Time::ZERO);
        let scrubbing = Scrubbing::new(scrub_rate);
        Self { keeper, policy, asked: None, look_at, began, ended: 0, last: None, scrubbing }
    }

    /// A client asks for a cleanup: the last segment is closed first, so that everything can be cleaned.
    pub(super) fn ask(&mut self, asker: Asker, driver: &mut Driver) {
        if self.asked.is_some() || driver.store().cleanup_progress().is_some() {
            return asker.refuse(NothingToDo::UnderWay);
        }
        self.asked = Some(asker);
        driver.add_job(Job::CloseSegment);
    }

    /// The disk has done something.
    pub(super) fn after_disk(&mut self, now: Time, driver: &mut Driver) {
        if let Some(answer) = driver.store_mut().take_answer() {
            self.keeper.answer(answer);
        }
        for task in driver.store_mut().take_hint_tasks() {
            self.keeper.hint(task);
        }
        if driver.store_mut().take_closed()
            && let Some(asker) = self.asked.take()
        {
            match self.begin(now, driver) {
                Ok(bytes_total) => asker.answer(CleanupReply::Begun { bytes_total }),
                Err(why) => asker.refuse(why),
            }
        }
    }

    /// Begins a cleanup if the policy says so and it is time to look; goes on with the scrub.
    pub(super) fn look(&mut self, now: Time, driver: &mut Driver) {
        self.scrubbing.look(now, driver, &self.keeper);
        if now < self.look_at || self.asked.is_some() {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        let commit = driver.status(now).commit;
        if driver.store().wants_cleanup(self.policy, commit) && self.begin(now, driver).is_err() {
            self.look_at = now + PAUSE_WHERE_DAMAGED;
        }
    }

    /// The keeper has something to say. Returns what is worth telling.
    ///
    /// # Errors
    /// If the disk has failed: final for the process.
    pub(super) fn hear(
        &mut self,
        now: Time,
        news: KeeperNews,
        driver: &mut Driver,
    ) -> Result<Option<String>, StorageError> {
        match news {
            KeeperNews::Ask(request) => {
                match driver.store_mut().serve(request)? {
                    Served::Answer(answer) => self.keeper.answer(answer),
                    Served::Job(job) => driver.add_job(job),
                }
                Ok(None)
            }
            KeeperNews::Damaged(damaged) => {
                driver.store_mut().note_damage(damaged);
                Ok(None)
            }
            KeeperNews::Scrubbed(scrubbed) => {
                self.scrubbing.hear(now, scrubbed, driver);
                Ok(None)
            }
            KeeperNews::Cleaned(cleaned) => {
                let given_up = cleaned.is_none().then(|| "the log was replaced or cut meanwhile".to_owned());
                let left = cleaned.map_or(0, |cleaned| cleaned.left_damaged);
                if left > 0 || driver.store().damage_status().now > 0 {
                    self.look_at = now + PAUSE_WHERE_DAMAGED;
                }
                Ok(Some(self.end(now, cleaned.unwrap_or_default(), given_up, driver)))
            }
            KeeperNews::NoRoom { cleanup: true, error } => {
                self.look_at = now + PAUSE_AFTER_NO_ROOM;
                Ok(Some(self.end(now, Cleaned::default(), Some(no_room(&error)), driver)))
            }
            KeeperNews::NoRoom { cleanup: false, error } => {
                warn!(
                    why = no_room(&error),
                    "a hint was not written; the next start reads its segment instead"
                );
                Ok(None)
            }
            KeeperNews::Failed(error) => Err(error),
        }
    }

    /// How the disk is used, and what cleanup does about it.
    pub(super) fn status(&self, now: Time, driver: &Driver) -> DiskStatus {
        let usage = driver.store().usage();
        DiskStatus {
            live_bytes: usage.live_bytes,
            garbage_percent: usage.garbage_percent(),
            segments: usage.segments,
            cleanup: driver.store().cleanup_progress().map(|progress| (progress.done, progress.total)),
            cleanups: self.ended,
            last_cleanup: self.last.clone(),
            damage: driver.store().damage_status(),
            scrub: self.scrubbing.status(now, driver),
        }
    }

    /// Gives up what is under way, and tells whoever waits for it.
    pub(super) fn stop(&mut self) {
        if let Some(asker) = self.asked.take() {
            asker.answer(CleanupReply::Refused { reason: "the node is stopping".to_owned() });
        }
        self.keeper.finish();
    }

    fn begin(&mut self, now: Time, driver: &mut Driver) -> Result<u64, NothingToDo> {
        let commit = driver.status(now).commit;
        let cleanup: Cleanup = driver.store_mut().begin_cleanup(commit)?;
        let bytes_total = cleanup.bytes_total();
        info!(bytes_total, commit, "cleanup begins");
        self.began = now;
        self.keeper.clean(cleanup);
        Ok(bytes_total)
    }

    fn end(&mut self, now: Time, cleaned: Cleaned, given_up: Option<String>, driver: &mut Driver) -> String {
        driver.store_mut().end_cleanup();
        let Cleaned { before, after, dropped, left_damaged } = cleaned;
        let took_ms = millis(now.saturating_sub(self.began));
        self.ended += 1;
        self.last = Some(LastCleanup { before, after, took_ms, given_up: given_up.clone(), left_damaged });
        match given_up {
            None => {
                info!(before, after, dropped, left_damaged, took_ms, "cleanup done");
                let freed = before.saturating_sub(after);
                let left = match left_damaged {
                    0 => String::new(),
                    n => format!("; {n} segments left as they are, since a value in them is damaged"),
                };
                format!(
                    "cleanup freed {freed} of {before} bytes in {took_ms} ms: {dropped} records dropped{left}"
                )
            }
            Some(why) => {
                warn!(why, took_ms, "cleanup given up");
                format!("cleanup given up: {why}")
            }
        }
    }
}

/// Why something was given up that the store does not depend on.
fn no_room(error: &StorageError) -> String {
    match error {
        StorageError::Full { path, source } => format!("no room for {}: {source}", path.display()),
        other => other.to_string(),
    }
}
