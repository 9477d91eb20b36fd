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
//!     kept             if somebody wants to keep it
//!   20260102T040000Z-up -> /tmp/mine     a directory that was named by the user
//! ```
//!
//! Whether a lab lives is asked of the kernel, by the lock: a pid can be reused, and a lab killed with -9
//! cannot tidy up. As many automatic runs are kept as [`RUNS_KEPT_VARIABLE`] says. Directories named by the user are
//! never removed, wherever they are (a link leads to them), and neither is one whose lab lives, or that has a file
//! `kept`. [`listing`](super::listing) has the runs as a list.
#![expect(clippy::disallowed_methods, reason = "run directories are files")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use kvlab::types::NodeId;
use serde::{Deserialize, Serialize};

use super::output_file::OutputFile;

/// The variable that says how many automatic runs are kept, the new one among them; the oldest go first when a run
/// begins. `all`: none goes.
pub(crate) const RUNS_KEPT_VARIABLE: &str = "KVLAB_RUNS_KEPT";
/// How many are kept if it is not set.
pub(crate) const RUNS_KEPT_DEFAULT: usize = 20;
/// The version of `cluster.json`.
pub(crate) const CLUSTER_FILE_VERSION: u32 = 1;

const CLUSTER_FILE: &str = "cluster.json";
const LOCK_FILE: &str = "lab.lock";
const LATEST: &str = "latest";
/// Whoever has this file is not removed.
const KEPT_FILE: &str = "kept";
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
/// Old automatic runs beyond what is kept are removed in the background.
///
/// # Errors
/// If there is no place for it, `keep` is not empty, or [`RUNS_KEPT_VARIABLE`] is no number of runs.
pub(crate) fn create(name: &str, keep: Option<&Path>) -> anyhow::Result<RunDir> {
    let kept_max = runs_kept(std::env::var(RUNS_KEPT_VARIABLE).ok().as_deref())?;
    match (Runs::from_env(), keep) {
        (runs, Some(keep)) => RunDir::create_kept(keep, name, runs.ok().as_ref()),
        (Ok(runs), None) => {
            let run = RunDir::create_automatic(&runs, name)?;
            // A run's data may be large; a lab that starts does not wait for its removal.
            let _ = std::thread::Builder::new().name("prune".to_owned()).spawn(move || runs.prune(kept_max));
            Ok(run)
        }
        (Err(error), None) => Err(error.context("no place for the run; name one with --keep DIR")),
    }
}

/// How many automatic runs are kept, by what the variable says; an empty one says nothing.
fn runs_kept(said: Option<&str>) -> anyhow::Result<usize> {
    match said.unwrap_or_default() {
        "" => Ok(RUNS_KEPT_DEFAULT),
        "all" => Ok(usize::MAX),
        number => number.parse().ok().filter(|&number| number > 0).with_context(|| {
            format!(
                "the variable {RUNS_KEPT_VARIABLE} is {number:?}; expected a number of runs from 1 on, or all"
            )
        }),
    }
}

/// The directory of a run: one that is named by its path, or by its name where runs are kept (`latest` is one), or the
/// latest.
///
/// # Errors
/// If there is no such run; the message says where it was looked for.
pub(crate) fn find(run: Option<&Path>) -> anyhow::Result<PathBuf> {
    let name = match run {
        Some(path) if path.is_dir() => return Ok(path.to_owned()),
        Some(name) => name,
        None => return Runs::from_env()?.latest(),
    };
    let runs = Runs::from_env()?;
    if name == Path::new(LATEST) {
        return runs.latest();
    }
    let path = runs.root.join(name);
    if !path.is_dir() {
        bail!(
            "there is no run {}: it is no directory, and {} holds none of that name",
            name.display(),
            runs.root.display()
        );
    }
    Ok(path)
}

/// The run of this name among the runs; `None`: there is none, and it is not `latest`.
pub(crate) fn named(name: &Path) -> Option<anyhow::Result<PathBuf>> {
    let is_name = name.components().count() == 1 && name.file_name().is_some();
    let runs = Runs::from_env().ok().filter(|_| is_name)?;
    (name == Path::new(LATEST) || runs.root.join(name).is_dir()).then(|| find(Some(name)))
}

