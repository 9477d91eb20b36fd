//! What `node` takes: all that one store process can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kvlab::node::{Limits, SCRUB_RATE};
use kvlab::storage::{CleanupPolicy, Durability, SEGMENT_BYTES, SEGMENT_BYTES_MAX};
use kvlab::types::{NodeId, Quirk};

use super::values::{link, node_durability, ratio, scrub_rate, time};
use crate::scenario;

/// Run one store process.
///
/// Prints one line of JSON with its addresses when it is ready, and logs to standard error. It stops on SIGTERM or
/// SIGINT (answers what it has begun, then flushes its disk; a second signal does not wait for answers), and when its
/// standard input ends, if that is a pipe or a socket. A terminal, a file or /dev/null as standard input does not
/// matter to it.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// This node: n1, n2, ...
    #[arg(long, value_name = "NODE")]
    pub id: NodeId,
    /// All members of the cluster, this node among them: n1,n2,n3
    #[arg(long, value_name = "NODES", value_delimiter = ',', required = true)]
    pub members: Vec<NodeId>,
    /// The data directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where to take clients (port 0: any)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub client: SocketAddr,
    /// Where to take the other members (port 0: any)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub peer: SocketAddr,
    /// The client address to tell others, if it is not the one that is bound
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where another member is reached, once for each: n2=127.0.0.1:4002
    #[arg(long = "link", value_name = "NODE=HOST:PORT", value_parser = link)]
    pub links: Vec<(NodeId, String)>,
    /// The cluster is new: an empty data directory is no loss. (Otherwise a member that starts on an empty directory
    /// has forgotten what it promised, and neither votes nor counts until it has caught up.)
    #[arg(long)]
    pub bootstrap: bool,
    /// When a write counts as durable: always (synced), interval=10ms, os
    #[arg(long, value_name = "MODE", default_value = "always", value_parser = node_durability)]
    pub durability: Durability,
    /// Let the data directory grow to this many bytes; beyond that, refuse writes as on a full disk, until there is room
    #[arg(long, value_name = "BYTES")]
    pub disk_max: Option<u64>,
    /// Refuse eventual reads when the last heartbeat is older than this
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub stale_after: Duration,
    /// Refuse eventual reads when more operations than this are missing here
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub stale_lag: u64,
    /// Keep this many bytes of the log's end in memory for replicas that come back
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub backlog_bytes: usize,
    /// Close a segment of the log when it has grown past this many bytes, and begin the next
    #[arg(long, value_name = "BYTES", default_value_t = SEGMENT_BYTES,
          value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_MAX))]
    pub segment_bytes: u64,
    /// Clean up by itself when this part of the closed segments is garbage: 0.5 is half; off: never
    #[arg(long, value_name = "RATIO", default_value = "0.5", value_parser = ratio)]
    pub cleanup_ratio: f64,
    /// Clean up by itself only when there are at least this many bytes of garbage
    #[arg(long, value_name = "BYTES", default_value_t = CleanupPolicy::default().bytes)]
    pub cleanup_bytes: u64,
    /// Look through so many bytes of closed segments a second for damaged values, round after round; off: never
    #[arg(long, value_name = "BYTES", default_value_t = SCRUB_RATE, value_parser = scrub_rate)]
    pub scrub_rate: u64,
    /// Make a famous mistake on purpose, by name (see docs/museum.md); may be given more than once
    #[arg(long = "quirk", value_name = "NAME", value_parser = scenario::quirk)]
    pub quirks: Vec<Quirk>,
    /// A file with the cluster's token, which members and operators must show; on an address that is not loopback,
    /// everybody must. The variable KVLAB_TOKEN does as well. Without a token, members are taken on loopback only, and
    /// every program there may speak as one
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The token comes as the first line of standard input: token TOKEN
    #[arg(long, conflicts_with = "token_file")]
    pub token_stdin: bool,
    /// Client connections at most
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_max)]
    pub connections_max: u32,
    /// Requests of one connection that may wait for their answers
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().in_flight_max)]
    pub in_flight_max: u32,
    /// Close a connection whose frame has begun and does not go on for this long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub frame_timeout: Duration,
    /// When told to stop, wait this long for the answers of what was begun
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub drain_timeout: Duration,
    /// How to log
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log: LogForm,
    /// Let whoever holds the standard input set faults of the disk and the clock, one order a line, as a lab does (see
    /// docs/scenarios.md). Standard input must be a pipe or a socket
    #[arg(long)]
    pub conditions: bool,
    /// End at once when this process, which must be the parent, ends (Linux)
    #[arg(long, value_name = "PID", hide = true)]
    pub parent_death: Option<i32>,
}

/// With smaller segments than this, a log is more files than entries.
const SEGMENT_BYTES_LEAST: u64 = 4 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Lines for people
    Text,
    /// Lines of JSON
    Json,
}
