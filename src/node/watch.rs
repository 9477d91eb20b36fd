//! Status subscriptions: what watchers are told, and when.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tracing::warn;

use super::clock::millis;
use super::conn::Conn;
use crate::types::{Event, Report, Time};

/// Watches at most, all connections together; one more is refused as busy.
pub(super) const WATCHES_MAX: usize = 64;
/// A status is left out while this much waits on the watcher's connection: the next one says it all anyway.
const STATUS_BYTES_PAUSE: usize = 64 << 10;
/// An event is left out, and counted, while this much waits.
const EVENT_BYTES_PAUSE: usize = 512 << 10;
/// Notices kept for watchers that come later.
const NOTICES_KEPT: usize = 16;

/// Everyone who watches this node.
///
/// * A slow watcher gets fewer statuses, never an old one after a new one.
/// * Events come in order. If some had to be left out, a notice says how many before anything else comes.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watchers: Vec<Watcher>,
    /// Told to each new watcher first.
    notices: Vec<String>,
}

#[derive(Debug)]
struct Watcher {
    conn: Rc<Conn>,
    /// The client's name for its request.
    id: u64,
    every: Duration,
    due: Time,
    /// Events left out since the last that was told.
    skipped: u64,
}

impl Watchers {
    /// Adds a watcher; it is due a status at once. `false`: there are too many.
    #[must_use]
    pub(super) fn add(&mut self, conn: Rc<Conn>, id: u64, every: Duration, now: Time) -> bool {
        self.forget_gone();
        if self.watchers.len() >= WATCHES_MAX {
            return false;
        }
        for notice in &self.notices {
            conn.report(id, notice);
        }
        self.watchers.push(Watcher { conn, id, every, due: now, skipped: 0 });
        true
    }

    /// When the next status is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.watchers.iter().map(|watcher| watcher.due).min()
    }

    /// Tells a status to everyone who is due one; it is made only if anybody is.
    pub(super) fn tell_status(&mut self, now: Time, status: impl FnOnce() -> Report) {
        self.forget_gone();
        if !self.watchers.iter().any(|watcher| watcher.due <= now) {
            return;
        }
        let report = json(&status());
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.due <= now) {
            // From now, not from when it was due: a node that was paused does not catch up on statuses.
            watcher.due = now + watcher.every;
            if watcher.conn.out.bytes() <= STATUS_BYTES_PAUSE {
                watcher.tell_skipped(now);
                watcher.conn.report(watcher.id, &report);
            }
        }
    }

    /// Tells everyone an event, at once.
    pub(super) fn tell_event(&mut self, now: Time, event: Event) {
        self.forget_gone();
        if self.watchers.is_empty() {
            return;
        }
        let report = json(&Report::Event { uptime_ms: millis(now), event });
        for watcher in &mut self.watchers {
            if watcher.conn.out.bytes() > EVENT_BYTES_PAUSE {
                watcher.skipped += 1;
            } else {
                watcher.tell_skipped(now);
                watcher.conn.report(watcher.id, &report);
            }
        }
    }

    /// Tells everyone a sentence. Returns the report that they were told.
    pub(super) fn tell_news(&self, now: Time, text: String) -> String {
        let report = json(&Report::Notice { uptime_ms: millis(now), text });
        for watcher in &self.watchers {
            watcher.conn.report(watcher.id, &report);
        }
        report
    }

    /// Tells everyone a sentence, and everyone who comes later.
    pub(super) fn tell_notice(&mut self, now: Time, text: String) {
        let report = self.tell_news(now, text);
        if self.notices.len() < NOTICES_KEPT {
            self.notices.push(report);
        }
    }

    fn forget_gone(&mut self) {
        self.watchers.retain(|watcher| !watcher.conn.is_ending());
    }
}

impl Watcher {
    fn tell_skipped(&mut self, now: Time) {
        if self.skipped > 0 {
            let text = format!("{} events were left out: this watcher reads too slowly", self.skipped);
            self.conn.report(self.id, &json(&Report::Notice { uptime_ms: millis(now), text }));
            self.skipped = 0;
        }
    }
}

