//! The life of a process, with a shell in the node's place.

use rustix::process::Signal;

use super::*;
use crate::cluster::tests::stand_in::{Record, StandIn, WELL_BEHAVED, lives};
use crate::cluster::watch::watch;
use crate::run::event::LabEvent;
use crate::run::journal::Journal;

/// No limit that a well-behaved process could come near, on the slowest machine.
const PATIENT: Deadlines = {
    let long = Duration::from_secs(60);
    Deadlines { ready: long, watched: long, terminate: long, kill: long, order: long }
};

struct Rig {
    supervisor: Arc<Supervisor>,
    engine: Arc<StandIn>,
    record: Record,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new(script: &str) -> Self {
        Self::with(PATIENT, script)
    }

    fn with(deadlines: Deadlines, script: &str) -> Self {
        let engine = Arc::new(StandIn::new(script));
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::unrecorded();
        let record = Record::of(&journal);
        let context = Context {
            engine: Arc::clone(&engine) as Arc<dyn Engine>,
            spawner: Spawner::start().expect("a thread"),
            shared: Arc::new(Shared::new(journal, std::iter::empty())),
            tasks: Tasks::default(),
        };
        let launch = Launch {
            node: NodeId(1),
            members: vec![NodeId(1)],
            data: dir.path().join("n1"),
            client: ([127, 0, 0, 1], 1).into(),
            peer: ([127, 0, 0, 1], 2).into(),
            links: Vec::new(),
            bootstrap: false,
            lab_pid: 1,
            settings: crate::engine::NodeSettings::default(),
        };
        let log = dir.path().join("n1.log");
        let supervisor = Arc::new(Supervisor::new(launch, log, deadlines, context.clone()));
        context.tasks.spawn(watch(Arc::clone(&supervisor), context.clone()));
        Self { supervisor, engine, record, dir }
    }

    async fn running(script: &str) -> (Self, u32) {
        let rig = Self::new(script);
        let pid = rig.start().await;
        (rig, pid)
    }

    async fn start(&self) -> u32 {
        self.supervisor.start().await.expect("started");
        self.pid().expect("a process")
    }

    fn pid(&self) -> Option<u32> {
        self.supervisor.life.pid()
    }

    /// Waits until its log has exactly these lines.
    async fn until_log(&self, lines: &[&str]) {
        let log = self.dir.path().join("n1.log");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        // Empty lines count: to a node they would be orders that it does not know.
        let logged = || fs::read_to_string(&log).unwrap_or_default();
        while logged().lines().ne(lines.iter().copied()) {
            assert!(tokio::time::Instant::now() < deadline, "{:?} is not {lines:?}", logged());
            tokio::task::yield_now().await;
        }
    }

    async fn start_error(&self) -> String {
        let error = self.supervisor.start().await.expect_err("it cannot start");
        assert_eq!(self.pid(), None, "something was left running");
        format!("{error:#}")
    }
}

#[tokio::test]
async fn a_node_lives_pauses_resumes_and_drains() {
    let (mut rig, pid) = Rig::running(WELL_BEHAVED).await;
    rig.supervisor.life.pause().expect("paused");
    rig.supervisor.life.resume().expect("resumed");
    rig.supervisor.terminate().await.expect("drained");
    assert!(!lives(pid));
    let states = ["n1 starting", "n1 running", "n1 paused", "n1 running", "n1 stopped: SIGTERM, drained"];
    assert_eq!(rig.record.states(), states);
}

#[tokio::test]
async fn it_is_watched_when_started_and_again_after_a_restart() {
    let (mut rig, _) = Rig::running(WELL_BEHAVED).await;
    let up = |events: Vec<LabEvent>| -> Vec<bool> {
        let up = |event| match event {
            LabEvent::Watch { up, .. } => Some(up),
            _ => None,
        };
        events.into_iter().filter_map(up).collect()
    };
    assert_eq!(up(rig.record.take()), [true]);
    rig.supervisor.kill().await.expect("killed");
    rig.supervisor.start().await.expect("started again");
    assert_eq!(up(rig.record.take()), [false, true]);
}

#[tokio::test]
async fn a_paused_node_hears_sigterm() {
    let (mut rig, _) = Rig::running(WELL_BEHAVED).await;
    rig.supervisor.life.pause().expect("paused");
    rig.supervisor.terminate().await.expect("drained");
    assert_eq!(rig.record.states().last().map(String::as_str), Some("n1 stopped: SIGTERM, drained"));
}

