//! The ledger: every acknowledgement on a fresh key, to be read back at the end. Loss is measured there, from
//! outside: what was acknowledged and is gone is lost, whatever the servers say.

use super::mix::Family;

/// Writes of each family at most. Beyond it clients write registers instead: a ledger that forgot some of its
/// entries could not say how many are lost. At 50 a second that is a quarter of an hour.
pub(crate) const LEDGER_MAX: usize = 50_000;

/// The keys whose writes have been acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Writes that have been begun, of each family; the bound counts them, however many are in flight.
    quorum_begun: usize,
    async_begun: usize,
    acked: Vec<String>,
}

impl Ledger {
    /// Whether there is room for one more; if so, it is taken.
    pub(crate) fn begin(&mut self, family: Family) -> bool {
        let begun = match family {
            Family::Quorum => &mut self.quorum_begun,
            Family::Async => &mut self.async_begun,
        };
        let room = *begun < LEDGER_MAX;
        *begun += usize::from(room);
        room
    }

    /// The write of this key has been acknowledged.
    pub(crate) fn acked(&mut self, key: String) {
        self.acked.push(key);
    }

    /// Every key whose write has been acknowledged.
    pub(crate) fn keys(&self) -> &[String] {
        &self.acked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ledger_takes_no_more_of_that_family() {
        let mut ledger = Ledger::default();
        assert_eq!((0..LEDGER_MAX + 5).filter(|_| ledger.begin(Family::Async)).count(), LEDGER_MAX);
        assert!(ledger.begin(Family::Quorum));
    }
}
