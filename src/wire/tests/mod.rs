//! Random messages for the tests of this room.

pub(super) mod strategies;
