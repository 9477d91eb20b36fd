//! What a node is started with, and whether that makes sense.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::conditions::NodeConditions;
use super::scrubbing::SCRUB_RATE;
use super::token::Token;
use crate::replication::Config;
use crate::storage::{CleanupPolicy, Durability, SEGMENT_BYTES};
use crate::types::{NodeId, Quirk, Quirks};

/// At most this many members: what a dashboard can show and a person can follow.
pub const MEMBERS_MAX: usize = 9;

/// What one node is started with. Build it with [`NodeOptions::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// This node.
    pub id: NodeId,
    /// All members, this node among them, in any order.
    pub members: Vec<NodeId>,
    /// Where the log and everything else of this node lives; made if it is not there.
    pub data_dir: PathBuf,
    /// Where to take clients; port 0 takes any free one.
    pub client_addr: SocketAddr,
    /// Where to take members; port 0 takes any free one.
    pub peer_addr: SocketAddr,
    /// The client address that others are told; the bound one unless set.
    pub advertise: Option<String>,
    /// Where each other member is reached: `host:port`. In a lab, the directed link to it.
    pub links: BTreeMap<NodeId, String>,
    /// The cluster is new: an empty data directory is no loss. Without it, a member of a cluster that starts on an
    /// empty directory has forgotten what it promised, and starts as a learner.
    pub bootstrap: bool,
    /// When a write counts as durable.
    pub durability: Durability,
    /// The files in the data directory may have this many bytes in all; beyond it, the disk counts as full. `None`: as
    /// much as the disk has.
    pub disk_max: Option<u64>,
    /// An eventual read is refused when the last heartbeat is older than this.
    pub stale_after: Duration,
    /// An eventual read is refused when the replica is more operations behind than this.
    pub stale_lag: u64,
    /// The backlog's bound in bytes.
    pub backlog_bytes: usize,
    /// A segment of the log is closed when it has grown past this.
    pub segment_bytes: u64,
    /// When a cleanup begins by itself.
    pub cleanup: CleanupPolicy,
    /// How many bytes of closed segments are looked through for damage a second; 0: none.
    pub scrub_rate: u64,
    /// The mistakes that this node makes on purpose; none unless asked for.
    pub quirks: Quirks,
    /// What members and operators must show, if set; at any address that is not loopback, everybody must. Required for
    /// such an address.
    pub token: Option<Token>,
    /// Where a lab sets faults of its disk and clock. `None`: there are none.
    pub conditions: Option<NodeConditions>,
    /// Bounds on connections and deadlines.
    pub limits: Limits,
}

/// Bounds on what others can make a node hold, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections at most; one more is told so and closed.
    pub connections_max: u32,
    /// Requests of one connection that wait for their answers; no more are read until one is answered.
    pub in_flight_max: u32,
    /// The first frame of a connection must be there after this long.
    pub hello_timeout: Duration,
    /// A frame that has begun must go on within this time.
    pub frame_timeout: Duration,
    /// A connection that takes none of the bytes that wait for it for this long is closed.
    pub write_timeout: Duration,
    /// How long a stopping node waits for the answers of what it has begun.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            in_flight_max: 128,
            hello_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(1),
        }
    }
}

/// Options that make no sense together; each says which and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Too few or too many members.
    #[error("a cluster has 1 to {MEMBERS_MAX} members, not {0}")]
    MembersCount(usize),
    /// A member is named twice.
    #[error("{0} is named twice among the members")]
    MemberTwice(NodeId),
    /// This node is not one of the members.
    #[error("{} is not among the members {}", .0, listed(.1))]
    NotMember(NodeId, Vec<NodeId>),
    /// A link to somebody who cannot be linked to, and why not.
    #[error("a link to {0} makes no sense: {1}")]
    LinkTo(NodeId, &'static str),
    /// No way to a member.
    #[error("no link to {0}: say where it is reached with --link {0}=HOST:PORT")]
    LinkMissing(NodeId),
    /// A link to this member has an address that is none.
    #[error("the link to {0} is {1:?}, which is not HOST:PORT")]
    LinkAddr(NodeId, String),
    /// Listening to the world at this address without a secret.
    #[error(
        "{0} can be reached from other machines: set a cluster token (--token-file) or listen on a loopback \
         address such as 127.0.0.1"
    )]
    TokenRequired(SocketAddr),
    /// The bound address does not tell others where to connect.
    #[error(
        "{0} is every address of this machine: say which one clients are to use with --advertise HOST:PORT"
    )]
    AdvertiseRequired(SocketAddr),
    /// A setting that must not be zero is.
    #[error("{0} must be more than 0")]
    Zero(&'static str),
}

