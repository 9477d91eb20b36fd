//! The one place where commands meet the screen.

use tokio::sync::broadcast;

use super::exit::{Ended, Exit};
use crate::event::Stamped;
use crate::session::Session;

/// Shows the dashboard until the person quits. `events` were subscribed before the run's first event.
///
/// * Dropping the future restores the terminal, so that a signal or the end of a run can end it at any moment.
/// * It neither stops the session nor handles signals: the command does.
///
/// TO BE COMPLETED AT MERGE: the body is one call of `screen::run`.
pub async fn show(session: Session, events: broadcast::Receiver<Stamped>) -> Result<(), Ended> {
    let _ = (session, events);
    Err(Exit::Usage.because("this build has no dashboard; use --headless"))
}
