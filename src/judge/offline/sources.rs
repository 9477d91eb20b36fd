//! Who could have written what an operation saw.

use super::act::{KeyAct, RegisterAct};
use super::history::{KeyHistory, KeyOp};

/// The operations, by their place, that may have written what this one saw, or a part of it: of any outcome, and begun
/// before it had ended.
pub(super) fn sources(history: &KeyHistory, op: &KeyOp) -> Vec<usize> {
    let in_time = |other: &KeyOp| op.ended.is_none_or(|ended| other.began < ended) && other.began != op.began;
    let ops = history.ops().iter().enumerate();
    ops.filter(|(_, other)| in_time(other) && may_have_seen(&other.act, &op.act)).map(|(at, _)| at).collect()
}

/// Whether what `sees` saw may be, or hold, what `writes` wrote.
pub(super) fn may_have_seen(writes: &KeyAct, sees: &KeyAct) -> bool {
    match (writes, sees) {
        (KeyAct::Write(to) | KeyAct::Cas { to, .. }, KeyAct::Read(seen) | KeyAct::Cas { from: seen, .. }) => {
            seen == to
        }
        // Up to the next put, every string begins with what was put and contains what was appended.
        (KeyAct::Put(text), KeyAct::Get(seen)) => seen.starts_with(&**text),
        (KeyAct::Append(text), KeyAct::Get(seen)) => seen.contains(&**text),
        (KeyAct::Insert(element), KeyAct::Members(seen)) => seen.contains(element),
        (KeyAct::Enqueue(value), KeyAct::Dequeue(Some(taken))) => taken == value,
        (KeyAct::Enqueue(value), KeyAct::Drain(taken)) => taken.contains(value),
        (KeyAct::Transact(writes), KeyAct::Transact(sees)) => writes.iter().any(|write| match write {
            RegisterAct::Write { register, value } => {
                let seen = RegisterAct::Read { register: register.clone(), value: value.clone() };
                sees.contains(&seen)
            }
            RegisterAct::Read { .. } => false,
        }),
        _ => false,
    }
}
