//! Elle's transactions, as far as they are operations: `{:f :txn, :value [[:w "k" 3]]}`.

use clojure_reader::edn::Edn;

/// The one operation of a transaction: `read` or `write`, its key and its value. Else: what is there instead.
pub(super) fn operation<'a, 'e>(
    value: Option<&'a Edn<'e>>,
) -> Result<(&'static str, &'a Edn<'e>, &'a Edn<'e>), String> {
    let Some(Edn::Vector(operations)) = value else {
        return Err("a transaction without operations".to_owned());
    };
    let [operation] = &**operations else {
        return Err(format!("a transaction of {} operations", operations.len()));
    };
    match operation {
        Edn::Vector(parts) => match &**parts {
            [Edn::Key(name), key, value] if name == "r" => Ok(("read", key, value)),
            [Edn::Key(name), key, value] if name == "w" => Ok(("write", key, value)),
            _ => Err(format!("the operation {operation}")),
        },
        _ => Err(format!("the operation {operation}")),
    }
}

/// What can be read of transactions, as errors say it.
pub(super) const EXPECTED: &str =
    "one [:r k v] or one [:w k v]: transactions over several operations are for Elle to judge";
