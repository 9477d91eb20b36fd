//! The ledger of a simulated cluster, read back all the time while the run goes on: by the same rules as that of real
//! processes.

use kvlab::types::ReadLevel;

use super::clients::Task;
use super::readers::{LOOK_EVERY, READERS};
use super::stage::{Advanced, Simulated};
use crate::run::event::Outcome;
use crate::run::history::Intent;
use crate::session::doubt::whom_to_ask;
use crate::workload::Way;

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
                let answer = (operation.outcome == Outcome::Ok).then_some(operation.value);
                self.clients.was_read(read, answer, now);
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
