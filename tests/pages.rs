//! The files and folders that the pages name are there: `README.md`, `CONTRIBUTING.md` and all of `docs/`.
//!
//! What counts as a name: text in backticks that begins with a top-level folder, or is a file of Rust; and the target of
//! a link. A file of Rust without a folder (`core.rs`) may be anywhere in `src/` or `lab/`.
#![expect(clippy::disallowed_methods, reason = "reads files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 10] =
    ["src/", "lab/", "docs/", "tests/", "examples/", "benches/", "scenarios/", ".ci/", ".github/", ".cargo/"];

#[test]
fn what_the_pages_name_is_there() {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    pages.extend(files("docs").into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")));
    let sources: BTreeSet<String> =
        [files("src"), files("lab")].concat().iter().map(|path| name(path)).collect();
    let mut missing = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for path in paths(&text) {
            let is_somewhere = path.ends_with(".rs") && sources.contains(&path);
            if !is_there(&path) && !is_somewhere {
                missing.push(format!("{} names {path}", page.display()));
            }
        }
        for link in links(&text) {
            if !page.with_file_name("").join(&link).exists() {
                missing.push(format!("{} links to {link}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

/// Whether there is such a file or folder. A room of one file may be named without the ending.
fn is_there(path: &str) -> bool {
    Path::new(path).exists() || Path::new(&format!("{path}.rs")).exists()
}

/// The paths in backticks. A command (`.ci/check now`) counts as its first word.
fn paths(text: &str) -> BTreeSet<String> {
    let quoted = outside_blocks(text).split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let word = |text: &String| text.split_whitespace().next().map(str::to_owned);
    let is_path = |path: &String| {
        let is_source = path.ends_with(".rs") && !path.contains('/');
        !path.contains(['*', '<', '…', '{'])
            && (is_source || FOLDERS.iter().any(|folder| path.starts_with(folder)))
    };
    quoted.iter().filter_map(word).filter(is_path).collect()
}

/// The targets of links to files.
fn links(text: &str) -> BTreeSet<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.map(|target| target.split('#').next().expect("split gives something"));
    files.filter(|file| !file.is_empty() && !file.contains("://")).map(str::to_owned).collect()
}

/// The text without fenced blocks, whose backticks would count as others' ends.
fn outside_blocks(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// All files below a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(path.to_str().expect("a plain name")));
        } else {
            found.push(path);
        }
    }
    found
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}
