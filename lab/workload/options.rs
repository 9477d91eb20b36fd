//! What load there is to be, and whether it can be run.

use anyhow::ensure;
use kvlab::types::WriteLevel;

use super::mix::Family;

/// Background clients at most.
pub(crate) const CLIENTS_MAX: u32 = 256;
/// Operations a second at most, all clients together.
pub(crate) const RATE_MAX: u32 = 100_000;
/// Contended keys of each family at most.
pub(crate) const REGISTERS_MAX: u32 = 10_000;

/// What the background load is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkloadOptions {
    /// Client tasks, spread over the nodes' zones. 0: no background load.
    pub(crate) clients: u32,
    /// Operations a second, all clients together.
    pub(crate) rate: u32,
    /// Which families of writes run, each with its reads, on separate keys.
    pub(crate) levels: Vec<WriteLevel>,
    /// Contended keys per family, judged for linearizability (quorum) or staleness (async).
    pub(crate) registers: u32,
    /// Also keys of a ledger, which are read back all the time and at the end.
    pub(crate) ledger: bool,
    /// Seeds what each client does.
    pub(crate) seed: u64,
    /// Whether it runs from the start.
    pub(crate) on: bool,
}

impl WorkloadOptions {
    /// No load at all.
    pub(crate) fn none() -> Self {
        Self { clients: 0, rate: 1, levels: Vec::new(), registers: 0, ledger: false, seed: 0, on: false }
    }

    /// Whether a load like this can be run.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.clients <= CLIENTS_MAX, "{} clients: at most {CLIENTS_MAX} are possible", self.clients);
        check_rate(self.rate)?;
        ensure!(
            self.registers <= REGISTERS_MAX,
            "{} registers: at most {REGISTERS_MAX} are possible",
            self.registers
        );
        ensure!(
            self.clients == 0 || !self.levels.is_empty(),
            "a workload with clients needs a consistency to write with: async, quorum or both"
        );
        ensure!(
            self.clients == 0 || self.registers > 0 || self.ledger,
            "a workload with clients needs registers, a ledger or both: there is nothing to write to"
        );
        Ok(())
    }

    /// Which families of operations there are.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = self.levels.iter().copied().map(Family::of).collect();
        families.sort_unstable();
        families.dedup();
        families
    }
}

/// Whether a load of this rate can be run.
pub(crate) fn check_rate(rate: u32) -> anyhow::Result<()> {
    ensure!(
        (1..=RATE_MAX).contains(&rate),
        "a rate of {rate} operations a second: it must be from 1 to {RATE_MAX} (to stop the load, turn it off)"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_cannot_be_run_is_refused_with_the_reason() {
        let good = WorkloadOptions {
            clients: 6,
            rate: 300,
            levels: vec![WriteLevel::Async],
            registers: 8,
            ledger: true,
            seed: 1,
            on: true,
        };
        good.check().expect("can be run");
        let refused = |change: &dyn Fn(&mut WorkloadOptions)| {
            let mut options = good.clone();
            change(&mut options);
            options.check().expect_err("cannot be run").to_string()
        };
        assert!(refused(&|o| o.clients = CLIENTS_MAX + 1).contains("257 clients"));
        assert!(refused(&|o| o.rate = 0).contains("a rate of 0"));
        assert!(refused(&|o| o.rate = RATE_MAX + 1).contains("from 1 to 100000"));
        assert!(refused(&|o| o.registers = REGISTERS_MAX + 1).contains("10001 registers"));
        assert!(refused(&|o| o.levels.clear()).contains("async, quorum or both"));
        assert!(refused(&|o| (o.registers, o.ledger) = (0, false)).contains("nothing to write to"));
        WorkloadOptions { clients: 0, levels: Vec::new(), registers: 0, ledger: false, ..good }
            .check()
            .expect("no load at all is fine");
    }
}
