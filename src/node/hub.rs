//! Where what leaves the core goes: to members, to clients, to watchers, to the log.

use std::collections::BTreeMap;
use std::rc::Rc;

use tracing::{debug, info, warn};

use super::driver::Outlet;
use super::local::Local;
use super::peer::{OutgoingLink, PeerServer};
use super::routes::Routes;
use super::watch::{Watchers, json};
use crate::replication::RequestId;
use crate::types::{Event, Message, NodeId, Reply};
use crate::wire::Response;

/// The node's way out. Nothing here waits.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) local: Rc<Local>,
    /// To each other member.
    pub(super) links: BTreeMap<NodeId, Rc<OutgoingLink>>,
    /// Whom it hears, and over which connection.
    pub(super) peers: Rc<PeerServer>,
    /// Requests that wait for the core's answer.
    pub(super) routes: Routes,
    pub(super) watchers: Watchers,
}

impl Outlet for Hub {
    fn send(&mut self, to: NodeId, message: Message) {
        if let Some(link) = self.links.get(&to) {
            link.send(message);
        }
    }

    fn dial(&mut self, to: NodeId) {
        if let Some(link) = self.links.get(&to) {
            link.hurry();
        }
    }

    fn reject(&mut self, from: NodeId, reason: &str) {
        warn!(peer = %from, reason, "a member said what cannot be");
        self.peers.close(from, reason.to_owned());
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        let Some(route) = self.routes.take(request) else {
            // The core answers each request once.
            debug_assert!(false, "{request:?} was answered before");
            debug!(?request, "a request was answered twice");
            return;
        };
        let primary = match &reply {
            Reply::Failed(failure) => failure.primary().and_then(|primary| self.local.book.get(primary)),
            _ => None,
        };
        route.conn.answer(route.id, Response::Reply { reply, primary });
    }

    fn event(&mut self, event: Event) {
        info!(event = %json(&event), "core");
        self.watchers.tell_event(self.local.clock.now(), event);
    }
}
