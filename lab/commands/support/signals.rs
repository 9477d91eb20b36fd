//! Being told to stop: SIGINT, SIGTERM and SIGHUP, in every mode.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{CommandError, Exit};

/// Listens from the moment it is made; until then a signal ends the program at once, as usual.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, CommandError> {
        let listen =
            |kind| signal(kind).map_err(|e| Exit::Usage.because(format!("cannot listen for signals: {e}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns the name of the next signal. Cancel safe.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
