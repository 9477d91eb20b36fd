//! The member listener: hears what the others say.
#![expect(clippy::disallowed_methods, reason = "waits for members, with deadlines")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::{debug, info};

use super::{FromPeer, OutgoingLink};
use crate::node::frames::{FrameReader, ReadError};
use crate::node::gate::ConnectionGate;
use crate::node::local::Local;
use crate::node::options::{Token, listed};
use crate::types::NodeId;
use crate::wire::{PROTOCOL_VERSION, PeerFrame};

/// Connections at most: each member has one, and one that replaces it; the rest is room for strangers to be refused.
const CONNECTIONS_MAX: u32 = 64;

/// What all connections from members share.
#[derive(Debug)]
pub(in crate::node) struct PeerServer {
    local: Rc<Local>,
    /// This node's own connections to the others: hurried when their member connects, for whoever connects can be
    /// connected to.
    links: BTreeMap<NodeId, Rc<OutgoingLink>>,
    /// To the node's loop.
    inputs: mpsc::Sender<FromPeer>,
    /// The connection of each member: a newer one ends the one before.
    current: RefCell<BTreeMap<NodeId, Rc<Notify>>>,
    connections: Cell<u32>,
    gate: ConnectionGate,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("nothing was said for {} ms", .0.as_millis())]
    NoHello(Duration),
    #[error("a connection begins with a hello, and has one only")]
    OutOfOrder,
    #[error("it speaks protocol version {0}; this node speaks version {PROTOCOL_VERSION}")]
    Version(u16),
    #[error("the cluster token is missing or wrong")]
    Token,
    #[error("it means {to}, and this is {id}: is its --link {to}=... right?")]
    NotMeant { to: NodeId, id: NodeId },
    #[error("{0} is no other member of this cluster")]
    Stranger(NodeId),
    #[error("the members do not agree: {} there, {} here", listed(theirs), listed(ours))]
    Members { theirs: Vec<NodeId>, ours: Vec<NodeId> },
}

impl PeerServer {
    /// For one node, whose loop takes `inputs`.
    pub(in crate::node) fn new(
        local: Rc<Local>,
        links: BTreeMap<NodeId, Rc<OutgoingLink>>,
        inputs: mpsc::Sender<FromPeer>,
    ) -> Self {
        let (current, connections, gate) = Default::default();
        Self { local, links, inputs, current, connections, gate }
    }

    /// Takes members until it is dropped.
    pub(in crate::node) async fn listen(self: Rc<Self>, listener: TcpListener) {
        loop {
            let (stream, addr) = self.gate.accept(&listener, &self.local.clock, "member").await;
            if self.connections.get() >= CONNECTIONS_MAX {
                self.log_refused(addr, &"too many connections");
                continue;
            }
            let server = self.clone();
            server.connections.set(server.connections.get() + 1);
            spawn_local(async move {
                if let Err(refused) = server.hear(stream, addr).await {
                    server.log_refused(addr, &refused);
                }
                server.connections.set(server.connections.get() - 1);
            });
        }
    }

    async fn hear(&self, stream: TcpStream, addr: SocketAddr) -> Result<(), Refused> {
        let mut reader = FrameReader::<_, PeerFrame>::new(stream, self.local.limits.frame_timeout);
        let patience = self.local.limits.hello_timeout;
        let hello = timeout(patience, reader.next()).await.map_err(|_| Refused::NoHello(patience))??;
        let Some(hello) = hello else { return Ok(()) };
        let from = self.admit(hello)?;
        reader.admit();
        debug!(peer = %from, %addr, "member connected");
        if let Some(link) = self.links.get(&from) {
            link.hurry();
        }
        let replaced = self.replace(from);
        let end = loop {
            let frame = tokio::select! {
                biased;
                () = replaced.notified() => break Ok(()),
                frame = reader.next() => frame,
            };
            let message = match frame {
                Ok(Some(PeerFrame::Message(message))) => message,
                Ok(Some(PeerFrame::Hello { .. })) => break Err(Refused::OutOfOrder),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            };
            if self.inputs.send(FromPeer::Message { from, message }).await.is_err() {
                break Ok(());
            }
        };
        let mut current = self.current.borrow_mut();
        if current.get(&from).is_some_and(|it| Rc::ptr_eq(it, &replaced)) {
            current.remove(&from);
        }
        debug!(peer = %from, %addr, "member's connection ended");
        end
    }

    /// Who it is, if it is who it should be.
    fn admit(&self, hello: PeerFrame) -> Result<NodeId, Refused> {
        let PeerFrame::Hello { version, token, from, to, members, client_addr } = hello else {
            return Err(Refused::OutOfOrder);
        };
        if version != PROTOCOL_VERSION {
            return Err(Refused::Version(version));
        }
        if !Token::admits(self.local.token.as_ref(), token.as_deref()) {
            return Err(Refused::Token);
        }
        if to != self.local.id {
            return Err(Refused::NotMeant { to, id: self.local.id });
        }
        if from == self.local.id || !self.local.members.contains(&from) {
            return Err(Refused::Stranger(from));
        }
        if members != self.local.members {
            return Err(Refused::Members { theirs: members, ours: self.local.members.clone() });
        }
        self.local.book.learn(from, client_addr);
        Ok(from)
    }

    /// Makes this the member's connection; it is to end when the returned bell rings.
    fn replace(&self, from: NodeId) -> Rc<Notify> {
        let bell = Rc::new(Notify::new());
        if let Some(older) = self.current.borrow_mut().insert(from, bell.clone()) {
            older.notify_one();
        }
        bell
    }

    fn log_refused(&self, addr: SocketAddr, reason: &dyn std::fmt::Display) {
        if let Some(more) = self.gate.pass(self.local.clock.now()) {
            info!(peer = %addr, %reason, more, "member's connection closed");
        }
    }
}
