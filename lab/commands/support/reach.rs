//! Reaching a live cluster from outside its lab: the latest run's, or whichever `--addr` names.

use std::collections::BTreeMap;
use std::time::Duration;

use kvlab::client::{self, Answer, AskError, Client, ClientOptions, Connection, Patience};
use kvlab::types::{Command, NodeId, Reply};
use kvlab::wire::{Request, Response};

use super::exit::{CommandError, Exit};
use crate::cli::ClusterArgs;
use crate::run::directory::Runs;

/// How long a connection may take.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a node may take to answer a question.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How much longer than the node itself a client waits for its answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);
/// Where the cluster token is taken from, where one is set.
pub(crate) const TOKEN_VARIABLE: &str = "KVLAB_TOKEN";

/// Where the members of a live cluster take clients. Direct addresses: no partition is in between.
#[derive(Debug)]
pub struct Reached {
    pub members: BTreeMap<NodeId, String>,
    /// Members whose address nobody knows yet.
    pub unknown: Vec<NodeId>,
    /// The node to ask unless the person names one.
    pub first: NodeId,
}

/// The cluster that is meant.
pub async fn cluster(args: &ClusterArgs) -> Result<Reached, CommandError> {
    match &args.addr {
        Some(addr) => at(addr).await,
        None => {
            let file = Runs::from_env()?.latest_cluster()?;
            let members: BTreeMap<_, _> = file.nodes.into_iter().map(|n| (n.node, n.client)).collect();
            let first = members.keys().next().copied();
            let first = first.ok_or_else(|| Exit::Usage.because("the latest run has no nodes"))?;
            Ok(Reached { members, unknown: Vec::new(), first })
        }
    }
}

/// The node at `addr` says who the others are.
async fn at(addr: &str) -> Result<Reached, CommandError> {
    let connection = Connection::connect(addr, token().as_deref(), CONNECT_WITHIN).await;
    let connection = connection.map_err(|why| Exit::Usage.because(why))?;
    let first = connection.node();
    let mut members = BTreeMap::new();
    let mut unknown = Vec::new();
    for (node, address) in connection.members() {
        match address {
            Some(address) => drop(members.insert(*node, address.clone())),
            None => unknown.push(*node),
        }
    }
    // However it calls itself, this is where it was found.
    members.insert(first, addr.to_owned());
    unknown.retain(|node| *node != first);
    Ok(Reached { members, unknown, first })
}

/// Has the node that the person names, or else the first, do something, which may take it `timeout`. Returns the node
/// that was asked first, and the answer. Whoever does not know whether it happened is told so.
pub async fn perform(
    args: &ClusterArgs,
    node: Option<NodeId>,
    timeout: Duration,
    command: Command,
) -> Result<(NodeId, Answer), CommandError> {
    let cluster = cluster(args).await?;
    let node = cluster.node(node)?;
    let mut client = Client::new(ClientOptions {
        token: token(),
        request_timeout: timeout + ANSWER_MARGIN,
        connect_timeout: CONNECT_WITHIN,
        ..ClientOptions::new(cluster.members)
    });
    match client.perform(node, command).await {
        Ok(answer) => Ok((node, answer)),
        Err(error) if error.is_definite() => Err(Exit::Refused.because(error)),
        Err(error) => Err(Exit::Unknown.because(error)),
    }
}

/// What to say of an answer to another question.
pub fn senseless(reply: &Reply) -> CommandError {
    Exit::Unknown.because(format!("an answer that makes no sense here: {reply:?}"))
}

/// Asks the node at `addr`, and waits so long for its answer.
pub async fn ask(addr: &str, request: Request, answer: Duration) -> Result<Response, AskError> {
    client::ask(addr, token().as_deref(), request, Patience { connect: CONNECT_WITHIN, answer }).await
}

impl Reached {
    /// The node that the person names, or else the first.
    pub fn node(&self, named: Option<NodeId>) -> Result<NodeId, CommandError> {
        let Some(node) = named else { return Ok(self.first) };
        if self.members.contains_key(&node) {
            return Ok(node);
        }
        if self.unknown.contains(&node) {
            return Err(
                Exit::Usage.because(format!("nobody knows the address of {node}; name it with --addr"))
            );
        }
        let members: Vec<_> = self.members.keys().chain(&self.unknown).map(NodeId::to_string).collect();
        Err(Exit::Usage.because(format!("there is no {node} here; the members are {}", members.join(", "))))
    }
}

fn token() -> Option<String> {
    std::env::var(TOKEN_VARIABLE).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty())
}
