//! The page: what was found out about a run, put into the template.

use std::time::Duration;

use askama::Template;
use kvlab::judge::{Percentiles, Staleness};
use serde::Serialize;

use super::answers::{AnswerMark, Verdicts, verdicts};
use super::cards::{CARDS_MAX, CARDS_OPEN, Card, cards};
use super::chapters::{Chapter, chapters, line};
use super::chart::{Figure, Rivalry, letter, moment, rivalries};
use super::encode::{encode, json_in_page};
use super::faults::{FAULTS_MAX, Fault, faults};
use super::records::Records;
use crate::explain::Leadership;
use crate::run::event::{Header, LabEvent, Level, Stamped};
use crate::scenario::Embedded;
use crate::text::events::EventLine;
use crate::text::words::visible;

/// Events listed at most: warnings and errors before anything else.
const EVENTS_MAX: usize = 2000;
/// Leaderships listed at most, the first ones; the drawing has all.
const LEADERSHIPS_MAX: usize = 100;

const CSS: &str = concat!(
    include_str!("assets/page.css"),
    include_str!("assets/figure.css"),
    include_str!("assets/timeline.css")
);
const JS: &str = concat!(
    include_str!("assets/theme.js"),
    include_str!("assets/data.js"),
    include_str!("assets/filter.js"),
    include_str!("assets/view.js"),
    include_str!("assets/paint.js"),
    include_str!("assets/details.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/events.js"),
    include_str!("assets/main.js"),
);

#[derive(Template)]
#[template(path = "report.html", config = "lab/report/askama.toml")]
struct Page<'a> {
    css: &'static str,
    js: &'static str,
    title: String,
    episode: Option<String>,
    story: Option<String>,
    facts: Vec<(&'static str, String)>,
    verdicts: Verdicts,
    cards: Vec<Card>,
    cards_left_out: u64,
    chapters: Vec<Chapter>,
    by_hand: bool,
    figure: String,
    faults: Vec<Fault>,
    faults_are_all: bool,
    staleness: Staleness,
    percentiles: Vec<(&'static str, String, String)>,
    leaderships: &'a [Leadership],
    leaderships_left_out: usize,
    rivalries: Vec<Rivalry>,
    operations_shown: usize,
    operations_left_out: u64,
    ill_left_out: u64,
    events: Vec<EventLine>,
    events_left_out: usize,
    scenario: Option<&'a str>,
    again: String,
    data: String,
}

/// What the page's program reads.
#[derive(Serialize)]
struct Data {
    end: u64,
    operations: String,
    violations: Vec<DataViolation>,
    faults: Vec<DataFault>,
    steps: Vec<(u64, usize)>,
}

#[derive(Serialize)]
struct DataViolation {
    number: usize,
    operations: Vec<u64>,
}

#[derive(Serialize)]
struct DataFault {
    name: String,
    kind: &'static str,
    since: u64,
    until: u64,
}

/// The report as one HTML document. `name` is the run's, for people.
///
/// # Errors
/// If the records hold no header: they are not those of a run.
pub fn html(records: &Records, name: &str) -> anyhow::Result<String> {
    let Some(header) = records.header() else {
        anyhow::bail!("there is no header among the events of the run")
    };
    Ok(page(records, header, name).render()?)
}

fn page<'a>(records: &'a Records, header: &Header, name: &str) -> Page<'a> {
    let end_us = records.end_us();
    let scenario = header.scenario.as_ref();
    let (faults, cards, chapters) = (faults(&records.events, end_us), cards(records), chapters(records));
    let steps: Vec<_> =
        chapters.iter().filter_map(|chapter| Some((chapter.began_us?, chapter.number?))).collect();
    let figure = figure(records, header, &faults, &cards, &steps);
    let report = &records.history.report;
    let (events, events_left_out) = event_lines(records);
    let leaderships = records.evidence.leaderships();
    let violations_total = report.violations_total.max(records.violations().len() as u64);
    Page {
        css: CSS,
        js: JS,
        title: scenario
            .map_or_else(|| format!("kvlab up {}", header.nodes.len()), |scenario| visible(&scenario.title)),
        episode: scenario.and_then(|scenario| scenario.episode.as_deref()).map(visible),
        story: scenario.and_then(|scenario| scenario.story.as_deref()).map(visible),
        facts: facts(records, header, name),
        verdicts: verdicts(records),
        cards_left_out: violations_total.saturating_sub(cards.len() as u64),
        by_hand: scenario.is_none(),
        figure,
        faults_are_all: faults.len() < FAULTS_MAX,
        staleness: report.staleness,
        percentiles: percentiles(&report.staleness),
        leaderships: &leaderships[..leaderships.len().min(LEADERSHIPS_MAX)],
        leaderships_left_out: leaderships.len().saturating_sub(LEADERSHIPS_MAX),
        rivalries: rivalries(leaderships, end_us).into_iter().take(LEADERSHIPS_MAX).collect(),
        operations_shown: records.history.operations.shown.len(),
        operations_left_out: records.history.operations.left_out(),
        ill_left_out: records.history.operations.ill_left_out,
        events,
        events_left_out,
        scenario: records.scenario.as_deref(),
        again: again(header),
        data: json_in_page(&data(records, &faults, &cards, steps)),
        cards,
        chapters,
        faults,
    }
}

fn figure<'r>(
    records: &'r Records,
    header: &Header,
    faults: &[Fault],
    cards: &[Card],
    steps: &[(u64, usize)],
) -> String {
    let sample = |stamped: &'r Stamped| match &stamped.event {
        LabEvent::Load(sample) => Some((stamped.t_us, sample)),
        _ => None,
    };
    let samples: Vec<_> = records.events.iter().filter_map(sample).collect();
    let violations: Vec<u64> = cards.iter().map(|card| card.t_us).collect();
    let figure = Figure {
        end_us: records.end_us(),
        nodes: &header.nodes,
        steps,
        faults,
        leaderships: records.evidence.leaderships(),
        samples: &samples,
        stale: &records.history.stale,
        violations: &violations,
    };
    figure.svg()
}

