//! Every message there is, for property tests.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::types::{
    Ballot, Command, Damage, EPOCH_NUMBER_MAX, Entry, Epoch, Failure, Found, Lineage, Lookup, LossId,
    MemberVote, Message, NodeId, Op, Position, ReadLevel, Reply, ResyncReason, Role, RoundId, SEQ_MAX,
    SnapshotId, Unfollowed, Vote, WriteLevel,
};
use crate::wire::{
    CleanupReply, ClientFrame, NodeFrame, PeerFrame, Request, Response, Topology, TopologyMember,
};

pub(in crate::wire) fn client_frame() -> impl Strategy<Value = ClientFrame> {
    let request = prop_oneof![
        4 => command().prop_map(Request::Do),
        1 => Just(Request::Status),
        1 => Just(Request::Topology),
        1 => any::<u32>().prop_map(|interval_ms| Request::Watch { interval_ms }),
        1 => Just(Request::Cleanup),
    ];
    prop_oneof![
        1 => (any::<u16>(), option::of(".{0,40}"))
            .prop_map(|(version, token)| ClientFrame::Hello { version, token }),
        4 => (any::<u64>(), request).prop_map(|(id, request)| ClientFrame::Request { id, request }),
    ]
}

pub(in crate::wire) fn node_frame() -> impl Strategy<Value = NodeFrame> {
    let members = vec((node(), option::of(".{0,20}")), 0..9);
    let response = prop_oneof![
        4 => (reply(), option::of(".{0,20}")).prop_map(|(reply, primary)| Response::Reply { reply, primary }),
        1 => ".{0,200}".prop_map(Response::Report),
        1 => topology().prop_map(Response::Topology),
        1 => any::<u64>().prop_map(|bytes_total| Response::Cleanup(CleanupReply::Begun { bytes_total })),
        1 => Just(Response::Cleanup(CleanupReply::Nothing)),
        1 => ".{0,40}".prop_map(|reason| Response::Cleanup(CleanupReply::Refused { reason })),
    ];
    prop_oneof![
        1 => (any::<u16>(), node(), members)
            .prop_map(|(version, node, members)| NodeFrame::Welcome { version, node, members }),
        6 => (any::<u64>(), response).prop_map(|(id, response)| NodeFrame::Response { id, response }),
        1 => ".{0,40}".prop_map(|reason| NodeFrame::Goodbye { reason }),
    ]
}

fn topology() -> impl Strategy<Value = Topology> {
    let role =
        prop_oneof![Just(Role::Primary), Just(Role::Replica), Just(Role::Candidate), Just(Role::Learner)];
    let member =
        (node(), option::of(role), option::of(".{0,20}"), ".{0,20}", any::<bool>(), option::of(any::<u64>()))
            .prop_map(|(node, role, client, peer, connected, heard_ms)| TopologyMember {
                node,
                role,
                client,
                peer,
                connected,
                heard_ms,
            });
    (node(), epoch(), option::of(node()), vec(member, 0..9))
        .prop_map(|(node, epoch, primary, members)| Topology { node, epoch, primary, members })
}

pub(in crate::wire) fn peer_frame() -> impl Strategy<Value = PeerFrame> {
    let hello = (any::<u16>(), option::of(".{0,40}"), node(), node(), vec(node(), 0..9), ".{0,20}").prop_map(
        |(version, token, from, to, members, client_addr)| PeerFrame::Hello {
            version,
            token,
            from,
            to,
            members,
            client_addr,
        },
    );
    prop_oneof![1 => hello, 12 => message().prop_map(PeerFrame::Message)]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![heartbeats(), log_messages(), votes_asked(), reads(), snapshots()]
}

fn heartbeats() -> impl Strategy<Value = Message> {
    prop_oneof![
        (epoch(), any::<u64>(), any::<u64>(), any::<u64>()).prop_flat_map(|(epoch, last, commit, sent)| {
            loss().prop_map(move |counts| Message::Heartbeat { epoch, last, commit, sent, counts })
        }),
        (epoch(), any::<u64>(), loss()).prop_map(|(epoch, durable, learner)| Message::Ack {
            epoch,
            durable,
            learner
        }),
        (epoch(), epoch(), any::<bool>()).prop_map(|(epoch, promised, opened)| Message::Refused {
            epoch,
            promised,
            opened
        }),
    ]
}

