//! Events and actions as sentences: one line for each that a person would want to read.

use kvlab::types::{Ballot, ClockCondition, DiskCondition, Event, NodeId, Report, ResyncReason};
use serde::{Deserialize, Serialize};

use super::words;
use crate::action::Action;
use crate::run::event::{
    Actor, LabEvent, Level, Operation, Outcome, ProcessState, RunOutcome, ScenarioEvent,
};

/// What happened, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventLine {
    /// When, in microseconds since the run began.
    pub(crate) t_us: u64,
    /// How loud it is.
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// The event as a sentence, and how loud it is. `None`: it is not worth a line, since what it changes is shown by itself
/// (statuses, load, verdicts), or an action that has a line of its own has caused it (links).
pub(crate) fn sentence(event: &LabEvent) -> Option<(Level, String)> {
    match event {
        LabEvent::Header(_) | LabEvent::Load(_) | LabEvent::Verdict(_) => None,
        LabEvent::Link { .. } | LabEvent::Condition { .. } => None,
        LabEvent::Process { node, state } => process(*node, state),
        LabEvent::Node { node, report } => report_says(*node, report),
        LabEvent::Watch { .. } => None,
        LabEvent::Damage { node, damage } => Some((Level::Warn, format!("{node}: {damage}"))),
        LabEvent::Action { by, action, error } => action_says(*by, action, error.as_deref()),
        LabEvent::Operation(operation) => operation_says(operation),
        LabEvent::Violation(violation) => Some((Level::Error, violation.to_string())),
        LabEvent::Scenario(event) => scenario(event),
        LabEvent::Notice { level, text } => Some((*level, text.clone())),
    }
}

/// Whether the event is one that a person would want to read of.
pub(crate) fn is_told(event: &LabEvent) -> bool {
    sentence(event).is_some_and(|(level, _)| level > Level::Debug)
}

fn process(node: NodeId, state: &ProcessState) -> Option<(Level, String)> {
    Some(match state {
        ProcessState::Starting { .. } => return None,
        ProcessState::Running { pid, client, .. } => {
            (Level::Info, format!("{node} is up: process {pid}, clients at {client}"))
        }
        // What the lab did to it has a line of its own: the action's.
        ProcessState::Paused { .. } | ProcessState::Stopped { .. } => return None,
        ProcessState::Died { how } => (Level::Error, format!("{node} died: {how}")),
    })
}

fn report_says(node: NodeId, report: &Report) -> Option<(Level, String)> {
    match report {
        Report::Status(_) => None,
        Report::Event { event, .. } => Some(event_says(node, event)),
        Report::Notice { text, .. } => Some((Level::Info, format!("{node}: {text}"))),
    }
}

fn event_says(node: NodeId, event: &Event) -> (Level, String) {
    match event {
        Event::Campaign { .. }
        | Event::CampaignLost { .. }
        | Event::EpochOpened { .. }
        | Event::EpochEstablished { .. }
        | Event::SteppedDown { .. }
        | Event::Following { .. }
        | Event::Voted { .. } => primacy(node, event),
        Event::PartialResync { .. }
        | Event::FullResyncStarted { .. }
        | Event::FullResyncSent { .. }
        | Event::FullResyncInstalled { .. }
        | Event::LogCut { .. }
        | Event::FullResyncRefused { .. } => resync(node, event),
        Event::Stale { stale: true } => {
            (Level::Warn, format!("{node} is too stale: it refuses eventual reads"))
        }
        Event::Stale { stale: false } => (Level::Info, format!("{node} serves eventual reads again")),
        Event::DiskFull { full: true } => (
            Level::Error,
            format!("{node}: its disk is full; writes wait, new ones are refused, reads go on"),
        ),
        Event::DiskFull { full: false } => (Level::Info, format!("{node} has room on its disk again")),
        Event::ValueDamaged { at, key, file, offset } => (
            Level::Error,
            format!(
                "{node}: the value of {key} ({at}) is damaged, in {file} at byte {offset}; it asks the others"
            ),
        ),
        Event::ValueRepaired { at } => {
            (Level::Info, format!("{node} has repaired the damaged value of {at}: another member had it"))
        }
        Event::LearnerGraduated => (Level::Info, format!("{node} has caught up: it votes and counts again")),
    }
}

