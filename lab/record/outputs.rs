//! The files of a recording: what the endings of their names ask for.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use ratatui::buffer::Buffer;

use super::about::About;
use super::cast::Cast;
use super::film::Sink;
use super::gif::Gif;
use super::page::PlayerPage;
use super::png::write_png;
use super::strip::Strip;
use super::{to_svg, to_text};
use crate::run::output_file::OutputFile;

/// No more files are made at once.
const OUTPUTS_MAX: usize = 16;
/// The endings that there are, for messages.
const ENDINGS: &str = ".cast, .gif, .svg, .html, .png or .txt";

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A film, as an asciicast.
    Cast,
    /// A film.
    Gif,
    /// A film or a still.
    Svg,
    /// A film, as a page.
    Html,
    /// A still.
    Png,
    /// A still.
    Text,
}

/// A file that is being made.
pub(super) struct Output {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) file: OutputFile,
}

/// The files of one recording. Those that are not made leave nothing behind.
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// Checks all endings, and then that each can be written. `still`: nothing that moves is to be made.
    ///
    /// # Errors
    /// If an ending is not known, or asks for a film where only a still is wanted; if a file cannot be created; if two
    /// are the same.
    pub fn create(paths: &[PathBuf], still: bool) -> anyhow::Result<Self> {
        ensure!(paths.len() <= OUTPUTS_MAX, "{} outputs, and {OUTPUTS_MAX} is the most", paths.len());
        let mut kinds = Vec::new();
        for (nth, path) in paths.iter().enumerate() {
            ensure!(!paths[..nth].contains(path), "{} is named twice", path.display());
            kinds.push(Kind::of(path, still)?);
        }
        let created = paths
            .iter()
            .zip(kinds)
            .map(|(path, kind)| Ok(Output { path: path.clone(), kind, file: OutputFile::at(path)? }));
        created.collect::<anyhow::Result<_>>().map(Self)
    }

    pub(super) fn into_vec(self) -> Vec<Output> {
        self.0
    }
}

impl Kind {
    fn of(path: &Path, still: bool) -> anyhow::Result<Self> {
        let kind = match path.extension().and_then(|ending| ending.to_str()) {
            Some("cast") => Self::Cast,
            Some("gif") => Self::Gif,
            Some("html") => Self::Html,
            Some("png") => Self::Png,
            Some("svg") => Self::Svg,
            Some("txt") => Self::Text,
            _ => bail!("{}: a recording is {ENDINGS}, by the ending of its name", path.display()),
        };
        ensure!(
            !still || kind.can_be_still(),
            "{}: that is a film, and --at wants a still: .svg, .png or .txt",
            path.display()
        );
        Ok(kind)
    }

    fn can_be_still(self) -> bool {
        matches!(self, Self::Svg | Self::Png | Self::Text)
    }

    /// Whether it moves, unless a still is asked for.
    pub(super) fn is_film(self) -> bool {
        !matches!(self, Self::Png | Self::Text)
    }

    /// Writes a still.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write_still(
        self,
        file: &mut OutputFile,
        frame: &Buffer,
        about: &About,
    ) -> anyhow::Result<()> {
        match self {
            Self::Svg => file.write(&to_svg(frame, &about.title, about.recording.background)),
            Self::Text => file.write(&to_text(frame)),
            Self::Png => write_png(file, frame, about.recording.background),
            Self::Cast | Self::Gif | Self::Html => bail!("a film is no still"),
        }
    }

    /// Makes a film.
    ///
    /// # Errors
    /// If it cannot be begun.
    pub(super) fn sink<'a>(
        self,
        file: &'a mut OutputFile,
        about: &'a About,
    ) -> anyhow::Result<Box<dyn Sink + 'a>> {
        Ok(match self {
            Self::Cast => Box::new(Cast::begin(file, about, about.recording.cast_version)?),
            Self::Svg => Box::new(Strip::begin(file, about)),
            Self::Gif => Box::new(Gif::begin(file, about)?),
            Self::Html => Box::new(PlayerPage::begin(file, about)?),
            Self::Png | Self::Text => bail!("a still is no film"),
        })
    }
}
