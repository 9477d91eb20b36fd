//! The live loop on a real terminal, with a puppet for a lab.
//!
//! The test program runs itself once more under a pseudo-terminal: [`child`] is the dashboard there.
#![expect(clippy::disallowed_methods, reason = "a real terminal, real time and real files")]

use std::path::Path;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use termlens::{Key, Signal, Terminal};
use tokio::sync::{broadcast, mpsc};

use super::fixture::{Player, moment, split_brain};
use crate::action::Action;
use crate::record;
use crate::run::event::*;
use crate::screen::run::{Dashboard, PanicIn, run};
use crate::screen::theme::{ColourChoice, Theme};

const DIR: &str = "KVLAB_TEST_DIR";
const PANIC: &str = "KVLAB_TEST_PANIC";
const CAPACITY: &str = "KVLAB_TEST_CAPACITY";

/// The dashboard: not a test of its own.
#[test]
#[ignore = "started by the tests below, on a terminal"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let exit = runtime.block_on(dashboard(dir.into()));
    println!("exit: {exit}; raw: {}", crossterm::terminal::is_raw_mode_enabled().unwrap());
}

async fn dashboard(run_dir: std::path::PathBuf) -> String {
    let capacity = std::env::var(CAPACITY).ok().and_then(|c| c.parse().ok()).unwrap_or(16_384);
    let (events, receiver) = broadcast::channel(capacity);
    let (actions, todo) = mpsc::channel(64);
    let started = Instant::now();
    let now = move || Duration::from_micros(moment::CALM) + started.elapsed();
    for event in split_brain(Player::Person).into_iter().filter(|e| e.t_us <= moment::CALM) {
        events.send(event).unwrap();
    }
    tokio::spawn(puppet(events, todo, now));
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let mut hup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
    let panic_in = match std::env::var(PANIC).as_deref() {
        Ok("ui") => Some(PanicIn::Ui),
        Ok("task") => Some(PanicIn::Task),
        _ => None,
    };
    let screenshot = Box::new(move |frame: &Buffer, name: &str| record::save_frame(frame, &run_dir, name));
    let theme = Theme::resolve(ColourChoice::Auto, false, |name| std::env::var(name).ok());
    let dashboard = Dashboard {
        events: receiver,
        actions,
        settle: None,
        now: Box::new(now),
        theme,
        screenshot,
        panic_in,
    };
    // As the program does it: what ends it from outside drops it.
    tokio::select! {
        exit = run(dashboard) => format!("{exit:?}"),
        _ = term.recv() => "Ok(Shutdown)".to_owned(),
        _ = hup.recv() => "Ok(Shutdown)".to_owned(),
    }
}

