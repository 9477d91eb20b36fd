//! Tests: scenario files damaged at random. Whatever is in a file, it is accepted, or refused with a place in it, and
//! nothing panics.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::scenario::language::library::EMBEDDED;
use crate::scenario::language::model::Scenario;

/// One change to a text.
#[derive(Clone, Debug)]
enum Edit {
    /// Characters go, others come in their place.
    Splice { from: Index, length: usize, insert: String },
    /// A line goes.
    Drop(Index),
    /// A line is there again, elsewhere.
    Copy { line: Index, to: Index },
    /// A line's value is another line's.
    Value { of: Index, from: Index },
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<Index>;
    let edit = prop_oneof![
        (index(), 0..40usize, ".{0,12}").prop_map(|(from, length, insert)| Edit::Splice {
            from,
            length,
            insert
        }),
        index().prop_map(Edit::Drop),
        (index(), index()).prop_map(|(line, to)| Edit::Copy { line, to }),
        (index(), index()).prop_map(|(of, from)| Edit::Value { of, from }),
    ];
    prop::collection::vec(edit, 1..5)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    edits.iter().fold(text.to_owned(), |text, edit| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return text;
        }
        let at = |index: &Index| index.index(lines.len());
        match edit {
            Edit::Splice { from, length, insert } => {
                let mut chars: Vec<char> = text.chars().collect();
                let from = from.index(chars.len() + 1);
                let to = (from + length).min(chars.len());
                chars.splice(from..to, insert.chars());
                return chars.into_iter().collect();
            }
            Edit::Drop(line) => {
                lines.remove(at(line));
            }
            Edit::Copy { line, to } => {
                let (line, to) = (lines[at(line)].clone(), at(to));
                lines.insert(to, line);
            }
            Edit::Value { of, from } => {
                let (of, from) = (at(of), at(from));
                let name = lines[of].split('=').next().expect("split gives something");
                let value = lines[from].split_once('=').map_or("", |(_, value)| value);
                lines[of] = format!("{name}={value}");
            }
        }
        lines.join("\n")
    })
}

/// A refusal begins with `file:line:column: `, and that place is in the file.
fn survives(text: &str) -> Result<(), TestCaseError> {
    let Err(error) = Scenario::parse("x", "x.toml", text) else { return Ok(()) };
    let message = error.to_string();
    let mut parts = message.splitn(4, ':');
    prop_assert_eq!(parts.next(), Some("x.toml"), "{}", message);
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
    let (line, column) = (number(), number());
    let lines = text.split('\n').count();
    prop_assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{} lines:\n{}", lines, message);
    prop_assert!(column.is_some_and(|column| column >= 1), "{}", message);
    Ok(())
}

proptest! {
    #[test]
    fn any_damage_to_a_good_file_is_survived(
        file in select(EMBEDDED.map(|file| file.source).to_vec()),
        edits in edits(),
    ) {
        survives(&edited(file, &edits))?;
    }

    #[test]
    fn any_text_is_survived(text in any::<String>(), toml in "([a-z_.\\[\\]\"={}, 0-9\\n-]{0,200})") {
        survives(&text)?;
        survives(&toml)?;
        survives(&format!("title = \"t\"\n[[step]]\n{toml}"))?;
    }
}
