//! An engine under test: how its nodes are started, watched and asked. The rest of the lab knows only this.
//!
//! The first engine is kvlab's own node, this very program run again. Another one says how its process is
//! started on given ports, how it tells that it is ready, and translates its own words into ours; links,
//! signals, supervision and the run directory stay the same.
#![expect(clippy::disallowed_methods, reason = "an engine that does not answer is given up after a while")]

mod state;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use kvlab::client::Connection;
use kvlab::storage::{cut_to_synced, real_disk, tear_tail};
use kvlab::types;
use kvlab::types::{NodeId, Quirks, Ready, Reply, Report};
use kvlab::wire::{CleanupReply, Request, Response};
use tokio::time::timeout;

use crate::cluster::frame::Framing;
use crate::run::event::Cut;

#[cfg(test)]
pub use self::state::Kvlab;
pub use self::state::{NodeState, Place, Term};

/// How long a node may take to accept a connection and greet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a node tells its status.
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// How long a node may take to answer a command given on a direct connection, campaigns included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// How much of a line that is no ready line is quoted.
const QUOTED_CHARS: usize = 200;

/// What a node is started with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The node.
    pub(crate) node: NodeId,
    /// All members, ascending.
    pub(crate) members: Vec<NodeId>,
    /// Its data; the directory exists.
    pub(crate) data: PathBuf,
    /// Where it is to take clients.
    pub(crate) client: SocketAddr,
    /// Where it is to take members.
    pub(crate) peer: SocketAddr,
    /// Where it is to reach each other member: the near end of the link.
    pub(crate) links: Vec<(NodeId, SocketAddr)>,
    /// It has never run: an empty directory is as it should be.
    pub(crate) bootstrap: bool,
    /// The lab's process, without which it shall not live.
    pub(crate) lab_pid: u32,
    /// Settings of the store.
    pub(crate) settings: Settings,
}

/// Settings of the store, passed on to each node; `None`: the node's default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Eventual reads are refused when the last heartbeat is older.
    pub(crate) stale_after: Option<Duration>,
    /// Eventual reads are refused when the node is more operations behind.
    pub(crate) stale_lag: Option<u64>,
    /// `always`, `interval=10ms` or `os`.
    pub(crate) durability: Option<String>,
    /// The bound of the backlog.
    pub(crate) backlog_bytes: Option<u64>,
    /// When a file of the log is closed.
    pub(crate) segment_bytes: Option<u64>,
    /// How much garbage there must be before a node cleans up by itself.
    pub(crate) cleanup_bytes: Option<u64>,
    /// The mistakes that each node makes on purpose.
    pub(crate) quirks: Quirks,
}

/// A fault of a disk, done to the data that a dead node has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The power goes: exactly what was not synced is lost.
    PowerLoss,
    /// The last write is torn, at a place that follows from the seed.
    TornTail {
        /// Of this tear.
        seed: u64,
    },
}

/// An engine under test.
pub(crate) trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The process of a node. It prints one line on standard output when it is ready, logs to standard error,
    /// and should end when standard input does.
    fn command(&self, launch: &Launch) -> Command;

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
    fn harm(&self, data: &Path, harm: Harm) -> anyhow::Result<Option<Cut>>;

    /// Asks the node at `address`: a write, a read or a promotion.
    fn perform(&self, address: String, command: types::Command) -> BoxFuture<'static, anyhow::Result<Reply>>;

    /// Has the node at `address` drop from its disk what nobody needs; done when that has begun, or when there is
    /// nothing to drop.
    fn cleanup(&self, address: String) -> BoxFuture<'static, anyhow::Result<()>>;
}

/// kvlab's own node.
#[derive(Clone, Debug)]
pub(crate) struct KvlabNode {
    program: PathBuf,
}

impl KvlabNode {
    /// Nodes that run this very program.
    ///
    /// # Errors
    /// If it cannot be found.
    pub(crate) fn of_this_program() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to run its nodes")?;
        Ok(Self { program })
    }
}

