//! SIGTERM on a primary under load: every request that was begun gets the answer that is true of it.

use std::collections::BTreeMap;

use kvlab::types::{Failure, ReadLevel, Reply, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response};
use rustix::process::Signal;

use crate::cluster::Trio;
use crate::support::{Client, bytes, until, write};

/// Connections, and what each of them asks without waiting.
const CLIENTS: usize = 8;
const EACH: usize = 300;

/// What became of each key, as its client was told.
#[derive(Debug, Default)]
struct Told {
    written: Vec<String>,
    not_begun: Vec<String>,
    unknown: Vec<String>,
}

/// Takes the answers to what was asked until the node says goodbye. What has no answer is unknown.
fn take_answers(client: &mut Client, mut asked: BTreeMap<u64, String>, told: &mut Told) {
    loop {
        match client.hear() {
            Some(NodeFrame::Goodbye { reason }) => assert_eq!(reason, "the node is stopping"),
            None => break,
            answer => take_answer(answer, &mut asked, told),
        }
    }
    told.unknown.extend(asked.into_values());
}

fn take_answer(answer: Option<NodeFrame>, asked: &mut BTreeMap<u64, String>, told: &mut Told) {
    let Some(NodeFrame::Response { id, response: Response::Reply { reply, .. } }) = answer else {
        panic!("expected an answer, not {answer:?}");
    };
    let key = asked.remove(&id).expect("asked once, answered once");
    match reply {
        Reply::Written { .. } => told.written.push(key),
        Reply::Failed(Failure::Stopping) => told.not_begun.push(key),
        Reply::Failed(Failure::WriteTimeout { .. } | Failure::Deposed { .. }) => told.unknown.push(key),
        other => panic!("unexpected {other:?}"),
    }
}

/// Stops the primary in the midst of it; `before` it is told to.
fn stop_under_load(mut trio: Trio, before: impl FnOnce(&Trio), after: impl FnOnce(&Trio)) -> Told {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| (trio.client(1), BTreeMap::new())).collect();
    before(&trio);
    let mut told = Told::default();
    for i in 0..EACH {
        for (c, (client, asked)) in clients.iter_mut().enumerate() {
            let level = if (i + c) % 2 == 0 { WriteLevel::Async } else { WriteLevel::Quorum };
            let key = format!("k{c}-{i}");
            asked.insert(client.send(Request::Do(write(&key, &key, level))), key);
        }
        if i == EACH / 2 {
            // It is at work.
            let (client, asked) = &mut clients[0];
            take_answer(client.hear(), asked, &mut told);
            trio.node(1).signal(Signal::TERM);
        }
    }
    for (mut client, asked) in clients {
        take_answers(&mut client, asked, &mut told);
    }
    let mut primary = trio.take(1);
    assert_eq!(primary.exit().code(), Some(0), "{}", primary.log());
    after(&trio);
    trio.start_node(1, &[]);
    until("a primary again", || {
        let mut client = trio.client(1);
        matches!(client.put("again", "v", WriteLevel::Quorum), Reply::Written { .. }).then_some(())
    });
    let mut client = trio.client(1);
    let mut found = |key: &String| client.get_patiently(key, ReadLevel::Quorum).value;
    for key in &told.written {
        assert_eq!(found(key), Some(bytes(key)), "{key} was acknowledged");
    }
    for key in &told.not_begun {
        assert_eq!(found(key), None, "{key} was said not to have been begun");
    }
    println!(
        "{} written, {} not begun, {} unknown",
        told.written.len(),
        told.not_begun.len(),
        told.unknown.len()
    );
    told
}

#[test]
fn a_primary_that_is_told_to_stop_tells_every_client_the_truth() {
    let told = stop_under_load(Trio::start(), |_| {}, |_| {});
    assert!(!told.written.is_empty() && told.written.len() < CLIENTS * EACH, "stopped in the midst of it");
    assert!(!told.not_begun.is_empty(), "what came too late was refused, not dropped");
}

#[test]
fn without_a_quorum_its_quorum_writes_are_unknown_and_its_async_writes_are_there() {
    let stop = |trio: &Trio| [2, 3].iter().for_each(|&n| trio.node(n).signal(Signal::STOP));
    let resume = |trio: &Trio| [2, 3].iter().for_each(|&n| trio.node(n).signal(Signal::CONT));
    let told = stop_under_load(Trio::start(), stop, resume);
    assert!(!told.written.is_empty(), "async writes need no quorum");
    assert!(!told.unknown.is_empty(), "quorum writes were begun and not committed");
}
