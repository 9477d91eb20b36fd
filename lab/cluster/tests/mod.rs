//! What the tests of this room share. Those of one file are named by it.

pub(crate) mod stand_in;
