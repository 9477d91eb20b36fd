//! The ledger of a simulated cluster, read back all the time while the run goes on: by the same rules as that of real
//! processes.

use std::time::Duration;

use kvlab::types::ReadLevel;

use super::clients::Task;
use super::stage::{Advanced, Simulated};
use crate::run::event::Outcome;
use crate::run::history::Intent;
use crate::session::doubt::whom_to_ask;
use crate::workload::Way;
use crate::workload::ledger::ReadingBack;

/// Clients that read back at once.
const READERS: usize = 8;
/// Whether something is due is looked at this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The readers, each with what it reads.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    readers: Vec<(usize, Option<ReadingBack>)>,
    /// While it settles, nothing else is read.
    pub(super) settling: bool,
}

impl Simulated {
    /// Takes what was read, and reads what is due.
    pub(super) fn read_back_some(&mut self) -> Advanced {
        self.world.later(LOOK_EVERY, Task::ReadBack);
        let now = self.world.now();
        for (guest, reading) in &mut self.rolling.readers {
            if reading.is_some()
                && let Some(operation) = self.clients.take_ended(*guest)
            {
                let read = reading.take().expect("it read something");
                self.clients.was_read(read, operation.outcome == Outcome::Ok, now);
            }
        }
        let node = whom_to_ask(&self.view, now).filter(|_| !self.rolling.settling);
        let Some(node) = node else { return Advanced::Something };
        while self.rolling.readers.len() < READERS
            || self.rolling.readers.iter().any(|(_, read)| read.is_none())
        {
            let Some(read) = self.clients.next_read(now) else { break };
            let readers = &mut self.rolling.readers;
            let free = readers.iter().position(|(_, reading)| reading.is_none()).unwrap_or_else(|| {
                readers.push((self.clients.guest(None), None));
                readers.len() - 1
            });
            let (guest, reading) = &mut readers[free];
            *reading = Some(read);
            let intent = Intent::get(read.key.name(), ReadLevel::Quorum);
            self.clients.begin(&mut self.world, *guest, Way::Only(node), intent);
        }
        Advanced::Something
    }
}
