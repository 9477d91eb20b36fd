//! What must hold after every step, whatever happens: the promises, seen from inside.
//!
//! The oracle sees everything at once, as no member can: all disks, all logs, every message as it is sent. It keeps
//! what was true once and must stay so, and compares.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::replication::{
    Ballot, Command, Entry, Epoch, Event, Failure, Lineage, Message, NodeId, Op, Position, ReadLevel, Reply,
    RequestId, Role, Status, Time, Vote, WriteLevel,
};

use crate::storage::Job;

use super::cluster::{Cluster, Happening};
use super::network::Link;
use super::node::SimNode;
use super::text;

/// A promise broken, in words.
pub(crate) type Broken = String;

/// An acknowledged write.
#[derive(Clone, Debug)]
struct Acknowledged {
    at: Position,
    level: WriteLevel,
    key: Bytes,
}

/// What a request asked, until it is answered.
#[derive(Clone, Debug)]
struct Asked {
    command: Command,
    /// The highest version of the key that any quorum operation had returned before this one began.
    floor: Position,
}

/// What was true once and must stay so.
#[derive(Debug)]
pub(crate) struct Oracle {
    quorum: usize,
    /// A forced promotion voids what is promised of committed writes.
    forced: bool,
    /// Who opened each epoch, and the lineage of its log.
    epochs: BTreeMap<Epoch, Lineage>,
    opened: BTreeMap<Epoch, NodeId>,
    /// What stands under each position, and what stands before it.
    entries: BTreeMap<Position, (Op, Position)>,
    /// The last position known to be committed, and the lineage up to it.
    committed: (Position, Lineage),
    /// The last position known to be committed in each epoch. A candidate that learns late of its majority opens an
    /// epoch below the present one: it need hold only what was committed in epochs below its own.
    committed_in: BTreeMap<Epoch, Position>,
    /// Whom each member voted for under each number.
    granted: BTreeMap<(NodeId, u64), Epoch>,
    /// The highest epoch that each member has let others know that it promised.
    shown: BTreeMap<NodeId, Epoch>,
    /// Each member's commit index since its last start.
    commits: BTreeMap<NodeId, u64>,
    /// When each member last heard a primary, and the epoch.
    heard: BTreeMap<NodeId, (Time, Epoch)>,
    asked: BTreeMap<RequestId, Asked>,
    /// For each key, the highest version that a quorum operation has returned.
    returned: BTreeMap<Bytes, Position>,
    acknowledged: Vec<Acknowledged>,
    /// Values whose writes were refused.
    refused: Vec<(Bytes, RequestId)>,
    wiped: bool,
    /// What wiped disks held: an acknowledgement of it may have been under way.
    ghosts: Vec<(NodeId, Lineage, u64)>,
}

impl Oracle {
    /// Nothing has happened.
    pub(crate) fn new(quorum: usize) -> Self {
        Self {
            quorum,
            forced: false,
            epochs: BTreeMap::new(),
            opened: BTreeMap::new(),
            entries: BTreeMap::new(),
            committed: (Position::ZERO, Lineage::default()),
            committed_in: BTreeMap::new(),
            granted: BTreeMap::new(),
            shown: BTreeMap::new(),
            commits: BTreeMap::new(),
            heard: BTreeMap::new(),
            asked: BTreeMap::new(),
            returned: BTreeMap::new(),
            acknowledged: Vec::new(),
            refused: Vec::new(),
            wiped: false,
            ghosts: Vec::new(),
        }
    }

    /// A member's disk is about to be wiped: what it has shown to others no longer binds it.
    pub(crate) fn wiped(&mut self, node: &SimNode) {
        let id = node.id();
        self.wiped = true;
        self.ghosts.push((id, node.disk().lineage().clone(), node.disk().last().seq));
        self.shown.remove(&id);
        self.granted.retain(|(voter, _), _| *voter != id);
    }

    /// Takes in what one step made happen.
    pub(crate) fn observe(&mut self, cluster: &Cluster, happenings: &[Happening]) -> Result<(), Broken> {
        // What was appended first: an epoch is told of before its no-op is written.
        let appends = |happening: &&Happening| matches!(happening, Happening::Submitted { .. });
        happenings.iter().filter(appends).try_for_each(|happening| self.one(cluster, happening))?;
        let rest = happenings.iter().filter(|happening| !appends(happening));
        rest.into_iter().try_for_each(|happening| self.one(cluster, happening))?;
        let touched = happenings.iter().filter_map(stepped).fold(0_u16, |all, id| all | 1 << id.0);
        (1..=9).map(NodeId).filter(|id| touched >> id.0 & 1 == 1).try_for_each(|id| self.state(cluster, id))
    }

