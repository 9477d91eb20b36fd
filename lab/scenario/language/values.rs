//! The checks of single values: numbers, times, rates, words, and texts.

use std::ops::Range;
use std::time::Duration;

use kvlab::types::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use toml::Spanned;

use super::problem::{Checked, Problem};
use super::schema::Form;
use super::words::{DURATION_EXPECTED, PERCENT_EXPECTED, RATE_EXPECTED, duration, percent, rate};

/// A whole number within bounds.
pub(crate) fn ranged(n: &Spanned<i64>, min: i64, max: i64, what: &str) -> Checked<u64> {
    let value = *n.get_ref();
    if value < min || value > max {
        return Err(Problem::new(n.span(), format!("{what} = {value} is out of range"))
            .help(format!("expected {min} to {max}")));
    }
    Ok(value.unsigned_abs())
}

/// A duration.
pub(crate) fn time<T>(form: &Spanned<Form<T>>) -> Checked<Duration> {
    let read = match form.get_ref() {
        Form::Text(text) => duration(text),
        other => Err(format!("{} is not a duration", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(DURATION_EXPECTED))
}

/// A rate.
pub(crate) fn per_second(form: &Spanned<Form>) -> Checked<u32> {
    let read = match form.get_ref() {
        Form::Text(text) => rate(text),
        other => Err(format!("{} is not a rate", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(RATE_EXPECTED))
}

/// A part in percent, as thousandths.
pub(crate) fn part(form: &Spanned<Form>) -> Checked<u16> {
    let read = match form.get_ref() {
        Form::Text(text) => percent(text),
        other => Err(format!("{} is not a part in percent", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(PERCENT_EXPECTED))
}

/// Text for people: line breaks become spaces, and nothing in it can upset a terminal.
pub(crate) fn prose(text: &Spanned<String>, chars_max: usize) -> Checked<String> {
    let joined = text.get_ref().split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.is_empty() {
        return Err(Problem::new(text.span(), "this text is empty"));
    }
    if joined.chars().any(char::is_control) {
        return Err(Problem::new(text.span(), "this text holds control characters"));
    }
    if joined.chars().count() > chars_max {
        return Err(Problem::new(text.span(), format!("this text is longer than {chars_max} characters")));
    }
    Ok(joined)
}

/// The meaning of a word. `what`: what such a word is called; `expected`: the last line of a refusal, if it is not a
/// list of the words.
pub(crate) fn word<T: Copy, const N: usize>(
    words: &[(&'static str, T); N],
    text: &str,
    span: Range<usize>,
    what: &str,
    expected: Option<&str>,
) -> Checked<T> {
    let known = words.map(|(word, _)| word);
    let meaning = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    meaning.ok_or_else(|| {
        let listed = || format!("expected one of: {}", known.join(", "));
        Problem::new(span, format!("there is no {what} `{}`", text.escape_debug()))
            .did_you_mean(text, known)
            .help(expected.map_or_else(listed, ToOwned::to_owned))
    })
}

/// A key.
pub(crate) fn key(text: &Spanned<String>) -> Checked<String> {
    if text.get_ref().is_empty() {
        return Err(Problem::new(text.span(), "a key cannot be empty"));
    }
    bounded(text, KEY_BYTES_MAX, "key")
}

/// A value.
pub(crate) fn value(text: &Spanned<String>) -> Checked<String> {
    bounded(text, VALUE_BYTES_MAX, "value")
}

fn bounded(text: &Spanned<String>, bytes_max: usize, what: &str) -> Checked<String> {
    if text.get_ref().len() > bytes_max {
        return Err(Problem::new(text.span(), format!("this {what} is longer than {bytes_max} bytes")));
    }
    if text.get_ref().chars().any(char::is_control) {
        return Err(Problem::new(text.span(), format!("this {what} holds control characters")));
    }
    Ok(text.get_ref().clone())
}
