//! The ledger: every acknowledgement on a fresh key, to be read back at the end. Loss is measured there, from
//! outside: what was acknowledged and is gone is lost, whatever the servers say.

use super::mix::Family;

/// Acknowledged writes remembered, of each family. Beyond it clients write registers instead: a ledger that has
/// forgotten some of its entries could not say how many are lost.
pub(crate) const LEDGER_MAX: usize = 50_000;

/// One acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    pub(crate) family: Family,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// What has been acknowledged, and what reading it back has found.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    quorum: Book,
    r#async: Book,
}

/// One family's part.
#[derive(Debug, Default)]
struct Book {
    /// Writes that have been begun; the bound counts them, so that it holds however many are in flight.
    begun: usize,
    acked: Vec<(String, String)>,
    read_back: ReadBack,
}

/// What reading back has found of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadBack {
    /// Read, and as written.
    pub(crate) kept: u64,
    /// Read, and not as written.
    pub(crate) lost: u64,
    /// Not to be read.
    pub(crate) unread: u64,
    /// Everything that there is has been tried.
    pub(crate) complete: bool,
}

impl ReadBack {
    /// How many are lost, as far as that can be said: not before some have been read, and "none" not while some
    /// could not be read. What is proved lost is lost all the same.
    pub(crate) fn lost(&self) -> Option<u64> {
        let says_none = self.unread == 0 && (self.complete || self.kept > 0);
        (self.lost > 0 || says_none).then_some(self.lost)
    }
}

impl Ledger {
    /// Whether there is room for one more; if so, it is taken.
    pub(super) fn begin(&mut self, family: Family) -> bool {
        let book = self.book(family);
        let room = book.begun < LEDGER_MAX;
        book.begun += usize::from(room);
        room
    }

    /// A write has been acknowledged.
    pub(super) fn acked(&mut self, entry: LedgerEntry) {
        self.book(entry.family).acked.push((entry.key, entry.value));
    }

    /// Everything that has been acknowledged.
    pub(crate) fn entries(&self) -> Vec<LedgerEntry> {
        let of = |family: Family, book: &Book| {
            let entry = move |(key, value): &(String, String)| LedgerEntry {
                family,
                key: key.clone(),
                value: value.clone(),
            };
            book.acked.iter().map(entry).collect::<Vec<_>>()
        };
        [of(Family::Quorum, &self.quorum), of(Family::Async, &self.r#async)].concat()
    }

    /// Reading back begins: what was found before no longer counts.
    pub(crate) fn reading_back(&mut self) {
        self.quorum.read_back = ReadBack::default();
        self.r#async.read_back = ReadBack::default();
    }

    /// One entry has been read back. `seen`: `None` if it could not be read, else what was there.
    pub(crate) fn read(&mut self, entry: &LedgerEntry, seen: Option<Option<&str>>) {
        let found = &mut self.book(entry.family).read_back;
        match seen {
            None => found.unread += 1,
            Some(Some(value)) if value == entry.value => found.kept += 1,
            Some(_) => found.lost += 1,
        }
    }

    /// Everything that there is has been tried.
    pub(crate) fn read_back(&mut self) {
        self.quorum.read_back.complete = true;
        self.r#async.read_back.complete = true;
    }

    /// What reading back has found.
    pub(crate) fn found(&self, family: Family) -> ReadBack {
        match family {
            Family::Quorum => self.quorum.read_back,
            Family::Async => self.r#async.read_back,
        }
    }

    fn book(&mut self, family: Family) -> &mut Book {
        match family {
            Family::Quorum => &mut self.quorum,
            Family::Async => &mut self.r#async,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(family: Family, n: u64) -> LedgerEntry {
        LedgerEntry { family, key: family.ledger_key(1, n), value: format!("c1-{n}") }
    }

    #[test]
    fn what_is_gone_or_other_is_lost_and_the_families_are_apart() {
        let mut ledger = Ledger::default();
        for n in 1..=3 {
            ledger.acked(entry(Family::Quorum, n));
            ledger.acked(entry(Family::Async, n));
        }
        assert_eq!(ledger.found(Family::Async).lost(), None, "nothing has been read back yet");
        let entries = ledger.entries();
        assert_eq!(entries.len(), 6);
        for entry in &entries {
            let seen = match (entry.family, entry.value.as_str()) {
                (Family::Async, "c1-1") => None,
                (Family::Async, "c1-2") => Some("c9-9"),
                _ => Some(entry.value.as_str()),
            };
            ledger.read(entry, Some(seen));
        }
        assert_eq!(ledger.found(Family::Async), ReadBack { kept: 1, lost: 2, unread: 0, complete: false });
        assert_eq!(ledger.found(Family::Async).lost(), Some(2));
        assert_eq!(ledger.found(Family::Quorum).lost(), Some(0));
        ledger.reading_back();
        assert_eq!(ledger.found(Family::Async).lost(), None);
    }

    #[test]
    fn what_could_not_be_read_is_not_called_kept() {
        let found = |kept, lost, unread| ReadBack { kept, lost, unread, complete: true };
        assert_eq!(found(10, 0, 1).lost(), None);
        assert_eq!(found(10, 2, 1).lost(), Some(2), "loss is proved all the same");
        assert_eq!(found(0, 0, 5).lost(), None);
        assert_eq!(found(0, 0, 0).lost(), Some(0), "of nothing, nothing is lost");
    }

    #[test]
    fn a_full_ledger_takes_no_more_of_that_family() {
        let mut ledger = Ledger::default();
        assert_eq!((0..LEDGER_MAX + 5).filter(|_| ledger.begin(Family::Async)).count(), LEDGER_MAX);
        assert!(ledger.begin(Family::Quorum));
    }
}
