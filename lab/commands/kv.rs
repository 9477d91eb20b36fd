//! `kvlab put`, `get` and `del`: one operation, and what is known of its outcome.

use bytes::Bytes;
use kvlab::client::Answer;
use kvlab::types::{Command, MemberVote, Op, ReadLevel, Reply, Vote, WriteLevel};

use super::support::exit::{CommandError, Exit};
use super::support::output;
use super::support::reach;
use crate::cli::{DelArgs, GetArgs, OperationArgs, PutArgs};

/// Prints where the value was written: `1@n1/412`.
pub async fn put(args: PutArgs) -> Result<Exit, CommandError> {
    let op = Op::Put { key: Bytes::from(args.key), value: Bytes::from(args.value) };
    write(op, &args.operation).await
}

/// Prints where the removal was written.
pub async fn del(args: DelArgs) -> Result<Exit, CommandError> {
    write(Op::Del { key: Bytes::from(args.key) }, &args.operation).await
}

/// Prints the value and nothing else.
pub async fn get(args: GetArgs) -> Result<Exit, CommandError> {
    let level = if args.operation.quorum { ReadLevel::Quorum } else { ReadLevel::Eventual };
    let key = Bytes::from(args.key.clone());
    let command = Command::Read { key, level, timeout: args.operation.timeout };
    let answer = perform(command, &args.operation).await?;
    let Reply::Value { found, votes, .. } = answer.reply else { return Err(reach::senseless(&answer.reply)) };
    let Some(value) = found.value else {
        let key = args.key.escape_debug();
        return Err(Exit::Refused.because(format!("there is no key {key} at {}", answer.node)));
    };
    output::print([&value[..], b"\n"].concat())?;
    tell_votes(&answer.node.to_string(), &found.version.to_string(), &votes);
    Ok(Exit::Done)
}

async fn write(op: Op, args: &OperationArgs) -> Result<Exit, CommandError> {
    let level = if args.quorum { WriteLevel::Quorum } else { WriteLevel::Async };
    let answer = perform(Command::Write { op, level, timeout: args.timeout }, args).await?;
    let Reply::Written { at, votes } = answer.reply else { return Err(reach::senseless(&answer.reply)) };
    output::print(format!("{at}\n"))?;
    tell_votes(&answer.node.to_string(), "", &votes);
    Ok(Exit::Done)
}

async fn perform(command: Command, args: &OperationArgs) -> Result<Answer, CommandError> {
    let (_, answer) = reach::perform(&args.cluster, args.node, args.timeout, command).await?;
    Ok(answer)
}

/// Tells who answered and who voted, if a person looks.
fn tell_votes(node: &str, version: &str, votes: &[MemberVote]) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() {
        let votes: Vec<_> = votes.iter().map(vote).collect();
        let parts = [node, version, &votes.join(", ")].map(str::to_owned);
        output::tell(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  "));
    }
}

fn vote(vote: &MemberVote) -> String {
    let word = match vote.vote {
        Vote::Ack => "ack",
        Vote::Nack => "nack",
        Vote::Pending => "pending",
        Vote::Timeout => "timeout",
        Vote::Unreachable => "no link",
    };
    let after = vote.after_us.map(|us| format!(" {:.1} ms", us as f64 / 1000.0)).unwrap_or_default();
    format!("{} {word}{after}", vote.node)
}
