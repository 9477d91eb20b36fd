//! What strangers can cause, at a bounded rate: log lines, and attempts to accept.
#![expect(clippy::disallowed_methods, reason = "pauses after it could not accept")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tracing::warn;

use super::clock::Clock;
use crate::types::Time;

/// Lines let through in one [`WINDOW`].
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);
/// How long a listener waits after it could not accept (too many open files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets at most 20 lines a second through: whoever connects over and over fills neither the disk nor the log.
#[derive(Debug, Default)]
pub(super) struct ConnectionGate {
    window_ends: Cell<Time>,
    lines: Cell<u32>,
    suppressed: Cell<u64>,
}

impl ConnectionGate {
    /// `Some(how many were kept back before)` if a line may be written at `now`.
    pub(super) fn pass(&self, now: Time) -> Option<u64> {
        if now >= self.window_ends.get() {
            self.window_ends.set(now + WINDOW);
            self.lines.set(0);
        }
        if self.lines.get() < LINES_MAX {
            self.lines.set(self.lines.get() + 1);
            Some(self.suppressed.take())
        } else {
            self.suppressed.set(self.suppressed.get() + 1);
            None
        }
    }

    /// The next connection. `whose`: a client's, a member's.
    pub(super) async fn accept(
        &self,
        listener: &TcpListener,
        clock: &Clock,
        whose: &str,
    ) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    if let Some(more) = self.pass(clock.now()) {
                        warn!(%error, more, "could not accept a {whose}");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_written() {
        let gate = ConnectionGate::default();
        let now = Duration::from_millis(1500);
        let passed = (0..1000).filter(|_| gate.pass(now).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(gate.pass(now + WINDOW), Some(980));
        assert_eq!(gate.pass(now + WINDOW), Some(0));
    }
}
