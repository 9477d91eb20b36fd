//! From tables to a [`Scenario`]: everything that can be known to be wrong before anything is started is
//! found here, with its place.

use std::ops::Range;
use std::time::Duration;

use kvlab::storage::Durability;
use kvlab::types::{Quirk, Quirks, UnknownQuirk, WriteLevel};
use toml::Spanned;

use super::model::{Act, ClusterPlan, SETTLE_DEFAULT, STEPS_MAX, Scenario, Start, Step, WorkloadPlan};
use super::parse;
use super::problem::{BadScenario, Problem};
use super::schema::{ClusterTable, Entries, FileTable, Form, StepTable, WorkloadTable};
use super::steps;
use super::words::{
    DURABILITY_EXPECTED, DURATION_EXPECTED, DURATION_MAX, RATE_EXPECTED, durability, duration, rate,
};
use crate::engine::NodeSettings;
use crate::scenario::play::measure::{Expect, Measure};

/// A title is one line.
const TITLE_CHARS_MAX: usize = 100;
/// A story, or what a step says.
const TEXT_CHARS_MAX: usize = 1000;
/// Most client tasks of a workload.
const CLIENTS_MAX: i64 = 256;
/// Most contended keys of one family.
const REGISTERS_MAX: i64 = 1024;

pub(crate) type Checked<T> = Result<T, Problem>;

/// What the checks of a step must know of the rest of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// 1 to 9.
    pub(crate) nodes: u8,
    /// There is a `[workload]`.
    pub(crate) workload: bool,
    /// It has a ledger.
    pub(crate) ledger: bool,
    /// The run ends by settling.
    pub(crate) settles: bool,
}

impl Scenario {
    /// Reads and validates the whole text. `name` is the file's stem, `file` what messages call it.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, BadScenario> {
        parse::tables(text)
            .and_then(|tables| scenario(name, text, &tables))
            .map_err(|problem| problem.locate(file, text))
    }
}

fn scenario(name: &str, text: &str, file: &FileTable) -> Checked<Scenario> {
    let title = file.title.as_ref().ok_or_else(|| {
        Problem::new(0..0, "a scenario needs a title").help("write title = \"…\" at the top of the file")
    })?;
    let cluster = cluster(&file.cluster)?;
    let workload = file.workload.as_ref().map(workload).transpose()?;
    let settle = file.settle.as_ref().map_or(Ok(Some(SETTLE_DEFAULT)), settle)?;
    let around = Surroundings {
        nodes: cluster.nodes,
        workload: workload.is_some(),
        ledger: workload.as_ref().is_some_and(|w| w.ledger),
        settles: settle.is_some(),
    };
    Ok(Scenario {
        name: name.to_owned(),
        title: prose(title, TITLE_CHARS_MAX)?,
        episode: file.episode.as_ref().map(|text| prose(text, TITLE_CHARS_MAX)).transpose()?,
        story: file.story.as_ref().map(|text| prose(text, TEXT_CHARS_MAX)).transpose()?,
        source: text.to_owned(),
        cluster,
        workload,
        steps: all_steps(&file.step, around)?,
        settle,
        expect: expectations(&file.expect, around)?,
    })
}

fn cluster(table: &ClusterTable) -> Checked<ClusterPlan> {
    if let Some(failover) = &table.failover {
        match failover.get_ref().as_str() {
            "manual" => {}
            "auto" => {
                return Err(Problem::new(
                    failover.span(),
                    "failover = \"auto\" is not supported yet by this version of kvlab",
                )
                .help("expected \"manual\""));
            }
            other => {
                return Err(Problem::new(
                    failover.span(),
                    format!("there is no failover `{}`", other.escape_debug()),
                )
                .help("expected \"manual\""));
            }
        }
    }
    let nodes = table.nodes.as_ref().map_or(Ok(3), |n| ranged(n, 1, 9, "nodes"))?;
    let backlog =
        table.backlog_bytes.as_ref().map(|n| ranged(n, 1024, 1 << 40, "backlog_bytes")).transpose()?;
    let segment =
        table.segment_bytes.as_ref().map(|n| ranged(n, 4 << 10, 1 << 30, "segment_bytes")).transpose()?;
    let cleanup = table.cleanup_bytes.as_ref().map(|n| ranged(n, 0, 1 << 40, "cleanup_bytes")).transpose()?;
    let lag = table.stale_lag.as_ref().map(|n| ranged(n, 0, 1 << 40, "stale_lag")).transpose()?;
    Ok(ClusterPlan {
        nodes: u8::try_from(nodes).unwrap_or(3),
        settings: NodeSettings {
            durability: table.durability.as_ref().map(durable).transpose()?,
            stale_after: table.stale_after.as_ref().map(time).transpose()?,
            stale_lag: lag,
            backlog_bytes: backlog,
            segment_bytes: segment,
            cleanup_bytes: cleanup,
            quirks: table.quirks.as_ref().map_or(Ok(Quirks::NONE), quirks)?,
        },
    })
}

