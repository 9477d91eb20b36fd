//! A film: the frames of a stretch of a run, and the moments in it that matter, in order. Pure: events in, cues out.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Size;

use super::{frame, marks};
use crate::run::event::{Stamped, micros};
use crate::screen::{Theme, ViewState};
use crate::text::events;

/// What is to be filmed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Shooting {
    /// From this moment on, since the run began.
    pub from: Duration,
    /// Up to this one.
    pub to: Duration,
    /// With the proof of this violation opened, from 0, once it is found.
    pub proof: Option<usize>,
    /// The size of the screen.
    pub size: Size,
    pub theme: Theme,
    /// How much faster than the run; above zero.
    pub speed: f64,
    /// Frames a second of the film, from 1.
    pub fps: u32,
    /// Where nothing is told for longer than this, in the film's time, the rest of it is left out.
    pub idle_limit: Option<Duration>,
}

/// Something happens in a film.
#[derive(Clone, Debug, PartialEq)]
pub struct Cue {
    /// When, since the film began. It never goes back.
    pub at: Duration,
    pub what: What,
}

/// What happens in a film.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The screen looks like this from now on. It differs from the one before.
    Frame(Box<Buffer>),
    /// A moment that one may want to go to.
    Mark(String),
    /// It is over; the last cue.
    End,
}

/// Makes something of a film.
pub trait Sink {
    /// The next cue. With the last, everything is written.
    ///
    /// # Errors
    /// If it cannot be written.
    fn take(&mut self, cue: &Cue) -> anyhow::Result<()>;
}

/// The cues of a film, drawn one by one.
#[derive(Debug)]
pub struct Film<E> {
    shooting: Shooting,
    events: E,
    view: ViewState,
    /// The first event that has not happened yet.
    next: Option<Stamped>,
    /// Ticks of the film's clock so far: the time in the run is `from` and so many steps.
    tick: u64,
    /// Cues that are due.
    due: std::collections::VecDeque<Cue>,
    shown: Option<Buffer>,
    /// So much of the film's time has been left out.
    cut: Duration,
    /// When something was told last, in the film's time with what was left out.
    told: Duration,
    over: bool,
}

impl<E: Iterator<Item = anyhow::Result<Stamped>>> Film<E> {
    /// A film of these events, of which the first lead from `view` to the moment where it begins.
    pub fn new(shooting: Shooting, view: ViewState, events: E) -> Self {
        Self {
            shooting,
            events,
            view,
            next: None,
            tick: 0,
            due: std::collections::VecDeque::new(),
            shown: None,
            cut: Duration::ZERO,
            told: Duration::ZERO,
            over: false,
        }
    }

    /// The state at the moment that was drawn last.
    pub fn into_view(self) -> ViewState {
        self.view
    }

    /// How far it has come, from 0 to 1.
    pub fn progress(&self) -> f64 {
        let Shooting { from, to, .. } = self.shooting;
        let length = to.saturating_sub(from).as_secs_f64().max(1e-9);
        (self.elapsed().as_secs_f64() * self.shooting.speed / length).clamp(0.0, 1.0)
    }

    /// The film's time with what was left out.
    fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.tick as f64 / f64::from(self.shooting.fps))
    }

    /// The moment of the run at the film's tick.
    fn moment(&self) -> Duration {
        let Shooting { from, to, speed, .. } = self.shooting;
        (from + self.elapsed().mul_f64(speed)).min(to)
    }

    /// Lets everything happen up to the next tick, and draws.
    fn advance(&mut self) -> anyhow::Result<()> {
        let (now, elapsed) = (self.moment(), self.elapsed());
        let first = self.tick == 0;
        let mut told = first;
        loop {
            if self.next.is_none() {
                self.next = self.events.next().transpose()?;
            }
            let Some(event) = self.next.take_if(|event| event.t() <= now) else { break };
            let filmed = !first || event.t() >= self.shooting.from;
            if filmed && events::is_told(&event.event) {
                told = true;
            }
            if filmed && let Some(mark) = marks::mark(&event.event, self.view.header.as_ref()) {
                let at = elapsed.saturating_sub(self.cut);
                self.due.push_back(Cue { at, what: What::Mark(mark) });
            }
            self.view.apply(&event);
        }
        self.view.advance(micros(now));
        let over = now >= self.shooting.to;
        let is_idle = self.skip_idle(told, elapsed);
        let at = elapsed.saturating_sub(self.cut);
        // What happened while nothing was told has no time of its own.
        self.due.iter_mut().for_each(|cue| cue.at = at);
        if !is_idle || over {
            let Shooting { proof, size, theme, .. } = self.shooting;
            let buffer = frame(&self.view, proof, size, theme);
            if self.shown.as_ref() != Some(&buffer) {
                self.due.push_front(Cue { at, what: What::Frame(Box::new(buffer.clone())) });
                self.shown = Some(buffer);
            }
        }
        if over {
            self.due.push_back(Cue { at, what: What::End });
            self.over = true;
        }
        self.tick += 1;
        Ok(())
    }

    /// Whether this tick is left out, since nothing has been told for too long.
    fn skip_idle(&mut self, told: bool, elapsed: Duration) -> bool {
        let Some(limit) = self.shooting.idle_limit else { return false };
        let idle = elapsed.saturating_sub(self.told);
        if told {
            self.told = elapsed;
            self.cut += idle.saturating_sub(limit);
            return false;
        }
        if self.moment() >= self.shooting.to {
            self.cut += idle.saturating_sub(limit);
        }
        idle > limit
    }
}

impl<E: Iterator<Item = anyhow::Result<Stamped>>> Iterator for Film<E> {
    type Item = anyhow::Result<Cue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(cue) = self.due.pop_front() {
                return Some(Ok(cue));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance() {
                self.over = true;
                return Some(Err(error));
            }
        }
    }
}
