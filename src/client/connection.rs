//! One connection: a task that owns the socket, and handles that ask it.
#![expect(clippy::disallowed_methods, reason = "sockets, tasks and time-outs of the client live here")]
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::FramedRead;

use super::error::{ConnectError, ConnectionLost};
use crate::types::{Failure, NodeId, Reply, Report, check_limits};
use crate::wire::{ClientFrame, FrameDecoder, NodeFrame, PROTOCOL_VERSION, Request, Response, encode};

/// Requests handed to the connection's task and not yet taken by it; more wait in [`Connection::request`].
const ASKS_MAX: usize = 256;
/// Requests sent and not yet answered; the task takes no more until some are.
const IN_FLIGHT_MAX: usize = 4096;
/// Bytes that wait for the socket; the task takes no more requests until there are fewer.
const OUTGOING_BYTES_MAX: usize = 1 << 20;
/// Reports that wait for a watcher. Statuses use only half of it, so that events find room.
const REPORTS_MAX: usize = 1024;

/// One connection to one node; many requests may be in flight. Cheap to clone; closed when the last is dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: NodeId,
    members: Vec<(NodeId, Option<String>)>,
    next_id: AtomicU64,
    asks: mpsc::Sender<Ask>,
    ended: Arc<OnceLock<String>>,
}

/// Why a request has no answer, as exactly as the connection knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It has not left as a whole, and no node acts on part of a frame: it certainly did not happen.
    Unsent(String),
    /// It has left: it may have happened.
    Lost(String),
}

impl Connection {
    /// Connects and shakes hands, both within `timeout`.
    ///
    /// # Errors
    /// All of [`ConnectError`].
    pub async fn connect(addr: &str, token: Option<&str>, timeout: Duration) -> Result<Self, ConnectError> {
        tokio::time::timeout(timeout, Self::shake_hands(addr, token))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout(addr.to_owned(), timeout)))
    }

    async fn shake_hands(addr: &str, token: Option<&str>) -> Result<Self, ConnectError> {
        let refused = |source| ConnectError::Refused(addr.to_owned(), source);
        let protocol = |reason: String| ConnectError::Protocol(addr.to_owned(), reason);
        let socket = TcpStream::connect(addr).await.map_err(refused)?;
        socket.set_nodelay(true).map_err(refused)?;
        let (reader, mut writer) = socket.into_split();
        let mut reader = FramedRead::new(reader, FrameDecoder::new());

        let hello = ClientFrame::Hello { version: PROTOCOL_VERSION, token: token.map(str::to_owned) };
        let hello = encode(&hello).map_err(|error| protocol(error.to_string()))?;
        writer.write_all(&hello).await.map_err(|error| protocol(error.to_string()))?;
        let (node, members) = match reader.next().await {
            Some(Ok(NodeFrame::Welcome { version, node, members })) if version == PROTOCOL_VERSION => {
                (node, members)
            }
            Some(Ok(NodeFrame::Welcome { version, .. })) => {
                return Err(protocol(format!("it speaks version {version}, not {PROTOCOL_VERSION}")));
            }
            Some(Ok(NodeFrame::Goodbye { reason })) => {
                return Err(ConnectError::Rejected(addr.to_owned(), reason));
            }
            Some(Ok(NodeFrame::Response { .. })) => return Err(protocol("it answers unasked".to_owned())),
            Some(Err(error)) => return Err(protocol(error.to_string())),
            None => return Err(protocol("it closed the connection".to_owned())),
        };
        reader.decoder_mut().admit();

        let (asks, incoming) = mpsc::channel(ASKS_MAX);
        let ended = Arc::new(OnceLock::new());
        let task = Task {
            reader,
            writer,
            asks: incoming,
            pending: HashMap::new(),
            outgoing: BytesMut::new(),
            bytes_queued: 0,
            bytes_written: 0,
            ended: Arc::clone(&ended),
        };
        tokio::spawn(task.run());
        let shared = Shared { node, members, next_id: AtomicU64::new(1), asks, ended };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Who answers here.
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// Every member with its client address, as the node knew them when the connection was made.
    pub fn members(&self) -> &[(NodeId, Option<String>)] {
        &self.shared.members
    }

    /// Whether the connection has ended; nothing that is asked from now on will be sent.
    pub fn is_closed(&self) -> bool {
        self.shared.asks.is_closed()
    }

    /// Asks, and waits for the answer for as long as the connection stands. A command that breaks a limit is
    /// answered here as the node would: [`Failure::Invalid`].
    ///
    /// # Errors
    /// [`ConnectionLost`] if the connection ends first.
    pub async fn request(&self, request: Request) -> Result<Response, ConnectionLost> {
        self.ask(request).await.map_err(|error| match error {
            Unanswered::Unsent(reason) | Unanswered::Lost(reason) => ConnectionLost(reason),
        })
    }

    /// As [`request`](Self::request), but tells what was never sent from what may have arrived.
    pub(super) async fn ask(&self, request: Request) -> Result<Response, Unanswered> {
        if let Request::Do(command) = &request
            && let Err(limit) = check_limits(command)
        {
            let reply = Reply::Failed(Failure::Invalid(limit.to_string()));
            return Ok(Response::Reply { reply, primary: None });
        }
        let (answer, answered) = oneshot::channel();
        self.submit(request, Sink::Once(answer)).await?;
        // Whatever the task holds or finds in its queue it answers; only a task that was torn down does not.
        answered.await.unwrap_or_else(|_| Err(Unanswered::Lost(self.reason())))
    }

    /// Reports until the connection ends (the receiver then yields `None`). Statuses come every `interval`, and
    /// events as they happen. A receiver that is slow misses statuses; if it must miss events as well, a
    /// [`Report::Notice`] says how many.
    ///
    /// # Errors
    /// [`ConnectionLost`] if the connection has ended already.
    pub async fn watch(&self, interval: Duration) -> Result<mpsc::Receiver<Report>, ConnectionLost> {
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        let watcher = Watcher { reports, events_missed: 0 };
        match self.submit(Request::Watch { interval_ms }, Sink::Many(watcher)).await {
            Ok(()) => Ok(receiver),
            Err(Unanswered::Unsent(reason) | Unanswered::Lost(reason)) => Err(ConnectionLost(reason)),
        }
    }

    async fn submit(&self, request: Request, sink: Sink) -> Result<(), Unanswered> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = encode(&ClientFrame::Request { id, request })
            .map_err(|error| Unanswered::Unsent(error.to_string()))?;
        let ask = Ask { id, frame, sink };
        self.shared.asks.send(ask).await.map_err(|_| Unanswered::Unsent(self.reason()))
    }

    fn reason(&self) -> String {
        self.shared.ended.get().cloned().unwrap_or_else(|| "its task was stopped".to_owned())
    }
}

