//! A film as one HTML page that plays from disk: the asciinema player, the asciicast, its marks and the verdict.

use std::io::Write;
use std::time::Duration;

use askama::Template;

use super::about::{About, CastVersion};
use super::cast::Cast;
use super::film::{Cue, Sink, What};
use super::verdicts::{self, AnswerGroup, Mark};
use crate::screen::theme::Background;
use crate::text::words;

const PLAYER_JS: &str = include_str!("assets/asciinema-player.min.js");
const PLAYER_CSS: &str = include_str!("assets/asciinema-player.css");
const JS: &str = include_str!("assets/player-page.js");
const CSS: &str = include_str!("assets/player-page.css");

/// Writes a film as a page.
pub(super) struct PlayerPage<'a, W> {
    out: W,
    about: &'a About,
    cast: Cast<Vec<u8>>,
    marks: Vec<PageMark>,
}

/// A moment that one can go to.
struct PageMark {
    /// In seconds of the film.
    at: String,
    clock: String,
    text: String,
}

#[derive(Template)]
#[template(path = "player.html", config = "lab/record/askama.toml")]
struct Page<'a> {
    theme: &'static str,
    title: &'a str,
    story: Option<&'a str>,
    player_css: &'static str,
    player_js: &'static str,
    css: &'static str,
    js: &'static str,
    marks: &'a [PageMark],
    outcome: Option<verdicts::Outcome>,
    groups: Vec<AnswerGroup>,
    sign_words: &'static str,
    stood_at: String,
    version: &'a str,
    seed: u64,
    poster: String,
    idle: String,
    cast: String,
}

impl<'a, W: Write> PlayerPage<'a, W> {
    pub(super) fn begin(out: W, about: &'a About) -> anyhow::Result<Self> {
        let cast = Cast::begin(Vec::new(), about, CastVersion::Three)?;
        Ok(Self { out, about, cast, marks: Vec::new() })
    }

    fn finish(&mut self, end: Duration) -> anyhow::Result<()> {
        let About { recording, title, end: state, to } = self.about;
        let header = state.header.as_ref();
        let scenario = header.and_then(|header| header.scenario.as_ref());
        // The page's parser must not see a tag in what nodes and people wrote.
        let cast = String::from_utf8(self.cast.take_out())?.replace('<', "\\u003c");
        let page = Page {
            theme: if recording.background == Background::Light { "light" } else { "dark" },
            title,
            story: scenario.and_then(|scenario| scenario.story.as_deref()),
            player_css: PLAYER_CSS,
            player_js: PLAYER_JS,
            css: CSS,
            js: JS,
            marks: &self.marks,
            outcome: verdicts::outcome(state),
            groups: verdicts::groups(state),
            sign_words: Mark::WORDS,
            stood_at: words::clock(crate::run::event::micros(*to)),
            version: header.map_or("", |header| &header.kvlab),
            seed: header.map_or(0, |header| header.seed),
            poster: format!("{:.3}", end.as_secs_f64()),
            idle: recording.idle_limit.map(|limit| limit.as_secs_f64().to_string()).unwrap_or_default(),
            cast,
        };
        self.out.write_all(page.render()?.as_bytes())?;
        Ok(())
    }
}

impl<W: Write> Sink for PlayerPage<'_, W> {
    fn take(&mut self, cue: &Cue) -> anyhow::Result<()> {
        self.cast.take(cue)?;
        match &cue.what {
            What::Frame(_) => {}
            What::Mark(text) => self.marks.push(PageMark {
                at: format!("{:.3}", cue.at.as_secs_f64()),
                clock: words::clock(crate::run::event::micros(cue.at)),
                text: text.clone(),
            }),
            What::End => self.finish(cue.at)?,
        }
        Ok(())
    }
}
