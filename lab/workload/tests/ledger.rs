//! Which key of the ledger is written next, and which is read.

use super::*;

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn write(ledger: &mut Ledger, family: Family) -> LedgerKey {
    let key = ledger.begin(family).expect("a key");
    ledger.ended(key, Written::Acknowledged);
    key
}

/// Reads that were due from `from` on, for so long, each answered at once.
fn read(ledger: &mut Ledger, from: Duration, during: Duration) -> Vec<LedgerKey> {
    let mut read = Vec::new();
    let mut now = from;
    while now < from + during {
        while let Some(one) = ledger.next_read(now) {
            read.push(one.key);
            ledger.was_read(one, Some(None), now);
        }
        now += Duration::from_millis(1);
    }
    read
}

#[test]
fn what_was_acknowledged_is_read_twice_at_a_low_rate_oldest_first_and_then_more_slowly() {
    let mut ledger = Ledger::default();
    let keys: Vec<_> = (0..30).map(|_| write(&mut ledger, Family::Async)).collect();
    let mut told = read(&mut ledger, s(1), s(1));
    let rate = READ_BACK_PER_S as usize;
    assert!((rate..=rate + 2).contains(&told.len()), "{} reads in a second", told.len());
    let first: Vec<_> = told.iter().enumerate().filter(|(at, key)| !told[..*at].contains(key)).collect();
    assert_eq!(first.iter().map(|(_, key)| **key).collect::<Vec<_>>(), keys);
    told.extend(read(&mut ledger, s(2), s(1)));
    assert!(keys.iter().all(|key| told.iter().filter(|read| *read == key).count() >= 2));
    let on = read(&mut ledger, s(3), s(5));
    assert!((29..=32).contains(&on.len()), "{} reads in five seconds", on.len());
}

#[test]
fn a_key_is_written_again_only_when_it_was_read_twice() {
    let mut ledger = Ledger::default();
    let mut written = 0_u32;
    let mut now = s(1);
    // As fast as it takes them: never more than may wait, and never a key that was not read twice.
    let mut reads = vec![0_u32; KEYS_MAX as usize];
    for _ in 0..20_000 {
        if let Some(key) = ledger.begin(Family::Quorum) {
            let times = std::mem::take(&mut reads[key.number as usize]);
            assert!(written < KEYS_MAX || times >= 2, "{key:?} was read {times} times");
            ledger.ended(key, Written::Acknowledged);
            written += 1;
        }
        if let Some(one) = ledger.next_read(now) {
            reads[one.key.number as usize] += 1;
            ledger.was_read(one, Some(None), now);
        }
        assert!(ledger.quorum.unread.len() <= UNREAD_MAX);
        now += Duration::from_millis(20);
    }
    assert!(written > 2 * KEYS_MAX, "the ring goes round: {written}");
    assert_eq!(ledger.keys().len(), KEYS_MAX as usize);
}

#[test]
fn after_a_change_everything_is_asked_for_again_and_fast_what_was_never_read_first() {
    let mut ledger = Ledger::default();
    let found: Vec<_> = (0..60).map(|_| write(&mut ledger, Family::Quorum)).collect();
    read(&mut ledger, s(1), s(20));
    let fresh: Vec<_> = (0..60).map(|_| write(&mut ledger, Family::Async)).collect();
    ledger.ask_again();
    assert_eq!(ledger.begin(Family::Quorum).map(|key| key.number), Some(60), "none is released");
    let told = read(&mut ledger, s(30), Duration::from_millis(125));
    let place = |key: &LedgerKey| told.iter().position(|read| read == key);
    assert!(found.iter().chain(&fresh).all(|key| place(key).is_some()), "{told:?}");
}

#[test]
fn what_cannot_be_read_is_asked_for_again_after_a_pause() {
    let mut ledger = Ledger::default();
    let key = write(&mut ledger, Family::Async);
    let one = ledger.next_read(s(1)).expect("one");
    ledger.was_read(one, None, s(1));
    assert_eq!(ledger.next_read(s(1)), None);
    assert_eq!(ledger.next_read(s(2)).map(|read| read.key), Some(key));
}

#[test]
fn a_read_that_began_before_a_change_does_not_count() {
    let mut ledger = Ledger::default();
    let key = write(&mut ledger, Family::Async);
    let one = ledger.next_read(s(1)).expect("one");
    ledger.ask_again();
    ledger.was_read(one, Some(None), s(1));
    assert_eq!(ledger.unreplicated.pace(), ASK_AGAIN_PER_S);
    assert_eq!(ledger.next_read(s(2)).map(|read| read.key), Some(key));
}

#[test]
fn a_key_whose_write_failed_is_written_again_and_one_of_unknown_outcome_last() {
    let mut ledger = Ledger::default();
    let unsure = ledger.begin(Family::Async).expect("a key");
    ledger.ended(unsure, Written::Unknown);
    let failed = ledger.begin(Family::Async).expect("a key");
    ledger.ended(failed, Written::Failed);
    assert_eq!(ledger.begin(Family::Async), Some(failed));
    assert!(ledger.keys().is_empty(), "nothing was acknowledged");
    ledger.ended(failed, Written::Acknowledged);
    assert_eq!(ledger.keys(), ["la-1"]);
    let (mut now, mut last) = (s(1), Vec::new());
    for _ in 0..3 * KEYS_MAX {
        if let Some(key) = ledger.begin(Family::Async) {
            last.push(key);
            ledger.ended(key, Written::Unknown);
        }
        now += s(1);
        let _ = ledger.next_read(now).map(|read| ledger.was_read(read, Some(None), now));
    }
    assert!(last.contains(&unsure), "in the end there is no other");
}

#[test]
fn two_reads_in_a_row_must_agree_before_a_key_is_written_again() {
    let mut ledger = Ledger::default();
    write(&mut ledger, Family::Async);
    let mut now = s(1);
    let mut answers = |ledger: &mut Ledger, value: Option<&str>| {
        now += s(1);
        let one = ledger.next_read(now).expect("one");
        ledger.was_read(one, Some(value.map(str::to_owned)), now);
        ledger.unreplicated.twice.len()
    };
    assert_eq!(answers(&mut ledger, Some("c1-1")), 0);
    assert_eq!(answers(&mut ledger, None), 0, "was it a stale read?");
    assert_eq!(answers(&mut ledger, None), 1);
}