/// Does what the actions say, as far as the screen can tell, and keeps the nodes reporting.
async fn puppet(
    events: broadcast::Sender<Stamped>,
    mut todo: mpsc::Receiver<Action>,
    now: impl Fn() -> Duration,
) {
    let reports: Vec<_> = split_brain(Player::Person)
        .into_iter()
        .filter(|e| e.t_us <= moment::CALM)
        .filter(|e| matches!(&e.event, LabEvent::Node { report: kvlab::types::Report::Status(_), .. }))
        .collect();
    let last = reports.len() - 3;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let emit = |event: LabEvent| {
        let t_us = u64::try_from(now().as_micros()).unwrap();
        let _ = events.send(Stamped { t_us, event });
    };
    loop {
        tokio::select! {
            _ = ticks.tick() => reports[last..].iter().for_each(|r| emit(r.event.clone())),
            action = todo.recv() => {
                let Some(action) = action else { return };
                let process = |node, state| emit(LabEvent::Process { node, state });
                match action {
                    Action::Pause { node } => process(node, ProcessState::Paused { pid: 1 }),
                    Action::Resume { node } => {
                        let (client, peer) = ("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned());
                        process(node, ProcessState::Running { pid: 1, client, peer });
                    }
                    _ => {}
                }
                if let Action::Isolate { node } = action {
                    for other in (1..=3).map(kvlab::types::NodeId).filter(|&n| n != node) {
                        emit(LabEvent::Link { from: node, to: other, state: LinkState::Cut });
                        emit(LabEvent::Link { from: other, to: node, state: LinkState::Cut });
                    }
                }
                emit(LabEvent::Action { by: Actor::Person, action, error: None });
            }
        }
    }
}

const CHILD: [&str; 5] =
    ["--exact", "screen::tests::pty::child", "--ignored", "--nocapture", "--test-threads=1"];

fn terminal(dir: &Path, vars: &[(&str, &str)]) -> termlens::TerminalBuilder {
    let builder = Terminal::builder()
        .size(120, 36)
        .timeout(Duration::from_secs(20))
        .env_clear()
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .env("PATH", "/usr/bin:/bin")
        .env(DIR, dir);
    vars.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
}

fn start(dir: &Path, vars: &[(&str, &str)]) -> Terminal {
    terminal(dir, vars).args(CHILD).spawn(std::env::current_exe().unwrap()).unwrap()
}

/// After the end: the terminal as it was, and this on it.
fn ends_with(mut terminal: Terminal, text: &str, success: bool) {
    terminal.wait_until(|s| s.contains(text) && !s.alternate_screen()).unwrap();
    let status = terminal.wait_exit().unwrap();
    assert_eq!(status.success(), success, "{}", terminal.screen().text());
    let screen = terminal.screen();
    assert!(!screen.alternate_screen() && screen.cursor_visible(), "the terminal is given back");
    assert!(screen.mouse_modes().is_empty() && !screen.bracketed_paste());
}

#[test]
fn a_person_at_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = start(dir.path(), &[]);
    t.wait_until(|s| s.contains("LIVE") && s.contains("n1 LEADS 1@n1") && s.alternate_screen()).unwrap();
    assert!(!t.screen().cursor_visible());

    t.send(Key::Char('2')).unwrap();
    t.send(Key::Char('x')).unwrap();
    t.wait_until(|s| s.contains("cut both ways: from n2 to")).unwrap();
    t.send(Key::Esc).unwrap();
    t.wait_until(|s| !s.contains("cut both ways")).unwrap();

    t.send(Key::Char('?')).unwrap();
    t.wait_until(|s| s.contains("Links of the selected member")).unwrap();
    t.send(Key::Char('K')).unwrap();
    t.wait_until(|s| !s.contains("Links of the selected member")).unwrap();

    t.send(Key::Char('F')).unwrap();
    t.wait_until(|s| s.contains("Promote n2 by force?")).unwrap();
    t.send(Key::Char('n')).unwrap();
    t.wait_until(|s| !s.contains("by force?")).unwrap();

    t.send(Key::Char('i')).unwrap();
    t.wait_until(|s| s.contains("isolated") && s.contains("you: isolate n2") && s.contains("╳")).unwrap();
    assert!(!t.screen().contains("kill -9 n2"), "no key acts behind the help");

    t.send(Key::Char(' ')).unwrap();
    t.wait_until(|s| s.contains("FROZEN")).unwrap();
    t.send(Key::Char(' ')).unwrap();
    t.wait_until(|s| s.contains("LIVE")).unwrap();

    t.send(Key::Char('S')).unwrap();
    t.wait_until(|s| s.contains("saved ")).unwrap();
    let saved: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let has = |end: &str| saved.iter().any(|name| name.to_string_lossy().ends_with(end));
    assert!(has(".svg") && has(".txt"), "{saved:?}");

    t.send(Key::Char('q')).unwrap();
    ends_with(t, "exit: Ok(Quit); raw: false", true);
}

