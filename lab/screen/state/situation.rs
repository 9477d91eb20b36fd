//! What the whole cluster is like: who leads, who is cut off, what is at risk, in one sentence.

use kvlab::types::{NodeId, Role};

use super::health::{Health, Severity};
use super::node::{self, Freshness, NodeView};
use super::scenario::ScenarioPhase;
use super::view::ViewState;
use crate::engine::{NodeState, Term};
use crate::text::words;

/// A member that claims to be primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    pub node: NodeId,
    pub term: &'a Term,
    /// Whether that can be trusted to be so now.
    pub fresh: Freshness,
    pub paused: bool,
    /// Entries in its log that it does not know to be committed.
    pub uncommitted: u64,
}

/// One sentence on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
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

    /// How many members (itself among them) a primary has heard from lately; `None`: not known.
    fn heard_by(&self, primary: NodeId) -> Option<usize> {
        let status = self.nodes.get(&primary)?.status.as_ref()?;
        Some(1 + status.peers.iter().filter(|peer| peer.is_heard()).count())
    }

    /// The cluster in one sentence: the worst that applies.
    pub fn situation(&self) -> Situation {
        let checks: [fn(&Self) -> Option<Situation>; 8] = [
            Self::leaving,
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

    /// A free run settles only to end.
    fn leaving(&self) -> Option<Situation> {
        let text = match self.scenario.as_ref().filter(|_| self.is_free())?.phase {
            ScenarioPhase::Settling { .. } => {
                "heal and restart everything, wait until the members agree".to_owned()
            }
            ScenarioPhase::ReadingBack { done, total } => {
                format!("{done} of {total} keys are read back, for the full verdict")
            }
            ScenarioPhase::Steps | ScenarioPhase::Finished { .. } => return None,
        };
        Some(Situation::new(Severity::Busy, "LEAVING", text + "; q again leaves at once"))
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
        let waited = |c: Health| matches!(c, Health::Awaited | Health::Starting);
        self.members().into_iter().filter(|&n| !waited(self.health(n))).count()
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
            let full = self.health(node) == Health::DiskFull;
            return full.then(|| Situation::new(Severity::Alarm, "PRIMARY'S DISK IS FULL", text));
        };
        if leader.paused {
            let text =
                format!("{node} ({term}) is stopped in its tracks: it answers nobody, and does not know");
            return Some(Situation::new(Severity::Alarm, "PRIMARY PAUSED", text));
        }
        (age > node::LIVE_FOR).then(|| {
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
                let health = self.health(n);
                match health {
                    Health::Up => None,
                    Health::PartCut => {
                        let from: Vec<_> = self.cut_from(n).iter().map(ToString::to_string).collect();
                        Some(format!("{n} is cut from {}", from.join(" ")))
                    }
                    _ => Some(format!("{n} {}", health.phrase())),
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
