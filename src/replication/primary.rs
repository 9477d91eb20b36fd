//! The primary's side: taking writes, sending entries, counting acknowledgements, committing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::config::{HEARTBEAT_EVERY, UNREACHABLE_AFTER};
use super::core::{Core, RoleState};
use super::io::{CHUNK_BYTES, RequestId};
use super::progress::{Progress, Stream};
use super::quorum::reached_by;
use super::replica::Replica;
use crate::types::{
    Entry, Epoch, Event, Failure, LossId, MemberVote, Message, NodeId, Op, Position, Quirk, Reply, Time,
    Vote, WriteLevel,
};

/// The primary of one epoch.
///
/// * `epoch` is the node's promise.
/// * Nothing is committed before `opening` is.
#[derive(Debug)]
pub(super) struct Primary {
    /// The epoch that it leads.
    pub(super) epoch: Epoch,
    /// It was opened by force.
    pub(super) forced: bool,
    /// The seq of the epoch's first entry, a no-op.
    pub(super) opening: u64,
    /// Whether that no-op is committed, and so everything before it. Told once.
    pub(super) established: bool,
    /// What it knows of each other member.
    pub(super) peers: BTreeMap<NodeId, Progress>,
    /// When the next heartbeat is due.
    pub(super) next_heartbeat: Time,
    /// Async writes that its own disk does not have yet, by seq.
    awaiting_disk: VecDeque<AsyncWrite>,
    /// Quorum writes that are not committed yet, by seq.
    awaiting_commit: VecDeque<QuorumWrite>,
    /// No later than the first deadline among `awaiting_commit`.
    next_timeout: Time,
    /// Since when a member refuses this epoch for a vote whose epoch has not opened.
    pub(super) refused_since: Option<Time>,
}

/// A write that is answered when this node's disk has it.
#[derive(Debug)]
struct AsyncWrite {
    seq: u64,
    request: RequestId,
}

/// A write that is answered when it is committed.
#[derive(Debug)]
struct QuorumWrite {
    seq: u64,
    request: RequestId,
    /// When it was asked for.
    began: Time,
    /// When its outcome is called unknown.
    ends: Time,
    /// Who has it durably, and how long that took; for the vote report.
    acks: Vec<(NodeId, Duration)>,
}

/// A primary that is refused for a vote whose epoch does not open within this time, or within three round trips to the
/// slowest of its members, asks for votes itself.
const REFUSED_PATIENCE: Duration = Duration::from_millis(300);
/// See [`REFUSED_PATIENCE`]. A campaign has two questions; the third is for the opening to arrive.
const REFUSED_ROUND_TRIPS: u32 = 3;

impl Primary {
    pub(super) fn deadline(&self) -> Time {
        self.next_heartbeat.min(self.next_timeout)
    }

    pub(super) fn writes_waiting(&self) -> usize {
        self.awaiting_disk.len() + self.awaiting_commit.len()
    }

    /// Notes that `node` has everything up to `through`, for the vote reports.
    fn note_ack(&mut self, node: NodeId, from: u64, through: u64, now: Time) {
        let first = self.awaiting_commit.partition_point(|write| write.seq <= from);
        for write in self.awaiting_commit.range_mut(first..).take_while(|write| write.seq <= through) {
            if write.acks.iter().all(|&(member, _)| member != node) {
                write.acks.push((node, now.saturating_sub(write.began)));
            }
        }
    }
}

impl Core {
    pub(super) fn become_primary(&mut self, epoch: Epoch, forced: bool) {
        assert!(!matches!(self.role, RoleState::Primary(_)), "steps down before it opens another epoch");
        let peers = self.others().into_iter().map(|other| (other, Progress::default())).collect();
        let now = self.now;
        let opening = (!self.trusts_old_entries()).then(|| self.log.write(epoch, Op::Noop, now));
        self.role = RoleState::Primary(Primary {
            epoch,
            forced,
            opening: opening.as_ref().map_or(0, |entry| entry.at.seq),
            established: false,
            peers,
            next_heartbeat: self.now,
            awaiting_disk: VecDeque::new(),
            awaiting_commit: VecDeque::new(),
            next_timeout: Time::MAX,
            refused_since: None,
        });
        if let Some(entry) = opening {
            self.append_to_disk(vec![entry]);
        }
    }

