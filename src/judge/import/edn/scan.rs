//! Where the forms of an EDN text begin and end, whatever is in them.
//!
//! Everything that Clojure prints is known: comments, discards, metadata, strings, characters, regular expressions, tags
//! and brackets. What a form means is for [`form`](super::form) to say; here it is only passed over, so that nothing that
//! is skipped can be wrong but for its brackets.

/// Brackets, tags and discards within one another. What is nested deeper is refused.
pub(super) const DEPTH_MAX: usize = 200;

/// A text of EDN and a place in it.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    /// The byte that comes next.
    pub(super) at: usize,
    /// Nothing follows the text. If not, a word that reaches its end may go on.
    pub(super) is_last: bool,
}

/// Why there is no form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The text ends before the form does.
    Open,
    /// Something is wrong at this byte.
    At {
        /// Which.
        at: usize,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
}

impl<'t> Scanner<'t> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    /// A fault at the next byte.
    pub(super) fn fault(&self, found: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault::At { at: self.at, found: found.into(), expected: expected.into() }
    }

    /// Goes on to the next form, closing bracket or end: over blanks, comments, discarded forms and metadata.
    pub(super) fn skip_blank(&mut self, depth: usize) -> Result<(), Fault> {
        while let Some(byte) = self.peek() {
            match (byte, self.peek_second()) {
                (b' ' | b',' | b'\t'..=b'\r', _) => self.at += 1,
                (b';', _) | (b'#', Some(b'!')) => self.skip_comment()?,
                (b'#', None) if !self.is_last => return Err(Fault::Open),
                (b'#', Some(b'_')) => {
                    self.at += 2;
                    self.skip_form(depth + 1)?;
                }
                (b'^', _) => {
                    self.at += 1;
                    self.skip_form(depth + 1)?;
                }
                (0x80.., _) => match self.text[self.at..].chars().next() {
                    Some(blank) if blank.is_whitespace() => self.at += blank.len_utf8(),
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn skip_comment(&mut self) -> Result<(), Fault> {
        match self.text[self.at..].find('\n') {
            Some(end) => self.at += end + 1,
            None if self.is_last => self.at = self.text.len(),
            None => return Err(Fault::Open),
        }
        Ok(())
    }

    /// Passes over the next form.
    pub(super) fn skip_form(&mut self, depth: usize) -> Result<(), Fault> {
        self.expect_shallow(depth)?;
        self.skip_blank(depth)?;
        match self.peek() {
            None => Err(Fault::Open),
            Some(b'"') => self.string().map(drop),
            Some(b'\\') => self.character().map(drop),
            Some(b'(') => self.skip_list(b')', depth),
            Some(b'[') => self.skip_list(b']', depth),
            Some(b'{') => self.skip_list(b'}', depth),
            Some(b'#') => match self.peek_second() {
                None => Err(Fault::Open),
                Some(b'{') => {
                    self.at += 1;
                    self.skip_list(b'}', depth)
                }
                Some(b'"') => {
                    self.at += 1;
                    self.string().map(drop)
                }
                Some(b'#' | b'\'') => self.dispatched().map(drop),
                Some(_) => {
                    self.tag()?;
                    self.skip_form(depth + 1)
                }
            },
            Some(_) => self.token().map(drop),
        }
    }

    fn skip_list(&mut self, close: u8, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        while !self.closes(close, depth)? {
            self.skip_form(depth + 1)?;
        }
        Ok(())
    }

    /// Whether the list ends here; if so its bracket is taken.
    pub(super) fn closes(&mut self, close: u8, depth: usize) -> Result<bool, Fault> {
        self.skip_blank(depth)?;
        match self.peek() {
            None => Err(Fault::Open),
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(other @ (b')' | b']' | b'}')) => {
                let expected = format!("a form, or {:?}", char::from(close));
                Err(self.fault(format!("{:?}", char::from(other)), expected))
            }
            Some(_) => Ok(false),
        }
    }

    pub(super) fn expect_shallow(&self, depth: usize) -> Result<(), Fault> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(self.fault("a form within too many others", format!("at most {DEPTH_MAX} within one another")))
    }

    /// What is between the quotes of the string that is next, as it is written.
    pub(super) fn string(&mut self) -> Result<&'t str, Fault> {
        let from = self.at + 1;
        let mut at = from;
        loop {
            let rest = self.text.as_bytes().get(at..).ok_or(Fault::Open)?;
            at += rest.iter().position(|&byte| byte == b'"' || byte == b'\\').ok_or(Fault::Open)?;
            if self.text.as_bytes()[at] == b'"' {
                self.at = at + 1;
                return Ok(&self.text[from..at]);
            }
            at += 2;
        }
    }

    /// The character that is next, without its backslash: `a`, `newline`, `u00e9`.
    pub(super) fn character(&mut self) -> Result<&'t str, Fault> {
        self.at += 1;
        let from = self.at;
        let first = self.text[from..].chars().next().ok_or(Fault::Open)?;
        self.at += first.len_utf8();
        self.word_on(from)
    }

    /// `##NaN`, `#'name`: with what is before it.
    pub(super) fn dispatched(&mut self) -> Result<&'t str, Fault> {
        let from = self.at;
        self.at += 2;
        self.token()?;
        Ok(&self.text[from..self.at])
    }

    /// The tag that is next, without its `#`.
    pub(super) fn tag(&mut self) -> Result<&'t str, Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'<' | b'(' | b'?' | b'=') => {
                self.at -= 1;
                let found: String = self.text[self.at..].chars().take(2).collect();
                Err(self.fault(format!("{found:?}"), "a form that can be read again"))
            }
            _ => self.token(),
        }
    }

    /// A word: a number, a keyword, a symbol.
    pub(super) fn token(&mut self) -> Result<&'t str, Fault> {
        let from = self.at;
        let word = self.word_on(from)?;
        match (word, self.text[from..].chars().next()) {
            ("", None) => Err(Fault::Open),
            ("", Some(other)) => Err(self.fault(format!("{other:?}"), "a form")),
            (word, _) => Ok(word),
        }
    }

    /// From there to the end of the word.
    fn word_on(&mut self, from: usize) -> Result<&'t str, Fault> {
        let rest = &self.text[self.at..];
        let ends = |c: char| {
            matches!(c, ',' | '"' | '(' | ')' | '[' | ']' | '{' | '}' | ';' | '\\') || c.is_whitespace()
        };
        match rest.find(ends) {
            Some(end) => self.at += end,
            None if self.is_last => self.at = self.text.len(),
            None => return Err(Fault::Open),
        }
        Ok(&self.text[from..self.at])
    }
}
