//! `kvlab follow`: tells a node to turn to a primary, now.

use kvlab::types::{Command, FOLLOW_TIMEOUT, Reply};

use super::support::exit::{CommandError, Exit};
use super::support::{output, reach};
use crate::cli::FollowArgs;

pub async fn run(args: FollowArgs) -> Result<Exit, CommandError> {
    let cluster = reach::cluster(&args.cluster).await?;
    let node = cluster.node(Some(args.node))?;
    let order = Command::Follow { primary: args.primary };
    let answer = cluster.client(FOLLOW_TIMEOUT).perform(node, order).await;
    match answer.map_err(|error| reach::failed(&error))?.reply {
        Reply::Following { epoch } => {
            output::print(format!("{node} follows {} in {epoch}\n", args.primary));
            Ok(Exit::Done)
        }
        other => Err(Exit::Unknown.because(format!("an answer that makes no sense here: {other:?}"))),
    }
}
