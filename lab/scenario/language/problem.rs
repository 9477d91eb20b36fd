//! What is wrong with a scenario file: said once, with the place, the line, a caret and the way out.

use std::ops::Range;

/// No known word is longer, so a longer one is close to none.
const WORD_BYTES_MAX: usize = 64;
/// A line longer than this is shown in part.
const LINE_CHARS_MAX: usize = 120;

/// What a check comes to.
pub(crate) type Checked<T> = Result<T, Problem>;

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

    /// The whole message about this problem in a file: its place, the line, a caret under the place, and the help.
    pub(crate) fn locate(self, file: &str, text: &str) -> BadScenario {
        let start = text.floor_char_boundary(self.span.start);
        let end = text.floor_char_boundary(self.span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = text[line_start..start].chars().count();
        let width = text[start..end.min(line_end)].chars().count();
        // A long line is shown from a little before the place.
        let skipped = if before + width > LINE_CHARS_MAX { before.saturating_sub(20) } else { 0 };
        let fit = |c: char| if c.is_control() { ' ' } else { c };
        let line =
            text[line_start..line_end].trim_end_matches('\r').chars().skip(skipped).take(LINE_CHARS_MAX);
        let line: String = line.map(fit).collect();

        let (number, column) = (text[..line_start].matches('\n').count() + 1, before + 1);
        let margin = " ".repeat(number.to_string().len());
        let mut message = format!("{file}:{number}:{column}: {}", self.what);
        if !line.trim().is_empty() {
            let indent = " ".repeat(before - skipped);
            let carets = "^".repeat(width.clamp(1, LINE_CHARS_MAX - indent.len().min(LINE_CHARS_MAX - 1)));
            message += &format!("\n{margin} |\n{number} | {line}\n{margin} | {indent}{carets}");
        }
        self.help.iter().for_each(|help| message += &format!("\n{margin} = {help}"));
        BadScenario(message)
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
pub struct BadScenario(String);

/// The word that was probably meant: the nearest, if it is near enough for its length.
pub fn closest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = |other: &str| (word.chars().count().max(other.chars().count()) / 3).max(1);
    let is_long = word.len() > WORD_BYTES_MAX;
    words
        .into_iter()
        .filter(|_| !is_long)
        .map(|other| (strsim::osa_distance(word, other), other))
        .filter(|(edits, other)| *edits <= allowed(other) && *edits < word.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, other)| other)
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
