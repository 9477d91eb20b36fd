//! The core: one member's whole replication state, and where its inputs go.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::campaign::{AutoCampaign, Campaign, Questions, VoteToAnswer};
use super::config::{
    CAMPAIGN_PATIENCE_MIN, Config, EPOCH_JUMP_MAX, HEARTBEAT_EVERY, REQUESTS_WAITING_MAX, Recovered,
    UNREACHABLE_AFTER,
};
use super::cut::Cut;
use super::follow::FollowOrder;
use super::install::{GIVE_UP_AFTER_MIN, Install};
use super::io::{DiskJob, Effect, Input, LogId, Promise, ReadToken, RequestId};
use super::log::Log;
use super::primary::Primary;
use super::quorum::majority;
use super::quorum_read::{LocalRead, QuorumReads};
use super::repair::Repairs;
use super::replica::Replica;
use crate::types::{
    Command, EPOCH_NUMBER_MAX, Entry, Epoch, Event, Failure, Message, NodeId, Quirk, ReadLevel, Reply,
    Resyncs, Time,
};

/// One member's replication state machine.
///
/// * `promise` takes effect in memory the moment it is decided; `saved` follows when the disk has it. Nothing
///   that depends on a promise is said to anyone before it is saved.
/// * A primary's epoch is its promise: whoever promises something higher is no primary any more.
/// * A candidate (in the binding round) has promised the epoch that it claims.
/// * Nothing of an epoch below the promise is accepted or acknowledged.
///
/// ```
/// use kvlab::replication::{Config, Core, Effect, Input, Recovered};
/// use kvlab::types::{Message, NodeId, Time};
///
/// let config = Config::new(NodeId(1), vec![NodeId(1), NodeId(2), NodeId(3)]);
/// let (mut core, mut effects) = Core::new(config, Recovered::default(), Time::ZERO);
/// // The first primary of a new cluster asks the others whether they would vote for it.
/// let asks = |effect: &Effect| matches!(effect, Effect::Send { message: Message::VoteRequest { pre: true, .. }, .. });
/// while !effects.iter().any(asks) {
///     effects = core.step(core.deadline(), Input::Tick);
/// }
/// assert_eq!(effects.iter().filter(|effect| asks(effect)).count(), 2);
/// ```
///
/// `examples/embed_the_core.rs` drives three of them.
#[derive(Debug)]
pub struct Core {
    /// What it was told at start.
    pub(super) config: Config,
    /// Seeded; for the jitter of campaigns only.
    pub(super) rng: SmallRng,
    /// The time of the input that is being taken. Never goes back.
    pub(super) now: Time,
    /// Effects of the step that is being made, in order.
    pub(super) out: Vec<Effect>,
    /// What this member has promised, in memory.
    pub(super) promise: Promise,
    /// What of that the disk has confirmed.
    pub(super) saved: Promise,
    /// What it knows of its log.
    pub(super) log: Log,
    /// The highest seq that it knows to be committed.
    pub(super) commit: u64,
    /// The disk has no room: what it was given waits, and nothing that could be left undone is given to it.
    pub(super) disk_full: bool,
    /// Its part, with the state that only that part has.
    pub(super) role: RoleState,
    /// A full resync that is being received.
    pub(super) install: Option<Install>,
    /// How long a full resync may bring nothing before it is given up.
    pub(super) give_up_after: Duration,
    /// A cut that the disk is at.
    pub(super) cut: Option<Cut>,
    /// Its own attempt to become primary, while one is under way.
    pub(super) campaign: Option<Campaign>,
    /// The questions that it has asked the others.
    pub(super) questions: Questions,
    /// How long a question waits for answers.
    pub(super) patience: Duration,
    /// When it asks for votes by itself, if it does.
    pub(super) auto_campaign: Option<AutoCampaign>,
    /// When it next says that it would ask for votes and may not, being a learner.
    pub(super) vacant_at: Option<Time>,
    /// A vote given, to be answered when the promise is saved.
    pub(super) vote_to_answer: Option<VoteToAnswer>,
    /// The highest epoch number heard of, from anyone.
    pub(super) number_seen: u64,
    /// When anything last came from each other member.
    pub(super) heard: BTreeMap<NodeId, Time>,
    /// Whether the connection to each other member stands, as the driver last said.
    pub(super) links: BTreeMap<NodeId, bool>,
    /// The quorum reads that it coordinates.
    pub(super) reads: QuorumReads,
    /// Values that are damaged on its disk, and that it asks the others for.
    pub(super) repairs: Repairs,
    /// Lookups that the driver has not answered, and what each is for.
    pub(super) local_reads: BTreeMap<ReadToken, LocalRead>,
    /// The last token given to a lookup.
    pub(super) read_tokens: u64,
    /// The last name given to a full resync that is sent. Begins anywhere, so that a restart does not use a name again.
    pub(super) snapshots: u64,
    /// Counted for the status.
    pub(super) resyncs: Resyncs,
    /// An operator's order to follow somebody, until it is obeyed or refused. One at a time.
    pub(super) follow_order: Option<FollowOrder>,
}

