//! The small words of the scenario language: durations, rates, targets, comparisons. Each parses from text and
//! says, when it cannot, what it would have understood.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use kvlab::storage::Durability;
use kvlab::types::{NodeId, Quirk, UnknownQuirk};

use super::problem::closest;

/// No duration in a scenario is longer: a scenario is something that a person watches.
pub const DURATION_MAX: Duration = Duration::from_secs(60 * 60);
/// No rate is higher, in operations a second.
pub const RATE_MAX: u32 = 100_000;

/// Whom a step is about; what each word means at run time is said at `Roles::resolve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `n2`.
    Node(NodeId),
    /// `primary`: the live primary of the highest epoch.
    Primary,
    /// `old-primary`: the last other member that was it before.
    OldPrimary,
    /// `replicas`: every live member that is not a primary.
    Replicas,
    /// `replica-2`: the second of those.
    Replica(u8),
    /// `newest-replica`: the one of those whose log reaches furthest.
    NewestReplica,
    /// `majority`: the members on the side that holds a quorum while links are cut.
    Majority,
    /// `minority`: all others.
    Minority,
    /// `all`: every member.
    All,
}

/// The target words without a number in them.
pub(crate) const TARGET_WORDS: [(&str, Target); 7] = [
    ("primary", Target::Primary),
    ("old-primary", Target::OldPrimary),
    ("replicas", Target::Replicas),
    ("newest-replica", Target::NewestReplica),
    ("majority", Target::Majority),
    ("minority", Target::Minority),
    ("all", Target::All),
];

/// What every message about a target ends with.
pub(crate) const TARGETS_EXPECTED: &str = "a target is n1, n2, …, primary, old-primary, replicas, replica-1, replica-2, …, newest-replica, \
     majority, minority or all";

impl Target {
    /// Whether this names one member at most, so that a step for one node can use it.
    pub fn is_single(self) -> bool {
        match self {
            Self::Node(_) | Self::Primary | Self::OldPrimary | Self::Replica(_) | Self::NewestReplica => true,
            Self::Replicas | Self::Majority | Self::Minority | Self::All => false,
        }
    }

    /// Whether who is meant depends on what the cluster does, and not on the file alone.
    pub fn is_role(self) -> bool {
        !matches!(self, Self::Node(_) | Self::All)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, target)) = TARGET_WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*target);
        }
        if let Some(rank) = text.strip_prefix("replica-").and_then(|n| n.parse().ok())
            && (1..=8).contains(&rank)
        {
            return Ok(Self::Replica(rank));
        }
        if let Ok(node) = text.parse::<NodeId>() {
            return Ok(Self::Node(node));
        }
        let words = TARGET_WORDS.iter().map(|(word, _)| *word).chain(["replica-1"]);
        let hint = closest(text, words).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        Err(format!("there is no target `{}`{hint}", text.escape_debug()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "{node}"),
            Self::Replica(rank) => write!(f, "replica-{rank}"),
            word => {
                let found = TARGET_WORDS.iter().find(|(_, target)| target == word);
                f.write_str(found.map_or("?", |(text, _)| text))
            }
        }
    }
}

/// Reads `80ms`, `2s`, `1.5s` or `2m`; at most [`DURATION_MAX`].
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time > DURATION_MAX { Err(format!("`{text}` is too long; an hour is the most")) } else { Ok(time) }
}