impl NodeOptions {
    /// A member on loopback, on any free ports, with every other setting at its default.
    pub fn new(id: NodeId, members: Vec<NodeId>, data_dir: PathBuf) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            id,
            members,
            data_dir,
            client_addr: anywhere,
            peer_addr: anywhere,
            advertise: None,
            links: BTreeMap::new(),
            bootstrap: false,
            durability: Durability::Always,
            disk_max: None,
            stale_after: Duration::from_secs(5),
            stale_lag: 1000,
            backlog_bytes: 16 << 20,
            segment_bytes: SEGMENT_BYTES,
            cleanup: CleanupPolicy::default(),
            scrub_rate: SCRUB_RATE,
            quirks: Quirks::NONE,
            token: None,
            conditions: None,
            limits: Limits::default(),
        }
    }

    /// Whether a node can start with these.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.validate_members()?;
        self.validate_links()?;
        self.validate_addresses()?;
        let limits = &self.limits;
        let must_be_more = [
            ("--backlog-bytes", self.backlog_bytes == 0),
            ("--disk-max", self.disk_max == Some(0)),
            ("--segment-bytes", self.segment_bytes == 0),
            ("--stale-after", self.stale_after.is_zero()),
            ("--durability interval", self.durability == Durability::Interval(Duration::ZERO)),
            ("--connections-max", limits.connections_max == 0),
            ("--in-flight-max", limits.in_flight_max == 0),
            ("--frame-timeout", limits.frame_timeout.is_zero()),
            ("the hello timeout", limits.hello_timeout.is_zero()),
            ("the write timeout", limits.write_timeout.is_zero()),
        ];
        match must_be_more.iter().find(|(_, zero)| *zero) {
            Some((setting, _)) => Err(OptionsError::Zero(setting)),
            None => Ok(()),
        }
    }

    fn validate_members(&self) -> Result<(), OptionsError> {
        if !(1..=MEMBERS_MAX).contains(&self.members.len()) {
            return Err(OptionsError::MembersCount(self.members.len()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.members.iter().find(|id| !seen.insert(**id)) {
            return Err(OptionsError::MemberTwice(*twice));
        }
        if !seen.contains(&self.id) {
            return Err(OptionsError::NotMember(self.id, self.members.clone()));
        }
        Ok(())
    }

    fn validate_links(&self) -> Result<(), OptionsError> {
        for (&to, addr) in &self.links {
            if to == self.id {
                return Err(OptionsError::LinkTo(to, "it is this node"));
            }
            if !self.members.contains(&to) {
                return Err(OptionsError::LinkTo(to, "it is not a member"));
            }
            let port = addr.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)) {
                return Err(OptionsError::LinkAddr(to, addr.clone()));
            }
        }
        match self.others().find(|id| !self.links.contains_key(id)) {
            Some(missing) => Err(OptionsError::LinkMissing(missing)),
            None => Ok(()),
        }
    }

    fn validate_addresses(&self) -> Result<(), OptionsError> {
        let open = [self.client_addr, self.peer_addr].into_iter().find(|addr| !addr.ip().is_loopback());
        if let (Some(addr), None) = (open, &self.token) {
            return Err(OptionsError::TokenRequired(addr));
        }
        if self.client_addr.ip().is_unspecified() && self.advertise.is_none() {
            return Err(OptionsError::AdvertiseRequired(self.client_addr));
        }
        Ok(())
    }

    /// Every member but this one, ascending.
    pub(super) fn others(&self) -> impl Iterator<Item = NodeId> {
        let others: BTreeSet<NodeId> = self.members.iter().copied().filter(|id| *id != self.id).collect();
        others.into_iter()
    }

    /// All members, ascending.
    pub(super) fn members_sorted(&self) -> Vec<NodeId> {
        let mut members = self.members.clone();
        members.sort_unstable();
        members
    }

    /// When the disk says that an entry is durable.
    pub(super) fn durability(&self) -> Durability {
        // [`Quirk::AckBeforeSync`]: nobody waits for a sync, so none is asked for.
        if self.quirks.has(Quirk::AckBeforeSync) { Durability::Os } else { self.durability }
    }

    /// What the core is told. `incarnation` and `seed` are fresh random numbers.
    pub(super) fn core_config(&self, incarnation: u64, seed: u64) -> Config {
        let defaults = Config::new(self.id, self.members.clone());
        Config {
            stale_after: self.stale_after,
            stale_lag: self.stale_lag,
            backlog_bytes: self.backlog_bytes,
            // No more is under way than the backlog could send again.
            window_bytes: defaults.window_bytes.min(self.backlog_bytes),
            incarnation,
            seed,
            quirks: self.quirks,
            ..defaults
        }
    }
}

