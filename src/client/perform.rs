//! One operation: where to ask, where to ask next, and when to stop.
#![expect(clippy::disallowed_methods, reason = "time-outs and waits of the client live here")]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::connection::{AskError, Connection};
use super::error::ClientError;
use crate::replication::{Command, Failure, NodeId, Reply};
use crate::wire::{Request, Response, check_limits};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Address of each member as this client reaches it; a redirect to a member uses it. A member that is not
    /// listed is reached at the address that other members give for it.
    pub members: BTreeMap<NodeId, String>,
    /// The cluster token, where one is set.
    pub token: Option<String>,
    /// For one attempt; an attempt that has been sent and has no answer by then is indefinite. Longer than the
    /// time-out within a command, so that the node can say what it knows.
    pub request_timeout: Duration,
    /// For one connection, handshake included.
    pub connect_timeout: Duration,
    /// Attempts at most, redirects and definite failures both counted. At least 1.
    pub attempts_max: u32,
    /// No attempt begins later than this after the first. One that has begun has its whole `request_timeout`:
    /// to cut it short would only make its outcome unknown.
    pub deadline: Duration,
    /// Seeds the jitter of the waits.
    pub seed: u64,
}

impl ClientOptions {
    /// Defaults: a second for one attempt, half of that to connect, eight attempts, the last of them begun within three seconds.
    pub fn new(members: BTreeMap<NodeId, String>) -> Self {
        Self {
            members,
            token: None,
            request_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_millis(500),
            attempts_max: 8,
            deadline: Duration::from_secs(3),
            seed: 0,
        }
    }
}

/// One client: it has its own connections, made when they are first needed and again when they have ended.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    /// Addresses that members gave for members which the options do not list.
    learned: BTreeMap<NodeId, String>,
    connections: BTreeMap<NodeId, Connection>,
    backoff: Backoff,
}

/// How an operation ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answered.
    pub node: NodeId,
    /// What it said; never [`Reply::Failed`].
    pub reply: Reply,
    /// How many times it was tried.
    pub attempts: u32,
}

/// How one attempt ended.
enum Attempt {
    Answered(Reply),
    Unsent(String),
    NoAnswer(String),
}

/// What to do after an attempt that did not end well.
enum Next {
    Stop,
    /// A redirect: ask there, at once if it has not been asked yet.
    Follow(NodeId),
    /// Wait, then ask there.
    Retry(NodeId),
}

impl Client {
    /// A client without connections yet.
    pub fn new(options: ClientOptions) -> Self {
        let backoff = Backoff::seeded(options.seed);
        Self { options, learned: BTreeMap::new(), connections: BTreeMap::new(), backoff }
    }

    /// The address of a member has changed. A connection to the old one is closed.
    pub fn set_address(&mut self, node: NodeId, addr: String) {
        if self.options.members.get(&node) != Some(&addr) {
            self.connections.remove(&node);
            self.options.members.insert(node, addr);
        }
    }

    /// Asks `first`, and follows from there: to the primary that a refusal names, to the next member if one
    /// cannot be reached. Only what certainly did not happen is tried again; a read is also tried again when no
    /// answer came. A promotion is never tried elsewhere: it is about that node.
    ///
    /// # Errors
    /// The last attempt's, when there is nothing left to try, or the attempts or the time are used up.
    pub async fn perform(&mut self, first: NodeId, command: Command) -> Result<Answer, ClientError> {
        check_limits(&command)?;
        self.backoff.reset();
        let deadline = Instant::now() + self.options.deadline;
        let mut asked = Vec::new();
        let mut node = first;
        let mut attempts = 0;
        loop {
            attempts += 1;
            asked.push(node);
            let (error, next) = match self.attempt(node, &command, deadline).await {
                Attempt::Answered(Reply::Failed(failure)) => {
                    let next = self.after_failure(node, &failure, &command);
                    (ClientError::Failed { node, failure, attempts }, next)
                }
                Attempt::Answered(reply) => return Ok(Answer { node, reply, attempts }),
                Attempt::Unsent(reason) => {
                    let next = self.after_silence(node, &command, true);
                    (ClientError::Unreachable { node, reason, attempts }, next)
                }
                Attempt::NoAnswer(reason) => {
                    let next = self.after_silence(node, &command, false);
                    (ClientError::NoAnswer { node, reason, attempts }, next)
                }
            };
            if attempts >= self.options.attempts_max {
                return Err(error);
            }
            let (next, wait) = match next {
                Next::Stop => return Err(error),
                Next::Follow(next) if !asked.contains(&next) => (next, Duration::ZERO),
                Next::Follow(next) | Next::Retry(next) => (next, self.backoff.wait()),
            };
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            node = next;
        }
    }

