//! A history whose beginning is not kept: what is concluded from the rest holds of the whole.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::collections::BTreeMap;
use std::path::Path;

use kvlab::judge::{Consistency, Judge, JudgeOptions, Judgement, Linearizable, OpKind};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::super::file::HistoryFile;
use super::*;

const CLIENTS: usize = 5;

/// A store that keeps its promises, and what its clients see of it: quorum operations on `q…` are atomic, async writes
/// may be lost, and what is of unknown outcome may take effect at any later time, or never.
struct World {
    random: SmallRng,
    sequencer: Sequencer,
    now: Duration,
    holds: BTreeMap<String, Option<String>>,
    clients: Vec<(u32, u64, Option<Running>)>,
    /// Writes of unknown outcome that have not taken effect.
    ghosts: Vec<Intent>,
    fresh_keys: u64,
}

struct Running {
    intent: Intent,
    /// What was read, once it has taken effect.
    applied: Option<Option<String>>,
}

impl World {
    fn new(seed: u64, file: Option<HistoryFile>) -> Self {
        let mut sequencer = Sequencer::new();
        sequencer.record_to(file);
        let clients = (0..CLIENTS).map(|_| (sequencer.new_client(), 0, None)).collect();
        let (holds, ghosts) = (BTreeMap::new(), Vec::new());
        let random = SmallRng::seed_from_u64(seed);
        Self { random, sequencer, now: Duration::ZERO, holds, clients, ghosts, fresh_keys: 0 }
    }

    /// So many steps of any client.
    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.now += Duration::from_millis(1);
            if self.random.random_ratio(1, 50) && !self.ghosts.is_empty() {
                let ghost = self.ghosts.swap_remove(self.random.random_range(0..self.ghosts.len()));
                self.apply(&ghost);
            }
            if self.random.random_ratio(1, 200) {
                // A promotion: what was written async is gone.
                self.holds.retain(|key, _| !key.contains('a'));
            }
            let client = self.random.random_range(0..CLIENTS);
            self.step(client);
        }
    }

    fn step(&mut self, client: usize) {
        let (number, values, running) = &mut self.clients[client];
        let number = *number;
        let Some(mut running) = running.take() else {
            *values += 1;
            let value = format!("c{number}-{values}");
            let intent = self.intent(value);
            self.sequencer.invoke(self.now, number, N1, &intent);
            self.clients[client].2 = Some(Running { intent, applied: None });
            return;
        };
        let is_read = running.intent.op == OpKind::Get;
        match running.applied.take() {
            Some(seen) => self.end(number, &running.intent, Outcome::Ok, seen),
            None if self.random.random_ratio(1, 12) && is_read => {
                self.end(number, &running.intent, Outcome::Failed("no".into()), None);
            }
            None if self.random.random_ratio(1, 12) => {
                self.end(number, &running.intent, Outcome::Unknown("?".into()), None);
                self.ghosts.push(running.intent);
            }
            None => {
                running.applied = Some(self.apply(&running.intent));
                self.clients[client].2 = Some(running);
            }
        }
    }

    fn end(&mut self, client: u32, intent: &Intent, outcome: Outcome, seen: Option<String>) {
        let (at, votes, refused_stale) = (None, Vec::new(), false);
        let completion = Completion { node: Some(N1), outcome, seen, at, votes, refused_stale };
        self.sequencer.complete(self.now, client, intent, &completion);
    }

    fn apply(&mut self, intent: &Intent) -> Option<String> {
        if intent.op != OpKind::Get {
            self.holds.insert(intent.key.clone(), intent.value.clone());
        }
        self.holds.get(&intent.key).cloned().flatten()
    }

    /// Registers of each family, keys that are written once and read later, and keys of a person, who deletes and
    /// writes the same value twice.
    fn intent(&mut self, value: String) -> Intent {
        let key =
            *["q0", "q1", "q2", "a0", "a1", "la", "lq", "pq", "pa"].choose(&mut self.random).expect("keys");
        let level = if key.contains('a') { Consistency::Async } else { Consistency::Quorum };
        let reads = self.random.random_bool(0.5);
        let key = match key {
            "la" | "lq" if reads => format!("{key}-{}", self.random.random_range(0..=self.fresh_keys)),
            "la" | "lq" => {
                self.fresh_keys += 1;
                format!("{key}-{}", self.fresh_keys)
            }
            _ => key.to_owned(),
        };
        if reads {
            let eventual = level == Consistency::Async && self.random.random_bool(0.5);
            let consistency = if eventual { Consistency::Eventual } else { Consistency::Quorum };
            return Intent { op: OpKind::Get, key, value: None, consistency };
        }
        let by_a_person = key.starts_with('p');
        let value = if by_a_person { self.random.random_range(0..3).to_string() } else { value };
        let deletes = by_a_person && self.random.random_ratio(1, 4);
        let (op, value) = if deletes { (OpKind::Del, None) } else { (OpKind::Put, Some(value)) };
        Intent { op, key, value, consistency: level }
    }

    /// One operation of one client, from its begin to its end.
    fn whole(&mut self, client: u32, intent: &Intent, seen: Option<&str>) {
        self.sequencer.invoke(self.now, client, N1, intent);
        self.end(client, intent, Outcome::Ok, seen.map(str::to_owned));
    }
}

