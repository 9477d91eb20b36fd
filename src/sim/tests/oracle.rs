//! Each check of the oracle, on a state that was doctored for it: a check that cannot fail proves nothing.

use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::replication::{Config, DiskJob as Job, LogId, Promise};
use crate::sim::tests::model_disk::ModelDisk;
use crate::sim::{ClientRequest, Environment, World, dice::Dice};
use crate::types::{Ballot, Entry, Event, Found, MemberVote, Message, ReadLevel, Reply, RoundId, Vote};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const FIRST: Epoch = Epoch::new(1, N1);
const LATER: Epoch = Epoch::new(9, N2);
const REQUEST: RequestId = RequestId(1_000_000);

/// A healthy cluster that has committed `k=v` under `1@n1/2`.
fn healthy() -> World<()> {
    let members = vec![N1, N2, N3];
    let configs = members.iter().map(|&id| Config::new(id, members.clone())).collect();
    let mut world =
        World::on_disks(configs, Environment::CALM, Dice::new(1), |_, _| Box::new(ModelDisk::new()));
    for id in members {
        world.start(id).expect("a start breaks nothing");
    }
    run(&mut world, Duration::from_secs(2)).expect("nothing is broken yet");
    ask(&mut world, write("k", "v", WriteLevel::Quorum)).expect("a write breaks nothing");
    run(&mut world, Duration::from_secs(1)).expect("nothing is broken yet");
    assert_eq!(world.oracle.committed(), at(2));
    world
}

fn run(world: &mut World<()>, by: Duration) -> Result<(), BrokenPromise> {
    let end = world.now() + by;
    while world.step(end)?.is_some() {}
    Ok(())
}

fn ask(world: &mut World<()>, command: Command) -> Result<(), BrokenPromise> {
    world.ask_on_the_spot(ClientRequest { client: 1, home: None, node: N1, command })
}

fn at(seq: u64) -> Position {
    Position::new(FIRST, seq)
}

fn write(key: &'static str, value: &'static str, level: WriteLevel) -> Command {
    Command::Write { op: put(key, value), level, timeout: Duration::from_millis(500) }
}

fn read(key: &'static str, level: ReadLevel) -> Command {
    Command::Read { key: key.into(), level, timeout: Duration::from_millis(500) }
}

fn put(key: &'static str, value: &'static str) -> Op {
    Op::Put { key: key.into(), value: value.into() }
}

/// What the oracle says of things that did not really happen.
fn told(world: &mut World<()>, events: &[ClusterEvent]) -> String {
    world.oracle.observe(&world.cluster, events).expect_err("the oracle sees that")
}

fn sent(from: NodeId, message: Message) -> ClusterEvent {
    let to = if from == N1 { N2 } else { N1 };
    ClusterEvent::Sent { link: (from, to), envelope: None, message: Rc::new(message) }
}

fn appended(node: NodeId, entry: Entry) -> ClusterEvent {
    ClusterEvent::Submitted { node, job: Rc::new(Job::Append { log: LogId(0), entries: vec![entry] }) }
}

/// A request that a member has answered so.
fn answered(node: NodeId, command: Command, reply: Reply) -> [ClusterEvent; 2] {
    [
        ClusterEvent::Requested { node, request: REQUEST, command },
        ClusterEvent::Replied { node, request: REQUEST, reply },
    ]
}

fn acks(nodes: &[NodeId]) -> Vec<MemberVote> {
    nodes.iter().map(|&node| MemberVote { node, vote: Vote::Ack, after_us: None }).collect()
}

fn value(value: Option<&'static str>, version: Position) -> Reply {
    let found = Found { value: value.map(Into::into), version };
    Reply::Value { found, epoch: FIRST, votes: Vec::new() }
}

fn opened(node: NodeId, epoch: Epoch, voters: &[NodeId]) -> ClusterEvent {
    ClusterEvent::StateChanged {
        node,
        event: Event::EpochOpened { epoch, forced: false, voters: voters.to_vec() },
    }
}

