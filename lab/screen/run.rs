//! The loop of the live screen: keys and events in, frames and actions out.
#![expect(clippy::disallowed_methods, reason = "the live screen's one door to the world")]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use rustix::process::{Signal, getpid, getsid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::input::{self, UiCommand, UiState};
use super::keys::Key;
use super::state::{NodeView, ViewState};
use super::terminal::{self, Guard};
use super::theme::{Colours, Theme, Tone};
use crate::action::Action;
use crate::run::event::Stamped;
use crate::text::words;

/// Events are taken and a frame is drawn this often.
const FRAME_EVERY: Duration = Duration::from_millis(100);
/// After a key, a frame is drawn at once, but not sooner than this after the last.
const FRAME_GAP: Duration = Duration::from_millis(60);
/// Ctrl-Z waits this long for the nodes to pause.
const PAUSE_WITHIN: Duration = Duration::from_secs(2);

/// A process that has sent itself a stop is stopped within this, or the stop is not to be had.
const STOP_WITHIN: Duration = Duration::from_millis(500);

/// What the live screen needs.
pub struct Dashboard {
    /// The journal's events, from the first. What the channel drops because the screen is slow is told on it.
    pub events: broadcast::Receiver<Stamped>,
    /// What the person does; carried out elsewhere, each without waiting for the one before.
    pub actions: mpsc::Sender<Action>,
    /// Told when the person wants the run to settle and end: drop the future then. `None`: leaving is all there is.
    pub settle: Option<Arc<Notify>>,
    /// The journal's clock: time since the run began.
    pub now: Box<dyn Fn() -> Duration + Send>,
    pub theme: Theme,
    /// Saves a frame under a name, and says where.
    pub screenshot: Screenshot,
    /// For tests: panic after the first frames.
    pub panic_in: Option<PanicIn>,
}

/// Saves a frame under a name, and says where.
pub type Screenshot = Box<dyn Fn(&Buffer, &str) -> anyhow::Result<PathBuf> + Send>;

/// Where to panic, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicIn {
    /// In the loop itself.
    Ui,
    /// In a task beside it.
    Task,
}

/// Why the loop ended. The terminal is as before in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenExit {
    Quit,
    TerminalGone(String),
    /// A task panicked; what it said.
    TaskDied(String),
}