fn log_messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        (epoch(), position(), loss(), whole()).prop_map(|(epoch, last, learner, whole)| Message::Sync {
            epoch,
            last,
            learner,
            whole
        }),
        (epoch(), any::<u64>(), lineage()).prop_map(|(epoch, last, lineage)| Message::Diverged {
            epoch,
            last,
            lineage
        }),
        (epoch(), position(), vec(entry(), 0..5), any::<u64>())
            .prop_map(|(epoch, prev, entries, commit)| Message::Append { epoch, prev, entries, commit }),
    ]
}

fn loss() -> impl Strategy<Value = Option<LossId>> {
    any::<Option<u64>>().prop_map(|loss| loss.map(LossId))
}

fn whole() -> impl Strategy<Value = Option<ResyncReason>> {
    prop_oneof![Just(None), Just(Some(ResyncReason::Diverged)), Just(Some(ResyncReason::CleanedUp))]
}

fn votes_asked() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::Vacant),
        (epoch(), any::<bool>(), any::<bool>(), position(), any::<u64>()).prop_map(
            |(epoch, pre, operator, last, question)| Message::VoteRequest {
                epoch,
                pre,
                operator,
                last,
                question
            }
        ),
        (epoch(), any::<bool>(), ballot(), any::<u64>())
            .prop_map(|(epoch, pre, ballot, question)| Message::VoteReply { epoch, pre, ballot, question }),
    ]
}

fn reads() -> impl Strategy<Value = Message> {
    prop_oneof![
        (round(), blob()).prop_map(|(round, key)| Message::ReadRequest { round, key }),
        (round(), epoch(), position(), lookup()).prop_map(|(round, promised, last, found)| {
            Message::ReadAnswer { round, promised, last, found }
        }),
        (position(), blob()).prop_map(|(at, key)| Message::RepairRequest { at, key }),
        entry().prop_map(|entry| Message::RepairAnswer { entry }),
    ]
}

