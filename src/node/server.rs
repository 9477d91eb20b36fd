//! The client listener: one task for each connection, which none of the others notices.
//!
//! A connection begins with a Hello (version, token) within the hello timeout; until then it is one of a bounded number of
//! strangers and takes no client's place. After that, requests are handed to the node's loop as they come, and answers are
//! written as they come back. Whoever breaks the protocol is told why in one
//! last frame, and closed; it costs one log line.
#![expect(clippy::disallowed_methods, reason = "waits for clients, with deadlines")]

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::{debug, info};

use super::conn::Conn;
use super::frames::{FrameReader, ReadError};
use super::gate::ConnectionGate;
use super::local::Local;
use super::strangers::{Stranger, Strangers};
use super::token::{Standing, Token};
use crate::types::{Command, Failure, Reply, check_limits};
use crate::wire::{
    CleanupReply, ClientFrame, NodeFrame, PROTOCOL_VERSION, Request, Response, WATCH_INTERVAL_MS_MIN,
};

/// A request that is larger than this takes its share of [`LARGE_REQUESTS_BYTES_MAX`] until it is answered. Smaller
/// ones are bounded by their number.
const LARGE_REQUEST_BYTES: usize = 4 << 10;
/// Bytes of large requests under way, all connections together; more are not read until some are answered.
pub(super) const LARGE_REQUESTS_BYTES_MAX: usize = 64 << 20;
/// Connections at most that have not yet said hello; beyond it the oldest of them is closed.
const STRANGERS_MAX: usize = 256;
/// How long, and how much, is still read from somebody who has been told goodbye, so that they can read it.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 1 << 20;

/// What a client wants of the node's loop.
#[derive(Debug)]
pub(super) struct FromClient {
    pub(super) conn: Rc<Conn>,
    /// The client's name for the request.
    pub(super) id: u64,
    pub(super) ask: Ask,
}

/// What a client asks.
#[derive(Debug)]
pub(super) enum Ask {
    /// Something of the store, within the limits, and its share of the memory for large requests.
    Do(Command, Option<OwnedSemaphorePermit>),
    /// The status, once.
    Status,
    /// The members, once.
    Topology,
    /// The status at each interval, and events.
    Watch(Duration),
    /// A cleanup.
    Cleanup,
}

/// What all client connections share.
#[derive(Debug)]
pub(super) struct Server {
    local: Rc<Local>,
    /// To the node's loop.
    requests: mpsc::Sender<FromClient>,
    /// One for each client that may be connected.
    places: Arc<Semaphore>,
    strangers: Rc<Strangers>,
    /// Rung once, when every connection is to end.
    stopping: Notify,
    /// Bytes of answers that wait on all connections.
    answers: Rc<Cell<usize>>,
    large: Arc<Semaphore>,
    gate: ConnectionGate,
}

/// Why a connection was ended by this side.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("nothing was said for {} ms; a connection begins with a hello", .0.as_millis())]
    NoHello(Duration),
    #[error("nothing was said before {STRANGERS_MAX} others came; a connection begins with a hello")]
    Displaced,
    #[error("{0} connections are open, and that is the limit; try again later")]
    Full(u32),
    #[error("a connection begins with a hello")]
    RequestFirst,
    #[error("a hello was said already")]
    HelloAgain,
    #[error("protocol version {0} is not spoken here; this node speaks version {PROTOCOL_VERSION}")]
    Version(u16),
    #[error("the cluster token is missing or wrong")]
    Token,
    #[error("the node is stopping")]
    Stopping,
}

/// How a connection ended.
enum ConnectionEnd {
    /// The client closed it, and has its answers.
    Closed,
    /// The node closed it and has said why.
    Told,
    /// It broke the protocol.
    Broken(Broken),
    /// It could not be written to.
    Write(io::Error),
}