fn data(records: &Records, faults: &[Fault], cards: &[Card], steps: Vec<(u64, usize)>) -> Data {
    let violation = |card: &Card| DataViolation {
        number: card.number,
        operations: card.operations.iter().map(|operation| operation.i).collect(),
    };
    let fault = |(nth, fault): (usize, &Fault)| DataFault {
        name: format!("{} {}", letter(nth), fault.what),
        kind: fault.kind.class(),
        since: fault.since_us,
        until: fault.until_us,
    };
    Data {
        end: records.end_us(),
        operations: encode(&records.history.operations),
        violations: cards.iter().map(violation).collect(),
        faults: faults.iter().enumerate().map(fault).collect(),
        steps,
    }
}

fn facts(records: &Records, header: &Header, name: &str) -> Vec<(&'static str, String)> {
    let started = i64::try_from(header.started_unix_s).ok();
    let started = started.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let members: Vec<_> = header.nodes.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("Run", visible(name)),
        ("Seed", header.seed.to_string()),
        ("Members", members.join(" ")),
        ("Lasted", moment(records.end_us())),
        ("Operations", records.history.operations.total.to_string()),
        ("kvlab", visible(&header.kvlab)),
    ];
    if let Some(started) = started {
        facts.insert(3, ("Began", started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()));
    }
    facts
}

/// The command that plays it again. A scenario that is not one of the program's lies in the run's directory.
fn again(header: &Header) -> String {
    let seed = header.seed;
    let Some(scenario) = &header.scenario else {
        let quirks: String = header.quirks.iter().map(|quirk| format!(" --quirk {quirk}")).collect();
        return format!("kvlab up {} --seed {seed}{quirks}", header.nodes.len());
    };
    let stem =
        |name: &str| name.rsplit('/').next() == Some(scenario.name.rsplit('/').next().unwrap_or_default());
    let embedded = crate::scenario::EMBEDDED.into_iter().find(|embedded: &Embedded| {
        stem(embedded.name) && crc32fast::hash(embedded.source.as_bytes()) == scenario.crc32
    });
    let called = embedded.map_or("scenario.toml", |embedded| embedded.name);
    format!("kvlab run {called} --seed {seed}")
}

fn percentiles(staleness: &Staleness) -> Vec<(&'static str, String, String)> {
    let of = |name, percentile: fn(&Percentiles) -> f64| {
        let (age, versions) = (percentile(&staleness.age_ms), percentile(&staleness.versions));
        (name, format!("{age:.1}"), format!("{versions:.0}"))
    };
    vec![
        of("median", |p| p.p50),
        of("90 %", |p| p.p90),
        of("99 %", |p| p.p99),
        of("99.9 %", |p| p.p999),
        of("maximum", |p| p.max),
    ]
}

/// Every event that has a line in plain words, at most [`EVENTS_MAX`], and how many are left out: the loud ones stay.
fn event_lines(records: &Records) -> (Vec<EventLine>, usize) {
    let lines = || records.events.iter().filter_map(line);
    let loud = |line: &EventLine| line.level >= Level::Warn;
    let total = lines().count();
    let mut quiet_room = EVENTS_MAX.saturating_sub(lines().filter(loud).count());
    let mut kept = |line: &EventLine| {
        if loud(line) {
            return true;
        }
        let room = quiet_room > 0;
        quiet_room = quiet_room.saturating_sub(1);
        room
    };
    let rows: Vec<_> = lines().filter(|line| kept(line)).take(EVENTS_MAX).collect();
    let left_out = total - rows.len();
    (rows, left_out)
}

impl Page<'_> {
    /// A moment since the run began.
    fn since(&self, at: &Duration) -> String {
        moment(u64::try_from(at.as_micros()).unwrap_or(u64::MAX))
    }

    /// How a member came to lead.
    fn how(&self, leadership: &Leadership) -> String {
        let voters: Vec<_> = leadership.voters.iter().map(ToString::to_string).collect();
        match (leadership.forced, voters.is_empty()) {
            (true, _) => "! by force: nobody was asked".to_owned(),
            (false, false) => format!("voted by {}", voters.join(" ")),
            (false, true) => "how was not told".to_owned(),
        }
    }

    /// How loud an event is: its mark, and the word for it.
    fn level(&self, line: &EventLine) -> (AnswerMark, &'static str) {
        match line.level {
            Level::Debug => (AnswerMark::PLAIN, "debug"),
            Level::Info => (AnswerMark::PLAIN, "info"),
            Level::Warn => (AnswerMark::WARN, "warning"),
            Level::Error => (AnswerMark::BAD, "error"),
        }
    }

    /// In seconds, to the millisecond.
    fn exactly(&self, t_us: &u64) -> String {
        format!("{:.3}", *t_us as f64 / 1e6)
    }

    fn letter(&self, nth: &usize) -> String {
        letter(*nth)
    }

    fn moment(&self, t_us: &u64) -> String {
        moment(*t_us)
    }

    fn cards_max(&self) -> usize {
        CARDS_MAX
    }

    fn cards_open(&self) -> usize {
        CARDS_OPEN
    }

    /// How many cards are folded away, said before the first of them.
    fn folded_from(&self, card: &Card) -> Option<usize> {
        (card.number == CARDS_OPEN + 1).then(|| self.cards.len() - CARDS_OPEN)
    }
}