    fn one(&mut self, cluster: &Cluster, happening: &Happening) -> Result<(), Broken> {
        match happening {
            Happening::Broken { node, what } => Err(format!("{node} {what}")),
            Happening::Started { node } => {
                self.commits.remove(node);
                self.heard.remove(node);
                Ok(())
            }
            Happening::Crashed { .. } | Happening::Ticked { .. } => Ok(()),
            Happening::Sent { link, message, .. } => self.sent(cluster, *link, message),
            Happening::Received { link, message } => {
                self.received(cluster, *link, message);
                Ok(())
            }
            Happening::Submitted { node, job } => match &**job {
                Job::Append { entries, .. } => self.appended(cluster.node(*node), entries),
                _ => Ok(()),
            },
            Happening::Durable { node, job } => match &**job {
                Job::InstallCommit { .. } => self.installed(cluster.node(*node)),
                _ => Ok(()),
            },
            Happening::Requested { request, command, .. } => {
                self.ask(*request, command);
                Ok(())
            }
            Happening::Lost { request, .. } => {
                self.asked.remove(request);
                Ok(())
            }
            Happening::Replied { node, request, reply } => self.replied(cluster, *node, *request, reply),
            Happening::Told { node, event } => self.told(cluster, *node, event),
        }
    }

    fn sent(&mut self, cluster: &Cluster, (from, _): Link, message: &Message) -> Result<(), Broken> {
        let node = cluster.node(from);
        match message {
            Message::VoteReply { epoch, pre: false, ballot: Ballot::Granted } => self.voted(node, *epoch),
            Message::Ack { epoch, durable, .. } => self.acked(cluster, node, *epoch, *durable),
            Message::ReadAnswer { promised, last, found, .. } => {
                let disk = node.disk();
                ensure(disk.last() == *last, || {
                    format!("{from} answers a read as of {last}, its disk ends {}", disk.last())
                })?;
                ensure(!disk.promise().learner, || format!("{from} is a learner and answers a quorum read"))?;
                ensure(found.value.is_none() || self.stands(found.version), || {
                    format!("{from} answers with version {}, which nobody wrote", found.version)
                })?;
                self.show(cluster, node, *promised, "answers a read as having promised")
            }
            _ => Ok(()),
        }
    }

    fn voted(&mut self, node: &SimNode, epoch: Epoch) -> Result<(), Broken> {
        let (id, saved) = (node.id(), node.disk().promise());
        ensure(saved.epoch >= epoch, || format!("{id} votes for {epoch} with {} on disk", saved.epoch))?;
        ensure(!saved.learner, || format!("{id} is a learner and votes for {epoch}"))?;
        let before = *self.granted.entry((id, epoch.number)).or_insert(epoch);
        // To say yes to an epoch that has been opened long since changes nothing any more.
        let late = self.opened.contains_key(&epoch);
        ensure(before == epoch || late, || format!("{id} votes for {epoch} after {before}"))?;
        let shown = self.shown.entry(id).or_default();
        *shown = epoch.max(*shown);
        Ok(())
    }

    /// A member tells others what it has promised: it must be on disk, be all it knows of, and never go back.
    fn show(&mut self, cluster: &Cluster, node: &SimNode, epoch: Epoch, how: &str) -> Result<(), Broken> {
        let id = node.id();
        let disk = node.disk().promise().epoch.max(node.disk().last().epoch);
        ensure(disk >= epoch, || format!("{id} {how} {epoch}, but has {disk} on disk"))?;
        let knows = cluster.status(id).map_or(Epoch::ZERO, |status| status.promised);
        ensure(knows == epoch, || format!("{id} {how} {epoch}, but has promised {knows}"))?;
        let shown = self.shown.entry(id).or_default();
        ensure(epoch >= *shown, || format!("{id} {how} {epoch} after having shown {shown}"))?;
        *shown = epoch;
        Ok(())
    }

