//! The golden scripts in `testscripts/`: the core's promises as stories, one claim a file.
//!
//! [`sim::script`](crate::sim::script) says how to read, write and record them.

use std::path::Path;

#[test]
fn every_golden_script_holds() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate::sim::script::run_directory(&home.join("src/replication/testscripts"));
}