/// A request on its way to the task.
#[derive(Debug)]
struct Ask {
    id: u64,
    frame: Bytes,
    sink: Sink,
}

/// Where answers go.
#[derive(Debug)]
enum Sink {
    Once(oneshot::Sender<Result<Response, Unanswered>>),
    Many(Watcher),
}

impl Sink {
    /// Whether nobody waits any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Once(answer) => answer.is_closed(),
            Self::Many(watcher) => watcher.reports.is_closed(),
        }
    }

    fn fail(self, error: Unanswered) {
        // A watcher hears of the end by the closing of its channel.
        if let Self::Once(answer) = self {
            let _ = answer.send(Err(error));
        }
    }
}

/// A request that the task has taken.
#[derive(Debug)]
struct Pending {
    sink: Sink,
    /// Bytes that had been queued with its last.
    ends_at: u64,
}

/// The owner of the socket. It reads and writes at the same time, so that a node which waits for us to read
/// never waits for ever.
struct Task {
    reader: FramedRead<OwnedReadHalf, FrameDecoder<NodeFrame>>,
    writer: OwnedWriteHalf,
    asks: mpsc::Receiver<Ask>,
    pending: HashMap<u64, Pending>,
    outgoing: BytesMut,
    bytes_queued: u64,
    bytes_written: u64,
    ended: Arc<OnceLock<String>>,
}

impl Task {
    async fn run(mut self) {
        let reason = self.drive().await;
        self.end(&reason);
    }

    /// Returns why the connection is over.
    async fn drive(&mut self) -> String {
        loop {
            let takes_more = self.outgoing.len() < OUTGOING_BYTES_MAX && self.has_room();
            tokio::select! {
                frame = self.reader.next() => match frame {
                    Some(Ok(frame)) => if let Err(reason) = self.receive(frame) {
                        return reason;
                    },
                    Some(Err(error)) => return error.to_string(),
                    None => return "the node closed the connection".to_owned(),
                },
                ask = self.asks.recv(), if takes_more => match ask {
                    Some(ask) => self.take(ask),
                    None => return "its last handle was dropped".to_owned(),
                },
                written = self.writer.write_buf(&mut self.outgoing), if !self.outgoing.is_empty() => match written {
                    Ok(0) => return "the node takes no more bytes".to_owned(),
                    Ok(bytes) => self.bytes_written += bytes as u64,
                    Err(error) => return error.to_string(),
                },
            }
        }
    }

    /// Requests whose callers have given up no longer count.
    fn has_room(&mut self) -> bool {
        if self.pending.len() >= IN_FLIGHT_MAX {
            self.pending.retain(|_, pending| !pending.sink.is_abandoned());
        }
        self.pending.len() < IN_FLIGHT_MAX
    }

    fn take(&mut self, ask: Ask) {
        if ask.sink.is_abandoned() {
            return;
        }
        self.outgoing.extend_from_slice(&ask.frame);
        self.bytes_queued += ask.frame.len() as u64;
        self.pending.insert(ask.id, Pending { sink: ask.sink, ends_at: self.bytes_queued });
    }

    fn receive(&mut self, frame: NodeFrame) -> Result<(), String> {
        match frame {
            NodeFrame::Response { id, response } => {
                self.answer(id, response);
                Ok(())
            }
            NodeFrame::Goodbye { reason } => Err(format!("the node said goodbye: {reason}")),
            NodeFrame::Welcome { .. } => Err("the node said welcome twice".to_owned()),
        }
    }

