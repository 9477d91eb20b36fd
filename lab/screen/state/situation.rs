//! What the whole cluster is like: who leads, who is cut off, what is at risk, in one sentence.

use std::time::Duration;

use kvlab::types::{NodeId, Role};

use super::node::{Freshness, NodeView};
use super::view::ViewState;
use crate::engine::{HEARD_WITHIN, NodeState, Term};
use crate::run::event::ProcessState;
use crate::text::words;

/// A lag up to this is operations on their way: a heartbeat's worth of a busy cluster.
const LAG_ON_THE_WAY: u64 = 100;

/// A member's state in one word, the worst that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
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
    /// Nothing to say.
    Up,
}

/// A member that claims to be primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The member.
    pub node: NodeId,
    /// The term that it leads.
    pub term: &'a Term,
    /// Whether that can be trusted to be so now.
    pub fresh: Freshness,
    /// Whether its process is paused.
    pub paused: bool,
    /// Entries in its log that it does not know to be committed.
    pub uncommitted: u64,
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

/// One sentence on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// How bad it is.
    pub severity: Severity,
    /// The few words that must be seen.
    pub title: String,
    /// The rest of the sentence.
    pub text: String,
}

impl ViewState {
    /// Members that claim to be primary, the highest term first.
    pub fn claims(&self) -> Vec<Claim<'_>> {
        let leads = self.nodes.values().filter(|node| node.role == Some(Role::Primary));
        let mut claims: Vec<_> = leads
            .map(|node| Claim {
                node: node.id,
                term: &node.term,
                fresh: node.freshness(self.now_us),
                paused: node.is_paused(),
                uncommitted: node.status.as_ref().map_or(0, NodeState::uncommitted),
            })
            .collect();
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.term));
        claims
    }

    /// The primary of the highest term, if any claims to be one.
    pub fn leader(&self) -> Option<Claim<'_>> {
        self.claims().into_iter().next()
    }

    /// Whether at least two members are primary at the same time: each runs, and each has said so after the
    /// youngest of them began to lead (else the older may have stepped down meanwhile).
    pub fn split_brain(&self) -> bool {
        let leading: Vec<_> =
            self.nodes.values().filter(|n| n.role == Some(Role::Primary) && n.runs() && n.watched).collect();
        let youngest = leading.iter().filter_map(|n| n.leads_since_us).max().unwrap_or(0);
        let leads_now = |n: &&&NodeView| n.leads_since_us == Some(youngest) || n.role_us > youngest;
        leading.iter().filter(leads_now).count() >= 2
    }

    /// Whether this member leads a term below the highest that is led.
    pub fn is_old_primary(&self, id: NodeId) -> bool {
        let claims = self.claims();
        claims.iter().skip(1).any(|c| c.node == id)
    }

    /// A member's state in one word.
    pub fn condition(&self, id: NodeId) -> Condition {
        let Some(node) = self.nodes.get(&id) else { return Condition::Awaited };
        match &node.process {
            None => return Condition::Awaited,
            Some(ProcessState::Starting { .. }) => return Condition::Starting,
            Some(ProcessState::Died { .. }) => return Condition::Died,
            Some(ProcessState::Stopped { .. }) => return Condition::Stopped,
            Some(ProcessState::Paused { .. }) => return Condition::Paused,
            Some(ProcessState::Running { .. }) => {}
        }
        if !matches!(node.freshness(self.now_us), Freshness::Live) && self.silent_for(node) > HEARD_WITHIN {
            return Condition::Silent;
        }
        if self.members().len() > 1 && self.talks_to(id) == 0 {
            return Condition::Isolated;
        }
        if self.is_cut_off(id) {
            return Condition::CutOff;
        }
        // Who cannot reach somebody cut off has nothing wrong with itself.
        if self.cut_from(id).is_empty() { self.own_condition(node) } else { Condition::PartCut }
    }

    /// The members that this one cannot talk to, though they are not cut off from a quorum.
    fn cut_from(&self, id: NodeId) -> Vec<NodeId> {
        let cut = |&o: &NodeId| o != id && !self.links.talk(id, o) && !self.is_cut_off(o);
        self.members().into_iter().filter(cut).collect()
    }

    /// Whether a member can talk to fewer members, itself included, than a quorum needs.
    fn is_cut_off(&self, id: NodeId) -> bool {
        self.talks_to(id) + 1 < self.quorum()
    }

    fn own_condition(&self, node: &NodeView) -> Condition {
        let status = node.status.as_ref();
        if status.is_some_and(|s| s.disk_full) {
            return Condition::DiskFull;
        }
        if let Some((done, total)) = status.and_then(|s| s.resync) {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
            return Condition::Resync(u8::try_from(percent).unwrap_or(100));
        }
        match node.role {
            Some(Role::Learner) => return Condition::Learner,
            Some(Role::Candidate) => return Condition::Campaigning,
            _ => {}
        }
        if status.is_some_and(|s| s.stale) {
            return Condition::Stale;
        }
        let slow =
            |&o: &NodeId| self.links.delay(node.id, o).is_some() || self.links.delay(o, node.id).is_some();
        if self.members().iter().any(slow) { Condition::Slow } else { Condition::Up }
    }

    fn silent_for(&self, node: &NodeView) -> Duration {
        let since = node.process_since_us.max(node.status_us);
        Duration::from_micros(self.now_us.saturating_sub(since))
    }

    /// How many other members this one can talk to, both ways, over its links. Says nothing of processes.
    pub fn talks_to(&self, id: NodeId) -> usize {
        self.members().iter().filter(|&&o| o != id && self.links.talk(id, o)).count()
    }

    /// How many members (itself among them) a primary has heard from lately; `None`: not known.
    fn heard_by(&self, primary: NodeId) -> Option<usize> {
        let status = self.nodes.get(&primary)?.status.as_ref()?;
        Some(1 + status.peers.iter().filter(|peer| peer.is_heard()).count())
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

    /// The cluster in one sentence: the worst that applies.
    pub fn situation(&self) -> Situation {
        let checks: [fn(&Self) -> Option<Situation>; 7] = [
            Self::broken_promise,
            Self::starting,
            Self::two_primaries,
            Self::no_primary,
            Self::primary_unwell,
            Self::no_quorum,
            Self::members_unwell,
        ];
        checks.iter().find_map(|check| check(self)).unwrap_or_else(|| self.calm())
    }

    /// Whether quorum operations are linearizable, as far as is known: a proof comes before the verdict that counts it.
    pub fn linearizable(&self) -> Option<bool> {
        match self.evidence.breaks_linearizability() {
            true => Some(false),
            false => self.verdict.as_ref()?.promise.linearizable,
        }
    }

    fn broken_promise(&self) -> Option<Situation> {
        let promise = &self.verdict.as_ref()?.promise;
        let proved = self.evidence.violations().first();
        let title = if self.linearizable() == Some(false) {
            "PROMISE BROKEN: NOT LINEARIZABLE".to_owned()
        } else if let Some(lost) = promise.quorum_writes_lost.filter(|&n| n > 0) {
            format!("PROMISE BROKEN: {lost} QUORUM WRITES LOST")
        } else if promise.members_equal == Some(false) {
            "PROMISE BROKEN: MEMBERS DIFFER".to_owned()
        } else if proved.is_some() {
            "PROMISE BROKEN: A VALUE THAT NOBODY WROTE".to_owned()
        } else {
            return None;
        };
        let why = |violation| self.evidence.rule(violation).unwrap_or_else(|| violation.to_string());
        let text = proved.map(why).or_else(|| promise.violations.first().cloned()).unwrap_or_default();
        Some(Situation { severity: Severity::Alarm, title, text })
    }

    /// Whether the run has just begun: no member has ever ended, and not all are ready.
    pub fn is_starting(&self) -> bool {
        let fresh = self.nodes.values().all(|n| n.starts <= 1 && !n.is_down());
        fresh && (self.members().is_empty() || self.ready() < self.members().len())
    }

    fn ready(&self) -> usize {
        let waited = |c: Condition| matches!(c, Condition::Awaited | Condition::Starting);
        self.members().into_iter().filter(|&n| !waited(self.condition(n))).count()
    }

    fn starting(&self) -> Option<Situation> {
        self.is_starting().then(|| {
            let text = match self.members().len() {
                0 => "no member is known yet".to_owned(),
                members => format!("{} of {members} nodes are up", self.ready()),
            };
            Situation::new(Severity::Busy, "STARTING", text)
        })
    }

    fn two_primaries(&self) -> Option<Situation> {
        if !self.split_brain() {
            return None;
        }
        let claims: Vec<_> = self.claims().into_iter().filter(|c| !c.paused).collect();
        let (new, old) = claims.split_first()?;
        let says = |c: &Claim<'_>| format!("{} ({})", c.node, c.term);
        let title = format!("{} PRIMARIES", words::count_word(claims.len()).to_uppercase());
        let olds = old.iter().map(says).collect::<Vec<_>>().join(" and ");
        let mut text = format!("{olds} and {}", says(new));
        for claim in old.iter().filter(|c| c.uncommitted > 0) {
            text += &format!("; up to {} at risk on {}", words::writes(claim.uncommitted), claim.node);
        }
        Some(Situation { severity: Severity::Alarm, title, text })
    }

    fn no_primary(&self) -> Option<Situation> {
        if self.leader().is_some() {
            return None;
        }
        let campaigning =
            self.nodes.values().find(|n| n.role == Some(Role::Candidate) && n.runs()).map(|n| n.id);
        let text = match campaigning {
            Some(node) => format!("{node} asks for votes"),
            None => "writes are refused; select a member and press P to promote it".to_owned(),
        };
        Some(Situation { severity: Severity::Alarm, title: "NO PRIMARY".to_owned(), text })
    }

    fn primary_unwell(&self) -> Option<Situation> {
        let leader = self.leader()?;
        let (node, term) = (leader.node, leader.term);
        let Freshness::Old(age) = leader.fresh else {
            let text = format!("{node} ({term}) refuses writes until there is room; reads go on");
            let full = self.condition(node) == Condition::DiskFull;
            return full.then(|| Situation::new(Severity::Alarm, "PRIMARY'S DISK IS FULL", text));
        };
        if leader.paused {
            let text =
                format!("{node} ({term}) is stopped in its tracks: it answers nobody, and does not know");
            return Some(Situation::new(Severity::Alarm, "PRIMARY PAUSED", text));
        }
        (age > super::node::LIVE_FOR).then(|| {
            let text = format!("{node} led {term} {} ago; nothing is known since", words::age(age));
            Situation::new(Severity::Alarm, "PRIMARY SILENT", text)
        })
    }

    fn no_quorum(&self) -> Option<Situation> {
        let leader = self.leader()?;
        let heard = self.heard_by(leader.node)?;
        let (quorum, members) = (self.quorum(), self.members().len());
        (heard < quorum).then(|| {
            let (node, term) = (leader.node, leader.term);
            let mut text = match heard {
                1 => format!("{node} ({term}) hears nobody"),
                _ => format!("{node} ({term}) and those it hears are {heard} of {members}, {quorum} needed"),
            };
            if leader.uncommitted > 0 {
                text += &format!("; up to {} on no quorum", words::writes(leader.uncommitted));
            }
            Situation::new(Severity::Alarm, "NO QUORUM", text)
        })
    }

    fn members_unwell(&self) -> Option<Situation> {
        let leader = self.leader()?;
        let unwell: Vec<_> = self
            .members()
            .iter()
            .filter_map(|&n| {
                let condition = self.condition(n);
                match condition {
                    Condition::Up => None,
                    Condition::PartCut => {
                        let from: Vec<_> = self.cut_from(n).iter().map(ToString::to_string).collect();
                        Some(format!("{n} is cut from {}", from.join(" ")))
                    }
                    _ => Some(format!("{n} {}", condition.phrase())),
                }
            })
            .collect();
        (!unwell.is_empty()).then(|| {
            let title = format!("{} LEADS {}", leader.node, leader.term);
            Situation { severity: Severity::Hurt, title, text: unwell.join(", ") }
        })
    }

    fn calm(&self) -> Situation {
        let leads = self.leader().map_or_else(String::new, |l| format!("{} LEADS {}", l.node, l.term));
        let text = match self.members().len() {
            1 => "a single node: every write is on one disk".to_owned(),
            n => format!("all {n} members are up and every link passes"),
        };
        Situation { severity: Severity::Calm, title: leads, text }
    }
}