fn primacy(node: NodeId, event: &Event) -> (Level, String) {
    match event {
        Event::Campaign { epoch, pre: true, .. } => {
            (Level::Info, format!("{node} asks whether it could lead {epoch}"))
        }
        Event::Campaign { epoch, .. } => (Level::Info, format!("{node} asks for votes for {epoch}")),
        Event::CampaignLost { epoch, ballots } => {
            (Level::Warn, format!("{node} does not get {epoch}: {}", ballots_say(ballots)))
        }
        Event::EpochOpened { epoch, forced: true, .. } => {
            (Level::Warn, format!("{node} made itself primary of {epoch} by force: no votes"))
        }
        Event::EpochOpened { epoch, voters, .. } => {
            (Level::Info, format!("{node} is primary of {epoch}, voted by {}", names(voters)))
        }
        Event::EpochEstablished { epoch } => {
            (Level::Info, format!("{epoch} stands: a quorum holds its opening entry"))
        }
        Event::SteppedDown { epoch, by } => {
            (Level::Warn, format!("{node} steps down from {epoch}: {by} is higher"))
        }
        Event::Following { epoch } => (Level::Info, format!("{node} follows {} in {epoch}", epoch.node)),
        Event::Voted { epoch, ballot: Ballot::Granted } => {
            (Level::Info, format!("{node} votes for {} in {epoch}", epoch.node))
        }
        Event::Voted { epoch, ballot } => (
            Level::Warn,
            format!("{node} refuses {} its vote for {epoch}: {}", epoch.node, refusal(node, ballot)),
        ),
        _ => (Level::Debug, format!("{node}: {event:?}")),
    }
}

fn resync(node: NodeId, event: &Event) -> (Level, String) {
    match event {
        Event::PartialResync { node: to, from, entries } => {
            (Level::Info, format!("{node} brings {to} up to date: {entries} entries after {from}"))
        }
        Event::FullResyncStarted { node: to, from, reason } => {
            let why = match reason {
                ResyncReason::Diverged => {
                    format!(
                        "its log, ending in {from}, has diverged, and its cleanup has dropped what a cut would uncover"
                    )
                }
                ResyncReason::CleanedUp => {
                    format!("its log ends in {from}, and cleanup has dropped some of what follows")
                }
            };
            (Level::Warn, format!("{node} sends {to} its whole state: {why}"))
        }
        Event::FullResyncSent { node: to, at } => {
            (Level::Info, format!("{node} has sent {to} its whole state as of {at}"))
        }
        Event::FullResyncInstalled { at, discarded: 0, .. } => {
            (Level::Info, format!("{node} has taken over the state as of {at}"))
        }
        Event::FullResyncInstalled { at, discarded, file } => {
            let kept = file.as_ref().map_or_else(String::new, |f| format!(", kept in {f}"));
            let what = if *discarded == 1 { "entry" } else { "entries" };
            (
                Level::Warn,
                format!("{node} discarded {discarded} {what} of its own for the state at {at}{kept}"),
            )
        }
        Event::LogCut { fork, discarded, file } => {
            let kept = file.as_ref().map_or_else(String::new, |f| format!(", kept in {f}"));
            let what = if *discarded == 1 { "entry" } else { "entries" };
            (
                Level::Warn,
                format!("{node} discarded {discarded} {what} that the primary has not, back to {fork}{kept}"),
            )
        }
        Event::FullResyncRefused { node: from, record } => (
            Level::Error,
            format!("{node} refuses the state that {from} sends: it cannot hold {record}; asks for it again"),
        ),
        _ => (Level::Debug, format!("{node}: {event:?}")),
    }
}

