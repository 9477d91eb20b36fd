//! The checks of what is expected of measures: `[expect]`, and the measures in a step's conditions.

use std::ops::Range;

use toml::Spanned;

use super::measure::{Expect, Measure};
use super::problem::{Checked, Problem};
use super::schema::{Entries, Form};
use super::steps::FileContext;

/// `[expect]`, flattened: `promise.linearizable = true` is an entry `linearizable` in an entry `promise`.
pub(crate) fn expectations(table: &Entries, context: FileContext) -> Checked<Vec<Expect>> {
    let mut found: Vec<(Range<usize>, Expect)> = Vec::new();
    for (key, value) in &table.0 {
        let group = match value.get_ref() {
            Form::Table(entries) => measured(key.get_ref(), entries)?,
            _ => vec![(key.span(), one_measured(key, key.get_ref(), value)?)],
        };
        for (at, expect) in group {
            let name = expect.measure.name();
            let place = || at.clone();
            if found.iter().any(|(_, other)| other.measure == expect.measure) {
                return Err(Problem::new(place(), format!("`{name}` is expected twice")));
            }
            if expect.measure.needs_settling() && !context.settles {
                return Err(Problem::new(place(), format!("`{name}` is known only after settling"))
                    .help("this scenario has settle = false"));
            }
            if expect.measure.needs_ledger() && !context.ledger && !context.puts {
                return Err(Problem::new(place(), format!("`{name}` is read from the ledger"))
                    .help("write ledger = true under [workload], or a step that puts"));
            }
            found.push((at, expect));
        }
    }
    found.sort_by_key(|(at, _)| at.start);
    Ok(found.into_iter().map(|(_, expect)| expect).collect())
}

/// The entries of one group of measures (`promise`, `harm`, `recovery`), each with its place.
pub(crate) fn measured(group: &str, entries: &Entries) -> Checked<Vec<(Range<usize>, Expect)>> {
    let one = |(key, value): &(Spanned<String>, Spanned<Form<Entries>>)| {
        let name = format!("{group}.{}", key.get_ref());
        Ok((key.span(), one_measured(key, &name, value)?))
    };
    entries.0.iter().map(one).collect()
}

fn one_measured(key: &Spanned<String>, name: &str, value: &Spanned<Form<Entries>>) -> Checked<Expect> {
    let names = || Measure::ALL.into_iter().map(Measure::name);
    let measure = Measure::named(name).ok_or_else(|| {
        // A forgotten group is a likely slip: `linearizable` for `promise.linearizable`.
        let ending = format!(".{name}");
        let grouped = names().find(|known| known.ends_with(&ending));
        let problem = Problem::new(key.span(), format!("there is no measure `{}`", name.escape_debug()));
        let problem = match grouped {
            Some(known) => problem.help(format!("did you mean `{known}`?")),
            None => problem.did_you_mean(name, names()),
        };
        problem.help(format!("expected one of: {}", names().collect::<Vec<_>>().join(", ")))
    })?;
    let expected = match value.get_ref() {
        Form::Bool(flag) => measure.expect_flag(*flag),
        Form::Int(n) => u64::try_from(*n).ok().and_then(|n| measure.expect_number(n)),
        Form::Text(text) => {
            let bad = |why| Problem::new(value.span(), why).help(measure.expects());
            Some(measure.expect_text(text).map_err(bad)?)
        }
        _ => None,
    };
    let found = value.get_ref().describe();
    let expected = expected.ok_or_else(|| {
        Problem::new(value.span(), format!("`{name}` cannot be compared with {found}"))
            .help(measure.expects())
    })?;
    Ok(Expect { measure, expected })
}
