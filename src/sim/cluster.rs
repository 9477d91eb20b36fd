//! A simulated cluster: members, network and time, moved one primitive at a time.
//!
//! Nothing happens by itself here. Whoever drives the cluster (a golden script by hand, a simulation by chance)
//! delivers a message, finishes a disk job, lets a timer fire, and then reads what happened from
//! [`Cluster::take_events`]. This is the driver's contract of [`replication::io`](crate::replication) in its
//! smallest form.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::replication::{CHUNK_BYTES, Config, DiskJob as Job, Effect, Input, RequestId};
use crate::storage::{Loss, SnapshotPart};
use crate::types::{Command, DiskCondition, Event, Message, NodeId, Reply, Status, Time};

use super::disk::{Crash, SimDisk};
use super::network::{EnvelopeId, Link, SimNetwork};
use super::node::{SimNode, StartDraw};

/// Something that happened in the cluster, in order.
#[derive(Debug)]
pub(crate) enum ClusterEvent {
    /// A process started.
    Started { node: NodeId },
    /// A process died, with so many disk jobs undone.
    Crashed { node: NodeId, jobs_lost: usize },
    /// A timer fired.
    Ticked { node: NodeId },
    /// A message was sent; without an envelope it met a cut link and is gone.
    Sent { link: Link, envelope: Option<EnvelopeId>, message: Rc<Message> },
    /// A message arrived.
    Received { link: Link, message: Rc<Message> },
    /// The core gave its disk a job; it is the last of the node's queue.
    Submitted { node: NodeId, job: Rc<Job> },
    /// The disk finished a job.
    Durable { node: NodeId, job: Rc<Job> },
    /// A client's request reached a core.
    Requested { node: NodeId, request: RequestId, command: Command },
    /// A client was answered.
    Replied { node: NodeId, request: RequestId, reply: Reply },
    /// A process died with this request unanswered.
    Lost { request: RequestId },
    /// The core told of a change of state.
    StateChanged { node: NodeId, event: Event },
    /// Something that the contract forbids.
    ContractBroken { node: NodeId, what: String },
}

/// Members, network and time.
#[derive(Debug)]
pub(crate) struct Cluster {
    now: Time,
    nodes: BTreeMap<NodeId, SimNode>,
    pub(crate) network: SimNetwork,
    events: Vec<ClusterEvent>,
    waiting: BTreeMap<RequestId, NodeId>,
    requests: u64,
}