/// As [`duration`], however long.
pub fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{}` is not a duration", text.escape_debug());
    let split = text.find(|c: char| c != '.' && !c.is_ascii_digit()).ok_or_else(|| {
        let unit = if text.is_empty() { "" } else { "; it has no unit" };
        format!("{}{unit}", bad())
    })?;
    let (number, unit) = text.split_at(split);
    let micros_per_unit: f64 = match unit {
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return Err(bad()),
    };
    let well_formed = number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit());
    let number: f64 = number.parse().ok().filter(|_| well_formed).ok_or_else(bad)?;
    Ok(Duration::from_micros((number * micros_per_unit).round() as u64))
}

/// What every message about a duration ends with.
pub const DURATION_EXPECTED: &str = "a duration is a number and a unit: \"80ms\", \"2s\", \"1.5s\", \"2m\"";

/// Reads `always`, `os` or `interval=10ms`.
pub fn durability(text: &str) -> Result<Durability, String> {
    let unknown = || format!("there is no durability `{}`", text.escape_debug());
    match text.strip_prefix("interval=") {
        None if text == "always" => Ok(Durability::Always),
        None if text == "os" => Ok(Durability::Os),
        Some(every) => match duration(every)? {
            Duration::ZERO => Err(unknown()),
            every => Ok(Durability::Interval(every)),
        },
        None => Err(unknown()),
    }
}

/// What every message about a durability ends with.
pub const DURABILITY_EXPECTED: &str = "expected always, os or interval=10ms";

/// Reads the name of a quirk.
pub fn quirk(text: &str) -> Result<Quirk, String> {
    text.parse().map_err(|why: UnknownQuirk| {
        let names = Quirk::ALL.map(Quirk::name);
        match closest(text, names) {
            Some(near) => format!("{why}; did you mean `{near}`?"),
            None => format!("{why}; there are {}", names.join(", ")),
        }
    })
}

/// Reads `300/s`.
pub fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").ok_or_else(|| format!("`{}` is not a rate", text.escape_debug()))?;
    let rate: u32 = number
        .parse()
        .ok()
        .filter(|_| number.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| format!("`{}` is not a rate", text.escape_debug()))?;
    if rate == 0 || rate > RATE_MAX {
        return Err(format!("`{text}` is out of range; 1/s to {RATE_MAX}/s is possible"));
    }
    Ok(rate)
}

/// Reads `5%` or `0.5%`, as thousandths; 0.1% to 100%.
pub fn percent(text: &str) -> Result<u16, String> {
    let bad = || format!("`{}` is not a part in percent", text.escape_debug());
    let number = text.strip_suffix('%').ok_or_else(bad)?;
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let permille = number.parse::<f64>().ok().filter(|_| plain).ok_or_else(bad)? * 10.0;
    if !(1.0..=1000.0).contains(&permille) {
        return Err(format!("`{text}` is out of range; 0.1% to 100% is possible"));
    }
    Ok(permille.round() as u16)
}

/// What every message about a part ends with.
pub(crate) const PERCENT_EXPECTED: &str = "a part is in percent: \"5%\", \"0.5%\"";

/// What every message about a rate ends with.
pub(crate) const RATE_EXPECTED: &str = "a rate is operations a second, all clients together: \"300/s\"";

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `0` or `==0`.
    Equal,
    /// `!=0`.
    NotEqual,
    /// `<3`.
    Less,
    /// `<=3`.
    AtMost,
    /// `>0`.
    Greater,
    /// `>=1`.
    AtLeast,
}

/// A number to compare with: `>0`, `<=3`, `7`. Prints as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How.
    pub relation: Relation,
    /// With what; milliseconds where the measure is a time.
    pub number: u64,
}

/// What every message about a comparison ends with.
pub(crate) const COMPARISON_EXPECTED: &str =
    "a comparison is a number, or text like \">0\", \">=1\", \"<3\", \"<=3\", \"==3\", \"!=0\"";

/// Longest first, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    ("!=", Relation::NotEqual),
    (">", Relation::Greater),
    ("<", Relation::Less),
];

impl Comparison {
    /// Exactly this many.
    pub fn exactly(number: u64) -> Self {
        Self { relation: Relation::Equal, number }
    }

    /// Reads `>0`; with `millis`, also `<5s`.
    pub fn parse(text: &str, millis: bool) -> Result<Self, String> {
        let bad = || format!("`{}` is not a comparison", text.escape_debug());
        let (relation, rest) = RELATIONS
            .iter()
            .find_map(|(sign, relation)| text.strip_prefix(sign).map(|rest| (*relation, rest.trim_start())))
            .unwrap_or((Relation::Equal, text));
        let digits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let number = match (digits, millis) {
            (true, _) => rest.parse().map_err(|_| bad())?,
            (false, true) => u64::try_from(duration(rest)?.as_millis()).map_err(|_| bad())?,
            (false, false) => return Err(bad()),
        };
        Ok(Self { relation, number })
    }

    /// Whether `actual` satisfies it.
    pub fn holds(self, actual: u64) -> bool {
        match self.relation {
            Relation::Equal => actual == self.number,
            Relation::NotEqual => actual != self.number,
            Relation::Less => actual < self.number,
            Relation::AtMost => actual <= self.number,
            Relation::Greater => actual > self.number,
            Relation::AtLeast => actual >= self.number,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.relation {
            Relation::Equal => "",
            other => RELATIONS.iter().find(|(_, r)| *r == other).map_or("", |(sign, _)| sign),
        };
        write!(f, "{sign}{}", self.number)
    }
}

/// `2s`, `1.5s`, `80ms`: as short as it can be said exactly.
pub fn say_duration(d: Duration) -> String {
    let us = d.as_micros();
    match us {
        0 => "0s".to_owned(),
        _ if us.is_multiple_of(1_000_000) => format!("{}s", us / 1_000_000),
        _ if us >= 1_000_000 && us.is_multiple_of(100_000) => format!("{:.1}s", d.as_secs_f64()),
        _ if us.is_multiple_of(1000) => format!("{}ms", us / 1000),
        _ => format!("{us}us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [("80ms", 80), ("2s", 2000), ("1.5s", 1500), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "-2s",
            "2sec",
            "1.s",
            ".5s",
            "1..5s",
            "2S",
            "250us",
            "1e3s",
            "²s",
            "99999999999999m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("61m").unwrap_err().contains("too long"));
        assert!(duration("2").unwrap_err().contains("no unit"));
    }

    #[test]
    fn rates() {
        assert_eq!(rate("300/s"), Ok(300));
        for text in ["300", "/s", "0/s", "-3/s", "+3/s", "300/m", "100001/s", "99999999999/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets_print_as_they_are_written() {
        for text in ["n1", "n9", "primary", "old-primary", "replicas", "replica-1", "replica-8"] {
            assert_eq!(text.parse::<Target>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        for (text, target) in TARGET_WORDS {
            assert_eq!(text.parse(), Ok(target));
            assert_eq!(target.to_string(), text);
        }
        for text in ["", "n0", "n01", "N1", "replica-0", "replica-9", "replica-", "replica", "primary "] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!("primry".parse::<Target>().unwrap_err().contains("did you mean `primary`?"));
    }

    #[test]
    fn comparisons() {
        let holds = |text: &str, n| Comparison::parse(text, false).map(|c| c.holds(n));
        for (text, yes, no) in [
            (">0", 1, 0),
            (">=1", 1, 0),
            ("<3", 2, 3),
            ("<=3", 3, 4),
            ("==3", 3, 2),
            ("!=0", 1, 0),
            ("3", 3, 4),
        ] {
            assert_eq!((holds(text, yes), holds(text, no)), (Ok(true), Ok(false)), "{text}");
        }
        assert_eq!(Comparison::parse("<5s", true).map(|c| c.number), Ok(5000));
        assert_eq!(Comparison::parse("> 7", false).map(|c| c.to_string()), Ok(">7".to_owned()));
        for text in ["", ">", "=3", "=>3", ">-1", "many", "<5s", "> > 1"] {
            assert!(Comparison::parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_are_thousandths() {
        for (text, permille) in [("5%", 50), ("0.5%", 5), ("0.1%", 1), ("100%", 1000), ("33.33%", 333)] {
            assert_eq!(percent(text), Ok(permille));
        }
        for text in ["", "%", "5", "0%", "-5%", "101%", "0.01%", "1e1%", "+5%", "5 %", "1.2.3%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_said_shortly() {
        for text in ["2s", "1.5s", "80ms", "120s", "1250ms", "0s"] {
            assert_eq!(duration(text).map(say_duration), Ok(text.to_owned()));
        }
    }
}
