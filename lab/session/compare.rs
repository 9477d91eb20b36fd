//! Whether all members hold the same: asked of each, byte for byte.
//!
//! These are the lab's own questions, not a client's: they go straight to each member and are not in the history.
#![expect(clippy::disallowed_methods, reason = "time limits of the lab's own questions")]

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use kvlab::client::Connection;
use kvlab::replication::{Command, Found, NodeId, ReadLevel, Reply};
use kvlab::wire::{Request, Response};

use crate::workload::Zones;

/// Keys asked for at once, of each member.
const BATCH: usize = 128;
/// How long a member may take for a connection, or for a batch.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where two members differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{one} and {other} differ in {key:?}: {has} at {one}, {other_has} at {other}")]
pub(super) struct Difference {
    key: String,
    one: NodeId,
    has: String,
    other: NodeId,
    other_has: String,
}

/// Reads every key at every member and compares. `Ok(None)`: they are equal.
///
/// # Errors
/// If a member could not be asked: then nothing can be said.
pub(super) async fn compare(zones: &dyn Zones, keys: &[String]) -> anyhow::Result<Option<Difference>> {
    let connect = |node: &NodeId| {
        let (node, addr) = (*node, zones.address(None, *node));
        async move {
            let connection = Connection::connect(&addr, None, PATIENCE).await?;
            anyhow::Ok((node, connection))
        }
    };
    let members = try_join_all(zones.members().iter().map(connect)).await?;
    for batch in keys.chunks(BATCH) {
        let states = try_join_all(members.iter().map(|(node, connection)| async move {
            let state = tokio::time::timeout(PATIENCE, ask(connection, batch))
                .await
                .with_context(|| format!("{node} did not answer within {} ms", PATIENCE.as_millis()))?;
            state.with_context(|| format!("{node} could not be asked"))
        }))
        .await?;
        for (member, state) in members.iter().zip(&states).skip(1) {
            let differs = states[0].iter().zip(state).position(|(first, other)| !same(first, other));
            if let Some(index) = differs {
                return Ok(Some(Difference {
                    key: batch[index].clone(),
                    one: members[0].0,
                    has: shown(&states[0][index]),
                    other: member.0,
                    other_has: shown(&state[index]),
                }));
            }
        }
    }
    Ok(None)
}

async fn ask(connection: &Connection, keys: &[String]) -> anyhow::Result<Vec<Found>> {
    let read = |key: &String| {
        let key = Bytes::from(key.clone().into_bytes());
        let command = Command::Read { key, level: ReadLevel::Eventual, timeout: PATIENCE };
        connection.request(Request::Do(command))
    };
    let answers = join_all(keys.iter().map(read)).await;
    answers
        .into_iter()
        .map(|answer| match answer? {
            Response::Reply { reply: Reply::Value { found, .. }, .. } => Ok(found),
            Response::Reply { reply: Reply::Failed(failure), .. } => bail!(failure),
            other => bail!("it answered {other:?}"),
        })
        .collect()
}

/// What two members hold of one key is the same if it is the same value, written by the same entry. How far back
/// a member can vouch for a key that is absent is its own affair: it depends on when it cleaned up.
fn same(one: &Found, other: &Found) -> bool {
    one.value == other.value && (one.value.is_none() || one.version == other.version)
}

fn shown(found: &Found) -> String {
    match &found.value {
        Some(value) => format!("{:?} of {}", String::from_utf8_lossy(value), found.version),
        None => "nothing".to_owned(),
    }
}
