//! The simulator: a whole cluster of cores on a simulated network, disk and clock, all from one seed.
//!
//! [`simulate`] plays one seed. The members, the clients, the faults and the quality of the network are drawn from the
//! seed, so the same seed gives the same run, to the byte. The core is the one that runs in a node process, and so is
//! the storage: it writes to a file system in memory that loses what was not synced ([`disk`]). After every step an
//! [`oracle`], which sees all members at once, checks the promises.
//!
//! From the ground up:
//!
//! * [`cluster`] holds the members ([`node`]) and the messages between them ([`network`]). Nothing in it happens by
//!   itself: the golden scripts of the core move it by hand (`tests/script`).
//! * [`world`] lets a cluster move by itself: [`agenda`] says what is due next, and [`timing`] how long it takes in this
//!   [`environment`]. [`actions`] are what can be done to it. The lab plays scenarios on a world.
//! * [`chaos`] drives a world by chance: [`faults`] and [`clients`] as the [`profile`] says, then healing and a verdict.
//!
//! `docs/simulator.md` tells how to use it.

mod actions;
mod agenda;
mod chaos;
mod clients;
mod cluster;
mod dice;
mod disk;
mod environment;
mod faults;
mod member_event;
mod network;
mod node;
mod options;
mod oracle;
mod outcome;
mod profile;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod timing;
mod world;

pub use self::actions::CrashKind;
pub use self::chaos::simulate;
pub use self::environment::{Environment, LinkQuality, NetworkQuality};
pub use self::member_event::{MemberEvent, MemberEventKind};
pub use self::options::{FaultMix, SimOptions};
pub use self::outcome::{Counts, JudgeFinding, SeedOutcome, SeedPanic, SeedViolation};
pub use self::world::{ClientRequest, StepOutcome, World};
