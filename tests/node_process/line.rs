//! A line between two members that can be slow, or cut: what is in between when they are on different machines.
#![expect(clippy::disallowed_methods, reason = "real sockets and threads, each with a deadline")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a connection looks whether the line is cut.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much is passed on at once. Small, so that a slow line is slow in small steps.
const STEP_BYTES: usize = 16 << 10;

/// One directed line: peer connections say nothing in the other direction. Closed when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Line(Arc<Ends>);

struct Ends {
    addr: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes a second; 0: as fast as it goes.
    rate: AtomicU64,
    /// Connections are closed, and new ones are too.
    cut: AtomicBool,
    closed: AtomicBool,
}

impl Line {
    /// A line to an address where somebody listens, or will.
    pub(crate) fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State::default());
        thread::spawn({
            let state = state.clone();
            move || accept(&listener, &target, &state)
        });
        Self(Arc::new(Ends { addr, state }))
    }

    pub(crate) fn addr(&self) -> &str {
        &self.0.addr
    }

    /// Bytes a second from now on; 0: as fast as it goes.
    pub(crate) fn slow(&self, bytes_per_second: u64) {
        self.0.state.rate.store(bytes_per_second, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self) {
        self.0.state.cut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn heal(&self) {
        self.0.state.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(&self.addr);
    }
}

impl State {
    fn ends(&self) -> bool {
        self.cut.load(Ordering::Relaxed) || self.closed.load(Ordering::Relaxed)
    }
}

fn accept(listener: &TcpListener, target: &str, state: &Arc<State>) {
    for near in listener.incoming().map_while(Result::ok) {
        if state.closed.load(Ordering::Relaxed) {
            return;
        }
        if state.ends() {
            continue;
        }
        let Ok(far) = TcpStream::connect(target) else { continue };
        let state = state.clone();
        thread::spawn(move || pass(near, far, &state));
    }
}

/// Passes bytes on until either end closes, or the line is cut.
fn pass(mut near: TcpStream, mut far: TcpStream, state: &State) {
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(LOOK_EVERY)).expect("set");
        stream.set_write_timeout(Some(LOOK_EVERY)).expect("set");
    }
    let mut bytes = [0; STEP_BYTES];
    while !state.ends() && !is_closed(&far) {
        match near.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => {
                if !write(&mut far, &bytes[..n], state) {
                    break;
                }
            }
            Err(error) if is_patience(error.kind()) => {}
            Err(_) => break,
        }
    }
    let _ = near.shutdown(Shutdown::Both);
    let _ = far.shutdown(Shutdown::Both);
}

/// All of it, at the rate of the line; whether that went well.
fn write(far: &mut TcpStream, mut bytes: &[u8], state: &State) -> bool {
    let began = Instant::now();
    let length = bytes.len() as f64;
    while !bytes.is_empty() {
        match far.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if is_patience(error.kind()) && !state.ends() => {}
            Err(_) => return false,
        }
    }
    loop {
        let rate = state.rate.load(Ordering::Relaxed);
        let due = if rate == 0 { 0.0 } else { length / rate as f64 };
        let left = Duration::from_secs_f64(due).saturating_sub(began.elapsed());
        if left.is_zero() || state.ends() {
            return true;
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

fn is_closed(far: &TcpStream) -> bool {
    let mut byte = [0];
    far.set_nonblocking(true).expect("set");
    let peeked = far.peek(&mut byte);
    far.set_nonblocking(false).expect("set");
    match peeked {
        Ok(n) => n == 0,
        Err(error) => !is_patience(error.kind()),
    }
}

fn is_patience(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