impl Engine for KvlabNode {
    fn command(&self, launch: &Launch) -> Command {
        let members: Vec<_> = launch.members.iter().map(ToString::to_string).collect();
        let mut command = Command::new(&self.program);
        command
            .arg("node")
            .args(["--id", &launch.node.to_string()])
            .args(["--members", &members.join(",")])
            .arg("--data")
            .arg(&launch.data)
            .args(["--client", &launch.client.to_string()])
            .args(["--peer", &launch.peer.to_string()])
            .args(["--parent-death", &launch.lab_pid.to_string()]);
        for (to, address) in &launch.links {
            command.args(["--link", &format!("{to}={address}")]);
        }
        if launch.bootstrap {
            command.arg("--bootstrap");
        }
        let Settings {
            stale_after,
            stale_lag,
            durability,
            backlog_bytes,
            segment_bytes,
            cleanup_bytes,
            quirks,
        } = &launch.settings;
        let stale_after = stale_after.map(|bound| format!("{}ms", bound.as_millis()));
        let settings = [
            ("--stale-after", stale_after),
            ("--stale-lag", stale_lag.map(|bound| bound.to_string())),
            ("--durability", durability.clone()),
            ("--backlog-bytes", backlog_bytes.map(|bound| bound.to_string())),
            ("--segment-bytes", segment_bytes.map(|bound| bound.to_string())),
            ("--cleanup-bytes", cleanup_bytes.map(|bound| bound.to_string())),
        ];
        for (flag, value) in settings {
            if let Some(value) = value {
                command.args([flag, &value]);
            }
        }
        for quirk in quirks.iter() {
            command.args(["--quirk", quirk.name()]);
        }
        command
    }

    fn ready(&self, line: &str) -> anyhow::Result<Ready> {
        let quoted =
            || format!("not a ready line: {:?}", line.chars().take(QUOTED_CHARS).collect::<String>());
        serde_json::from_str(line).with_context(quoted)
    }

    fn framing(&self) -> Framing {
        Framing::Frames
    }

    fn watch(&self, address: String) -> BoxFuture<'static, anyhow::Result<BoxStream<'static, Report>>> {
        Box::pin(async move {
            let connection = Connection::connect(&address, None, CONNECT_TIMEOUT).await?;
            let reports = connection.watch(STATUS_EVERY).await?;
            // The connection must live for as long as its reports are wanted.
            let reports = stream::unfold((connection, reports), |(connection, mut reports)| async move {
                let report = reports.recv().await?;
                Some((report, (connection, reports)))
            });
            Ok(reports.boxed())
        })
    }

    fn harm(&self, data: &Path, harm: Harm) -> anyhow::Result<Option<Cut>> {
        let cut = match harm {
            Harm::PowerLoss => cut_to_synced(real_disk(), data)?,
            Harm::TornTail { seed } => tear_tail(real_disk(), data, seed)?,
        };
        Ok(cut.map(|cut| Cut { file: cut.file.display().to_string(), from: cut.from, to: cut.to }))
    }

    fn perform(&self, address: String, command: types::Command) -> BoxFuture<'static, anyhow::Result<Reply>> {
        Box::pin(async move {
            match ask(&address, Request::Do(command)).await? {
                Response::Reply { reply, .. } => Ok(reply),
                Response::Report(_) | Response::Topology(_) | Response::Cleanup(_) => {
                    bail!("{address} answered a command with something else")
                }
            }
        })
    }

    fn cleanup(&self, address: String) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            match ask(&address, Request::Cleanup).await? {
                Response::Cleanup(CleanupReply::Begun { .. } | CleanupReply::Nothing) => Ok(()),
                Response::Cleanup(CleanupReply::Refused { reason }) => bail!(reason),
                Response::Reply { .. } | Response::Report(_) | Response::Topology(_) => {
                    bail!("{address} was asked for a cleanup and answered something else")
                }
            }
        })
    }
}

