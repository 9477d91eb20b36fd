//! What the simulated clients asked and were told, and whether it could have come from one register per key.

use std::collections::BTreeMap;

use bytes::Bytes;

/// One operation of a client on one key.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The key.
    pub(crate) key: Bytes,
    /// A write's value, unique in the history; `None`: a read.
    pub(crate) writes: Option<Bytes>,
    /// When it began, in the one order of all beginnings and ends.
    pub(crate) start: u64,
    /// When its answer came.
    pub(crate) finish: Option<u64>,
    /// How it ended.
    pub(crate) end: End,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It may have happened.
    Unknown,
    /// It certainly did not happen.
    Failed,
    /// A write that happened.
    Done,
    /// A read that returned this.
    Saw(Option<Bytes>),
}

/// Everything known of one value of one key. The value before all writes is `None`.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Start of its write, if it was written.
    written: Option<u64>,
    /// Whether its write certainly did not happen.
    failed: bool,
    /// The earliest end of an operation on it.
    finish_min: u64,
    /// The latest start of an operation on it.
    start_max: u64,
}

/// Checks the registers, each key by itself. Every value is written at most once, and no key is deleted.
///
/// A history of such registers is linearizable if and only if every read's value was written, before the read
/// ended, by a write that did not fail, and there are no two values A and B with `finish_min(A) < start_max(B)` and
/// `finish_min(B) < start_max(A)` (Gibbons & Korach 1997). Quadratic, and good enough for a few hundred operations.
pub(crate) fn linearizable(history: &[Operation]) -> Result<(), String> {
    let mut keys: BTreeMap<&Bytes, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys.values().try_for_each(|operations| register(operations))
}

fn register(operations: &[&Operation]) -> Result<(), String> {
    let initial = Span { written: Some(0), failed: false, finish_min: 0, start_max: 0 };
    let mut spans: BTreeMap<Option<&Bytes>, Span> = BTreeMap::from([(None, initial)]);
    for operation in operations {
        let Some(value) = &operation.writes else { continue };
        let span = Span {
            written: Some(operation.start),
            failed: operation.end == End::Failed,
            finish_min: if operation.end == End::Done {
                operation.finish.unwrap_or(u64::MAX)
            } else {
                u64::MAX
            },
            start_max: operation.start,
        };
        assert!(spans.insert(Some(value), span).is_none(), "{value:?} is written twice");
    }
    for operation in operations {
        let (End::Saw(value), Some(finish)) = (&operation.end, operation.finish) else { continue };
        let shown = value.as_ref().map_or_else(|| "absent".to_owned(), super::text::word);
        let Some(span) = spans.get_mut(&value.as_ref()) else {
            return Err(format!("a read of {:?} saw {shown}, which nobody wrote", operation.key));
        };
        if span.failed {
            return Err(format!("a read of {:?} saw {shown}, whose write failed", operation.key));
        }
        if span.written.is_none_or(|written| written > finish) {
            return Err(format!("a read of {:?} saw {shown} before it was written", operation.key));
        }
        span.finish_min = span.finish_min.min(finish);
        span.start_max = span.start_max.max(operation.start);
    }
    let known: Vec<_> = spans.iter().filter(|(_, span)| span.finish_min < u64::MAX).collect();
    for (i, (a, x)) in known.iter().enumerate() {
        for (b, y) in &known[i + 1..] {
            if x.finish_min < y.start_max && y.finish_min < x.start_max {
                let key = &operations[0].key;
                return Err(format!(
                    "{key:?} is not linearizable: an operation on {a:?} ended at {} before one on {b:?} began at \
                     {}, and one on {b:?} ended at {} before one on {a:?} began at {}",
                    x.finish_min, y.start_max, y.finish_min, x.start_max
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(value: &'static str, start: u64, finish: u64) -> Operation {
        let end = if finish == 0 { End::Unknown } else { End::Done };
        let finish = (finish > 0).then_some(finish);
        Operation { key: "k".into(), writes: Some(value.into()), start, finish, end }
    }

    fn read(value: Option<&'static str>, start: u64, finish: u64) -> Operation {
        let end = End::Saw(value.map(Into::into));
        Operation { key: "k".into(), writes: None, start, finish: Some(finish), end }
    }

    #[test]
    fn reads_between_writes() {
        let good = [write("a", 1, 2), read(Some("a"), 3, 4), write("b", 5, 8), read(Some("a"), 6, 7)];
        assert_eq!(linearizable(&good), Ok(()));
    }

    #[test]
    fn a_stale_read() {
        let bad = [write("a", 1, 2), write("b", 3, 4), read(Some("a"), 5, 6)];
        assert!(linearizable(&bad).unwrap_err().contains("not linearizable"));
        let bad = [write("a", 1, 2), read(None, 3, 4)];
        assert!(linearizable(&bad).unwrap_err().contains("not linearizable"));
    }

    #[test]
    fn reads_that_go_back_and_forth() {
        let bad = [
            write("a", 1, 20),
            write("b", 2, 21),
            read(Some("a"), 3, 4),
            read(Some("b"), 5, 6),
            read(Some("a"), 7, 8),
        ];
        assert!(linearizable(&bad).is_err());
        assert_eq!(linearizable(&bad[..4]), Ok(()));
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_but_not_be_undone() {
        let mut history =
            vec![write("a", 1, 2), write("b", 3, 0), read(Some("a"), 5, 6), read(Some("b"), 7, 8)];
        assert_eq!(linearizable(&history), Ok(()));
        history.push(read(Some("a"), 9, 10));
        assert!(linearizable(&history).is_err());
    }

    #[test]
    fn values_out_of_nowhere() {
        assert!(linearizable(&[read(Some("x"), 1, 2)]).unwrap_err().contains("nobody wrote"));
        assert!(linearizable(&[write("a", 3, 4), read(Some("a"), 1, 2)]).unwrap_err().contains("before"));
        let failed = Operation { end: End::Failed, ..write("a", 1, 2) };
        assert!(linearizable(&[failed, read(Some("a"), 3, 4)]).unwrap_err().contains("failed"));
    }
}
