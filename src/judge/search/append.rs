//! A string under a key: put, append, get. Porcupine's and Knossos's key-value histories are of this kind.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::Model;

/// A string that can be set, appended to and read; it starts empty.
///
/// States are numbers of strings that the model has met, so that long strings are neither copied nor compared
/// twice: appending to string 7 looks up (7, text), and only the first time builds the string.
#[derive(Clone, Debug)]
pub struct AppendModel {
    strings: Vec<String>,
    numbers: HashMap<String, u32, Hash>,
    appended: HashMap<(u32, String), u32, Hash>,
}

/// The same in every run: the judge is pure.
type Hash = BuildHasherDefault<DefaultHasher>;

/// An operation on the string, with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOp {
    /// Set it.
    Put(String),
    /// Appended to it.
    Append(String),
    /// Returned it.
    Get(String),
}

impl Default for AppendModel {
    fn default() -> Self {
        let empty = String::new();
        Self {
            strings: vec![empty.clone()],
            numbers: HashMap::from_iter([(empty, 0)]),
            appended: HashMap::default(),
        }
    }
}

impl AppendModel {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.strings.len() as u32;
        self.strings.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

impl Model for AppendModel {
    type Op = AppendOp;
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: &u32, op: &AppendOp) -> Option<u32> {
        match op {
            AppendOp::Put(text) => Some(self.number(text)),
            AppendOp::Get(text) => (self.strings[*state as usize] == *text).then_some(*state),
            AppendOp::Append(text) => {
                let step = (*state, text.clone());
                if let Some(&after) = self.appended.get(&step) {
                    return Some(after);
                }
                let whole = format!("{}{text}", self.strings[*state as usize]);
                let after = self.number(&whole);
                self.appended.insert(step, after);
                Some(after)
            }
        }
    }

    fn only_looks(&self, op: &AppendOp) -> bool {
        matches!(op, AppendOp::Get(_))
    }
}
