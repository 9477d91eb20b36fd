//! `kvlab status`: asks every node how it is, all at once.

use std::fmt::Write as _;

use futures_util::future::join_all;
use kvlab::types::{DamageStatus, NodeId, NodeStatus, Report, Resyncs, Role, ShownDamage, Status};
use kvlab::wire::{Request, Response};
use serde::Serialize;

use super::support::exit::{CommandError, Exit};
use super::support::table::row;
use super::support::{output, reach};
use crate::cli::StatusArgs;
use crate::text::words;

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

pub async fn run(args: StatusArgs) -> Result<Exit, CommandError> {
    let cluster = reach::cluster(&args.cluster).await?;
    let asked = cluster.members.iter().map(|(node, address)| async {
        let answer = ask(&cluster, address).await;
        let (error, status) = (answer.as_ref().err().cloned(), answer.ok());
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
        output::print(format!("{object}\n"))?;
    } else {
        output::print(table(&nodes))?;
    }
    if any { Ok(Exit::Done) } else { Err(Exit::Refused.because("no node answers")) }
}

pub(super) async fn ask(cluster: &reach::Reached, address: &str) -> Result<NodeStatus, String> {
    let answer = cluster.ask(address, Request::Status, reach::ANSWER_WITHIN).await;
    match answer.map_err(|error| error.to_string())? {
        Response::Report(json) => match serde_json::from_str(&json) {
            Ok(Report::Status(status)) => Ok(status),
            Ok(_) => Err("the answer is not a status".to_owned()),
            Err(why) => Err(format!("the answer cannot be read: {why}")),
        },
        _ => Err("the answer is not a status".to_owned()),
    }
}

const TITLES: &str = "node role epoch last commit lag reads keys disk garbage applied/s resyncs address";
const WIDTHS: [usize; 13] = [5, 10, 7, 14, 9, 7, 8, 8, 10, 8, 10, 17, 0];

fn table(nodes: &[Asked]) -> String {
    let mut out = String::new();
    row(&mut out, &WIDTHS, TITLES.split(' '));
    for Asked { node, address, status, error } in nodes {
        let address = address.as_deref().unwrap_or_default();
        match status {
            Some(status) => row(&mut out, &WIDTHS, cells(status, address)),
            None => {
                let why = error.as_deref().unwrap_or("no answer");
                row(&mut out, &[WIDTHS[0], 0], [node.to_string(), format!("{why} ({address})")]);
            }
        }
    }
    for asked in nodes {
        let primary = asked.status.as_ref().map(|status| &status.replication);
        if let Some(primary) = primary.filter(|status| status.role == Role::Primary) {
            let _ = writeln!(out, "backlog of {}: {}", asked.node, words::backlog(&primary.backlog));
        }
    }
    let statuses = nodes.iter().filter_map(|asked| asked.status.as_ref()).map(|status| &status.replication);
    for (id, quirk) in statuses.flat_map(|s| s.quirks.iter().map(|quirk| (s.id, quirk))) {
        let _ = writeln!(out, "QUIRK at {id}: {quirk}: {}", quirk.mistake());
    }
    for status in nodes.iter().filter_map(|asked| asked.status.as_ref()) {
        damage(&mut out, status);
    }
    out
}

/// What of a node's disk is damaged, and how far the search for more is.
fn damage(out: &mut String, status: &NodeStatus) {
    let (id, DamageStatus { now, found, repaired, some, .. }) = (status.replication.id, &status.disk.damage);
    if *found == 0 {
        return;
    }
    let scrub = &status.disk.scrub;
    let searched = match (scrub.rate, scrub.round, scrub.rounds) {
        (0, ..) => "the scrub is off".to_owned(),
        (_, Some((done, total)), _) => format!("scrub at {}%", done * 100 / total.max(1)),
        (_, None, rounds) => format!("{rounds} scrubs done"),
    };
    let _ = writeln!(out, "DAMAGE at {id}: {now} values now, {found} found, {repaired} repaired; {searched}");
    for ShownDamage { at, key, file, offset } in some {
        let _ = writeln!(out, "  {key:?} ({at}) in {file} at byte {offset}: not repaired yet");
    }
}

fn cells(status: &NodeStatus, address: &str) -> [String; 13] {
    let s = &status.replication;
    [
        s.id.to_string(),
        words::role(s.role).to_owned(),
        s.epoch.to_string(),
        s.last.to_string(),
        s.commit.to_string(),
        s.lag.map_or("-".to_owned(), |lag| lag.to_string()),
        if s.stale { "refused" } else { "served" }.to_owned(),
        status.keys.to_string(),
        if s.disk_full { "FULL".to_owned() } else { words::bytes(status.log_bytes) },
        garbage(status),
        status.applied_per_s.to_string(),
        resyncs(s),
        address.to_owned(),
    ]
}

/// What it gave as a primary, what it got as a replica: `3 partial 1 full`, `1 got`.
fn resyncs(status: &Status) -> String {
    if let Some((bytes, of)) = status.resync {
        return format!("getting {}%", words::percent_of(bytes, of));
    }
    let Resyncs { partial, full, installed } = status.resyncs;
    let counts = [(partial, "partial"), (full, "full"), (installed, "got")];
    let said: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if said.is_empty() { "-".to_owned() } else { said.join(" ") }
}

/// How much of the log is garbage, and how far a cleanup is.
fn garbage(status: &NodeStatus) -> String {
    let percent = status.disk.garbage_percent;
    match status.disk.cleanup {
        Some((done, total)) => format!("{percent}% (cleanup {}%)", words::percent_of(done, total)),
        None => format!("{percent}%"),
    }
}
