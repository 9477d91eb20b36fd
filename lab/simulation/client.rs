//! One client of the lab on a simulated cluster.
//!
//! A connection is modelled by what it is good for: whoever has none finds out that nobody can be reached before
//! anything is sent, and whoever has one does not. Handshakes take no time.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::client::{Backoff, Course};
use kvlab::sim::World;
use kvlab::types::{Command, NodeId};

use crate::run::event::Operation;
use crate::run::history::Intent;
use crate::workload::Way;
use crate::workload::ledger::LedgerKey;
use crate::workload::pace::Schedule;
use crate::workload::routine::Routine;

/// One client, of the background load or of a step.
#[derive(Debug)]
pub(super) struct SimulatedClient {
    pub(super) number: u32,
    pub(super) home: Option<NodeId>,
    /// Members that it has a connection to, and which of their processes that is.
    pub(super) connections: BTreeMap<NodeId, u64>,
    pub(super) waits: Backoff,
    pub(super) values: u64,
    pub(super) pending: Option<Pending>,
    /// What a client of the background load does. Guests have none.
    pub(super) background: Option<Background>,
    /// How a guest's operation ended.
    pub(super) ended: Option<Operation>,
}

/// What a client of the background load does, and when.
#[derive(Debug)]
pub(super) struct Background {
    pub(super) routine: Routine,
    pub(super) schedule: Schedule,
    pub(super) phase: f64,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) intent: Intent,
    pub(super) way: Way,
    pub(super) command: Command,
    pub(super) course: Course,
    pub(super) node: NodeId,
    /// When its first attempt began, and when it was meant to.
    pub(super) began: Duration,
    pub(super) intended: Duration,
    pub(super) i: u64,
    pub(super) attempt: u64,
    pub(super) tries: u32,
    pub(super) ledger_key: Option<LedgerKey>,
}

impl SimulatedClient {
    /// A client that has done nothing yet.
    pub(super) fn new(number: u32, home: Option<NodeId>, seed: u64, background: Option<Background>) -> Self {
        Self {
            number,
            home,
            connections: BTreeMap::new(),
            waits: Backoff::seeded(seed ^ u64::from(number)),
            values: 0,
            pending: None,
            background,
            ended: None,
        }
    }

    /// A value that nobody else writes in this run.
    pub(super) fn fresh_value(&mut self) -> String {
        self.values += 1;
        format!("c{}-{}", self.number, self.values)
    }
}

/// What somebody who wants a connection finds.
pub(super) enum Reach {
    /// A connection.
    Open,
    /// Nobody listens, and that is told at once.
    Nobody,
    /// Nothing is told.
    Silence,
}

/// What a client at home with `home` finds that wants a connection to `node`.
pub(super) fn reach<T>(world: &World<T>, home: Option<NodeId>, node: NodeId) -> Reach {
    let away = home.filter(|home| *home != node);
    let cut = away.is_some_and(|home| world.is_cut(home, node) || world.is_cut(node, home));
    match (cut, world.is_running(node), world.is_paused(node)) {
        (true, ..) | (_, true, true) => Reach::Silence,
        (_, false, _) => Reach::Nobody,
        (_, true, false) => Reach::Open,
    }
}