    /// Asks this node, once, and follows nothing.
    ///
    /// # Errors
    /// That attempt's.
    pub async fn perform_at(&mut self, node: NodeId, command: Command) -> Result<Answer, ClientError> {
        check_limits(&command)?;
        let deadline = Instant::now() + self.options.connect_timeout;
        let attempts = 1;
        match self.attempt(node, &command, deadline).await {
            Attempt::Answered(Reply::Failed(failure)) => Err(ClientError::Failed { node, failure, attempts }),
            Attempt::Answered(reply) => Ok(Answer { node, reply, attempts }),
            Attempt::Unsent(reason) => Err(ClientError::Unreachable { node, reason, attempts }),
            Attempt::NoAnswer(reason) => Err(ClientError::NoAnswer { node, reason, attempts }),
        }
    }

    async fn attempt(&mut self, node: NodeId, command: &Command, deadline: Instant) -> Attempt {
        let connection = match self.connection(node, deadline).await {
            Ok(connection) => connection,
            Err(reason) => return Attempt::Unsent(reason),
        };
        let patience = self.options.request_timeout;
        match tokio::time::timeout(patience, connection.ask(Request::Do(command.clone()))).await {
            Ok(Ok(Response::Reply { reply, primary })) => {
                self.learn(&reply, primary);
                Attempt::Answered(reply)
            }
            Ok(Ok(Response::Report(_))) => {
                self.connections.remove(&node);
                Attempt::NoAnswer("it answered with a report instead".to_owned())
            }
            Ok(Err(AskError::Unsent(reason))) => {
                self.connections.remove(&node);
                Attempt::Unsent(reason)
            }
            Ok(Err(AskError::Lost(reason))) => {
                self.connections.remove(&node);
                Attempt::NoAnswer(reason)
            }
            Err(_) => {
                // What swallowed one request would swallow the next: on a new connection the handshake finds
                // out whether anybody is there, before anything is sent whose outcome would be unknown.
                self.connections.remove(&node);
                Attempt::NoAnswer(format!("nothing came within {} ms", patience.as_millis()))
            }
        }
    }

    /// The connection to a member, made anew if there is none that stands.
    async fn connection(&mut self, node: NodeId, deadline: Instant) -> Result<Connection, String> {
        if let Some(connection) = self.connections.get(&node)
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        let Some(addr) = self.options.members.get(&node).or_else(|| self.learned.get(&node)) else {
            return Err("its address is not known".to_owned());
        };
        let patience = self.options.connect_timeout.min(deadline.saturating_duration_since(Instant::now()));
        let connection = Connection::connect(addr, self.options.token.as_deref(), patience)
            .await
            .map_err(|error| error.to_string())?;
        if connection.node() != node {
            return Err(format!("{} answers at {addr}", connection.node()));
        }
        for (member, addr) in connection.members() {
            if let Some(addr) = addr {
                self.learned.insert(*member, addr.clone());
            }
        }
        self.connections.insert(node, connection.clone());
        Ok(connection)
    }

    /// Whether the connection to a member has ended.
    #[cfg(test)]
    pub(super) fn is_closed(&self, node: NodeId) -> bool {
        self.connections.get(&node).is_none_or(Connection::is_closed)
    }

    fn learn(&mut self, reply: &Reply, addr: Option<String>) {
        if let (Reply::Failed(failure), Some(addr)) = (reply, addr)
            && let Some(primary) = failure.primary()
        {
            self.learned.insert(primary, addr);
        }
    }

    fn after_failure(&self, node: NodeId, failure: &Failure, command: &Command) -> Next {
        if matches!(command, Command::Promote { .. }) {
            return Next::Stop;
        }
        match failure {
            Failure::ReadOnly { primary } | Failure::TooStale { primary, .. } => match primary {
                Some(primary) if *primary != node => Next::Follow(*primary),
                _ => Next::Retry(node),
            },
            Failure::Busy(_) => Next::Retry(node),
            Failure::Stopping => Next::Retry(self.member_after(node)),
            Failure::WriteTimeout { .. }
            | Failure::Deposed { .. }
            | Failure::NoQuorum { .. }
            | Failure::PromotionRefused { .. }
            | Failure::Invalid(_)
            // No other member takes writes, and room does not come within a deadline of seconds.
            | Failure::DiskFull => Next::Stop,
        }
    }

    fn after_silence(&self, node: NodeId, command: &Command, definite: bool) -> Next {
        match command {
            Command::Promote { .. } => Next::Stop,
            Command::Write { .. } if !definite => Next::Stop,
            Command::Write { .. } | Command::Read { .. } => Next::Retry(self.member_after(node)),
        }
    }

    /// The next member in order, or the first after the last.
    fn member_after(&self, node: NodeId) -> NodeId {
        let members = || self.options.members.keys().chain(self.learned.keys()).copied();
        let after = members().filter(|member| *member > node).min();
        after.or_else(|| members().min()).unwrap_or(node)
    }
}