    fn acked(&mut self, cluster: &Cluster, node: &SimNode, epoch: Epoch, durable: u64) -> Result<(), Broken> {
        let id = node.id();
        if durable == 0 {
            return Ok(());
        }
        self.show(cluster, node, epoch, "acknowledges in")?;
        let Some(lineage) = self.epochs.get(&epoch) else {
            return Err(format!("{id} acknowledges in {epoch}, which nobody opened"));
        };
        let at = Position::new(lineage.epoch_of(durable), durable);
        ensure(holds(node, at), || {
            format!("{id} acknowledges {at} in {epoch}, but its disk ends at {}", node.disk().last())
        })
    }

    fn received(&mut self, cluster: &Cluster, (from, to): Link, message: &Message) {
        let epoch = match message {
            Message::Heartbeat { epoch, .. } => *epoch,
            Message::Append { epoch, .. } | Message::SnapshotBegin { epoch, .. } => *epoch,
            Message::SnapshotChunk { epoch, .. } => *epoch,
            _ => return,
        };
        debug_assert_eq!(from, epoch.node);
        let (_, before) = self.heard.get(&to).copied().unwrap_or_default();
        if epoch >= before {
            self.heard.insert(to, (cluster.now(), epoch));
        }
    }

    fn appended(&mut self, node: &SimNode, entries: &[Entry]) -> Result<(), Broken> {
        if entries.is_empty() {
            return Ok(());
        }
        let (id, lineage) = (node.id(), node.lineage());
        for entry in entries {
            let before = entry.at.seq - 1;
            let before = Position::new(lineage.epoch_of(before), before);
            let known = self.entries.entry(entry.at).or_insert_with(|| (entry.op.clone(), before));
            ensure(known.0 == entry.op && known.1 == before, || {
                format!(
                    "two entries under {}: {id} appends {} after {before}, but there is {} after {}",
                    entry.at,
                    text::op(&entry.op),
                    text::op(&known.0),
                    known.1
                )
            })?;
            if entry.at.epoch.node == id {
                self.epochs.entry(entry.at.epoch).or_insert_with(|| lineage.clone());
            } else {
                ensure(self.epochs.contains_key(&entry.at.epoch), || {
                    format!("{} comes from nowhere", entry.at)
                })?;
            }
        }
        Ok(())
    }

    fn installed(&mut self, node: &SimNode) -> Result<(), Broken> {
        for record in node.disk().records() {
            let known = self.entries.get(&record.at);
            ensure(known.is_some_and(|(op, _)| *op == record.op), || {
                format!("{} installs {}, but there is {known:?}", node.id(), text::entry(&record))
            })?;
        }
        Ok(())
    }

    fn ask(&mut self, request: RequestId, command: &Command) {
        let key = match command {
            Command::Write { op, .. } => op.key(),
            Command::Read { key, .. } => Some(key),
            Command::Promote { .. } => None,
        };
        let floor = key.and_then(|key| self.returned.get(key)).copied().unwrap_or_default();
        self.asked.insert(request, Asked { command: command.clone(), floor });
    }

    fn replied(
        &mut self,
        cluster: &Cluster,
        id: NodeId,
        request: RequestId,
        reply: &Reply,
    ) -> Result<(), Broken> {
        let Some(Asked { command, floor }) = self.asked.remove(&request) else { return Ok(()) };
        match (&command, reply) {
            (Command::Write { op, level, .. }, Reply::Written { at, votes }) => {
                let stands = self.entries.get(at).is_some_and(|(known, _)| known == op);
                ensure(stands, || format!("{id} acknowledges {} as {at}", text::op(op)))?;
                let key = op.key().cloned().unwrap_or_default();
                self.acknowledged.push(Acknowledged { at: *at, level: *level, key });
                match level {
                    WriteLevel::Async => ensure(holds(cluster.node(id), *at), || {
                        format!("{id} acknowledges {at}, which is not durable there")
                    }),
                    WriteLevel::Quorum => {
                        let acks = votes.iter().filter(|vote| vote.vote == Vote::Ack).count();
                        ensure(acks >= self.quorum, || format!("{id} acknowledges {at} by {acks} votes"))?;
                        self.is_on_quorum(cluster, *at, "acknowledged")?;
                        self.returns(op.key(), *at, floor, "a quorum write")
                    }
                }
            }
            (Command::Read { key, level, .. }, Reply::Value { found, .. }) => {
                let expected = Op::Put { key: key.clone(), value: found.value.clone().unwrap_or_default() };
                let stands = self.entries.get(&found.version);
                ensure(found.value.is_none() || stands.is_some_and(|(op, _)| *op == expected), || {
                    format!("{id} reads {} under {}", text::op(&expected), found.version)
                })?;
                match level {
                    ReadLevel::Eventual => self.is_fresh(cluster, id),
                    // An absent key may carry a floor instead of the version that removed it.
                    ReadLevel::Quorum if found.value.is_none() => Ok(()),
                    ReadLevel::Quorum => self.returns(Some(key), found.version, floor, "a quorum read"),
                }
            }
            (Command::Write { op: Op::Put { value, .. }, .. }, Reply::Failed(failure))
                if failure.is_definite() =>
            {
                self.refused.push((value.clone(), request));
                Ok(())
            }
            (Command::Write { .. }, Reply::Failed(Failure::NoQuorum { .. } | Failure::TooStale { .. }))
            | (Command::Read { .. } | Command::Promote { .. }, Reply::Written { .. }) => {
                Err(format!("{id} answers {} by {}", text::command(&command), text::reply(reply)))
            }
            _ => Ok(()),
        }
    }

