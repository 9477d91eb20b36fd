//! Logs cut back to a fork. (Cut off at any operation: `crash.rs`.)

use std::collections::BTreeSet;

use super::cleanup::{DIR, check, options};
use super::*;
use crate::replication::{CutOutcome, Rollback};

/// Overwrites and deletes of a few keys, over several segments.
fn entries(count: u64) -> Vec<Entry> {
    (1..=count)
        .map(|seq| match seq % 7 {
            0 => del(1, seq, &format!("key {}", seq % 5)),
            3 if seq % 2 == 0 => noop(1, seq),
            _ => put(
                1,
                seq,
                &format!("key {}", (seq * seq) % 11),
                &"v".repeat(usize::try_from(seq % 13).unwrap()),
            ),
        })
        .collect()
}

fn start(count: u64) -> Rig {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
    rig.run(vec![append(entries(count))]);
    rig
}

/// What comes where a log was cut.
fn others(from: u64) -> Vec<Entry> {
    (from..from + 20).map(|seq| put(2, seq, &format!("key {}", seq % 11), "other")).collect()
}

fn cut_at(rig: &mut Rig, log: u64, fork: Position) -> CutOutcome {
    match &rig.run(vec![cut(log, fork)])[..] {
        [Input::LogCut { log: named, outcome }] if named.0 == log => outcome.clone(),
        other => panic!("{other:?}"),
    }
}