/// Keeps a run for good, or no longer.
///
/// # Errors
/// If its directory cannot be written.
pub(crate) fn keep(run_dir: &Path, kept: bool) -> anyhow::Result<()> {
    let mark = run_dir.join(KEPT_FILE);
    let done = match kept {
        true => File::create(&mark).map(drop),
        false => fs::remove_file(&mark).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    };
    done.with_context(|| format!("cannot change {}", mark.display()))
}

/// Whether a run is kept for good: somebody wants it, or has named its directory.
pub(crate) fn is_kept(run_dir: &Path) -> bool {
    run_dir.join(KEPT_FILE).exists() || !is_automatic(run_dir)
}

/// Whether a directory is that of a run.
pub(crate) fn is_run(run_dir: &Path) -> bool {
    run_dir.join(LOCK_FILE).is_file()
}

/// When a run began, by the file that its lab locked then.
pub(crate) fn began(run_dir: &Path) -> Option<SystemTime> {
    fs::metadata(run_dir.join(LOCK_FILE)).and_then(|about| about.modified()).ok()
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

    /// The directories of all runs: those here, and those to which links lead. In no order.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let paths = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        let mut all: Vec<_> = paths
            .filter(|entry| entry.file_name() != LATEST)
            .map(|entry| entry.path())
            .chain(self.latest())
            .filter(|path| is_run(path))
            .collect();
        // The latest may be in here already, or be led to by a link: then the name here is its name.
        all.sort_by_cached_key(|path| (path.canonicalize().ok(), !path.starts_with(&self.root)));
        all.dedup_by_key(|path| path.canonicalize().ok());
        all
    }

    /// The directories of the runs whose labs live, the newest first.
    pub(crate) fn live(&self) -> Vec<PathBuf> {
        let mut live = self.all();
        live.retain(|path| is_live(path));
        live.sort_by_cached_key(|path| std::cmp::Reverse(began(path)));
        live
    }

    /// The directory of the newest run whose lab lives, and how many more there are.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn newest_live(&self) -> anyhow::Result<(PathBuf, usize)> {
        let mut live = self.live();
        if live.is_empty() {
            let latest = self.latest()?;
            bail!(
                "no lab is running, and the latest run, {}, has ended; start one with `kvlab up`, or name a node with \
                 --addr",
                latest.display()
            );
        }
        let more = live.len() - 1;
        Ok((live.swap_remove(0), more))
    }

    /// How to reach the cluster of the latest run.
    ///
    /// # Errors
    /// As [`newest_live`](Self::newest_live), or if its nodes are still starting.
    #[cfg(test)]
    pub(crate) fn latest_cluster(&self) -> anyhow::Result<ClusterFile> {
        ClusterFile::read(&self.newest_live()?.0)
    }

    /// Removes the oldest runs beyond `kept_max`, of those that may be removed. Best effort: what cannot be removed stays.
    pub(crate) fn prune(&self, kept_max: usize) {
        let mut automatic = Vec::new();
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(PRUNED_PREFIX) {
                let _ = fs::remove_dir_all(&path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_kept(&path) {
                automatic.push(entry.file_name());
            } else if path.is_symlink() && !path.exists() {
                // Of a directory that its owner has removed.
                let _ = fs::remove_file(&path);
            }
        }
        // Names begin with the time.
        automatic.sort_unstable();
        let old = automatic.len().saturating_sub(kept_max);
        for name in &automatic[..old] {
            let _ = self.remove(&name.to_string_lossy());
        }
    }

    /// Removes a run of this name unless its lab lives, or it is kept: it is locked meanwhile, as if we were its lab.
    ///
    /// # Errors
    /// If it cannot be removed, or must not.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        if path.is_symlink() || is_kept(&path) {
            return Err(io::Error::other("it is kept"));
        }
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
        let base = fresh_name(name);
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
    pub(crate) fn create_kept(path: &Path, name: &str, runs: Option<&Runs>) -> anyhow::Result<Self> {
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
            if run.path.parent() != Some(&runs.root) {
                let _ = std::os::unix::fs::symlink(&run.path, runs.root.join(fresh_name(name)));
            }
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

/// The name of a directory among the runs: the time, and the run's name.
fn fresh_name(name: &str) -> String {
    format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), file_name(name))
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
