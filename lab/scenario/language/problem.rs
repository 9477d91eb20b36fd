//! What is wrong with a scenario file: said once, with the place, the line, a caret and the way out.

use std::fmt;
use std::ops::Range;

/// A line longer than this is shown in part.
const LINE_CHARS_MAX: usize = 120;

/// Something wrong at a place in the text, before the file's name is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
    /// One sentence, without a full stop.
    pub(crate) what: String,
    /// What would be right; each is a line of its own.
    pub(crate) help: Vec<String>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), help: Vec::new() }
    }

    /// Adds a line that says what would be right.
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// Adds "did you mean …" if one of `words` is close to `word`.
    pub(crate) fn did_you_mean<'a>(self, word: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(word, words) {
            Some(close) => self.help(format!("did you mean `{close}`?")),
            None => self,
        }
    }

    pub(crate) fn locate(self, file: &str, text: &str) -> BadScenario {
        BadScenario::new(file, text, self)
    }
}

/// A scenario file that cannot be run. Its `Display` is the whole message:
///
/// ```text
/// split.toml:14:1: a step has no `partion`
///    |
/// 14 | partion = [["primary"], ["replicas"]]
///    | ^^^^^^^
///    = did you mean `partition`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadScenario(Box<Located>);

/// A problem in its place, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Located {
    file: String,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line, made fit for a terminal; empty if there is none to show.
    shown: String,
    /// Where the caret begins in `shown`, in characters from 0.
    caret_at: usize,
    caret_width: usize,
    what: String,
    help: Vec<String>,
}

impl BadScenario {
    fn new(file: &str, text: &str, problem: Problem) -> Self {
        let start = floor_char_boundary(text, problem.span.start);
        let end = floor_char_boundary(text, problem.span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before: usize = text[line_start..start].chars().count();
        let width = text[start..end.min(line_end)].chars().count();
        // A long line is shown from a little before the place.
        let skipped = if before + width > LINE_CHARS_MAX { before.saturating_sub(20) } else { 0 };
        let shown =
            text[line_start..line_end].trim_end_matches('\r').chars().skip(skipped).take(LINE_CHARS_MAX);
        Self(Box::new(Located {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            shown: shown.map(|c| if c.is_control() { ' ' } else { c }).collect(),
            caret_at: before - skipped,
            caret_width: width.clamp(1, LINE_CHARS_MAX - (before - skipped).min(LINE_CHARS_MAX - 1)),
            what: problem.what,
            help: problem.help,
        }))
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)?;
        let margin = self.line.to_string().len();
        if !self.shown.trim().is_empty() {
            write!(f, "\n{:margin$} |", "")?;
            write!(f, "\n{} | {}", self.line, self.shown)?;
            write!(f, "\n{:margin$} | {:2$}{3}", "", "", self.caret_at, "^".repeat(self.caret_width))?;
        }
        for line in &self.help {
            write!(f, "\n{:margin$} = {line}", "")?;
        }
        Ok(())
    }
}

/// `str::floor_char_boundary` for a place that may lie beyond the end.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The word that was probably meant: the nearest, if it is near enough for its length.
pub fn closest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = |other: &str| (word.chars().count().max(other.chars().count()) / 3).max(1);
    words
        .into_iter()
        .map(|other| (edits(word, other), other))
        .filter(|(edits, other)| *edits <= allowed(other) && *edits < word.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, other)| other)
}

/// How many characters must be added, dropped, changed or swapped with a neighbour (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str, span: Range<usize>) -> String {
        Problem::new(span, "wrong").help("do it right").locate("a.toml", text).to_string()
    }

    #[test]
    fn a_problem_shows_its_line_and_a_caret() {
        let text = "title = \"x\"\n  bad = 1\nend = 2\n";
        let expected = "a.toml:2:3: wrong\n  |\n2 |   bad = 1\n  |   ^^^\n  = do it right";
        assert_eq!(say(text, 14..17), expected);
    }

    #[test]
    fn any_span_of_any_text_is_shown_without_panic() {
        let texts = ["", "\n", "ä = \"ö\"\r\nx", "a\tb\u{1b}[31mc", &"x".repeat(1000), "🦀🦀\n🦀"];
        for text in texts {
            for start in 0..text.len() + 3 {
                for end in [start, start + 1, start + 300, text.len()] {
                    let said = say(text, start..end);
                    assert!(said.starts_with("a.toml:") && !said.contains('\u{1b}'), "{said}");
                    assert!(said.lines().all(|line| line.chars().count() < LINE_CHARS_MAX + 20), "{said}");
                }
            }
        }
    }

    #[test]
    fn close_words_are_found_and_far_ones_are_not() {
        let words = ["partition", "promote", "heal", "kill", "put"];
        for (word, close) in [
            ("partion", Some("partition")),
            ("promte", Some("promote")),
            ("haeal", Some("heal")),
            ("klil", Some("kill")),
            ("explode", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(word, words), close, "{word}");
        }
    }
}
