//! A life with cleanups in it, cut off at every operation on the disk: what is found afterwards is what some prefix of
//! the entries leaves, at least the acknowledged ones, whether a swap stands or not.

use super::cleanup::{DIR, check, options};
use super::*;

/// A life of writes, cleanups in between and at the same time, cut off after some operations on the disk. Returns what
/// was appended, how much of it was acknowledged, and whether it came to its end.
fn live(disk: &Arc<dyn Disk>, durability: Durability) -> (Vec<Entry>, usize, bool) {
    let options = Options { durability, ..options() };
    let mut history: Vec<Entry> = Vec::new();
    let mut acknowledged = 0;
    let Ok(mut rig) = Rig::open_with(disk, Path::new(DIR), options) else { return (history, 0, false) };
    let next = |history: &mut Vec<Entry>| {
        let seq = history.len() as u64 + 1;
        let epoch = 1 + seq / 25;
        let opens = history.last().is_some_and(|last| last.at.epoch.number < epoch);
        let key = format!("key {}", (seq * seq) % 7);
        history.push(match seq {
            _ if opens => noop(epoch, seq),
            _ if seq.is_multiple_of(4) => del(epoch, seq, &key),
            _ => put(epoch, seq, &key, &"x".repeat(usize::try_from(seq * 13 % 90).unwrap())),
        });
        history.last().unwrap().clone()
    };
    for round in 0..3 {
        for _ in 0..16 {
            let entry = next(&mut history);
            if rig.try_run(vec![append(vec![entry])]).is_err() {
                return (history, acknowledged, false);
            }
            acknowledged = history.len();
        }
        if round == 1 && rig.try_run(vec![save(9), Job::CloseSegment]).is_err() {
            return (history, acknowledged, false);
        }
        let through = acknowledged as u64 - 2 * round;
        let outcome = clean_at_once(&mut rig.store, &mut rig.writer, through, |store, writer| {
            for done in writer.execute(vec![append(vec![next(&mut history)])])? {
                store.apply(done)?;
            }
            acknowledged = history.len();
            Ok(())
        });
        match outcome {
            Ok(_) => check(&rig, &history, "alive"),
            Err(StorageError::Io { .. }) => return (history, acknowledged, false),
            Err(error) => panic!("{error}"),
        }
    }
    (history, acknowledged, true)
}

/// Cuts that life off after `operations`; `false` once it is lived to its end.
fn cut_off(operations: u64, durability: Durability, loss: Loss, seed: u64) -> bool {
    let context = format!("{durability:?}, {loss:?}, seed {seed}, after {operations} operations");
    let memory = MemoryDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    memory.fail_power_after(operations);
    let (history, acknowledged, finished) = live(&disk, durability);
    memory.crash(loss);

    let options = Options { durability, ..options() };
    let mut at_least =
        if loss == Loss::Nothing || durability == Durability::Always { acknowledged } else { 0 };
    // Every opening that is cut off must leave what the next one needs.
    for opening in 0.. {
        memory.fail_power_after(opening);
        let opened = Rig::open_with(&disk, Path::new(DIR), options);
        memory.crash(loss);
        match opened {
            Ok(_) => break,
            Err(StorageError::Io { .. }) => {}
            Err(error) => panic!("{context}, opening cut off after {opening}: {error}"),
        }
    }
    for _ in 0..2 {
        let mut rig = Rig::open_with(&disk, Path::new(DIR), options)
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let kept = usize::try_from(rig.store.last().seq).unwrap();
        assert!((at_least..=history.len()).contains(&kept), "{context}: {kept} of {at_least}");
        check(&rig, &history[..kept], &context);
        assert!(!rig.files().iter().any(|name| name.ends_with(".part")), "{context}");
        let names: Vec<_> = rig.files().iter().filter_map(|file| SegmentName::of_log(file)).collect();
        assert_eq!(names.len() as u64, rig.store.usage().segments, "{context}: {names:?}");
        assert_eq!(rig.opened.hints_bad, [], "{context}");
        let mut lineage = Lineage::default();
        history[..kept].iter().for_each(|entry| lineage.extend(entry.at));
        assert_eq!(rig.opened.recovered.lineage, lineage, "{context}");
        // What was cleaned is cleaned again, and it goes on.
        rig.clean(kept as u64);
        check(&rig, &history[..kept], &context);
        rig.write_hints();
        at_least = kept;
        memory.crash(loss);
    }
    !finished
}

fn cut_off_everywhere(durability: Durability, loss: Loss, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let lived = (0..).take_while(|&operations| cut_off(operations, durability, loss, seed)).count();
        assert!(lived > 150, "the life is longer than {lived} operations");
    }
}

#[test]
fn the_process_dies_at_any_operation_of_a_cleanup() {
    cut_off_everywhere(Durability::Always, Loss::Nothing, 0..1);
    cut_off_everywhere(Durability::Os, Loss::Nothing, 0..1);
}

#[test]
fn the_power_goes_at_any_operation_of_a_cleanup() {
    cut_off_everywhere(Durability::Always, Loss::Whole, 0..1);
    cut_off_everywhere(Durability::Os, Loss::Whole, 0..1);
}

#[test]
fn the_power_goes_at_any_operation_of_a_cleanup_and_leaves_parts() {
    cut_off_everywhere(Durability::Always, Loss::Torn, 0..3);
    cut_off_everywhere(Durability::Os, Loss::Torn, 100..102);
}
