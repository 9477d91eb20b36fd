//! The checks of one step: what it does, to whom, and that it does one thing only.

use std::ops::Range;
use std::time::Duration;

use kvlab::types::{
    CLOCK_JUMP_MAX, ClockCondition, DISK_SLOW_MAX, DiskCondition, NodeCondition, NodeId, ReadLevel,
    WriteLevel,
};
use toml::Spanned;

use super::model::{Act, Finds, Pairs, ProcessAction, Shape, StepOp, Wanted, WhichLinks};
use super::problem::{Checked, Problem};
use super::schema::{
    ClockTable, CutTable, DiskTable, FollowTable, Form, GetTable, PromoteTable, SlowTable, StepTable,
};
use super::values::{key, part, per_second, time, value, word};
use super::words::{TARGETS_EXPECTED, Target, say_duration};
use crate::action::SlowLink;

/// A link loses nine frames of ten at most.
const LOSS_PERMILLE_MAX: u16 = 900;

/// Names the actions once, for [`ACTIONS`] and for [`given`].
macro_rules! actions {
    ($($action:ident),* $(,)?) => {
        /// Every action that a step can have, in the order of the reference.
        pub(crate) const ACTIONS: [&str; [$(stringify!($action)),*].len()] = [$(stringify!($action)),*];

        /// The actions given in a step, with their places.
        fn given(step: &StepTable) -> Vec<(&'static str, Range<usize>)> {
            let spans = [$(step.$action.as_ref().map(Spanned::span)),*];
            ACTIONS.into_iter().zip(spans).filter_map(|(name, span)| Some((name, span?))).collect()
        }
    };
}

actions! {
    partition, cut, slow, reset, heal, kill, term, power_loss, tear_tail, wipe, restart, pause, resume, disk, clock, promote,
    follow,
    cleanup, put, get, del, load, wait, expect,
}

/// What the checks of a step must know of the rest of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileContext {
    /// 1 to 9.
    pub(crate) nodes: u8,
    /// There is a `[workload]`.
    pub(crate) workload: bool,
    /// It has a ledger.
    pub(crate) ledger: bool,
    /// Some steps write.
    pub(crate) puts: bool,
    /// The run ends by settling.
    pub(crate) settles: bool,
}

/// The one action of a step, if it has any.
pub(crate) fn act(step: &StepTable, check: FileContext) -> Checked<Option<Act>> {
    let mut given = given(step);
    given.sort_by_key(|(_, span)| span.start);
    if let [(first, _), (second, span), ..] = &given[..] {
        return Err(Problem::new(
            span.clone(),
            format!("this step does two things: `{first}` and `{second}`"),
        )
        .help("give each a [[step]] of its own"));
    }
    let process = |action, form: &Option<Spanned<Form>>| {
        form.as_ref().map(|targets| check.targets(targets).map(|targets| Act::Process(action, targets)))
    };
    let found = None
        .or_else(|| step.partition.as_ref().map(|form| check.partition(form)))
        .or_else(|| step.cut.as_ref().map(|form| check.cut(form)))
        .or_else(|| step.slow.as_ref().map(|table| check.slow(table)))
        .or_else(|| step.reset.as_ref().map(|form| check.reset(form)))
        .or_else(|| step.heal.as_ref().map(|form| check.heal(form)))
        .or_else(|| process(ProcessAction::Kill, &step.kill))
        .or_else(|| process(ProcessAction::Term, &step.term))
        .or_else(|| process(ProcessAction::PowerLoss, &step.power_loss))
        .or_else(|| process(ProcessAction::TearTail, &step.tear_tail))
        .or_else(|| process(ProcessAction::Wipe, &step.wipe))
        .or_else(|| process(ProcessAction::Restart, &step.restart))
        .or_else(|| process(ProcessAction::Pause, &step.pause))
        .or_else(|| process(ProcessAction::Resume, &step.resume))
        .or_else(|| step.disk.as_ref().map(|table| check.disk(table)))
        .or_else(|| step.clock.as_ref().map(|table| check.clock(table)))
        .or_else(|| step.promote.as_ref().map(|form| check.promote(form)))
        .or_else(|| step.follow.as_ref().map(|table| check.follow(table.get_ref())))
        .or_else(|| process(ProcessAction::Cleanup, &step.cleanup))
        .or_else(|| check.operation(step))
        .or_else(|| step.load.as_ref().map(|form| check.load(form)))
        .or_else(|| step.wait.as_ref().map(|table| check.wait(table)))
        .or_else(|| step.expect.as_ref().map(|table| check.expect(table)));
    found.transpose()
}

