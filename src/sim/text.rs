//! What happens in a simulation, in words: a line for each event, the same in golden scripts and in traces.

use bytes::Bytes;

use crate::replication::DiskJob as Job;
use crate::types::{
    Ballot, Command, Entry, Event, Failure, Found, Lineage, Lookup, LossId, MemberVote, Message, NodeId, Op,
    ReadLevel, Reply, ResyncReason, RoundId, Status, Vote, WriteLevel,
};

use super::cluster::ClusterEvent;

/// `1@n1/2 put k=v`.
pub(crate) fn entry(entry: &Entry) -> String {
    format!("{} {}", entry.at, op(&entry.op))
}

/// `put k=v`, `del k`, `noop`.
pub(crate) fn op(op: &Op) -> String {
    match op {
        Op::Noop => "noop".to_owned(),
        Op::Put { key, value } => format!("put {}={}", word(key), word(value)),
        Op::Del { key } => format!("del {}", word(key)),
    }
}

/// Entries one after the other; of many, the first and the last.
pub(crate) fn entries(list: &[Entry]) -> String {
    const WHOLE_MAX: usize = 4;
    match list {
        [] => "nothing".to_owned(),
        [first, .., last] if list.len() > WHOLE_MAX => {
            format!("{} … {} ({} entries)", entry(first), entry(last), list.len())
        }
        list => list.iter().map(entry).collect::<Vec<_>>().join(", "),
    }
}

/// Where entries stand: `1@n1/2`, `1@n1/2..5`.
fn span(list: &[Entry]) -> String {
    match list {
        [] => "nothing".to_owned(),
        [one] => one.at.to_string(),
        [first, .., last] => format!("{}..{}", first.at, last.at.seq),
    }
}

/// `v (1@n1/2)`, `absent (1@n1/3)`.
pub(crate) fn found(found: &Found) -> String {
    let value = found.value.as_ref().map_or_else(|| "absent".to_owned(), word);
    format!("{value} ({})", found.version)
}

/// What a lookup came to.
pub(crate) fn lookup(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Found(f) => found(f),
        Lookup::Damaged(damage) => format!("damaged ({})", damage.at),
    }
}

/// A message whole.
pub(crate) fn message(message: &Message) -> String {
    match message {
        Message::Heartbeat { epoch, last, commit, sent, counts } => {
            let counts = if counts.is_some() { " (counts again)" } else { "" };
            format!("Heartbeat {epoch} last={last} commit={commit} sent={sent}{counts}")
        }
        Message::Ack { epoch, durable, learner } => {
            format!("Ack {epoch} durable={durable}{}", as_learner(*learner))
        }
        Message::Sync { epoch, last, learner, whole } => {
            let whole = whole.map(|reason| format!(", wants the whole state: {}", resync_reason(reason)));
            format!("Sync {epoch} last={last}{}{}", as_learner(*learner), whole.unwrap_or_default())
        }
        Message::Diverged { epoch, last, lineage } => {
            format!("Diverged {epoch} last={last} lineage=[{}]", spans(lineage))
        }
        Message::Append { epoch, prev, entries: list, commit } => {
            format!("Append {epoch} after {prev}: {} commit={commit}", entries(list))
        }
        Message::Refused { epoch, promised, opened } => {
            let how = if *opened { "opened" } else { "only voted for" };
            format!("Refused {epoch}: promised {promised} ({how})")
        }
        Message::VoteRequest { epoch, pre, operator, last, .. } => {
            let by = if *operator { " operator" } else { "" };
            format!("{}Request {epoch}{by} last={last}", vote_name(*pre))
        }
        Message::Vacant => "Vacant".to_owned(),
        Message::VoteReply { epoch, pre, ballot: b, .. } => {
            format!("{}Reply {epoch}: {b}", vote_name(*pre))
        }
        Message::ReadRequest { round: r, key } => format!("ReadRequest {} {}", round(*r), word(key)),
        Message::ReadAnswer { round: r, promised, last, found: f } => {
            format!("ReadAnswer {} promised={promised} last={last}: {}", round(*r), lookup(f))
        }
        Message::RepairRequest { at, key } => format!("RepairRequest {at} of {}", word(key)),
        Message::RepairAnswer { entry } => format!("RepairAnswer {}", entries(std::slice::from_ref(entry))),
        Message::SnapshotBegin { epoch, id, at, lineage, bytes_total } => {
            let spans = spans(lineage);
            format!("SnapshotBegin {epoch} #{} at={at} lineage=[{spans}] {bytes_total} bytes", id.0)
        }
        Message::SnapshotChunk { epoch, id, index, entries: list, done } => {
            let end = if *done { ", the last" } else { "" };
            format!("SnapshotChunk {epoch} #{}.{index}{end}: {}", id.0, entries(list))
        }
        Message::SnapshotAck { epoch, id, index } => format!("SnapshotAck {epoch} #{}.{index}", id.0),
    }
}

