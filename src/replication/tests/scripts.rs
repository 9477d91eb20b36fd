//! The golden scripts in `testscripts/`: the core's promises as stories, one claim a file.
//!
//! [`sim::tests::script`](crate::sim::tests::script) says how to read, write and record them. `docs/guarantees.md` leads to each.
#![expect(clippy::disallowed_methods, reason = "golden scripts are files")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::types::Quirk;

fn home(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_golden_script_holds() {
    crate::sim::tests::script::run_directory(&home("src/replication/testscripts"));
}

#[test]
fn every_quirk_does_its_harm() {
    crate::sim::tests::script::run_directory(&home("src/replication/testscripts/quirks"));
}

#[test]
fn the_guarantees_lead_to_every_script_and_to_no_other() {
    assert_eq!(linked("docs/guarantees.md"), scripts("src/replication/testscripts", ""));
}

#[test]
fn the_museum_leads_to_the_script_of_every_quirk_and_to_no_other() {
    let named: BTreeSet<String> = Quirk::ALL.iter().map(|quirk| format!("quirks/{quirk}.txt")).collect();
    assert_eq!(scripts("src/replication/testscripts/quirks", "quirks/"), named);
    let quirks = |script: &String| script.starts_with("quirks/");
    assert_eq!(linked("docs/museum.md").into_iter().filter(quirks).collect::<BTreeSet<_>>(), named);
}

/// The scripts of a directory, each with `prefix` before its name.
fn scripts(directory: &str, prefix: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(home(directory)).expect("the directory of scripts");
    let names = files.map(|file| file.expect("a directory entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".txt")).map(|name| format!("{prefix}{name}")).collect()
}

/// The scripts that a page links to.
fn linked(page: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(home(page)).expect("the page");
    let links = page.split("(../src/replication/testscripts/").skip(1);
    links.map(|rest| rest.split(')').next().unwrap_or_default().to_owned()).collect()
}
