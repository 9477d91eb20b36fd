//! The course of one seed: faults and clients by chance, then healing, then a verdict.
//!
//! First anything may happen, and after every step the [`Oracle`](super::oracle::Oracle) checks. Then everything is
//! healed, and the cluster must come to rest: one primary, all members equal, every acknowledged write accounted
//! for, every key readable from every member, and the whole history linearizable.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;

use crate::replication::Config;
use crate::storage;
use crate::types::{Command, Lookup, NodeId, Reply, Role, Time};

use super::clients::{Clients, Invocation};
use super::dice::Dice;
use super::disk::StoredDisk;
use super::environment::{Environment, NetworkQuality};
use super::options::SimOptions;
use super::oracle::BrokenPromise;
use super::outcome::{JudgeFinding, SeedOutcome, SeedPanic, SeedViolation};
use super::profile::Profile;
use super::text;
use super::world::{ClientRequest, StepOutcome, World};

/// Once healed, a cluster must have come to rest within this.
const REST_WITHIN: Duration = Duration::from_secs(60);
/// Then every read must be served within this.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// A read that was refused is tried again after this.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How often an operator looks at a healed cluster that has no primary.
const OPERATOR_EVERY: Duration = Duration::from_millis(700);
/// A simulation that takes more steps than this runs in circles.
const STEPS_MAX: u64 = 3_000_000;
/// Clients at once.
const CLIENTS: usize = 5;
/// The operator asks as this client; nobody waits for what it is told.
const OPERATOR: u64 = 0;

/// Something that the simulation has planned.
#[derive(Debug)]
pub(super) enum ChaosTask {
    /// A client's patience ends.
    GiveUp { client: u64 },
    /// A client does something new.
    Think,
    /// Something breaks, or is mended.
    Fault,
}

/// Everything that one seed decides.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) options: SimOptions,
    pub(super) world: World<ChaosTask>,
    pub(super) profile: Profile,
    pub(super) healed: bool,
    clients: Clients,
    /// What the judge found, if that ended the simulation.
    finding: Option<Box<JudgeFinding>>,
}

