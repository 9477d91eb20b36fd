//! One member: its process, what it last said of itself, and when.

use std::time::Duration;

use kvlab::types::{Ballot, CLOCK_PERMILLE_TRUE, DiskCondition, Event, NodeCondition, NodeId, Report, Role};
use serde::{Deserialize, Serialize};

use super::Ring;
use crate::engine::{NodeState, Term};
use crate::run::event::ProcessState;
use crate::text::words;

/// Lag samples kept of each member: two minutes at four a second.
const LAG_SAMPLES_MAX: usize = 480;
/// A status older than this is shown with its age, never as if it were live.
pub const LIVE_FOR: Duration = Duration::from_secs(1);

/// Everything known of one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    pub id: NodeId,
    /// Its process; `None`: not spawned yet.
    pub process: Option<ProcessState>,
    /// Since when.
    pub process_since_us: u64,
    /// Whether the lab's own connection to it stands.
    pub watched: bool,
    pub status: Option<NodeState>,
    /// When that came.
    pub status_us: u64,
    /// Its part, from its statuses and events, whichever came last; `None` while it has no process that speaks.
    pub role: Option<Role>,
    /// The term that it leads or follows.
    pub term: Term,
    /// Since when it has led this term, if it does.
    pub leads_since_us: Option<u64>,
    /// When it last said anything of its part.
    pub role_us: u64,
    /// Its last answer to a request for its vote.
    pub last_vote: Option<LastVote>,
    /// How often its process has become ready.
    pub starts: u32,
    /// The last thing done to it, and when.
    pub last_fault: Option<(u64, String)>,
    /// The condition of its disk, as the lab has set it.
    pub disk: DiskCondition,
    /// The rate of its clock, as the lab has set it, in thousandths.
    pub clock: u16,
    /// Its lag over time; `None`: not known at that time.
    pub lag: Ring<(u64, Option<u64>), LAG_SAMPLES_MAX>,
}

/// An answer to a request for a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVote {
    /// The term asked for.
    pub term: Term,
    /// Whether it gave it.
    pub granted: bool,
}

/// How far what is known of a member can be trusted to be so now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It has never said anything.
    Never,
    /// It is so now.
    Live,
    /// It was so this long ago.
    Old(Duration),
}

impl NodeView {
    /// A member of which nothing is known.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            process: None,
            process_since_us: 0,
            watched: false,
            status: None,
            status_us: 0,
            role: None,
            term: Term::default(),
            leads_since_us: None,
            role_us: 0,
            last_vote: None,
            starts: 0,
            last_fault: None,
            disk: DiskCondition::Ok,
            clock: CLOCK_PERMILLE_TRUE,
            lag: Ring::default(),
        }
    }

    /// Its process changed.
    pub fn process_is(&mut self, state: &ProcessState, t_us: u64) {
        match state {
            ProcessState::Running { .. } if !matches!(self.process, Some(ProcessState::Paused { .. })) => {
                self.starts = self.starts.saturating_add(1);
            }
            ProcessState::Stopped { .. } | ProcessState::Died { .. } => {
                self.role = None;
                self.leads_since_us = None;
                self.watched = false;
                self.disk = self.disk.after_restart();
            }
            _ => {}
        }
        self.process = Some(state.clone());
        self.process_since_us = t_us;
    }

    /// The lab has set a condition of its disk or clock.
    pub fn condition_is(&mut self, condition: NodeCondition) {
        match condition {
            NodeCondition::Disk(disk) => self.disk = disk,
            NodeCondition::Clock(clock) => self.clock = clock.permille().unwrap_or(self.clock),
        }
    }

    /// The conditions of its disk and clock that the lab has set, in words; empty: all is as it should be.
    pub fn conditions(&self) -> Vec<String> {
        let disk = (self.disk != DiskCondition::Ok).then(|| words::disk(self.disk));
        let clock =
            (self.clock != CLOCK_PERMILLE_TRUE).then(|| format!("clock {}", words::clock_rate(self.clock)));
        disk.into_iter().chain(clock).collect()
    }

    /// Whether the lab has done something to it that is not undone.
    pub fn has_fault(&self) -> bool {
        self.is_paused() || self.is_down() || !self.conditions().is_empty()
    }

    /// It said something of itself. Its own words end here: what is kept is what every engine says.
    pub fn reported(&mut self, report: &Report, t_us: u64) {
        match report {
            Report::Status(status) => {
                let status = NodeState::from(status);
                self.part_is(status.role, status.term.clone(), t_us);
                self.status = Some(status);
                self.status_us = t_us;
            }
            Report::Event { event, .. } => self.event(event, t_us),
            Report::Notice { .. } => {}
        }
    }

    fn event(&mut self, event: &Event, t_us: u64) {
        match event {
            Event::EpochOpened { epoch, .. } => self.part_is(Role::Primary, (*epoch).into(), t_us),
            Event::Following { epoch } if self.role != Some(Role::Learner) => {
                self.part_is(Role::Replica, (*epoch).into(), t_us);
            }
            Event::SteppedDown { .. } => self.part_is(Role::Replica, self.term.clone(), t_us),
            Event::Voted { epoch, ballot } => {
                self.last_vote =
                    Some(LastVote { term: (*epoch).into(), granted: *ballot == Ballot::Granted });
            }
            _ => {}
        }
    }

    fn part_is(&mut self, role: Role, term: Term, t_us: u64) {
        if !self.speaks() {
            return;
        }
        let led = self.role == Some(Role::Primary) && self.term == term;
        self.leads_since_us = match (role, led) {
            (Role::Primary, true) => self.leads_since_us,
            (Role::Primary, false) => Some(t_us),
            _ => None,
        };
        (self.role, self.term, self.role_us) = (Some(role), term, t_us);
    }

    /// Whether what it says now is so now. What a process said before it ended may be told after its end, and says
    /// nothing of the next.
    pub fn speaks(&self) -> bool {
        use ProcessState::{Died, Starting, Stopped};
        !matches!(self.process, Some(Starting { .. } | Stopped { .. } | Died { .. }))
    }

    /// Whether its process runs and is not paused.
    pub fn runs(&self) -> bool {
        matches!(self.process, Some(ProcessState::Running { .. }))
    }

    /// Whether its process is stopped by SIGSTOP.
    pub fn is_paused(&self) -> bool {
        matches!(self.process, Some(ProcessState::Paused { .. }))
    }

    /// Whether its process has ended.
    pub fn is_down(&self) -> bool {
        matches!(self.process, Some(ProcessState::Stopped { .. } | ProcessState::Died { .. }))
    }

    /// How far what is known can be trusted to be so at `now_us`.
    pub fn freshness(&self, now_us: u64) -> Freshness {
        if self.status.is_none() {
            return Freshness::Never;
        }
        let age = Duration::from_micros(now_us.saturating_sub(self.status_us));
        if self.runs() && self.watched && age <= LIVE_FOR { Freshness::Live } else { Freshness::Old(age) }
    }

    /// The process id, if there is a process.
    pub fn pid(&self) -> Option<u32> {
        match self.process {
            Some(
                ProcessState::Starting { pid }
                | ProcessState::Running { pid, .. }
                | ProcessState::Paused { pid },
            ) => Some(pid),
            _ => None,
        }
    }

    /// Where clients reach it, if it runs.
    pub fn client_address(&self) -> Option<&str> {
        match &self.process {
            Some(ProcessState::Running { client, .. }) => Some(client),
            _ => None,
        }
    }
}
