//! How much a run may keep on disk of what happened.

/// What `up` keeps unless it is told otherwise. At the usual load that is the last quarter of an hour or so.
pub(crate) const RECORD_BYTES_DEFAULT: u64 = 128 << 20;
/// The least that may be asked for: a part of the events must hold several keyframes of nine nodes.
pub(crate) const RECORD_BYTES_MIN: u64 = 4 << 20;
/// The bound of a log where everything else is kept: nobody reads more of one, and a node may write any number of lines.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// The bounds of a run's directory, but for the data of its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunBounds {
    /// Of events and history together; `None`: all is kept.
    record_bytes: Option<u64>,
}

impl RunBounds {
    /// All is kept but logs.
    pub(crate) const ALL: Self = Self { record_bytes: None };

    /// So much is kept, half of it events and half of it history.
    pub(crate) fn of(record_bytes: u64) -> Self {
        Self { record_bytes: Some(record_bytes.max(RECORD_BYTES_MIN)) }
    }

    /// Of all parts of one record, events or history.
    pub(crate) fn record(self) -> Option<u64> {
        self.record_bytes.map(|bytes| bytes / 2)
    }

    /// Of one log, that of the lab or of a node, with its older half.
    pub(crate) fn log(self) -> u64 {
        self.record_bytes.map_or(LOG_BYTES_MAX, |bytes| (bytes / 64).min(LOG_BYTES_MAX))
    }
}
