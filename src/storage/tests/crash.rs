//! A scripted life of a store, cut off at every operation on the disk.
//!
//! Whenever the process or the machine dies, what is found afterwards is what some prefix of the jobs leaves: at
//! least the acknowledged ones, at most the submitted ones. Opening must bear being cut off at every operation too.

use std::time::Duration;

use super::*;
use crate::types::SnapshotId;

const DIR: &str = "/data";
const ID: SnapshotId = SnapshotId(1);

/// What a store holds, as far as a restart can see it.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    log: Vec<Entry>,
    last: Position,
    lineage: Lineage,
    promise: Promise,
    /// The lines of all rollback files together must hold these.
    discarded: Vec<Entry>,
}

/// The states after each entry and each other change, and how they came about.
struct History {
    states: Vec<State>,
    log: u64,
    /// No cut goes below this seq.
    base: u64,
    incoming: Vec<Entry>,
}

impl History {
    fn new() -> Self {
        Self { states: vec![State::default()], log: 0, base: 0, incoming: Vec::new() }
    }

    fn follow(&mut self, job: &Job) {
        let state = self.states.last().unwrap().clone();
        match job {
            Job::Core(DiskJob::Append { log, entries }) if log.0 == self.log => {
                for entry in entries {
                    let mut state = self.states.last().unwrap().clone();
                    state.log.push(entry.clone());
                    state.last = entry.at;
                    state.lineage.extend(entry.at);
                    self.states.push(state);
                }
            }
            Job::Core(DiskJob::Append { .. })
            | Job::Core(DiskJob::InstallAbort { .. })
            | Job::CloseSegment
            | Job::Swap(_)
            | Job::Repair(_) => {}
            Job::Core(DiskJob::Cut { log, fork }) => {
                self.log = log.0;
                if fork.seq >= self.base && fork.seq < state.last.seq {
                    self.states.push(cut_back(state, *fork));
                }
            }
            Job::Core(DiskJob::Save { promise }) => self.states.push(State { promise: *promise, ..state }),
            Job::Core(DiskJob::InstallBegin { .. }) => self.incoming.clear(),
            Job::Core(DiskJob::InstallChunk { entries, .. }) => self.incoming.extend_from_slice(entries),
            Job::Core(DiskJob::InstallCommit { log, at, lineage, fork, .. }) => {
                self.log = log.0;
                self.base = at.seq;
                let mut discarded = state.discarded;
                discarded.extend(state.log.iter().filter(|entry| entry.at.seq > fork.seq).cloned());
                let log = std::mem::take(&mut self.incoming);
                let (last, lineage, promise) = (*at, lineage.clone(), state.promise);
                self.states.push(State { log, last, lineage, promise, discarded });
            }
        }
    }
}

fn cut_back(mut state: State, fork: Position) -> State {
    let all = std::mem::take(&mut state.log);
    let (stay, go): (Vec<_>, Vec<_>) = all.into_iter().partition(|entry| entry.at.seq <= fork.seq);
    state.discarded.extend(go);
    let spans = state.lineage.spans().iter().copied().filter(|&(_, first)| first <= fork.seq).collect();
    State { log: stay, last: fork, lineage: Lineage::from_spans(spans).unwrap(), ..state }
}