    /// A quorum operation returned this version: nothing that ended before it began may be newer.
    fn returns(
        &mut self,
        key: Option<&Bytes>,
        at: Position,
        floor: Position,
        what: &str,
    ) -> Result<(), Broken> {
        let Some(key) = key.filter(|_| !self.forced) else { return Ok(()) };
        let word = text::word(key);
        ensure(at >= floor, || format!("{what} of {word} returned {at} after {floor} had been returned"))?;
        let highest = self.returned.entry(key.clone()).or_default();
        *highest = at.max(*highest);
        Ok(())
    }

    fn is_fresh(&self, cluster: &Cluster, id: NodeId) -> Result<(), Broken> {
        let status = cluster.status(id).filter(|status| status.role != Role::Primary);
        if status.is_none() {
            return Ok(());
        }
        let (bound, now) = (cluster.node(id).config().stale_after, cluster.now());
        let age = self.heard.get(&id).map(|(at, _)| now - *at);
        ensure(age.is_some_and(|age| age <= bound), || format!("{id} serves an eventual read at age {age:?}"))
    }

    fn is_on_quorum(&self, cluster: &Cluster, at: Position, what: &str) -> Result<(), Broken> {
        let ghosts = self.ghosts.iter().filter(|(_, lineage, last)| lineage.contains(at, *last)).map(|g| g.0);
        let has = |node: &&SimNode| holds(node, at) && !node.disk().promise().learner;
        let have: BTreeSet<NodeId> = cluster.nodes().filter(has).map(SimNode::id).chain(ghosts).collect();
        ensure(self.forced || have.len() >= self.quorum, || {
            format!("{at} is {what}, but only on the disks of {have:?}")
        })
    }

    fn told(&mut self, cluster: &Cluster, id: NodeId, event: &Event) -> Result<(), Broken> {
        match event {
            // What a primary served until now was current, as far as anyone could know.
            Event::SteppedDown { epoch, .. } => {
                self.heard.insert(id, (cluster.now(), *epoch));
                Ok(())
            }
            Event::EpochOpened { epoch, forced, voters } => {
                self.forced |= forced;
                let before = self.opened.insert(*epoch, id);
                ensure(before.is_none() && epoch.node == id, || format!("{id} opens {epoch} again"))?;
                let node = cluster.node(id);
                ensure(self.epochs.contains_key(epoch), || format!("{id} opens {epoch} without a no-op"))?;
                if self.forced {
                    return Ok(());
                }
                ensure(voters.len() >= self.quorum, || {
                    format!("{id} opens {epoch} by {}", text::names(voters))
                })?;
                for &voter in voters {
                    let disk = cluster.node(voter).disk().promise();
                    ensure(disk.epoch >= *epoch || self.wiped, || {
                        format!("{id} opens {epoch} by the vote of {voter}, whose disk has {}", disk.epoch)
                    })?;
                }
                let lineage = node.lineage();
                let below = self.committed_in.range(..epoch).next_back();
                let lost = below.map_or(Position::ZERO, |(_, at)| *at);
                ensure(lineage.contains(lost, node.last().seq), || {
                    format!("{id} opens {epoch} with a log {lineage:?} that lacks {lost}, which is committed")
                })
            }
            _ => Ok(()),
        }
    }

