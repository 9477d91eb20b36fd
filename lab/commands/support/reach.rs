//! Reaching a live cluster from outside its lab: that of the newest lab that is running, or whichever `--run` or `--addr`
//! names.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use kvlab::client::{self, Answer, AskError, Client, ClientOptions, Connection, Patience};
use kvlab::node::Token;
use kvlab::types::{Command, NodeId, Reply};
use kvlab::wire::{Request, Response};

use super::exit::{CommandError, Exit};
use super::output;
use crate::cli::ClusterArgs;
use crate::engine::TOKEN_VARIABLE;
use crate::run::directory::{self, ClusterFile, Runs};
use crate::run::token;

/// How long a connection to a node of a lab may take: it is on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long such a node may take to answer a question.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How much longer than the node itself a client waits for its answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);
/// No attempt begins later than this after the first.
const DEADLINE: Duration = Duration::from_secs(3);
/// A node that is named by its address may be anywhere: everything may take so many times as long. A round trip of 2 s,
/// of which connecting takes two, still fits in.
const FAR: u32 = 4;

/// Where the members of a live cluster take clients. Direct addresses: no partition is in between.
#[derive(Debug)]
pub struct Reached {
    pub members: BTreeMap<NodeId, String>,
    /// Members whose address nobody knows yet.
    pub unknown: Vec<NodeId>,
    /// The node to ask unless the person names one.
    pub first: NodeId,
    /// What its operators show.
    token: Option<Token>,
    /// How many times as long as on this machine anything may take.
    distance: u32,
}

/// The cluster that is meant.
pub async fn cluster(args: &ClusterArgs) -> Result<Reached, CommandError> {
    match &args.addr {
        Some(addr) => at(addr, token_at(args, addr)?).await,
        None => {
            let run = live_run(args)?;
            let file = ClusterFile::read(&run)?;
            let token = match named_token(args)? {
                None => token::of_run(&run)?,
                named => named,
            };
            let token = if token.is_none() { token_of_environment()? } else { token };
            let members: BTreeMap<_, _> = file.nodes.into_iter().map(|n| (n.node, n.client)).collect();
            let first = members.keys().next().copied();
            let first = first.ok_or_else(|| Exit::Usage.because("the lab has no nodes"))?;
            Ok(Reached { members, unknown: Vec::new(), first, token, distance: 1 })
        }
    }
}

/// The run whose lab is meant, which lives. Where that is not plain, the person is told which it is.
fn live_run(args: &ClusterArgs) -> anyhow::Result<PathBuf> {
    if let Some(named) = &args.run {
        let run = directory::find(Some(named))?;
        anyhow::ensure!(directory::is_live(&run), "the lab of {} has ended", run.display());
        return Ok(run);
    }
    let (run, more) = Runs::from_env()?.newest_live()?;
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    if more > 0 {
        let labs = more + 1;
        output::tell(format_args!(
            "{labs} labs are running; this is the newest, {name}. --run names another"
        ));
    } else if std::io::stderr().is_terminal() {
        output::tell(format_args!("lab: {name}"));
    }
    Ok(run)
}

/// The node at `addr` says who the others are.
async fn at(addr: &str, token: Option<Token>) -> Result<Reached, CommandError> {
    let shown = token.as_ref().map(Token::reveal);
    let connection = Connection::connect(addr, shown, CONNECT_WITHIN * FAR).await;
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
    Ok(Reached { members, unknown, first, token, distance: FAR })
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
        token: cluster.token.as_ref().map(|token| token.reveal().to_owned()),
        request_timeout: timeout.saturating_add(ANSWER_MARGIN * cluster.distance),
        connect_timeout: CONNECT_WITHIN * cluster.distance,
        deadline: DEADLINE * cluster.distance,
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

impl Reached {
    /// Asks the node at `addr`, and waits so long for its answer.
    pub async fn ask(&self, addr: &str, request: Request, answer: Duration) -> Result<Response, AskError> {
        let token = self.token.as_ref().map(Token::reveal);
        let (connect, answer) = (CONNECT_WITHIN * self.distance, answer.saturating_mul(self.distance));
        client::ask(addr, token, request, Patience { connect, answer }).await
    }

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

/// The token of the file that the person names.
fn named_token(args: &ClusterArgs) -> Result<Option<Token>, CommandError> {
    Ok(args.token_file.as_deref().map(token::from_file).transpose()?)
}

/// The token for a node that the person names by its address: if they name no other, and it is one of a run that lives,
/// the token of that.
fn token_at(args: &ClusterArgs, addr: &str) -> Result<Option<Token>, CommandError> {
    if let Some(token) = named_token(args)? {
        return Ok(Some(token));
    }
    if let Some(token) = token_of_environment()? {
        return Ok(Some(token));
    }
    let is_its = |run: &PathBuf| {
        ClusterFile::read(run).is_ok_and(|file| file.nodes.iter().any(|node| node.client == addr))
    };
    let run = Runs::from_env().ok().and_then(|runs| runs.live().into_iter().find(is_its));
    Ok(run.map(|run| token::of_run(&run)).transpose()?.flatten())
}

/// The token in the environment. An empty one is none.
pub(crate) fn token_of_environment() -> Result<Option<Token>, anyhow::Error> {
    let secret = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    let secret = secret.trim();
    let token = (!secret.is_empty()).then(|| Token::new(secret)).transpose();
    token.with_context(|| format!("the variable {TOKEN_VARIABLE} cannot be used"))
}