/// Batches with everything that a writer does, records around the size of a sector, and several segments.
fn script() -> Vec<Vec<Job>> {
    let long = |n: usize| "x".repeat(n);
    let values = |epoch, from: u64, to: u64| -> Vec<Entry> {
        (from..=to)
            .map(|seq| {
                put(epoch, seq, &format!("key {}", seq % 5), &long(90 * usize::try_from(seq % 9).unwrap()))
            })
            .collect()
    };
    // What comes where a log was cut: never what was there before.
    let others = |epoch, from: u64, to: u64| -> Vec<Entry> {
        (from..=to).map(|seq| put(epoch, seq, &format!("key {}", seq % 3), &long(200))).collect()
    };
    let snapshot = [vec![noop(1, 1)], values(1, 2, 4), vec![noop(3, 5)], values(3, 6, 14)].concat();
    let later = [vec![noop(1, 1)], vec![put(1, 4, "gap", &long(700))], values(5, 30, 33)].concat();
    let commit = |log, at, spans: &[(u64, u64)], fork| {
        Job::Core(DiskJob::InstallCommit { id: ID, log: LogId(log), at, lineage: lineage(spans), fork })
    };
    vec![
        vec![save(1), append(vec![noop(1, 1)])],
        vec![append(values(1, 2, 3)), append(values(1, 4, 6))],
        vec![append(values(1, 7, 8)), save(2), append([vec![noop(2, 9)], values(2, 10, 16)].concat())],
        vec![append(vec![del(2, 17, "key 1"), put(2, 18, "huge", &long(3000))]), append(values(2, 19, 20))],
        // Across several segments, then where the log ends, then within the last.
        vec![cut(1, at(2, 12)), append_to(0, values(2, 21, 22)), append_to(1, others(2, 13, 18))],
        vec![
            cut(2, at(2, 18)),
            append_to(2, others(2, 19, 20)),
            cut(3, at(2, 19)),
            append_to(3, values(2, 20, 20)),
        ],
        vec![
            save(3),
            Job::Core(DiskJob::InstallBegin { id: ID }),
            Job::Core(DiskJob::InstallChunk { id: ID, entries: vec![noop(9, 1)] }),
        ],
        vec![append_to(3, values(2, 21, 22)), Job::Core(DiskJob::InstallBegin { id: ID })],
        vec![Job::Core(DiskJob::InstallChunk { id: ID, entries: snapshot[..6].to_vec() })],
        vec![
            Job::Core(DiskJob::InstallChunk { id: ID, entries: snapshot[6..].to_vec() }),
            append_to(3, values(2, 23, 23)),
        ],
        vec![commit(4, at(3, 14), &[(1, 1), (3, 5)], at(1, 4)), append_to(3, values(2, 24, 24))],
        vec![append_to(4, values(3, 15, 19)), append_to(4, values(3, 20, 21)), save(4)],
        vec![
            Job::Core(DiskJob::InstallBegin { id: ID }),
            Job::Core(DiskJob::InstallAbort { id: ID }),
            append_to(4, values(3, 22, 22)),
        ],
        // Below the base: nothing changes but the name.
        vec![cut(5, at(3, 13)), append_to(5, values(3, 23, 23))],
        vec![cut(6, at(3, 16)), append_to(6, vec![noop(4, 17)]), append_to(6, others(4, 18, 22))],
        vec![
            Job::Core(DiskJob::InstallBegin { id: ID }),
            Job::Core(DiskJob::InstallChunk { id: ID, entries: later }),
            commit(7, at(5, 33), &[(1, 1), (5, 24)], at(1, 4)),
            append_to(7, values(5, 34, 38)),
        ],
        vec![append_to(7, values(5, 39, 40)), save(7)],
        // All that came after the state that was received.
        vec![cut(8, at(5, 33)), append_to(8, others(5, 34, 35))],
    ]
}

fn options(durability: Durability) -> Options {
    Options { durability, segment_bytes: 1200, ..Options::new(NODE) }
}

/// How far a life got: indices into the states of its history.
struct Life {
    history: History,
    /// This much was acknowledged, and must survive the process.
    acknowledged: usize,
    /// This much was synced by order, and must survive the machine.
    synced: usize,
    finished: bool,
}

/// Lives the script until the disk fails.
fn live(disk: &Arc<dyn Disk>, durability: Durability) -> Life {
    let mut life = Life { history: History::new(), acknowledged: 0, synced: 0, finished: false };
    let Ok(mut rig) = Rig::open_with(disk, Path::new(DIR), options(durability)) else { return life };
    for batch in script() {
        let mut synced = 0;
        for job in &batch {
            let refused = matches!(job, Job::Core(DiskJob::Cut { fork, .. }) if fork.seq < life.history.base);
            life.history.follow(job);
            let orders_sync = matches!(
                job,
                Job::Core(DiskJob::Save { .. } | DiskJob::InstallCommit { .. } | DiskJob::Cut { .. })
            );
            if (orders_sync && !refused) || durability == Durability::Always {
                synced = life.history.states.len() - 1;
            }
        }
        match rig.try_run(batch) {
            Ok(_) => {}
            Err(StorageError::Io { .. }) => return life,
            Err(error) => panic!("{error}"),
        }
        life.acknowledged = life.history.states.len() - 1;
        life.synced = life.synced.max(synced);
    }
    life.finished = true;
    life
}

/// What is there, read in every way there is.
fn look(rig: &Rig) -> State {
    let log = rig.log();
    for entry in log.iter().rev() {
        if let Some(key) = entry.op.key() {
            let newest = log.iter().rfind(|other| other.op.key() == Some(key)).unwrap();
            let expected = match &newest.op {
                Op::Put { value, .. } => Some(value.clone()),
                _ => None,
            };
            assert_eq!(rig.store.get(key).unwrap(), Found { value: expected, version: newest.at });
        }
    }
    let Opened { recovered, .. } = rig.opened.clone();
    assert_eq!(rig.store.last(), recovered.last);
    State {
        log,
        last: recovered.last,
        lineage: recovered.lineage,
        promise: recovered.promise,
        discarded: Vec::new(),
    }
}

/// Checks what a crash has left; returns which of the history's states it is.
fn check(rig: &Rig, life: &Life, at_least: usize, context: &str) -> usize {
    let found = look(rig);
    let states = &life.history.states;
    let same = |state: &State| {
        let promised = state.promise.epoch.max(state.last.epoch);
        (&state.log, state.last, &state.lineage, promised)
            == (&found.log, found.last, &found.lineage, found.promise.epoch)
    };
    let Some(index) = states.iter().rposition(same) else {
        panic!("{context}: no prefix of the jobs leaves {found:#?}, torn {:?}", rig.opened.torn)
    };
    assert!(index >= at_least, "{context}: state {index} of {at_least}..{}", states.len());

    assert_eq!((&rig.opened.forgot, found.promise.learner), (&None, false), "{context}: an honest disk");
    let names = rig.disk.list(&rig.dir).unwrap();
    assert_eq!(names.iter().filter(|name| name.starts_with("log-")).count(), 1, "{context}: {names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{context}: {names:?}");
    assert!(!rig.files().iter().any(|name| name.ends_with(".part")), "{context}: {:?}", rig.files());
    let mut kept = String::new();
    if names.iter().any(|name| name == "rollback") {
        for name in rig.disk.list(&rig.dir.join("rollback")).unwrap() {
            assert!(name.ends_with(".jsonl"), "{context}: {name}");
            kept += &String::from_utf8(read_file(&rig.disk, &rig.dir.join("rollback").join(name))).unwrap();
        }
    }
    for Entry { at, .. } in &states[index].discarded {
        let beginning = format!("{{\"epoch\":\"{}\",\"seq\":{},", at.epoch, at.seq);
        assert!(kept.contains(&beginning), "{context}: {at} disappeared without a trace");
    }
    index
}

