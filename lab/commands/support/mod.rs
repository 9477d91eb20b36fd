//! What commands share: how a live run begins and ends, how a live cluster is reached, how a command prints and how it
//! ends.

pub(crate) mod dashboard;
pub(crate) mod exit;
pub(crate) mod live_run;
pub(crate) mod logging;
pub(crate) mod narrator;
pub(crate) mod orders;
pub(crate) mod output;
pub(crate) mod reach;
pub(crate) mod recordings;
pub(crate) mod seeds;
pub(crate) mod signals;
pub(crate) mod simulated;
pub(crate) mod table;
