//! What a background client asks next, and what it makes of how that ended. Pure: the seed and the outcomes decide.

use kvlab::judge::OpKind;
use kvlab::types::NodeId;

use super::client::Way;
use super::ledger::LedgerKey;
use super::mix::{Choice, Family, Mix};
use super::options::WorkloadOptions;
use crate::run::event::{Operation, Outcome};
use crate::run::history::Intent;

/// One client's.
#[derive(Debug)]
pub(crate) struct Routine {
    /// The client's number in the history.
    number: u32,
    home: NodeId,
    mix: Mix,
    registers: u32,
    /// The primary as it is known at home: whoever took the last write.
    primary: Option<NodeId>,
    /// The family of the last operation, if it was a write that did not succeed.
    write_failed: Option<Family>,
}

impl Routine {
    /// The `n`th client's, from 0; `None` if there is nothing for it to do. `numbered` gives its number in the
    /// history, once it is known that there is.
    pub(crate) fn new(
        n: u32,
        options: &WorkloadOptions,
        members: &[NodeId],
        numbered: impl FnOnce(NodeId, u64) -> u32,
    ) -> Option<Self> {
        let home = *members.get(n as usize % members.len().max(1))?;
        // Neighbouring seeds must not give neighbouring clients the same choices.
        let seed = options.seed.wrapping_add(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let all = options.families();
        let families = families_of(n, options.clients, members.len(), &all);
        let mix = Mix::new(families, options.registers, options.ledger, seed)?;
        Some(Self {
            number: numbered(home, seed),
            home,
            mix,
            registers: options.registers,
            primary: None,
            write_failed: None,
        })
    }

    /// Whom to ask what, and the key of the ledger, if it is one. `ledger_key` gives one to write, if there is one.
    pub(crate) fn next(
        &mut self,
        ledger_key: impl FnOnce(Family) -> Option<LedgerKey>,
    ) -> (Way, Intent, Option<LedgerKey>) {
        // Whoever could not write looks what is there, as people do. Without this a client that is cut off would
        // spend nearly all of its time waiting to write, and nobody would see what its node still answers.
        let look = self.write_failed.take().and_then(|family| self.mix.look(family));
        let to_primary = Way::From(self.primary.unwrap_or(self.home));
        match look.unwrap_or_else(|| self.mix.next()) {
            Choice::ReadRegister(family, register) => {
                // An eventual read is about what this node holds: to ask elsewhere would be another question.
                let way = if family == Family::Async { Way::Only(self.home) } else { Way::From(self.home) };
                (way, Intent::get(family.register_key(register), family.read_level()), None)
            }
            Choice::WriteRegister(family, register) => {
                let key = family.register_key(register);
                (to_primary, Intent::put(key, None, family.write_level()), None)
            }
            Choice::WriteLedger(family) => {
                let key = ledger_key(family);
                let name = key.map_or_else(|| self.instead_of_ledger(family), LedgerKey::name);
                (to_primary, Intent::put(name, None, family.write_level()), key)
            }
        }
    }

    /// How what it asked has ended.
    pub(crate) fn ended(&mut self, operation: &Operation) {
        if operation.op != OpKind::Get {
            // Whoever took it is the primary on this side; if nobody did, home is asked next.
            let ok = operation.outcome == Outcome::Ok;
            self.primary = operation.node.filter(|_| ok);
            self.write_failed = (!ok).then(|| Family::of_write(operation.consistency));
        }
    }

    /// Without registers there is always one: the client's own.
    fn instead_of_ledger(&self, family: Family) -> String {
        family.register_key(self.number % self.registers.max(1))
    }
}

/// What the `n`th client does. If there are enough clients each zone has some for each family, so that quorum
/// operations which wait do not hold up async ones, as they would not in the world. If not, each does all.
fn families_of(n: u32, clients: u32, zones: usize, all: &[Family]) -> &[Family] {
    if zones == 0 || (clients as usize) < zones * all.len() {
        return all;
    }
    let nth = (n as usize / zones) % all.len().max(1);
    all.get(nth..=nth).unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Family; 2] = [Family::Quorum, Family::Async];

    #[test]
    fn with_enough_clients_each_zone_has_some_for_each_family() {
        for zone in 0..3 {
            let families: Vec<_> = [zone, zone + 3].map(|n| families_of(n, 6, 3, &BOTH)).to_vec();
            assert_eq!(families, [&BOTH[..1], &BOTH[1..]]);
        }
        assert_eq!(families_of(6, 7, 3, &BOTH), &BOTH[..1], "one more goes round again");
        assert_eq!(families_of(0, 3, 3, &BOTH[..1]), &BOTH[..1]);
    }

    #[test]
    fn with_fewer_each_does_all() {
        assert_eq!(families_of(0, 5, 3, &BOTH), &BOTH);
        assert_eq!(families_of(0, 1, 1, &BOTH), &BOTH);
        assert!(families_of(0, 1, 1, &[]).is_empty());
    }
}