fn as_learner(loss: Option<LossId>) -> &'static str {
    if loss.is_some() { " (learner)" } else { "" }
}

/// `1@n1/1 2@n2/11`.
fn spans(lineage: &Lineage) -> String {
    let spans: Vec<_> = lineage.spans().iter().map(|(epoch, first)| format!("{epoch}/{first}")).collect();
    spans.join(" ")
}

fn resync_reason(reason: ResyncReason) -> &'static str {
    match reason {
        ResyncReason::Diverged => "it has diverged, and cannot be cut back that far",
        ResyncReason::CleanedUp => "cleanup has dropped what it lacks",
    }
}

/// A message's name and what tells it from others of its name.
pub(crate) fn message_name(message: &Message) -> String {
    match message {
        Message::Append { entries: list, .. } if list.is_empty() => "Append of nothing".to_owned(),
        Message::Append { entries: list, .. } => format!("Append {}", span(list)),
        Message::Ack { durable, .. } => format!("Ack {durable}"),
        Message::Sync { last, .. } => format!("Sync {last}"),
        Message::SnapshotChunk { id, index, .. } => format!("SnapshotChunk #{}.{index}", id.0),
        Message::SnapshotAck { id, index, .. } => format!("SnapshotAck #{}.{index}", id.0),
        Message::SnapshotBegin { id, .. } => format!("SnapshotBegin #{}", id.0),
        Message::ReadRequest { round: r, .. } => format!("ReadRequest {}", round(*r)),
        Message::ReadAnswer { round: r, .. } => format!("ReadAnswer {}", round(*r)),
        Message::VoteRequest { epoch, pre, .. } => format!("{}Request {epoch}", vote_name(*pre)),
        Message::VoteReply { epoch, pre, .. } => format!("{}Reply {epoch}", vote_name(*pre)),
        Message::Heartbeat { epoch, .. } => format!("Heartbeat {epoch}"),
        Message::Refused { epoch, .. } => format!("Refused {epoch}"),
        Message::Diverged { epoch, .. } => format!("Diverged {epoch}"),
        Message::Vacant => "Vacant".to_owned(),
        Message::RepairRequest { at, .. } => format!("RepairRequest {at}"),
        Message::RepairAnswer { entry } => format!("RepairAnswer {}", entry.at),
    }
}

/// The kind of a message, as scripts name it.
#[cfg(test)]
pub(crate) fn message_kind(message: &Message) -> String {
    let name = message_name(message);
    name.split_whitespace().next().unwrap_or_default().to_owned()
}

fn vote_name(pre: bool) -> &'static str {
    if pre { "PreVote" } else { "Vote" }
}

/// A job that the disk was given.
pub(crate) fn job(job: &Job) -> String {
    match job {
        Job::Append { entries: list, .. } => format!("append {}", entries(list)),
        Job::Save { promise } => {
            let learner = if promise.learner { ", learner" } else { "" };
            format!("save promise {}{learner}", promise.epoch)
        }
        Job::Cut { fork, .. } => format!("cut the log back to {fork}"),
        Job::InstallBegin { id } => format!("begin installation #{}", id.0),
        Job::InstallChunk { id, entries: list } => format!("install #{}: {}", id.0, entries(list)),
        Job::InstallCommit { id, at, fork, .. } => {
            format!("commit installation #{} at={at} fork={fork}", id.0)
        }
        Job::InstallAbort { id } => format!("abort installation #{}", id.0),
    }
}

/// A job that the disk has finished.
pub(crate) fn job_done(job: &Job) -> String {
    match job {
        Job::Append { entries: list, .. } => span(list),
        Job::Save { promise } => format!("promise {}", promise.epoch),
        Job::Cut { fork, .. } => format!("the log is cut back to {fork}"),
        Job::InstallBegin { id } => format!("installation #{} begun", id.0),
        Job::InstallChunk { id, .. } => format!("installation #{} chunk", id.0),
        Job::InstallCommit { id, at, .. } => format!("installation #{}, the log is now {at}", id.0),
        Job::InstallAbort { id } => format!("installation #{} gone", id.0),
    }
}

