//! How a member is, in one word, and how far it is behind.

use std::time::Duration;

use kvlab::types::{CLOCK_PERMILLE_TRUE, DiskCondition, NodeId, Role};

use super::node::{Freshness, NodeView};
use super::view::ViewState;
use crate::engine::HEARD_WITHIN;
use crate::run::event::ProcessState;
use crate::text::words;

/// A lag up to this is operations on their way: a heartbeat's worth of a busy cluster.
const LAG_ON_THE_WAY: u64 = 100;

/// A member's state in one word, the worst that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not spawned yet.
    Awaited,
    /// Spawned, not ready.
    Starting,
    /// Ended by itself.
    Died,
    /// Ended by the lab.
    Stopped,
    /// SIGSTOP.
    Paused,
    /// Its process runs, but it tells the lab nothing.
    Silent,
    /// Can talk to nobody.
    Isolated,
    /// Can talk to fewer members than a quorum needs.
    CutOff,
    /// Cannot talk to some other members that are not cut off themselves.
    PartCut,
    /// Its disk has no room.
    DiskFull,
    /// Values on its disk are damaged and not repaired yet: so many.
    Damaged(u64),
    /// Its disk was wiped and it has not earned its voice back.
    Learner,
    /// Receives the whole state: so many percent of it.
    Resync(u8),
    /// Refuses eventual reads.
    Stale,
    /// Asks for votes.
    Campaigning,
    /// At least one of its links is slow.
    Slow,
    /// The lab has made its disk slow.
    SlowDisk,
    /// The lab lets its next sync fail.
    SyncFails,
    /// The lab lets its clock run at this rate, in thousandths.
    Clock(u16),
    /// Nothing to say.
    Up,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Calm,
    /// Under way.
    Busy,
    /// Something is broken, and the cluster bears it.
    Hurt,
    /// Writes are refused or at risk, or a promise is broken.
    Alarm,
}

impl ViewState {
    /// A member's state in one word.
    pub fn health(&self, id: NodeId) -> Health {
        let Some(node) = self.nodes.get(&id) else { return Health::Awaited };
        match &node.process {
            None => return Health::Awaited,
            Some(ProcessState::Starting { .. }) => return Health::Starting,
            Some(ProcessState::Died { .. }) => return Health::Died,
            Some(ProcessState::Stopped { .. }) => return Health::Stopped,
            Some(ProcessState::Paused { .. }) => return Health::Paused,
            Some(ProcessState::Running { .. }) => {}
        }
        if !matches!(node.freshness(self.now_us), Freshness::Live) && self.silent_for(node) > HEARD_WITHIN {
            return Health::Silent;
        }
        if self.members().len() > 1 && self.talks_to(id) == 0 {
            return Health::Isolated;
        }
        if self.is_cut_off(id) {
            return Health::CutOff;
        }
        // Who cannot reach somebody cut off has nothing wrong with itself.
        if self.cut_from(id).is_empty() { self.own_health(node) } else { Health::PartCut }
    }

    /// The members that this one cannot talk to, though they are not cut off from a quorum.
    pub(super) fn cut_from(&self, id: NodeId) -> Vec<NodeId> {
        let cut = |&o: &NodeId| o != id && !self.links.talk(id, o) && !self.is_cut_off(o);
        self.members().into_iter().filter(cut).collect()
    }

    /// Whether a member can talk to fewer members, itself included, than a quorum needs.
    fn is_cut_off(&self, id: NodeId) -> bool {
        self.talks_to(id) + 1 < self.quorum()
    }

    fn own_health(&self, node: &NodeView) -> Health {
        let status = node.status.as_ref();
        if status.is_some_and(|s| s.disk_full) || node.disk == DiskCondition::Full {
            return Health::DiskFull;
        }
        if let Some(damaged) = status.map(|s| s.damaged).filter(|&damaged| damaged > 0) {
            return Health::Damaged(damaged);
        }
        if let Some((done, total)) = status.and_then(|s| s.resync) {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
            return Health::Resync(u8::try_from(percent).unwrap_or(100));
        }
        match node.role {
            Some(Role::Learner) => return Health::Learner,
            Some(Role::Candidate) => return Health::Campaigning,
            _ => {}
        }
        if status.is_some_and(|s| s.stale) {
            return Health::Stale;
        }
        match node.disk {
            DiskCondition::Slow { .. } => return Health::SlowDisk,
            DiskCondition::SyncFails => return Health::SyncFails,
            DiskCondition::Ok | DiskCondition::Full => {}
        }
        if node.clock != CLOCK_PERMILLE_TRUE {
            return Health::Clock(node.clock);
        }
        let slow =
            |&o: &NodeId| self.links.delay(node.id, o).is_some() || self.links.delay(o, node.id).is_some();
        if self.members().iter().any(slow) { Health::Slow } else { Health::Up }
    }

