//! Plays a script: keeps the cluster, names requests, and puts what happens into words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::replication::{Config, RequestId};
use crate::sim::cluster::{Cluster, ClusterEvent};
use crate::sim::network::{EnvelopeId, Link};
use crate::sim::node::StartDraw;
use crate::sim::tests::model_disk::ModelDisk;
use crate::sim::text;
use crate::types::{Command, NodeId, Reply, Role, Time};

/// A script that does more than this in one command has a loop.
const STEPS_MAX: usize = 100_000;
/// A cluster that has no primary by then will not have one.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// What a script plays on.
#[derive(Debug, Default)]
pub(super) struct Runner {
    cluster: Option<Cluster>,
    labels: BTreeMap<RequestId, String>,
    counts: BTreeMap<char, usize>,
    replies: BTreeMap<String, Reply>,
    /// Requests that make up the weight of a story and are not told of one by one.
    extras: BTreeSet<RequestId>,
    /// What the present block has printed.
    out: String,
    /// What has happened in the present block, printed or not.
    seen: Vec<String>,
    quiet: bool,
    /// How long messages take on a link; on others they arrive at once.
    pub(super) slow: BTreeMap<Link, Duration>,
    /// When messages on slow links arrive.
    arrivals: BTreeMap<EnvelopeId, Time>,
    /// A timer that has fired and has not been told of.
    timer: Option<String>,
}

impl Runner {
    /// Carries out the commands of a block. Returns what they print.
    pub(super) fn block(&mut self, commands: &[(usize, String)]) -> Result<String, String> {
        self.out.clear();
        self.seen.clear();
        let several = commands.iter().filter(|(_, c)| !c.starts_with("expect ")).count() > 1;
        for (line, command) in commands {
            let expects = command.starts_with("expect ");
            if several && !expects {
                self.print(&format!("> {command}"));
            }
            let command_words: Vec<&str> = command.split_whitespace().collect();
            self.command(&command_words).map_err(|error| format!("line {line}: `{command}`: {error}"))?;
        }
        if self.out.is_empty() {
            self.print("ok");
        }
        Ok(std::mem::take(&mut self.out))
    }

    fn command(&mut self, words: &[&str]) -> Result<(), String> {
        self.quiet = words[0] == "quiet";
        let words = if self.quiet { &words[1..] } else { words };
        match words.first() {
            None => Err("quiet what?".to_owned()),
            Some(&"expect") => self.expect(&words[1..]),
            Some(_) => super::commands::carry_out(self, words),
        }
    }

    /// Starts the members; unless `raw`, lets the first primary win and everything settle.
    pub(super) fn begin(&mut self, configs: Vec<Config>, raw: bool) -> Result<(), String> {
        let cluster = Cluster::new(configs, |_| Box::new(ModelDisk::new()));
        let ids = cluster.ids();
        self.cluster = Some(cluster);
        let quiet = std::mem::replace(&mut self.quiet, true);
        let said = self.out.len();
        for id in ids {
            self.quiet = quiet || !raw;
            self.start(id)?;
        }
        if !raw {
            self.quiet = true;
            self.settle()?;
            self.out.truncate(said);
            self.show_status();
        }
        Ok(())
    }

    /// Starts a member. Draws are small numbers, so that scripts can be read.
    pub(super) fn start(&mut self, id: NodeId) -> Result<(), String> {
        let cluster = self.cluster_mut()?;
        let incarnation = u64::from(id.0) * 16 + cluster.node(id).starts;
        cluster.start(id, StartDraw { incarnation, seed: incarnation, clock_offset: Time::ZERO });
        self.flush()
    }

    /// Runs until one primary has established itself and everybody has everything.
    fn settle(&mut self) -> Result<(), String> {
        let deadline = self.cluster()?.now() + SETTLE_MAX;
        while !self.is_settled()? {
            if self.cluster()?.now() >= deadline {
                self.show_status();
                return Err(format!("no settled primary within {SETTLE_MAX:?}\n{}", self.out));
            }
            self.run(Duration::from_millis(50))?;
        }
        self.stabilize()
    }

