//! When a cleanup begins by itself, which segments it takes, and in what groups.

use crate::storage::log::segment::Piece;
use crate::storage::segment_name::SegmentName;
use crate::storage::tally::Held;

/// No group is longer than this, so that every place in what becomes of it has 32 bits.
const GROUP_BYTES_MAX: u64 = 3 << 30;

/// When cleanup begins by itself. Looked at by whoever drives the store; what counts are the closed segments that are
/// known to be committed as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanupPolicy {
    /// Garbage must be at least this part of the closed segments; above 1: never.
    pub ratio: f64,
    /// And at least so many bytes.
    pub bytes: u64,
}

impl Default for CleanupPolicy {
    /// Half, and 64 MiB.
    fn default() -> Self {
        Self { ratio: 0.5, bytes: 64 << 20 }
    }
}

/// Neighbouring segments that become one.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) inputs: Vec<Piece>,
    /// The name of what they become.
    pub(super) output: SegmentName,
    /// No record in it has a lower seq than this.
    pub(super) first: u64,
    /// Nothing after this seq is dropped.
    pub(super) base: u64,
}

/// Why a cleanup does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NothingToDo {
    /// There is one already.
    #[error("a cleanup is under way already")]
    UnderWay,
    /// Every record that could go may still be discarded by a full resync, and would be missing in `rollback/`.
    #[error("nothing in the closed segments is known to be committed yet; try again later")]
    NotCommitted,
    /// Every record in the closed segments is needed.
    #[error("there is no garbage in the closed segments")]
    NoGarbage,
    /// All the garbage is in segments that hold a damaged value as well, and damage is never copied.
    #[error(
        "every segment with garbage holds a damaged value as well, and is left as it is until that is repaired"
    )]
    Damaged,
}

impl Group {
    /// Bytes of its segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|piece| piece.bytes).sum()
    }
}

/// The groups of the closed segments that hold anything up to the seq `through`, in log order. `end` is the last seq
/// of all of them. A segment that is `damaged` is in none.
pub(crate) fn plan(
    closed: &[Held],
    end: u64,
    through: u64,
    segment_bytes: u64,
    damaged: &dyn Fn(&Held) -> bool,
) -> Result<Vec<Group>, NothingToDo> {
    let candidates = candidates(closed, through);
    if candidates.is_empty() && !closed.is_empty() {
        return Err(NothingToDo::NotCommitted);
    }
    let mut groups: Vec<&[Held]> = Vec::new();
    let mut start = 0;
    for (i, held) in candidates.iter().enumerate() {
        let so_far = &candidates[start..i];
        let live: u64 = so_far.iter().map(|held| held.live).sum();
        let bytes: u64 = so_far.iter().map(|held| held.piece.bytes).sum();
        // One that needs nothing and is no crumb is left alone, and one that must not be copied.
        let left_alone =
            |held: &Held| (held.garbage() == 0 && held.live * 2 >= segment_bytes) || damaged(held);
        let alone = left_alone(held) || so_far.last().is_some_and(left_alone);
        if i > start
            && (alone || live + held.live > segment_bytes || bytes + held.piece.bytes > GROUP_BYTES_MAX)
        {
            groups.push(so_far);
            start = i;
        }
    }
    groups.push(&candidates[start..]);
    let mut planned = Vec::new();
    groups.retain(|group| group.iter().any(|held| held.garbage() > 0));
    let any = !groups.is_empty();
    groups.retain(|group| !damaged(&group[0])); // it is alone then
    for group in groups {
        let last = group.last().expect("has garbage, so has a segment");
        let next = closed.iter().find(|held| held.name().number > last.name().number);
        let group_end = next.map_or(end, |next| next.piece.segment.first.saturating_sub(1));
        let name = group[0].name();
        planned.push(Group {
            inputs: group.iter().map(|held| held.piece.clone()).collect(),
            output: SegmentName { number: name.number, revision: name.revision + 1 },
            first: group[0].piece.segment.first,
            base: group_end.min(through),
        });
    }
    match (planned.is_empty(), any) {
        (false, _) => Ok(planned),
        (true, true) => Err(NothingToDo::Damaged),
        (true, false) => Err(NothingToDo::NoGarbage),
    }
}

/// Whether the policy asks for a cleanup. Only segments that lie below the seq `through` as a whole count: what is
/// above it would be garbage after a cleanup as it was before, and ask for the next.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
pub(crate) fn policy_wants(closed: &[Held], end: u64, through: u64, policy: CleanupPolicy) -> bool {
    let nexts = closed.iter().skip(1).map(|next| next.piece.segment.first.saturating_sub(1));
    let whole = closed.iter().zip(nexts.chain([end])).take_while(|(_, last)| *last <= through);
    let (garbage, bytes) = whole
        .fold((0, 0), |(garbage, bytes), (held, _)| (garbage + held.garbage(), bytes + held.piece.bytes));
    garbage > 0 && garbage >= policy.bytes && garbage as f64 >= policy.ratio * bytes as f64
}

