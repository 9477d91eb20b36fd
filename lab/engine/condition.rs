//! The conditions of a node's disk and clock as orders: the words that follow `disk` and `clock` on its standard input.
//!
//! ```text
//! disk full
//! disk slow 20000us
//! disk sync-fails
//! disk ok
//! clock rate 1500        (thousandths of the true rate)
//! clock jump 10000000us
//! clock ok
//! ```
//!
//! A node takes them only if it was started with `--conditions`.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kvlab::types::{ClockCondition, DiskCondition, NodeCondition};

/// The first words of these orders.
pub(super) const DISK: &str = "disk";
pub(super) const CLOCK: &str = "clock";

/// An order, without its newline.
pub(super) fn words(condition: NodeCondition) -> String {
    match condition {
        NodeCondition::Disk(disk) => match disk {
            DiskCondition::Ok => "disk ok".to_owned(),
            DiskCondition::Full => "disk full".to_owned(),
            DiskCondition::Slow { by } => format!("disk slow {}us", by.as_micros()),
            DiskCondition::SyncFails => "disk sync-fails".to_owned(),
        },
        NodeCondition::Clock(clock) => match clock {
            ClockCondition::Ok => "clock ok".to_owned(),
            ClockCondition::Rate { permille } => format!("clock rate {permille}"),
            ClockCondition::Jump { by } => format!("clock jump {}us", by.as_micros()),
        },
    }
}

/// Understands what follows `disk` or `clock`.
pub(super) fn parse(word: &str, rest: &str) -> anyhow::Result<NodeCondition> {
    let how: Vec<&str> = rest.split_ascii_whitespace().collect();
    if word == DISK { disk(&how).map(NodeCondition::Disk) } else { clock(&how).map(NodeCondition::Clock) }
}

fn disk(how: &[&str]) -> anyhow::Result<DiskCondition> {
    let condition = match how {
        ["ok"] => DiskCondition::Ok,
        ["full"] => DiskCondition::Full,
        ["slow", by] => DiskCondition::Slow { by: time(by)? },
        ["sync-fails"] => DiskCondition::SyncFails,
        _ => bail!("a disk is ok, full, slow by a time, or its sync fails"),
    };
    ensure!(condition.is_possible(), "a disk cannot be so slow");
    Ok(condition)
}

fn clock(how: &[&str]) -> anyhow::Result<ClockCondition> {
    let condition = match how {
        ["ok"] => ClockCondition::Ok,
        ["rate", permille] => ClockCondition::Rate { permille: permille.parse()? },
        ["jump", by] => ClockCondition::Jump { by: time(by)? },
        _ => bail!("a clock is ok, has a rate, or jumps"),
    };
    ensure!(condition.is_possible(), "a clock cannot run or jump like that");
    Ok(condition)
}

fn time(text: &str) -> anyhow::Result<Duration> {
    let micros = text.strip_suffix("us").context("a time is like 20000us")?;
    Ok(Duration::from_micros(micros.parse()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition() -> impl Strategy<Value = NodeCondition> {
        let disk = prop_oneof![
            Just(DiskCondition::Ok),
            Just(DiskCondition::Full),
            Just(DiskCondition::SyncFails),
            (1u64..=10_000_000).prop_map(|us| DiskCondition::Slow { by: Duration::from_micros(us) }),
        ];
        let clock = prop_oneof![
            Just(ClockCondition::Ok),
            (500u16..=2000).prop_map(|permille| ClockCondition::Rate { permille }),
            (1u64..=3_600_000_000).prop_map(|us| ClockCondition::Jump { by: Duration::from_micros(us) }),
        ];
        prop_oneof![disk.prop_map(NodeCondition::Disk), clock.prop_map(NodeCondition::Clock)]
    }

    fn understood(line: &str) -> anyhow::Result<NodeCondition> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        parse(word, rest)
    }

    proptest! {
        #[test]
        fn what_is_ordered_is_understood(condition in condition()) {
            let line = words(condition);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(understood(&line).expect("understood"), condition);
        }

        #[test]
        fn nonsense_is_no_order_and_no_panic(line in "(disk|clock) ?(slow|rate|jump|ok)? ?[0-9a-z.-]{0,24}") {
            if let Ok(condition) = understood(&line) {
                let possible = match condition {
                    NodeCondition::Disk(disk) => disk.is_possible(),
                    NodeCondition::Clock(clock) => clock.is_possible(),
                };
                prop_assert!(possible);
            }
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for line in
            ["disk slow 0us", "disk slow 10000001us", "disk slow 20ms", "clock rate 499", "clock rate 2001"]
        {
            assert!(understood(line).is_err(), "{line}");
        }
        for line in ["disk", "disk full now", "clock jump -1us", "clock jump 3600000001us"] {
            assert!(understood(line).is_err(), "{line}");
        }
    }
}