/// Shows the run until the person quits or something ends it. To end it from outside (SIGTERM, SIGHUP), drop the future.
///
/// # Errors
/// If the terminal cannot be taken over.
pub async fn run(dashboard: Dashboard) -> anyhow::Result<ScreenExit> {
    let guard = Guard::enter().context("cannot draw on this terminal")?;
    let mut screen = Screen {
        guard,
        dashboard,
        view: ViewState::default(),
        frozen: None,
        ui: UiState::default(),
        drawn: None,
        ended: false,
    };
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(FRAME_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut frames = 0u64;
    loop {
        let exit = tokio::select! {
            event = keys.next() => match event {
                Some(Ok(event)) => screen.input(&event).await,
                Some(Err(error)) => Some(ScreenExit::TerminalGone(error.to_string())),
                None => Some(ScreenExit::TerminalGone("no more keys".to_owned())),
            },
            _ = ticks.tick() => {
                frames += 1;
                if frames == 5 {
                    panic_if_asked(screen.dashboard.panic_in);
                }
                screen.tick()
            }
        };
        if let Some(exit) = exit {
            return Ok(exit);
        }
    }
}

struct Screen {
    guard: Guard,
    dashboard: Dashboard,
    view: ViewState,
    /// What is drawn instead of `view` while the display is frozen.
    frozen: Option<Box<ViewState>>,
    ui: UiState,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
    /// The journal has closed.
    ended: bool,
}

impl Screen {
    fn tick(&mut self) -> Option<ScreenExit> {
        if let Some(message) = terminal::task_panic() {
            return Some(ScreenExit::TaskDied(message));
        }
        self.take_events();
        // A frozen picture stays as it is; keys draw it anew.
        if self.frozen.is_some() && self.drawn.is_some() { None } else { self.draw() }
    }

    /// Everything that has happened since.
    fn take_events(&mut self) {
        while !self.ended {
            match self.dashboard.events.try_recv() {
                Ok(stamped) => self.view.apply(&stamped),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(missed)) => self.view.miss(missed),
                Err(TryRecvError::Closed) => self.ended = true,
            }
        }
        if !self.ended {
            let now = (self.dashboard.now)();
            self.view.advance(u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn draw(&mut self) -> Option<ScreenExit> {
        let view = self.frozen.as_deref().unwrap_or(&self.view);
        let (ui, theme) = (&self.ui, self.dashboard.theme);
        let drawn = self.guard.draw(|area, buf| super::render(area, buf, view, ui, theme));
        self.drawn = Some(Instant::now());
        drawn.err().map(|error| ScreenExit::TerminalGone(error.to_string()))
    }

    async fn input(&mut self, event: &Event) -> Option<ScreenExit> {
        let command = match event {
            Event::Key(key) => {
                let key = Key::of(*key)?;
                self.take_events();
                input::update(key, &mut self.ui, &self.view)
            }
            Event::Resize(..) => None,
            _ => return None,
        };
        match (self.ui.frozen, self.frozen.is_some()) {
            (true, false) => self.frozen = Some(Box::new(self.view.clone())),
            (false, true) => self.frozen = None,
            _ => {}
        }
        match command {
            Some(UiCommand::Quit) => return Some(ScreenExit::Quit),
            Some(UiCommand::Settle) => match &self.dashboard.settle {
                Some(settle) => settle.notify_one(),
                None => return Some(ScreenExit::Quit),
            },
            Some(UiCommand::Perform(actions)) => self.perform(actions),
            Some(UiCommand::Screenshot) => self.screenshot(),
            Some(UiCommand::Repaint) => {
                if let Err(error) = self.guard.repaint() {
                    return Some(ScreenExit::TerminalGone(error.to_string()));
                }
            }
            Some(UiCommand::Suspend) => {
                if let Err(error) = self.suspend().await {
                    return Some(ScreenExit::TerminalGone(error.to_string()));
                }
            }
            None => {}
        }
        if self.drawn.is_none_or(|at| at.elapsed() >= FRAME_GAP) {
            return self.draw();
        }
        // Too soon; the next tick draws it, frozen or not.
        self.drawn = None;
        None
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Err(refused) = self.dashboard.actions.try_send(action) {
                let why = match refused {
                    mpsc::error::TrySendError::Full(_) => "too much is under way; try again",
                    mpsc::error::TrySendError::Closed(_) => "the lab is stopping",
                };
                self.ui.flash = Some((Tone::Bad, why.to_owned()));
                return;
            }
        }
    }

    /// What is on the screen, in every colour.
    fn screenshot(&mut self) {
        let view = self.frozen.as_deref().unwrap_or(&self.view);
        let saved = self.guard.size().map_err(anyhow::Error::from).and_then(|size| {
            let area = Rect::from((Position::ORIGIN, size));
            let theme = Theme { colours: Colours::True, ..self.dashboard.theme };
            let mut buf = Buffer::empty(area);
            super::render(area, &mut buf, view, &self.ui, theme);
            let name = format!("screen-{}", words::clock(view.now_us).replace(':', "."));
            (self.dashboard.screenshot)(&buf, &name)
        });
        self.ui.flash = Some(match saved {
            Ok(path) => (Tone::Ok, format!("saved {}", path.display())),
            Err(error) => (Tone::Bad, format!("no screenshot: {error}")),
        });
    }

    /// Ctrl-Z. The links run in this process: were the nodes not paused first, stopping it would cut every one
    /// of them.
    async fn suspend(&mut self) -> io::Result<()> {
        let pid = getpid();
        if getsid(None).is_ok_and(|session| session == pid) {
            self.ui.flash = Some((Tone::Warn, "there is no shell to go to".to_owned()));
            return Ok(());
        }
        let running: Vec<NodeId> = self.view.nodes.values().filter(|n| n.runs()).map(|n| n.id).collect();
        self.perform(running.iter().map(|&node| Action::Pause { node }).collect());
        let deadline = Instant::now() + PAUSE_WITHIN;
        while Instant::now() < deadline
            && running.iter().any(|n| self.view.nodes.get(n).is_some_and(NodeView::runs))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.take_events();
        }
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        self.guard.step_aside();
        let stopped = kill_process(pid, Signal::TSTP);
        // Whichever thread takes the signal stops all of them, but not before this one has gone on a little: it
        // must not take the terminal over again before the shell has let it go on.
        let _ = tokio::time::timeout(STOP_WITHIN, continued.recv()).await;
        self.guard.come_back()?;
        if let Err(error) = stopped {
            self.ui.flash = Some((Tone::Warn, format!("cannot go to the shell: {error}")));
        }
        self.perform(running.into_iter().map(|node| Action::Resume { node }).collect());
        Ok(())
    }
}

fn panic_if_asked(panic_in: Option<PanicIn>) {
    match panic_in {
        Some(PanicIn::Ui) => panic!("asked to panic in the loop"),
        Some(PanicIn::Task) => {
            tokio::spawn(async { panic!("asked to panic in a task") });
        }
        None => {}
    }
}
