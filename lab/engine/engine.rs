//! The trait of an engine, and what it is given and asked for.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use kvlab::types::{Command, NodeId, Ready, Reply, Report};

use super::orders::NodeOrder;
use super::settings::NodeSettings;
use crate::run::event::Cut;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The node.
    pub node: NodeId,
    /// All members, ascending.
    pub members: Vec<NodeId>,
    /// Its data; the directory exists.
    pub data: PathBuf,
    /// Where it is to take clients.
    pub client: SocketAddr,
    /// Where it is to take members.
    pub peer: SocketAddr,
    /// Where it is to reach each other member: the near end of the link.
    pub links: Vec<(NodeId, SocketAddr)>,
    /// It has never run: an empty directory is as it should be.
    pub bootstrap: bool,
    /// The lab's process, without which it shall not live.
    pub lab_pid: u32,
    /// Settings of the store.
    pub settings: NodeSettings,
}

/// How the bytes of a connection fall into pieces that must not be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// kvlab's own protocols: `[u32 LE length][u32 LE crc][payload]`.
    Frames,
    /// Anything else, such as the protocol of another engine: each read is a piece.
    Stream,
}

/// A fault of a disk, done to the data that a dead node has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The power goes: exactly what was not synced is lost.
    PowerLoss,
    /// The last write is torn, at a place that follows from the seed.
    TornTail {
        /// Of this tear.
        seed: u64,
    },
}

/// An engine under test.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The process of a node. It prints one line on standard output when it is ready, logs to standard error,
    /// and should end when standard input does.
    fn command(&self, launch: &Launch) -> process::Command;

    /// What a process is told on its standard input as soon as there is one, so that nobody else of the machine can
    /// read it.
    fn first_words(&self) -> Option<String> {
        None
    }

    /// Understands the line that a ready node prints.
    ///
    /// # Errors
    /// If it is not that line.
    fn ready(&self, line: &str) -> anyhow::Result<Ready>;

    /// How its connections fall into frames.
    fn framing(&self) -> Framing;

    /// Reports of the node at `address`, the first at once, until the connection ends.
    fn watch(&self, address: String) -> BoxFuture<'static, anyhow::Result<BoxStream<'static, Report>>>;

    /// Does to the data of a node whose process is dead what a fault does. What was cut off, if anything was.
    ///
    /// # Errors
    /// If it cannot be done, or this engine does not say how.
    fn damage(&self, data: &Path, fault: DiskFault) -> anyhow::Result<Option<Cut>>;

    /// The line, with its newline, that tells a running node this on its standard input; `None`: a node of this engine
    /// takes no such order.
    fn order(&self, order: &NodeOrder) -> Option<String> {
        let _ = order;
        None
    }

    /// Asks the node at `address`: a write, a read or a promotion.
    fn perform(&self, address: String, command: Command) -> BoxFuture<'static, anyhow::Result<Reply>>;

    /// Has the node at `address` drop from its disk what nobody needs; done when that has begun, or when there is
    /// nothing to drop.
    fn cleanup(&self, address: String) -> BoxFuture<'static, anyhow::Result<()>>;
}
