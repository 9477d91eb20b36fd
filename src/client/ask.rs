//! One request to one node, on a connection of its own: for whoever asks now and then.
#![expect(clippy::disallowed_methods, reason = "a node that hangs must not hang whoever asks")]

use std::time::Duration;

use tokio::time::timeout;

use super::connection::Connection;
use super::error::{ConnectError, ConnectionLost};
use crate::wire::{Request, Response};

/// How long is waited for a node.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the connection, handshake included.
    pub connect: Duration,
    /// For the answer. Longer than the time-out within a command, so that the node can say what it knows.
    pub answer: Duration,
}

/// Why one request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no connection, so nothing was asked. Definite.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was asked, and no answer came in this time: it may have happened, or may yet.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It was asked, and the connection ended first: it may have happened.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
}

/// Asks the node at `addr`, and waits for its answer.
///
/// # Errors
/// All of [`AskError`].
pub async fn ask(
    addr: &str,
    token: Option<&str>,
    request: Request,
    patience: Patience,
) -> Result<Response, AskError> {
    let connection = Connection::connect(addr, token, patience.connect).await?;
    let answer = timeout(patience.answer, connection.request(request)).await;
    Ok(answer.map_err(|_| AskError::Late(patience.answer))??)
}
