//! The log read in batches, from any seq on.

use super::cleanup::{DIR, options};
use super::*;
use crate::replication::EntriesFound;

fn entries(from: u64, to: u64) -> Vec<Entry> {
    (from..=to)
        .map(|seq| put(1, seq, &format!("key {}", seq % 5), &"v".repeat(usize::try_from(seq % 70).unwrap())))
        .collect()
}

fn start(count: u64) -> Rig {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
    rig.run(vec![append(entries(1, count))]);
    rig
}

fn batch(rig: &mut Rig, from: u64, bytes_max: usize) -> Option<Vec<Entry>> {
    match rig.store.entries_from(from, bytes_max).unwrap() {
        EntriesFound::Entries(entries) => Some(entries),
        EntriesFound::Gone => None,
        EntriesFound::Damaged => panic!("nothing is damaged"),
    }
}

#[test]
fn batches_from_any_seq_are_bounded_and_follow_each_other() {
    let mut rig = start(80);
    for bytes_max in [0, 100, 400, 1500, usize::MAX] {
        for from in 1..=80 {
            let mut read = Vec::new();
            let mut next = from;
            while let Some(entries) = batch(&mut rig, next, bytes_max) {
                let bytes: usize = entries.iter().map(Entry::weight).sum();
                assert!(bytes <= bytes_max || entries.len() == 1, "{bytes} bytes");
                next += entries.len() as u64;
                read.extend(entries);
            }
            assert_eq!(read, entries(from, 80), "from {from} by {bytes_max}");
        }
    }
    assert_eq!((batch(&mut rig, 0, 100), batch(&mut rig, 81, 100)), (None, None));
    // Whoever waits at the end goes on there when there is more.
    rig.run(vec![append(entries(81, 90))]);
    assert_eq!(batch(&mut rig, 81, usize::MAX), Some(entries(81, 90)));
    let mut rig = rig.reopen();
    assert_eq!(batch(&mut rig, 33, usize::MAX), Some(entries(33, 90)));
}

/// A batch goes on where the one before ended: what lies before that is not read again.
#[test]
fn a_batch_does_not_read_its_segment_from_the_beginning() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open(&disk, Path::new(DIR));
    rig.run(vec![append(entries(1, 80))]);
    let first = batch(&mut rig, 1, 500).unwrap();
    let next = first.len() as u64 + 1;
    let path = rig.last_segment();
    let file = disk.open(&path).unwrap();
    file.write_at(&[0xff; 40], 28).unwrap();
    assert!(rig.store.entries_from(1, 500).is_err(), "the first record is bad now");
    assert_eq!(batch(&mut rig, next, usize::MAX), Some(entries(next, 80)));
    assert!(rig.store.entries_from(next + 1, 500).is_err(), "nobody has read up to there");
}

#[test]
fn what_cleanup_may_have_dropped_is_gone_and_what_comes_after_is_not() {
    for through in [1, 17, 40, 60] {
        let mut rig = start(60);
        rig.run(vec![Job::CloseSegment]);
        // Somebody is in the midst of reading.
        let read = batch(&mut rig, 1, 2000).unwrap().len() as u64;
        rig.clean(through);
        let history = entries(1, 60);
        for reopened in [false, true] {
            let base = rig.store.contents.base.seq;
            assert!((1..=through).contains(&base), "{base} of {through}");
            for from in (1..=60).chain([read + 1]) {
                let found = batch(&mut rig, from, usize::MAX);
                if from > base {
                    assert_eq!(
                        found.as_deref(),
                        Some(&history[usize::try_from(from).unwrap() - 1..]),
                        "{from} of {through}"
                    );
                } else {
                    assert_eq!(found, None, "{from} of {through}");
                }
            }
            if !reopened {
                rig = rig.reopen();
            }
        }
    }
}

#[test]
fn after_a_cut_nothing_of_what_was_cut_off_is_read() {
    let mut rig = start(60);
    for from in 1..=60 {
        batch(&mut rig, from, 1);
    }
    rig.run(vec![cut(1, at(1, 30))]);
    assert_eq!(batch(&mut rig, 31, 100), None);
    let after: Vec<_> = (31..=60).map(|seq| put(2, seq, "other", "value")).collect();
    rig.run(vec![append_to(1, after.clone())]);
    for from in 31..=60 {
        assert_eq!(batch(&mut rig, from, usize::MAX).as_deref(), Some(&after[from as usize - 31..]));
    }
    assert_eq!(batch(&mut rig, 1, usize::MAX), Some([entries(1, 30), after].concat()));
}