/// A report as it travels.
pub(super) fn json(report: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(report).unwrap_or_else(|error| {
        // Reports are plain structs with string keys.
        warn!(%error, "a report could not be written");
        String::from("null")
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::wire::{FrameDecoder, NodeFrame, Response};

    const EVERY: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Time {
        Duration::from_millis(ms)
    }

    fn conn() -> Rc<Conn> {
        Rc::new(Conn::new(SocketAddr::from(([127, 0, 0, 1], 9)), Rc::default()))
    }

    fn notice(n: u64) -> Report {
        Report::Notice { uptime_ms: n, text: String::from("in place of a status") }
    }

    /// Reads all that waits on the connection.
    async fn told(conn: &Conn) -> Vec<Report> {
        let (mut ours, mut theirs) = tokio::io::duplex(4 << 20);
        let stall = Duration::from_secs(5);
        tokio::select! {
            biased;
            end = conn.out.write_to(&mut ours, stall) => end.expect("written"),
            () = std::future::ready(()) => {}
        }
        drop(ours);
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut bytes).await.expect("read");
        let mut decoder = FrameDecoder::<NodeFrame>::new();
        decoder.admit();
        let mut bytes = BytesMut::from(&bytes[..]);
        std::iter::from_fn(|| decoder.decode(&mut bytes).expect("a frame"))
            .map(|frame| match frame {
                NodeFrame::Response { id: 7, response: Response::Report(json) } => {
                    serde_json::from_str(&json).expect("a report")
                }
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn a_status_comes_now_and_at_each_interval() {
        let conn = conn();
        let mut watchers = Watchers::default();
        assert!(watchers.add(conn.clone(), 7, EVERY, ms(5)));
        assert_eq!(watchers.next_due(), Some(ms(5)));
        watchers.tell_status(ms(5), || notice(1));
        assert_eq!(watchers.next_due(), Some(ms(105)));
        watchers.tell_status(ms(104), || panic!("nobody is due"));
        watchers.tell_status(ms(110), || notice(2));
        assert_eq!(told(&conn).await, [notice(1), notice(2)]);
        assert_eq!(watchers.next_due(), Some(ms(210)));
    }

    #[tokio::test]
    async fn a_slow_watcher_gets_the_latest_status_and_is_told_what_it_missed() {
        let conn = conn();
        let mut watchers = Watchers::default();
        assert!(watchers.add(conn.clone(), 7, EVERY, ms(0)));
        let mut sent = 0_u64;
        while conn.out.bytes() <= EVENT_BYTES_PAUSE {
            watchers.tell_event(ms(1), Event::LearnerGraduated);
            sent += 1;
        }
        for _ in 0..3 {
            watchers.tell_event(ms(2), Event::LearnerGraduated);
        }
        watchers.tell_status(ms(3), || notice(3));
        let before = told(&conn).await;
        assert_eq!(before.len() as u64, sent, "neither the status nor the last events");
        watchers.tell_status(ms(200), || notice(200));
        let after = told(&conn).await;
        assert_eq!(after.len(), 2);
        assert!(
            matches!(&after[0], Report::Notice { text, .. } if text.starts_with("3 events")),
            "{after:?}"
        );
        assert_eq!(after[1], notice(200));
    }

    #[tokio::test]
    async fn whoever_comes_later_hears_the_notices_and_the_gone_are_forgotten() {
        let mut watchers = Watchers::default();
        watchers.tell_notice(ms(1), String::from("a torn tail was cut"));
        let conn = conn();
        assert!(watchers.add(conn.clone(), 7, EVERY, ms(9)));
        let heard = told(&conn).await;
        assert!(matches!(&heard[..], [Report::Notice { uptime_ms: 1, .. }]), "{heard:?}");
        conn.out.finish();
        watchers.tell_status(ms(10), || panic!("nobody is there"));
        assert_eq!(watchers.next_due(), None);
    }

    #[test]
    fn there_are_not_more_watches_than_allowed() {
        let mut watchers = Watchers::default();
        for _ in 0..WATCHES_MAX {
            assert!(watchers.add(conn(), 7, EVERY, ms(0)));
        }
        assert!(!watchers.add(conn(), 7, EVERY, ms(0)));
    }
}
