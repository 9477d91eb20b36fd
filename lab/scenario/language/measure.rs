//! What can be measured of a run by name: the promises, the harm, the recovery. `[expect]`, `wait` and `expect`
//! steps use the same names, and so does the JSON of a run.

use std::fmt;
use std::time::Duration;

use super::words::{COMPARISON_EXPECTED, Comparison, DURATION_EXPECTED, duration, say_duration};
use crate::run::event::Verdict;

/// What a measure's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flag,
    Count,
    Millis,
    Limit,
}

/// Defines [`Measure`], with the name and the kind of each.
macro_rules! measures {
    ($($(#[$doc:meta])* $measure:ident: $name:literal, $kind:ident;)*) => {
        /// Something measured of a run. [`Measure::name`] is how a scenario says it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Measure {
            $($(#[$doc])* $measure,)*
        }

        impl Measure {
            /// All, in the order in which they are reported.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$measure),*];

            /// As in a scenario file.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$measure => $name,)*
                }
            }

            fn kind(self) -> Kind {
                match self {
                    $(Self::$measure => Kind::$kind,)*
                }
            }
        }
    };
}

measures! {
    /// Whether quorum operations are linearizable.
    Linearizable: "promise.linearizable", Flag;
    /// Quorum writes acknowledged.
    QuorumWritesAcked: "promise.quorum_writes_acked", Count;
    /// Of those in the ledger, lost.
    QuorumWritesLost: "promise.quorum_writes_lost", Count;
    /// Whether all members hold the same state in the end.
    MembersEqual: "promise.members_equal", Flag;
    /// Async writes acknowledged.
    AsyncWritesAcked: "harm.async_writes_acked", Count;
    /// Of those in the ledger, lost.
    AsyncWritesLost: "harm.async_writes_lost", Count;
    /// Eventual reads that returned something already overwritten.
    StaleReads: "harm.stale_reads", Count;
    /// The oldest of them, in milliseconds.
    StaleMaxMs: "harm.stale_max_ms", Millis;
    /// Eventual reads refused as too stale.
    RefusedStale: "harm.refused_stale", Count;
    /// Operations of unknown outcome.
    Unknown: "harm.unknown", Count;
    /// The longest time without a successful write though some were tried, in milliseconds.
    UnavailableMs: "harm.unavailable_ms", Millis;
    /// The longest time from the last repair to convergence.
    Recovery: "recovery.within", Limit;
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A number, or milliseconds.
    Count(u64),
    /// A time.
    Time(Duration),
}

/// What a measure is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `true` or `false`.
    Flag(bool),
    /// `">0"`, `0`.
    Count(Comparison),
    /// `"5s"`: at most.
    Limit(Duration),
}

/// One line of `[expect]`, or one condition of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// What is measured.
    pub measure: Measure,
    /// What it should be.
    pub expected: Expected,
}

impl Measure {
    /// The measure of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }

    /// Whether this says that the store kept its word, and not only what a user suffered.
    pub fn is_promise(self) -> bool {
        self.name().starts_with("promise.")
    }

    /// What is promised of it, if anything is: what a run must show unless its scenario says otherwise.
    pub(crate) fn demands(self) -> Option<Expected> {
        match self {
            Self::Linearizable | Self::MembersEqual => Some(Expected::Flag(true)),
            Self::QuorumWritesLost => Some(Expected::Count(Comparison::exactly(0))),
            _ => None,
        }
    }

    /// Whether it is known only after settling.
    pub fn needs_settling(self) -> bool {
        self.needs_ledger() || matches!(self, Self::MembersEqual | Self::Recovery)
    }

    /// Whether it is read from the ledger.
    pub fn needs_ledger(self) -> bool {
        matches!(self, Self::QuorumWritesLost | Self::AsyncWritesLost)
    }