fn snapshots() -> impl Strategy<Value = Message> {
    let id = || any::<u64>().prop_map(SnapshotId);
    prop_oneof![
        (epoch(), id(), position(), lineage(), any::<u64>()).prop_map(
            |(epoch, id, at, lineage, bytes_total)| Message::SnapshotBegin {
                epoch,
                id,
                at,
                lineage,
                bytes_total
            }
        ),
        (epoch(), id(), any::<u64>(), vec(entry(), 0..5), any::<bool>()).prop_map(
            |(epoch, id, index, entries, done)| Message::SnapshotChunk { epoch, id, index, entries, done }
        ),
        (epoch(), id(), any::<u64>()).prop_map(|(epoch, id, index)| Message::SnapshotAck {
            epoch,
            id,
            index
        }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (op(), write_level(), duration())
            .prop_map(|(op, level, timeout)| Command::Write { op, level, timeout }),
        3 => (blob(), read_level(), duration())
            .prop_map(|(key, level, timeout)| Command::Read { key, level, timeout }),
        1 => any::<bool>().prop_map(|force| Command::Promote { force }),
        1 => node().prop_map(|primary| Command::Follow { primary }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (position(), votes()).prop_map(|(at, votes)| Reply::Written { at, votes }),
        (found(), epoch(), votes()).prop_map(|(found, epoch, votes)| Reply::Value { found, epoch, votes }),
        (epoch(), ballots()).prop_map(|(epoch, ballots)| Reply::Promoted { epoch, ballots }),
        failure().prop_map(Reply::Failed),
        epoch().prop_map(|epoch| Reply::Following { epoch }),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        option::of(node()).prop_map(|primary| Failure::ReadOnly { primary }),
        (option::of(node()), option::of(duration()), any::<u64>())
            .prop_map(|(primary, age, lag)| Failure::TooStale { primary, age, lag }),
        (position(), votes()).prop_map(|(at, votes)| Failure::WriteTimeout { at, votes }),
        (position(), epoch(), votes()).prop_map(|(at, by, votes)| Failure::Deposed { at, by, votes }),
        votes().prop_map(|votes| Failure::NoQuorum { votes }),
        ballots().prop_map(|ballots| Failure::PromotionRefused { ballots }),
        ".{0,40}".prop_map(Failure::Busy),
        ".{0,40}".prop_map(Failure::Invalid),
        Just(Failure::Stopping),
        Just(Failure::DiskFull),
        Just(Failure::TokenNeeded),
        (position(), ".{0,40}", ".{0,40}", any::<u64>())
            .prop_map(|(at, key, file, offset)| Failure::Damaged { at, key, file, offset }),
        (node(), unfollowed()).prop_map(|(primary, why)| Failure::FollowRefused { primary, why }),
    ]
}

fn unfollowed() -> impl Strategy<Value = Unfollowed> {
    prop_oneof![
        (epoch(), epoch()).prop_map(|(epoch, promised)| Unfollowed::Below { epoch, promised }),
        Just(Unfollowed::Silent),
    ]
}

fn ballots() -> impl Strategy<Value = Vec<(NodeId, Option<Ballot>)>> {
    vec((node(), option::of(ballot())), 0..5)
}

fn ballot() -> impl Strategy<Value = Ballot> {
    prop_oneof![
        Just(Ballot::Granted),
        (node(), position(), position()).prop_map(|(voter, voter_last, candidate_last)| Ballot::Ahead {
            voter,
            voter_last,
            candidate_last
        }),
        epoch().prop_map(|promised| Ballot::Voted { promised }),
        epoch().prop_map(|promised| Ballot::Promised { promised }),
        node().prop_map(|primary| Ballot::PrimaryAlive { primary }),
        Just(Ballot::Learner),
    ]
}

fn votes() -> impl Strategy<Value = Vec<MemberVote>> {
    let vote = prop_oneof![
        Just(Vote::Ack),
        Just(Vote::Nack),
        Just(Vote::Pending),
        Just(Vote::Timeout),
        Just(Vote::Unreachable)
    ];
    let member_vote = (node(), vote, option::of(any::<u64>()));
    vec(member_vote.prop_map(|(node, vote, after_us)| MemberVote { node, vote, after_us }), 0..9)
}

fn found() -> impl Strategy<Value = Found> {
    (option::of(blob()), position()).prop_map(|(value, version)| Found { value, version })
}

fn lookup() -> impl Strategy<Value = Lookup> {
    let damage = (position(), blob(), ".{0,40}", any::<u64>()).prop_map(|(at, key, file, offset)| Damage {
        at,
        key,
        file,
        offset,
    });
    prop_oneof![found().prop_map(Lookup::Found), damage.prop_map(|it| Lookup::Damaged(Box::new(it)))]
}

fn entry() -> impl Strategy<Value = Entry> {
    (position(), op()).prop_map(|(at, op)| Entry { at, op })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Noop),
        3 => (blob(), blob()).prop_map(|(key, value)| Op::Put { key, value }),
        1 => blob().prop_map(|key| Op::Del { key }),
    ]
}

/// Ascending epochs and seqs, as every lineage is.
fn lineage() -> impl Strategy<Value = Lineage> {
    let step = (1..1000_u64, node(), 1..1_000_000_u64);
    vec(step, 0..6).prop_map(|steps| {
        let (mut number, mut seq) = (0, 0);
        let span = |(more, node, further): (u64, NodeId, u64)| {
            number += more;
            seq += further;
            (Epoch::new(number, node), seq)
        };
        Lineage::from_spans(steps.into_iter().map(span).collect()).expect("ascends")
    })
}

fn write_level() -> impl Strategy<Value = WriteLevel> {
    prop_oneof![Just(WriteLevel::Async), Just(WriteLevel::Quorum)]
}

fn read_level() -> impl Strategy<Value = ReadLevel> {
    prop_oneof![Just(ReadLevel::Eventual), Just(ReadLevel::Quorum)]
}

fn round() -> impl Strategy<Value = RoundId> {
    (any::<u64>(), any::<u64>()).prop_map(|(incarnation, number)| RoundId { incarnation, number })
}

fn position() -> impl Strategy<Value = Position> {
    (epoch(), 0..=SEQ_MAX).prop_map(|(epoch, seq)| Position::new(epoch, seq))
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (0..=EPOCH_NUMBER_MAX, node()).prop_map(|(number, node)| Epoch::new(number, node))
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u8>().prop_map(NodeId)
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}
