//! An async client that follows redirects and says of every outcome whether it is definite.
//!
//! (Contract; the client's room fills it in.)
#![allow(clippy::todo, missing_docs, unused_variables, missing_debug_implementations)]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::node::Report;
use crate::replication::{Command, NodeId, Reply};
use crate::wire::{Request, Response};

/// One connection to one node; many requests may be in flight. Cheap to clone; closed when the last is dropped.
#[derive(Clone, Debug)]
pub struct Connection {}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("todo")]
    Todo, // Refused{addr, source}, Timeout{addr}, Protocol{addr, reason}
}

/// The connection ended before the answer came: the request may or may not have happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the connection was lost: {0}")]
pub struct ConnectionLost(pub String);

impl Connection {
    /// Connects and shakes hands within `timeout`.
    pub async fn connect(addr: &str, token: Option<&str>, timeout: Duration) -> Result<Self, ConnectError> {
        todo!()
    }
    pub fn node(&self) -> NodeId {
        todo!()
    }
    pub fn members(&self) -> &[(NodeId, Option<String>)] {
        todo!()
    }
    pub async fn request(&self, request: Request) -> Result<Response, ConnectionLost> {
        todo!()
    }
    /// Reports until the connection ends (the receiver then yields `None`).
    pub async fn watch(&self, interval: Duration) -> Result<mpsc::Receiver<Report>, ConnectionLost> {
        todo!()
    }
}

#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Address of each member as this client reaches it; a redirect to a member uses it.
    pub members: BTreeMap<NodeId, String>,
    pub token: Option<String>,
    /// For one attempt; an attempt that has been sent and has no answer by then is indefinite.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    /// Attempts at most, redirects and definite failures both counted.
    pub attempts_max: u32,
}

impl ClientOptions {
    pub fn new(members: BTreeMap<NodeId, String>) -> Self {
        todo!()
    }
}

/// One client: it has its own connections.
#[derive(Debug)]
pub struct Client {}

/// How an operation ended well.
#[derive(Clone, Debug)]
pub struct Answer {
    pub node: NodeId,
    pub reply: Reply,
    pub attempts: u32,
}

/// How it did not. `is_definite()`: it certainly did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    #[error("todo")]
    Todo, // Failed{node, failure: Failure}, Unreachable{..} (never sent: definite), NoAnswer{node, ..} (indefinite), ...
}

impl ClientError {
    pub fn is_definite(&self) -> bool {
        todo!()
    }
}

impl Client {
    pub fn new(options: ClientOptions) -> Self {
        todo!()
    }
    /// Asks `first`, and follows from there. Only definite failures are tried again.
    pub async fn perform(&mut self, first: NodeId, command: Command) -> Result<Answer, ClientError> {
        todo!()
    }
}
