//! Node processes and the smallest client that can talk to them.
#![expect(clippy::disallowed_methods, reason = "real processes and sockets, waited for with a deadline")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvlab::types::Command as Ask;
use kvlab::types::{Found, NodeId, NodeStatus, Op, Position, ReadLevel, Ready, Reply, Report, WriteLevel};
use kvlab::wire::{
    ClientFrame, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, NodeFrame, PROTOCOL_VERSION, Request,
    Response, decode_payload, encode,
};
use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Requests of one client under way at once, where it writes much.
const UNDER_WAY: usize = 16;
/// What requests may wait for a quorum, unless a test says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The program under test.
pub(crate) fn kvlab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kvlab"))
}

/// Tries until it succeeds.
pub(crate) fn until<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    until_after(PATIENCE, what, attempt)
}

/// Tries until it succeeds, with other patience: for what moves a lot of bytes.
pub(crate) fn until_after<T>(patience: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(outcome) = attempt() {
            return outcome;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port for a node that others have to know before it starts: below those that the system gives to anybody, and
/// given once by this process.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    until("a free port", || {
        let n = process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + n % COUNT).expect("below 2^16");
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    })
}

/// `--id n1 --members n1 --data DIR`: a cluster of one.
pub(crate) fn alone(dir: &Path) -> Command {
    let mut command = kvlab();
    command.args(["node", "--id", "n1", "--members", "n1", "--bootstrap", "--data"]).arg(dir);
    command
}

/// A running node. Killed when it is dropped.
pub(crate) struct Node {
    child: Child,
    /// Kept open: its end would stop the node.
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) ready: Ready,
    log: Arc<Mutex<String>>,
}

impl Node {
    /// Starts it and waits for its ready line.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    pub(crate) fn start_with(command: Command, stdin: Stdio) -> Self {
        Self::start_telling(command, stdin, "")
    }

    /// Tells it `lines` on its standard input before it can be ready.
    pub(crate) fn start_telling(mut command: Command, stdin: Stdio, lines_first: &str) -> Self {
        let mut child =
            command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawned");
        let log = collect(child.stderr.take().expect("piped"));
        let lines = lines(child.stdout.take().expect("piped"));
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            // If it has ended already, there is no ready line either.
            let _ = stdin.write_all(lines_first.as_bytes());
        }
        let Ok(line) = lines.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let status = child.wait();
            panic!("no ready line; {status:?}; log:\n{}", log.lock().expect("log"));
        };
        let ready: Ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        assert!(ready.ready);
        Self { child, stdin, ready, log }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.ready.client)
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("log").clone()
    }

    /// Waits until its log says so.
    pub(crate) fn logs(&self, words: &str) {
        until(words, || self.log().contains(words).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.ready.pid.cast_signed()).expect("a process");
        kill_process(pid, signal).expect("signalled");
    }

    /// What the kernel says of its memory, in bytes: a line of /proc/PID/status, such as `VmHWM`.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self, line: &str) -> usize {
        let path = format!("/proc/{}/status", self.ready.pid);
        let text = std::fs::read_to_string(path).expect("a process");
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        let kib = found.and_then(|rest| rest.trim().strip_suffix(" kB")).expect("a number of kB");
        kib.trim().parse::<usize>().expect("a number") << 10
    }

    /// Waits for its end, and for the end of its log.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let status = until("the node's end", || self.child.try_wait().expect("waited"));
        until("the end of the log", || (Arc::strong_count(&self.log) == 1).then_some(()));
        status
    }

    /// Kill -9.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.exit();
    }

    /// SIGTERM, and exit 0.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.exit().code(), Some(0), "{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            // Shown by the test harness, for failed tests only.
            println!("log of {}:\n{}", self.ready.node, self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end, which must come by itself: exit code, standard output, log.
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawned");
    let (out, log) =
        (collect(child.stdout.take().expect("piped")), collect(child.stderr.take().expect("piped")));
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("waited").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let status = child.wait().expect("waited");
    // The collectors end with the pipes; both locks come free then.
    let text = |text: Arc<Mutex<String>>| {
        until("the end of the output", || Arc::strong_count(&text).eq(&1).then_some(()));
        text.lock().expect("text").clone()
    };
    (status.code(), text(out), text(log))
}

fn collect(mut source: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = text.clone();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = source.read(&mut bytes) {
            sink.lock().expect("text").push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    });
    text
}

