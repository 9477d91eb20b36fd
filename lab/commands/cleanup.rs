//! `kvlab cleanup`: has nodes drop from their disks what nobody needs, and says what that freed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kvlab::client::AskError;
use kvlab::types::{DiskStatus, LastCleanup, NodeId};
use kvlab::wire::{CleanupReply, Request, Response};

use super::support::exit::{CommandError, Exit};
use super::support::{output, reach};
use crate::cli::CleanupArgs;
use crate::commands::status;
use crate::text::words;

/// How long a node may take to begin, or say why not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often a node is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A node that gets no further for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Progress is told in steps of so many percent.
const STEP_PERCENT: u64 = 10;

/// Why a node has not cleaned up.
enum Trouble {
    /// It did not begin, or gave up.
    Not(String),
    /// It began, and nobody knows how it ended.
    Unknown(String),
}

pub async fn run(args: CleanupArgs) -> Result<Exit, CommandError> {
    let cluster = reach::cluster(&args.cluster).await?;
    let nodes: Vec<(NodeId, String)> = match args.node {
        Some(node) => {
            let node = cluster.node(Some(node))?;
            vec![(node, cluster.members[&node].clone())]
        }
        None => cluster.members.iter().map(|(node, address)| (*node, address.clone())).collect(),
    };
    let cluster = &cluster;
    let outcomes = join_all(nodes.iter().map(|(node, address)| async move {
        let outcome = clean(cluster, *node, address, !args.no_wait).await;
        let printed = match &outcome {
            Ok(said) => output::print(format!("{node}: {said}\n")),
            Err(Trouble::Not(why) | Trouble::Unknown(why)) => {
                output::tell(format_args!("{node}: {why}"));
                Ok(())
            }
        };
        (outcome, printed)
    }));
    let (mut exit, mut all_printed) = (Exit::Done, Ok(()));
    for (outcome, printed) in outcomes.await {
        all_printed = all_printed.and(printed);
        match outcome {
            Ok(_) => {}
            Err(Trouble::Not(_)) if exit == Exit::Unknown => {}
            Err(Trouble::Not(_)) => exit = Exit::Refused,
            Err(Trouble::Unknown(_)) => exit = Exit::Unknown,
        }
    }
    all_printed.map(|()| exit)
}

/// Asks one node, and waits for the end unless it is not wanted.
async fn clean(cluster: &reach::Reached, node: NodeId, address: &str, wait: bool) -> Result<String, Trouble> {
    let before = status::ask(cluster, address).await.map_err(Trouble::Not)?.disk;
    let answer = cluster.ask(address, Request::Cleanup, ANSWER_WITHIN).await.map_err(|error| match error {
        AskError::Connect(_) => Trouble::Not(error.to_string()),
        AskError::Late(_) | AskError::Lost(_) => Trouble::Unknown(error.to_string()),
    });
    match answer? {
        Response::Cleanup(CleanupReply::Begun { bytes_total }) if !wait => {
            Ok(format!("cleanup of {} has begun", words::bytes(bytes_total)))
        }
        Response::Cleanup(CleanupReply::Begun { .. }) => wait_for_end(cluster, node, address, &before).await,
        Response::Cleanup(CleanupReply::Nothing) => Ok("there is nothing to clean up".to_owned()),
        Response::Cleanup(CleanupReply::Refused { reason }) => Err(Trouble::Not(reason)),
        _ => Err(Trouble::Unknown("an answer that makes no sense here".to_owned())),
    }
}

/// Looks until one more cleanup has ended than `before`.
#[expect(clippy::disallowed_methods, reason = "looks again and again, with a deadline")]
async fn wait_for_end(
    cluster: &reach::Reached,
    node: NodeId,
    address: &str,
    before: &DiskStatus,
) -> Result<String, Trouble> {
    let mut told = 0;
    let mut done_before = None;
    let mut moved_at = Instant::now();
    loop {
        let disk = status::ask(cluster, address).await.map_err(Trouble::Unknown)?.disk;
        if disk.cleanups > before.cleanups
            && let Some(last) = disk.last_cleanup
        {
            return said(&last);
        }
        if let Some((done, total)) = disk.cleanup {
            let percent = words::percent_of(done, total);
            if percent >= told + STEP_PERCENT {
                told = percent;
                output::tell(format_args!("{node}: {percent}% of {}", words::bytes(total)));
            }
        }
        if disk.cleanup != done_before {
            (done_before, moved_at) = (disk.cleanup, Instant::now());
        }
        if moved_at.elapsed() > PATIENCE {
            return Err(Trouble::Unknown(format!("no progress for {} s", PATIENCE.as_secs())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn said(last: &LastCleanup) -> Result<String, Trouble> {
    match &last.given_up {
        Some(why) => Err(Trouble::Not(format!("given up: {why}"))),
        None => {
            let freed = last.before.saturating_sub(last.after);
            let (freed, before) = (words::bytes(freed), words::bytes(last.before));
            let left = match last.left_damaged {
                0 => String::new(),
                n => format!(
                    "; {n} segments left as they are: a value in them is damaged and not repaired yet"
                ),
            };
            Ok(format!("freed {freed} of {before} in {} ms{left}", last.took_ms))
        }
    }
}
