//! Values as EDN: nil, strings, and the vectors that Jepsen makes of them.

use crate::judge::offline::KeyAct;

/// How values are put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Values are `[k v]`, as those of Jepsen's independent keys.
    pub(super) keyed: bool,
    /// Whole numbers are written as numbers.
    pub(super) numbers: bool,
}

impl Style {
    /// The name of what is done, and its value with the key, if keys are named: `:write`, `["k" "v"]`.
    pub(super) fn keyed(self, key: &str, act: &KeyAct, ended: bool) -> (&'static str, String) {
        let (name, value) = self.operation(act, ended);
        (name, if self.keyed { format!("[{} {value}]", self.value(Some(key))) } else { value })
    }

    /// A transaction of one operation on a register: `[[:w "k" "v"]]`.
    pub(super) fn transaction(self, key: &str, act: &KeyAct, ended: bool) -> String {
        let (name, value) = self.operation(act, ended);
        let short = if name == ":read" { ":r" } else { ":w" };
        format!("[[{short} {} {value}]]", self.value(Some(key)))
    }

    /// The name of what is done, and its value. What a read saw is left out unless it `ended` well.
    pub(super) fn operation(self, act: &KeyAct, ended: bool) -> (&'static str, String) {
        let value = |value: &Option<String>| self.value(value.as_deref());
        let text = |text: &str| self.value(Some(text));
        match act {
            KeyAct::Read(seen) => (":read", if ended { value(seen) } else { "nil".to_owned() }),
            KeyAct::Write(written) => (":write", value(written)),
            KeyAct::Cas { from, to } | KeyAct::CasFailed { from, to } => {
                (":cas", format!("[{} {}]", value(from), value(to)))
            }
            KeyAct::Get(seen) => (":get", if ended { text(seen) } else { "nil".to_owned() }),
            KeyAct::Put(written) => (":put", text(written)),
            KeyAct::Append(written) => (":append", text(written)),
        }
    }

    fn value(self, value: Option<&str>) -> String {
        match value {
            None => "nil".to_owned(),
            Some(text) if self.numbers && is_number(text) => text.to_owned(),
            Some(text) => string(text),
        }
    }
}

/// Whether a reader of the number would write it like this again.
fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
}

/// A string, on one line.
pub(super) fn string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    string.push('"');
    for c in text.chars() {
        match c {
            '"' => string.push_str("\\\""),
            '\\' => string.push_str("\\\\"),
            '\n' => string.push_str("\\n"),
            '\r' => string.push_str("\\r"),
            '\t' => string.push_str("\\t"),
            c => string.push(c),
        }
    }
    string.push('"');
    string
}