impl FileContext {
    fn target(&self, text: &str, span: Range<usize>) -> Checked<Target> {
        let nodes = self.nodes;
        let target: Target =
            text.parse().map_err(|why: String| Problem::new(span.clone(), why).help(TARGETS_EXPECTED))?;
        match target {
            Target::Node(NodeId(id)) if id > nodes => {
                let last = if nodes == 1 { String::new() } else { format!(" to n{nodes}") };
                Err(Problem::new(span, format!("there is no {target} in a cluster of {nodes}"))
                    .help(format!("the members are n1{last}; [cluster] nodes says how many")))
            }
            Target::Replica(rank) if rank >= nodes => {
                Err(Problem::new(span, format!("there is no {target} in a cluster of {nodes}"))
                    .help(format!("beside a primary it has {} replicas at most", nodes - 1)))
            }
            target => Ok(target),
        }
    }

    /// One target or a list of them, none twice.
    pub(crate) fn targets<T>(&self, form: &Spanned<Form<T>>) -> Checked<Vec<Target>> {
        let list = match form.get_ref() {
            Form::Text(text) => return Ok(vec![self.target(text, form.span())?]),
            Form::List(list) if !list.is_empty() => list,
            Form::List(_) => {
                return Err(Problem::new(form.span(), "this list names nobody").help(TARGETS_EXPECTED));
            }
            other => return Err(not_a_target(other, form.span())),
        };
        let mut targets: Vec<Target> = Vec::new();
        for item in list {
            let Form::Text(text) = item.get_ref() else {
                return Err(not_a_target(item.get_ref(), item.span()));
            };
            let target = self.target(text, item.span())?;
            if targets.contains(&target) {
                return Err(Problem::new(item.span(), format!("{target} is listed twice")));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    /// A target that names one member at most.
    pub(crate) fn single<T>(&self, form: &Spanned<Form<T>>) -> Checked<Target> {
        let Form::Text(text) = form.get_ref() else {
            return Err(not_a_target(form.get_ref(), form.span()));
        };
        let target = self.target(text, form.span())?;
        if target.is_single() {
            return Ok(target);
        }
        Err(Problem::new(form.span(), format!("{target} may name several members where one is needed"))
            .help("one member is n1, n2, …, primary, old-primary, replica-1, …, newest-replica"))
    }

    /// A member by its name: a role would contradict itself where a role is waited for.
    pub(crate) fn named<T>(&self, form: &Spanned<Form<T>>) -> Checked<Target> {
        let target = self.single(form)?;
        if matches!(target, Target::Node(_)) {
            return Ok(target);
        }
        Err(Problem::new(form.span(), format!("{target} is a role itself; which member is meant?"))
            .help("expected n1, n2, …"))
    }

    fn partition(&self, form: &Spanned<Form>) -> Checked<Act> {
        const EXPECTED: &str = "expected groups like [[\"primary\"], [\"replicas\"]], or one of: isolate-primary, \
                                halves, majorities-ring, bridge";
        let groups = match form.get_ref() {
            Form::Text(text) => return self.shape(text, form.span(), EXPECTED),
            Form::List(groups) if groups.len() >= 2 => groups,
            Form::List(_) => {
                return Err(Problem::new(form.span(), "a partition has two groups or more").help(EXPECTED));
            }
            other => {
                return Err(Problem::new(form.span(), format!("a partition cannot be {}", other.describe()))
                    .help(EXPECTED));
            }
        };
        let mut seen: Vec<Target> = Vec::new();
        let mut checked = Vec::new();
        for group in groups {
            let Form::List(items) = group.get_ref() else {
                let what = format!("a group is a list, not {}", group.get_ref().describe());
                return Err(Problem::new(group.span(), what).help(EXPECTED));
            };
            let targets = self.targets(group)?;
            if let Some((twice, item)) = targets.iter().zip(items).find(|(target, _)| seen.contains(target)) {
                return Err(Problem::new(item.span(), format!("{twice} is in two groups")));
            }
            seen.extend(&targets);
            checked.push(targets);
        }
        if seen.contains(&Target::All) {
            return Err(Problem::new(form.span(), "`all` leaves nobody for another group"));
        }
        Ok(Act::Partition(checked))
    }

    fn shape(&self, text: &str, span: Range<usize>, expected: &str) -> Checked<Act> {
        let shape = word(&Shape::WORDS, text, span.clone(), "partition", Some(expected))?;
        let least = match shape {
            Shape::IsolatePrimary | Shape::Halves => 2,
            Shape::Bridge => 3,
            Shape::MajoritiesRing => 4,
        };
        if self.nodes < least {
            let nodes = self.nodes;
            return Err(Problem::new(
                span,
                format!("`{text}` needs {least} members or more; there are {nodes}"),
            ));
        }
        Ok(Act::Shape(shape))
    }

    fn pairs(&self, table: &CutTable) -> Checked<Pairs> {
        let (from, to) = (self.targets(&table.from)?, self.targets(&table.to)?);
        if let ([Target::Node(a)], [Target::Node(b)]) = (&from[..], &to[..])
            && a == b
        {
            return Err(Problem::new(table.to.span(), format!("there is no link from {a} to itself")));
        }
        Ok(Pairs { from, to, both_ways: table.both_ways })
    }

    fn cut(&self, form: &Spanned<Form<CutTable>>) -> Checked<Act> {
        match form.get_ref() {
            Form::Table(table) => self.pairs(table).map(Act::Cut),
            _ => self.targets(form).map(Act::Isolate),
        }
    }

    fn reset(&self, form: &Spanned<Form<CutTable>>) -> Checked<Act> {
        let links = match form.get_ref() {
            Form::Table(table) => WhichLinks::Between(self.pairs(table)?),
            _ => WhichLinks::Of(self.targets(form)?),
        };
        Ok(Act::Reset(links))
    }

    fn heal(&self, form: &Spanned<Form<CutTable>>) -> Checked<Act> {
        match form.get_ref() {
            Form::Table(table) => self.pairs(table).map(Act::HealLinks),
            _ => self.targets(form).map(|targets| {
                if targets.contains(&Target::All) { Act::HealAll } else { Act::Heal(targets) }
            }),
        }
    }

    fn slow(&self, table: &Spanned<SlowTable>) -> Checked<Act> {
        let span = table.span();
        let table = table.get_ref();
        let links = match (&table.node, &table.from, &table.to) {
            (Some(node), None, None) => {
                if let Some(flag) = &table.both_ways {
                    return Err(Problem::new(flag.span(), "`node` already means both ways"));
                }
                WhichLinks::Of(self.targets(node)?)
            }
            (None, Some(from), Some(to)) => WhichLinks::Between(Pairs {
                from: self.targets(from)?,
                to: self.targets(to)?,
                both_ways: table.both_ways.as_ref().is_some_and(|flag| *flag.get_ref()),
            }),
            _ => {
                return Err(Problem::new(span, "it is not clear which links are slow")
                    .help("expected either `node`, or `from` and `to`"));
            }
        };
        let optional = |form: &Option<Spanned<Form>>| form.as_ref().map_or(Ok(Duration::ZERO), time);
        let share = |form: &Option<Spanned<Form>>| form.as_ref().map_or(Ok(0), part);
        let how = SlowLink {
            delay: optional(&table.delay)?,
            jitter: optional(&table.jitter)?,
            loss: share(&table.loss)?,
            duplicate: share(&table.duplicate)?,
        };
        match &table.delay {
            Some(delay) if how.delay.is_zero() => {
                return Err(Problem::new(delay.span(), "a delay of nothing slows nothing")
                    .help("`heal` heals a link"));
            }
            None if how == SlowLink::default() => {
                return Err(Problem::new(span, "it is not said what these links do")
                    .help("expected `delay`, `loss` or `duplicate`"));
            }
            _ => {}
        }
        if let Some(loss) = table.loss.as_ref().filter(|_| how.loss > LOSS_PERMILLE_MAX) {
            return Err(Problem::new(loss.span(), "a link that loses more than 90% is as good as cut")
                .help("`cut` cuts a link"));
        }
        Ok(Act::Slow { links, how })
    }

    fn disk(&self, table: &Spanned<DiskTable>) -> Checked<Act> {
        const EXPECTED: &str = "expected one of: full = true, slow = \"20ms\", sync_fails = true, ok = true";
        let span = table.span();
        let DiskTable { node, ok, full, slow, sync_fails } = table.get_ref();
        let condition = match (ok, full, slow, sync_fails) {
            (Some(flag), None, None, None) => only_true(flag, EXPECTED).map(|()| DiskCondition::Ok)?,
            (None, Some(flag), None, None) => only_true(flag, EXPECTED).map(|()| DiskCondition::Full)?,
            (None, None, None, Some(flag)) => only_true(flag, EXPECTED).map(|()| DiskCondition::SyncFails)?,
            (None, None, Some(slow), None) => {
                let condition = DiskCondition::Slow { by: time(slow)? };
                if !condition.is_possible() {
                    let most = say_duration(DISK_SLOW_MAX);
                    return Err(Problem::new(slow.span(), "a disk cannot be slower by that")
                        .help(format!("expected more than nothing and at most {most}")));
                }
                condition
            }
            (None, None, None, None) => {
                return Err(
                    Problem::new(span, "it is not said in which condition the disk is").help(EXPECTED)
                );
            }
            _ => return Err(Problem::new(span, "a disk has one condition at a time").help(EXPECTED)),
        };
        Ok(Act::SetCondition(NodeCondition::Disk(condition), self.targets(node)?))
    }

    fn clock(&self, table: &Spanned<ClockTable>) -> Checked<Act> {
        const EXPECTED: &str = "expected one of: rate = 1.5, jump = \"10s\", ok = true";
        let span = table.span();
        let ClockTable { node, ok, rate, jump } = table.get_ref();
        let condition = match (ok, rate, jump) {
            (Some(flag), None, None) => only_true(flag, EXPECTED).map(|()| ClockCondition::Ok)?,
            (None, Some(rate), None) => clock_rate(rate)?,
            (None, None, Some(jump)) => clock_jump(jump)?,
            (None, None, None) => {
                return Err(Problem::new(span, "it is not said what the clock does").help(EXPECTED));
            }
            _ => return Err(Problem::new(span, "a clock does one thing at a time").help(EXPECTED)),
        };
        Ok(Act::SetCondition(NodeCondition::Clock(condition), self.targets(node)?))
    }

    fn promote(&self, form: &Spanned<Form<PromoteTable>>) -> Checked<Act> {
        let Form::Table(table) = form.get_ref() else {
            return Ok(Act::Promote { node: self.single(form)?, force: false, outcome: Wanted::Ok });
        };
        Ok(Act::Promote {
            node: self.single(&table.node)?,
            force: table.force,
            outcome: outcome(table.outcome.as_ref())?,
        })
    }

    fn follow(&self, table: &FollowTable) -> Checked<Act> {
        let (node, primary) = (self.single(&table.node)?, self.single(&table.primary)?);
        if node == primary {
            return Err(Problem::new(table.primary.span(), format!("{node} cannot follow itself"))
                .help("`promote` makes a member the primary"));
        }
        Ok(Act::Follow { node, primary, outcome: outcome(table.outcome.as_ref())? })
    }

    fn operation(&self, step: &StepTable) -> Option<Checked<Act>> {
        let act = |node: &Spanned<Form>, wanted: &Option<Spanned<String>>, op: Checked<StepOp>| {
            Ok(Act::Operation { node: self.single(node)?, op: op?, outcome: outcome(wanted.as_ref())? })
        };
        if let Some(put) = &step.put {
            let put = put.get_ref();
            let op = key(&put.key).and_then(|key| {
                let value = put.value.as_ref().map(value).transpose()?;
                Ok(StepOp::Put { key, value, level: write_level(put.quorum) })
            });
            return Some(act(&put.node, &put.outcome, op));
        }
        if let Some(get) = &step.get {
            let get = get.get_ref();
            let level = if get.quorum { ReadLevel::Quorum } else { ReadLevel::Eventual };
            let op = finds(get).and_then(|finds| Ok(StepOp::Get { key: key(&get.key)?, level, finds }));
            return Some(act(&get.node, &get.outcome, op));
        }
        step.del.as_ref().map(|del| {
            let del = del.get_ref();
            let op = key(&del.key).map(|key| StepOp::Del { key, level: write_level(del.quorum) });
            act(&del.node, &del.outcome, op)
        })
    }

    fn load(&self, form: &Spanned<Form>) -> Checked<Act> {
        if !self.workload {
            return Err(Problem::new(form.span(), "there is no load to change").help("add a [workload]"));
        }
        match form.get_ref() {
            Form::Bool(on) => Ok(Act::Load { on: *on, rate: None }),
            Form::Text(_) => Ok(Act::Load { on: true, rate: Some(per_second(form)?) }),
            other => Err(Problem::new(form.span(), format!("load cannot be {}", other.describe()))
                .help("expected true, false or a rate like \"300/s\"")),
        }
    }
}

/// A flag that says something only if it is true.
fn only_true(flag: &Spanned<bool>, expected: &str) -> Checked<()> {
    if *flag.get_ref() {
        return Ok(());
    }
    Err(Problem::new(flag.span(), "it can only be true; `ok = true` takes a condition back")
        .help(expected.to_owned()))
}

fn clock_rate(form: &Spanned<Form>) -> Checked<ClockCondition> {
    let rate = match form.get_ref() {
        Form::Float(rate) => *rate,
        Form::Int(rate) => *rate as f64,
        other => {
            let what = format!("{} is not the rate of a clock", other.describe());
            return Err(Problem::new(form.span(), what).help(CLOCK_RATE_EXPECTED));
        }
    };
    // What is no number, or far too large, becomes one that is out of bounds.
    let condition = ClockCondition::Rate { permille: (rate * 1000.0).round() as u16 };
    if condition.is_possible() {
        return Ok(condition);
    }
    Err(Problem::new(form.span(), "a clock cannot run at that rate").help(CLOCK_RATE_EXPECTED))
}

const CLOCK_RATE_EXPECTED: &str = "expected 0.5 to 2.0; 1.0 is the true rate";

fn clock_jump(form: &Spanned<Form>) -> Checked<ClockCondition> {
    if matches!(form.get_ref(), Form::Text(text) if text.starts_with('-')) {
        return Err(Problem::new(form.span(), "a node's clock never goes back")
            .help("it can jump forward, or run slower: `rate = 0.5`"));
    }
    let condition = ClockCondition::Jump { by: time(form)? };
    if condition.is_possible() {
        return Ok(condition);
    }
    let most = say_duration(CLOCK_JUMP_MAX);
    Err(Problem::new(form.span(), "a clock cannot jump so far")
        .help(format!("expected more than nothing and at most {most}")))
}

fn not_a_target<T>(form: &Form<T>, span: Range<usize>) -> Problem {
    Problem::new(span, format!("{} is not a target", form.describe())).help(TARGETS_EXPECTED)
}

fn outcome(given: Option<&Spanned<String>>) -> Checked<Wanted> {
    given.map_or(Ok(Wanted::Ok), |text| word(&Wanted::WORDS, text.get_ref(), text.span(), "outcome", None))
}

fn write_level(quorum: bool) -> WriteLevel {
    if quorum { WriteLevel::Quorum } else { WriteLevel::Async }
}

fn finds(get: &GetTable) -> Checked<Finds> {
    if (get.value.is_some() || get.absent.is_some())
        && let Some(wanted) = get.outcome.as_ref().filter(|word| word.get_ref() != "ok")
    {
        return Err(Problem::new(wanted.span(), "a value is found only where the outcome is ok"));
    }
    match (&get.value, &get.absent) {
        (Some(_), Some(absent)) => Err(Problem::new(absent.span(), "a key with a value is not absent")),
        (Some(text), None) => Ok(Finds::Value(value(text)?)),
        (None, Some(absent)) if *absent.get_ref() => Ok(Finds::Nothing),
        (None, Some(absent)) => Err(Problem::new(absent.span(), "`absent` can only be true")),
        (None, None) => Ok(Finds::Anything),
    }
}