    fn silent_for(&self, node: &NodeView) -> Duration {
        let since = node.process_since_us.max(node.status_us);
        Duration::from_micros(self.now_us.saturating_sub(since))
    }

    /// How many other members this one can talk to, both ways, over its links. Says nothing of processes.
    pub fn talks_to(&self, id: NodeId) -> usize {
        self.members().iter().filter(|&&o| o != id && self.links.talk(id, o)).count()
    }

    /// Operations by which a member is behind the primary; `None`: not known, or it leads.
    ///
    /// A member that hears from the primary knows best. One that does not is measured by what the lab has seen
    /// of both: its own number would be as old as the last heartbeat.
    pub fn lag(&self, id: NodeId) -> Option<u64> {
        let node = self.nodes.get(&id)?;
        if node.role == Some(Role::Primary) {
            return None;
        }
        let own = node.status.as_ref()?;
        if self.is_in_touch(node) {
            return own.lag;
        }
        let leads = self.leader().and_then(|l| self.nodes.get(&l.node)?.status.as_ref());
        match leads {
            Some(leads) => Some(leads.last.index.saturating_sub(own.durable)),
            None => own.lag,
        }
    }

    /// Whether a member has heard from the primary lately.
    fn is_in_touch(&self, node: &NodeView) -> bool {
        let Some(own) = &node.status else { return false };
        node.freshness(self.now_us) == Freshness::Live
            && own.hears_primary()
            && self.leader().is_none_or(|l| own.primary == Some(l.node))
    }

    /// Whether a member's lag is more than operations on their way.
    pub fn is_behind(&self, id: NodeId) -> bool {
        let lag = self.lag(id).unwrap_or(0);
        let in_touch = self.nodes.get(&id).is_some_and(|n| self.is_in_touch(n));
        lag > if in_touch { LAG_ON_THE_WAY } else { 0 }
    }
}

impl Health {
    /// The word in the table, at most ten cells.
    pub fn word(self) -> String {
        self.about().0
    }

    /// The same within a sentence.
    pub fn phrase(self) -> String {
        self.about().1
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        self.about().2
    }

    fn about(self) -> (String, String, Severity) {
        use Severity::{Alarm, Busy, Calm, Hurt};
        let (word, phrase, severity) = match self {
            Self::Awaited => ("awaited", "is awaited", Busy),
            Self::Starting => ("starting", "is starting", Busy),
            Self::Died => ("DIED", "died", Alarm),
            Self::Stopped => ("stopped", "is stopped", Alarm),
            Self::Paused => ("paused", "is paused", Hurt),
            Self::Silent => ("silent", "is silent", Hurt),
            Self::Isolated => ("isolated", "is isolated", Alarm),
            Self::CutOff => ("cut off", "is cut off", Alarm),
            Self::PartCut => ("part cut", "is cut from some members", Hurt),
            Self::DiskFull => ("disk full", "has no room on its disk", Hurt),
            Self::Damaged(count) => {
                let phrase = format!(
                    "has {count} damaged {} on its disk",
                    if count == 1 { "value" } else { "values" }
                );
                return ("damaged".to_owned(), phrase, Hurt);
            }
            Self::Learner => ("learner", "is a learner: its disk was wiped", Busy),
            Self::Resync(percent) => {
                return (format!("sync {percent}%"), format!("receives the whole state, {percent}%"), Busy);
            }
            Self::Stale => ("stale", "refuses eventual reads: too stale", Hurt),
            Self::Campaigning => ("asks votes", "asks for votes", Busy),
            Self::Slow => ("slow", "is behind a slow link", Hurt),
            Self::SlowDisk => ("slow disk", "has a slow disk", Hurt),
            Self::SyncFails => ("sync fails", "has a disk that fails its next sync", Hurt),
            Self::Clock(permille) => {
                let word = format!("clock ×{:.1}", f64::from(permille) / 1000.0);
                return (word, format!("has a clock that runs {}", words::clock_rate(permille)), Hurt);
            }
            Self::Up => ("up", "is up", Calm),
        };
        (word.to_owned(), phrase.to_owned(), severity)
    }
}
