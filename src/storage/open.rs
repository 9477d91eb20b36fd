//! Opening a data directory: the lock, the meta file, leftovers of a crash, the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cutting;
use super::disk::{Disk, RoomPatience, with_patience};
use super::ending::{Forgotten, Proven};
use super::error::StorageError;
use super::file::File;
use super::gate::{Ground, LogGate};
use super::home::{Home, META};
use super::log::log::Log;
use super::log::segment::HEADER_BYTES;
use super::log::synced::Marked;
use super::mending;
use super::meta::Meta;
use super::options::{Options, SEGMENT_BYTES_MAX};
use super::recovery::{self, Tail};
use super::store::Store;
use super::sweep::sweep;
use super::writing::writer::Writer;
use crate::replication::Recovered;
use crate::types::{Lineage, Position};

/// What opening found, besides the state: for the node's log and events.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// What the core is to know.
    pub recovered: Recovered,
    /// The directory held no store before.
    pub fresh: bool,
    /// A torn tail was cut: file, offset, bytes dropped. Nothing shows that any of it had been synced.
    pub torn: Option<(PathBuf, u64, u64)>,
    /// The log ends before what was synced of it. The member has become a learner, unless it is alone.
    pub forgot: Option<Forgotten>,
    /// Keys that have a value.
    pub keys: u64,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Closed segments whose hint was not there, so that they had to be read. It is written in the background.
    pub hints_missing: usize,
    /// Hints that did not count, with the reason: their segments were read, and they are written again.
    pub hints_bad: Vec<(PathBuf, String)>,
}

/// Opens the store in `dir`, or creates one; takes the lock; finishes a cut that was begun; reads the log; cuts a torn
/// tail. If the log ends before what was synced of it, the member is durably a learner before anything is cut.
///
/// # Errors
/// If the directory is in use, another member's, of another format or corrupt, or the disk fails.
///
/// # Examples
/// ```
/// use std::{path::Path, sync::Arc};
///
/// use kvlab::replication::{DiskJob, LogId};
/// use kvlab::storage::{Job, Loss, MemoryDisk, Options, open};
/// use kvlab::types::{Entry, Epoch, NodeId, Op, Position};
///
/// let disk = Arc::new(MemoryDisk::new(0));
/// let (dir, options) = (Path::new("/data"), Options::new(NodeId(1)));
/// let (mut store, mut writer, _) = open(disk.clone(), dir, options)?;
///
/// let at = Position::new(Epoch::new(1, NodeId(1)), 1);
/// let op = Op::Put { key: "greeting".into(), value: "hello".into() };
/// let job = Job::Core(DiskJob::Append { log: LogId(0), entries: vec![Entry { at, op }] });
/// for done in writer.execute(vec![job])? {
///     store.apply(done)?;
/// }
/// drop((store, writer));
///
/// // What was done is durable: the power goes, and it is still there.
/// disk.crash(Loss::Whole);
/// let (store, _, opened) = open(disk, dir, options)?;
/// assert_eq!(opened.recovered.last, at);
/// assert_eq!(store.get(b"greeting")?.value.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), kvlab::storage::StorageError>(())
/// ```
pub fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
) -> Result<(Store, Writer, Opened), StorageError> {
    let options = Options { segment_bytes: options.segment_bytes.min(SEGMENT_BYTES_MAX), ..options };
    let patience = Arc::new(RoomPatience::default());
    let disk = with_patience(disk, patience.clone());
    let (home, lock) = Home::enter(disk, dir)?;
    let (mut meta, fresh) = match Meta::load(&home)? {
        Some(meta) => (meta, false),
        None => (create(&home, &options)?, true),
    };
    if meta.node != options.node {
        return Err(StorageError::WrongNode { dir: home.dir, owner: meta.node, asked: options.node });
    }
    // The meta file may have been renamed by a process that was killed before it synced the directory.
    home.sync_dir(&home.dir)?;
    cutting::finish(&home, &mut meta)?;
    sweep(&home, &meta)?;
    let proven = Proven::of(&meta, Marked::read(&home)?);
    let mut read = recovery::read_log(&home, &meta, Tail::MayBeTorn(proven))?;
    mending::mend(&home, &mut meta, &mut read, proven, options.alone)?;
    let torn = read.torn();
    let recovery::Read { contents, forgot, hints_missing, hints_bad, .. } = read;

    let (era, gate) = (meta.era(), LogGate::new(meta.era()));
    let ground = Ground { home, gate, era, _lock: Arc::new(lock) };
    let mut promise = meta.promise;
    promise.epoch = promise.epoch.max(contents.last.epoch);
    let (last, lineage) = (contents.last, contents.lineage.clone());
    // Whether an empty directory is a wiped disk is for the node to know.
    let recovered = Recovered { last, lineage, promise, wiped: false };
    let writer = Writer::new(ground.clone(), patience, options, meta, &contents)?;
    let store = Store::new(contents, ground, options.segment_bytes);
    let opened = Opened {
        recovered,
        fresh,
        torn,
        forgot,
        keys: store.keys(),
        log_bytes: store.log_bytes(),
        hints_missing,
        hints_bad,
    };
    Ok((store, writer, opened))
}

/// Creates an empty store. The meta file comes last: without it there is no store.
fn create(home: &Home, options: &Options) -> Result<Meta, StorageError> {
    for generation in home.generations()? {
        refuse_orphaned_log(home, generation)?;
        home.remove_log(generation)?;
    }
    let log = Log::create(home, 1, options.segment_bytes)?;
    let meta = Meta {
        node: options.node,
        generation: 1,
        promise: options.first_promise,
        base: Position::ZERO,
        floor: Position::ZERO,
        cleaned: 0,
        superseded: 0,
        cuts: 0,
        cut: None,
        lineage: Lineage::default(),
        segments: log.synced(),
    };
    meta.save(home)?;
    Ok(meta)
}

/// A log without a meta file is what a crash during [`create`] leaves, and is empty then. With records in it, the
/// meta file was lost, and with it promises: that is no fresh store.
fn refuse_orphaned_log(home: &Home, generation: u64) -> Result<(), StorageError> {
    let dir = home.log_dir(generation);
    for name in home.list(&dir)? {
        let path = dir.join(name);
        if File::open(&*home.disk, &path)?.size()? > HEADER_BYTES {
            let what = format!("the meta file is missing, but {} holds records", path.display());
            return Err(StorageError::corrupt(&home.dir.join(META), 0, what));
        }
    }
    Ok(())
}