impl Server {
    /// For one node, whose loop takes `requests`.
    pub(super) fn new(local: Rc<Local>, requests: mpsc::Sender<FromClient>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(local.limits.connections_max as usize)),
            strangers: Strangers::at_most(STRANGERS_MAX),
            local,
            requests,
            stopping: Notify::new(),
            answers: Rc::default(),
            large: Arc::new(Semaphore::new(LARGE_REQUESTS_BYTES_MAX)),
            gate: ConnectionGate::default(),
        }
    }

    /// Takes clients until it is dropped. Connections that stand go on without it.
    pub(super) async fn listen(self: Rc<Self>, listener: TcpListener) {
        loop {
            let (stream, addr) = self.gate.accept(&listener, &self.local.clock, "client").await;
            let (server, stranger) = (self.clone(), self.strangers.enter());
            spawn_local(async move { server.serve(stream, addr, stranger).await });
        }
    }

    /// Clients connected: connections that have said hello.
    pub(super) fn connections(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.local.limits.connections_max.saturating_sub(free)
    }

    /// Tells every client that the node stops, after what waits for them already, and waits until all are gone.
    pub(super) async fn say_goodbye(&self) {
        self.stopping.notify_waiters();
        let _ = self.places.acquire_many(self.local.limits.connections_max).await;
    }

    async fn serve(&self, stream: TcpStream, addr: SocketAddr, stranger: Stranger) {
        // Answers are written in batches already; waiting for more of them helps nobody.
        let _ = stream.set_nodelay(true);
        let (source, mut sink) = stream.into_split();
        let conn = Rc::new(Conn::new(addr, self.answers.clone()));
        let mut reader = FrameReader::new(source, self.local.limits.frame_timeout);
        let mut writer = pin!(conn.out.write_to(&mut sink, self.local.limits.write_timeout));
        // Held until everything has been said.
        let mut place = None;
        let ended = tokio::select! {
            taken = self.take_requests(&mut reader, &conn, stranger, &mut place) => {
                taken.map_or_else(ConnectionEnd::Broken, |()| ConnectionEnd::Closed)
            }
            written = &mut writer => written.map_or_else(ConnectionEnd::Write, |()| ConnectionEnd::Told),
            () = self.stopping.notified() => ConnectionEnd::Broken(Broken::Stopping),
        };
        match ended {
            ConnectionEnd::Told => {}
            ConnectionEnd::Write(error) => self.log_end(addr, &error),
            ConnectionEnd::Closed => {
                conn.out.finish();
                let _ = writer.await;
            }
            ConnectionEnd::Broken(broken) => {
                if !matches!(broken, Broken::Stopping) {
                    self.log_end(addr, &broken);
                }
                conn.goodbye(broken.to_string());
                if writer.await.is_ok() {
                    let _ = timeout(LINGER, reader.discard(LINGER_BYTES_MAX)).await;
                }
            }
        }
        // Whoever still holds the connection (a request under way, a watch) finds it finished.
        conn.out.finish();
    }

    async fn take_requests(
        &self,
        reader: &mut FrameReader<impl AsyncRead + Unpin, ClientFrame>,
        conn: &Rc<Conn>,
        stranger: Stranger,
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(), Broken> {
        let patience = self.local.limits.hello_timeout;
        let hello = tokio::select! {
            biased;
            hello = timeout(patience, reader.next()) => hello.map_err(|_| Broken::NoHello(patience))??,
            () = stranger.has_to_go() => return Err(Broken::Displaced),
        };
        let Some(hello) = hello else { return Ok(()) };
        let standing = self.standing(&hello)?;
        let max = self.local.limits.connections_max;
        *place = Some(self.places.clone().try_acquire_owned().map_err(|_| Broken::Full(max))?);
        drop(stranger);
        self.welcome(conn);
        reader.admit();
        while let Some(frame) = reader.next().await? {
            let ClientFrame::Request { id, request } = frame else { return Err(Broken::HelloAgain) };
            self.take(id, request, standing, conn).await?;
            conn.room(self.local.limits.in_flight_max).await;
        }
        // The client may have closed its sending half only.
        conn.all_answered().await;
        Ok(())
    }

    /// What somebody who says this hello may do here, if anything.
    fn standing(&self, hello: &ClientFrame) -> Result<Standing, Broken> {
        let ClientFrame::Hello { version, token } = hello else { return Err(Broken::RequestFirst) };
        if *version != PROTOCOL_VERSION {
            return Err(Broken::Version(*version));
        }
        match Token::standing(self.local.token.as_ref(), token.as_deref()) {
            Standing::Wrong => Err(Broken::Token),
            Standing::Unproved if !self.local.open => Err(Broken::Token),
            standing => Ok(standing),
        }
    }

    fn welcome(&self, conn: &Conn) {
        debug!(client = %conn.addr, "client connected");
        let welcome = NodeFrame::Welcome {
            version: PROTOCOL_VERSION,
            node: self.local.id,
            members: self.local.book.all(),
        };
        conn.say(&welcome);
    }

    async fn take(
        &self,
        id: u64,
        request: Request,
        standing: Standing,
        conn: &Rc<Conn>,
    ) -> Result<(), Broken> {
        if !matches!(request, Request::Watch { .. }) {
            conn.asked();
        }
        if standing != Standing::Proved && request.is_for_operators() {
            conn.answer(id, refused(&request));
            return Ok(());
        }
        let ask = match request {
            Request::Do(command) => {
                if let Err(limit) = check_limits(&command) {
                    let reply = Reply::Failed(Failure::Invalid(limit.to_string()));
                    conn.answer(id, Response::Reply { reply, primary: None });
                    return Ok(());
                }
                let held = self.hold(&command).await;
                Ask::Do(command, held)
            }
            Request::Status => Ask::Status,
            Request::Topology => Ask::Topology,
            Request::Cleanup => Ask::Cleanup,
            Request::Watch { interval_ms } => {
                Ask::Watch(Duration::from_millis(u64::from(interval_ms.max(WATCH_INTERVAL_MS_MIN))))
            }
        };
        let request = FromClient { conn: conn.clone(), id, ask };
        self.requests.send(request).await.map_err(|_| Broken::Stopping)
    }

    /// A large request's share of the memory for them; waits until it is free.
    async fn hold(&self, command: &Command) -> Option<OwnedSemaphorePermit> {
        let Command::Write { op, .. } = command else { return None };
        let bytes = match op {
            crate::types::Op::Put { key, value } => key.len() + value.len(),
            crate::types::Op::Del { key } => key.len(),
            crate::types::Op::Noop => 0,
        };
        if bytes <= LARGE_REQUEST_BYTES {
            return None;
        }
        let bytes = u32::try_from(bytes).expect("checked against the limits");
        self.large.clone().acquire_many_owned(bytes).await.ok()
    }

    fn log_end(&self, addr: SocketAddr, reason: &dyn std::fmt::Display) {
        if let Some(more) = self.gate.pass(self.local.clock.now()) {
            info!(client = %addr, %reason, more, "client closed");
        }
    }
}

/// The answer to an operator's request of somebody who is none.
fn refused(request: &Request) -> Response {
    match request {
        Request::Cleanup => {
            Response::Cleanup(CleanupReply::Refused { reason: Failure::TokenNeeded.to_string() })
        }
        _ => Response::Reply { reply: Reply::Failed(Failure::TokenNeeded), primary: None },
    }
}

#[cfg(test)]
#[path = "tests/server.rs"]
mod tests;
