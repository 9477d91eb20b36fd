//! `kvlab status`: asks every node how it is, all at once.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use kvlab::node::{NodeStatus, Report};
use kvlab::replication::{NodeId, Role};
use kvlab::wire::{Request, Response};
use serde::Serialize;

use super::exit::{Ended, Exit};
use super::{output, reach};
use crate::cli::StatusArgs;

/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Object {
    nodes: Vec<Asked>,
}

/// One node's answer, or why there is none.
#[derive(Debug, Serialize)]
struct Asked {
    node: NodeId,
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<NodeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub async fn run(args: StatusArgs) -> Result<Exit, Ended> {
    let cluster = reach::cluster(&args.cluster).await?;
    let asked = cluster.members.iter().map(|(node, address)| async {
        let answer = ask(address).await;
        let (status, error) = match answer {
            Ok(status) => (Some(status), None),
            Err(why) => (None, Some(why)),
        };
        Asked { node: *node, address: Some(address.clone()), status, error }
    });
    let mut nodes = join_all(asked).await;
    nodes.extend(cluster.unknown.iter().map(|node| Asked {
        node: *node,
        address: None,
        status: None,
        error: Some("nobody knows its address".to_owned()),
    }));
    nodes.sort_by_key(|asked| asked.node);
    let any = nodes.iter().any(|asked| asked.status.is_some());
    if args.json {
        let object = serde_json::to_string(&Object { nodes }).expect("plain data becomes JSON");
        output::print(format!("{object}\n"));
    } else {
        output::print(table(&nodes));
    }
    if any { Ok(Exit::Done) } else { Err(Exit::Refused.because("no node answers")) }
}

async fn ask(address: &str) -> Result<NodeStatus, String> {
    let connection = reach::connect(address).await?;
    #[expect(clippy::disallowed_methods, reason = "a node that hangs must not hang the command")]
    let answer = tokio::time::timeout(ANSWER_WITHIN, connection.request(Request::Status)).await;
    let answer = answer.map_err(|_| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))?;
    match answer.map_err(|lost| lost.to_string())? {
        Response::Report(json) => match serde_json::from_str(&json) {
            Ok(Report::Status(status)) => Ok(status),
            Ok(_) => Err("the answer is not a status".to_owned()),
            Err(why) => Err(format!("the answer cannot be read: {why}")),
        },
        Response::Reply { .. } => Err("the answer is not a status".to_owned()),
    }
}

fn table(nodes: &[Asked]) -> String {
    let mut out = String::new();
    let titles =
        ["node", "role", "epoch", "last", "commit", "lag", "reads", "disk", "keys", "applied/s", "address"];
    row(&mut out, &titles.map(str::to_owned));
    for asked in nodes {
        let address = asked.address.clone().unwrap_or_default();
        match &asked.status {
            Some(status) => row(&mut out, &cells(status, address)),
            None => {
                let why = asked.error.as_deref().unwrap_or("no answer");
                let _ = writeln!(out, "{:<5} {why} ({address})", asked.node.to_string());
            }
        }
    }
    let statuses = nodes.iter().filter_map(|asked| asked.status.as_ref()).map(|status| &status.replication);
    for (id, quirk) in statuses.flat_map(|s| s.quirks.iter().map(|quirk| (s.id, quirk))) {
        let _ = writeln!(out, "QUIRK at {id}: {quirk}: {}", quirk.mistake());
    }
    out
}

fn cells(status: &NodeStatus, address: String) -> [String; 11] {
    let s = &status.replication;
    let role = match s.role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    };
    [
        s.id.to_string(),
        role.to_owned(),
        s.epoch.to_string(),
        s.last.to_string(),
        s.commit.to_string(),
        s.lag.map_or("-".to_owned(), |lag| lag.to_string()),
        if s.stale { "refused" } else { "served" }.to_owned(),
        if s.disk_full { "FULL" } else { "ok" }.to_owned(),
        status.keys.to_string(),
        status.applied_per_s.to_string(),
        address,
    ]
}

fn row(out: &mut String, cells: &[String; 11]) {
    const WIDTHS: [usize; 11] = [5, 10, 7, 14, 9, 7, 8, 5, 8, 10, 0];
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}"));
    let _ = writeln!(out, "{}", padded.collect::<Vec<_>>().join(" ").trim_end());
}
