//! From tables to a [`Scenario`]: everything that can be known to be wrong before anything is started is
//! found here, with its place.

use std::time::Duration;

use kvlab::storage::Durability;
use kvlab::types::{Quirk, Quirks, UnknownQuirk, WriteLevel};
use toml::Spanned;

use super::expectations::expectations;
use super::model::{Act, ClusterPlan, SETTLE_DEFAULT, STEPS_MAX, Scenario, Start, Step};
use super::parse;
use super::problem::{BadScenario, Checked, Problem};
use super::schema::{ClusterTable, FileTable, Form, StepTable, WorkloadTable};
use super::steps::{self, FileContext};
use super::values::{per_second, prose, ranged, time, word};
use super::words::{DURABILITY_EXPECTED, DURATION_MAX, durability, say_duration};
use crate::engine::NodeSettings;
use crate::workload::WorkloadOptions;

/// A title is one line.
const TITLE_CHARS_MAX: usize = 100;
/// A story, or what a step says.
const TEXT_CHARS_MAX: usize = 1000;
/// Every consistency with its meaning.
const LEVELS: [(&str, WriteLevel); 2] = [("async", WriteLevel::Async), ("quorum", WriteLevel::Quorum)];
/// What every message about a consistency ends with.
const LEVELS_EXPECTED: &str = "expected \"async\" or \"quorum\"";
/// Most client tasks of a workload.
const CLIENTS_MAX: i64 = 256;
/// Most contended keys of one family.
const REGISTERS_MAX: i64 = 1024;

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
    let context = FileContext {
        nodes: cluster.nodes,
        workload: workload.is_some(),
        ledger: workload.as_ref().is_some_and(|w| w.ledger),
        puts: file.step.iter().any(|step| step.get_ref().put.is_some()),
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
        steps: all_steps(&file.step, context)?,
        settle,
        expect: expectations(&file.expect, context)?,
    })
}

fn cluster(table: &ClusterTable) -> Checked<ClusterPlan> {
    if let Some(failover) = table.failover.as_ref().filter(|failover| failover.get_ref() != "manual") {
        let what = match failover.get_ref().as_str() {
            "auto" => "failover = \"auto\" is not supported yet by this version of kvlab".to_owned(),
            other => format!("there is no failover `{}`", other.escape_debug()),
        };
        return Err(Problem::new(failover.span(), what).help("expected \"manual\""));
    }
    let nodes = table.nodes.as_ref().map_or(Ok(3), |n| ranged(n, 1, 9, "nodes"))?;
    let backlog =
        table.backlog_bytes.as_ref().map(|n| ranged(n, 1024, 1 << 40, "backlog_bytes")).transpose()?;
    let segment =
        table.segment_bytes.as_ref().map(|n| ranged(n, 4 << 10, 1 << 30, "segment_bytes")).transpose()?;
    let cleanup = table.cleanup_bytes.as_ref().map(|n| ranged(n, 0, 1 << 40, "cleanup_bytes")).transpose()?;
    let scrub = table.scrub_rate.as_ref().map(|n| ranged(n, 0, 1 << 40, "scrub_rate")).transpose()?;
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
            scrub_rate: scrub,
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

fn workload(table: &WorkloadTable) -> Checked<WorkloadOptions> {
    let number = |n: &Option<Spanned<i64>>, default: u64, min: i64, max: i64, what: &str| {
        let n = n.as_ref().map_or(Ok(default), |n| ranged(n, min, max, what));
        n.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    let registers = number(&table.registers, 8, 0, REGISTERS_MAX, "registers")?;
    let ledger = table.ledger.as_ref().is_none_or(|ledger| *ledger.get_ref());
    if registers == 0 && !ledger {
        let place = table.ledger.as_ref().map_or(0..0, Spanned::span);
        return Err(Problem::new(place, "there is nothing to write to: neither registers nor a ledger")
            .help("expected registers = 1 or more, or ledger = true"));
    }
    Ok(WorkloadOptions {
        on: table.on.unwrap_or(true),
        clients: number(&table.clients, 6, 1, CLIENTS_MAX, "clients")?,
        rate: table.rate.as_ref().map_or(Ok(200), per_second)?,
        levels: table.consistency.as_ref().map_or(Ok(vec![WriteLevel::Async, WriteLevel::Quorum]), levels)?,
        registers,
        ledger,
        seed: 0,
    })
}

fn levels(list: &Spanned<Vec<Spanned<String>>>) -> Checked<Vec<WriteLevel>> {
    let mut levels = Vec::new();
    for text in list.get_ref() {
        let level = word(&LEVELS, text.get_ref(), text.span(), "consistency", Some(LEVELS_EXPECTED))?;
        if levels.contains(&level) {
            return Err(Problem::new(text.span(), "this consistency is listed twice"));
        }
        levels.push(level);
    }
    if levels.is_empty() {
        return Err(Problem::new(list.span(), "a workload needs a consistency").help(LEVELS_EXPECTED));
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

fn all_steps(tables: &[Spanned<StepTable>], context: FileContext) -> Checked<Vec<Step>> {
    if tables.is_empty() {
        return Err(Problem::new(0..0, "a scenario needs at least one [[step]]"));
    }
    if tables.len() > STEPS_MAX {
        return Err(Problem::new(tables[STEPS_MAX].span(), format!("more than {STEPS_MAX} steps")));
    }
    let mut clock = Duration::ZERO;
    tables.iter().map(|table| step(table, context, &mut clock)).collect()
}

/// `clock`: when this step can begin at the earliest.
fn step(table: &Spanned<StepTable>, context: FileContext, clock: &mut Duration) -> Checked<Step> {
    let inner = table.get_ref();
    let start = match (&inner.at, &inner.after) {
        (Some(at), Some(after)) => {
            let second = if at.span().start > after.span().start { at } else { after };
            return Err(Problem::new(second.span(), "a step has either `at` or `after`, not both"));
        }
        (Some(at), None) => {
            let time = time(at)?;
            if time < *clock {
                let before = say_duration(*clock);
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
    let act: Option<Act> = steps::act(inner, context)?;
    if say.is_none() && act.is_none() {
        return Err(Problem::new(table.span(), "this step neither says nor does anything")
            .help(format!("expected `say`, or one of: {}", steps::ACTIONS.join(", "))));
    }
    Ok(Step { start, say, act })
}
