//! How the judge hashes: fast, and the same in every run, for it is pure.

/// For maps and for single values.
pub(super) type Hash = foldhash::fast::FixedState;
