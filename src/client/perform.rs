//! One operation: the attempts that its [`Course`] takes, over connections and in real time.
#![expect(clippy::disallowed_methods, reason = "time-outs and waits of the client live here")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::connection::{Connection, Unanswered};
use super::course::{Course, Setback, Turn};
use super::dialing::Dialing;
use super::error::{ClientError, ConnectError};
use crate::types::{Command, NodeId, Reply, check_limits};
use crate::wire::{Request, Response};

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
    /// How long one attempt waits for a connection, handshake included, before it looks elsewhere. What was begun goes on
    /// and serves a later attempt, so a link that is slower than this is slow to be found and not lost.
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
///
/// ```
/// # use kvlab::node::{NodeOptions, Stop, serve};
/// # use tokio::sync::{oneshot, watch};
/// use kvlab::client::{Client, ClientOptions};
/// use kvlab::types::{Command, NodeId, Op, ReadLevel, Reply, WriteLevel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let alone = NodeOptions::new(NodeId(1), vec![NodeId(1)], dir.path().into());
/// # let (ready, started) = oneshot::channel();
/// # let (_never_stopped, stop) = watch::channel(Stop::NotYet);
/// # let serves = serve(NodeOptions { bootstrap: true, ..alone }, stop, |line| ready.send(line.client.clone()).unwrap());
/// # let asks = async {
/// # let addr = started.await?;
/// let mut client = Client::new(ClientOptions::new([(NodeId(1), addr)].into()));
/// let timeout = std::time::Duration::from_millis(500);
///
/// let op = Op::Put { key: "greeting".into(), value: "hello".into() };
/// client.ask(Command::Write { op, level: WriteLevel::Quorum, timeout }).await?;
///
/// let answer = client.ask(Command::Read { key: "greeting".into(), level: ReadLevel::Quorum, timeout }).await?;
/// let Reply::Value { found, .. } = answer.reply else { unreachable!() };
/// assert_eq!(found.value.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// # tokio::select! { ended = serves => ended?, done = asks => done? }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    /// Addresses that members gave for members which the options do not list.
    learned: BTreeMap<NodeId, String>,
    connections: BTreeMap<NodeId, Connection>,
    dialing: Dialing,
    backoff: Backoff,
    /// Who answered last.
    answered: Option<NodeId>,
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

impl Client {
    /// A client without connections yet.
    pub fn new(options: ClientOptions) -> Self {
        let backoff = Backoff::seeded(options.seed);
        let (learned, connections, dialing, answered) = Default::default();
        Self { options, learned, connections, dialing, backoff, answered }
    }

    /// A client that is told one address: the node there says who the others are and where. The options need name no
    /// members.
    ///
    /// # Errors
    /// All of [`ConnectError`]: nobody else is known yet who could be asked.
    pub async fn discover(addr: &str, options: ClientOptions) -> Result<Self, ConnectError> {
        let patience = options.connect_timeout;
        let connection = Connection::connect(addr, options.token.as_deref(), patience).await?;
        let node = connection.node();
        let mut client = Self::new(options);
        // However it calls itself, this is where it was found.
        client.options.members.insert(node, addr.to_owned());
        client.answered = Some(node);
        client.take_in(node, connection);
        Ok(client)
    }

    /// Everyone whom this client could ask, ascending: the members that it was given, and those it has learned of.
    pub fn known(&self) -> Vec<NodeId> {
        let known: BTreeSet<NodeId> =
            self.options.members.keys().chain(self.learned.keys()).copied().collect();
        known.into_iter().collect()
    }

    /// As [`perform`](Self::perform), beginning with whoever answered last: through a failover it finds the new
    /// primary by itself and stays there.
    ///
    /// # Errors
    /// As [`perform`](Self::perform).
    pub async fn ask(&mut self, command: Command) -> Result<Answer, ClientError> {
        let first = self.answered.or_else(|| self.known().first().copied()).unwrap_or(NodeId::NONE);
        self.perform(first, command).await
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
    /// answer came. A promotion, or an order to follow, is about that node, and never tried elsewhere.
    ///
    /// # Errors
    /// The last attempt's, when there is nothing left to try, or the attempts or the time are used up.
    pub async fn perform(&mut self, first: NodeId, command: Command) -> Result<Answer, ClientError> {
        check_limits(&command)?;
        self.backoff.reset();
        let began = Instant::now();
        let deadline = after(began, self.options.deadline);
        let mut course = Course::new(self.options.attempts_max, self.options.deadline);
        let mut node = first;
        loop {
            let attempts = course.begin(node);
            let setback = match self.attempt(node, &command, deadline).await {
                Ok(reply) => {
                    self.answered = Some(node);
                    return Ok(Answer { node, reply, attempts });
                }
                Err(setback) => setback,
            };
            let known = self.known();
            match course.turn(&command, setback, began.elapsed(), &mut self.backoff, &known) {
                Turn::Stop(error) => return Err(error),
                Turn::Ask(next, wait) => {
                    tokio::time::sleep(wait).await;
                    node = next;
                }
            }
        }
    }

    /// Asks this node, once, and follows nothing.
    ///
    /// # Errors
    /// That attempt's.
    pub async fn perform_at(&mut self, node: NodeId, command: Command) -> Result<Answer, ClientError> {
        check_limits(&command)?;
        let deadline = after(Instant::now(), self.options.connect_timeout);
        let attempts = 1;
        self.attempt(node, &command, deadline)
            .await
            .map(|reply| Answer { node, reply, attempts })
            .map_err(|setback| setback.error(node, attempts))
    }

    /// One attempt. `Ok` is never [`Reply::Failed`].
    async fn attempt(
        &mut self,
        node: NodeId,
        command: &Command,
        deadline: Instant,
    ) -> Result<Reply, Setback> {
        let connection = self.connection(node, deadline).await.map_err(Setback::Unsent)?;
        let patience = self.options.request_timeout;
        let asked = connection.ask(Request::Do(command.clone()));
        let setback = match tokio::time::timeout(patience, asked).await {
            Ok(Ok(Response::Reply { reply, primary })) => {
                self.learn(&reply, primary);
                return match reply {
                    Reply::Failed(failure) => Err(Setback::Failed(failure)),
                    reply => Ok(reply),
                };
            }
            Ok(Ok(_)) => Setback::NoAnswer("it answered something else".to_owned()),
            Ok(Err(Unanswered::Unsent(reason))) => Setback::Unsent(reason),
            Ok(Err(Unanswered::Lost(reason))) => Setback::NoAnswer(reason),
            Err(_) => Setback::NoAnswer(format!("nothing came within {} ms", patience.as_millis())),
        };
        // What swallowed one request would swallow the next: on a new connection the handshake finds out whether
        // anybody is there, before anything is sent whose outcome would be unknown.
        self.connections.remove(&node);
        Err(setback)
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
        let token = self.options.token.as_deref();
        let connection = self.dialing.connect(node, addr, token, patience);
        let connection = connection.await.map_err(|error| error.to_string())?;
        if connection.node() != node {
            return Err(format!("{} answers at {addr}", connection.node()));
        }
        self.take_in(node, connection.clone());
        Ok(connection)
    }

    /// Keeps a connection, and what the node at its other end says of the members.
    fn take_in(&mut self, node: NodeId, connection: Connection) {
        for (member, addr) in connection.members() {
            if let Some(addr) = addr {
                self.learned.insert(*member, addr.clone());
            }
        }
        self.connections.insert(node, connection);
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
}

/// So long after `from`; a time that no clock can say is as far away as any that it can.
fn after(from: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    from.checked_add(time).unwrap_or(from + FAR)
}