/// Why a ballot was refused, without naming the voter twice.
fn refusal(voter: NodeId, ballot: &Ballot) -> String {
    let text = ballot.to_string();
    match text.strip_prefix(&format!("{voter} is ")) {
        Some(rest) if matches!(ballot, Ballot::Ahead { .. }) => format!("{voter} is {rest}"),
        _ => format!("it {text}"),
    }
}

fn ballots_say(ballots: &[(NodeId, Option<Ballot>)]) -> String {
    let refused = ballots.iter().filter(|(_, b)| !matches!(b, Some(Ballot::Granted)));
    let says = |(node, ballot): &(NodeId, Option<Ballot>)| match ballot {
        Some(ballot @ Ballot::Ahead { .. }) => ballot.to_string(),
        Some(ballot) => format!("{node} {ballot}"),
        None => format!("{node} did not answer"),
    };
    let says: Vec<_> = refused.map(says).collect();
    if says.is_empty() { "not enough votes in time".to_owned() } else { says.join("; ") }
}

fn names(nodes: &[NodeId]) -> String {
    if nodes.is_empty() {
        return "nobody".to_owned();
    }
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// `you`, `step 3`, `the lab`.
fn actor(by: Actor) -> String {
    match by {
        Actor::Person => "you".to_owned(),
        Actor::Step(step) => format!("step {step}"),
        Actor::Lab => "the lab".to_owned(),
    }
}

fn action_says(by: Actor, action: &Action, error: Option<&str>) -> Option<(Level, String)> {
    let (level, what) = match action {
        // The operation itself has a line, with its outcome.
        Action::Put { .. } | Action::Get { .. } | Action::Del { .. } if error.is_none() => return None,
        _ => (fault_level(action), self::action(action)),
    };
    Some(match error {
        None => (level, format!("{}: {what}", actor(by))),
        Some(error) => (Level::Error, format!("{}: {what}: {error}", actor(by))),
    })
}

fn fault_level(action: &Action) -> Level {
    match action {
        Action::Cut { .. }
        | Action::Partition { .. }
        | Action::Isolate { .. }
        | Action::Slow { .. }
        | Action::Reset { .. }
        | Action::Pause { .. }
        | Action::Kill { .. }
        | Action::PowerLoss { .. }
        | Action::TearTail { .. }
        | Action::Disk {
            condition: DiskCondition::Full | DiskCondition::Slow { .. } | DiskCondition::SyncFails,
            ..
        }
        | Action::Clock { condition: ClockCondition::Rate { .. } | ClockCondition::Jump { .. }, .. }
        | Action::Wipe { .. }
        | Action::Terminate { .. }
        | Action::Promote { force: true, .. } => Level::Warn,
        _ => Level::Info,
    }
}

/// An action in the words of its key: `cut n1→n2`, `kill -9 n3`.
pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Cut { from, to } => format!("cut {from}→{to}"),
        Action::Partition { groups } => {
            let groups: Vec<_> = groups.iter().map(|g| names(g)).collect();
            format!("cut {}", groups.join(" | "))
        }
        Action::Isolate { node } => format!("isolate {node}"),
        Action::Reset { from, to } => format!("reset {from}→{to}"),
        Action::Slow { from, to, how } => format!("slow {from}→{to} {}", words::slow_link(how)),
        Action::Disk { node, condition } => format!("{} of {node}", words::disk(*condition)),
        Action::Clock { node, condition } => format!("{} of {node}", words::clock_condition(*condition)),
        Action::HealLink { from, to } => format!("heal {from}→{to}"),
        Action::Heal { node } => format!("heal {node}"),
        Action::HealAll => "heal every link".to_owned(),
        Action::Pause { node } => format!("pause {node}"),
        Action::Resume { node } => format!("resume {node}"),
        Action::Kill { node } => format!("kill -9 {node}"),
        Action::PowerLoss { node } => format!("power loss at {node}"),
        Action::TearTail { node } => format!("tear the tail of {node}"),
        Action::Wipe { node } => format!("wipe {node}"),
        Action::Terminate { node } => format!("terminate {node}"),
        Action::Restart { node } => format!("restart {node}"),
        Action::Promote { node, force: false } => format!("promote {node} by vote"),
        Action::Promote { node, force: true } => format!("promote {node} by force"),
        Action::Follow { node, primary } => format!("{node} is to follow {primary}"),
        Action::Cleanup { node } => format!("clean up the disk of {node}"),
        Action::Put { node, key, .. } => format!("write {key} at {node}"),
        Action::Get { node, key, .. } => format!("read {key} at {node}"),
        Action::Del { node, key, .. } => format!("remove {key} at {node}"),
        Action::Load { on } => format!("background load {}", if *on { "on" } else { "off" }),
        Action::Rate { per_second } => format!("background load {per_second}/s"),
    }
}

