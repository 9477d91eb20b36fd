//! What is done, as EDN: its name, and its value with the vectors that Jepsen makes of them.

use crate::judge::offline::{KeyAct, RegisterAct};
use crate::judge::value::{Value, write_string};

/// The name of what is done, and its value with the key: `:write`, `["k" "v"]`, as those of Jepsen's independent keys.
pub(super) fn keyed(key: &Value, act: &KeyAct, ended: bool) -> (&'static str, String) {
    let (name, value) = operation(act, ended);
    (name, format!("[{key} {value}]"))
}

/// A transaction of one operation on a register: `[[:w "k" "v"]]`.
pub(super) fn transaction(key: &Value, act: &KeyAct, ended: bool) -> String {
    let (name, value) = operation(act, ended);
    let short = if name == ":read" { ":r" } else { ":w" };
    format!("[[{short} {key} {value}]]")
}

/// The name of what is done, and its value. What a read saw is left out unless it `ended` well.
pub(super) fn operation(act: &KeyAct, ended: bool) -> (&'static str, String) {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nil".to_owned(), Value::to_string);
    match act {
        KeyAct::Read(seen) => (":read", if ended { value(seen) } else { "nil".to_owned() }),
        KeyAct::Write(written) => (":write", value(written)),
        KeyAct::Cas { from, to } | KeyAct::CasFailed { from, to } => {
            (":cas", format!("[{} {}]", value(from), value(to)))
        }
        KeyAct::Get(seen) => (":get", if ended { string(seen) } else { "nil".to_owned() }),
        KeyAct::Put(written) => (":put", string(written)),
        KeyAct::Append(written) => (":append", string(written)),
        KeyAct::Transact(steps) => {
            (":txn", list("[", steps.iter().map(|step| register_act(step, ended)), "]"))
        }
        KeyAct::Acquire => (":acquire", "nil".to_owned()),
        KeyAct::Release => (":release", "nil".to_owned()),
        KeyAct::Insert(element) => (":add", element.to_string()),
        KeyAct::Members(seen) => {
            (":read", if ended { list("#{", seen.iter(), "}") } else { "nil".to_owned() })
        }
        KeyAct::Enqueue(put) => (":enqueue", put.to_string()),
        KeyAct::Dequeue(taken) => (":dequeue", if ended { value(taken) } else { "nil".to_owned() }),
        KeyAct::Drain(taken) => {
            (":drain", if ended { list("[", taken.iter(), "]") } else { "nil".to_owned() })
        }
        KeyAct::Increase(amount) => (":add", amount.to_string()),
        KeyAct::Count(sum) => (":read", if ended { sum.to_string() } else { "nil".to_owned() }),
    }
}

/// A step of a transaction: `[:w "x" 1]`.
fn register_act(step: &RegisterAct, ended: bool) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nil".to_owned(), Value::to_string);
    match step {
        RegisterAct::Read { register, value: seen } if ended => format!("[:r {register} {}]", value(seen)),
        RegisterAct::Read { register, .. } => format!("[:r {register} nil]"),
        RegisterAct::Write { register, value: written } => format!("[:w {register} {}]", value(written)),
    }
}

fn list(open: &str, items: impl Iterator<Item = impl ToString>, close: &str) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("{open}{}{close}", items.join(" "))
}

/// A string, on one line.
pub(super) fn string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    write_string(text, &mut string).expect("a string takes it");
    string
}