/// Runs one seed. A panic of the core or of storage ends it and is told as such: it is no violation.
///
/// # Examples
/// ```
/// use kvlab::sim::{SimOptions, simulate};
///
/// let options = SimOptions { nodes: Some(3), ..SimOptions::default() };
/// let outcome = simulate(7, &options);
/// assert_eq!((&outcome.violation, &outcome.panic), (&None, &None));
/// assert!(outcome.counts.faults > 0 && outcome.counts.writes > 0);
/// assert_eq!(simulate(7, &options), outcome, "a seed decides everything");
/// ```
pub fn simulate(seed: u64, options: &SimOptions) -> SeedOutcome {
    let mut simulation = Simulation::new(seed, options.clone());
    let played = catch_unwind(AssertUnwindSafe(|| simulation.play()));
    match played {
        Ok(played) => simulation.outcome(seed, played.err(), None),
        Err(panic) => simulation.outcome(seed, None, Some(message(&*panic).to_owned())),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

impl Simulation {
    fn new(seed: u64, options: SimOptions) -> Self {
        let mut dice = Dice::new(seed);
        let count = options.nodes.unwrap_or_else(|| dice.weighted(&[(3, 60), (5, 30), (2, 5), (4, 5)]));
        let members: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let profile = Profile::random(&mut dice, options.mix);
        let environment = Environment {
            disk_max: Duration::from_micros(dice.pick(&[500, 5_000, 50_000, 200_000])),
            ordered: dice.chance(500),
            client_delay_max: Duration::from_millis(20),
            network: NetworkQuality::random(&mut dice),
        };
        let (backlog, window) = (dice.pick(&[200, 1000, 1 << 20]), dice.pick(&[100, 500, 1 << 20]));
        let stale_after = Duration::from_millis(dice.pick(&[300, 1500, 5000]));
        let stale_lag = dice.pick(&[3, 1000]);
        let configs: Vec<Config> = members
            .iter()
            .map(|&id| Config {
                backlog_bytes: backlog,
                window_bytes: window,
                stale_after,
                stale_lag,
                quirks: options.quirks,
                ..Config::new(id, members.clone())
            })
            .collect();
        let segment_bytes = dice.pick(&[500, 5000, 1 << 20]);
        let disks = |node| storage::Options {
            durability: options.durability,
            segment_bytes,
            alone: members.len() == 1,
            ..storage::Options::new(node)
        };
        let mut world = World::on_disks(configs, environment, dice, |id, dice| {
            let (disks, seed) = (disks(id), dice.number());
            #[cfg(test)]
            if options.mirror {
                return Box::new(super::tests::mirror_disk::MirrorDisk::new(disks, seed));
            }
            Box::new(StoredDisk::new(disks, seed))
        });
        world.oracle_off = options.judge_only;
        if options.trace {
            world.begin_trace();
        }
        world.record_member_events();
        Self { options, world, profile, healed: false, clients: Clients::new(), finding: None }
    }

    fn outcome(mut self, seed: u64, broken: Option<BrokenPromise>, panicked: Option<String>) -> SeedOutcome {
        let at = self.world.now();
        let finding = self.finding.take();
        let violation = broken.map(|what| SeedViolation { at, what, finding });
        if let Some(violation) = &violation {
            self.world.note(|| format!("BROKEN: {}", violation.what));
        }
        let panic = panicked.map(|message| SeedPanic { at, message });
        if let Some(panic) = &panic {
            self.world.note(|| format!("PANICKED: {}", panic.message));
        }
        let mut counts = self.world.counts;
        counts.epochs = self.world.oracle.epochs_opened() as u64;
        counts.committed = self.world.oracle.committed().seq;
        counts.tears = self.world.cluster.nodes().map(|node| node.disk.tears()).sum();
        SeedOutcome { seed, violation, panic, counts, trace: self.world.take_trace() }
    }

    fn play(&mut self) -> Result<(), BrokenPromise> {
        let (profile, environment, nodes) =
            (self.profile, self.world.environment, self.world.members().len());
        self.world.note(|| format!("{nodes} members, {profile:?} {environment:?}"));
        for id in self.world.members() {
            self.world.start(id)?;
        }
        (0..CLIENTS).for_each(|_| self.world.later(Duration::from_millis(300), ChaosTask::Think));
        self.world.later(Duration::from_millis(500), ChaosTask::Fault);
        self.until(self.options.chaos, |_| false)?;
        self.heal_everything()?;
        self.rest()?;
        self.read_back()?;
        // A campaign that was still under way may have opened one more epoch.
        self.rest()?;
        self.world.settled()?;
        self.world.oracle.refused_is_nowhere().or_else(|what| self.world.unless_oracle_off(what))?;
        let report = self.clients.finish();
        self.world.counts.undecided = report.keys.undecided;
        self.judged()
    }

    /// Lets everything take its course until `end`, or until `enough`. Returns whether it was enough.
    fn until(&mut self, end: Time, enough: impl Fn(&Self) -> bool) -> Result<bool, BrokenPromise> {
        loop {
            if enough(self) {
                return Ok(true);
            }
            let Some(outcome) = self.world.step(end)? else { return Ok(false) };
            let (now, counts) = (self.world.now(), &mut self.world.counts);
            match outcome {
                StepOutcome::Nothing => continue,
                StepOutcome::Answered { client: OPERATOR, reply: Reply::Promoted { .. } } => self.promoted(),
                StepOutcome::Answered { client, reply } => self.clients.answered(now, client, &reply, counts),
                StepOutcome::Lost { client } => self.clients.gave_up(now, client, counts),
                StepOutcome::Refused { client } => self.clients.refused(now, client),
                StepOutcome::Own(ChaosTask::GiveUp { client }) => self.clients.gave_up(now, client, counts),
                StepOutcome::Own(ChaosTask::Think) => self.think(),
                StepOutcome::Own(ChaosTask::Fault) => self.fault()?,
            }
            self.judged()?;
            if self.world.counts.steps > STEPS_MAX {
                return Err(format!("no end in sight after {STEPS_MAX} steps"));
            }
        }
    }

    /// What the clients saw must be explicable. By force, linearizability may break; values from nowhere may not.
    fn judged(&mut self) -> Result<(), BrokenPromise> {
        let forced = self.world.oracle.is_forced();
        let found = self.clients.take_violations();
        self.world.counts.harm += found.len() as u64;
        match found.into_iter().find(|violation| !(forced && violation.linearizability)) {
            Some(violation) => {
                let what = format!("{:?}: {}", violation.key, violation.explanation());
                let member_events = self.world.take_member_events();
                self.finding = Some(Box::new(JudgeFinding { violation, member_events }));
                Err(what)
            }
            None => Ok(()),
        }
    }

    /// A client begins an operation, and another one later.
    fn think(&mut self) {
        if self.healed {
            return;
        }
        let nodes = self.world.members();
        let Invocation { client, node, command, patience } =
            self.clients.begin(self.world.now(), &nodes, &self.profile, &mut self.world.dice);
        self.world.ask(ClientRequest { client, home: None, node, command });
        self.world.later(patience, ChaosTask::GiveUp { client });
        let think = self.profile.think.as_micros() as u64;
        let pause = Duration::from_micros(self.world.dice.between(think / 2, think * 3 / 2));
        self.world.later(pause, ChaosTask::Think);
    }

    /// An operator's order to a member.
    pub(super) fn order(&mut self, node: NodeId, command: Command) -> Result<(), BrokenPromise> {
        self.world.ask_on_the_spot(ClientRequest { client: OPERATOR, home: None, node, command })
    }

    /// Waits until a healed cluster has come to rest. Where nobody is primary, an operator promotes.
    fn rest(&mut self) -> Result<(), BrokenPromise> {
        let deadline = self.world.now() + REST_WITHIN;
        while self.world.now() < deadline {
            let look_again = self.world.now() + OPERATOR_EVERY;
            if self.until(look_again, Self::is_at_rest)? {
                // What operators had asked for before the healing may still be on its way.
                self.until(self.world.now() + OPERATOR_EVERY, |_| false)?;
                if self.is_at_rest() {
                    return Ok(());
                }
            }
            self.promote_someone()?;
            if self.options.force && self.world.now() + REST_WITHIN / 2 > deadline {
                self.write_what_is_lost()?;
            }
        }
        let members = self.world.members().into_iter();
        let states: Vec<_> =
            members.filter_map(|id| self.world.status(id)).map(|s| text::status(&s)).collect();
        let what = format!("not at rest {REST_WITHIN:?} after everything was healed: {}", states.join("; "));
        self.world.unless_oracle_off(what)
    }

    fn is_at_rest(&self) -> bool {
        let mut nodes = self.world.cluster.nodes();
        if !self.clients.all_done() || !nodes.all(|node| node.jobs().is_empty() && node.disk.damaged() == 0) {
            return false;
        }
        let ids = self.world.members();
        let states: Vec<_> = ids.iter().filter_map(|&id| self.world.status(id)).collect();
        let Some(primary) = states.iter().find(|s| s.role == Role::Primary) else { return false };
        let equal = states.iter().all(|s| {
            s.last == primary.last && s.commit == primary.last.seq && s.epoch == primary.epoch && !s.stale
        });
        let settled = states.iter().all(|s| matches!(s.role, Role::Primary | Role::Replica));
        states.len() == ids.len() && equal && settled
    }

    /// An operator sees no primary that gets anywhere, and promotes the member that is furthest ahead. Where learners
    /// leave no quorum (before the healing, force may have brought it to that), only force leads out.
    fn promote_someone(&mut self) -> Result<(), BrokenPromise> {
        let members = self.world.members();
        let states: Vec<_> = members.iter().filter_map(|&id| self.world.status(id)).collect();
        if states.iter().any(|s| s.role == Role::Primary) {
            return Ok(());
        }
        let (learners, voices): (Vec<_>, Vec<_>) = states.iter().partition(|s| s.role == Role::Learner);
        let force = self.options.force && voices.len() <= members.len() / 2;
        let learners = learners.into_iter().filter(|_| force && voices.is_empty());
        match voices.iter().copied().chain(learners).max_by_key(|s| (s.last, s.id)) {
            Some(ahead) => self.order(ahead.id, Command::Promote { force }),
            None => Ok(()),
        }
    }

    /// Force may have discarded every whole copy of a value of which the primary has a damaged one. Nobody can repair it,
    /// and what is sent to the others waits for it: an operator sees that, and writes the key again.
    fn write_what_is_lost(&mut self) -> Result<(), BrokenPromise> {
        let members = self.world.members().into_iter();
        let states = members.filter_map(|id| self.world.status(id));
        let Some(primary) = states.filter(|s| s.role == Role::Primary).max_by_key(|s| s.epoch) else {
            return Ok(());
        };
        for key in self.clients.keys() {
            let lookup = self.world.cluster.node(primary.id).disk.lookup(&key);
            if matches!(lookup, Lookup::Damaged(_)) {
                let (client, command) = self.clients.write_again(self.world.now(), primary.id, &key);
                self.world.ask_on_the_spot(ClientRequest {
                    client,
                    home: None,
                    node: primary.id,
                    command,
                })?;
            }
        }
        Ok(())
    }

    /// Every key must be readable from every member.
    fn read_back(&mut self) -> Result<(), BrokenPromise> {
        for node in self.world.members() {
            for key in self.clients.keys() {
                self.read_at(node, &key)?;
            }
        }
        Ok(())
    }

    /// A member may refuse for a while: on an ordered link, what was delayed before the healing holds up the
    /// heartbeats behind it.
    fn read_at(&mut self, node: NodeId, key: &Bytes) -> Result<(), BrokenPromise> {
        let end = self.world.now() + SERVED_WITHIN;
        loop {
            let (client, command) = self.clients.read_back(self.world.now(), node, key);
            self.world.ask_on_the_spot(ClientRequest { client, home: None, node, command })?;
            self.until(end, |simulation| simulation.clients.all_done())?;
            match self.clients.must_have_been_served(client) {
                Err(broken) if self.world.now() >= end => return self.world.unless_oracle_off(broken),
                Err(_) => self.until(end.min(self.world.now() + READ_AGAIN_AFTER), |_| false)?,
                Ok(()) => return Ok(()),
            };
        }
    }
}
