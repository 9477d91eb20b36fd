//! Run directories: where a run keeps what happened, and where a second terminal finds the run that lives.
//!
//! ```text
//! $XDG_STATE_HOME/kvlab/runs/            (or ~/.local/state/kvlab/runs/)
//!   latest -> 20260102T030405Z-up        replaced atomically when a run begins
//!   20260102T030405Z-up/
//!     lab.lock         locked while the lab lives; its pid and whether the directory may be pruned
//!     cluster.json     every address, for `kvlab put`, `kvlab status`, ... of a second terminal
//!     token            the cluster's token, for `kvlab promote`, `kvlab cleanup`, ...; only its owner may read it
//!     events.jsonl     history.jsonl     n1.log ...     n1/ ...
//! ```
//!
//! Whether a lab lives is asked of the kernel, by the lock: a pid can be reused, and a lab killed with -9
//! cannot tidy up. At most [`RUNS_KEPT_MAX`] automatic runs are kept. Directories named by the user are
//! never removed, wherever they are, and neither is one whose lab lives.
#![expect(clippy::disallowed_methods, reason = "run directories are files")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kvlab::types::NodeId;
use serde::{Deserialize, Serialize};

use super::output_file::OutputFile;

/// How many automatic runs are kept, the new one among them; the oldest go first.
pub(crate) const RUNS_KEPT_MAX: usize = 20;
/// The version of `cluster.json`.
pub(crate) const CLUSTER_FILE_VERSION: u32 = 1;

const CLUSTER_FILE: &str = "cluster.json";
const LOCK_FILE: &str = "lab.lock";
const LATEST: &str = "latest";
/// What a run is renamed to before it is removed, so that an interrupted removal is finished by the next.
const PRUNED_PREFIX: &str = ".pruned-";
/// The longest part of a directory's name that comes from the run's name.
const NAME_CHARS_MAX: usize = 40;

/// The directory in which automatic runs lie, with the `latest` link.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    root: PathBuf,
}

/// The directory of the run of this process; the lab counts as alive for as long as this is held.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    _lock: File,
}

/// `cluster.json`: how to reach a running cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFile {
    /// [`CLUSTER_FILE_VERSION`].
    pub(crate) version: u32,
    /// The lab's process.
    pub(crate) lab_pid: u32,
    /// Every member, ascending.
    pub(crate) nodes: Vec<NodeAddresses>,
}

/// How to reach one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeAddresses {
    /// The node.
    pub(crate) node: NodeId,
    /// Where it takes clients, `address:port`; blind to partitions.
    pub(crate) client: String,
    /// Where it takes members, `address:port`; blind to partitions.
    pub(crate) peer: String,
    /// Where clients whose home is the key reach it: over the links between that home and this node.
    pub(crate) zones: BTreeMap<NodeId, String>,
}

/// What `lab.lock` holds.
#[derive(Debug, Serialize, Deserialize)]
struct LockFile {
    pid: u32,
    /// Made by the lab under a name of its own, so the lab may remove it one day.
    automatic: bool,
}

/// Creates the directory of a run: `keep` if given, else a new automatic one named after the time and `name`.
/// Old automatic runs beyond [`RUNS_KEPT_MAX`] are removed in the background.
///
/// # Errors
/// If there is no place for it, or `keep` is not empty.
pub(crate) fn create(name: &str, keep: Option<&Path>) -> anyhow::Result<RunDir> {
    match (Runs::from_env(), keep) {
        (runs, Some(keep)) => RunDir::create_kept(keep, runs.ok().as_ref()),
        (Ok(runs), None) => {
            let run = RunDir::create_automatic(&runs, name)?;
            // A run's data may be large; a lab that starts does not wait for its removal.
            let _ = std::thread::Builder::new().name("prune".to_owned()).spawn(move || runs.prune());
            Ok(run)
        }
        (Err(error), None) => Err(error.context("no place for the run; name one with --keep DIR")),
    }
}

/// The directory of a run: one that is named by its path, or by its name where runs are kept, or the latest.
///
/// # Errors
/// If there is no such run; the message says where it was looked for.
pub(crate) fn find(run: Option<&Path>) -> anyhow::Result<PathBuf> {
    let name = match run {
        Some(path) if path.is_dir() => return Ok(path.to_owned()),
        Some(name) => name,
        None => return Runs::from_env()?.latest(),
    };
    let runs = Runs::from_env()?.root;
    let path = runs.join(name);
    if !path.is_dir() {
        bail!(
            "there is no run {}: it is no directory, and {} holds none of that name",
            name.display(),
            runs.display()
        );
    }
    Ok(path)
}