    /// [`Quirk::CountOldEpochs`]: what a quorum holds is committed whoever wrote it, so what is there needs no entry of
    /// this epoch on top.
    fn trusts_old_entries(&self) -> bool {
        self.config.quirks.has(Quirk::CountOldEpochs) && self.log.last.seq > 0
    }

    /// Ends this node's primacy, if it is primary.
    pub(super) fn step_down(&mut self, by: Epoch) {
        let RoleState::Primary(primary) = &self.role else { return };
        let epoch = primary.epoch;
        self.close_snapshots();
        self.leave_writes(|at, votes| Failure::Deposed { at, by, votes });
        // A primary knows its own state to be current up to this moment.
        let heartbeat = Some((self.now, self.log.last.seq));
        self.role = RoleState::Replica(Replica { following: None, heartbeat, stale: false });
        self.tell(Event::SteppedDown { epoch, by });
    }

    /// The process ends: nobody will learn what becomes of the writes that wait.
    pub(super) fn leave_writes_unknown(&mut self) {
        self.leave_writes(|at, votes| Failure::WriteTimeout { at, votes });
    }

    /// Answers all writes that wait. Each is unknown, never failed: it is in the log, and may survive.
    fn leave_writes(&mut self, unknown: impl Fn(Position, Vec<MemberVote>) -> Failure) {
        let RoleState::Primary(primary) = &mut self.role else { return };
        let waiting: Vec<_> = primary.awaiting_disk.drain(..).collect();
        let writes: Vec<_> = primary.awaiting_commit.drain(..).collect();
        for write in waiting {
            self.fail(write.request, unknown(self.log.position(write.seq), Vec::new()));
        }
        for write in writes {
            let votes = self.votes_at_deadline(&write);
            self.fail(write.request, unknown(self.log.position(write.seq), votes));
        }
    }

    pub(super) fn on_write(&mut self, request: RequestId, op: Op, level: WriteLevel, timeout: Duration) {
        let now = self.now;
        if !matches!(self.role, RoleState::Primary(_)) {
            let primary = self.primary();
            return self.fail(request, Failure::ReadOnly { primary });
        }
        if op == Op::Noop {
            return self.fail(request, Failure::Invalid("a client writes or deletes a key".into()));
        }
        if self.disk_full {
            // What waits for the disk already is bounded by the requests that wait; more must not come to it.
            return self.fail(request, Failure::DiskFull);
        }
        let entry = self.log.write(self.promise.epoch, op, now);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let seq = entry.at.seq;
        match level {
            WriteLevel::Async => primary.awaiting_disk.push_back(AsyncWrite { seq, request }),
            WriteLevel::Quorum => {
                let ends = now + timeout;
                primary.next_timeout = primary.next_timeout.min(ends);
                primary.awaiting_commit.push_back(QuorumWrite {
                    seq,
                    request,
                    began: now,
                    ends,
                    acks: Vec::new(),
                });
            }
        }
        self.append_and_stream(entry);
    }

    /// Hands a new entry to the disk, and to every replica that is in step.
    pub(super) fn append_and_stream(&mut self, entry: Entry) {
        self.append_to_disk(vec![entry]);
        self.others().into_iter().for_each(|other| self.stream_to(other));
    }

    /// This node's own disk has answered: async writes are acknowledged, and it counts itself.
    pub(super) fn primary_on_durable(&mut self, before: u64) {
        let (now, id, durable) = (self.now, self.config.id, self.log.durable);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let upto = primary.awaiting_disk.partition_point(|write| write.seq <= durable);
        let done: Vec<_> = primary.awaiting_disk.drain(..upto).collect();
        primary.note_ack(id, before, durable, now);
        for write in done {
            let at = self.log.position(write.seq);
            self.reply(write.request, Reply::Written { at, votes: Vec::new() });
        }
        self.advance_commit();
    }

