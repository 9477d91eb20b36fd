//! The golden scripts in `testscripts/`: the core's promises as stories, one claim a file.
//!
//! [`sim::script`](crate::sim::script) says how to read, write and record them. `docs/guarantees.md` leads to each.
#![expect(clippy::disallowed_methods, reason = "golden scripts are files")]

use std::collections::BTreeSet;
use std::path::PathBuf;

fn home(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_golden_script_holds() {
    crate::sim::script::run_directory(&home("src/replication/testscripts"));
}

#[test]
fn the_guarantees_lead_to_every_script_and_to_no_other() {
    let files = std::fs::read_dir(home("src/replication/testscripts")).expect("the directory of scripts");
    let there: BTreeSet<String> = files
        .map(|file| file.expect("a directory entry").file_name().to_string_lossy().into_owned())
        .collect();
    let page = std::fs::read_to_string(home("docs/guarantees.md")).expect("the page of guarantees");
    let linked: BTreeSet<String> = page
        .split("(../src/replication/testscripts/")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(linked, there);
}
