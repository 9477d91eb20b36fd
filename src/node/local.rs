//! What every part of one node knows of it and of the other members.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::clock::Clock;
use super::options::Limits;
use super::token::Token;
use crate::types::NodeId;

/// One node, as its listeners, links and answers know it.
#[derive(Debug)]
pub(super) struct Local {
    /// This node.
    pub(super) id: NodeId,
    /// All members, ascending.
    pub(super) members: Vec<NodeId>,
    /// What members and operators must show, if set.
    pub(super) token: Option<Token>,
    /// Clients may read, write and look without the token: only this machine reaches them.
    pub(super) open: bool,
    /// Bounds on connections.
    pub(super) limits: Limits,
    /// Where the members take clients.
    pub(super) book: AddressBook,
    /// Time since the node started.
    pub(super) clock: Clock,
}

/// Client addresses of all members, as far as this node knows: its own, and what others say when they connect.
#[derive(Debug)]
pub(super) struct AddressBook {
    addrs: RefCell<BTreeMap<NodeId, Option<String>>>,
}

impl AddressBook {
    /// Knows `own` only.
    pub(super) fn new(members: &[NodeId], id: NodeId, own: String) -> Self {
        let mut addrs: BTreeMap<_, _> = members.iter().map(|&member| (member, None)).collect();
        addrs.insert(id, Some(own));
        Self { addrs: RefCell::new(addrs) }
    }

    /// A member says where it takes clients. Of somebody who is no member nothing is kept.
    pub(super) fn learn(&self, member: NodeId, addr: String) {
        if let Some(known) = self.addrs.borrow_mut().get_mut(&member) {
            *known = Some(addr);
        }
    }

    /// Where `member` takes clients, if known.
    pub(super) fn get(&self, member: NodeId) -> Option<String> {
        self.addrs.borrow().get(&member).cloned().flatten()
    }

    /// Everyone, ascending.
    pub(super) fn all(&self) -> Vec<(NodeId, Option<String>)> {
        self.addrs.borrow().iter().map(|(&member, addr)| (member, addr.clone())).collect()
    }
}