#[tokio::test]
async fn a_paused_node_can_be_killed_and_started_again() {
    let (mut rig, first) = Rig::running(WELL_BEHAVED).await;
    rig.supervisor.life.pause().expect("paused");
    rig.supervisor.kill().await.expect("killed");
    assert!(!lives(first));
    assert_eq!(rig.record.states().last().map(String::as_str), Some("n1 stopped: SIGKILL"));
    rig.supervisor.start().await.expect("started again");
    let bootstrapped: Vec<_> =
        rig.engine.launches.lock().expect("no panic").iter().map(|launch| launch.bootstrap).collect();
    assert_eq!(bootstrapped, [true, false], "only the very first start may find an empty directory");
}

/// As a well-behaved one, and writes what it is told into its log.
const LISTENING: &str = "trap 'exit 0' TERM; exec 3<&0; cat <&3 >&2 & READY; wait";

#[tokio::test]
async fn conditions_are_told_at_once_and_those_that_outlive_a_process_at_each_start() {
    let (rig, _) = Rig::running(LISTENING).await;
    let disk = |condition| NodeCondition::Disk(condition);
    let slow = disk(DiskCondition::Slow { by: Duration::from_millis(20) });
    let fast = NodeCondition::Clock(ClockCondition::Rate { permille: 1500 });
    let jump = NodeCondition::Clock(ClockCondition::Jump { by: Duration::from_secs(1) });
    for condition in [slow, fast, jump] {
        rig.supervisor.set_condition(condition).await.expect("told");
    }
    rig.until_log(&["disk slow 20000us", "clock rate 1500", "clock jump 1000000us"]).await;

    rig.supervisor.kill().await.expect("killed");
    let error = rig.supervisor.set_condition(jump).await.expect_err("it is down").to_string();
    assert!(error.contains("the clock of n1 cannot jump: it is down"), "{error}");
    rig.supervisor.set_condition(disk(DiskCondition::Full)).await.expect("kept for the start");
    rig.start().await;
    let before = ["disk slow 20000us", "clock rate 1500", "clock jump 1000000us"];
    rig.until_log(&[&before[..], &["disk full", "clock rate 1500"]].concat()).await;

    rig.supervisor.set_condition(disk(DiskCondition::SyncFails)).await.expect("told");
    rig.supervisor.kill().await.expect("killed");
    rig.start().await;
    let then = ["disk full", "clock rate 1500", "disk sync-fails", "clock rate 1500"];
    rig.until_log(&[&before[..], &then].concat()).await;
}

#[tokio::test]
async fn a_death_is_told_with_its_last_word() {
    let script = "READY; read -r _; echo first >&2; echo 'disk on fire' >&2; exit 7";
    let (mut rig, pid) = Rig::running(script).await;
    // Its standard input is ours; a signal of someone else's is a death as well.
    let other = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(other, Signal::SEGV).expect("signalled");
    let died = |event: &LabEvent| matches!(event, LabEvent::Process { state: ProcessState::Died { .. }, .. });
    let LabEvent::Process { state, .. } = rig.record.wait_for(died).await else {
        unreachable!("as waited for")
    };
    assert_eq!(state, ProcessState::Died { how: "signal 11 (SIGSEGV)".into() });

    rig.engine.set_script("READY; echo first >&2; echo 'disk on fire' >&2; exit 7");
    // It may die before or after it is watched; it is a death either way.
    let _ = rig.supervisor.start().await;
    let LabEvent::Process { state, .. } = rig.record.wait_for(died).await else {
        unreachable!("as waited for")
    };
    assert_eq!(state, ProcessState::Died { how: "exit code 7: disk on fire".into() });
}

#[tokio::test]
async fn a_node_that_ignores_sigterm_is_left_to_be_killed() {
    let hasty = Deadlines { terminate: Duration::from_secs(1), ..PATIENT };
    let mut rig = Rig::with(hasty, "trap '' TERM; READY; while read -r _; do :; done");
    let pid = rig.start().await;
    let error = rig.supervisor.terminate().await.expect_err("it does not listen").to_string();
    assert!(error.contains("kill it"), "{error}");
    assert!(lives(pid));
    rig.supervisor.stop().await;
    assert!(!lives(pid));
    assert_eq!(rig.record.states().last().map(String::as_str), Some("n1 stopped: SIGKILL"));
}