/// One request on a connection of its own.
async fn ask(address: &str, request: Request) -> anyhow::Result<Response> {
    let connection = Connection::connect(address, None, CONNECT_TIMEOUT).await?;
    let answer = timeout(ANSWER_TIMEOUT, connection.request(request)).await;
    Ok(answer.with_context(|| format!("{address} did not answer within {ANSWER_TIMEOUT:?}"))??)
}

#[cfg(test)]
mod tests {
    use kvlab::replication::{DiskJob, LogId};
    use kvlab::storage::{self, Durability, Job};
    use kvlab::types::{Entry, Epoch, Op, Position, Quirk};

    use super::*;

    #[test]
    fn the_command_line_of_a_node() {
        let engine = KvlabNode { program: "/bin/kvlab".into() };
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut launch = Launch {
            node: NodeId(1),
            members: vec![NodeId(1), NodeId(2)],
            data: "/run/n1".into(),
            client: address(7001),
            peer: address(9001),
            links: vec![(NodeId(2), address(9002))],
            bootstrap: true,
            lab_pid: 77,
            settings: Settings::default(),
        };
        let line = |launch: &Launch| {
            let command = engine.command(launch);
            let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
            words.join(" ")
        };
        let base = "node --id n1 --members n1,n2 --data /run/n1 --client 127.0.0.1:7001 \
                    --peer 127.0.0.1:9001 --parent-death 77 --link n2=127.0.0.1:9002";
        assert_eq!(line(&launch), format!("{base} --bootstrap"));
        launch.bootstrap = false;
        launch.settings = Settings {
            stale_after: Some(Duration::from_millis(1500)),
            stale_lag: Some(10),
            durability: Some("interval=10ms".into()),
            backlog_bytes: Some(4096),
            segment_bytes: Some(8192),
            cleanup_bytes: Some(0),
            quirks: [Quirk::VoteAmnesia, Quirk::NoFence].into_iter().collect(),
        };
        let settings = "--stale-after 1500ms --stale-lag 10 --durability interval=10ms --backlog-bytes 4096 \
                        --segment-bytes 8192 --cleanup-bytes 0 --quirk no-fence --quirk vote-amnesia";
        assert_eq!(line(&launch), format!("{base} {settings}"));
    }

    #[test]
    fn faults_of_the_disk_reach_the_data_of_a_node() {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = KvlabNode { program: "/bin/kvlab".into() };
        let file = "log-00000001/00000001.log".to_owned();
        let options = storage::Options { durability: Durability::Os, ..storage::Options::new(NodeId(1)) };
        let write = |seq| {
            let (_store, mut writer, opened) =
                storage::open(real_disk(), dir.path(), options).expect("opened");
            assert_eq!(opened.recovered.last.seq + 1, seq);
            let at = Position::new(Epoch::new(1, NodeId(1)), seq);
            let entries = vec![Entry { at, op: Op::Noop }];
            writer.execute(vec![Job::Core(DiskJob::Append { log: LogId(0), entries })]).expect("written");
        };
        write(1);
        let cut = engine.harm(dir.path(), Harm::PowerLoss).expect("done");
        assert_eq!(cut, Some(Cut { file: file.clone(), from: 62, to: 28 }));
        write(1);
        let cut = engine.harm(dir.path(), Harm::TornTail { seed: 5 }).expect("done").expect("torn");
        assert!(cut.file == file && cut.from == 62 && (29..62).contains(&cut.to), "{cut:?}");
        write(1);
    }

    #[test]
    fn a_ready_line_is_understood_and_nothing_else_is() {
        let engine = KvlabNode { program: "/bin/kvlab".into() };
        let line =
            r#"{"ready":true,"node":"n1","pid":7,"client":"127.0.0.1:1","peer":"127.0.0.1:2","version":"0"}"#;
        assert_eq!(engine.ready(line).expect("ready").node, NodeId(1));
        let error = engine.ready("hello").expect_err("not a ready line");
        assert!(error.to_string().contains("hello"), "{error}");
    }
}
