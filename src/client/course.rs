//! The course of one operation: where to ask next, and when to stop. Pure: time and connections are elsewhere, so that
//! simulated clients take the same turns as real ones.

use std::time::Duration;

use super::backoff::Backoff;
use super::error::ClientError;
use crate::types::{Command, Failure, NodeId};

/// How an attempt did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// The node answered with a failure.
    Failed(Failure),
    /// Nothing was sent: nobody could be reached. The reason.
    Unsent(String),
    /// It was sent, and no answer came. The reason.
    NoAnswer(String),
}

impl Setback {
    /// As the end of an operation, after so many attempts.
    pub fn error(self, node: NodeId, attempts: u32) -> ClientError {
        match self {
            Self::Failed(failure) => ClientError::Failed { node, failure, attempts },
            Self::Unsent(reason) => ClientError::Unreachable { node, reason, attempts },
            Self::NoAnswer(reason) => ClientError::NoAnswer { node, reason, attempts },
        }
    }
}

/// What to do after a setback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Wait, then ask this node.
    Ask(NodeId, Duration),
    /// Nothing is left to try, or the attempts or the time are used up.
    Stop(ClientError),
}

/// The attempts of one operation so far. The waits between attempts belong to the client.
#[derive(Debug)]
pub struct Course {
    attempts_max: u32,
    deadline: Duration,
    asked: Vec<NodeId>,
}

/// What comes after an attempt, before attempts and time are counted.
enum Next {
    Stop,
    /// A redirect: ask there, at once if it has not been asked yet.
    Follow(NodeId),
    /// Wait, then ask there.
    Retry(NodeId),
}

impl Course {
    /// At most `attempts_max` attempts, the last of them begun within `deadline` of the first.
    pub fn new(attempts_max: u32, deadline: Duration) -> Self {
        Self { attempts_max, deadline, asked: Vec::new() }
    }

    /// A node is about to be asked. Returns the number of the attempt, from 1.
    pub fn begin(&mut self, node: NodeId) -> u32 {
        self.asked.push(node);
        self.attempts()
    }

    /// The last attempt has not ended well, `elapsed` after the first began. `known`: everyone who could be asked.
    pub fn turn(
        &self,
        command: &Command,
        setback: Setback,
        elapsed: Duration,
        waits: &mut Backoff,
        known: &[NodeId],
    ) -> Turn {
        let (node, attempts) = (*self.asked.last().expect("an attempt was begun"), self.attempts());
        let next = after(node, command, &setback, self.someone_else(node, known));
        let error = setback.error(node, attempts);
        if attempts >= self.attempts_max {
            return Turn::Stop(error);
        }
        let (next, wait) = match next {
            Next::Stop => return Turn::Stop(error),
            Next::Follow(next) if !self.asked.contains(&next) => (next, Duration::ZERO),
            Next::Follow(next) | Next::Retry(next) => (next, waits.wait()),
        };
        if elapsed + wait >= self.deadline { Turn::Stop(error) } else { Turn::Ask(next, wait) }
    }

    /// Another member than `node`: first whoever has not been asked, then whoever was asked longest ago, of equals the
    /// next in order. So a replica that goes on naming a dead primary does not hide the third member.
    fn someone_else(&self, node: NodeId, known: &[NodeId]) -> NodeId {
        let key = |other: &NodeId| (self.asked.iter().rposition(|it| it == other), *other < node, *other);
        known.iter().copied().filter(|other| *other != node).min_by_key(key).unwrap_or(node)
    }

    fn attempts(&self) -> u32 {
        u32::try_from(self.asked.len()).unwrap_or(u32::MAX)
    }
}

fn after(node: NodeId, command: &Command, setback: &Setback, someone_else: NodeId) -> Next {
    match setback {
        // A promotion, or an order to follow, is about one node.
        _ if matches!(command, Command::Promote { .. } | Command::Follow { .. }) => Next::Stop,
        Setback::Failed(failure) => match failure {
            Failure::ReadOnly { primary } | Failure::TooStale { primary, .. } => match primary {
                Some(primary) if *primary != node => Next::Follow(*primary),
                // It may be waiting for a primary, or be cut off from one: somebody else may know more.
                _ => Next::Retry(someone_else),
            },
            Failure::Busy(_) => Next::Retry(node),
            // Its disk has lost the value; somebody else's has not.
            Failure::Stopping | Failure::Damaged { .. } => Next::Retry(someone_else),
            Failure::WriteTimeout { .. }
            | Failure::Deposed { .. }
            | Failure::NoQuorum { .. }
            | Failure::PromotionRefused { .. }
            | Failure::FollowRefused { .. }
            | Failure::Invalid(_)
            // No other member takes writes, and room does not come within a deadline of seconds.
            | Failure::DiskFull
            | Failure::TokenNeeded => Next::Stop,
        },
        Setback::NoAnswer(_) if matches!(command, Command::Write { .. }) => Next::Stop,
        Setback::Unsent(_) | Setback::NoAnswer(_) => Next::Retry(someone_else),
    }
}