/// Background operations have no line: the votes pane samples them.
fn operation_says(operation: &Operation) -> Option<(Level, String)> {
    let by = operation.by?;
    let what = format!(
        "{} {} at {}",
        words::operation(operation.op, operation.consistency),
        operation.key,
        operation.home
    );
    let took = words::ms(operation.took_us);
    let (level, how) = match &operation.outcome {
        Outcome::Ok => match operation.stale_ms {
            Some(stale) => {
                let age = words::age(std::time::Duration::from_millis(stale));
                (Level::Warn, format!("{}, already overwritten {age} before", seen(operation)))
            }
            None => (Level::Info, format!("{} in {took} ms", seen(operation))),
        },
        Outcome::Failed(why) => (Level::Warn, format!("refused: {why}")),
        Outcome::Unknown(why) => (Level::Warn, format!("UNKNOWN after {took} ms: {why}")),
    };
    Some((level, format!("{}: {what}: {how}", actor(by))))
}

fn seen(operation: &Operation) -> String {
    let at = match (operation.epoch, operation.seq) {
        (Some(epoch), Some(seq)) => format!(" at {epoch}/{seq}"),
        _ => String::new(),
    };
    match (operation.op, &operation.value) {
        (kvlab::judge::OpKind::Get, Some(value)) => format!("found {value}{at}"),
        (kvlab::judge::OpKind::Get, None) => "found nothing".to_owned(),
        _ if operation.consistency == kvlab::judge::Consistency::Quorum => format!("committed{at}"),
        _ => format!("acknowledged{at}"),
    }
}

fn scenario(event: &ScenarioEvent) -> Option<(Level, String)> {
    Some(match event {
        ScenarioEvent::Step { index, say: Some(say), .. } => (Level::Info, format!("step {index}: {say}")),
        ScenarioEvent::StepFailed { index, why } => (Level::Error, format!("step {index} failed: {why}")),
        ScenarioEvent::Settling { .. } => {
            (Level::Info, "settling: heal everything, wait for equal members".to_owned())
        }
        ScenarioEvent::Expectation(e) if e.held == Some(false) => {
            (Level::Error, format!("expected {} {}, found {}", e.name, e.expected, e.actual))
        }
        ScenarioEvent::Finished { outcome, why } => {
            let why = why.as_ref().map_or_else(String::new, |w| format!(": {w}"));
            match outcome {
                RunOutcome::AsExpected => (Level::Info, format!("finished as expected{why}")),
                RunOutcome::Violated => (Level::Error, format!("finished, NOT as expected{why}")),
                RunOutcome::Undecided => (Level::Warn, format!("finished, undecided{why}")),
                RunOutcome::Panicked => (Level::Error, format!("ended by a fault of kvlab's own{why}")),
            }
        }
        _ => return None,
    })
}