#[track_caller]
fn says(broken: &str, expected: &str) {
    assert!(broken.contains(expected), "{broken:?} does not say {expected:?}");
}

#[test]
fn what_is_true_is_not_called_broken() {
    let mut world = healthy();
    let honest = answered(N2, read("k", ReadLevel::Eventual), value(Some("v"), at(2)));
    world.oracle.observe(&world.cluster, &honest).expect("that is so");
    world.oracle.settled(&world.cluster).expect("all are equal");
}

// === Epochs

#[test]
fn an_epoch_has_one_primary() {
    let mut world = healthy();
    says(&told(&mut world, &[opened(N2, FIRST, &[N2, N3])]), "n2 opens 1@n1 again");
    let mut world = healthy();
    world.oracle.leads.clear();
    says(&told(&mut world, &[ClusterEvent::Ticked { node: N1 }]), "n1 is primary of 1@n1, but its process");
}

#[test]
fn an_epoch_opens_with_a_no_op_and_the_votes_of_a_quorum() {
    let mut world = healthy();
    says(&told(&mut world, &[opened(N2, LATER, &[N2, N3])]), "n2 opens 9@n2 without a no-op");
    let no_op = || appended(N2, Entry { at: Position::new(LATER, 3), op: Op::Noop });
    let mut world = healthy();
    says(&told(&mut world, &[no_op(), opened(N2, LATER, &[N2])]), "n2 opens 9@n2 by n2");
    let mut world = healthy();
    says(&told(&mut world, &[no_op(), opened(N2, LATER, &[N2, N3])]), "by the vote of n2, whose disk has");
}

#[test]
fn a_committed_entry_does_not_leave_the_lineage_of_a_higher_epoch() {
    let mut world = healthy();
    world.oracle.committed_in.insert(FIRST, at(1000));
    let promote = Command::Promote { force: false };
    let asked = world.ask_on_the_spot(ClientRequest { client: 1, home: None, node: N2, command: promote });
    let broken = asked.and_then(|()| run(&mut world, Duration::from_secs(2))).expect_err("it is not there");
    says(&broken, "lacks 1@n1/1000, which is committed");
}

#[test]
fn what_is_committed_is_on_a_quorum_and_on_one_lineage() {
    let mut world = healthy();
    for id in [N2, N3] {
        world.cluster.crash(id, crate::sim::disk::Crash::CLEAN);
        world.cluster.node_mut(id).wipe();
    }
    world.oracle.commits.clear();
    world.oracle.committed = (Position::ZERO, Lineage::default());
    says(
        &told(&mut world, &[ClusterEvent::Ticked { node: N1 }]),
        "1@n1/2 is committed, but only on the disks of",
    );
    let mut world = healthy();
    world.oracle.commits.clear();
    world.oracle.committed.1 = Lineage::from_spans(vec![(LATER, 1)]).expect("a lineage");
    says(&told(&mut world, &[ClusterEvent::Ticked { node: N1 }]), "n1 holds 1@n1/2 for committed");
}

#[test]
fn a_commit_index_does_not_go_back() {
    let mut world = healthy();
    world.oracle.commits.insert(N1, 1000);
    says(&told(&mut world, &[ClusterEvent::Ticked { node: N1 }]), "n1: commit goes back from 1000 to 2");
}

// === Members

#[test]
fn logs_of_equal_position_are_equal() {
    let mut world = healthy();
    let other = appended(N2, Entry { at: at(2), op: put("k", "else") });
    says(&told(&mut world, &[other]), "two entries under 1@n1/2");
    let mut world = healthy();
    let from_nowhere = appended(N2, Entry { at: Position::new(Epoch::new(9, N3), 3), op: Op::Noop });
    says(&told(&mut world, &[from_nowhere]), "9@n3/3 comes from nowhere");
}

