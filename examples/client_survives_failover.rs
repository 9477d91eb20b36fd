//! A client that survives a failover: three nodes in this process, on real sockets and a real disk. The primary is
//! killed, another member is promoted, and the same client goes on.
//!
//!     cargo run --example client_survives_failover
#![expect(clippy::disallowed_methods, reason = "the example is a program: it has threads, sockets and files")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use kvlab::client::{Client, ClientOptions};
use kvlab::node::{NodeOptions, Stop, serve};
use kvlab::types::{Command, NodeId, Op, ReadLevel, Reply, WriteLevel};
use tokio::sync::{oneshot, watch};

const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const TIMEOUT: Duration = Duration::from_millis(500);

/// A node on a thread of its own.
struct Node {
    client_addr: String,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut nodes = start_nodes(dir.path())?;
    let addresses = nodes.iter().map(|(&id, node)| (id, node.client_addr.clone())).collect();
    let patient = ClientOptions {
        attempts_max: 100,
        deadline: Duration::from_secs(20),
        ..ClientOptions::new(addresses)
    };
    let mut client = Client::new(patient);

    let answer = client.ask(put("before")).await?;
    println!("{} took the write after {} attempts", answer.node, answer.attempts);

    let primary = answer.node;
    let killed = nodes.remove(&primary).expect("is a node");
    killed.kill.send(()).expect("it runs");
    killed.thread.join().expect("it ends");
    println!("{primary} is killed");

    // A member that is behind is refused; then the other one is not.
    for &candidate in nodes.keys() {
        match client.perform(candidate, Command::Promote { force: false }).await {
            Ok(_) => {
                println!("{candidate} is promoted");
                break;
            }
            Err(refused) => println!("{candidate} is refused: {refused}"),
        }
    }

    let answer = client.ask(get()).await?;
    let Reply::Value { found, .. } = answer.reply else { return Err("a read has a value".into()) };
    println!("{} still has {:?}", answer.node, found.value);
    assert_eq!(found.value.as_deref(), Some(&b"before"[..]), "a quorum had it");

    let answer = client.ask(put("after")).await?;
    println!("{} took the write after {} attempts", answer.node, answer.attempts);
    assert_ne!(answer.node, primary);
    Ok(())
}

fn put(value: &'static str) -> Command {
    let op = Op::Put { key: Bytes::from("key"), value: Bytes::from(value) };
    Command::Write { op, level: WriteLevel::Quorum, timeout: TIMEOUT }
}

fn get() -> Command {
    Command::Read { key: Bytes::from("key"), level: ReadLevel::Quorum, timeout: TIMEOUT }
}

/// Starts every member, each in a directory of its own.
fn start_nodes(dir: &std::path::Path) -> std::io::Result<BTreeMap<NodeId, Node>> {
    // Members must know each other's addresses before they start: free ports, held until all are known.
    let held = MEMBERS.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let addrs = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    drop(held);
    let peers: BTreeMap<_, _> = MEMBERS.into_iter().zip(addrs).collect();
    let start = |id: NodeId| {
        let others = peers.iter().filter(|(other, _)| **other != id);
        start_node(NodeOptions {
            peer_addr: peers[&id],
            links: others.map(|(&other, addr)| (other, addr.to_string())).collect(),
            bootstrap: true,
            ..NodeOptions::new(id, MEMBERS.to_vec(), dir.join(id.to_string()))
        })
    };
    Ok(MEMBERS.into_iter().map(|id| (id, start(id))).collect())
}

/// Runs a node until it is killed: then it ends at once, as a process would, and says goodbye to nobody.
fn start_node(options: NodeOptions) -> Node {
    let (ready, started) = mpsc::channel();
    let (kill, killed) = oneshot::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (_never_stopped, stop) = watch::channel(Stop::NotYet);
        runtime.block_on(async {
            tokio::select! {
                ended = serve(options, stop, |line| ready.send(line.client.clone()).expect("is waited for")) => {
                    ended.expect("a node runs until it is told to stop");
                }
                _ = killed => {}
            }
        });
    });
    Node { client_addr: started.recv().expect("it starts"), kill, thread }
}
