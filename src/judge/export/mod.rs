//! Writing histories for other programs. Pure: events in, lines out.
//!
//! | target | who reads it | what it has no word for |
//! |---|---|---|
//! | [`Target::Edn`] | Jepsen, Knossos | |
//! | [`Target::Elle`] | Elle, as transactions over registers of one operation each | deletes, compare-and-set, append |
//! | [`Target::JepsenLog`] | whoever reads Jepsen's plain log | |
//! | [`Target::Porcupine`] | the key-value parser of porcupine's tests | unknown and failed outcomes, absence, compare-and-set |
//! | [`Target::Kvlab`] | kvlab | compare-and-set, append |
//!
//! What is written is read back by [`import`](super::import) as the same operations, with the same verdict;
//! `docs/interchange.md` says how each target puts what it has no word for.

mod edn;
mod exporter;
mod holding;

pub use self::exporter::{ExportError, Exporter, Target};