#[tokio::test]
async fn a_node_that_ends_before_it_is_ready_says_why() {
    let rig = Rig::new("echo 'n1: corrupt log: seg-1 at 4711' >&2; exit 3");
    let error = rig.start_error().await;
    for part in ["n1 ended before it was ready", "exit code 3", "n1.log", "corrupt log: seg-1 at 4711"] {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
    rig.engine.set_script(WELL_BEHAVED);
    rig.supervisor.start().await.expect("started");
    assert!(rig.engine.launches.lock().expect("no panic")[1].bootstrap, "it has never run");
}

#[tokio::test]
async fn a_node_that_is_never_ready_is_given_up() {
    let hasty = Deadlines { ready: Duration::from_secs(2), ..PATIENT };
    let mut rig = Rig::with(hasty, "echo 'still recovering' >&2; while :; do sleep 0.05; done");
    let error = rig.start_error().await;
    assert!(error.contains("not ready within 2s") && error.contains("still recovering"), "{error}");
    assert_eq!(rig.record.states().last().map(String::as_str), Some("n1 stopped: SIGKILL, not ready"));
}

#[tokio::test]
async fn a_ready_line_must_be_one_and_about_this_node() {
    let rig = Rig::new("echo hello; while read -r _; do :; done");
    assert!(rig.start_error().await.contains("did not start as it should"));
    rig.engine.set_script(
        r#"echo '{"ready":true,"node":"n2","pid":1,"client":"a:1","peer":"b:2","version":"0"}'; cat"#,
    );
    let error = rig.start_error().await;
    assert!(error.contains("asked for n1 at 127.0.0.1:1") && error.contains("got n2 at a:1"), "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_a_death() {
    let (mut rig, _) = Rig::running(WELL_BEHAVED).await;
    rig.supervisor.kill().await.expect("killed");
    // The directory's name is taken by a file.
    let data = rig.supervisor.launch().data.clone();
    fs::remove_dir_all(&data).expect("removed");
    fs::write(&data, "").expect("written");
    assert!(rig.start_error().await.contains("cannot create"));
    assert!(rig.record.states().last().is_some_and(|last| last.starts_with("n1 died: could not be started")));
}

#[tokio::test]
async fn what_does_not_fit_the_state_is_refused_with_a_reason() {
    let (rig, _) = Rig::running(WELL_BEHAVED).await;
    let supervisor = &rig.supervisor;
    let refused = |error: anyhow::Result<()>| error.expect_err("refused").to_string();
    assert_eq!(refused(supervisor.life.resume()), "n1 cannot be resumed: it is running");
    assert_eq!(refused(supervisor.start().await), "n1 cannot be started: it is running");
    supervisor.life.pause().expect("paused");
    assert_eq!(refused(supervisor.life.pause()), "n1 cannot be paused: it is paused");
    supervisor.kill().await.expect("killed");
    assert_eq!(refused(supervisor.life.pause()), "n1 cannot be paused: it is down");
    assert_eq!(refused(supervisor.kill().await), "n1 cannot be killed: it is down");
    assert_eq!(refused(supervisor.terminate().await), "n1 cannot be terminated: it is down");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_start_goes_on_when_nobody_waits_for_it() {
    let mut rig = Rig::new(WELL_BEHAVED);
    let start = rig.supervisor.start();
    assert!(timeout(Duration::ZERO, start).await.is_err(), "given up at once");
    let running = |event: &LabEvent| matches!(event, LabEvent::Watch { up: true, .. });
    rig.record.wait_for(running).await;
    rig.supervisor.stop().await;
}

#[tokio::test]
async fn nothing_outlives_the_tasks() {
    let (rig, pid) = Rig::running(WELL_BEHAVED).await;
    rig.supervisor.life.pause().expect("paused: it cannot see its standard input end");
    rig.supervisor.context.tasks.end().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while lives(pid) {
        assert!(tokio::time::Instant::now() < deadline, "the process outlived the cluster");
        tokio::task::yield_now().await;
    }
    assert!(rig.supervisor.start().await.is_err());
}