#[test]
fn what_is_installed_was_written() {
    let mut world = healthy();
    let id = crate::types::SnapshotId(1);
    let lineage = Lineage::from_spans(vec![(FIRST, 1)]).expect("a lineage");
    let entries = vec![Entry { at: at(2), op: put("k", "else") }];
    let commit =
        || Job::InstallCommit { id, log: LogId(7), at: at(2), lineage: lineage.clone(), fork: at(2) };
    let disk = &mut world.cluster.node_mut(N2).disk;
    disk.write(vec![Job::InstallBegin { id }, Job::InstallChunk { id, entries }, commit()]);
    (0..3).for_each(|_| drop(disk.apply()));
    says(
        &told(&mut world, &[ClusterEvent::Durable { node: N2, job: Rc::new(commit()) }]),
        "n2 installs 1@n1/2 put k=else",
    );
}

#[test]
fn a_vote_is_on_disk_and_given_once() {
    let vote =
        |epoch| sent(N2, Message::VoteReply { epoch, pre: false, ballot: Ballot::Granted, question: 1 });
    let mut world = healthy();
    says(&told(&mut world, &[vote(LATER)]), "n2 votes for 9@n2 with 1@n1 on disk");
    let mut world = healthy();
    world.oracle.granted.insert((N2, 1), Epoch::new(1, N3));
    world.oracle.opened.clear();
    says(&told(&mut world, &[vote(FIRST)]), "n2 votes for 1@n1 after 1@n3");
}

#[test]
fn a_learner_neither_votes_nor_answers() {
    let mut world = healthy();
    let disk = &mut world.cluster.node_mut(N2).disk;
    disk.write(vec![Job::Save { promise: Promise { epoch: FIRST, learner: true } }]);
    disk.apply();
    let vote =
        sent(N2, Message::VoteReply { epoch: FIRST, pre: false, ballot: Ballot::Granted, question: 1 });
    says(&told(&mut world, &[vote]), "n2 is a learner and votes");
    says(&told(&mut world, &[answer(FIRST, at(2))]), "n2 is a learner and answers");
}

fn answer(promised: Epoch, last: Position) -> ClusterEvent {
    let round = RoundId { incarnation: 1, number: 1 };
    let found = Found { value: Some("v".into()), version: at(2) }.into();
    sent(N2, Message::ReadAnswer { round, promised, last, found })
}

#[test]
fn an_answer_to_a_read_is_what_the_disk_has() {
    let mut world = healthy();
    says(&told(&mut world, &[answer(FIRST, at(3))]), "n2 answers a read as of 1@n1/3");
    says(&told(&mut world, &[answer(LATER, at(2))]), "answers a read as having promised 9@n2, but has 1@n1");
    world.oracle.entries.remove(&at(2));
    says(&told(&mut world, &[answer(FIRST, at(2))]), "with version 1@n1/2, which nobody wrote");
}

#[test]
fn a_promise_that_was_shown_does_not_go_back() {
    let mut world = healthy();
    world.oracle.shown.insert(N2, LATER);
    says(&told(&mut world, &[answer(FIRST, at(2))]), "n2 answers a read as having promised 1@n1 after");
    says(
        &told(&mut world, &[ClusterEvent::Ticked { node: N2 }]),
        "n2 has promised 1@n1 after having shown 9@n2",
    );
}

#[test]
fn an_acknowledgement_covers_what_is_on_disk() {
    let ack = |epoch, durable| sent(N2, Message::Ack { epoch, durable, learner: None });
    let mut world = healthy();
    says(&told(&mut world, &[ack(FIRST, 3)]), "n2 acknowledges 1@n1/3 in 1@n1, but its disk ends at 1@n1/2");
    world.oracle.epochs.clear();
    says(&told(&mut world, &[ack(FIRST, 2)]), "n2 acknowledges in 1@n1, which nobody opened");
}

// === Clients

