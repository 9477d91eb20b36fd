//! What travels in frames: the client protocol and the peer protocol.

use serde::{Deserialize, Serialize};

use crate::types::{Command, Epoch, Message, NodeId, Reply, Role, VALUE_BYTES_MAX};

/// The longest payload of a frame: a little more than the largest key and value. Checked before allocation.
pub const FRAME_BYTES_MAX: usize = VALUE_BYTES_MAX + (1 << 20);
/// The shortest time between two statuses of a watch, in milliseconds.
pub const WATCH_INTERVAL_MS_MIN: u32 = 10;
/// The protocol version that the first frame of each connection names.
///
/// Version 2: numbers have bounds, and operators show the cluster's token.
pub const PROTOCOL_VERSION: u16 = 2;

/// From a client to a node. The first is a `Hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// Opens the connection.
    Hello {
        /// [`PROTOCOL_VERSION`].
        version: u16,
        /// The cluster token, where one is set. Without it a client may read, write and look, on loopback.
        token: Option<String>,
    },
    /// Asks something. Many may be in flight; answers come in any order.
    Request {
        /// Chosen by the client; names the answer.
        id: u64,
        /// What it asks.
        request: Request,
    },
}

/// What a client asks of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Something of the store.
    Do(Command),
    /// The node's status, once.
    Status,
    /// The node's status now and at each interval, and every event as it happens, until the connection ends.
    Watch {
        /// Milliseconds between two statuses; less than [`WATCH_INTERVAL_MS_MIN`] is taken for that.
        interval_ms: u32,
    },
    /// Who the members are, where they are and what part they have, as this node knows it.
    Topology,
    /// Have the node drop from its disk what nobody needs. Answered when that begins; its progress and its end are
    /// in the status.
    Cleanup,
}

impl Request {
    /// Whether only an operator may ask this: where the cluster has a token, it must have been shown.
    pub fn is_for_operators(&self) -> bool {
        match self {
            Self::Do(command) => command.is_for_operators(),
            Self::Cleanup => true,
            Self::Status | Self::Watch { .. } | Self::Topology => false,
        }
    }
}

/// From a node to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeFrame {
    /// Answers `Hello`.
    Welcome {
        /// [`PROTOCOL_VERSION`].
        version: u16,
        /// Who answers.
        node: NodeId,
        /// Every member with its client address as far as this node knows it.
        members: Vec<(NodeId, Option<String>)>,
    },
    /// Answers a request. A watch has many of these.
    Response {
        /// From the request.
        id: u64,
        /// The answer.
        response: Response,
    },
    /// The connection broke the protocol and is closed after this frame.
    Goodbye {
        /// What was wrong with it.
        reason: String,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To `Do`.
    Reply {
        /// What the core says.
        reply: Reply,
        /// Client address of the primary that the reply names, if it names one and the address is known.
        primary: Option<String>,
    },
    /// To `Status` and `Watch`: a [`Report`](crate::types::Report) as JSON, so that tools of any kind can read it.
    Report(String),
    /// To `Topology`.
    Topology(Topology),
    /// To `Cleanup`.
    Cleanup(CleanupReply),
}

/// The cluster as one node knows it. Two nodes may know different things, each with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Who says so.
    pub node: NodeId,
    /// The epoch that it leads or follows; `0@n0` if none yet.
    pub epoch: Epoch,
    /// The primary that it is or follows.
    pub primary: Option<NodeId>,
    /// Every member, itself included, ascending.
    pub members: Vec<TopologyMember>,
}

/// One member as another, or itself, knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyMember {
    /// The member.
    pub node: NodeId,
    /// Its part; of others a node knows who is primary and, if it is primary itself, who is a learner. Whoever else
    /// there is, is a replica. `None` while no primary is known.
    pub role: Option<Role>,
    /// Where it takes clients, if known.
    pub client: Option<String>,
    /// Where this node reaches it; of itself: where it takes members.
    pub peer: String,
    /// Whether the connection to it stands; of itself: true.
    pub connected: bool,
    /// Milliseconds since anything was heard from it; `None` if nothing ever was, and of itself.
    pub heard_ms: Option<u64>,
}

/// What a node says when it is asked for a cleanup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CleanupReply {
    /// It has begun.
    Begun {
        /// Bytes of segments that it will go through.
        bytes_total: u64,
    },
    /// There is nothing that it could drop.
    Nothing,
    /// It has not.
    Refused {
        /// Why not.
        reason: String,
    },
}

/// From member to member. One direction only: replies travel on the other member's own connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerFrame {
    /// Opens the connection.
    Hello {
        /// [`PROTOCOL_VERSION`].
        version: u16,
        /// The cluster token, where one is set.
        token: Option<String>,
        /// Who sends on this connection.
        from: NodeId,
        /// Who is meant; a node that is somebody else closes the connection.
        to: NodeId,
        /// All members as the sender knows them; they must agree.
        members: Vec<NodeId>,
        /// Where the sender takes clients.
        client_addr: String,
    },
    /// For the core.
    Message(Message),
}
