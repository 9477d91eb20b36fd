//! Why a promise broke: who led in which epoch, and which rule a violation broke. A pure fold over a run's events.
//!
//! What clients saw decides whether a promise was broken; what is here only explains it, and says nothing that the
//! events do not tell. `leadership` keeps what they tell, `rule` makes a sentence of it.

mod evidence;
mod leadership;
mod rule;
#[cfg(test)]
mod tests;

pub(crate) use self::evidence::Evidence;
pub(crate) use self::leadership::{Epochs, Leadership};