    fn state(&mut self, cluster: &Cluster, id: NodeId) -> Result<(), Broken> {
        let Some(status) = cluster.status(id) else { return Ok(()) };
        let node = cluster.node(id);
        let Status { last, durable, commit, promised, .. } = status;
        ensure(last == node.last(), || {
            format!("{id} says that its log ends at {last}, not at {}", node.last())
        })?;
        ensure(durable <= node.disk().last().seq, || format!("{id} says that {durable} is durable"))?;
        let shown = self.shown.get(&id).copied().unwrap_or_default();
        ensure(promised >= shown, || format!("{id} has promised {promised} after having shown {shown}"))?;
        let known = self.commits.insert(id, commit).unwrap_or(0);
        ensure(commit >= known || self.forced, || {
            format!("{id}: commit goes back from {known} to {commit}")
        })?;
        ensure(commit <= last.seq, || format!("{id}: commit {commit} beyond {last}"))?;
        if commit == known || self.forced {
            return Ok(());
        }
        let lineage = node.lineage();
        let at = Position::new(lineage.epoch_of(commit), commit);
        let (highest, its_lineage) = &self.committed;
        if at.seq <= highest.seq {
            return ensure(its_lineage.contains(at, highest.seq), || {
                format!("{id} holds {at} for committed, but {highest} is, of lineage {its_lineage:?}")
            });
        }
        ensure(lineage.contains(*highest, last.seq), || {
            format!("{id} holds {at} for committed, of lineage {lineage:?}, which lacks {highest}")
        })?;
        self.is_on_quorum(cluster, at, "committed")?;
        self.committed = (at, lineage);
        self.committed_in.insert(at.epoch, at);
        Ok(())
    }

    /// Whether an entry was ever appended under this position.
    fn stands(&self, at: Position) -> bool {
        self.entries.contains_key(&at)
    }

    /// What must hold when all is healed and quiet: every acknowledged write is accounted for, and no refused one.
    pub(crate) fn settled(&self, cluster: &Cluster) -> Result<(), Broken> {
        let mut nodes = cluster.nodes();
        let first = nodes.next().expect("a member").disk();
        for node in nodes {
            let (id, disk) = (node.id(), node.disk());
            ensure(disk.last() == first.last() && disk.lineage() == first.lineage(), || {
                format!("{id} ends at {}, the first member at {}", disk.last(), first.last())
            })?;
            ensure(disk.contents() == first.contents(), || format!("{id} holds other contents"))?;
        }
        let kept: Vec<Entry> = cluster.nodes().flat_map(|node| node.disk().rollbacks()).collect();
        for Acknowledged { at, level, key } in &self.acknowledged {
            let there = first.lineage().contains(*at, first.last().seq);
            // A log that came by a full resync may hold only the newest version of each key.
            let kept = || kept.iter().any(|entry| entry.at >= *at && entry.op.key() == Some(key));
            let may_go = self.forced || *level == WriteLevel::Async;
            ensure(there || (may_go && (self.wiped || kept())), || {
                format!("the {level:?} write {at} was acknowledged and is gone without a trace")
            })?;
        }
        let written = self.entries.iter().filter_map(|(at, (op, _))| match op {
            Op::Put { value, .. } => Some((value, at)),
            Op::Noop | Op::Del { .. } => None,
        });
        let written: BTreeMap<&Bytes, &Position> = written.collect();
        for (value, request) in &self.refused {
            let stands = written.get(value);
            ensure(stands.is_none(), || format!("{request:?} was refused, but its value is at {stands:?}"))?;
        }
        Ok(())
    }

    /// Whether anybody was promoted by force.
    pub(crate) fn is_forced(&self) -> bool {
        self.forced
    }

    /// The last position known to be committed.
    pub(crate) fn committed(&self) -> Position {
        self.committed.0
    }

    /// How many epochs were opened.
    pub(crate) fn epochs_opened(&self) -> usize {
        self.opened.len()
    }
}

/// Whether the log on a member's disk has a position.
fn holds(node: &SimNode, at: Position) -> bool {
    node.disk().lineage().contains(at, node.disk().last().seq)
}

/// The member whose core a happening moved.
fn stepped(happening: &Happening) -> Option<NodeId> {
    match happening {
        Happening::Started { node }
        | Happening::Submitted { node, .. }
        | Happening::Durable { node, .. }
        | Happening::Requested { node, .. }
        | Happening::Replied { node, .. }
        | Happening::Ticked { node }
        | Happening::Told { node, .. } => Some(*node),
        Happening::Sent { link, .. } => Some(link.0),
        Happening::Received { link, .. } => Some(link.1),
        Happening::Crashed { .. } | Happening::Lost { .. } | Happening::Broken { .. } => None,
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