    pub(super) fn on_ack(&mut self, from: NodeId, epoch: Epoch, durable: u64, learner: Option<LossId>) {
        let (now, last) = (self.now, self.log.last.seq);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peers.get_mut(&from) else { return };
        if epoch != primary.epoch || durable > last {
            return;
        }
        if peer.refuses {
            primary.refused_since = None;
        }
        let graduated = learner.is_none() && peer.learner.take().is_some();
        let before = peer.acknowledge(durable, now);
        let before = if graduated { 0 } else { before };
        if let Stream::Snapshot(snapshot) = &peer.stream
            && snapshot.delivered
            && snapshot.opened.is_some_and(|(at, _)| at.seq <= durable)
        {
            peer.begin_again = Duration::ZERO;
            peer.stream = Stream::Entries(super::progress::EntryStream::after(durable));
        }
        if learner.is_none() {
            primary.note_ack(from, before, durable, now);
        }
        self.hears_learner(from, learner);
        self.advance_commit();
        self.stream_to(from);
        if learner.is_some() && self.counts_again(from).is_some() {
            self.heartbeat_to(from);
        }
    }

    /// Committed = durable on a quorum of the configured members, counted only for entries of this epoch;
    /// everything before them is committed with them (Raft §5.4.2).
    fn advance_commit(&mut self) {
        let (quorum, durable) = (self.quorum(), self.log.durable);
        let RoleState::Primary(primary) = &mut self.role else { return };
        let counted = primary.peers.values().filter(|peer| peer.learner.is_none()).map(|peer| peer.acked);
        let reached = reached_by(quorum, counted.chain([durable]).collect());
        if reached < primary.opening || reached <= self.commit {
            return;
        }
        self.commit = reached;
        let upto = primary.awaiting_commit.partition_point(|write| write.seq <= reached);
        let done: Vec<_> = primary.awaiting_commit.drain(..upto).collect();
        let newly = !std::mem::replace(&mut primary.established, true);
        let epoch = primary.epoch;
        for write in done {
            let (at, votes) = (self.log.position(write.seq), self.votes_when_committed(&write));
            self.reply(write.request, Reply::Written { at, votes });
        }
        if newly {
            self.tell(Event::EpochEstablished { epoch });
        }
    }

    pub(super) fn on_refused(&mut self, from: NodeId, epoch: Epoch, promised: Epoch, opened: bool) {
        self.see(promised);
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        if epoch != primary.epoch || promised <= epoch {
            return;
        }
        if opened && promised.node != self.config.id {
            self.learns_of(promised);
        } else {
            primary.refused_since.get_or_insert(now);
            if let Some(peer) = primary.peers.get_mut(&from) {
                peer.refuses = true;
            }
        }
    }

    /// An epoch has been opened: a higher epoch always wins.
    pub(super) fn learns_of(&mut self, opened: Epoch) {
        let RoleState::Primary(primary) = &self.role else { return };
        if opened > primary.epoch && opened.node != self.config.id {
            self.yield_to(opened);
            self.promise_to(opened);
        }
    }

