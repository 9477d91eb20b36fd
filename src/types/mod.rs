//! The words of the protocol, which every other room speaks. The ground: it imports no other room.
//!
//! * [`NodeId`], [`Epoch`], [`Position`], [`Lineage`]: who, when, where in a log, and a log's history of primaries.
//! * [`Entry`] and [`Op`]: what a log holds. [`Found`]: what a lookup finds; [`Lookup`] and [`Damage`]: or does not.
//! * [`Command`], [`Reply`], [`Failure`], [`MemberVote`]: what a client asks, and what it is told.
//! * [`Message`] and [`Ballot`]: what members say to each other.
//! * [`Status`], [`Event`], [`Report`], [`Quirks`]: what a node tells of itself.
//! * [`DiskCondition`], [`ClockCondition`]: the faults that a lab sets inside a node; [`WarpedClock`]: a clock under one.
//! * The limits of keys, values and waiting times: [`KEY_BYTES_MAX`], [`VALUE_BYTES_MAX`], [`check_limits`].
//!
//! How they hang together is told at the top of [`replication`](crate::replication).

mod command;
mod damage;
mod entry;
mod event;
mod lineage;
mod message;
mod node_condition;
mod position;
mod quirks;
mod reply;
mod report;
mod status;
mod vote;

pub use self::command::{Command, LimitError, REQUEST_TIMEOUT_MAX, ReadLevel, WriteLevel, check_limits};
pub use self::damage::{Damage, Lookup};
pub use self::entry::{Entry, Found, KEY_BYTES_MAX, Op, VALUE_BYTES_MAX};
pub use self::event::{Event, ResyncReason};
pub use self::lineage::Lineage;
pub use self::message::{BoundsError, LossId, Message, RoundId, SnapshotId};
pub use self::node_condition::{
    CLOCK_JUMP_MAX, CLOCK_PERMILLE_MAX, CLOCK_PERMILLE_MIN, CLOCK_PERMILLE_TRUE, ClockCondition,
    DISK_SLOW_MAX, DiskCondition, NodeCondition, WarpedClock,
};
pub use self::position::{EPOCH_NUMBER_MAX, Epoch, NodeId, ParseError, Position, SEQ_MAX, Time};
pub use self::quirks::{Quirk, Quirks, UnknownQuirk};
pub use self::reply::{FOLLOW_TIMEOUT, Failure, Reply, Unfollowed};
pub use self::report::{
    DamageStatus, DiskStatus, LastCleanup, NodeStatus, Ready, Report, ScrubStatus, ShownDamage,
};
pub use self::status::{BacklogStatus, MemberStatus, PeerStatus, Resyncs, Role, Status};
pub use self::vote::{Ballot, MemberVote, Vote};
