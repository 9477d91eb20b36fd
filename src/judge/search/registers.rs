//! Several registers that are read and written at once: transactions.

use super::interner::Interner;
use super::{Call, Model};

/// Registers whose names and values are numbers; all start [`ABSENT`](super::ABSENT).
#[derive(Debug, Default)]
pub struct RegistersModel {
    /// Each transaction, as its steps name it.
    transactions: Vec<Transaction>,
    held: Interner<u32>,
    registers: usize,
}

/// What a transaction does at once, with its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Registers that it read before it had written them, each once, with the value that it saw.
    pub reads: Vec<(u32, u32)>,
    /// Registers that it wrote, each once, with the last value.
    pub writes: Vec<(u32, u32)>,
}

impl RegistersModel {
    fn transaction(&self, step: u32) -> &Transaction {
        &self.transactions[step as usize]
    }
}

impl Model for RegistersModel {
    type Op = Transaction;
    /// The number of a transaction.
    type Step = u32;
    type State = u32;

    fn only_looks(&self, op: &Transaction) -> bool {
        op.writes.is_empty()
    }

    fn prepare(&mut self, calls: &[&Call<Transaction>]) -> Vec<u32> {
        *self = Self::default();
        let named = |call: &&Call<Transaction>| {
            call.op.reads.iter().chain(&call.op.writes).map(|&(register, _)| register as usize + 1).max()
        };
        self.registers = calls.iter().filter_map(named).max().unwrap_or(0);
        // As the register's: what does the same has the same number.
        let numbers: Interner<(bool, u32, u32)> = Interner::default();
        let number = |call: &&Call<Transaction>| {
            let reads = call.op.reads.iter().map(|&(register, value)| (false, register, value));
            let writes = call.op.writes.iter().map(|&(register, value)| (true, register, value));
            let number = numbers.number(&reads.chain(writes).collect::<Vec<_>>());
            if number as usize == self.transactions.len() {
                self.transactions.push(call.op.clone());
            }
            number
        };
        calls.iter().map(number).collect()
    }

    fn initial(&self) -> u32 {
        self.held.number(&vec![super::ABSENT; self.registers])
    }

    fn step(&self, state: u32, step: u32) -> Option<u32> {
        let (held, transaction) = (self.held.list(state), self.transaction(step));
        if transaction.reads.iter().any(|&(register, value)| held[register as usize] != value) {
            return None;
        }
        if transaction.writes.is_empty() {
            return Some(state);
        }
        let mut after = held.to_vec();
        for &(register, value) in &transaction.writes {
            after[register as usize] = value;
        }
        Some(self.held.number(&after))
    }

    fn overwrites(&self, step: u32) -> bool {
        let transaction = self.transaction(step);
        transaction.reads.is_empty() && transaction.writes.len() == self.registers
    }

    fn leads(&self, state: u32, looks: u32) -> bool {
        self.step(state, looks).is_some()
    }

    fn is_source(&self, changes: u32, looks: u32) -> bool {
        let (changes, looks) = (self.transaction(changes), self.transaction(looks));
        changes.writes.iter().any(|write| looks.reads.contains(write))
    }
}