#[test]
fn the_terminal_changes_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = start(dir.path(), &[]);
    t.wait_until(|s| s.contains("LIVE") && s.contains("from\\to")).unwrap();
    t.resize(80, 24).unwrap();
    t.wait_until(|s| s.contains("Try: ") && !s.contains("from\\to") && s.contains("LIVE")).unwrap();
    t.resize(38, 8).unwrap();
    t.wait_until(|s| s.contains("80x24 needed, have 38x8")).unwrap();
    t.resize(120, 36).unwrap();
    t.wait_until(|s| s.contains("from\\to") && s.contains("q quit")).unwrap();
    // Ctrl-L: the same frame once more, and no question to the terminal that nobody would answer.
    t.send(Key::Ctrl('l')).unwrap();
    t.send(Key::Ctrl('z')).unwrap();
    t.wait_until(|s| s.contains("there is no shell to go to") && s.contains("from\\to")).unwrap();
    t.send(Key::Ctrl('c')).unwrap();
    ends_with(t, "exit: Ok(Quit); raw: false", true);
}

#[test]
fn no_color_keeps_bold_and_reverse() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = start(dir.path(), &[("NO_COLOR", "1")]);
    t.wait_until(|s| s.contains("LIVE")).unwrap();
    let screen = t.screen();
    let (row, col) = screen.find("LIVE").unwrap();
    let style = screen.cell(row, col).unwrap().style();
    assert!(style.reverse && style.fg == termlens::Color::Default, "{style:?}");
    t.send(Key::Char('q')).unwrap();
    ends_with(t, "exit: Ok(Quit)", true);
}

#[test]
fn signals_end_it_in_order() {
    for signal in [Signal::Term, Signal::Hup] {
        let dir = tempfile::tempdir().unwrap();
        let mut t = start(dir.path(), &[]);
        t.wait_until(|s| s.contains("LIVE")).unwrap();
        t.signal(signal).unwrap();
        ends_with(t, "exit: Ok(Shutdown); raw: false", true);
    }
}

#[test]
fn a_panic_in_the_loop_gives_the_terminal_back() {
    let dir = tempfile::tempdir().unwrap();
    ends_with(start(dir.path(), &[(PANIC, "ui")]), "asked to panic in the loop", false);
}

#[test]
fn a_panic_in_a_task_ends_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    ends_with(start(dir.path(), &[(PANIC, "task")]), "exit: Ok(TaskDied(", true);
}

#[test]
fn a_slow_screen_says_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = start(dir.path(), &[(CAPACITY, "16")]);
    t.wait_until(|s| s.contains("the screen fell behind and missed") && s.contains("LIVE")).unwrap();
    t.send(Key::Char('q')).unwrap();
    ends_with(t, "exit: Ok(Quit)", true);
}

/// Ctrl-Z: the nodes pause, the shell is there, `fg` brings all back.
#[test]
fn to_the_shell_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut t = terminal(dir.path(), &[("PS1", "shell> ")]).args(["-i"]).spawn("/bin/sh").unwrap();
    t.wait_until(|s| s.contains("shell>")).unwrap();
    let program = std::env::current_exe().unwrap();
    t.send_str(&format!("{} {}\r", program.display(), CHILD.join(" "))).unwrap();
    t.wait_until(|s| s.contains("LIVE") && s.alternate_screen()).unwrap();
    t.send(Key::Ctrl('z')).unwrap();
    t.wait_until(|s| !s.alternate_screen() && s.contains("Stopped") && s.cursor_visible()).unwrap();
    t.send_str("fg\r").unwrap();
    t.wait_until(|s| {
        s.alternate_screen() && s.contains("you: resume n3") && s.contains("last fault pause n1")
    })
    .unwrap();
    t.send(Key::Char('q')).unwrap();
    t.wait_until(|s| s.contains("exit: Ok(Quit); raw: false") && !s.alternate_screen()).unwrap();
    t.send_str("exit\r").unwrap();
    t.wait_exit().unwrap();
}
