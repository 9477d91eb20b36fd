//! What a seed draws for a simulation, beside its environment: how often something breaks, and how clients behave.

use std::time::Duration;

use super::dice::Dice;
use super::options::FaultMix;

/// Mean time between faults of [`FaultMix::Contest`].
const CONTEST_EVERY: Duration = Duration::from_millis(80);
/// Mean time between faults of [`FaultMix::Relapse`].
const RELAPSE_EVERY: Duration = Duration::from_millis(200);
/// Mean time between a client's operations of both.
const CONTEST_THINK: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    /// Mean time between faults.
    pub(super) fault_every: Duration,
    /// Mean time between a client's operations.
    pub(super) think: Duration,
    /// Contended keys of each kind.
    pub(super) keys: u64,
    /// Whether reads look for a quorum for long.
    pub(super) patient: bool,
}

impl Profile {
    /// Any profile, where the mix leaves it open.
    pub(super) fn random(dice: &mut Dice, mix: FaultMix) -> Self {
        let drawn = Self {
            fault_every: Duration::from_millis(dice.pick(&[40, 100, 250, 700])),
            think: Duration::from_millis(dice.pick(&[20, 60, 200])),
            keys: dice.between(1, 3),
            patient: false,
        };
        let contested = |fault_every| Self { fault_every, think: CONTEST_THINK, patient: true, ..drawn };
        match mix {
            FaultMix::Everything => drawn,
            FaultMix::Contest => contested(CONTEST_EVERY),
            FaultMix::Relapse => contested(RELAPSE_EVERY),
        }
    }
}