impl Cluster {
    /// Members that have not started yet.
    pub(crate) fn new(configs: Vec<Config>, mut disk: impl FnMut(NodeId) -> Box<dyn SimDisk>) -> Self {
        let node = |config: Config| (config.id, SimNode::new(config.clone(), disk(config.id)));
        let nodes = configs.into_iter().map(node).collect();
        Self {
            now: Time::ZERO,
            nodes,
            network: SimNetwork::default(),
            events: Vec::new(),
            waiting: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Starts a member's process on what its disk holds.
    pub(crate) fn start(&mut self, id: NodeId, draw: StartDraw) {
        let now = self.now;
        let effects = self.node_mut(id).start(now, draw);
        self.events.push(ClusterEvent::Started { node: id });
        self.feed_after(id, effects);
        for other in self.ids() {
            let up = other != id && self.nodes[&other].is_running() && !self.nodes[&other].paused;
            if up && !self.network.is_cut((other, id)) {
                self.feed(other, Input::Link { to: id, up });
            }
            if up && !self.network.is_cut((id, other)) {
                self.feed(id, Input::Link { to: other, up });
            }
        }
    }

    /// A member's process dies; see [`SimNode::crash`] for what its disk keeps.
    pub(crate) fn crash(&mut self, id: NodeId, crash: Crash) {
        let jobs_lost = self.node_mut(id).crash(crash);
        self.events.push(ClusterEvent::Crashed { node: id, jobs_lost });
        let lost: Vec<_> = self.waiting.iter().filter(|&(_, node)| *node == id).map(|(r, _)| *r).collect();
        for request in lost {
            self.waiting.remove(&request);
            self.events.push(ClusterEvent::Lost { request });
        }
        for other in self.ids() {
            if self.nodes[&other].is_running() && !self.nodes[&other].paused {
                self.feed(other, Input::Link { to: id, up: false });
            }
        }
    }

    /// A member's process ends in order: says what it has to say, and finishes what its disk was given.
    pub(crate) fn stop(&mut self, id: NodeId) {
        let now = self.now;
        let effects = self.node_mut(id).stop(now);
        self.feed_after(id, effects);
        let survivors = self.nodes[&id].jobs().len();
        self.crash(id, Crash { survivors, loss: Loss::Nothing, ..Crash::CLEAN });
    }

    /// A client's request reaches a running member. The answer is a [`ClusterEvent::Replied`], now or later.
    pub(crate) fn request(&mut self, id: NodeId, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.waiting.insert(request, id);
        self.events.push(ClusterEvent::Requested { node: id, request, command: command.clone() });
        self.feed(id, Input::Request { request, command });
        request
    }

    /// A message arrives. One to a process that is down is lost.
    pub(crate) fn deliver(&mut self, link: Link, envelope: EnvelopeId) {
        let Some(envelope) = self.network.take(link, envelope) else { return };
        let (from, to) = link;
        if self.nodes[&to].is_running() && self.network.is_heard(link, &envelope) {
            assert!(!self.nodes[&to].paused, "a delivery to {to}, which is paused");
            let message = envelope.message;
            self.events.push(ClusterEvent::Received { link, message: Rc::clone(&message) });
            self.feed(to, Input::Peer { from, message: Message::clone(&message) });
        }
    }

    /// A member's disk finishes its oldest job. Returns whether there was one.
    pub(crate) fn persist(&mut self, id: NodeId) -> bool {
        let Some((job, input)) = self.node_mut(id).persist() else { return false };
        self.events.push(ClusterEvent::Durable { node: id, job });
        if let Some(input) = input {
            self.feed(id, input);
        }
        true
    }

    /// Lets a member's timer fire.
    pub(crate) fn tick(&mut self, id: NodeId) {
        self.events.push(ClusterEvent::Ticked { node: id });
        self.feed(id, Input::Tick);
        let due = self.nodes[&id].deadline();
        if due.is_some_and(|due| due <= self.now) {
            let what = format!("wants to be ticked at {due:?}, which is not after {:?}", self.now);
            self.events.push(ClusterEvent::ContractBroken { node: id, what });
        }
    }

    /// A member's core hears whether its disk has room, if that has changed and there is a core that can hear it.
    pub(crate) fn tell_room(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        let full = node.condition == DiskCondition::Full;
        if node.is_running() && !node.paused && std::mem::replace(&mut node.told_full, full) != full {
            self.feed(id, Input::Disk { full });
        }
    }

    /// Moves time on.
    ///
    /// # Panics
    /// If it would go back.
    pub(crate) fn set_now(&mut self, now: Time) {
        assert!(self.now <= now, "time goes back from {:?} to {now:?}", self.now);
        self.now = now;
    }

    /// The earliest deadline of a running member, with the member.
    pub(crate) fn next_deadline(&self) -> Option<(Time, NodeId)> {
        self.nodes.values().filter_map(|node| Some((node.deadline()?, node.id()))).min()
    }

    /// The simulation's time.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// What happened since this was last asked, into an empty list.
    pub(crate) fn swap_events(&mut self, list: &mut Vec<ClusterEvent>) {
        debug_assert!(list.is_empty(), "what was taken before has been dealt with");
        std::mem::swap(&mut self.events, list);
    }

    /// What happened since this was last asked.
    #[cfg(test)]
    pub(crate) fn take_events(&mut self) -> Vec<ClusterEvent> {
        std::mem::take(&mut self.events)
    }

    /// The members, ascending.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// A member.
    pub(crate) fn node(&self, id: NodeId) -> &SimNode {
        &self.nodes[&id]
    }

    /// A member.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut SimNode {
        self.nodes.get_mut(&id).expect("a member of the cluster")
    }

    /// All members, ascending.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &SimNode> {
        self.nodes.values()
    }

