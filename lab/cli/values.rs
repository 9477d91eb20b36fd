//! Values as they are typed. Whatever cannot be read is refused with what was expected.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use kvlab::storage::Durability;
use kvlab::types::NodeId;
use ratatui::layout::Size;

use crate::record;
use crate::run::bounds::{RECORD_BYTES_MIN, RunBounds};
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

/// How long ago: a [`time`], or `7d`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').map(str::parse::<u32>);
    match days {
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        Some(Err(_)) => Err(format!("{text:?} is not an age like 7d, 12h or 30m")),
        None => time(text).map_err(|_| format!("{text:?} is not an age like 7d, 12h or 30m")),
    }
}

/// A [`time`] since a run began, or its `end`.
pub(super) fn moment(text: &str) -> Result<Duration, String> {
    if text == "end" { Ok(Duration::MAX) } else { time(text).map_err(|why| format!("{why}, nor end")) }
}

/// A number of bytes, or `64MiB`, `1.5GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} is not a size like 64MiB, 1.5GiB or a number of bytes");
    let unit = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let bytes: f64 = match unit {
        "" => return number.parse().map_err(|_| expected()),
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(expected()),
    };
    let number: f64 = number.parse().map_err(|_| expected())?;
    Ok((number * bytes) as u64)
}

/// `120x36`: columns and rows of a screen.
pub(super) fn screen_size(text: &str) -> Result<Size, String> {
    let (min, max) = (record::SIZE_MIN, record::SIZE_MAX);
    let expected =
        || format!("{text:?} is not a size like 120x36, from {}x{} to {}x{}", min.0, min.1, max.0, max.1);
    let (columns, rows) = text.split_once('x').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u16>().map_err(|_| expected());
    let (columns, rows) = (number(columns)?, number(rows)?);
    let fits = (min.0..=max.0).contains(&columns) && (min.1..=max.1).contains(&rows);
    if fits { Ok(Size::new(columns, rows)) } else { Err(expected()) }
}

/// How many times as fast as the run.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.1..=100.0).contains(speed));
    speed.ok_or_else(|| format!("{text:?} is not a number from 0.1 to 100"))
}

/// How much of the record is kept: a [`size`], or `all`.
pub(super) fn record_max(text: &str) -> Result<RunBounds, String> {
    if text == "all" {
        return Ok(RunBounds::ALL);
    }
    let bytes = size(text).map_err(|why| format!("{why}, nor all"))?;
    if bytes < RECORD_BYTES_MIN {
        return Err(format!("{} MiB is the least", RECORD_BYTES_MIN >> 20));
    }
    Ok(RunBounds::of(bytes))
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
    fn ages_have_units() {
        for (text, s) in [("7d", 604_800), ("12h", 43_200), ("30m", 1800), ("0d", 0)] {
            assert_eq!(age(text), Ok(Duration::from_secs(s)), "{text}");
        }
        for text in ["", "7", "d", "1.5d", "-1d", "7 d", "week"] {
            assert!(age(text).expect_err(text).contains("like 7d, 12h or 30m"), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("1KiB", 1024), ("1.5MiB", 3 << 19), ("2GiB", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5", "1 MiB", "-1", "1MB", "1mib", "x", "1..5MiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(record_max("all"), Ok(RunBounds::ALL));
        assert_eq!(record_max("4MiB"), Ok(RunBounds::of(4 << 20)));
        assert_eq!(record_max("4194303"), Err("4 MiB is the least".to_owned()));
    }

    #[test]
    fn screens_have_a_size_and_films_a_speed() {
        assert_eq!(screen_size("80x24"), Ok(Size::new(80, 24)));
        for text in ["", "80", "x", "80x", "39x10", "80x101", "80X24", "80x24x2", "-80x24"] {
            assert!(screen_size(text).is_err(), "{text}");
        }
        assert_eq!(speed("1.5"), Ok(1.5));
        for text in ["", "0", "-1", "101", "NaN", "inf", "2x"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }

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