/// What a client asks.
pub(crate) fn command(command: &Command) -> String {
    match command {
        Command::Write { op: o, level, .. } => match level {
            WriteLevel::Async => op(o),
            WriteLevel::Quorum => format!("{} quorum", op(o)),
        },
        Command::Read { key, level, .. } => match level {
            ReadLevel::Eventual => format!("get {}", word(key)),
            ReadLevel::Quorum => format!("get {} quorum", word(key)),
        },
        Command::Follow { primary } => format!("follow {primary}"),
        Command::Promote { force } => if *force { "promote force" } else { "promote" }.to_owned(),
    }
}

/// What a client is told.
pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Written { at, votes: v } => format!("written {at}{}", votes(v)),
        Reply::Value { found: f, epoch, votes: v } => format!("value {} in {epoch}{}", found(f), votes(v)),
        Reply::Promoted { epoch, ballots: b } => format!("promoted to {epoch}{}", ballots(b)),
        Reply::Following { epoch } => format!("following {epoch}"),
        Reply::Failed(failure) => format!("failed: {failure}{}", failed_votes(failure)),
    }
}

/// The one word by which scripts expect a reply.
#[cfg(test)]
pub(crate) fn reply_kind(reply: &Reply) -> &'static str {
    match reply {
        Reply::Written { .. } => "written",
        Reply::Value { .. } => "value",
        Reply::Promoted { .. } => "promoted",
        Reply::Following { .. } => "following",
        Reply::Failed(failure) => match failure {
            Failure::ReadOnly { .. } => "read-only",
            Failure::TooStale { .. } => "too-stale",
            Failure::WriteTimeout { .. } => "unknown",
            Failure::Deposed { .. } => "deposed",
            Failure::NoQuorum { .. } => "no-quorum",
            Failure::PromotionRefused { .. } => "refused",
            Failure::Busy(_) => "busy",
            Failure::Invalid(_) => "invalid",
            Failure::Stopping => "stopping",
            Failure::DiskFull => "disk-full",
            Failure::Damaged { .. } => "damaged",
            Failure::FollowRefused { .. } => "not-followed",
            Failure::TokenNeeded => "token-needed",
        },
    }
}

fn failed_votes(failure: &Failure) -> String {
    match failure {
        Failure::WriteTimeout { votes: v, .. }
        | Failure::Deposed { votes: v, .. }
        | Failure::NoQuorum { votes: v } => votes(v),
        _ => String::new(),
    }
}

/// Nothing, or what is said of each in brackets.
fn bracketed<T>(list: &[T], one: impl Fn(&T) -> String) -> String {
    let said: Vec<_> = list.iter().map(one).collect();
    if said.is_empty() { String::new() } else { format!(" [{}]", said.join(", ")) }
}

fn votes(list: &[MemberVote]) -> String {
    let one = |vote: &MemberVote| {
        let word = match vote.vote {
            Vote::Ack => "ack",
            Vote::Nack => "nack",
            Vote::Pending => "pending",
            Vote::Timeout => "timeout",
            Vote::Unreachable => "unreachable",
        };
        let after = match vote.after_us {
            Some(us) if us >= 1000 => format!(" after {} ms", us / 1000),
            _ => String::new(),
        };
        format!("{} {word}{after}", vote.node)
    };
    bracketed(list, one)
}

fn ballots(list: &[(NodeId, Option<Ballot>)]) -> String {
    let one = |(node, ballot): &(NodeId, Option<Ballot>)| match ballot {
        Some(ballot @ Ballot::Ahead { .. }) => ballot.to_string(),
        Some(ballot) => format!("{node} {ballot}"),
        None => format!("{node} silent"),
    };
    bracketed(list, one)
}

/// A change of state.
pub(crate) fn state_change(event: &Event) -> String {
    match event {
        Event::Campaign { epoch, pre, operator } => {
            let (what, by) = (if *pre { "would anyone vote" } else { "asks for votes" }, who(*operator));
            format!("campaigns for {epoch}{by}: {what}")
        }
        Event::CampaignLost { epoch, ballots: b } => format!("lost the campaign for {epoch}{}", ballots(b)),
        Event::EpochOpened { epoch, forced: true, .. } => format!("opens {epoch} by force"),
        Event::EpochOpened { epoch, voters, .. } => format!("opens {epoch}, votes of {}", names(voters)),
        Event::EpochEstablished { epoch } => format!("{epoch} is established"),
        Event::SteppedDown { epoch, by } => format!("steps down from {epoch}, ended by {by}"),
        Event::Following { epoch } => format!("follows {epoch}"),
        Event::Voted { epoch, ballot } => format!("votes in {epoch}: {ballot}"),
        Event::PartialResync { node, from, entries } => {
            format!("partial resync of {node} from {from}, {entries} entries")
        }
        Event::FullResyncStarted { node, from, reason } => {
            format!("full resync of {node} from {from}: {}", resync_reason(*reason))
        }
        Event::FullResyncSent { node, at } => format!("full resync of {node} at {at} is sent"),
        Event::FullResyncInstalled { at, discarded, file } => {
            format!("state at {at} installed{}", kept(*discarded, file.as_deref()))
        }
        Event::LogCut { fork, discarded, file } => {
            format!("log cut back to {fork}{}", kept(*discarded, file.as_deref()))
        }
        Event::FullResyncRefused { node, record } => {
            format!("refuses the state that {node} sends: it cannot hold {record}")
        }
        Event::Stale { stale: true } => "is too stale for eventual reads".to_owned(),
        Event::Stale { stale: false } => "is fresh again".to_owned(),
        Event::DiskFull { full: true } => "has no room on its disk".to_owned(),
        Event::DiskFull { full: false } => "has room on its disk again".to_owned(),
        Event::LearnerGraduated => "is a full member again".to_owned(),
        Event::ValueDamaged { at, key, .. } => format!("finds the value of {key} ({at}) damaged"),
        Event::ValueRepaired { at } => format!("has repaired the value of {at}"),
    }
}

