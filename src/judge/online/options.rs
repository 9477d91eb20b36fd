//! The judge's bounds.

/// What the judge may remember. Every bound is per key unless it says otherwise; reaching one never turns a
/// violation into a pass: either nothing is lost but the detail of a proof, or the judgement says what is undecided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeOptions {
    /// Keys altogether. Operations on further keys are counted, not judged, and the verdict is then undecided at
    /// best. A key that is written once takes about half a kilobyte.
    pub keys_max: usize,
    /// Ids, and acknowledgements, of all keys together. Beyond it each key that is touched keeps only what it needs.
    pub ids_altogether: usize,
    /// Ids that can no longer be read without a violation, or whose overwriting is long known: they are kept for
    /// the sake of proofs and of ages. A read of one that is forgotten is still flagged on a judged key, with less
    /// to show; on a measured key its age becomes "at least".
    pub ids_remembered: usize,
    /// The same, and acknowledgements, of a key of a ring, once half of [`ids_altogether`](Self::ids_altogether) is
    /// remembered: one that is written again whenever its last write was found often enough
    /// ([`Ledger::released`](super::super::Ledger::released)). There are many, and each is written for days.
    pub ring_remembered: usize,
    /// Writes of unknown outcome that nobody has read. If more are forgotten, a read of an id that is not
    /// remembered makes the key undecided, because it may be one of them.
    pub unknown_remembered: usize,
    /// Acknowledgements of writes against which the ages of eventual reads are measured; beyond it, ages and
    /// versions behind become "at least".
    pub acks_remembered: usize,
    /// Ids that completed since the oldest outstanding operation began. Beyond it, that operation's own read may
    /// make the key undecided.
    pub recent_max: usize,
    /// Events of a key that is judged by search (it has a delete, or a value written twice) that wait for an older
    /// operation to end. Beyond it the key is undecided.
    pub waiting_max: usize,
    /// Orders of the operations kept in mind for such a key. Beyond it the key is undecided.
    pub orders_max: usize,
    /// Violations altogether that are kept with their proof; all are counted.
    pub violations_kept: usize,
}

impl Default for JudgeOptions {
    /// Meant for a live run of days: some ten megabytes for usual load, and at the most some 150 MB, when there are as
    /// many keys and ids as the bounds allow.
    fn default() -> Self {
        Self {
            keys_max: 250_000,
            ids_altogether: 65_536,
            ids_remembered: 1024,
            ring_remembered: 2,
            unknown_remembered: 65_536,
            acks_remembered: 1024,
            recent_max: 65_536,
            waiting_max: 4096,
            orders_max: 4096,
            violations_kept: 64,
        }
    }
}

impl JudgeOptions {
    /// Meant for a history that is read from a file: every id is remembered, so that every proof is whole. Memory
    /// grows with the history, by a few hundred bytes for each write.
    pub fn unbounded() -> Self {
        Self {
            keys_max: usize::MAX,
            ids_altogether: usize::MAX,
            ids_remembered: usize::MAX,
            ring_remembered: usize::MAX / 4,
            unknown_remembered: usize::MAX,
            acks_remembered: usize::MAX / 4,
            recent_max: usize::MAX,
            waiting_max: 1 << 20,
            orders_max: 1 << 16,
            violations_kept: 1024,
        }
    }

    /// What holds for a key of a ring.
    fn ring(&self) -> Self {
        Self {
            ids_remembered: self.ids_remembered.min(self.ring_remembered),
            acks_remembered: self.acks_remembered.min(self.ring_remembered),
            ..self.clone()
        }
    }

    /// What holds for each key once there are too many ids altogether.
    fn tightened(&self) -> Self {
        Self {
            ids_remembered: self.ids_remembered.min(1),
            unknown_remembered: self.unknown_remembered.min(64),
            acks_remembered: self.acks_remembered.min(8),
            ..self.clone()
        }
    }
}

/// The bounds that hold for a key, by what it is and how much is remembered altogether.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) usual: JudgeOptions,
    ring: JudgeOptions,
    tightened: JudgeOptions,
}

impl Bounds {
    pub(super) fn new(usual: JudgeOptions) -> Self {
        Self { ring: usual.ring(), tightened: usual.tightened(), usual }
    }

    /// For a key of a `ring`, or another; so many ids (or acknowledgements) are remembered of all keys together.
    pub(super) fn of(&self, altogether: usize, ring: bool) -> &JudgeOptions {
        let max = self.usual.ids_altogether;
        match altogether {
            much if much > max => &self.tightened,
            much if ring && much > max / 2 => &self.ring,
            _ => &self.usual,
        }
    }
}
