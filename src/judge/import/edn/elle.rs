//! Elle's transactions, as far as they are operations: `{:f :txn, :value [[:w "k" 3]]}`.

use super::form::Form;

/// The one operation of a transaction: `read` or `write`, its key and its value. Else: what is there instead.
pub(super) fn operation<'t>(value: Option<Form<'t>>) -> Result<(&'static str, Form<'t>, Form<'t>), String> {
    let Some(Form::Vector(operations)) = value else {
        return Err("a transaction without operations".to_owned());
    };
    let count = operations.len();
    let Ok([operation]) = <[Form<'t>; 1]>::try_from(operations) else {
        return Err(format!("a transaction of {count} operations"));
    };
    let shown = operation.to_string();
    if let Form::Vector(parts) = operation
        && let Ok([Form::Keyword(name), key, value]) = <[Form<'t>; 3]>::try_from(parts)
    {
        match &*name {
            "r" => return Ok(("read", key, value)),
            "w" => return Ok(("write", key, value)),
            _ => {}
        }
    }
    Err(format!("the operation {shown}"))
}

/// What can be read of transactions, as errors say it.
pub(super) const EXPECTED: &str =
    "one [:r k v] or one [:w k v]: transactions over several operations are for Elle to judge";