    fn is_settled(&self) -> Result<bool, String> {
        let cluster = self.cluster()?;
        let states: Vec<_> = cluster.ids().into_iter().filter_map(|id| cluster.status(id)).collect();
        let primaries = states.iter().filter(|s| s.role == Role::Primary).count();
        let agree = states.windows(2).all(|w| w[0].last == w[1].last && w[0].commit == w[1].commit);
        let following = states.iter().all(|s| s.primary.is_some() && s.commit == s.last.seq);
        Ok(primaries == 1 && agree && following)
    }

    /// Passes a client's request on.
    pub(super) fn request(&mut self, id: NodeId, command: Command) -> Result<(), String> {
        self.running(id)?;
        self.cluster_mut()?.request(id, command);
        self.flush()
    }

    /// Passes a request on that is not told of.
    pub(super) fn extra(&mut self, id: NodeId, command: Command) -> Result<(), String> {
        self.running(id)?;
        let request = self.cluster_mut()?.request(id, command);
        self.extras.insert(request);
        self.flush()
    }

    /// Lets a message arrive.
    pub(super) fn deliver(&mut self, link: Link, envelope: EnvelopeId) -> Result<(), String> {
        self.cluster_mut()?.deliver(link, envelope);
        self.flush()
    }

    /// Lets a disk finish one job. Returns whether there was one.
    pub(super) fn persist(&mut self, id: NodeId) -> Result<bool, String> {
        let some = self.cluster_mut()?.persist(id);
        self.flush()?;
        Ok(some)
    }

