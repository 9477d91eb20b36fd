//! Pure arithmetic of majorities.

/// The smallest majority of `members`.
pub(super) const fn majority(members: usize) -> usize {
    members / 2 + 1
}

/// The highest value that at least `quorum` of `values` have reached; 0 if there are fewer values than that.
pub(super) fn reached_by(quorum: usize, mut values: Vec<u64>) -> u64 {
    values.sort_unstable_by(|a, b| b.cmp(a));
    quorum.checked_sub(1).and_then(|i| values.get(i)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majorities() {
        let expected = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (9, 5)];
        for (members, quorum) in expected {
            assert_eq!(majority(members), quorum, "of {members}");
        }
    }

    #[test]
    fn reached_is_the_quorum_th_highest() {
        assert_eq!(reached_by(2, vec![7, 3, 5]), 5);
        assert_eq!(reached_by(2, vec![7]), 0, "a member that is not there has reached nothing");
        assert_eq!(reached_by(3, vec![4, 4, 4, 9, 1]), 4);
    }
}
