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
use crate::node::options::listed;
use crate::node::strangers::{Stranger, Strangers};
use crate::node::token::{Standing, Token};
use crate::types::{BoundsError, NodeId};
use crate::wire::{PROTOCOL_VERSION, PeerFrame};

/// Connections at most that have not yet said hello; beyond it the oldest of them is closed. Members that were let in are
/// not among them: each has one connection, and one that replaces it.
const STRANGERS_MAX: usize = 256;

/// What all connections from members share.
#[derive(Debug)]
pub(in crate::node) struct PeerServer {
    local: Rc<Local>,
    /// This node's own connections to the others: hurried when their member connects, for whoever connects can be
    /// connected to.
    links: BTreeMap<NodeId, Rc<OutgoingLink>>,
    /// To the node's loop.
    inputs: mpsc::Sender<FromPeer>,
    /// The newest connection of each member that was let in. It stays the newest when it has ended: what it said last
    /// counts until there is another.
    current: RefCell<BTreeMap<NodeId, Rc<Admitted>>>,
    /// How many connections were let in: names the next.
    admitted: Cell<u64>,
    strangers: Rc<Strangers>,
    gate: ConnectionGate,
}

/// One connection of a member that has proved who it is.
#[derive(Debug)]
struct Admitted {
    /// Names it among all connections of this process.
    number: u64,
    /// Nothing that it says counts any more.
    over: Cell<bool>,
    /// Rung when it is over.
    bell: Notify,
    /// What its member did wrong, if that is why.
    why: RefCell<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("nothing was said for {} ms", .0.as_millis())]
    NoHello(Duration),
    #[error("it had not said who it is when {STRANGERS_MAX} others came")]
    Displaced,
    #[error("a connection begins with a hello, and has one only")]
    OutOfOrder,
    #[error("it speaks protocol version {0}; this node speaks version {PROTOCOL_VERSION}")]
    Version(u16),
    #[error("the cluster token is missing or wrong")]
    Token,
    #[error(
        "this node has no cluster token, and without one it takes members on loopback only (--token-file)"
    )]
    NotLoopback,
    #[error("it means {to}, and this is {id}: is its --link {to}=... right?")]
    NotMeant { to: NodeId, id: NodeId },
    #[error("{0} is no other member of this cluster")]
    Stranger(NodeId),
    #[error("the members do not agree: {} there, {} here", listed(theirs), listed(ours))]
    Members { theirs: Vec<NodeId>, ours: Vec<NodeId> },
    #[error("a message that no member sends: {0}")]
    Bounds(#[from] BoundsError),
    #[error("{0}")]
    Closed(String),
}

impl PeerServer {
    /// For one node, whose loop takes `inputs`.
    pub(in crate::node) fn new(
        local: Rc<Local>,
        links: BTreeMap<NodeId, Rc<OutgoingLink>>,
        inputs: mpsc::Sender<FromPeer>,
    ) -> Self {
        let (current, admitted, gate) = Default::default();
        Self { local, links, inputs, current, admitted, strangers: Strangers::at_most(STRANGERS_MAX), gate }
    }

    /// Takes members until it is dropped.
    pub(in crate::node) async fn listen(self: Rc<Self>, listener: TcpListener) {
        loop {
            let (stream, addr) = self.gate.accept(&listener, &self.local.clock, "member").await;
            let (server, stranger) = (self.clone(), self.strangers.enter());
            spawn_local(async move {
                if let Err(refused) = server.hear(stream, addr, stranger).await {
                    server.log_refused(addr, &refused);
                }
            });
        }
    }

    /// Whether a message that came over this connection counts: there is no newer one of the same member, and it was not
    /// closed by [`close`](Self::close). The loop asks before it hands the message to the core, so that whatever was
    /// queued when a newer connection was let in is dropped.
    pub(in crate::node) fn is_current(&self, from: NodeId, connection: u64) -> bool {
        self.current.borrow().get(&from).is_some_and(|it| it.number == connection && !it.over.get())
    }