fn kept(discarded: u64, file: Option<&str>) -> String {
    let entries = if discarded == 1 { "entry" } else { "entries" };
    file.map_or_else(String::new, |file| format!(", {discarded} {entries} kept in {file}"))
}

fn who(operator: bool) -> &'static str {
    if operator { " (operator)" } else { "" }
}

/// `n1 n2`.
pub(crate) fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// One line of a node's state.
pub(crate) fn status(status: &Status) -> String {
    let Status { role, epoch, promised, last, durable, commit, .. } = status;
    let role = format!("{role:?}").to_lowercase();
    let mut line = format!("{} {role} {epoch}", status.id);
    if promised != epoch {
        line += &format!(" promised={promised}");
    }
    line += &format!(" last={last} durable={durable} commit={commit}");
    if let Some(lag) = status.lag.filter(|lag| *lag > 0) {
        line += &format!(" lag={lag}");
    }
    if status.stale {
        line += " stale";
    }
    if status.disk_full {
        line += " disk-full";
    }
    if let Some((have, of)) = status.resync {
        line += &format!(" resync={have}/{of}");
    }
    line
}

/// One line of a trace. Requests are named by `label`.
pub(crate) fn cluster_event(
    event: &ClusterEvent,
    label: impl Fn(crate::replication::RequestId) -> String,
) -> String {
    match event {
        ClusterEvent::Started { node } => format!("{node} starts"),
        ClusterEvent::Crashed { node, jobs_lost: 0 } => format!("{node} crashes"),
        ClusterEvent::Crashed { node, jobs_lost } => format!("{node} crashes, {jobs_lost} disk jobs undone"),
        ClusterEvent::Ticked { node } => format!("{node} timer"),
        ClusterEvent::Sent { link, envelope, message: m } => {
            let fate = if envelope.is_none() { " ✗ cut" } else { "" };
            format!("{} → {} {}{fate}", link.0, link.1, message(m))
        }
        ClusterEvent::Received { link, message: m } => format!("{} ← {} {}", link.1, link.0, message_name(m)),
        ClusterEvent::Submitted { node, job: j } => format!("{node} disk: {}", job(j)),
        ClusterEvent::Durable { node, job } => format!("{node} durable: {}", job_done(job)),
        ClusterEvent::Requested { node, request, command: c } => {
            format!("{} at {node}: {}", label(*request), command(c))
        }
        ClusterEvent::Replied { request, reply: r, .. } => format!("{} ⇒ {}", label(*request), reply(r)),
        ClusterEvent::Lost { request, .. } => format!("{} ⇒ connection lost", label(*request)),
        ClusterEvent::StateChanged { node, event: change } => format!("{node} {}", state_change(change)),
        ClusterEvent::ContractBroken { node, what } => format!("{node} BREAKS THE CONTRACT: {what}"),
    }
}

fn round(round: RoundId) -> String {
    format!("{:x}.{}", round.incarnation, round.number)
}

/// Bytes as a word; what is not text is shown in hexadecimal, what is long by its length.
pub(crate) fn word(bytes: &Bytes) -> String {
    const SHOWN_MAX: usize = 24;
    match std::str::from_utf8(bytes) {
        Ok("") => "''".to_owned(),
        Ok(text) if text.len() <= SHOWN_MAX => text.to_owned(),
        Ok(text) => format!("{}…({} bytes)", text.chars().take(8).collect::<String>(), bytes.len()),
        Err(_) => format!("{bytes:x}"),
    }
}
