//! One child process: how it is spawned, signalled, read and waited for.
//!
//! A node must never outlive its lab, however that ends. Three things see to it: its standard input is a pipe
//! that closes with the lab; it asks the kernel to be killed when its parent dies (`--parent-death`), which
//! works while it is stopped as well; and dropping the child kills it. The kernel takes the *thread* that
//! forked for the parent, so all children are spawned from one thread that lives as long as any of them.
#![expect(clippy::disallowed_methods, reason = "reads a node's log to tell how it ended")]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::run::log_file::older;

/// The longest ready line, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// How much of a log's end is looked at.
const TAIL_BYTES: u64 = 8 << 10;
/// The longest line quoted from a log, in characters.
const TAIL_LINE_CHARS: usize = 300;
/// Children waiting to be spawned.
const ORDERS_MAX: usize = 16;

/// The thread that spawns children. Cheap to clone; the thread ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Spawner(mpsc::Sender<SpawnOrder>);

#[derive(Debug)]
struct SpawnOrder {
    command: tokio::process::Command,
    runtime: Handle,
    done: oneshot::Sender<io::Result<Spawned>>,
}

/// A child that has just been spawned.
#[derive(Debug)]
pub(super) struct Spawned {
    /// To signal it.
    pub(super) process: Process,
    /// To wait for it; killed when dropped.
    pub(super) child: Child,
    /// To be kept open for as long as it shall live.
    pub(super) stdin: ChildStdin,
    /// Where the ready line comes from.
    pub(super) stdout: ChildStdout,
}

/// A handle to a process that may be signalled, also after it has ended.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// Names this process and no later one with the same number.
    #[cfg(target_os = "linux")]
    pidfd: std::os::fd::OwnedFd,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the kernel gives no more threads.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, mut orders) = mpsc::channel::<SpawnOrder>(ORDERS_MAX);
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            while let Some(SpawnOrder { command, runtime, done }) = orders.blocking_recv() {
                let _inside = runtime.enter();
                // If nobody waits for it any more, the child is dropped here, and killed.
                let _ = done.send(spawn(command));
            }
        })?;
        Ok(Self(sender))
    }

    /// Spawns a child in a process group of its own (so that Ctrl-C in the terminal is the lab's alone), with
    /// its standard error going to `log`.
    ///
    /// # Errors
    /// If the program cannot be run.
    pub(super) async fn spawn(&self, mut command: Command, log: File) -> io::Result<Spawned> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let (done, spawned) = oneshot::channel();
        let gone = || io::Error::other("the spawning thread has ended");
        let order = SpawnOrder { command, runtime: Handle::current(), done };
        self.0.send(order).await.map_err(|_| gone())?;
        spawned.await.map_err(|_| gone())?
    }
}

fn spawn(mut command: tokio::process::Command) -> io::Result<Spawned> {
    let mut child = command.spawn()?;
    let gone = || io::Error::other("a fresh child has no pid or no pipes");
    // Nobody has waited for it yet, so its pid cannot have been given away.
    let process = Process::open(child.id().ok_or_else(gone)?)?;
    let stdin = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    Ok(Spawned { process, child, stdin, stdout })
}

impl Process {
    fn open(pid: u32) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let pidfd = rustix::process::pidfd_open(raw_pid(pid)?, rustix::process::PidfdFlags::empty())?;
        Ok(Self {
            pid,
            #[cfg(target_os = "linux")]
            pidfd,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal. To a process that has ended it is no error to send one: it has no effect.
    ///
    /// # Errors
    /// If the kernel does not allow it.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let sent = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        #[cfg(not(target_os = "linux"))]
        let sent = rustix::process::kill_process(raw_pid(self.pid)?, signal);
        match sent {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

fn raw_pid(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("no such pid"))
}

/// The first line that the child prints; `None` if it prints none. What it prints later is read and dropped,
/// by a task of the caller's: a child must never wait for us to read.
///
/// # Errors
/// If the pipe cannot be read, or the line is not text.
pub(super) async fn first_line(stdout: &mut BufReader<ChildStdout>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stdout.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// How a process ended, for a person: `exit code 1`, `signal 11 (SIGSEGV)`.
pub(super) fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        // The standard library says `signal: 11 (SIGSEGV) (core dumped)`.
        None => status.to_string().replacen(": ", " ", 1).replace(" (core dumped)", ""),
    }
}

/// The last lines of a log that is written to by someone else; none if it cannot be read.
pub(super) fn tail(log: &Path, lines: usize) -> Vec<String> {
    let mut last = tail_of_file(log, lines);
    if last.len() < lines {
        // It has just been halved, perhaps.
        let before = tail_of_file(&older(log), lines - last.len());
        last.splice(..0, before);
    }
    last
}

fn tail_of_file(log: &Path, lines: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    // Nothing that a log says may reach a terminal as a command.
    let plain = |line: &&str| line.chars().filter(|c| !c.is_control()).take(TAIL_LINE_CHARS).collect();
    all[all.len().saturating_sub(lines)..].iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    async fn run(script: &str, log: &Path) -> Spawned {
        let log = File::create(log).expect("a log");
        let spawner = Spawner::start().expect("a thread");
        spawner.spawn(shell(script), log).await.expect("spawned")
    }

    fn log() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n1.log");
        (dir, path)
    }

    #[tokio::test]
    async fn a_child_is_read_logged_and_told_to_end_by_its_standard_input() {
        let (_dir, log) = log();
        let mut spawned = run("echo hello; echo first >&2; echo last >&2; cat; exit 3", &log).await;
        let mut stdout = BufReader::new(spawned.stdout);
        assert_eq!(first_line(&mut stdout).await.expect("read").as_deref(), Some("hello"));
        drop(spawned.stdin);
        let status = spawned.child.wait().await.expect("waited for");
        assert_eq!(describe(status), "exit code 3");
        assert_eq!(first_line(&mut stdout).await.expect("read"), None);
        assert_eq!(tail(&log, 1), ["last"]);
        assert_eq!(tail(&log, 9), ["first", "last"]);
        std::fs::write(older(&log), "zeroth\nno end").expect("an older half");
        assert_eq!(tail(&log, 3), ["no end", "first", "last"]);
    }

    #[tokio::test]
    async fn signals_reach_the_child_and_no_one_after_it() {
        let (_dir, log) = log();
        let mut spawned = run("cat", &log).await;
        spawned.process.signal(Signal::STOP).expect("allowed");
        spawned.process.signal(Signal::KILL).expect("allowed");
        let status = spawned.child.wait().await.expect("waited for");
        assert_eq!(describe(status), "signal 9 (SIGKILL)");
        spawned.process.signal(Signal::TERM).expect("no effect, no error");
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_an_error() {
        let (_dir, log) = log();
        let spawner = Spawner::start().expect("a thread");
        let log = File::create(log).expect("a log");
        let error =
            spawner.spawn(Command::new("/nonexistent/kvlab"), log).await.expect_err("no such program");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_log_cannot_command_the_terminal() {
        let (_dir, log) = log();
        std::fs::write(&log, "\u{1b}[2Jboo\x07\n\n").expect("a log");
        assert_eq!(tail(&log, 5), ["[2Jboo"]);
        std::fs::write(&log, vec![b'x'; 100_000]).expect("a log");
        assert_eq!(tail(&log, 5)[0].len(), TAIL_LINE_CHARS);
        assert!(tail(Path::new("/nonexistent"), 5).is_empty());
    }
}
