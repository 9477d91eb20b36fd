//! An engine for tests: a shell that behaves as a node's process should, or as it should not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use kvlab::types;
use kvlab::types::{Ready, Reply, Report};

use crate::engine::{DiskFault, Engine, Framing, Launch, NodeOrder};
use crate::run::event::{Cut, LabEvent, Stamped};
use crate::run::journal::Journal;

/// Lives until its standard input ends; drains on SIGTERM.
///
/// It must not `read` its standard input itself: a signal that comes just before the system call is noted by the
/// shell, and then it sleeps in the call until there is a line. `wait` looks for signals and sleeps in one step. (The
/// standard input of a command in the background is empty unless it is given another.)
pub(crate) const WELL_BEHAVED: &str = "trap 'exit 0' TERM; exec 3<&0; cat <&3 >/dev/null & READY; wait";

/// Runs `script` with `READY` replaced by what prints the ready line.
#[derive(Debug)]
pub(crate) struct StandIn {
    script: Mutex<String>,
    /// Every launch so far.
    pub(crate) launches: Mutex<Vec<Launch>>,
    /// What was done to its data so far.
    pub(crate) faults: Mutex<Vec<DiskFault>>,
}

impl StandIn {
    pub(crate) fn new(script: &str) -> Self {
        Self { script: Mutex::new(script.to_owned()), launches: Mutex::default(), faults: Mutex::default() }
    }

    /// What the next start runs.
    pub(crate) fn set_script(&self, script: &str) {
        script.clone_into(&mut self.script.lock().expect("no panic"));
    }
}

impl Engine for StandIn {
    fn command(&self, launch: &Launch) -> Command {
        self.launches.lock().expect("no panic").push(launch.clone());
        let ready = format!(
            r#"printf '{{"ready":true,"node":"{}","pid":%d,"client":"{}","peer":"{}","version":"0"}}\n' $$"#,
            launch.node, launch.client, launch.peer
        );
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.script.lock().expect("no panic").replace("READY", &ready));
        command
    }

    fn ready(&self, line: &str) -> anyhow::Result<Ready> {
        Ok(serde_json::from_str(line)?)
    }

    fn framing(&self) -> Framing {
        Framing::Frames
    }

    fn watch(&self, address: String) -> BoxFuture<'static, anyhow::Result<BoxStream<'static, Report>>> {
        let hello = Report::Notice { uptime_ms: 0, text: format!("hello from {address}") };
        // Never ends by itself, like the connection to a stopped process.
        Box::pin(async { Ok(stream::iter([hello]).chain(stream::pending()).boxed()) })
    }

    fn damage(&self, data: &Path, fault: DiskFault) -> anyhow::Result<Option<Cut>> {
        #[expect(clippy::disallowed_methods, reason = "looks at the file system")]
        let there = data.is_dir();
        anyhow::ensure!(there, "{} has no data", data.display());
        self.faults.lock().expect("no panic").push(fault);
        Ok(Some(Cut { file: "log".to_owned(), from: 9, to: 5 }))
    }

    fn order(&self, order: &NodeOrder) -> Option<String> {
        Some(order.line())
    }

    fn perform(
        &self,
        address: String,
        _command: types::Command,
    ) -> BoxFuture<'static, anyhow::Result<Reply>> {
        Box::pin(async move { anyhow::bail!("{address} is a stand-in") })
    }

    fn cleanup(&self, address: String) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move { anyhow::bail!("{address} is a stand-in") })
    }
}

/// Collects what is journalled from its making on.
#[derive(Debug)]
pub(crate) struct Record(tokio::sync::broadcast::Receiver<Stamped>);

impl Record {
    pub(crate) fn of(journal: &Journal) -> Self {
        Self(journal.subscribe())
    }

    /// Everything so far, once.
    pub(crate) fn take(&mut self) -> Vec<LabEvent> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|stamped| stamped.event).collect()
    }

    /// The process events so far, in short: `n1 running`.
    pub(crate) fn states(&mut self) -> Vec<String> {
        let short = |event| match event {
            LabEvent::Process { node, state } => {
                let value = serde_json::to_value(state).expect("a state");
                let how = value.get("how").and_then(|how| how.as_str()).map(|how| format!(": {how}"));
                Some(format!("{node} {}{}", value["state"].as_str()?, how.unwrap_or_default()))
            }
            _ => None,
        };
        self.take().into_iter().filter_map(short).collect()
    }

    /// Waits for an event.
    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&LabEvent) -> bool) -> LabEvent {
        let wait = async {
            loop {
                let event = self.0.recv().await.expect("the journal lives").event;
                if wanted(&event) {
                    return event;
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a deadline")]
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("in time")
    }
}

/// Whether a process exists and is not merely waiting to be buried.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = PathBuf::from(format!("/proc/{pid}/stat"));
    #[expect(clippy::disallowed_methods, reason = "asks the kernel")]
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