/// A member's part. Each part owns the state that only it has.
#[derive(Debug)]
pub(super) enum RoleState {
    /// Leads the promised epoch.
    Primary(Primary),
    /// Follows a primary, or waits for one.
    Replica(Replica),
    /// Has promised the epoch that it claims, and asks for votes.
    Candidate(Replica),
}

impl Core {
    /// A member that has just started with what its disk held. The effects are carried out before any input.
    ///
    /// # Panics
    /// If what was recovered contradicts itself; storage checks that.
    pub fn new(config: Config, recovered: Recovered, now: Time) -> (Self, Vec<Effect>) {
        // A promise is the highest of votes, epochs followed, and epochs in the log.
        let promise = Promise {
            epoch: recovered.promise.epoch.max(recovered.last.epoch),
            // Alone, it is all the quorum there is: it goes on with what it has.
            learner: (recovered.promise.learner || recovered.wiped)
                && config.members.len() > 1
                && !config.quirks.has(Quirk::NoLearners), // the mistake: as if nothing were missing
        };
        let mut core = Self {
            rng: SmallRng::seed_from_u64(config.seed ^ config.incarnation),
            now,
            out: Vec::new(),
            promise,
            saved: recovered.promise,
            commit: 0,
            disk_full: false,
            role: RoleState::Replica(Replica { stale: true, ..Replica::default() }),
            install: None,
            give_up_after: GIVE_UP_AFTER_MIN,
            cut: None,
            campaign: None,
            questions: Questions::default(),
            patience: CAMPAIGN_PATIENCE_MIN,
            auto_campaign: None,
            vacant_at: None,
            vote_to_answer: None,
            number_seen: promise.epoch.number,
            heard: BTreeMap::new(),
            links: BTreeMap::new(),
            reads: QuorumReads::new(config.incarnation),
            repairs: Repairs::default(),
            local_reads: BTreeMap::new(),
            read_tokens: 0,
            snapshots: config.incarnation,
            resyncs: Resyncs::default(),
            follow_order: None,
            log: Log::new(recovered, config.backlog_bytes),
            config,
        };
        if core.promise != core.saved {
            core.emit(Effect::Disk(DiskJob::Save { promise }));
        }
        core.campaign_after_restart();
        core.on_time();
        let effects = std::mem::take(&mut core.out);
        (core, effects)
    }