fn lines(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One connection, frames and nothing else.
pub(crate) struct Client {
    stream: TcpStream,
    next_id: u64,
    /// Who answers, and where everyone takes clients.
    pub(crate) node: NodeId,
    pub(crate) members: Vec<(NodeId, Option<String>)>,
}

impl Client {
    pub(crate) fn connect(addr: &str) -> Self {
        Self::connect_with(addr, None)
    }

    /// Shows a token.
    pub(crate) fn connect_with(addr: &str, token: Option<&str>) -> Self {
        let mut client = Self { stream: raw(addr), next_id: 0, node: NodeId::NONE, members: Vec::new() };
        client.say(&ClientFrame::Hello { version: PROTOCOL_VERSION, token: token.map(str::to_owned) });
        let Some(NodeFrame::Welcome { node, members, .. }) = client.hear() else { panic!("no welcome") };
        Self { node, members, ..client }
    }

    pub(crate) fn say(&mut self, frame: &ClientFrame) {
        self.write(&encode(frame).expect("encodes"));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("written");
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) fn hear(&mut self) -> Option<NodeFrame> {
        hear(&mut self.stream)
    }

    /// Sends a request; its answer comes with the id returned.
    pub(crate) fn send(&mut self, request: Request) -> u64 {
        self.next_id += 1;
        self.say(&ClientFrame::Request { id: self.next_id, request });
        self.next_id
    }

    /// Sends a request to a node that may be gone; `false`: it is.
    pub(crate) fn try_send(&mut self, request: Request) -> bool {
        self.next_id += 1;
        let frame = encode(&ClientFrame::Request { id: self.next_id, request }).expect("encodes");
        self.stream.write_all(&frame).is_ok()
    }

    /// Whether something has come that was not heard yet.
    pub(crate) fn is_readable(&self) -> bool {
        self.stream.set_nonblocking(true).expect("set");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("set");
        match peeked {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next answer, whichever request it is to.
    pub(crate) fn reply(&mut self) -> (u64, Reply) {
        match self.hear() {
            Some(NodeFrame::Response { id, response: Response::Reply { reply, .. } }) => (id, reply),
            other => panic!("expected an answer, not {other:?}"),
        }
    }

    /// Asks and waits.
    pub(crate) fn ask(&mut self, command: Ask) -> (Reply, Option<String>) {
        let asked = self.send(Request::Do(command));
        match self.hear() {
            Some(NodeFrame::Response { id, response: Response::Reply { reply, primary } }) if id == asked => {
                (reply, primary)
            }
            other => panic!("expected the answer to {asked}, not {other:?}"),
        }
    }

    pub(crate) fn put(&mut self, key: &str, value: &str, level: WriteLevel) -> Reply {
        self.ask(write(key, value, level)).0
    }

    /// Writes all of them, async, with [`UNDER_WAY`] of them under way at once; every one must be acknowledged.
    pub(crate) fn put_all(&mut self, writes: impl Iterator<Item = (String, Bytes)>) {
        let mut under_way = 0;
        for (key, value) in writes {
            let op = Op::Put { key: bytes(&key), value };
            self.send(Request::Do(Ask::Write { op, level: WriteLevel::Async, timeout: TIMEOUT }));
            under_way += 1;
            if under_way == UNDER_WAY {
                self.is_written();
                under_way -= 1;
            }
        }
        (0..under_way).for_each(|_| self.is_written());
    }

    fn is_written(&mut self) {
        match self.hear() {
            Some(NodeFrame::Response {
                response: Response::Reply { reply: Reply::Written { .. }, .. },
                ..
            }) => {}
            other => panic!("expected a write's answer, not {other:?}"),
        }
    }

    /// Writes as soon as the node is a primary. Where.
    pub(crate) fn put_patiently(&mut self, key: &str, value: &str, level: WriteLevel) -> Position {
        until("a primary", || match self.put(key, value, level) {
            Reply::Written { at, .. } => Some(at),
            _ => None,
        })
    }

    pub(crate) fn get(&mut self, key: &str, level: ReadLevel) -> Reply {
        self.ask(read(key, level)).0
    }

    /// Reads a value, trying again while the node has no answer yet.
    pub(crate) fn get_patiently(&mut self, key: &str, level: ReadLevel) -> Found {
        until("an answer", || match self.get(key, level) {
            Reply::Value { found, .. } => Some(found),
            _ => None,
        })
    }

    pub(crate) fn status(&mut self) -> NodeStatus {
        let asked = self.send(Request::Status);
        match self.report() {
            (id, Report::Status(status)) if id == asked => status,
            other => panic!("expected a status, not {other:?}"),
        }
    }

    /// The next report.
    pub(crate) fn report(&mut self) -> (u64, Report) {
        match self.hear() {
            Some(NodeFrame::Response { id, response: Response::Report(json) }) => {
                (id, serde_json::from_str(&json).expect("a report"))
            }
            other => panic!("expected a report, not {other:?}"),
        }
    }
}

/// A connection on which nothing has been said.
pub(crate) fn raw(addr: &str) -> TcpStream {
    let addr: SocketAddr = addr.parse().expect("an address");
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    stream.set_nodelay(true).expect("set");
    stream
}

/// The next frame of a node; `None` at the end of the connection.
pub(crate) fn hear(stream: &mut TcpStream) -> Option<NodeFrame> {
    let mut header = [0; FRAME_HEADER_BYTES];
    match stream.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) => {
            let timed_out =
                matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            assert!(!timed_out, "the node says nothing");
            return None;
        }
    }
    let header = FrameHeader::peek(&header, FRAME_BYTES_MAX).expect("a frame").expect("a whole header");
    let mut payload = vec![0; header.payload_bytes];
    stream.read_exact(&mut payload).expect("the rest of a frame");
    header.verify(&payload).expect("whole");
    Some(decode_payload(&payload).expect("a frame"))
}

pub(crate) fn write(key: &str, value: &str, level: WriteLevel) -> Ask {
    let op = Op::Put { key: bytes(key), value: bytes(value) };
    Ask::Write { op, level, timeout: TIMEOUT }
}

pub(crate) fn read(key: &str, level: ReadLevel) -> Ask {
    Ask::Read { key: bytes(key), level, timeout: TIMEOUT }
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
