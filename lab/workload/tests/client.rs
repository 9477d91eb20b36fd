//! What came of an operation, and what the history is told of it.

use kvlab::judge::Phase;
use kvlab::types::{Epoch, Found, MemberVote, Position, Vote};

use super::*;

const N1: NodeId = NodeId(1);
const AT: Position = Position::new(Epoch::new(1, N1), 9);

fn put() -> Intent {
    Intent::put("k".to_owned(), Some("v".to_owned()), WriteLevel::Quorum)
}

fn get() -> Intent {
    Intent::get("k".to_owned(), ReadLevel::Quorum)
}

fn votes() -> Vec<MemberVote> {
    vec![MemberVote { node: N1, vote: Vote::Timeout, after_us: None }]
}

fn refused(intent: &Intent, failure: Failure) -> Completion {
    completion(intent, Err(ClientError::Failed { node: N1, failure, attempts: 1 }))
}

fn answer(intent: &Intent, reply: Reply) -> Completion {
    completion(intent, Ok(Answer { node: N1, reply, attempts: 1 }))
}

#[test]
fn what_was_never_sent_failed_and_reached_nobody() {
    let error = ClientError::Unreachable { node: N1, reason: "gone".to_owned(), attempts: 4 };
    let ended = completion(&put(), Err(error));
    assert!(matches!(&ended.outcome, Outcome::Failed(why) if why.contains("n1") && why.contains("gone")));
    assert_eq!(ended.phase(), Phase::Fail);
    assert_eq!(ended.node, None);
}

#[test]
fn a_write_without_an_answer_is_unknown_and_a_read_is_not() {
    let error = || ClientError::NoAnswer { node: N1, reason: "silence".to_owned(), attempts: 1 };
    let write = completion(&put(), Err(error()));
    assert_eq!((write.phase(), write.node), (Phase::Info, Some(N1)));
    assert_eq!(completion(&get(), Err(error())).phase(), Phase::Fail);
}

#[test]
fn a_write_that_timed_out_is_unknown_with_its_place_and_votes() {
    let by = Epoch::new(2, NodeId(2));
    for failure in
        [Failure::WriteTimeout { at: AT, votes: votes() }, Failure::Deposed { at: AT, by, votes: votes() }]
    {
        let ended = refused(&put(), failure);
        assert_eq!((ended.phase(), ended.at), (Phase::Info, Some(AT)));
        assert_eq!(ended.votes, votes());
    }
}

#[test]
fn a_read_without_a_quorum_failed_and_shows_who_did_not_answer() {
    let ended = refused(&get(), Failure::NoQuorum { votes: votes() });
    assert_eq!(ended.phase(), Phase::Fail);
    assert_eq!(ended.votes, votes());
}

#[test]
fn only_a_refusal_for_staleness_counts_as_one() {
    let stale = Failure::TooStale { primary: None, age: None, lag: 7 };
    assert!(refused(&get(), stale).refused_stale);
    assert!(!refused(&get(), Failure::Stopping).refused_stale);
}

#[test]
fn an_absent_key_was_written_by_nobody() {
    let reply = |value| {
        let found = Found { value, version: AT };
        answer(&get(), Reply::Value { found, epoch: AT.epoch, votes: votes() })
    };
    let there = reply(Some(Bytes::from_static(b"v")));
    assert_eq!((there.seen.as_deref(), there.at), (Some("v"), Some(AT)));
    let absent = reply(None);
    assert_eq!((absent.phase(), absent.seen, absent.at), (Phase::Ok, None, None));
}
