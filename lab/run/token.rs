//! The token of a run: drawn by its lab, told to its nodes, kept where the commands of other terminals find it.
#![expect(clippy::disallowed_methods, reason = "the token is kept in a file")]
#![expect(clippy::disallowed_types, reason = "nobody shall guess it")]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use kvlab::node::Token;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

/// Its file in the run directory.
pub(crate) const TOKEN_FILE: &str = "token";
/// How many random bytes it is made of.
const RANDOM_BYTES: usize = 32;
/// Nobody else of the machine may read it.
const MODE: u32 = 0o600;

/// Draws the token of a new run and keeps it in its directory. The file is its owner's alone from its first moment.
///
/// # Errors
/// If the system gives no random numbers, or the file cannot be written or is there already.
pub(crate) fn draw(run_dir: &Path) -> anyhow::Result<Token> {
    let mut random = [0; RANDOM_BYTES];
    OsRng.try_fill_bytes(&mut random).context("the operating system gives no random numbers")?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = run_dir.join(TOKEN_FILE);
    let kept = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
        file.write_all(format!("{secret}\n").as_bytes())
    };
    kept().with_context(|| format!("cannot write the cluster token to {}", path.display()))?;
    Ok(Token::new(secret)?)
}

/// The token of a run; `None` if it has none.
///
/// # Errors
/// If there is one and it cannot be read.
pub(crate) fn of_run(run_dir: &Path) -> anyhow::Result<Option<Token>> {
    let path = run_dir.join(TOKEN_FILE);
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => from_file(&path).map(Some),
    }
}

/// The token in a file that a person names.
///
/// # Errors
/// If it cannot be read, or holds no usable token.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<Token> {
    let what = || format!("cannot read the cluster token from {}", path.display());
    let text = fs::read_to_string(path).with_context(what)?;
    // A file usually ends with a newline that is not meant.
    Token::new(text.trim()).with_context(what)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_run_has_a_token_of_its_own_that_only_its_owner_reads() {
        let (one, two) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        assert!(of_run(one.path()).expect("nothing there").is_none());
        let (first, second) = (draw(one.path()).expect("drawn"), draw(two.path()).expect("drawn"));
        assert_ne!(first.reveal(), second.reveal());
        assert_eq!(first.reveal().len(), 2 * RANDOM_BYTES);
        let kept = of_run(one.path()).expect("read").expect("kept");
        assert_eq!(kept.reveal(), first.reveal());
        let mode = fs::metadata(one.path().join(TOKEN_FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        draw(one.path()).expect_err("it is not replaced while nodes know the other");
    }

    #[test]
    fn a_file_without_a_token_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(TOKEN_FILE), "\n").expect("written");
        let error = format!("{:#}", of_run(dir.path()).expect_err("no token"));
        assert!(error.contains("/token: the cluster token has 0 bytes"), "{error}");
    }
}
