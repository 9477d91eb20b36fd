//! Every program in `examples/` does what it says: each is run, asserts what it claims, and ends well.
//!
//! `cargo test` builds the examples before it runs this.
#![expect(clippy::disallowed_methods, reason = "starts programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn every_example_does_what_it_says() {
    let sources = std::fs::read_dir("examples").expect("examples/");
    let mut names: Vec<_> = sources.map(|entry| stem(&entry.expect("an entry").path())).collect();
    names.sort();
    assert_eq!(names, ["client_survives_failover", "embed_the_core", "judge_a_history"]);
    for name in names {
        let program = folder().join(&name).with_extension(std::env::consts::EXE_EXTENSION);
        let output = Command::new(&program).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (said(&output.stdout), said(&output.stderr));
        assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
        assert!(!out.is_empty() && err.is_empty(), "{name} says what it shows:\n{out}\n{err}");
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Where cargo puts examples: beside the program.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_kvlab")).with_file_name("examples")
}