/// Cuts a life off after `operations`, then checks what is found; `false` once the script is lived to its end.
fn cut_off(operations: u64, durability: Durability, loss: Loss, seed: u64, restarts: bool) -> bool {
    let memory = MemoryDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    memory.fail_power_after(operations);
    let life = live(&disk, durability);
    memory.crash(loss);
    let context = format!("{durability:?}, {loss:?}, seed {seed}, after {operations} operations");
    let mut at_least = if loss == Loss::Nothing { life.acknowledged } else { life.synced };

    // Every opening that is cut off must leave what the next one needs.
    for opening in 0.. {
        if !restarts {
            break;
        }
        memory.fail_power_after(opening);
        let opened = Rig::open_with(&disk, Path::new(DIR), options(durability));
        memory.crash(loss);
        match opened {
            Ok(_) => break,
            Err(StorageError::Io { .. }) => {}
            Err(error) => panic!("{context}, opening cut off after {opening}: {error}"),
        }
    }
    // What an opening has found stays, whatever happens next.
    for loss in [Loss::Nothing, Loss::Whole] {
        let rig = Rig::open_with(&disk, Path::new(DIR), options(durability))
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        at_least = check(&rig, &life, at_least, &context);
        memory.crash(loss);
    }
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options(durability)).unwrap();
    assert_eq!(check(&rig, &life, at_least, &context), at_least, "{context}");
    assert_eq!(rig.opened.torn, None, "{context}: torn only once");

    // And it goes on from there.
    let Position { epoch, seq } = rig.store.last();
    let next = put(epoch.number + 1, seq + 1, "goes on", "value");
    rig.run(vec![append(vec![next.clone()])]);
    assert_eq!(rig.reopen().log().last(), Some(&next), "{context}");
    !life.finished
}

fn cut_off_everywhere(durability: Durability, loss: Loss, seeds: std::ops::Range<u64>, restarts: bool) {
    for seed in seeds {
        let lived =
            (0..).take_while(|&operations| cut_off(operations, durability, loss, seed, restarts)).count();
        assert!(lived > 60, "the script is longer than {lived} operations");
    }
}

#[test]
fn the_process_dies_at_any_operation() {
    for durability in [Durability::Always, Durability::Os, Durability::Interval(Duration::from_secs(1))] {
        cut_off_everywhere(durability, Loss::Nothing, 0..1, true);
    }
}

#[test]
fn the_power_goes_at_any_operation_and_everything_unsynced_with_it() {
    for durability in [Durability::Always, Durability::Os] {
        cut_off_everywhere(durability, Loss::Whole, 0..1, true);
    }
}

#[test]
fn the_power_goes_at_any_operation_and_some_of_the_unsynced_with_it() {
    cut_off_everywhere(Durability::Always, Loss::Torn, 0..6, false);
    cut_off_everywhere(Durability::Always, Loss::Torn, 100..101, true);
    cut_off_everywhere(Durability::Os, Loss::Torn, 200..206, false);
}

/// A loss of power may bring back any mark that was ever written. None of them makes a learner of a member whose disk
/// has kept its word.
#[test]
fn an_old_mark_that_comes_back_makes_nobody_a_learner() {
    let dir = Path::new(DIR);
    let live = |batches: usize| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = Rig::open_with(&disk, dir, options(Durability::Always)).unwrap();
        let mut marks = vec![read_file(&disk, &dir.join("synced"))];
        for batch in script().into_iter().take(batches) {
            rig.run(batch);
            marks.push(read_file(&disk, &dir.join("synced")));
        }
        (rig, marks)
    };
    let length = script().len();
    let (_, marks) = live(length);
    let distinct: std::collections::BTreeSet<_> = marks.iter().collect();
    assert!(distinct.len() > length / 2, "the mark moves");
    for batches in 0..=length {
        for (age, mark) in marks[..=batches].iter().enumerate() {
            let (rig, _) = live(batches);
            let last = rig.store.last();
            write_file(&rig.disk, &dir.join("synced"), mark);
            let rig = rig.reopen();
            assert_eq!(rig.opened.forgot, None, "after {batches} batches, with the mark of after {age}");
            assert_eq!((rig.store.last(), rig.opened.recovered.promise.learner), (last, false));
        }
    }
}
