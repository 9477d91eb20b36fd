//! A store for tests: nodes that speak the real protocol on real sockets, and one map behind them all. It is as
//! consistent as can be, except where a test breaks it.
#![expect(clippy::disallowed_methods, reason = "real sockets for tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use kvlab::types::{
    Command, Epoch, Failure, Found, MemberVote, NodeId, Op, Position, ReadLevel, Reply, Vote,
};
use kvlab::wire::{ClientFrame, FrameDecoder, FrameEncoder, NodeFrame, PROTOCOL_VERSION, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::workload::zones::Zones;

const EPOCH: Epoch = Epoch::new(1, NodeId(1));

/// The store. Its nodes end with the test's runtime.
#[derive(Debug)]
pub(crate) struct FakeStore {
    members: Vec<NodeId>,
    addresses: BTreeMap<NodeId, String>,
    changes: watch::Sender<u64>,
    state: Arc<Mutex<State>>,
}

/// What is in it, and what is broken.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) map: BTreeMap<String, (String, u64)>,
    pub(crate) seq: u64,
    pub(crate) primary: NodeId,
    /// Nodes that take requests and never answer.
    pub(crate) silent: BTreeSet<NodeId>,
    /// Nodes that refuse eventual reads.
    pub(crate) stale: BTreeSet<NodeId>,
    /// What a node holds instead of what the others hold.
    pub(crate) diverged: BTreeMap<(NodeId, String), String>,
    /// Acknowledges writes whose keys begin like this, and forgets them.
    pub(crate) forgets: Option<String>,
    /// How often a write was sent to a node that is not the primary.
    pub(crate) refused: u64,
    /// The node that took each write, in order.
    pub(crate) written_at: Vec<NodeId>,
}

impl FakeStore {
    pub(crate) async fn start(nodes: u8) -> Arc<Self> {
        let state = Arc::new(Mutex::new(State {
            map: BTreeMap::new(),
            seq: 0,
            primary: NodeId(1),
            silent: BTreeSet::new(),
            stale: BTreeSet::new(),
            diverged: BTreeMap::new(),
            forgets: None,
            refused: 0,
            written_at: Vec::new(),
        }));
        let mut addresses = BTreeMap::new();
        for node in (1..=nodes).map(NodeId) {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            addresses.insert(node, listener.local_addr().expect("is bound").to_string());
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(serve(socket, node, Arc::clone(&state)));
                }
            });
        }
        let members = addresses.keys().copied().collect();
        Arc::new(Self { members, addresses, changes: watch::Sender::new(0), state })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Zones for FakeStore {
    fn members(&self) -> &[NodeId] {
        &self.members
    }

    fn address(&self, _home: Option<NodeId>, node: NodeId) -> String {
        self.addresses[&node].clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

async fn serve(socket: TcpStream, node: NodeId, state: Arc<Mutex<State>>) {
    let (reader, writer) = socket.into_split();
    let mut reader = FramedRead::new(reader, FrameDecoder::<ClientFrame>::new());
    let mut writer = FramedWrite::new(writer, FrameEncoder);
    let Some(Ok(ClientFrame::Hello { .. })) = reader.next().await else { return };
    reader.decoder_mut().admit();
    let welcome = NodeFrame::Welcome { version: PROTOCOL_VERSION, node, members: Vec::new() };
    if writer.send(welcome).await.is_err() {
        return;
    }
    while let Some(Ok(ClientFrame::Request { id, request: Request::Do(command) })) = reader.next().await {
        let reply = state.lock().expect("not poisoned").answer(node, command);
        let Some(reply) = reply else { continue };
        let response = Response::Reply { reply, primary: None };
        if writer.send(NodeFrame::Response { id, response }).await.is_err() {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, node: NodeId, command: Command) -> Option<Reply> {
        if self.silent.contains(&node) {
            return None;
        }
        Some(match command {
            Command::Write { op, .. } => self.write(node, op),
            Command::Read { key, level, .. } => self.read(node, &text(&key), level),
            Command::Promote { .. } | Command::Follow { .. } => {
                Reply::Failed(Failure::Busy("not here".to_owned()))
            }
        })
    }

    fn write(&mut self, node: NodeId, op: Op) -> Reply {
        if node != self.primary {
            self.refused += 1;
            return Reply::Failed(Failure::ReadOnly { primary: Some(self.primary) });
        }
        self.seq += 1;
        self.written_at.push(node);
        match op {
            Op::Put { key, .. } if self.forgets.as_ref().is_some_and(|f| text(&key).starts_with(f)) => {}
            Op::Put { key, value } => {
                self.map.insert(text(&key), (text(&value), self.seq));
            }
            Op::Del { key } => {
                self.map.remove(&text(&key));
            }
            Op::Noop => {}
        }
        Reply::Written { at: Position::new(EPOCH, self.seq), votes: votes(node) }
    }

    fn read(&self, node: NodeId, key: &str, level: ReadLevel) -> Reply {
        if level == ReadLevel::Eventual && self.stale.contains(&node) {
            let failure = Failure::TooStale { primary: Some(self.primary), age: None, lag: 1001 };
            return Reply::Failed(failure);
        }
        let held = self.map.get(key).map(|(value, seq)| (value.clone(), *seq));
        let held = match self.diverged.get(&(node, key.to_owned())) {
            Some(other) if level == ReadLevel::Eventual => Some((other.clone(), 1)),
            _ => held,
        };
        let found = held.map_or_else(Found::default, |(value, seq)| Found {
            value: Some(Bytes::from(value.into_bytes())),
            version: Position::new(EPOCH, seq),
        });
        Reply::Value { found, epoch: EPOCH, votes: votes(node) }
    }
}

fn votes(node: NodeId) -> Vec<MemberVote> {
    vec![MemberVote { node, vote: Vote::Ack, after_us: Some(1) }]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