    /// Takes one input and returns what is to be done about it, in order.
    #[must_use = "effects that are not carried out break every promise"]
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = self.now.max(now);
        match input {
            Input::Tick => {}
            Input::Request { request, command } => self.on_request(request, command),
            Input::Peer { from, message } => self.on_message(from, message),
            Input::Link { to, up } => self.on_link(to, up),
            Input::Persisted { log, through } => self.on_persisted(log, through),
            Input::Saved { promise } => self.on_saved(promise),
            Input::ReadDone { token, found } => self.on_read_done(token, found),
            Input::SnapshotOpened { id, at, bytes_total } => self.on_snapshot_opened(id, at, bytes_total),
            Input::SnapshotRead { id, entries, done } => self.on_snapshot_read(id, entries, done),
            Input::EntriesRead { to, from, found } => self.on_entries_read(to, from, found),
            Input::LogCut { log, outcome } => self.on_log_cut(log, outcome),
            Input::SnapshotLost { id } => self.on_snapshot_lost(id),
            Input::Damage(news) => self.on_damage(news),
            Input::ChunkStored { id } => self.on_chunk_stored(id),
            Input::Disk { full } => self.on_disk(full),
            Input::Installed { id, log, rollback } => self.on_installed(id, log, rollback),
        }
        self.on_time();
        std::mem::take(&mut self.out)
    }

    /// When the core next wants an [`Input::Tick`].
    pub fn deadline(&self) -> Time {
        let campaign = self.campaign.as_ref().map(Campaign::deadline);
        let vacant = self.vacant_at.filter(|_| self.primary().is_none());
        let auto = self.auto_campaign.as_ref().filter(|_| self.campaign.is_none()).map(|auto| auto.at);
        let role = match &self.role {
            RoleState::Primary(primary) => Some(primary.deadline()),
            RoleState::Replica(replica) | RoleState::Candidate(replica) => self.stale_deadline(replica),
        };
        let order = self.follow_order.as_ref().map(|order| order.ends);
        let idle = self.now + HEARTBEAT_EVERY;
        let repair = self.repair_deadline();
        [campaign, vacant, auto, role, order, repair, self.reads.deadline()]
            .into_iter()
            .flatten()
            .fold(idle, Time::min)
    }

    /// The driver is shutting down: no new request will be begun, and those that wait learn the truth.
    #[must_use = "replies that are not delivered leave clients in doubt"]
    pub fn stop(&mut self, now: Time) -> Vec<Effect> {
        self.now = self.now.max(now);
        self.auto_campaign = None;
        self.campaign_lost();
        self.leave_follow_order();
        self.leave_writes_unknown();
        self.leave_reads_unanswered();
        std::mem::take(&mut self.out)
    }

    /// Requests that have no reply yet.
    pub fn requests_waiting(&self) -> usize {
        let writes = match &self.role {
            RoleState::Primary(primary) => primary.writes_waiting(),
            RoleState::Replica(_) | RoleState::Candidate(_) => 0,
        };
        writes + self.reads.len() + usize::from(self.follow_order.is_some())
    }

    fn on_time(&mut self) {
        self.campaign_on_time();
        self.follow_on_time();
        self.primary_on_time();
        self.staleness_on_time();
        self.reads_on_time();
        self.repairs_on_time();
    }

    fn on_request(&mut self, request: RequestId, command: Command) {
        if self.requests_waiting() >= REQUESTS_WAITING_MAX {
            return self.fail(request, Failure::Busy("too many requests are waiting".into()));
        }
        match command {
            Command::Write { op, level, timeout } => self.on_write(request, op, level, timeout),
            Command::Read { key, level: ReadLevel::Eventual, .. } => self.on_eventual_read(request, key),
            Command::Read { key, level: ReadLevel::Quorum, timeout } => {
                self.on_quorum_read(request, key, timeout);
            }
            Command::Promote { force } => self.on_promote(request, force),
            Command::Follow { primary } => self.on_follow(request, primary),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message) {
        if from == self.config.id || !self.config.members.contains(&from) {
            return;
        }
        if let Some(reason) = self.out_of_bounds(&message) {
            return self.emit(Effect::Reject { from, reason });
        }
        let before = self.heard.insert(from, self.now);
        if before.is_none_or(|before| self.now.saturating_sub(before) > UNREACHABLE_AFTER) {
            self.repairs.ask_again(self.now); // it may have what nobody else had
        }
        match message {
            Message::Heartbeat { epoch, last, commit, sent, counts } => {
                self.on_heartbeat(from, epoch, (last, commit, sent), counts);
            }
            Message::Ack { epoch, durable, learner } => self.on_ack(from, epoch, durable, learner),
            Message::Sync { epoch, last, learner, whole } => {
                self.on_sync(from, epoch, last, learner, whole);
            }
            Message::Diverged { epoch, last, lineage } => self.on_diverged(from, epoch, last, &lineage),
            Message::Append { epoch, prev, entries, commit } => {
                self.on_append(from, epoch, prev, entries, commit);
            }
            Message::Refused { epoch, promised, opened } => self.on_refused(from, epoch, promised, opened),
            Message::VoteRequest { epoch, pre, operator, last, question } => {
                self.on_vote_request(from, epoch, pre, operator, last, question);
            }
            Message::Vacant => self.on_vacant(),
            Message::VoteReply { epoch, pre, ballot, question } => {
                self.note_answer(question);
                self.on_vote_reply(from, epoch, pre, ballot);
            }
            Message::ReadRequest { round, key } => self.on_read_request(from, round, key),
            Message::ReadAnswer { round, promised, last, found } => {
                self.on_read_answer(from, round, promised, last, found);
            }
            Message::RepairRequest { at, key } => self.on_repair_request(from, at, key),
            Message::RepairAnswer { entry } => self.on_repair_answer(entry),
            Message::SnapshotBegin { epoch, id, at, lineage, bytes_total } => {
                self.on_snapshot_begin(from, epoch, id, at, lineage, bytes_total);
            }
            Message::SnapshotChunk { epoch, id, index, entries, done } => {
                self.on_snapshot_chunk(from, epoch, id, index, entries, done);
            }
            Message::SnapshotAck { epoch, id, index } => self.on_snapshot_ack(from, epoch, id, index),
        }
    }

    /// Numbers from outside are checked, so that nothing here can overflow and a higher epoch can always be opened.
    ///
    /// What jumps too far is refused, and raises what this member has seen as far as may be: so two members of which one
    /// has (however that came) promised an epoch far above the other's find together after a few messages.
    fn out_of_bounds(&mut self, message: &Message) -> Option<String> {
        if let Err(error) = message.check_bounds() {
            return Some(error.to_string());
        }
        let (said, seen) = (message.highest_epoch().number, self.number_seen);
        if said > EPOCH_NUMBER_MAX {
            return Some(format!("epoch number {said} is beyond 2^48"));
        }
        let farthest = seen.saturating_add(EPOCH_JUMP_MAX);
        if said <= farthest {
            return None;
        }
        self.number_seen = farthest;
        Some(format!("epoch number {said} is too far above {seen}, the highest seen"))
    }

    fn on_link(&mut self, to: NodeId, up: bool) {
        self.links.insert(to, up);
        if up {
            self.campaign_ask(to);
            self.heartbeat_to(to);
        }
    }

    fn on_persisted(&mut self, log: LogId, through: u64) {
        // A completion for a log that has since been replaced counts for nothing.
        if log != self.log.id || through <= self.log.durable {
            return;
        }
        assert!(through <= self.log.last.seq, "the disk has more than it was given");
        let before = self.log.durable;
        self.log.persisted(through);
        match self.role {
            RoleState::Primary(_) => self.primary_on_durable(before),
            RoleState::Replica(_) | RoleState::Candidate(_) => self.acknowledge(),
        }
    }

    fn on_saved(&mut self, promise: Promise) {
        self.saved = promise;
        if !self.promise_is_saved() {
            return;
        }
        self.answer_vote();
        self.campaign_on_saved();
        self.synchronise();
    }

    fn on_disk(&mut self, full: bool) {
        if std::mem::replace(&mut self.disk_full, full) == full {
            return;
        }
        self.tell(Event::DiskFull { full });
        if !full {
            self.ask_for_entries(); // a replica left aside what it was sent meanwhile
        }
    }

    // --- shared by all parts

    /// Raises the promise. From here on nothing of a lower epoch is accepted or acknowledged, though the disk
    /// has yet to hear of it.
    pub(super) fn promise_to(&mut self, epoch: Epoch) {
        assert!(
            epoch > self.promise.epoch,
            "a promise is never taken back: {epoch} after {:?}",
            self.promise
        );
        self.promise.epoch = epoch;
        self.number_seen = self.number_seen.max(epoch.number);
        if !self.forgets_promise() {
            let promise = self.promise;
            self.emit(Effect::Disk(DiskJob::Save { promise }));
        }
        self.vote_to_answer = None;
        if self.campaign.as_ref().is_some_and(|campaign| campaign.epoch < epoch) {
            self.campaign_lost();
        }
    }

    /// Whether the disk has everything that has been promised.
    pub(super) fn promise_is_saved(&self) -> bool {
        self.saved == self.promise || self.forgets_promise()
    }

    /// [`Quirk::VoteAmnesia`]: what is promised to another stays in memory, and passes for saved.
    fn forgets_promise(&self) -> bool {
        self.config.quirks.has(Quirk::VoteAmnesia) && self.promise.epoch.node != self.config.id
    }

    /// How many members' word it takes: a majority of those configured, however many are connected.
    pub(super) fn quorum(&self) -> usize {
        if self.config.quirks.has(Quirk::DynamicQuorum) {
            // The mistake: of those that it hears.
            let lately = |&&at: &&Time| self.now.saturating_sub(at) <= UNREACHABLE_AFTER;
            return majority(1 + self.heard.values().filter(lately).count());
        }
        self.config.quorum()
    }

    /// Hands entries to the disk, which says when they are durable.
    pub(super) fn append_to_disk(&mut self, entries: Vec<Entry>) {
        let (log, through) = (self.log.id, self.log.last.seq);
        self.emit(Effect::Disk(DiskJob::Append { log, entries }));
        if self.config.quirks.has(Quirk::AckBeforeSync) {
            self.on_persisted(log, through); // the mistake: it has said nothing yet
        }
    }

    /// The highest epoch number that anyone has mentioned.
    pub(super) fn see(&mut self, epoch: Epoch) {
        self.number_seen = self.number_seen.max(epoch.number);
    }

    /// The primary that this node is or follows.
    pub(super) fn primary(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Primary(_) => Some(self.config.id),
            _ => self.following().map(|following| following.epoch.node),
        }
    }

    /// All members but this one.
    pub(super) fn others(&self) -> Vec<NodeId> {
        self.config.members.iter().copied().filter(|&member| member != self.config.id).collect()
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.emit(Effect::Send { to, message });
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        self.emit(Effect::Reply { request, reply });
    }

    pub(super) fn fail(&mut self, request: RequestId, failure: Failure) {
        self.reply(request, Reply::Failed(failure));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.emit(Effect::Event(event));
    }
}
