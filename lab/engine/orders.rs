//! What a lab tells a running node on its standard input: one order a line, in words that both sides read here.
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
//! Only the lab holds a node's standard input, and a node takes orders only if it was started with `--conditions`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kvlab::types::{ClockCondition, DiskCondition, NodeCondition};

/// The longest order, in bytes, its end of line included.
pub const ORDER_BYTES_MAX: usize = 4096;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOrder {
    /// A condition of the node's disk or clock.
    Condition(NodeCondition),
}

impl fmt::Display for NodeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(NodeCondition::Disk(disk)) => match disk {
                DiskCondition::Ok => f.write_str("disk ok"),
                DiskCondition::Full => f.write_str("disk full"),
                DiskCondition::Slow { by } => write!(f, "disk slow {}us", by.as_micros()),
                DiskCondition::SyncFails => f.write_str("disk sync-fails"),
            },
            Self::Condition(NodeCondition::Clock(clock)) => match clock {
                ClockCondition::Ok => f.write_str("clock ok"),
                ClockCondition::Rate { permille } => write!(f, "clock rate {permille}"),
                ClockCondition::Jump { by } => write!(f, "clock jump {}us", by.as_micros()),
            },
        }
    }
}

impl FromStr for NodeOrder {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let condition = match words[..] {
            ["disk", ref how @ ..] => disk(how).map(NodeCondition::Disk)?,
            ["clock", ref how @ ..] => clock(how).map(NodeCondition::Clock)?,
            _ => bail!("there is no such order"),
        };
        Ok(Self::Condition(condition))
    }
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

    proptest! {
        #[test]
        fn what_is_ordered_is_understood(condition in condition()) {
            let order = NodeOrder::Condition(condition);
            let line = order.to_string();
            prop_assert!(line.len() < ORDER_BYTES_MAX && !line.contains('\n'));
            prop_assert_eq!(line.parse::<NodeOrder>().expect("understood"), order);
        }

        #[test]
        fn nonsense_is_no_order_and_no_panic(line in "(disk|clock|) ?(slow|rate|jump|ok)? ?[0-9a-z.-]{0,24}") {
            if let Ok(NodeOrder::Condition(condition)) = line.parse() {
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
            assert!(line.parse::<NodeOrder>().is_err(), "{line}");
        }
        for line in ["", "disk", "disk full now", "clock jump -1us", "clock jump 3600000001us", "wipe"] {
            assert!(line.parse::<NodeOrder>().is_err(), "{line}");
        }
    }
}
