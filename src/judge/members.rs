//! Do all members hold the same?

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::value::Quoted;
use crate::types::{NodeId, Position};

/// What a member holds under a key, and the version that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The value.
    pub value: Vec<u8>,
    /// The entry that wrote it.
    pub at: Position,
}

/// A member's whole state.
pub type MemberState = BTreeMap<Vec<u8>, Version>;

/// Whether all members hold the same under every key, value and version both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Members compared.
    pub members: Vec<NodeId>,
    /// Keys that any of them holds.
    pub keys: u64,
    /// Keys under which they differ.
    pub differing: u64,
    /// The first of these, in the order of keys; as many as were asked for.
    pub first: Vec<Difference>,
}

/// A key under which members differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// What each member holds under it; `None`: nothing.
    pub held: Vec<(NodeId, Option<Version>)>,
}

impl Comparison {
    /// Whether all members hold the same. Of one member or none that is true, and says nothing.
    pub fn all_equal(&self) -> bool {
        self.differing == 0
    }
}

/// Compares the states of members, and reports the first `first_max` differences. One pass over all states in
/// the order of keys.
pub fn compare_members(states: &BTreeMap<NodeId, MemberState>, first_max: usize) -> Comparison {
    let mut comparison =
        Comparison { members: states.keys().copied().collect(), keys: 0, differing: 0, first: Vec::new() };
    let mut rest: Vec<_> = states.iter().map(|(node, state)| (*node, state.iter().peekable())).collect();
    while let Some(key) = rest.iter_mut().filter_map(|(_, rest)| rest.peek().map(|(key, _)| *key)).min() {
        let held: Vec<(NodeId, Option<&Version>)> = rest
            .iter_mut()
            .map(|(node, rest)| (*node, rest.next_if(|(other, _)| *other == key).map(|(_, version)| version)))
            .collect();
        comparison.keys += 1;
        if held.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            continue;
        }
        comparison.differing += 1;
        if comparison.first.len() < first_max {
            let held = held.into_iter().map(|(node, version)| (node, version.cloned())).collect();
            comparison.first.push(Difference { key: key.clone(), held });
        }
    }
    comparison
}

/// `key "a": n1 has "x" (1@n1/4), n2 has nothing`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: ", Quoted(&String::from_utf8_lossy(&self.key)))?;
        for (nth, (node, version)) in self.held.iter().enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            match version {
                None => write!(f, "{comma}{node} has nothing")?,
                Some(Version { value, at }) => {
                    let value = String::from_utf8_lossy(value);
                    write!(f, "{comma}{node} has {} ({at})", Quoted(&value))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Epoch;

    fn state(entries: &[(&str, &str, u64)]) -> MemberState {
        let version = |value: &str, seq| Version {
            value: value.into(),
            at: Position::new(Epoch::new(1, NodeId(1)), seq),
        };
        entries.iter().map(|&(key, value, seq)| (key.into(), version(value, seq))).collect()
    }

    fn compare(states: &[MemberState]) -> Comparison {
        compare_members(&(1..).map(NodeId).zip(states.iter().cloned()).collect(), 2)
    }

    #[test]
    fn equal_states_are_equal() {
        let one = state(&[("a", "x", 1), ("b", "y", 2)]);
        let comparison = compare(&[one.clone(), one.clone(), one]);
        assert!(comparison.all_equal());
        assert_eq!((comparison.keys, comparison.members.len()), (2, 3));
        assert!(compare(&[]).all_equal());
    }

    #[test]
    fn a_missing_key_another_value_and_another_version_differ() {
        let comparison = compare(&[
            state(&[("a", "x", 1), ("b", "y", 2), ("c", "z", 3), ("d", "same", 4)]),
            state(&[("b", "other", 2), ("c", "z", 4), ("d", "same", 4)]),
        ]);
        assert_eq!((comparison.keys, comparison.differing, comparison.first.len()), (4, 3, 2));
        let shown: Vec<_> = comparison.first.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"key "a": n1 has "x" (1@n1/1), n2 has nothing"#,
                r#"key "b": n1 has "y" (1@n1/2), n2 has "other" (1@n1/2)"#,
            ]
        );
    }
}
