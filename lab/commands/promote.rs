//! `kvlab promote`: makes a node the primary, by vote or by force.

use kvlab::replication::CAMPAIGN_MAX;
use kvlab::types::{Command, Reply};

use super::support::exit::{CommandError, Exit};
use super::support::{output, reach};
use crate::cli::PromoteArgs;

pub async fn run(args: PromoteArgs) -> Result<Exit, CommandError> {
    let order = Command::Promote { force: args.force };
    let (node, answer) = reach::perform(&args.cluster, Some(args.node), CAMPAIGN_MAX, order).await?;
    match answer.reply {
        Reply::Promoted { epoch, ballots } => {
            let voters: Vec<_> = ballots
                .iter()
                .map(|(voter, ballot)| {
                    let said = ballot.as_ref().map_or("nothing yet".to_owned(), ToString::to_string);
                    format!("{voter}: {said}")
                })
                .collect();
            let how = if args.force { "by force".to_owned() } else { voters.join(", ") };
            output::print(format!("{node} is primary of {epoch} ({how})\n"))?;
            Ok(Exit::Done)
        }
        other => Err(reach::senseless(&other)),
    }
}
