//! A node for tests: speaks the real protocol on a real socket, and does with each request what the test says.
#![expect(clippy::disallowed_methods, reason = "a real socket for tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::types::{Epoch, Found, NodeId, Position, Reply};
use crate::wire::{
    ClientFrame, FrameDecoder, FrameEncoder, NodeFrame, PROTOCOL_VERSION, Request, Response, encode,
};

/// What a fake node does with a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Answer(Response),
    /// Answers after a while; other requests are answered meanwhile.
    AnswerAfter(Duration, Response),
    /// Closes the connection without an answer.
    Close,
    /// Answers, then closes the connection.
    AnswerAndClose(Response),
    /// Sends bytes that are no frame.
    Garbage,
    /// Says goodbye.
    Goodbye(&'static str),
    /// Never answers.
    Silence,
}

/// What it does with a connection.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// Takes it as a node does.
    Welcome {
        version: u16,
        node: NodeId,
    },
    /// Sends these bytes whatever comes.
    Raw(Bytes),
    Goodbye(&'static str),
    /// Takes it as a node does that is far away.
    WelcomeAfter(Duration, NodeId),
    /// Takes it and says nothing.
    Silent,
    Close,
}

type Script = dyn Fn(&Request) -> Act + Send + Sync;

#[derive(Debug)]
pub(super) struct FakeNode {
    pub(super) id: NodeId,
    pub(super) addr: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
}

impl FakeNode {
    pub(super) async fn start(id: u8, script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let door = Door::Welcome { version: PROTOCOL_VERSION, node: NodeId(id) };
        Self::with_door(id, door, script).await
    }

    pub(super) async fn with_door(
        id: u8,
        door: Door,
        script: impl Fn(&Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let addr = listener.local_addr().expect("is bound").to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    seen.lock().expect("not poisoned").connections += 1;
                    tokio::spawn(serve(socket, door.clone(), Arc::clone(&script), Arc::clone(&seen)));
                }
            }
        });
        Self { id: NodeId(id), addr, seen }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.lock().expect("not poisoned").requests.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().expect("not poisoned").connections
    }
}

async fn serve(mut socket: TcpStream, door: Door, script: Arc<Script>, seen: Arc<Mutex<Seen>>) {
    let (version, node) = match door {
        Door::Welcome { version, node } => (version, node),
        Door::WelcomeAfter(after, node) => {
            tokio::time::sleep(after).await;
            (PROTOCOL_VERSION, node)
        }
        Door::Close => return,
        Door::Silent => return swallow(socket).await,
        Door::Raw(bytes) => {
            let _ = socket.write_all(&bytes).await;
            return swallow(socket).await;
        }
        Door::Goodbye(reason) => {
            let frame = NodeFrame::Goodbye { reason: reason.to_owned() };
            let _ = FramedWrite::new(socket, FrameEncoder).send(frame).await;
            return;
        }
    };
    let (reader, writer) = socket.into_split();
    let mut reader = FramedRead::new(reader, FrameDecoder::<ClientFrame>::new());
    let mut writer = FramedWrite::new(writer, FrameEncoder);
    let Some(Ok(ClientFrame::Hello { .. })) = reader.next().await else { return };
    reader.decoder_mut().admit();
    let members = vec![(node, None)];
    writer.send(NodeFrame::Welcome { version, node, members }).await.expect("the client reads");

    // One task writes, so that a slow answer does not hold up the others.
    let (answers, mut outgoing) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let mut writer = writer.into_inner();
    tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    while let Some(Ok(ClientFrame::Request { id, request })) = reader.next().await {
        let act = script(&request);
        seen.lock().expect("not poisoned").requests.push(request);
        let frame = |response| encode(&NodeFrame::Response { id, response }).expect("encodes");
        let send = |bytes| answers.send(bytes).expect("the writer takes all");
        match act {
            Act::Answer(response) => send(frame(response)),
            Act::AnswerAfter(after, response) => {
                let (answers, bytes) = (answers.clone(), frame(response));
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    let _ = answers.send(bytes);
                });
            }
            Act::AnswerAndClose(response) => return send(frame(response)),
            Act::Goodbye(reason) => {
                return send(encode(&NodeFrame::Goodbye { reason: reason.to_owned() }).expect("encodes"));
            }
            Act::Garbage => send(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
            Act::Close => return,
            Act::Silence => {}
        }
    }
}

async fn swallow(mut socket: TcpStream) {
    let mut buffer = [0; 1024];
    while socket.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}

pub(super) fn written(seq: u64) -> Response {
    let at = Position::new(Epoch::new(1, NodeId(1)), seq);
    Response::Reply { reply: Reply::Written { at, votes: Vec::new() }, primary: None }
}

pub(super) fn value(value: &'static str) -> Response {
    let version = Position::new(Epoch::new(1, NodeId(1)), 1);
    let found = Found { value: Some(Bytes::from_static(value.as_bytes())), version };
    let reply = Reply::Value { found, epoch: version.epoch, votes: Vec::new() };
    Response::Reply { reply, primary: None }
}