    /// Ends a member's connection, because of what it said; nothing that came over it counts any more. The member may
    /// connect again.
    pub(in crate::node) fn close(&self, from: NodeId, reason: String) {
        if let Some(it) = self.current.borrow().get(&from) {
            it.why.replace(Some(reason));
            it.end();
        }
    }

    async fn hear(&self, stream: TcpStream, addr: SocketAddr, stranger: Stranger) -> Result<(), Refused> {
        let mut reader = FrameReader::<_, PeerFrame>::new(stream, self.local.limits.frame_timeout);
        let patience = self.local.limits.hello_timeout;
        let hello = tokio::select! {
            biased;
            hello = timeout(patience, reader.next()) => hello.map_err(|_| Refused::NoHello(patience))??,
            () = stranger.has_to_go() => return Err(Refused::Displaced),
        };
        let Some(hello) = hello else { return Ok(()) };
        let from = self.admit(hello, addr)?;
        drop(stranger);
        reader.admit();
        reader.be_patient();
        debug!(peer = %from, %addr, "member connected");
        if let Some(link) = self.links.get(&from) {
            link.hurry();
        }
        let admitted = self.replace(from);
        let end = self.take_messages(&mut reader, from, &admitted).await;
        debug!(peer = %from, %addr, "member's connection ended");
        end
    }

    async fn take_messages(
        &self,
        reader: &mut FrameReader<TcpStream, PeerFrame>,
        from: NodeId,
        admitted: &Admitted,
    ) -> Result<(), Refused> {
        loop {
            let frame = tokio::select! {
                biased;
                () = admitted.bell.notified() => {
                    return admitted.why.take().map_or(Ok(()), |why| Err(Refused::Closed(why)));
                }
                frame = reader.next() => frame?,
            };
            let message = match frame {
                Some(PeerFrame::Message(message)) => message,
                Some(PeerFrame::Hello { .. }) => return Err(Refused::OutOfOrder),
                None => return Ok(()),
            };
            message.check_bounds()?;
            let heard = FromPeer::Message { from, connection: admitted.number, message };
            if self.inputs.send(heard).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Who it is, if it is who it should be.
    fn admit(&self, hello: PeerFrame, addr: SocketAddr) -> Result<NodeId, Refused> {
        let PeerFrame::Hello { version, token, from, to, members, client_addr } = hello else {
            return Err(Refused::OutOfOrder);
        };
        if version != PROTOCOL_VERSION {
            return Err(Refused::Version(version));
        }
        if Token::standing(self.local.token.as_ref(), token.as_deref()) != Standing::Proved {
            return Err(Refused::Token);
        }
        if self.local.token.is_none() && !addr.ip().is_loopback() {
            return Err(Refused::NotLoopback);
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

    /// Whether somebody who says this hello from there is let in, or why not.
    #[cfg(test)]
    pub(super) fn admits(&self, hello: PeerFrame, addr: SocketAddr) -> Result<(), String> {
        self.admit(hello, addr).map(drop).map_err(|refused| refused.to_string())
    }

    /// Makes this the member's connection, and ends the one before.
    fn replace(&self, from: NodeId) -> Rc<Admitted> {
        let number = self.admitted.get();
        self.admitted.set(number.wrapping_add(1));
        let (over, bell, why) = Default::default();
        let newer = Rc::new(Admitted { number, over, bell, why });
        if let Some(older) = self.current.borrow_mut().insert(from, newer.clone()) {
            older.end();
        }
        newer
    }

    fn log_refused(&self, addr: SocketAddr, reason: &dyn std::fmt::Display) {
        if let Some(more) = self.gate.pass(self.local.clock.now()) {
            info!(peer = %addr, %reason, more, "member's connection closed");
        }
    }
}

impl Admitted {
    fn end(&self) {
        self.over.set(true);
        self.bell.notify_one();
    }
}
