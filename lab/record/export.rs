//! Makes recordings: reads a run, films it, and hands the film to everything that was asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use ratatui::buffer::Buffer;

use super::about::{About, Recording};
use super::film::{Film, Shooting, What};
use super::outputs::{Output, Outputs};
use crate::run::event::{LabEvent, ProcessState, Stamped, micros};
use crate::run::reader::{self, Playback};
use crate::screen::{Theme, ViewState};

/// No film is longer.
pub const FILM_MAX: Duration = Duration::from_secs(3600);

/// Where the events of a run are.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In its directory.
    Run(&'a Path),
    /// Here.
    Events(&'a [Stamped]),
}

/// How much there is of a run, since it began.
#[derive(Clone, Copy, Debug)]
struct Span {
    begins: Duration,
    /// Before the lab stops its nodes: the screen of a cluster that has been put away says nothing of the run.
    ends: Duration,
    /// With that.
    last: Duration,
}

impl Span {
    /// Of a run whose last events are these, after the time `keyframe`.
    fn of(begins: Duration, keyframe: Duration, events: &[Stamped]) -> Self {
        let put_away = |event: &Stamped| {
            matches!(
                event.event,
                LabEvent::Watch { up: false, .. }
                    | LabEvent::Process { state: ProcessState::Stopped { .. }, .. }
            )
        };
        let last = events.last().map_or(keyframe, Stamped::t);
        let ends = events.iter().rfind(|event| !put_away(event)).map_or(keyframe, Stamped::t);
        Self { begins, ends, last }
    }
}

type Events<'a> = Box<dyn Iterator<Item = anyhow::Result<Stamped>> + 'a>;

impl<'a> Source<'a> {
    /// From when to when there is something of it to be seen.
    fn span(self) -> anyhow::Result<Span> {
        let us = Duration::from_micros;
        match self {
            Self::Run(dir) => {
                let begins = us(Playback::beginning_us(dir)?);
                let last = reader::moment(dir, None)?;
                let keyframe = last.keyframe.map_or(begins, |keyframe| us(keyframe.t_us));
                Ok(Span::of(begins, keyframe, &last.events))
            }
            Self::Events(events) => {
                let begins = events.first().context("there are no events")?.t();
                Ok(Span::of(begins, begins, events))
            }
        }
    }

    /// A state before the moment, and the events since.
    fn play(self, from: Duration) -> anyhow::Result<(ViewState, Events<'a>)> {
        match self {
            Self::Run(dir) => {
                let mut playback = Playback::open(dir, micros(from))?;
                let view = playback.keyframe.take().map(|keyframe| keyframe.state()).transpose()?;
                Ok((view.unwrap_or_default(), Box::new(playback)))
            }
            Self::Events(events) => Ok((ViewState::default(), Box::new(events.iter().cloned().map(Ok)))),
        }
    }

    /// What a film of it is called.
    fn name(self) -> String {
        match self {
            Self::Run(dir) => dir.display().to_string(),
            Self::Events(_) => "the run".to_owned(),
        }
    }
}

impl Recording {
    /// Makes all outputs. `progress` is told how far it has come, from 0 to 1. Returns where they lie.
    ///
    /// # Errors
    /// If the events cannot be read, or that moment of them is not kept; if there is no such proof by then; if an output
    /// cannot be written. None of them is in its place then.
    pub fn make(
        &self,
        source: Source<'_>,
        outputs: Outputs,
        mut progress: impl FnMut(f64),
    ) -> anyhow::Result<Vec<PathBuf>> {
        let span = source.span()?;
        let (from, to) = self.stretch(span).with_context(|| source.name())?;
        let (last, view) = self.still(source, to)?;
        self.check_proof(&view).with_context(|| source.name())?;
        let about = About::new(*self, &view, to);
        let mut outputs = outputs.into_vec();
        let mut sinks = Vec::new();
        for output in &mut outputs {
            if self.at.is_none() && output.kind.is_film() {
                sinks.push(output.kind.sink(&mut output.file, &about)?);
            } else {
                output.kind.write_still(&mut output.file, &last, &about)?;
            }
        }
        if !sinks.is_empty() {
            let (view, events) = source.play(from)?;
            let mut film = Film::new(self.shooting(from, to), view, events);
            while let Some(cue) = film.next().transpose()? {
                for sink in &mut sinks {
                    sink.take(&cue)?;
                }
                progress(film.progress());
            }
        }
        drop(sinks);
        let in_place = |output: Output| output.file.finish().map(|()| output.path);
        outputs.into_iter().map(in_place).collect()
    }

    /// The screen at a moment, and the state behind it.
    fn still(&self, source: Source<'_>, at: Duration) -> anyhow::Result<(Buffer, ViewState)> {
        let (view, events) = source.play(at)?;
        let mut film = Film::new(self.shooting(at, at), view, events);
        let mut last = None;
        for cue in film.by_ref() {
            if let What::Frame(buffer) = cue?.what {
                last = Some(*buffer);
            }
        }
        Ok((last.context("a film has a frame")?, film.into_view()))
    }

    fn shooting(&self, from: Duration, to: Duration) -> Shooting {
        Shooting {
            from,
            to,
            proof: self.proof.map(|proof| usize::from(proof).saturating_sub(1)),
            size: self.size,
            theme: Theme { background: self.background, ..Theme::RECORDING },
            speed: self.speed,
            fps: self.fps,
            idle_limit: self.idle_limit,
        }
    }

    /// Whether there is the proof that is asked for.
    fn check_proof(&self, view: &ViewState) -> anyhow::Result<()> {
        let proofs = view.evidence.violations().len();
        if let Some(proof) = self.proof.filter(|&proof| usize::from(proof) > proofs) {
            let there_are = match proofs {
                0 => "no promise is broken by then".to_owned(),
                _ => format!("{proofs} by then, counted from 1"),
            };
            bail!("there is no proof {proof}: {there_are}");
        }
        Ok(())
    }

    /// From when to when it goes.
    fn stretch(&self, Span { begins, ends, last }: Span) -> anyhow::Result<(Duration, Duration)> {
        if let Some(at) = self.at {
            let at = if at > last { ends } else { at };
            return Ok((at, at));
        }
        let (from, to) = (self.from.unwrap_or(begins), self.to.unwrap_or(ends).min(last));
        let s = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        ensure!(from >= begins, "what is kept of the run begins {} after it", s(begins));
        ensure!(from <= last, "the run ends at {}, before --from", s(last));
        let to = if self.to.is_none() { to.max(from) } else { to };
        ensure!(from <= to, "--to is before the film begins, at {}", s(from));
        let film = (to - from).div_f64(self.speed);
        ensure!(
            film <= FILM_MAX,
            "the film would take {}, and {} is the most: take less of the run with --from and --to, or raise --speed",
            s(film),
            s(FILM_MAX)
        );
        Ok((from, to))
    }
}