    /// Answers that nobody waits for any more are dropped.
    fn answer(&mut self, id: u64, response: Response) {
        match self.pending.get_mut(&id).map(|pending| &mut pending.sink) {
            None => {}
            Some(Sink::Many(watcher)) => {
                watcher.tell(response);
                if watcher.reports.is_closed() {
                    self.pending.remove(&id);
                }
            }
            Some(Sink::Once(_)) => {
                if let Some(Pending { sink: Sink::Once(answer), .. }) = self.pending.remove(&id) {
                    let _ = answer.send(Ok(response));
                }
            }
        }
    }

    fn end(mut self, reason: &str) {
        let _ = self.ended.set(reason.to_owned());
        self.asks.close();
        for (_, pending) in self.pending.drain() {
            let unsent = pending.ends_at > self.bytes_written;
            let error = if unsent { Unanswered::Unsent } else { Unanswered::Lost };
            pending.sink.fail(error(reason.to_owned()));
        }
        while let Ok(ask) = self.asks.try_recv() {
            ask.sink.fail(Unanswered::Unsent(reason.to_owned()));
        }
    }
}

/// Where the reports of one watch go.
#[derive(Debug)]
struct Watcher {
    reports: mpsc::Sender<Report>,
    events_missed: u64,
}

impl Watcher {
    fn tell(&mut self, response: Response) {
        let report = match response {
            Response::Report(json) => serde_json::from_str(&json).unwrap_or_else(|error| Report::Notice {
                uptime_ms: 0,
                text: format!("a report could not be read: {error}"),
            }),
            other => Report::Notice { uptime_ms: 0, text: format!("the watch was answered with {other:?}") },
        };
        self.own_up();
        let is_status = matches!(report, Report::Status(_));
        if is_status && self.reports.capacity() <= REPORTS_MAX / 2 {
            return; // The next one replaces it.
        }
        if self.events_missed > 0 || self.reports.try_send(report).is_err() {
            self.events_missed += u64::from(!is_status);
        }
    }

    /// Says how many events were missed before anything else is told.
    fn own_up(&mut self) {
        if self.events_missed > 0 {
            let text = format!("{} events were missed: their reader was too slow", self.events_missed);
            if self.reports.try_send(Report::Notice { uptime_ms: 0, text }).is_ok() {
                self.events_missed = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Epoch, Event, NodeStatus, Status};

    fn event(number: u64) -> Response {
        let event = Event::EpochEstablished { epoch: Epoch::new(number, NodeId(1)) };
        told(&Report::Event { uptime_ms: 0, event })
    }

    fn status() -> Response {
        told(&Report::Status(NodeStatus::new(Status::new(NodeId(1)))))
    }

    fn told(report: &Report) -> Response {
        Response::Report(serde_json::to_string(report).expect("is JSON"))
    }

    fn watcher() -> (Watcher, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        (Watcher { reports, events_missed: 0 }, receiver)
    }

    #[test]
    fn statuses_leave_room_for_events() {
        let (mut watcher, mut reports) = watcher();
        for _ in 0..2 * REPORTS_MAX {
            watcher.tell(status());
        }
        for number in 0..(REPORTS_MAX / 2) as u64 {
            watcher.tell(event(number));
        }
        let mut events = 0;
        while let Ok(report) = reports.try_recv() {
            match report {
                Report::Event { .. } => events += 1,
                Report::Status(_) => assert_eq!(events, 0, "in the order in which they came"),
                Report::Notice { text, .. } => panic!("{text}"),
            }
        }
        assert_eq!(events, REPORTS_MAX / 2, "no event was missed");
    }

    #[test]
    fn a_slow_watcher_is_told_how_many_events_it_missed() {
        let (mut watcher, mut reports) = watcher();
        for number in 0..(REPORTS_MAX + 7) as u64 {
            watcher.tell(event(number));
        }
        watcher.tell(status());
        for _ in 0..REPORTS_MAX {
            assert!(matches!(reports.try_recv(), Ok(Report::Event { .. })));
        }
        watcher.tell(status());
        let Ok(Report::Notice { text, .. }) = reports.try_recv() else { panic!("no notice") };
        assert!(text.starts_with("7 events were missed"), "{text}");
        assert!(matches!(reports.try_recv(), Ok(Report::Status(_))));
        watcher.tell(event(1));
        assert!(matches!(reports.try_recv(), Ok(Report::Event { .. })), "it is told once");
    }

    #[test]
    fn a_report_that_cannot_be_read_is_a_notice() {
        let (mut watcher, mut reports) = watcher();
        let unknown = r#"{"report":"event","uptime_ms":1,"event":{"kind":"of-tomorrow"}}"#;
        watcher.tell(Response::Report(unknown.to_owned()));
        let Ok(Report::Notice { text, .. }) = reports.try_recv() else { panic!("no notice") };
        assert!(text.contains("of-tomorrow"), "{text}");
    }
}
