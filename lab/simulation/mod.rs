//! A run on a simulated cluster: the same core, storage, clients' routine and judge, all from one seed.

mod clients;
mod plan;
mod settle;
mod stage;
#[cfg(test)]
mod tests;

pub(crate) use self::stage::Simulated;
