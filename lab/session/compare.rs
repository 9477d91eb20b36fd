//! Whether all members hold the same: asked of each, byte for byte.
//!
//! These are the lab's own questions, not a client's: they go straight to each member and are not in the history.
#![expect(clippy::disallowed_methods, reason = "time limits of the lab's own questions")]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use kvlab::client::Connection;
use kvlab::judge::{Difference, MemberState, Version, compare_members};
use kvlab::types::{Command, NodeId, ReadLevel, Reply};
use kvlab::wire::{Request, Response};

use crate::workload::Zones;

/// Keys asked for at once, of each member.
const BATCH: usize = 128;
/// How long a member may take for a connection, or for a batch.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads every key at every member and compares. `Ok(None)`: they hold the same.
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
            anyhow::Ok((*node, state.with_context(|| format!("{node} could not be asked"))?))
        }));
        let states: BTreeMap<NodeId, MemberState> = states.await?.into_iter().collect();
        if let Some(difference) = compare_members(&states, 1).first.pop() {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

/// What a member holds of these keys. How far back it can vouch for one that is absent is its own affair: that
/// depends on when it cleaned up.
async fn ask(connection: &Connection, keys: &[String]) -> anyhow::Result<MemberState> {
    let read = |key: &String| {
        let key = Bytes::from(key.clone().into_bytes());
        let command = Command::Read { key, level: ReadLevel::Eventual, timeout: PATIENCE };
        connection.request(Request::Do(command))
    };
    let answers = join_all(keys.iter().map(read)).await;
    let mut state = MemberState::new();
    for (key, answer) in keys.iter().zip(answers) {
        match answer? {
            Response::Reply { reply: Reply::Value { found, .. }, .. } => {
                let version = |value: Bytes| Version { value: value.into(), at: found.version };
                state.extend(found.value.map(version).map(|version| (key.clone().into_bytes(), version)));
            }
            Response::Reply { reply: Reply::Failed(failure), .. } => bail!(failure),
            other => bail!("it answered {other:?}"),
        }
    }
    Ok(state)
}