    /// What may be written after this name, for an error.
    pub(crate) fn expects(self) -> &'static str {
        match self.kind() {
            Kind::Flag => "it is true or false",
            Kind::Limit => DURATION_EXPECTED,
            Kind::Count | Kind::Millis => COMPARISON_EXPECTED,
        }
    }

    /// Reads what is expected of this measure from a flag.
    pub(crate) fn expect_flag(self, flag: bool) -> Option<Expected> {
        (self.kind() == Kind::Flag).then_some(Expected::Flag(flag))
    }

    /// Reads what is expected of this measure from a number.
    pub(crate) fn expect_number(self, number: u64) -> Option<Expected> {
        let counts = matches!(self.kind(), Kind::Count | Kind::Millis);
        counts.then_some(Expected::Count(Comparison::exactly(number)))
    }

    /// Reads what is expected of this measure from text.
    pub(crate) fn expect_text(self, text: &str) -> Result<Expected, String> {
        match self.kind() {
            Kind::Flag => Err(format!("`{text}` is neither true nor false")),
            Kind::Limit => duration(text).map(Expected::Limit),
            kind => Comparison::parse(text, kind == Kind::Millis).map(Expected::Count),
        }
    }

    /// What was measured; `None`: it cannot be said (yet).
    pub fn read(self, verdict: &Verdict, recovery: Option<Duration>) -> Option<Value> {
        let (promise, harm) = (&verdict.promise, &verdict.harm);
        match self {
            Self::Linearizable => promise.linearizable.map(Value::Flag),
            Self::QuorumWritesAcked => Some(Value::Count(promise.quorum_writes_acked)),
            // Where nothing was acknowledged, nothing is proved by losing nothing.
            Self::QuorumWritesLost if promise.quorum_writes_acked == 0 => None,
            Self::AsyncWritesLost if harm.async_writes_acked == 0 => None,
            Self::QuorumWritesLost => promise.quorum_writes_lost.map(Value::Count),
            Self::MembersEqual => promise.members_equal.map(Value::Flag),
            Self::AsyncWritesAcked => Some(Value::Count(harm.async_writes_acked)),
            Self::AsyncWritesLost => harm.async_writes_lost.map(Value::Count),
            Self::StaleReads => Some(Value::Count(harm.stale_reads)),
            Self::StaleMaxMs => Some(Value::Count(harm.stale_max_ms)),
            Self::RefusedStale => Some(Value::Count(harm.refused_stale)),
            Self::Unknown => Some(Value::Count(harm.unknown)),
            Self::UnavailableMs => Some(Value::Count(harm.unavailable_ms)),
            Self::Recovery => recovery.map(Value::Time),
        }
    }
}

impl Expected {
    /// Whether `actual` is as expected.
    ///
    /// # Panics
    /// If the two are of different kinds: both come from the same [`Measure`].
    pub fn holds(self, actual: Value) -> bool {
        match (self, actual) {
            (Self::Flag(expected), Value::Flag(actual)) => expected == actual,
            (Self::Count(comparison), Value::Count(actual)) => comparison.holds(actual),
            (Self::Limit(limit), Value::Time(actual)) => actual <= limit,
            (expected, actual) => unreachable!("{actual:?} measured, {expected:?} expected"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(comparison) => write!(f, "{comparison}"),
            Self::Limit(limit) => f.write_str(&say_duration(*limit)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(n) => write!(f, "{n}"),
            Self::Time(time) => write!(f, "{}ms", time.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for measure in Measure::ALL {
            assert_eq!(Measure::named(measure.name()), Some(measure));
        }
        assert_eq!(Measure::named("promise.linearisable"), None);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let unknown = Verdict::default();
        for measure in Measure::ALL.into_iter().filter(|m| m.needs_settling()) {
            assert_eq!(measure.read(&unknown, None), None, "{}", measure.name());
        }
        assert_eq!(Measure::Linearizable.read(&unknown, None), None);
    }

    #[test]
    fn every_expectation_compares_with_what_its_measure_gives() {
        let mut verdict = Verdict::default();
        verdict.promise.linearizable = Some(true);
        verdict.promise.quorum_writes_acked = 5;
        verdict.promise.quorum_writes_lost = Some(0);
        verdict.promise.members_equal = Some(true);
        verdict.harm.async_writes_acked = 5;
        verdict.harm.async_writes_lost = Some(3);
        for measure in Measure::ALL {
            let texts = ["<=5s", "5s", ">=0", "0"];
            let from_text = texts.into_iter().find_map(|text| measure.expect_text(text).ok());
            let expected = measure.expect_flag(true).or(from_text).expect("some form fits");
            let actual = measure.read(&verdict, Some(Duration::from_secs(1))).expect("all is known");
            assert!(expected.holds(actual), "{} {expected} {actual}", measure.name());
        }
    }
}
