//! Connections that are being made. An attempt may outlast the operation that has begun it: the next one to the same
//! member goes on waiting for it, so that no delay of a link makes a member unreachable for ever. (Rule 14.)
#![expect(clippy::disallowed_methods, reason = "attempts are tasks, and are waited for with a deadline")]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::connection::Connection;
use super::error::ConnectError;
use crate::types::NodeId;

/// No attempt goes on for longer than this, whoever waits.
const ATTEMPT_MAX: Duration = Duration::from_secs(16);

/// One client's attempts: at most one for each member outlives its operation.
#[derive(Debug, Default)]
pub(super) struct Dialing {
    earlier: BTreeMap<NodeId, Attempt>,
}

/// One attempt, given up when it is dropped.
#[derive(Debug)]
struct Attempt {
    addr: String,
    task: AbortOnDropHandle<Result<Connection, ConnectError>>,
}

impl Dialing {
    /// A connection to `node` at `addr`: of an attempt that is under way already, or of a new one, whichever stands first,
    /// within `patience`. If there is none by then, the older of the two goes on.
    ///
    /// # Errors
    /// Those of the new attempt; [`ConnectError::Timeout`] with `patience`.
    pub(super) async fn connect(
        &mut self,
        node: NodeId,
        addr: &str,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<Connection, ConnectError> {
        // What was sent before may be lost by now, so nobody relies on the older one alone.
        let mut fresh = Attempt::begin(addr, token);
        let earlier = self.earlier.remove(&node).filter(|it| it.addr == addr);
        let Some(mut earlier) = earlier else {
            return match timeout(patience, &mut fresh.task).await {
                Ok(outcome) => settled(outcome, addr),
                Err(_) => {
                    self.earlier.insert(node, fresh);
                    Err(ConnectError::Timeout(addr.to_owned(), patience))
                }
            };
        };
        let first = timeout(patience, async {
            tokio::select! {
                biased;
                older = &mut earlier.task => match settled(older, addr) {
                    Ok(connection) if !connection.is_closed() => (Ok(connection), false),
                    _ => (settled((&mut fresh.task).await, addr), false),
                },
                newer = &mut fresh.task => (settled(newer, addr), true),
            }
        });
        match first.await {
            // The older may still come, over a path that is slow and not gone.
            Ok((Err(error), true)) => {
                self.earlier.insert(node, earlier);
                Err(error)
            }
            Ok((outcome, _)) => outcome,
            Err(_) => {
                let older = if earlier.task.is_finished() { fresh } else { earlier };
                self.earlier.insert(node, older);
                Err(ConnectError::Timeout(addr.to_owned(), patience))
            }
        }
    }
}

impl Attempt {
    fn begin(addr: &str, token: Option<&str>) -> Self {
        let (to, token) = (addr.to_owned(), token.map(str::to_owned));
        let task = tokio::spawn(async move { Connection::connect(&to, token.as_deref(), ATTEMPT_MAX).await });
        Self { addr: addr.to_owned(), task: AbortOnDropHandle::new(task) }
    }
}

fn settled(
    outcome: Result<Result<Connection, ConnectError>, JoinError>,
    addr: &str,
) -> Result<Connection, ConnectError> {
    outcome.unwrap_or_else(|gone| Err(ConnectError::Protocol(addr.to_owned(), gone.to_string())))
}