impl Situation {
    fn new(severity: Severity, title: &str, text: impl Into<String>) -> Self {
        Self { severity, title: title.to_owned(), text: text.into() }
    }
}

impl Condition {
    /// The word in the table, at most ten cells.
    pub fn word(self) -> String {
        match self {
            Self::Awaited => "awaited".to_owned(),
            Self::Starting => "starting".to_owned(),
            Self::Died => "DIED".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::Paused => "paused".to_owned(),
            Self::Silent => "silent".to_owned(),
            Self::Isolated => "isolated".to_owned(),
            Self::CutOff => "cut off".to_owned(),
            Self::PartCut => "part cut".to_owned(),
            Self::DiskFull => "disk full".to_owned(),
            Self::Learner => "learner".to_owned(),
            Self::Resync(percent) => format!("sync {percent}%"),
            Self::Stale => "stale".to_owned(),
            Self::Campaigning => "asks votes".to_owned(),
            Self::Slow => "slow".to_owned(),
            Self::Up => "up".to_owned(),
        }
    }

    /// The same within a sentence.
    pub fn phrase(self) -> String {
        match self {
            Self::Died => "died".to_owned(),
            Self::Silent => "is silent".to_owned(),
            Self::Isolated | Self::CutOff | Self::Stopped | Self::Paused => format!("is {}", self.word()),
            Self::PartCut => "is cut from some members".to_owned(),
            Self::DiskFull => "has no room on its disk".to_owned(),
            Self::Learner => "is a learner: its disk was wiped".to_owned(),
            Self::Resync(percent) => format!("receives the whole state, {percent}%"),
            Self::Stale => "refuses eventual reads: too stale".to_owned(),
            Self::Campaigning => "asks for votes".to_owned(),
            Self::Slow => "is behind a slow link".to_owned(),
            Self::Awaited | Self::Starting | Self::Up => format!("is {}", self.word()),
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Up => Severity::Calm,
            Self::Awaited | Self::Starting | Self::Resync(_) | Self::Learner | Self::Campaigning => {
                Severity::Busy
            }
            Self::DiskFull | Self::Slow | Self::Stale | Self::PartCut | Self::Paused | Self::Silent => {
                Severity::Hurt
            }
            Self::Died | Self::Stopped | Self::Isolated | Self::CutOff => Severity::Alarm,
        }
    }
}
