//! Where a client stands, and how it reaches the members from there.

use kvlab::types::NodeId;
use tokio::sync::watch;

use crate::cluster::Cluster;

/// The addresses of the members as seen from each of them. What cuts a member off cuts off the clients at home
/// with it.
pub(crate) trait Zones: Send + Sync + std::fmt::Debug {
    /// All members, ascending.
    fn members(&self) -> &[NodeId];
    /// The address of `node` for a client at home with `home`; `None`: for one whom no fault touches.
    fn address(&self, home: Option<NodeId>, node: NodeId) -> String;
    /// Changes at least whenever an address does.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Zones for Cluster {
    fn members(&self) -> &[NodeId] {
        self.members()
    }

    fn address(&self, home: Option<NodeId>, node: NodeId) -> String {
        self.address(home, node)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }
}