fn put(key: &str, value: &str) -> Intent {
    Intent::put(key.to_owned(), Some(value.to_owned()), kvlab::types::WriteLevel::Quorum)
}

/// What is said of what is kept in this directory.
fn judged(dir: &Path) -> (Judgement, Option<Kept>) {
    let parts = HistoryParts::of_run(dir).expect("a history");
    let kept = Kept::of(parts.again().expect("again")).expect("read");
    let mut judge = Judge::new(JudgeOptions::unbounded());
    if let Some(kept) = &kept {
        kept.tell(&mut judge);
    }
    let judged = judge_lines(parts.again().expect("again"), judge, |_, _| {}).expect("judged");
    (judged.report, kept)
}

fn played(
    seed: u64,
    steps: usize,
    bytes_max: u64,
    then: impl FnOnce(&mut World),
) -> (Judgement, Option<Kept>) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = HistoryFile::create(dir.path(), Some(bytes_max)).expect("a history");
    let mut world = World::new(seed, Some(file));
    world.run(steps);
    then(&mut world);
    drop(world);
    judged(dir.path())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Wherever the beginning is cut off: a promise that was kept is never called broken.
    #[test]
    fn a_store_that_keeps_its_promises_is_never_accused(seed in any::<u64>(), steps in 3000usize..6000) {
        let whole = {
            let mut world = World::new(seed, None);
            world.run(steps);
            world.sequencer.verdict(false, None)
        };
        prop_assert_eq!(whole.promise.violations_total, 0, "{:?}", whole.promise.violations);
        for bytes_max in [64 << 10, 256 << 10] {
            let (report, kept) = played(seed, steps, bytes_max, |_| {});
            prop_assert!(kept.is_some(), "the beginning is gone");
            prop_assert_eq!(&report.violations, &[]);
            prop_assert_eq!((report.quorum_ledger.lost, report.violations_total), (0, 0));
            prop_assert!(report.linearizable != Linearizable::No);
        }
    }

    /// What the rest proves is said all the same.
    #[test]
    fn what_is_broken_in_what_is_kept_is_found(seed in any::<u64>()) {
        let (report, kept) = played(seed, 4000, 256 << 10, |world| {
            let [first, second] = [world.sequencer.new_client(), world.sequencer.new_client()];
            let [one, two] = [format!("c{first}-1"), format!("c{first}-2")];
            world.whole(first, &put("q0", &one), None);
            world.whole(first, &put("q0", &two), None);
            world.whole(second, &read("q0"), Some(&one));
        });
        prop_assert!(kept.is_some());
        prop_assert_eq!(report.linearizable, Linearizable::No);
        prop_assert!(report.violations.iter().all(|violation| violation.key == "q0"));
    }
}

#[test]
fn values_of_the_beginning_that_is_gone_have_an_order_too() {
    let (report, kept) = played(7, 4000, 256 << 10, |_| {});
    assert_eq!(report.linearizable, Linearizable::Undecided, "keys of the person are not known");
    let kept = kept.expect("the beginning is gone");
    assert!(kept.is_odd("pq") && kept.is_odd("a0") && !kept.is_odd("q1"));
    // Two values that were both written before what is kept: read, then the other, then the first again.
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::new(9, Some(HistoryFile::create(dir.path(), Some(64 << 10)).expect("a history")));
    let clients = [world.sequencer.new_client(), world.sequencer.new_client()];
    let values = clients.map(|client| format!("c{client}-1"));
    for (client, value) in clients.into_iter().zip(&values) {
        let intent = put("x", value);
        world.sequencer.invoke(world.now, client, N1, &intent);
        world.end(client, &intent, Outcome::Unknown("?".into()), None);
    }
    world.run(3000);
    for value in [&values[0], &values[1], &values[0]] {
        world.whole(clients[0], &read("x"), Some(value));
    }
    drop(world);
    let (report, kept) = judged(dir.path());
    assert!(kept.is_some_and(|kept| kept.from_i > 4), "the writes are gone");
    assert_eq!(report.linearizable, Linearizable::No, "each was written once: one cannot come back");
    assert_eq!(report.violations[0].key, "x");
}

#[test]
fn a_history_with_a_part_missing_is_refused_and_the_first_part_has_no_line_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::new(3, Some(HistoryFile::create(dir.path(), Some(1 << 20)).expect("a history")));
    world.run(5000);
    drop(world);
    let (report, kept) = judged(dir.path());
    assert!(kept.is_none() && report.linearizable == Linearizable::Yes, "all is kept");
    let second = dir.path().join("history.000002.jsonl");
    let newest = dir.path().join("history.jsonl");
    let text = std::fs::read_to_string(dir.path().join("history.000001.jsonl")).expect("read");
    assert!(text.starts_with("{\"i\":1,"), "as ever");
    let rest = std::fs::read_to_string(second).or_else(|_| std::fs::read_to_string(newest)).expect("a part");
    let cut = text.lines().count() - 1;
    let torn: String = text.lines().take(cut).chain(rest.lines()).map(|line| format!("{line}\n")).collect();
    let judge = Judge::new(JudgeOptions::unbounded());
    let error = judge_lines(torn.as_bytes(), judge, |_, _| {}).expect_err("an event is missing");
    assert!(error.to_string().contains("a part that begins at event"), "{error}");
}
