//! What the commands take that ask a live cluster: `put`, `get`, `del`, `status`, `topology`, `promote`, `follow`, `cleanup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kvlab::types::NodeId;

use super::values::duration;

#[derive(Args, Debug)]
pub struct PutArgs {
    pub key: String,
    pub value: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

#[derive(Args, Debug)]
pub struct GetArgs {
    pub key: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

#[derive(Args, Debug)]
pub struct DelArgs {
    pub key: String,
    #[command(flatten)]
    pub operation: OperationArgs,
}

/// What `put`, `get` and `del` have in common.
#[derive(Args, Debug)]
pub struct OperationArgs {
    /// With a quorum: a write that survives any minority, a read that sees every such write
    #[arg(long)]
    pub quorum: bool,
    /// The node to ask first
    #[arg(long, value_name = "NODE")]
    pub node: Option<NodeId>,
    /// How long a quorum may take
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct TopologyArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// The node to ask; otherwise the first that answers
    #[arg(long, value_name = "NODE")]
    pub node: Option<NodeId>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct PromoteArgs {
    #[arg(value_name = "NODE")]
    pub node: NodeId,
    /// Without votes: may create two primaries and lose acknowledged writes
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Members follow the highest epoch by themselves. This hurries one, and is refused, with the \
                        reason, where it would break a promise or nobody is there."
)]
pub struct FollowArgs {
    /// Whom to tell
    #[arg(value_name = "NODE")]
    pub node: NodeId,
    /// Whom it is to follow
    #[arg(value_name = "PRIMARY")]
    pub primary: NodeId,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct CleanupArgs {
    /// Which node; every node if none is named
    #[arg(value_name = "NODE")]
    pub node: Option<NodeId>,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Which cluster is meant.
#[derive(Args, Debug)]
pub struct ClusterArgs {
    /// The client address of any node; otherwise the cluster of the newest lab that is running
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,
    /// The lab that is meant, if several are running: a run's directory, or its name among the runs, or `latest`
    #[arg(long, value_name = "RUN", conflicts_with = "addr")]
    pub run: Option<PathBuf>,
    /// A file with the cluster's token, which promote, follow and cleanup need. Without it, the token that the run keeps
    /// for its own cluster, or the variable KVLAB_TOKEN
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