fn quirks(list: &Spanned<Vec<Spanned<String>>>) -> Checked<Quirks> {
    let mut quirks = Quirks::NONE;
    for word in list.get_ref() {
        let quirk: Quirk = word.get_ref().parse().map_err(|why: UnknownQuirk| {
            let names = || Quirk::ALL.into_iter().map(Quirk::name);
            let expected = names().collect::<Vec<_>>().join(", ");
            Problem::new(word.span(), why.to_string())
                .did_you_mean(word.get_ref(), names())
                .help(format!("expected one of: {expected}"))
        })?;
        if quirks.has(quirk) {
            return Err(Problem::new(word.span(), "this quirk is listed twice"));
        }
        quirks = quirks.union(quirk.into());
    }
    Ok(quirks)
}

fn durable(text: &Spanned<String>) -> Checked<Durability> {
    durability(text.get_ref()).map_err(|why| Problem::new(text.span(), why).help(DURABILITY_EXPECTED))
}

fn workload(table: &WorkloadTable) -> Checked<WorkloadPlan> {
    let number = |n: &Option<Spanned<i64>>, default: u64, min: i64, max: i64, what: &str| {
        let n = n.as_ref().map_or(Ok(default), |n| ranged(n, min, max, what));
        n.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    Ok(WorkloadPlan {
        on: table.on.unwrap_or(true),
        clients: number(&table.clients, 6, 1, CLIENTS_MAX, "clients")?,
        rate: table.rate.as_ref().map_or(Ok(200), per_second)?,
        levels: table.consistency.as_ref().map_or(Ok(vec![WriteLevel::Async, WriteLevel::Quorum]), levels)?,
        registers: number(&table.registers, 8, 0, REGISTERS_MAX, "registers")?,
        ledger: table.ledger.unwrap_or(true),
    })
}

fn levels(list: &Spanned<Vec<Spanned<String>>>) -> Checked<Vec<WriteLevel>> {
    let mut levels = Vec::new();
    for word in list.get_ref() {
        let level = match word.get_ref().as_str() {
            "async" => WriteLevel::Async,
            "quorum" => WriteLevel::Quorum,
            other => {
                return Err(Problem::new(
                    word.span(),
                    format!("there is no consistency `{}`", other.escape_debug()),
                )
                .did_you_mean(other, ["async", "quorum"])
                .help("expected \"async\" or \"quorum\""));
            }
        };
        if levels.contains(&level) {
            return Err(Problem::new(word.span(), "this consistency is listed twice"));
        }
        levels.push(level);
    }
    if levels.is_empty() {
        return Err(Problem::new(list.span(), "a workload needs a consistency")
            .help("expected \"async\" or \"quorum\""));
    }
    Ok(levels)
}

fn settle(form: &Spanned<Form>) -> Checked<Option<Duration>> {
    match form.get_ref() {
        Form::Bool(false) => Ok(None),
        Form::Text(_) => time(form).map(Some),
        other => Err(Problem::new(form.span(), format!("settle cannot be {}", other.describe()))
            .help("expected a duration like \"10s\", or false")),
    }
}

fn all_steps(tables: &[Spanned<StepTable>], around: Surroundings) -> Checked<Vec<Step>> {
    if tables.is_empty() {
        return Err(Problem::new(0..0, "a scenario needs at least one [[step]]"));
    }
    if tables.len() > STEPS_MAX {
        return Err(Problem::new(tables[STEPS_MAX].span(), format!("more than {STEPS_MAX} steps")));
    }
    let mut clock = Duration::ZERO;
    tables.iter().map(|table| step(table, around, &mut clock)).collect()
}

/// `clock`: when this step can begin at the earliest.
fn step(table: &Spanned<StepTable>, around: Surroundings, clock: &mut Duration) -> Checked<Step> {
    let inner = table.get_ref();
    let start = match (&inner.at, &inner.after) {
        (Some(at), Some(after)) => {
            let second = if at.span().start > after.span().start { at } else { after };
            return Err(Problem::new(second.span(), "a step has either `at` or `after`, not both"));
        }
        (Some(at), None) => {
            let time = time(at)?;
            if time < *clock {
                let before = super::words::say_duration(*clock);
                let what = format!("`at` goes backwards: the steps before take until {before} at least");
                return Err(Problem::new(at.span(), what)
                    .help("`at` counts from the start of the run, `after` from the end of the step before"));
            }
            *clock = time;
            Start::At(time)
        }
        (None, Some(after)) => {
            let time = time(after)?;
            *clock += time;
            Start::After(time)
        }
        (None, None) => Start::Now,
    };
    if *clock > DURATION_MAX {
        return Err(Problem::new(table.span(), "the steps take longer than an hour"));
    }
    let say = inner.say.as_ref().map(|text| prose(text, TEXT_CHARS_MAX)).transpose()?;
    let act: Option<Act> = steps::act(inner, around)?;
    if say.is_none() && act.is_none() {
        return Err(Problem::new(table.span(), "this step neither says nor does anything")
            .help(format!("expected `say`, or one of: {}", steps::ACTIONS.join(", "))));
    }
    Ok(Step { start, say, act })
}

/// `[expect]`, flattened: `promise.linearizable = true` is an entry `linearizable` in an entry `promise`.
fn expectations(table: &Entries, around: Surroundings) -> Checked<Vec<Expect>> {
    let mut found: Vec<(Range<usize>, Expect)> = Vec::new();
    for (key, value) in &table.0 {
        let group = match value.get_ref() {
            Form::Table(entries) => measured(key.get_ref(), entries)?,
            _ => vec![(key.span(), one_measured(key, key.get_ref(), value)?)],
        };
        for (at, expect) in group {
            let name = expect.measure.name();
            let place = || at.clone();
            if found.iter().any(|(_, other)| other.measure == expect.measure) {
                return Err(Problem::new(place(), format!("`{name}` is expected twice")));
            }
            if expect.measure.needs_settling() && !around.settles {
                return Err(Problem::new(place(), format!("`{name}` is known only after settling"))
                    .help("this scenario has settle = false"));
            }
            if expect.measure.needs_ledger() && !around.ledger {
                return Err(Problem::new(place(), format!("`{name}` is read from the ledger"))
                    .help("write ledger = true under [workload]"));
            }
            found.push((at, expect));
        }
    }
    found.sort_by_key(|(at, _)| at.start);
    Ok(found.into_iter().map(|(_, expect)| expect).collect())
}

/// The entries of one group of measures (`promise`, `harm`, `recovery`), each with its place.
pub(crate) fn measured(group: &str, entries: &Entries) -> Checked<Vec<(Range<usize>, Expect)>> {
    let one = |(key, value): &(Spanned<String>, Spanned<Form<Entries>>)| {
        let name = format!("{group}.{}", key.get_ref());
        Ok((key.span(), one_measured(key, &name, value)?))
    };
    entries.0.iter().map(one).collect()
}

fn one_measured(key: &Spanned<String>, name: &str, value: &Spanned<Form<Entries>>) -> Checked<Expect> {
    let names = || Measure::ALL.into_iter().map(Measure::name);
    let measure = Measure::named(name).ok_or_else(|| {
        // A forgotten group is a likely slip: `linearizable` for `promise.linearizable`.
        let ending = format!(".{name}");
        let grouped = names().find(|known| known.ends_with(&ending));
        let problem = Problem::new(key.span(), format!("there is no measure `{}`", name.escape_debug()));
        let problem = match grouped {
            Some(known) => problem.help(format!("did you mean `{known}`?")),
            None => problem.did_you_mean(name, names()),
        };
        problem.help(format!("expected one of: {}", names().collect::<Vec<_>>().join(", ")))
    })?;
    let expected = match value.get_ref() {
        Form::Bool(flag) => measure.expect_flag(*flag),
        Form::Int(n) => u64::try_from(*n).ok().and_then(|n| measure.expect_number(n)),
        Form::Text(text) => {
            let bad = |why| Problem::new(value.span(), why).help(measure.expects());
            Some(measure.expect_text(text).map_err(bad)?)
        }
        _ => None,
    };
    let found = value.get_ref().describe();
    let expected = expected.ok_or_else(|| {
        Problem::new(value.span(), format!("`{name}` cannot be compared with {found}"))
            .help(measure.expects())
    })?;
    Ok(Expect { measure, expected })
}

/// A whole number within bounds.
fn ranged(n: &Spanned<i64>, min: i64, max: i64, what: &str) -> Checked<u64> {
    let value = *n.get_ref();
    if value < min || value > max {
        return Err(Problem::new(n.span(), format!("{what} = {value} is out of range"))
            .help(format!("expected {min} to {max}")));
    }
    Ok(value.unsigned_abs())
}

/// A duration.
pub(crate) fn time<T>(form: &Spanned<Form<T>>) -> Checked<Duration> {
    let read = match form.get_ref() {
        Form::Text(text) => duration(text),
        other => Err(format!("{} is not a duration", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(DURATION_EXPECTED))
}

/// A rate.
pub(crate) fn per_second(form: &Spanned<Form>) -> Checked<u32> {
    let read = match form.get_ref() {
        Form::Text(text) => rate(text),
        other => Err(format!("{} is not a rate", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(RATE_EXPECTED))
}

/// Text for people: line breaks become spaces, and nothing in it can upset a terminal.
fn prose(text: &Spanned<String>, chars_max: usize) -> Checked<String> {
    let joined = text.get_ref().split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.is_empty() {
        return Err(Problem::new(text.span(), "this text is empty"));
    }
    if joined.chars().any(char::is_control) {
        return Err(Problem::new(text.span(), "this text holds control characters"));
    }
    if joined.chars().count() > chars_max {
        return Err(Problem::new(text.span(), format!("this text is longer than {chars_max} characters")));
    }
    Ok(joined)
}
