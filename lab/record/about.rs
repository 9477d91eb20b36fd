//! What a recording is asked to be, and what it says of itself.

use std::time::Duration;

use ratatui::layout::Size;

use crate::screen::ViewState;
use crate::screen::layout::MIN_SIZE;
use crate::screen::theme::Background;

/// The size at which every pane has its place.
pub const SIZE_DEFAULT: Size = Size::new(120, 36);
/// On a smaller screen nothing is drawn but that it is too small.
pub const SIZE_MIN: (u16, u16) = MIN_SIZE;
/// No screen is larger: columns and rows.
pub const SIZE_MAX: (u16, u16) = (300, 100);
/// Frames a second, unless told otherwise.
pub const FPS_DEFAULT: u32 = 10;

/// What is to be on a recording.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// A still of this moment, since the run began, or of its end if that is earlier; `None`: a film, or a still of where a
    /// film would end.
    pub at: Option<Duration>,
    /// The film begins here; `None`: with what is kept of the run.
    pub from: Option<Duration>,
    /// It ends here; `None`, or later than the run does: with the run.
    pub to: Option<Duration>,
    /// With the proof of a broken promise opened: which, from 1.
    pub proof: Option<u8>,
    /// The size of the screen.
    pub size: Size,
    pub background: Background,
    /// How much faster than the run; above zero.
    pub speed: f64,
    /// Frames a second of the film, from 1.
    pub fps: u32,
    /// Where nothing is told for longer than this, in the film's time, the rest of it is left out.
    pub idle_limit: Option<Duration>,
    /// Of asciicasts.
    pub cast_version: CastVersion,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            at: None,
            from: None,
            to: None,
            proof: None,
            size: SIZE_DEFAULT,
            background: Background::Dark,
            speed: 1.0,
            fps: FPS_DEFAULT,
            idle_limit: None,
            cast_version: CastVersion::Three,
        }
    }
}

/// The version of asciicasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CastVersion {
    /// For players from before 2025: events have the time since the beginning.
    Two,
    /// Events have the time since the event before.
    #[default]
    Three,
}

/// What is known of a film before its first frame.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) recording: Recording,
    /// For people: `The screen of split-brain`.
    pub(super) title: String,
    /// The state at its end.
    pub(super) end: ViewState,
    /// How much of the run it goes up to.
    pub(super) to: Duration,
}

impl About {
    pub(super) fn new(recording: Recording, end: &ViewState, to: Duration) -> Self {
        let scenario = end.header.as_ref().and_then(|header| header.scenario.as_ref());
        let title = format!("The screen of {}", scenario.map_or("kvlab up", |scenario| &scenario.name));
        Self { recording, title, end: end.clone(), to }
    }
}