    pub(super) fn primary_on_time(&mut self) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        if primary.next_timeout <= now {
            self.time_out_writes();
        }
        let RoleState::Primary(primary) = &mut self.role else { return };
        if primary.next_heartbeat <= now {
            primary.next_heartbeat = now + HEARTBEAT_EVERY;
            self.others().into_iter().for_each(|other| self.heartbeat_to(other));
            self.snapshots_on_heartbeat();
        }
        let RoleState::Primary(primary) = &mut self.role else { return };
        let slowest = primary.peers.values().map(|peer| peer.round_trip).max().unwrap_or_default();
        let patience = slowest.saturating_mul(REFUSED_ROUND_TRIPS).max(REFUSED_PATIENCE);
        let refused = primary.refused_since.is_some_and(|at| now.saturating_sub(at) >= patience);
        if refused && self.campaign.is_none() {
            primary.refused_since = None;
            self.ask_whether(false, None);
        }
    }

    fn time_out_writes(&mut self) {
        let now = self.now;
        let RoleState::Primary(primary) = &mut self.role else { return };
        let writes = primary.awaiting_commit.drain(..);
        let (late, waiting): (VecDeque<_>, VecDeque<_>) = writes.partition(|write| write.ends <= now);
        primary.next_timeout = waiting.iter().map(|write| write.ends).min().unwrap_or(Time::MAX);
        primary.awaiting_commit = waiting;
        late.iter().for_each(|write| self.write_timed_out(write));
    }

    fn write_timed_out(&mut self, write: &QuorumWrite) {
        let (at, votes) = (self.log.position(write.seq), self.votes_at_deadline(write));
        self.fail(write.request, Failure::WriteTimeout { at, votes });
    }

    pub(super) fn heartbeat_to(&mut self, to: NodeId) {
        let (last, commit, counts) = (self.log.last.seq, self.commit, self.counts_again(to));
        let RoleState::Primary(primary) = &self.role else { return };
        let Some(peer) = primary.peers.get(&to) else { return };
        let (epoch, sent) = (primary.epoch, peer.sent());
        self.send(to, Message::Heartbeat { epoch, last, commit, sent, counts });
    }

    /// Sends a replica what it lacks, as far as its window allows.
    pub(super) fn stream_to(&mut self, to: NodeId) {
        loop {
            let (last, commit, window) = (self.log.last, self.commit, self.config.window_bytes);
            let now = self.now;
            let RoleState::Primary(primary) = &mut self.role else { return };
            let epoch = primary.epoch;
            let Some(Progress { stream: Stream::Entries(entries_to), .. }) = primary.peers.get_mut(&to)
            else {
                return;
            };
            let next = entries_to.next;
            let room = window.saturating_sub(entries_to.in_flight_bytes());
            if next > last.seq || room == 0 {
                return;
            }
            if !self.log.backlog.holds(next) {
                return self.read_entries_for(to, next, room.min(CHUNK_BYTES));
            }
            let entries = self.log.backlog.from(next, room.min(CHUNK_BYTES));
            entries_to.sent(&entries, now);
            let prev = self.log.position(next - 1);
            self.send(to, Message::Append { epoch, prev, entries, commit });
            self.tell_partial_resync(to);
        }
    }
}

// === What the vote panel shows

impl Core {
    fn votes_when_committed(&self, write: &QuorumWrite) -> Vec<MemberVote> {
        self.votes(write, |_| Vote::Pending)
    }

    fn votes_at_deadline(&self, write: &QuorumWrite) -> Vec<MemberVote> {
        self.votes(write, |node| self.silence(node))
    }

    fn votes(&self, write: &QuorumWrite, otherwise: impl Fn(NodeId) -> Vote) -> Vec<MemberVote> {
        let vote_of = |&node: &NodeId| {
            let ack = write.acks.iter().find(|&&(member, _)| member == node);
            let (vote, after) = ack.map_or((otherwise(node), None), |&(_, t)| (Vote::Ack, Some(t)));
            MemberVote { node, vote, after_us: after.map(|t| t.as_micros() as u64) }
        };
        self.config.members.iter().map(vote_of).collect()
    }

    /// What a member's silence at a deadline is called.
    pub(super) fn silence(&self, node: NodeId) -> Vote {
        let heard = self.heard.get(&node).map(|&at| self.now.saturating_sub(at));
        let refuses = match &self.role {
            RoleState::Primary(primary) => primary.peers.get(&node).is_some_and(|peer| peer.refuses),
            RoleState::Replica(_) | RoleState::Candidate(_) => false,
        };
        if node == self.config.id {
            Vote::Timeout
        } else if heard.is_none_or(|age| age > UNREACHABLE_AFTER) {
            Vote::Unreachable
        } else if refuses {
            Vote::Nack
        } else {
            Vote::Timeout
        }
    }
}
