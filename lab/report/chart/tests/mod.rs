//! The drawing as a whole.

use std::time::Duration;

use kvlab::types::{Epoch, NodeId};

use super::super::faults::{Fault, FaultKind};
use super::super::records::StaleReads;
use super::*;
use crate::report::tests::fixture;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn leadership(number: u64, primary: NodeId, since_ms: u64, until_ms: Option<u64>) -> Leadership {
    Leadership {
        epoch: Epoch::new(number, primary),
        primary,
        since: Duration::from_millis(since_ms),
        until: until_ms.map(Duration::from_millis),
        voters: Vec::new(),
        forced: number > 1,
    }
}

fn classes(svg: &str, class: &str) -> usize {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let has = |node: &roxmltree::Node<'_, '_>| {
        node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
    };
    document.descendants().filter(has).count()
}

#[test]
fn two_primaries_at_once_are_marked() {
    let leaderships =
        [leadership(1, N1, 0, Some(7000)), leadership(2, N2, 4000, None), leadership(3, N1, 7000, None)];
    let rivals = rivalries(&leaderships, 9_000_000);
    let said: Vec<_> = rivals.iter().map(|r| (r.epochs.as_str(), r.since_us, r.until_us)).collect();
    assert_eq!(said, [("1@n1 and 2@n2", 4_000_000, 7_000_000), ("2@n2 and 3@n1", 7_000_000, 9_000_000)]);
    assert_eq!(rivalries(&leaderships[..1], 9_000_000), []);
}

#[test]
fn everything_has_its_mark() {
    let leaderships = [leadership(1, N1, 0, Some(7000)), leadership(2, N2, 4000, None)];
    let fault =
        Fault {
            kind: FaultKind::Cut, since_us: 2_000_000, until_us: 7_000_000, what: "cut n1 ↔ n2".into()
        };
    let sample = LoadSample {
        interval_us: 100_000,
        ok: 30,
        failed: 2,
        p50_us: 500,
        p99_us: 9000,
        ..LoadSample::default()
    };
    let samples: Vec<_> = (1..90).map(|n| (n * 100_000, &sample)).collect();
    let figure = Figure {
        end_us: 9_000_000,
        nodes: &[N1, N2],
        steps: &[(0, 1), (0, 2), (2_000_000, 3)],
        faults: &[fault],
        leaderships: &leaderships,
        samples: &samples,
        stale: &StaleReads::default(),
        violations: &[5_000_000],
    };
    let svg = figure.svg();
    let counts = [
        "step",
        "fault",
        "band",
        "leadership",
        "forced",
        "rivalry",
        "violation",
        "ok-line",
        "bad-line",
        "p50-line",
        "p99-line",
    ]
    .map(|class| (class, classes(&svg, class)));
    let expected = [3, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1];
    assert_eq!(counts.map(|(_, count)| count), expected, "{counts:?}");
    assert!(svg.contains("no stale read was seen"));
}

#[test]
fn a_run_of_which_nothing_is_known_can_be_drawn() {
    let figure = Figure {
        end_us: 0,
        nodes: &[],
        steps: &[],
        faults: &[],
        leaderships: &[],
        samples: &[],
        stale: &StaleReads::default(),
        violations: &[],
    };
    let svg = figure.svg();
    assert_eq!(classes(&svg, "ok-line"), 0);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn the_size_does_not_grow_with_the_run() {
    let sample =
        LoadSample { interval_us: 100_000, ok: 30, p50_us: 500, p99_us: 9000, ..LoadSample::default() };
    let samples: Vec<_> = (1..400_000_u64).map(|n| (n * 100_000, &sample)).collect();
    let records = fixture::split_brain();
    let figure = Figure {
        end_us: 40_000_000_000,
        nodes: &[N1, N2],
        steps: &[],
        faults: &[],
        leaderships: &[],
        samples: &samples,
        stale: &records.history.stale,
        violations: &[],
    };
    assert!(figure.svg().len() < 100_000, "{}", figure.svg().len());
}