/// Members in one line: `n1,n2,n3`.
pub(super) fn listed(members: &[NodeId]) -> String {
    members.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);
    const N3: NodeId = NodeId(3);

    fn three() -> NodeOptions {
        let links = [(N2, "127.0.0.1:4002".to_owned()), (N3, "node3.example:4003".to_owned())];
        NodeOptions { links: links.into(), ..NodeOptions::new(N1, vec![N1, N2, N3], "data".into()) }
    }

    fn refused(change: impl FnOnce(&mut NodeOptions)) -> String {
        let mut options = three();
        change(&mut options);
        options.validate().expect_err("must be refused").to_string()
    }

    #[test]
    fn three_members_with_links_are_accepted() {
        assert_eq!(three().validate(), Ok(()));
    }

    #[test]
    fn members_are_one_to_nine_distinct_and_include_this_node() {
        assert!(refused(|o| o.members.clear()).contains("1 to 9 members, not 0"));
        assert!(refused(|o| o.members = (1..=10).map(NodeId).collect()).contains("not 10"));
        assert!(refused(|o| o.members.push(N2)).contains("n2 is named twice"));
        assert!(refused(|o| o.id = NodeId(4)).contains("n4 is not among the members n1,n2,n3"));
    }

    #[test]
    fn every_other_member_has_exactly_one_sensible_link() {
        assert!(refused(|o| drop(o.links.remove(&N3))).contains("--link n3=HOST:PORT"));
        assert!(refused(|o| drop(o.links.insert(N1, "127.0.0.1:1".into()))).contains("it is this node"));
        assert!(refused(|o| drop(o.links.insert(NodeId(9), "127.0.0.1:1".into()))).contains("not a member"));
        for bad in ["4002", ":4002", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000"] {
            assert!(refused(|o| drop(o.links.insert(N2, bad.into()))).contains("is not HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn only_loopback_is_open_without_a_token() {
        let world: SocketAddr = "192.0.2.1:7001".parse().expect("an address");
        assert!(refused(|o| o.client_addr = world).contains("cluster token"));
        assert!(refused(|o| o.peer_addr = world).contains("cluster token"));
        let mut options = three();
        options.peer_addr = world;
        options.token = Some(Token::new("s3cret").expect("a token"));
        assert_eq!(options.validate(), Ok(()));
        options.client_addr = "0.0.0.0:7001".parse().expect("an address");
        assert!(options.validate().expect_err("where?").to_string().contains("--advertise"));
    }

    #[test]
    fn a_setting_that_must_not_be_zero_is_named() {
        assert!(refused(|o| o.limits.connections_max = 0).contains("--connections-max"));
        assert!(refused(|o| o.durability = Durability::Interval(Duration::ZERO)).contains("interval"));
    }
}