    /// Persists and delivers until nothing is left to do without time passing.
    pub(super) fn stabilize(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let cluster = self.cluster()?;
            let busy = cluster.nodes().find(|n| n.is_running() && !n.paused && n.can_persist());
            if let Some(id) = busy.map(crate::sim::node::SimNode::id) {
                self.persist(id)?;
                continue;
            }
            let (now, under_way) = (cluster.now(), cluster.network.under_way());
            for &(link, id) in &under_way {
                if let Some(delay) = self.slow.get(&link) {
                    self.arrivals.entry(id).or_insert(now + *delay);
                }
            }
            let cluster = self.cluster()?;
            let there = |id: &EnvelopeId| self.arrivals.get(id).is_none_or(|at| *at <= now);
            let ready = |(link, id): &(Link, EnvelopeId)| !cluster.node(link.1).paused && there(id);
            let Some((link, envelope)) = under_way.into_iter().find(ready) else {
                return Ok(());
            };
            self.deliver(link, envelope)?;
        }
        Err(format!("no end in sight after {STEPS_MAX} steps"))
    }

    /// Time passes and timers fire, but nothing arrives.
    pub(super) fn tick(&mut self, by: Duration) -> Result<(), String> {
        let end = self.cluster()?.now() + by;
        for _ in 0..STEPS_MAX {
            if !self.fire_next_before(end)? {
                self.cluster_mut()?.set_now(end);
                return Ok(());
            }
        }
        Err(format!("no end in sight after {STEPS_MAX} timers"))
    }

    /// Time passes and everything arrives, at once or when its link lets it.
    pub(super) fn run(&mut self, by: Duration) -> Result<(), String> {
        let end = self.cluster()?.now() + by;
        for _ in 0..STEPS_MAX {
            self.stabilize()?;
            let now = self.cluster()?.now();
            let arrival = self.arrivals.values().copied().filter(|&at| at > now).min();
            let timer = self.cluster()?.next_deadline().map(|(due, _)| due);
            if let Some(at) = arrival.filter(|&at| at <= end && timer.is_none_or(|due| at < due)) {
                self.cluster_mut()?.set_now(at);
            } else if !self.fire_next_before(end)? {
                self.cluster_mut()?.set_now(end);
                return self.stabilize();
            }
        }
        Err(format!("no end in sight after {STEPS_MAX} timers"))
    }

    fn fire_next_before(&mut self, end: Time) -> Result<bool, String> {
        let cluster = self.cluster_mut()?;
        let Some((due, id)) = cluster.next_deadline().filter(|&(due, _)| due <= end) else {
            return Ok(false);
        };
        cluster.set_now(due.max(cluster.now()));
        cluster.tick(id);
        self.flush()?;
        Ok(true)
    }

    /// Prints every member's state.
    pub(super) fn show_status(&mut self) {
        let Ok(cluster) = self.cluster() else { return };
        let lines: Vec<_> = cluster
            .nodes()
            .map(|node| match cluster.status(node.id()) {
                None => format!("{} is down", node.id()),
                Some(status) if node.paused => format!("{} (paused)", text::status(&status)),
                Some(status) => text::status(&status),
            })
            .collect();
        lines.iter().for_each(|line| self.print(line));
    }

    /// The members and the network.
    pub(super) fn cluster(&self) -> Result<&Cluster, String> {
        self.cluster.as_ref().ok_or_else(|| "the first command is `cluster`".to_owned())
    }

    /// The members and the network.
    pub(super) fn cluster_mut(&mut self) -> Result<&mut Cluster, String> {
        self.cluster.as_mut().ok_or_else(|| "the first command is `cluster`".to_owned())
    }

    /// Fails unless a member runs.
    pub(super) fn running(&self, id: NodeId) -> Result<(), String> {
        let cluster = self.cluster()?;
        match cluster.ids().contains(&id) {
            false => Err(format!("{id} is not a member")),
            true if !cluster.node(id).is_running() => Err(format!("{id} is down")),
            true if cluster.node(id).paused => Err(format!("{id} is paused")),
            true => Ok(()),
        }
    }

    /// The answer to a labelled request, if it has come.
    pub(super) fn reply(&self, label: &str) -> Result<Option<&Reply>, String> {
        if !self.labels.values().any(|known| known == label) {
            return Err(format!("there is no request {label}"));
        }
        Ok(self.replies.get(label))
    }

    /// What has happened in the present block.
    pub(super) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Prints replies and changes of state only, until the next command.
    pub(super) fn be_quiet(&mut self) {
        self.quiet = true;
    }

    /// Prints a line.
    pub(super) fn print(&mut self, line: &str) {
        self.out += line;
        self.out.push('\n');
    }

    /// Puts what has happened into words: what came first at the margin, what followed from it indented.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        for event in self.cluster_mut()?.take_events() {
            self.tell(&event)?;
        }
        Ok(())
    }

    fn tell(&mut self, event: &ClusterEvent) -> Result<(), String> {
        match event {
            ClusterEvent::Requested { request, .. }
            | ClusterEvent::Replied { request, .. }
            | ClusterEvent::Lost { request, .. }
                if self.extras.contains(request) =>
            {
                return Ok(());
            }
            ClusterEvent::Requested { request, command, .. } => self.name(*request, command),
            _ => {}
        }
        let label = |request: RequestId| self.labels[&request].clone();
        let line = text::cluster_event(event, label);
        if let ClusterEvent::ContractBroken { .. } = event {
            return Err(line);
        }
        if let ClusterEvent::Replied { request, reply, .. } = event {
            self.replies.insert(self.labels[request].clone(), reply.clone());
        }
        // A timer is worth a line when something comes of it.
        if let ClusterEvent::Ticked { .. } = event {
            self.timer = Some(line);
            return Ok(());
        }
        let cause = matches!(
            event,
            ClusterEvent::Started { .. }
                | ClusterEvent::Crashed { .. }
                | ClusterEvent::Received { .. }
                | ClusterEvent::Durable { .. }
                | ClusterEvent::Requested { .. }
        );
        let machinery = matches!(
            event,
            ClusterEvent::Sent { .. }
                | ClusterEvent::Received { .. }
                | ClusterEvent::Submitted { .. }
                | ClusterEvent::Durable { .. }
        );
        let timer = self.timer.take().filter(|_| !cause);
        if !(self.quiet && machinery) {
            if let Some(timer) = timer.filter(|_| !self.quiet) {
                self.print(&timer);
            }
            let indent = if cause || self.quiet { "" } else { "  " };
            self.print(&format!("{indent}{line}"));
        }
        self.seen.push(line);
        Ok(())
    }

    /// Labels a request by its kind: `w1`, `r1`, `p1`, `f1`.
    fn name(&mut self, request: RequestId, command: &Command) {
        let kind = match command {
            Command::Write { .. } => 'w',
            Command::Read { .. } => 'r',
            Command::Promote { .. } => 'p',
            Command::Follow { .. } => 'f',
        };
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.labels.insert(request, format!("{kind}{count}"));
    }
}
