//! Values as they are typed. Whatever cannot be read is refused with what was expected.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use kvlab::storage::Durability;
use kvlab::types::NodeId;

use crate::scenario;

/// `80ms`, `2s`, `1.5s`, `2m`: as in scenarios.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    scenario::duration(text).map_err(|why| format!("{why}; {}", scenario::DURATION_EXPECTED))
}

/// `always`, `os`, `interval=10ms`: as in scenarios.
pub(super) fn durability(text: &str) -> Result<Durability, String> {
    scenario::durability(text).map_err(|why| format!("{why}; {}", scenario::DURABILITY_EXPECTED))
}

/// `0..1000`.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let expected = "expected two numbers like 0..1000, the second one larger";
    let (from, to) = text.split_once("..").ok_or(expected)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| expected.to_owned());
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() { Err(expected.to_owned()) } else { Ok(seeds) }
}

/// A time as a node takes it: `250ms`, `5s`, `1.5s`, `2m`, `1h`. As in scenarios, and as long as anybody likes.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let minutes = text.strip_suffix('h').map(|hours| format!("{hours}m"));
    let time = scenario::time(minutes.as_deref().unwrap_or(text));
    let time = time.map_err(|_| format!("{text:?} is not a time like 250ms, 5s or 2m"))?;
    Ok(if minutes.is_some() { time * 60 } else { time })
}

/// Bytes a second of the scrub, or `off`.
pub(super) fn scrub_rate(text: &str) -> Result<u64, String> {
    match text {
        "off" => Ok(0),
        number => number.parse().map_err(|_| "expected a number of bytes a second, or off".to_owned()),
    }
}

/// `always`, `os`, or `interval=TIME` with a [`time`].
pub(super) fn node_durability(text: &str) -> Result<Durability, String> {
    match text.strip_prefix("interval=") {
        Some(every) => Ok(Durability::Interval(time(every)?)),
        None => scenario::durability(text)
            .map_err(|_| "expected always, interval=TIME (like interval=10ms) or os".to_owned()),
    }
}

/// `0.5`, or `off`.
pub(super) fn ratio(text: &str) -> anyhow::Result<f64> {
    let ratio = if text == "off" { Some(f64::INFINITY) } else { text.parse().ok() };
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio) || *ratio == f64::INFINITY && text == "off")
        .with_context(|| format!("{text:?} is neither a number from 0 to 1 nor off"))
}

/// `n2=127.0.0.1:4002`.
pub(super) fn link(text: &str) -> anyhow::Result<(NodeId, String)> {
    let (to, addr) = text.split_once('=').context("expected NODE=HOST:PORT, like n2=127.0.0.1:4002")?;
    Ok((to.parse()?, addr.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in
            [("250ms", 250), ("5s", 5_000), ("1.5s", 1_500), ("2m", 120_000), ("0s", 0), ("1.5h", 5_400_000)]
        {
            assert_eq!(time(text).expect(text), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-1s", "1e400s", "5d", "NaNs", "h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