#[test]
fn acknowledged_as_durable_is_durable() {
    let written = |at, nodes: &[NodeId]| Reply::Written { at, votes: acks(nodes) };
    // As if it were under way to the primary's disk.
    let on_its_way = |world: &mut World<()>| {
        world.oracle.entries.insert(at(3), (put("k", "w"), at(2)));
    };
    let mut world = healthy();
    on_its_way(&mut world);
    let reply = answered(N1, write("k", "w", WriteLevel::Async), written(at(3), &[]));
    says(&told(&mut world, &reply), "n1 acknowledges 1@n1/3, which is not durable there");
    let reply = answered(N1, write("k", "w", WriteLevel::Quorum), written(at(3), &[N1]));
    says(&told(&mut world, &reply), "n1 acknowledges 1@n1/3 by 1 votes");
    let reply = answered(N1, write("k", "w", WriteLevel::Quorum), written(at(3), &[N1, N2]));
    says(&told(&mut world, &reply), "1@n1/3 is acknowledged, but only on the disks of {}");
    let reply = answered(N1, write("k", "else", WriteLevel::Async), written(at(2), &[]));
    says(&told(&mut world, &reply), "n1 acknowledges put k=else as 1@n1/2");
}

#[test]
fn quorum_operations_do_not_go_back() {
    let mut world = healthy();
    world.oracle.returned.insert("k".into(), Position::new(LATER, 5));
    let reply = answered(N2, read("k", ReadLevel::Quorum), value(Some("v"), at(2)));
    says(&told(&mut world, &reply), "a quorum read of k returned 1@n1/2 after 9@n2/5");
}

#[test]
fn a_read_returns_what_was_written_there() {
    let mut world = healthy();
    let reply = answered(N2, read("k", ReadLevel::Eventual), value(Some("else"), at(2)));
    says(&told(&mut world, &reply), "n2 reads put k=else under 1@n1/2");
}

#[test]
fn an_eventual_read_is_served_within_both_bounds() {
    let reply = || answered(N2, read("k", ReadLevel::Eventual), value(Some("v"), at(2)));
    let mut world = healthy();
    world.oracle.heard.remove(&N2);
    says(&told(&mut world, &reply()), "n2 serves an eventual read at age None");
    let mut world = healthy();
    world.oracle.heard.get_mut(&N2).expect("it has heard").at =
        world.cluster.node(N2).clock().shows(Duration::ZERO);
    world.cluster.set_now(Duration::from_secs(60));
    says(&told(&mut world, &reply()), "n2 serves an eventual read at age Some(60s)");
    let mut world = healthy();
    world.oracle.heard.get_mut(&N2).expect("it has heard").last = 5000;
    says(&told(&mut world, &reply()), "n2 serves an eventual read, 4998 operations behind");
}

#[test]
fn in_the_end_everything_is_accounted_for() {
    let settled = |world: &World<()>| world.oracle.settled(&world.cluster).expect_err("the oracle sees that");
    let mut world = healthy();
    let gone = Acknowledged { at: at(7), level: WriteLevel::Async, key: "k".into() };
    world.oracle.acknowledged.push(gone.clone());
    says(&settled(&world), "the Async write 1@n1/7 was acknowledged and is gone without a trace");
    world.oracle.acknowledged = vec![Acknowledged { level: WriteLevel::Quorum, ..gone }];
    world.oracle.wiped = true;
    says(&settled(&world), "the Quorum write 1@n1/7 was acknowledged and is gone");
    let mut world = healthy();
    world.oracle.refused.push(("v".into(), REQUEST));
    let broken = world.oracle.refused_is_nowhere().expect_err("it is there");
    says(&broken, "was refused, but its value is at");
}

#[test]
fn in_the_end_all_members_are_equal() {
    let mut world = healthy();
    let disk = &mut world.cluster.node_mut(N2).disk;
    disk.write(vec![Job::Append { log: LogId(0), entries: vec![Entry { at: at(3), op: Op::Noop }] }]);
    disk.apply();
    let broken = world.oracle.settled(&world.cluster).expect_err("n2 has more");
    says(&broken, "n2 ends at 1@n1/3, the first member at 1@n1/2");
}

#[test]
fn what_the_drivers_contract_forbids_is_broken() {
    let mut world = healthy();
    let what = "sends to n1".to_owned();
    says(&told(&mut world, &[ClusterEvent::ContractBroken { node: N1, what }]), "n1 sends to n1");
}
