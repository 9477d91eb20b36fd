//! `kvlab follow`: tells a node to turn to a primary, now.

use kvlab::types::{Command, FOLLOW_TIMEOUT, Reply};

use super::support::exit::{CommandError, Exit};
use super::support::{output, reach};
use crate::cli::FollowArgs;

pub async fn run(args: FollowArgs) -> Result<Exit, CommandError> {
    let order = Command::Follow { primary: args.primary };
    let (node, answer) = reach::perform(&args.cluster, Some(args.node), FOLLOW_TIMEOUT, order).await?;
    match answer.reply {
        Reply::Following { epoch } => {
            output::print(format!("{node} follows {} in {epoch}\n", args.primary))?;
            Ok(Exit::Done)
        }
        other => Err(reach::senseless(&other)),
    }
}
