//! From text to a [`FileTable`]: what the TOML reader has to say, in words for the author of a scenario.

use super::problem::Problem;
use super::schema::FileTable;

/// Reads the tables. Syntax, keys and forms are right after this; meanings are not checked yet.
pub(crate) fn tables(text: &str) -> Result<FileTable, Problem> {
    toml::from_str(text).map_err(|e| translate(e.message(), e.span().unwrap_or(0..0)))
}

/// serde's sentences are made for programmers; the parts between its backticks are ours.
fn translate(message: &str, span: std::ops::Range<usize>) -> Problem {
    let message = message.trim();
    if message.contains("$__toml_private") {
        return Problem::new(span, "a date makes no sense here");
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(rest, span);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return Problem::new(span, format!("{rest} is missing"));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        let found = found.split(" as i").next().unwrap_or(found).replace("integer", "the number");
        let expected = match expected {
            "i64" => "a whole number",
            "a boolean" => "true or false",
            "a sequence" => "a list",
            other => other,
        };
        return Problem::new(span, format!("found {found} where {expected} belongs"));
    }
    let first_line = message.lines().next().unwrap_or(message);
    match first_line {
        "duplicate key" => Problem::new(span, "this key is here for the second time"),
        "a table or a date makes no sense here" => Problem::new(span, first_line),
        _ => Problem::new(span, format!("this is not TOML: {first_line}")),
    }
}

/// `rest` is "`partion`, expected one of `at`, `after`" or the like.
fn unknown_key(rest: &str, span: std::ops::Range<usize>) -> Problem {
    let (key, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
    let key = key.trim_matches('`');
    let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let shown = key.escape_debug();
    let what = if words.contains(&"partition") { "step" } else { "key" };
    Problem::new(span, format!("there is no {what} `{shown}`"))
        .did_you_mean(key, words.iter().copied())
        .help(expected_words(&words))
}

fn expected_words(words: &[&str]) -> String {
    format!("expected one of: {}", words.join(", "))
}
