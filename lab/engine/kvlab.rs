//! kvlab's own node: this very program, run again.

use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use kvlab::client::{self, AskError, Connection, Patience};
use kvlab::node::Token;
use kvlab::replication::CAMPAIGN_MAX;
use kvlab::storage::{cut_to_synced, real_disk, tear_tail};
use kvlab::types::{Command, Ready, Reply, Report};
use kvlab::wire::{CleanupReply, Request, Response};

use super::engine::{DiskFault, Engine, Framing, Launch};
use super::orders::NodeOrder;
use crate::run::event::Cut;

/// The variable of the environment from which a node, or a command that asks one, takes the cluster's token.
pub const TOKEN_VARIABLE: &str = "KVLAB_TOKEN";
/// How long a node may take to accept a connection and greet, and to answer a command given on a direct connection.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(3) };
/// The same for a promotion: over slow links, its campaign may take that long.
const PATIENCE_PROMOTION: Patience = Patience { answer: CAMPAIGN_MAX, ..PATIENCE };
/// How often a node tells its status.
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// How much of a line that is no ready line is quoted.
const QUOTED_CHARS: usize = 200;

/// Runs kvlab's own nodes, which are one cluster: all have the same token.
#[derive(Clone, Debug)]
pub struct KvlabNode {
    program: PathBuf,
    token: Token,
}

impl KvlabNode {
    /// Nodes that run this very program, with this token.
    ///
    /// # Errors
    /// If it cannot be found.
    pub fn of_this_program(token: Token) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to run its nodes")?;
        Ok(Self { program, token })
    }
}

impl Engine for KvlabNode {
    fn command(&self, launch: &Launch) -> process::Command {
        let members: Vec<_> = launch.members.iter().map(ToString::to_string).collect();
        let mut command = process::Command::new(&self.program);
        command
            .arg("node")
            .args(["--id", &launch.node.to_string()])
            .args(["--members", &members.join(",")])
            .arg("--data")
            .arg(&launch.data)
            .args(["--client", &launch.client.to_string()])
            .args(["--peer", &launch.peer.to_string()])
            .args(["--parent-death", &launch.lab_pid.to_string()])
            .args(["--token-stdin", "--conditions"])
            // The token of somebody else's cluster, perhaps.
            .env_remove(TOKEN_VARIABLE);
        for (to, address) in &launch.links {
            command.args(["--link", &format!("{to}={address}")]);
        }
        if launch.bootstrap {
            command.arg("--bootstrap");
        }
        command.args(launch.settings.flags());
        command
    }

    fn first_words(&self) -> Option<String> {
        Some(NodeOrder::Token(self.token.clone()).line())
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
        let token = self.token.clone();
        Box::pin(async move {
            let connection = Connection::connect(&address, Some(token.reveal()), PATIENCE.connect).await?;
            let reports = connection.watch(STATUS_EVERY).await?;
            // The connection must live for as long as its reports are wanted.
            let reports = stream::unfold((connection, reports), |(connection, mut reports)| async move {
                let report = reports.recv().await?;
                Some((report, (connection, reports)))
            });
            Ok(reports.boxed())
        })
    }

    fn damage(&self, data: &Path, fault: DiskFault) -> anyhow::Result<Option<Cut>> {
        let cut = match fault {
            DiskFault::PowerLoss => cut_to_synced(real_disk(), data)?,
            DiskFault::TornTail { seed } => tear_tail(real_disk(), data, seed)?,
        };
        Ok(cut.map(|cut| Cut { file: cut.file.display().to_string(), from: cut.from, to: cut.to }))
    }

    fn order(&self, order: &NodeOrder) -> Option<String> {
        Some(order.line())
    }

    fn perform(&self, address: String, command: Command) -> BoxFuture<'static, anyhow::Result<Reply>> {
        let token = self.token.clone();
        Box::pin(async move {
            match ask(&address, &token, Request::Do(command)).await? {
                Response::Reply { reply, .. } => Ok(reply),
                _ => bail!("{address} answered a command with something else"),
            }
        })
    }

    fn cleanup(&self, address: String) -> BoxFuture<'static, anyhow::Result<()>> {
        let token = self.token.clone();
        Box::pin(async move {
            match ask(&address, &token, Request::Cleanup).await? {
                Response::Cleanup(CleanupReply::Begun { .. } | CleanupReply::Nothing) => Ok(()),
                Response::Cleanup(CleanupReply::Refused { reason }) => bail!(reason),
                _ => bail!("{address} was asked for a cleanup and answered something else"),
            }
        })
    }
}

