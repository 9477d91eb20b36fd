//! Numbers as large as may be, from a member: nothing wraps, nothing panics, and a promotion succeeds afterwards.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::rig::Rig;
use crate::replication::EPOCH_JUMP_MAX;
use crate::sim::disk::Crash;
use crate::types::{
    Ballot, EPOCH_NUMBER_MAX, Entry, Epoch, Found, Lineage, LossId, Message, NodeId, Op, Position,
    ResyncReason, RoundId, SEQ_MAX, SnapshotId,
};

const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn number() -> impl Strategy<Value = u64> + Clone {
    let edges = vec![
        0,
        1,
        2,
        3,
        50,
        EPOCH_JUMP_MAX - 1,
        EPOCH_JUMP_MAX,
        EPOCH_JUMP_MAX + 1,
        EPOCH_JUMP_MAX + 2,
        2 * EPOCH_JUMP_MAX,
        SEQ_MAX - 1,
        SEQ_MAX,
        SEQ_MAX + 1,
        u64::MAX - 1,
        u64::MAX,
    ];
    select(edges)
}

/// What a decoder lets through.
fn seq() -> impl Strategy<Value = u64> + Clone {
    number().prop_map(|n| n.min(SEQ_MAX))
}

fn epoch(from: NodeId) -> impl Strategy<Value = Epoch> + Clone {
    number().prop_map(move |n| Epoch::new(n.min(EPOCH_NUMBER_MAX), from))
}

fn position(from: NodeId) -> impl Strategy<Value = Position> + Clone {
    (epoch(from), seq()).prop_map(|(epoch, seq)| Position::new(epoch, seq))
}

fn entries(from: NodeId) -> impl Strategy<Value = Vec<Entry>> {
    vec(position(from).prop_map(|at| Entry { at, op: Op::Noop }), 0..3)
}

fn lineage(from: NodeId) -> impl Strategy<Value = Lineage> {
    vec((epoch(from), seq()), 0..3).prop_map(|mut spans| {
        spans.sort_unstable();
        Lineage::from_spans(spans).unwrap_or_default()
    })
}

fn ballot(from: NodeId) -> impl Strategy<Value = Ballot> {
    prop_oneof![
        Just(Ballot::Granted),
        epoch(from).prop_map(|promised| Ballot::Promised { promised }),
        epoch(from).prop_map(|promised| Ballot::Voted { promised }),
        (position(from), position(from)).prop_map(move |(voter_last, candidate_last)| Ballot::Ahead {
            voter: from,
            voter_last,
            candidate_last
        }),
    ]
}

fn message(from: NodeId) -> impl Strategy<Value = Message> {
    let e = move || epoch(from);
    let loss = || any::<Option<u64>>().prop_map(|loss| loss.map(LossId));
    let whole = select(vec![None, Some(ResyncReason::Diverged)]);
    prop_oneof![
        Just(Message::Vacant),
        (e(), number(), number(), number(), loss()).prop_map(|(epoch, last, commit, sent, counts)| {
            Message::Heartbeat { epoch, last, commit, sent, counts }
        }),
        (e(), number(), loss()).prop_map(|(epoch, durable, learner)| Message::Ack {
            epoch,
            durable,
            learner
        }),
        (e(), position(from), loss(), whole).prop_map(|(epoch, last, learner, whole)| Message::Sync {
            epoch,
            last,
            learner,
            whole
        }),
        (e(), number(), lineage(from)).prop_map(|(epoch, last, lineage)| Message::Diverged {
            epoch,
            last,
            lineage
        }),
        (e(), position(from), entries(from), number())
            .prop_map(|(epoch, prev, entries, commit)| Message::Append { epoch, prev, entries, commit }),
        (e(), e(), any::<bool>()).prop_map(|(epoch, promised, opened)| Message::Refused {
            epoch,
            promised,
            opened
        }),
        (e(), any::<bool>(), any::<bool>(), position(from), number()).prop_map(
            |(epoch, pre, operator, last, question)| Message::VoteRequest {
                epoch,
                pre,
                operator,
                last,
                question
            }
        ),
        (e(), any::<bool>(), ballot(from), number())
            .prop_map(|(epoch, pre, ballot, question)| Message::VoteReply { epoch, pre, ballot, question }),
        (number(), e(), position(from), position(from)).prop_map(|(number, promised, last, version)| {
            let round = RoundId { incarnation: number, number };
            Message::ReadAnswer { round, promised, last, found: Found { value: None, version }.into() }
        }),
        position(from).prop_map(|at| Message::RepairRequest { at, key: "k".into() }),
        position(from).prop_map(|at| {
            let op = Op::Put { key: "k".into(), value: "v".into() };
            Message::RepairAnswer { entry: Entry { at, op } }
        }),
        (e(), number(), position(from), lineage(from), number()).prop_map(
            |(epoch, id, at, lineage, bytes_total)| Message::SnapshotBegin {
                epoch,
                id: SnapshotId(id),
                at,
                lineage,
                bytes_total
            }
        ),
        (e(), number(), number(), any::<bool>()).prop_map(|(epoch, id, index, done)| {
            Message::SnapshotChunk { epoch, id: SnapshotId(id), index, entries: Vec::new(), done }
        }),
        (e(), number(), number()).prop_map(|(epoch, id, index)| Message::SnapshotAck {
            epoch,
            id: SnapshotId(id),
            index
        }),
    ]
}

fn said() -> impl Strategy<Value = ((NodeId, NodeId), Message)> {
    (0..3_usize, 1..3_usize).prop_flat_map(|(from, by)| {
        let link = (MEMBERS[from], MEMBERS[(from + by) % 3]);
        message(link.0).prop_map(move |message| (link, message))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_number_from_a_member_wraps_panics_or_leaves_the_cluster_without_a_next_epoch(
        before in 0..2000_u64,
        hostile in vec(said(), 1..12),
    ) {
        let mut rig = Rig::new(3);
        rig.run(Duration::from_millis(before));
        for (link, message) in hostile {
            rig.say(link, message);
        }
        rig.run(Duration::from_secs(5));
        // Whoever is furthest can be promoted.
        let promoted = (0..8).any(|i| rig.promote(MEMBERS[i % 3], false));
        prop_assert!(promoted, "{:?}", MEMBERS.map(|id| rig.cluster.status(id)));
    }
}

#[test]
fn by_force_a_learner_claims_no_epoch_beyond_the_bound() {
    let [wiped, other, _] = MEMBERS;
    let mut rig = Rig::new(3);
    MEMBERS.into_iter().for_each(|id| rig.cluster.crash(id, Crash::CLEAN));
    rig.cluster.node_mut(wiped).wipe();
    rig.start(wiped);
    rig.start(other);
    let mut say = |number| {
        let epoch = Epoch::new(number, other);
        rig.say((other, wiped), Message::Heartbeat { epoch, last: 1, commit: 0, sent: 1, counts: None });
    };
    // Each is refused, and raises what the member has seen.
    (1..EPOCH_NUMBER_MAX / EPOCH_JUMP_MAX).for_each(|_| say(EPOCH_NUMBER_MAX));
    say(EPOCH_NUMBER_MAX - 5);
    assert!(rig.promote(wiped, true));
    let epoch = rig.cluster.status(wiped).expect("it runs").epoch;
    assert!((EPOCH_NUMBER_MAX - 4..=EPOCH_NUMBER_MAX).contains(&epoch.number), "{epoch}");
}
