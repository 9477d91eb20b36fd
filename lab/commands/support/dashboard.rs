//! The one place where commands meet the screen.
#![expect(clippy::disallowed_methods, reason = "each action of a person is a task of its own")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use tokio::sync::{Notify, broadcast, mpsc};

use super::exit::{CommandError, Exit};
use crate::action::Action;
use crate::cli::{self, DisplayOptions};
use crate::record;
use crate::run::event::{Actor, LabEvent, Level, Stamped};
use crate::scenario::language::model::SETTLE_DEFAULT;
use crate::screen::run::{self as dashboard, Dashboard, PanicIn};
use crate::screen::theme::{ColourChoice, Colours, Theme};
use crate::session::Session;

/// What a person has asked for and nobody has begun; a key beyond this is told to be too much.
const ACTIONS_WAITING_MAX: usize = 64;

/// `q` leaves a free run after this at the latest: 10 s for the members to agree, and the rest to read everything back.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);

/// Shows the dashboard until the person quits. `events` were subscribed before the run's first event.
///
/// * Dropping the future restores the terminal, so that a signal or the end of a run can end it at any moment.
/// * If it `settles`, `q` makes the session settle, and ends it then or after [`LEAVE_WITHIN`]; a second `q` at once.
/// * It neither stops the session nor handles signals: the command does.
pub async fn show(
    session: Session,
    events: broadcast::Receiver<Stamped>,
    run_dir: &Path,
    display: DisplayOptions,
    settles: bool,
) -> Result<(), CommandError> {
    let (actions, asked) = mpsc::channel(ACTIONS_WAITING_MAX);
    let journal = session.journal().clone();
    let run_dir = run_dir.to_owned();
    let screenshot = Box::new(move |frame: &Buffer, name: &str| record::save_frame(frame, &run_dir, name));
    let settle = settles.then(|| Arc::new(Notify::new()));
    let dashboard = Dashboard {
        events,
        actions,
        settle: settle.clone(),
        now: Box::new(move || journal.now()),
        theme: Theme::resolve(colours(display.color), display.ascii, |name| std::env::var(name).ok()),
        screenshot,
        panic_in: display.panic_in.map(|place| match place {
            cli::PanicIn::Ui => PanicIn::Ui,
            cli::PanicIn::Task => PanicIn::Task,
        }),
    };
    let ended = tokio::select! {
        ended = dashboard::run(dashboard) => ended,
        never = carry_out(session.clone(), asked) => match never {},
        () = settle_when_asked(&session, settle) => Ok(dashboard::ScreenExit::Quit),
    };
    match ended.map_err(|e| Exit::Usage.because(format!("{e:#}")))? {
        dashboard::ScreenExit::Quit => Ok(()),
        dashboard::ScreenExit::TerminalGone(why) => {
            Err(Exit::Usage.because(format!("the terminal is gone: {why}")))
        }
        dashboard::ScreenExit::TaskDied(why) => Err(Exit::Refused
            .because(format!("a part of the lab failed, so nothing it shows can be trusted: {why}"))),
    }
}

/// Waits until the person wants to leave, and settles.
async fn settle_when_asked(session: &Session, asked: Option<Arc<Notify>>) {
    match asked {
        Some(asked) => asked.notified().await,
        None => std::future::pending().await,
    }
    let text = match tokio::time::timeout(LEAVE_WITHIN, session.settle(SETTLE_DEFAULT)).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => format!("settling failed: {error:#}"),
        Err(_) => format!("it did not settle within {} s: the verdict is not whole", LEAVE_WITHIN.as_secs()),
    };
    session.journal().emit(LabEvent::Notice { level: Level::Warn, text });
}

fn colours(typed: cli::ColourChoice) -> ColourChoice {
    match typed {
        cli::ColourChoice::Auto => ColourChoice::Auto,
        cli::ColourChoice::Always => ColourChoice::Always,
        cli::ColourChoice::Never => ColourChoice::Never,
        cli::ColourChoice::Sixteen => ColourChoice::Exactly(Colours::Sixteen),
        cli::ColourChoice::Indexed => ColourChoice::Exactly(Colours::Indexed),
        cli::ColourChoice::True => ColourChoice::Exactly(Colours::True),
    }
}

/// Does what the person asks, each without waiting for the one before. What fails is journalled with its reason, and
/// the screen shows it from there.
async fn carry_out(session: Session, mut asked: mpsc::Receiver<Action>) -> std::convert::Infallible {
    while let Some(action) = asked.recv().await {
        let session = session.clone();
        tokio::spawn(async move { session.perform(Actor::Person, action).await });
    }
    std::future::pending().await
}