/// One request on a connection of its own.
async fn ask(address: &str, token: &Token, request: Request) -> anyhow::Result<Response> {
    let patience = match request {
        Request::Do(Command::Promote { .. }) => PATIENCE_PROMOTION,
        _ => PATIENCE,
    };
    client::ask(address, Some(token.reveal()), request, patience).await.map_err(|error| match error {
        AskError::Late(after) => anyhow!("{address} did not answer within {after:?}"),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use kvlab::replication::{DiskJob, LogId};
    use kvlab::storage::{self, Durability, Job};
    use kvlab::types::{Entry, Epoch, NodeId, Op, Position, Quirk};

    use super::*;
    use crate::engine::NodeSettings;

    fn engine() -> KvlabNode {
        KvlabNode { program: "/bin/kvlab".into(), token: Token::new("s3cret").expect("a token") }
    }

    #[test]
    fn the_command_line_of_a_node() {
        let engine = engine();
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
            settings: NodeSettings::default(),
        };
        let line = |launch: &Launch| {
            let command = engine.command(launch);
            let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
            words.join(" ")
        };
        let base = "node --id n1 --members n1,n2 --data /run/n1 --client 127.0.0.1:7001 \
                    --peer 127.0.0.1:9001 --parent-death 77 --token-stdin --conditions --link n2=127.0.0.1:9002";
        assert_eq!(line(&launch), format!("{base} --bootstrap"));
        launch.bootstrap = false;
        launch.settings = NodeSettings {
            stale_after: Some(Duration::from_millis(1500)),
            stale_lag: Some(10),
            durability: Some(Durability::Interval(Duration::from_millis(10))),
            backlog_bytes: Some(4096),
            segment_bytes: Some(8192),
            cleanup_bytes: Some(0),
            scrub_rate: Some(0),
            quirks: [Quirk::VoteAmnesia, Quirk::NoFence].into_iter().collect(),
        };
        let settings = "--stale-after 1500ms --stale-lag 10 --durability interval=10ms --backlog-bytes 4096 \
                        --segment-bytes 8192 --cleanup-bytes 0 --scrub-rate 0 --quirk no-fence --quirk vote-amnesia";
        assert_eq!(line(&launch), format!("{base} {settings}"));
    }

    #[test]
    fn the_token_is_told_on_standard_input_and_nowhere_else() {
        let launch = Launch {
            node: NodeId(1),
            members: vec![NodeId(1)],
            data: "/run/n1".into(),
            client: SocketAddr::from(([127, 0, 0, 1], 7001)),
            peer: SocketAddr::from(([127, 0, 0, 1], 9001)),
            links: Vec::new(),
            bootstrap: true,
            lab_pid: 77,
            settings: NodeSettings::default(),
        };
        assert_eq!(engine().first_words().as_deref(), Some("token s3cret\n"));
        let command = engine().command(&launch);
        assert!(!format!("{command:?} {:?}", engine()).contains("s3cret"));
        let environment: Vec<_> = command.get_envs().collect();
        assert_eq!(
            environment,
            [(TOKEN_VARIABLE.as_ref(), None)],
            "nor is that of the lab's own environment"
        );
    }

    #[test]
    fn faults_of_the_disk_reach_the_data_of_a_node() {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = engine();
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
        let cut = engine.damage(dir.path(), DiskFault::PowerLoss).expect("done");
        assert_eq!(cut, Some(Cut { file: file.clone(), from: 66, to: 28 }));
        write(1);
        let cut = engine.damage(dir.path(), DiskFault::TornTail { seed: 5 }).expect("done").expect("torn");
        assert!(cut.file == file && cut.from == 66 && (29..66).contains(&cut.to), "{cut:?}");
        write(1);
    }

    #[test]
    fn a_ready_line_is_understood_and_nothing_else_is() {
        let engine = engine();
        let line =
            r#"{"ready":true,"node":"n1","pid":7,"client":"127.0.0.1:1","peer":"127.0.0.1:2","version":"0"}"#;
        assert_eq!(engine.ready(line).expect("ready").node, NodeId(1));
        let error = engine.ready("hello").expect_err("not a ready line");
        assert!(error.to_string().contains("hello"), "{error}");
    }
}