    /// What a watcher of a member sees. `None`: its process is down.
    pub(crate) fn status(&self, id: NodeId) -> Option<Status> {
        self.nodes[&id].status(self.now)
    }

    fn feed(&mut self, id: NodeId, input: Input) {
        let now = self.now;
        let effects = self.node_mut(id).step(now, input);
        self.feed_after(id, effects);
    }

    /// Carries out effects, and feeds the answers that they ask for, lookups before all others, and what the disk has met.
    fn feed_after(&mut self, id: NodeId, effects: Vec<Effect>) {
        let (mut lookups, mut views) = (VecDeque::new(), VecDeque::new());
        self.carry_out(id, effects, &mut lookups, &mut views);
        loop {
            // What was read may have been damaged.
            views.extend(self.node_mut(id).disk.take_damage().into_iter().map(Input::Damage));
            let Some(input) = lookups.pop_front().or_else(|| views.pop_front()) else { return };
            let now = self.now;
            let effects = self.node_mut(id).step(now, input);
            self.carry_out(id, effects, &mut lookups, &mut views);
        }
    }

    fn carry_out(
        &mut self,
        id: NodeId,
        effects: Vec<Effect>,
        lookups: &mut VecDeque<Input>,
        views: &mut VecDeque<Input>,
    ) {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(id, to, message),
                // Connections are none of a simulation's concerns: its links stand unless they are cut.
                Effect::Dial { .. } | Effect::Reject { .. } => {}
                Effect::Reply { request, reply } => self.reply(id, request, reply),
                Effect::Event(event) => self.events.push(ClusterEvent::StateChanged { node: id, event }),
                Effect::Read { token, key } => {
                    let found = self.nodes[&id].disk.lookup(&key);
                    lookups.push_back(Input::ReadDone { token, found });
                }
                Effect::SnapshotOpen { id: view } => {
                    let (at, bytes_total) = self.node_mut(id).disk.open_view(view);
                    views.push_back(Input::SnapshotOpened { id: view, at, bytes_total });
                }
                Effect::SnapshotRead { id: view } => {
                    views.push_back(match self.node_mut(id).disk.read_view(view, CHUNK_BYTES) {
                        SnapshotPart::Entries(entries, done) => {
                            Input::SnapshotRead { id: view, entries, done }
                        }
                        SnapshotPart::Lost => Input::SnapshotLost { id: view },
                    });
                }
                Effect::EntriesRead { to, from, bytes } => {
                    let found = self.node_mut(id).disk.entries_from(from, bytes);
                    views.push_back(Input::EntriesRead { to, from, found });
                }
                Effect::Repair { entry } => self.node_mut(id).disk.repair(entry),
                Effect::SnapshotClose { id: view } => self.node_mut(id).disk.close_view(view),
                Effect::Disk(job) => self.submit(id, job),
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        if to == from || !self.nodes.contains_key(&to) {
            let what = format!("sends to {to}: {message:?}");
            self.events.push(ClusterEvent::ContractBroken { node: from, what });
            return;
        }
        let link = (from, to);
        let message = Rc::new(message);
        let envelope = self.network.send(link, Rc::clone(&message), self.nodes[&from].starts);
        self.events.push(ClusterEvent::Sent { link, envelope, message });
    }

    fn reply(&mut self, node: NodeId, request: RequestId, reply: Reply) {
        if self.waiting.remove(&request).is_none() {
            let what = format!("answers {request:?}, which is not waiting: {reply:?}");
            self.events.push(ClusterEvent::ContractBroken { node, what });
            return;
        }
        self.events.push(ClusterEvent::Replied { node, request, reply });
    }

    fn submit(&mut self, id: NodeId, job: Job) {
        let job = Rc::new(job);
        self.node_mut(id).submit(Rc::clone(&job));
        self.events.push(ClusterEvent::Submitted { node: id, job });
    }
}