impl Runs {
    /// Under `$XDG_STATE_HOME`, or `~/.local/state`.
    ///
    /// # Errors
    /// If neither `XDG_STATE_HOME` nor `HOME` is an absolute path.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set to an absolute path")?;
        Ok(Self::at(state.join("kvlab/runs")))
    }

    /// In a directory of the caller's choice.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of the latest run, automatic or not.
    ///
    /// # Errors
    /// If there was none, or it is gone.
    pub(crate) fn latest(&self) -> anyhow::Result<PathBuf> {
        let link = self.root.join(LATEST);
        let target = fs::read_link(&link).context("there is no run yet; start one with `kvlab up`")?;
        let path = self.root.join(target);
        if !path.is_dir() {
            bail!("the latest run, {}, is gone; start one with `kvlab up`", path.display());
        }
        Ok(path)
    }

    /// The directory of the latest run, whose lab lives.
    ///
    /// # Errors
    /// If there was none, or its lab has ended.
    pub(crate) fn latest_live(&self) -> anyhow::Result<PathBuf> {
        let path = self.latest()?;
        if !is_live(&path) {
            bail!(
                "the latest run, {}, has ended; start one with `kvlab up`, or name a node with --addr",
                path.display()
            );
        }
        Ok(path)
    }

    /// How to reach the cluster of the latest run.
    ///
    /// # Errors
    /// As [`latest_live`](Self::latest_live), or if its nodes are still starting.
    #[cfg(test)]
    pub(crate) fn latest_cluster(&self) -> anyhow::Result<ClusterFile> {
        ClusterFile::read(&self.latest_live()?)
    }

    /// Removes the oldest automatic runs beyond [`RUNS_KEPT_MAX`]. Best effort: what cannot be removed stays.
    pub(crate) fn prune(&self) {
        let mut automatic = Vec::new();
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(PRUNED_PREFIX) {
                let _ = fs::remove_dir_all(&path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_automatic(&path) {
                automatic.push(entry.file_name());
            }
        }
        // Names begin with the time.
        automatic.sort_unstable();
        let old = automatic.len().saturating_sub(RUNS_KEPT_MAX);
        for name in &automatic[..old] {
            let _ = self.remove(&name.to_string_lossy());
        }
    }

    /// Removes an automatic run unless its lab lives: it is locked meanwhile, as if we were its lab.
    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        let lock = File::open(path.join(LOCK_FILE))?;
        lock.try_lock()?;
        let pruned = self.root.join(format!("{PRUNED_PREFIX}{name}"));
        fs::rename(path, &pruned)?;
        fs::remove_dir_all(pruned)
    }

    /// Points `latest` at a run. A reader sees the old one or the new one, never none.
    fn point_latest(&self, target: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        let fresh = self.root.join(format!(".{LATEST}-{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(target, &fresh)?;
        fs::rename(fresh, self.root.join(LATEST))
    }
}

impl RunDir {
    /// A new directory among the automatic runs, named after the time and `name`; it becomes the latest.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn create_automatic(runs: &Runs, name: &str) -> anyhow::Result<Self> {
        let root = &runs.root;
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let base = format!("{time}-{}", file_name(name));
        let mut attempt = 1u32;
        let directory = loop {
            let directory = if attempt == 1 { base.clone() } else { format!("{base}-{attempt}") };
            match fs::create_dir(root.join(&directory)) {
                Ok(()) => break directory,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot create {}", root.join(directory).display()));
                }
            }
        };
        let run = Self::claim(root.join(&directory), true)?;
        runs.point_latest(Path::new(&directory))
            .with_context(|| format!("cannot replace {}", root.join(LATEST).display()))?;
        Ok(run)
    }

    /// A directory named by the user, created if missing. It becomes the latest as well, where that is
    /// possible, and is never removed.
    ///
    /// # Errors
    /// If it holds anything already, or cannot be created.
    pub(crate) fn create_kept(path: &Path, runs: Option<&Runs>) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot resolve {}", path.display()))?;
        let mut entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if entries.next().is_some() {
            bail!("{} is not empty; name a new directory, or empty this one", path.display());
        }
        let run = Self::claim(path, false)?;
        if let Some(runs) = runs {
            // A home that cannot be written is no reason not to run: the directory's name is known.
            let _ = runs.point_latest(&run.path);
        }
        Ok(run)
    }

    /// The directory; absolute if the state directory is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Locks first and writes the mark second: an unlocked directory with a mark has no lab, for certain.
    fn claim(path: PathBuf, automatic: bool) -> anyhow::Result<Self> {
        let file = path.join(LOCK_FILE);
        let claimed = || -> io::Result<File> {
            let mut lock = OpenOptions::new().write(true).create_new(true).open(&file)?;
            lock.try_lock()?;
            let mark = LockFile { pid: std::process::id(), automatic };
            lock.write_all(&serde_json::to_vec(&mark)?)?;
            Ok(lock)
        };
        let lock = claimed().with_context(|| format!("cannot claim {}", file.display()))?;
        Ok(Self { path, _lock: lock })
    }
}

impl ClusterFile {
    /// Reads it from a run directory.
    ///
    /// # Errors
    /// If it is not there (yet), or is of another version.
    pub(crate) fn read(run_dir: &Path) -> anyhow::Result<Self> {
        let path = run_dir.join(CLUSTER_FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if file.version != CLUSTER_FILE_VERSION {
            bail!(
                "{} has version {}, this program knows {CLUSTER_FILE_VERSION}; use the program that wrote it",
                path.display(),
                file.version
            );
        }
        Ok(file)
    }

    /// Writes it to a run directory, atomically: a reader finds all of it or none.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, run_dir: &Path) -> anyhow::Result<()> {
        let mut file = OutputFile::at(&run_dir.join(CLUSTER_FILE))?;
        file.write(&serde_json::to_string_pretty(self)?)?;
        file.finish()
    }
}

/// Whether the lab of a run directory lives.
pub(crate) fn is_live(run_dir: &Path) -> bool {
    let Ok(lock) = File::open(run_dir.join(LOCK_FILE)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn is_automatic(run_dir: &Path) -> bool {
    let mark = fs::read(run_dir.join(LOCK_FILE)).ok();
    mark.and_then(|bytes| serde_json::from_slice::<LockFile>(&bytes).ok()).is_some_and(|mark| mark.automatic)
}

/// A run's name as part of a file name.
fn file_name(name: &str) -> String {
    let name_part: String = name
        .chars()
        .take(NAME_CHARS_MAX)
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    if name_part.is_empty() { "run".to_owned() } else { name_part }
}

#[cfg(test)]
#[path = "tests/directory.rs"]
mod tests;
