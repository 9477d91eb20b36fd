//! A register: read, write, compare-and-set.

use super::{Call, Model};

/// The value of a register that was never written, or deleted.
pub const ABSENT: u32 = 0;

/// A register whose values are numbers: whoever splits the history gives each value one. It starts [`ABSENT`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RegisterModel;

/// An operation on a register, with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Returned this value.
    Read(u32),
    /// Set this value; a delete sets [`ABSENT`].
    Write(u32),
    /// Found `from` and set `to`.
    Cas {
        /// What it compared with.
        from: u32,
        /// What it set.
        to: u32,
    },
    /// Found anything but this value, and set nothing.
    CasFailed {
        /// What it compared with.
        from: u32,
    },
}

impl Model for RegisterModel {
    type Op = RegisterOp;
    type Step = RegisterOp;
    type State = u32;

    fn only_looks(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Read(_) | RegisterOp::CasFailed { .. })
    }

    fn prepare(&mut self, calls: &[&Call<RegisterOp>]) -> Vec<RegisterOp> {
        calls.iter().map(|call| call.op).collect()
    }

    fn initial(&self) -> u32 {
        ABSENT
    }

    fn step(&self, state: u32, op: RegisterOp) -> Option<u32> {
        match op {
            RegisterOp::Read(value) => (value == state).then_some(state),
            RegisterOp::Write(value) => Some(value),
            RegisterOp::Cas { from, to } => (from == state).then_some(to),
            RegisterOp::CasFailed { from } => (from != state).then_some(state),
        }
    }

    fn overwrites(&self, op: RegisterOp) -> bool {
        matches!(op, RegisterOp::Write(_))
    }

    fn leads(&self, state: u32, looks: RegisterOp) -> bool {
        self.step(state, looks).is_some()
    }

    fn is_source(&self, changes: RegisterOp, looks: RegisterOp) -> bool {
        match changes {
            RegisterOp::Write(to) | RegisterOp::Cas { to, .. } => self.leads(to, looks),
            RegisterOp::Read(_) | RegisterOp::CasFailed { .. } => false,
        }
    }
}