fn candidates(closed: &[Held], through: u64) -> &[Held] {
    &closed[..closed.partition_point(|held| held.piece.segment.first <= through)]
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::storage::disk::MemoryDisk;
    use crate::storage::file::File;
    use crate::storage::log::segment::{HEADER_BYTES, Segment};

    const SEGMENT_BYTES: u64 = 1000;

    /// Segments of ten entries each, with so many bytes of values and so many of garbage.
    fn closed(parts: &[(u64, u64)]) -> Vec<Held> {
        let disk = MemoryDisk::new(0);
        let held = |(number, &(live, garbage)): (u32, &(u64, u64))| {
            let name = SegmentName { number, revision: 1 };
            let path = Path::new("/").join(name.log());
            let file = File::create(&disk, &path).unwrap();
            let segment = Arc::new(Segment { name, first: u64::from(number) * 10 - 9, file });
            let piece = Piece { segment, bytes: HEADER_BYTES + live + garbage };
            Held { live, ..Held::new(piece) }
        };
        (1..).zip(parts).map(held).collect()
    }

    /// The numbers of each group, and its base.
    fn groups(parts: &[(u64, u64)], through: u64) -> Result<Vec<(Vec<u32>, u64)>, NothingToDo> {
        groups_beside(parts, through, &[])
    }

    /// As above, with segments of these numbers damaged.
    fn groups_beside(
        parts: &[(u64, u64)],
        through: u64,
        damaged: &[u32],
    ) -> Result<Vec<(Vec<u32>, u64)>, NothingToDo> {
        let closed = closed(parts);
        let is_damaged = |held: &Held| damaged.contains(&held.name().number);
        let planned = plan(&closed, parts.len() as u64 * 10, through, SEGMENT_BYTES, &is_damaged)?;
        Ok(planned
            .iter()
            .map(|group| {
                let numbers: Vec<_> = group.inputs.iter().map(|piece| piece.segment.name.number).collect();
                assert_eq!(group.output, SegmentName { number: numbers[0], revision: 2 });
                (numbers, group.base)
            })
            .collect())
    }

    #[test]
    fn neighbours_become_one_as_long_as_what_is_left_of_them_fits() {
        let parts = [(300, 700), (300, 700), (300, 700), (300, 700), (900, 100), (0, 1000)];
        let expected = vec![(vec![1, 2, 3], 30), (vec![4], 40), (vec![5, 6], 60)];
        assert_eq!(groups(&parts, 100), Ok(expected));
    }

    #[test]
    fn what_needs_nothing_is_left_alone_unless_it_is_a_crumb() {
        assert_eq!(groups(&[(1000, 0), (500, 500), (900, 0)], 100), Ok(vec![(vec![2], 20)]));
        assert_eq!(groups(&[(100, 0), (500, 500), (100, 0)], 100), Ok(vec![(vec![1, 2, 3], 30)]));
        assert_eq!(groups(&[(1000, 0), (100, 0)], 100), Err(NothingToDo::NoGarbage));
        assert_eq!(groups(&[], 100), Err(NothingToDo::NoGarbage));
    }

    #[test]
    fn what_is_damaged_is_in_no_group_and_does_not_keep_its_neighbours_from_theirs() {
        let parts = [(100, 900), (100, 900), (100, 900), (100, 900)];
        assert_eq!(groups_beside(&parts, 100, &[2]), Ok(vec![(vec![1], 10), (vec![3, 4], 40)]));
        assert_eq!(groups_beside(&parts, 100, &[1, 2, 3, 4]), Err(NothingToDo::Damaged));
        assert_eq!(groups_beside(&[(900, 0), (100, 900)], 100, &[2]), Err(NothingToDo::Damaged));
        assert_eq!(groups_beside(&[(900, 0), (900, 0)], 100, &[2]), Err(NothingToDo::NoGarbage));
    }

    #[test]
    fn nothing_after_the_bound_is_looked_at_and_the_base_stays_below_it() {
        let parts = [(100, 900), (500, 500), (500, 500)];
        assert_eq!(groups(&parts, 0), Err(NothingToDo::NotCommitted));
        assert_eq!(groups(&parts, 1), Ok(vec![(vec![1], 1)]));
        assert_eq!(groups(&parts, 14), Ok(vec![(vec![1, 2], 14)]));
        assert_eq!(groups(&parts, 30), Ok(vec![(vec![1, 2], 20), (vec![3], 30)]));
    }

    #[test]
    fn the_policy_counts_what_is_committed_as_a_whole() {
        let closed = closed(&[(500, 500), (0, 1000), (1000, 0)]);
        let wants =
            |through, ratio, bytes| policy_wants(&closed, 30, through, CleanupPolicy { ratio, bytes });
        assert!(!wants(9, 0.0, 0), "of the first, a record is not committed yet");
        assert!(wants(10, 0.4, 500) && !wants(10, 0.4, 501) && !wants(10, 0.5, 500));
        assert!(!wants(19, 0.4, 501), "nor does the second count in part");
        assert!(wants(20, 0.7, 1500));
        assert!(wants(30, 0.4, 1500) && !wants(30, 0.5, 1500));
        assert!(!wants(30, f64::INFINITY, 0), "never");
    }
}