/// Entries in all rollback files.
fn rolled_back(rig: &Rig) -> BTreeSet<String> {
    let dir = rig.dir.join("rollback");
    let names = rig.disk.list(&dir).unwrap_or_default();
    names
        .iter()
        .flat_map(|name| {
            String::from_utf8(read_file(&rig.disk, &dir.join(name)))
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_cut_at_any_position_leaves_the_beginning_of_the_log() {
    let history = entries(60);
    for fork in 0..=60 {
        for hints in [false, true] {
            let mut rig = start(60);
            if hints {
                rig.write_hints();
            }
            let position = history[..fork].last().map_or(Position::ZERO, |entry| entry.at);
            let outcome = cut_at(&mut rig, 1, position);
            let rollback = (fork < 60).then(|| Rollback {
                entries: 60 - fork as u64,
                file: format!("rollback/1@n1-{}.jsonl", fork + 1),
            });
            assert_eq!(outcome, CutOutcome::Done(rollback));
            assert_eq!(rolled_back(&rig).len(), 60 - fork);
            let context = format!("cut at {fork}");
            assert_eq!(rig.log(), history[..fork], "{context}");
            check(&rig, &history[..fork], &context);
            // What names the old log and comes later is dropped.
            assert_eq!(rig.run(vec![append_to(0, vec![put(1, 61, "late", "entry")])]), []);

            rig = rig.reopen();
            assert_eq!((&rig.opened.forgot, &rig.opened.torn), (&None, &None), "{context}");
            check(&rig, &history[..fork], &context);
            let longer = [&history[..fork], &others(fork as u64 + 1)].concat();
            rig.run(vec![append_to(1, others(fork as u64 + 1))]);
            check(&rig, &longer, &context);
            rig.write_hints();
            rig = rig.reopen();
            assert_eq!(rig.opened.hints_bad, [], "{context}");
            check(&rig, &longer, &context);
        }
    }
}

/// What cleanup has dropped because of something newer is missing if that is cut off.
#[test]
fn after_cleanups_a_cut_leaves_the_beginning_of_the_log_or_is_refused() {
    let history = entries(80);
    let clean = |rig: &mut Rig, cleaned: &[(u64, u64)]| {
        let mut from = 1;
        for &(upto, through) in cleaned {
            let part = history.iter().filter(|entry| (from..=upto).contains(&entry.at.seq));
            rig.run(vec![append(part.cloned().collect()), Job::CloseSegment]);
            from = upto + 1;
            rig.clean(through);
        }
        rig.run(vec![append(history[usize::try_from(from).unwrap() - 1..].to_vec())]);
    };
    let mut in_a_cleaned_segment = 0;
    let plans: [&[(u64, u64)]; 5] =
        [&[(40, 40)], &[(40, 25)], &[(20, 20), (40, 33), (60, 60)], &[(30, 7)], &[(60, 50), (70, 55)]];
    for plan in plans {
        let (mut done, mut refused) = (0, 0);
        for fork in 0..=80 {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
            let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
            clean(&mut rig, plan);
            let context = format!("cleaned {plan:?}, cut at {fork}");
            let before = rig.log();
            check(&rig, &history, &context);
            let position = history[..fork].last().map_or(Position::ZERO, |entry| entry.at);
            match cut_at(&mut rig, 1, position) {
                CutOutcome::BelowCleanup => {
                    refused += 1;
                    assert!((fork as u64) < rig.writer.cut_floor(), "{context}");
                    assert_eq!(rig.log(), before, "{context}: nothing has changed");
                    assert!(rolled_back(&rig).is_empty(), "{context}");
                    check(&rig, &history, &context);
                    rig = rig.reopen();
                    check(&rig, &history, &context);
                }
                CutOutcome::Done(_) => {
                    done += 1;
                    check(&rig, &history[..fork], &context);
                    in_a_cleaned_segment += usize::from(
                        rig.files().iter().any(|f| f.contains('-')) && rig.store.usage().segments == 2,
                    );
                    let longer = [&history[..fork], &others(fork as u64 + 1)].concat();
                    rig.run(vec![append_to(1, others(fork as u64 + 1))]);
                    check(&rig, &longer, &context);
                    rig = rig.reopen();
                    assert_eq!(rig.opened.forgot, None, "{context}");
                    check(&rig, &longer, &context);
                    // And it can be cleaned up again.
                    rig.run(vec![Job::CloseSegment]);
                    rig.clean(fork as u64 + 10);
                    check(&rig, &longer, &context);
                    check(&rig.reopen(), &longer, &context);
                }
            }
        }
        assert!(done > 10 && refused > 6, "{plan:?}: {done} cuts, {refused} refused");
    }
    assert!(in_a_cleaned_segment > 0, "a fork in a segment that cleanup has written anew");
}

#[test]
fn readers_of_the_log_as_it_was_read_on() {
    each_disk(|disk, dir| {
        let history = entries(60);
        let mut rig = Rig::open_with(disk, dir, options()).unwrap();
        rig.run(vec![append(history.clone())]);
        let (mut early, ..) = rig.store.snapshot().unwrap();
        let first = early.next_chunk(1).unwrap().0;
        let done = rig.writer.execute(vec![cut(1, at(1, 20))]).unwrap();
        // Lookups go on in the old state until the new one is applied.
        check(&rig, &history, "written, not applied");
        for done in done {
            rig.store.apply(done).unwrap();
        }
        check(&rig, &history[..20], "applied");
        let (rest, last) = early.next_chunk(usize::MAX).unwrap();
        assert_eq!(([first, rest].concat(), last), (history, true));
    });
}

#[test]
fn hints_under_way_are_given_up_and_leave_nothing() {
    let mut rig = start(60);
    let tasks = rig.store.take_hint_tasks();
    assert!(tasks.len() > 4);
    cut_at(&mut rig, 1, at(1, 20));
    for task in tasks {
        assert!(matches!(task.run(&|| true), Err(gate::Halt::Stopped)));
    }
    assert!(rig.files().iter().all(|name| name.ends_with(".log")), "{:?}", rig.files());
    assert!(rig.write_hints() >= 1, "those that are left get theirs again");
    check(&rig.reopen(), &entries(20), "reopened");
}

#[test]
fn a_cleanup_under_way_is_given_up_at_any_question() {
    // Each key is overwritten at once, so that there are many groups, and most do not matter to the fork.
    let history: Vec<_> = (1..=200).map(|seq| put(1, seq, &format!("key {}", seq / 2), "a value")).collect();
    let mut cuts_after_a_swap = 0;
    for question in 0.. {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
        rig.run(vec![append(history.clone()), Job::CloseSegment]);
        let (mut asked, mut was_cut) = (0, false);
        let outcome = clean_at_once(&mut rig.store, &mut rig.writer, 200, |store, writer| {
            if asked == question {
                for done in writer.execute(vec![cut(1, at(1, 150))])? {
                    if let Some(Input::LogCut { outcome, .. }) = store.apply(done)? {
                        was_cut = matches!(outcome, CutOutcome::Done(_));
                    }
                }
            }
            asked += 1;
            Ok(())
        })
        .unwrap();
        let context = format!("at question {question}");
        cuts_after_a_swap += usize::from(was_cut && rig.store.contents.base.seq > 0);
        let history = if was_cut { &history[..150] } else { &history };
        check(&rig, history, &context);
        assert!(!rig.files().iter().any(|name| name.ends_with(".part")), "{context}: {:?}", rig.files());
        let rig = rig.reopen();
        assert_eq!((&rig.opened.forgot, &rig.opened.torn), (&None, &None), "{context}");
        check(&rig, history, &context);
        if asked <= question {
            assert!(
                question > 30 && outcome.is_some() && cuts_after_a_swap > 15,
                "{question}, {cuts_after_a_swap}"
            );
            break;
        }
        assert_eq!(outcome.is_none(), was_cut, "{context}");
    }
}

/// A hint tells of a segment's records by their lengths: one of the segment as it was before must never be believed.
#[test]
fn a_segment_of_the_same_length_as_before_the_cut_has_a_hint_of_its_own() {
    let mut rig = start(60);
    rig.write_hints();
    let before = rig.files();
    cut_at(&mut rig, 1, at(1, 20));
    // The same lengths at the same places.
    let again = |entry: &Entry| match &entry.op {
        Op::Put { key, value } => Entry {
            at: entry.at,
            op: Op::Put { key: key.clone(), value: Bytes::from(vec![b'w'; value.len()]) },
        },
        _ => entry.clone(),
    };
    let changed: Vec<_> = entries(60)[20..].iter().map(again).collect();
    rig.run(vec![append_to(1, changed.clone())]);
    let history = [entries(20), changed].concat();
    rig = rig.reopen();
    check(&rig, &history, "without hints");
    rig.write_hints();
    assert_eq!(rig.files(), before);
    check(&rig.reopen(), &history, "with hints");
}

#[test]
fn a_fork_that_is_not_on_the_log_is_refused() {
    for fork in [at(2, 20), at(1, 61), at(3, 60)] {
        let mut rig = start(60);
        let error = rig.try_run(vec![cut(1, fork)]).unwrap_err();
        assert!(matches!(error, StorageError::Misuse { .. }), "{error}");
        check(&rig.reopen(), &entries(60), "unchanged");
    }
}
