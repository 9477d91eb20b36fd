//! From forms to values: equal forms are printed in one way only.

use std::fmt::{self, Write as _};

use super::super::raw::{RawStep, RawValue};
use super::form::Form;
use crate::judge::value::{Value, write_string};

/// What Clojure's own pairs are tagged with where their type is printed. They are what they hold.
const PAIRS: [&str; 2] = ["jepsen.independent.Tuple", "clojure.lang.MapEntry"];

impl<'t> Form<'t> {
    /// As the value of an event. A vector of two may be a key and a value, or what a compare-and-set names.
    pub(super) fn into_raw(self) -> RawValue {
        match self.untagged() {
            Self::Nil => RawValue::Nil,
            form if let Some(steps) = form.steps() => RawValue::Steps(steps),
            Self::Vector(items) if items.len() == 2 => {
                let mut items = items.into_iter().map(|item| Box::new(item.into_raw()));
                match (items.next(), items.next()) {
                    (Some(one), Some(other)) => RawValue::Pair(one, other),
                    _ => unreachable!("it has two"),
                }
            }
            form => RawValue::One(form.into_value()),
        }
    }

    /// The steps of a transaction, if it is one: a list of reads and writes. An empty list may be anything.
    fn steps(&self) -> Option<Vec<RawStep>> {
        let Self::Vector(steps) = self else { return None };
        let step = |step: &Self| {
            let Self::Vector(parts) = step else { return None };
            let [Self::Keyword(name), register, value] = &parts[..] else { return None };
            let writes = match &**name {
                "r" | "read" => false,
                "w" | "write" => true,
                _ => return None,
            };
            Some(RawStep { writes, register: register.clone().into_value(), value: value.clone().known() })
        };
        steps.iter().map(step).collect::<Option<Vec<_>>>().filter(|steps| !steps.is_empty())
    }

    /// As a value, of which nil is none.
    pub(super) fn known(self) -> Option<Value> {
        (self != Self::Nil).then(|| self.into_value())
    }

    /// As a value of its own.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Integer(number) => number.into(),
            Self::Text(text) => text.into_owned().into(),
            form => Value::of_edn(form.to_string()),
        }
    }

    fn untagged(self) -> Self {
        match self {
            Self::Tagged(tag, form) if PAIRS.contains(&tag) => *form,
            form => form,
        }
    }
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Atom(printed) => f.write_str(printed),
            Self::Keyword(name) => write!(f, ":{name}"),
            Self::Text(text) => write_string(text, f),
            Self::Vector(items) => {
                f.write_char('[')?;
                joined(items.iter().map(ToString::to_string), " ", f)?;
                f.write_char(']')
            }
            Self::Set(items) => {
                let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
                items.sort_unstable();
                f.write_str("#{")?;
                joined(items.into_iter(), " ", f)?;
                f.write_char('}')
            }
            Self::Map(entries) => {
                let mut entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key} {value}")).collect();
                entries.sort_unstable();
                f.write_char('{')?;
                joined(entries.into_iter(), ", ", f)?;
                f.write_char('}')
            }
            Self::Tagged(tag, form) if PAIRS.contains(tag) => form.fmt(f),
            Self::Tagged(tag, form) => write!(f, "#{tag} {form}"),
        }
    }
}

fn joined(items: impl Iterator<Item = String>, between: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            f.write_str(between)?;
        }
        f.write_str(&item)?;
    }
    Ok(())
}
