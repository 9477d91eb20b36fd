//! Quirks: famous mistakes, kept so that they can be seen. Off unless asked for.
//!
//! A quirk takes one rule out of the core. It keeps the judge and the simulator honest, for both must find what comes
//! of it, and it teaches what the rule was for. Each branch in the core is marked by the quirk's name;
//! `docs/museum.md` has a room for each, with the proof that it produces.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One mistake, by name. Prints and parses as `no-fence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quirk {
    /// A quorum is a majority of the members heard lately, not of the configured ones: a shrinking cluster goes on
    /// reaching it. kv-go, episode 026.
    DynamicQuorum,
    /// A quorum read returns the version of the highest seq that a majority names, whatever its epoch, committed or
    /// not. kv-go, episode 027.
    HighestSeqRead,
    /// A quorum read asks nobody else: the fan-out was forgotten. kv-go, episode 027.
    LocalQuorumRead,
    /// A vote does not bind: until a member holds an entry of the new epoch, it goes on taking and acknowledging those
    /// of the old primary. kv-go, episode 032.
    NoFence,
    /// What a member promised to another it does not save: a restart forgets the vote.
    VoteAmnesia,
    /// An entry counts as durable as soon as it has been handed to the disk. kv-go, episode 004.
    AckBeforeSync,
    /// Where two logs join is decided by seq alone: a partial resync goes across timelines. kv-go, episodes 015 and
    /// 020.
    NoLineageCheck,
    /// A new primary counts entries of older epochs as committed when a quorum holds them, and opens its epoch without
    /// one of its own; a quorum read believes the same (Raft §5.4.2, figure 8).
    CountOldEpochs,
    /// A member that has lost what it had acknowledged (its log torn below the mark, or its disk wiped) goes on voting,
    /// counting and standing, as if it had not.
    NoLearners,
}

/// Name and mistake of each, in the order of [`Quirk::ALL`].
const WORDS: [(&str, &str); 9] = [
    ("dynamic-quorum", "a majority of the members heard lately counts as a quorum"),
    ("highest-seq-read", "a quorum read returns the highest seq that a majority names"),
    ("local-quorum-read", "a quorum read asks nobody else"),
    ("no-fence", "a member that has voted still takes the old primary's entries"),
    ("vote-amnesia", "a restart forgets the vote"),
    ("ack-before-sync", "a write is acknowledged before it is on disk"),
    ("no-lineage-check", "logs are joined by seq alone, whoever wrote them"),
    ("count-old-epochs", "entries of older epochs count as committed when a quorum holds them"),
    ("no-learners", "a member that has lost what it acknowledged goes on voting and standing"),
];

/// A small set of quirks; usually none. Prints as `no-fence, vote-amnesia`, and travels as a list of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quirks(u16);

/// A name that no quirk has. The names that there are: [`Quirk::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no quirk `{}`", .0.escape_debug())]
pub struct UnknownQuirk(pub String);

impl Quirk {
    /// All of them, in the order of the museum's rooms.
    pub const ALL: [Self; 9] = [
        Self::DynamicQuorum,
        Self::HighestSeqRead,
        Self::LocalQuorumRead,
        Self::NoFence,
        Self::VoteAmnesia,
        Self::AckBeforeSync,
        Self::NoLineageCheck,
        Self::CountOldEpochs,
        Self::NoLearners,
    ];

    /// As it is written everywhere.
    pub const fn name(self) -> &'static str {
        WORDS[self as usize].0
    }

    /// What goes wrong, for whoever meets it: half a sentence.
    pub const fn mistake(self) -> &'static str {
        WORDS[self as usize].1
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl Quirks {
    /// The store as it should be.
    pub const NONE: Self = Self(0);

    /// Whether this mistake is made.
    pub const fn has(self, quirk: Quirk) -> bool {
        self.0 & quirk.bit() != 0
    }

    /// Whether no mistake is made.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in it, in the order of [`Quirk::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Quirk> {
        Quirk::ALL.into_iter().filter(move |&quirk| self.has(quirk))
    }
}

impl From<Quirk> for Quirks {
    fn from(quirk: Quirk) -> Self {
        Self(quirk.bit())
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        quirks.into_iter().fold(Self::NONE, |all, quirk| all.union(quirk.into()))
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, quirk) in self.iter().enumerate() {
            write!(f, "{}{quirk}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownQuirk> {
        let known = Self::ALL.into_iter().find(|quirk| quirk.name() == name);
        known.ok_or_else(|| UnknownQuirk(name.to_owned()))
    }
}

impl Serialize for Quirk {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Quirk {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Quirks {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Quirks {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::<Quirk>::deserialize(d)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(quirk));
        }
        let error = "no-fense".parse::<Quirk>().unwrap_err();
        assert_eq!(error.to_string(), "there is no quirk `no-fense`");
    }

    #[test]
    fn a_set_holds_what_was_put_in_once_and_in_order() {
        let quirks: Quirks = [Quirk::VoteAmnesia, Quirk::NoFence, Quirk::NoFence].into_iter().collect();
        assert_eq!(quirks.to_string(), "no-fence, vote-amnesia");
        assert!(quirks.has(Quirk::NoFence) && !quirks.has(Quirk::DynamicQuorum));
        assert!(Quirks::NONE.is_empty() && Quirks::default() == Quirks::NONE);
        let all: Quirks = Quirk::ALL.into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Quirk::ALL);
    }

    #[test]
    fn a_set_travels_as_names() {
        let quirks: Quirks = [Quirk::NoFence, Quirk::CountOldEpochs].into_iter().collect();
        let json = serde_json::to_string(&quirks).unwrap();
        assert_eq!(json, r#"["no-fence","count-old-epochs"]"#);
        assert_eq!(serde_json::from_str::<Quirks>(&json).unwrap(), quirks);
        assert!(serde_json::from_str::<Quirks>(r#"["no-sense"]"#).is_err());
    }
}
