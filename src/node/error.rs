//! Why a node did not start, or stopped.

use std::io;
use std::net::SocketAddr;

use super::options::OptionsError;
use crate::storage::StorageError;

/// Why a node did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// An address cannot be listened on.
    #[error("cannot listen for {what} on {addr}: {source}{}", way_out(source, option))]
    Bind {
        /// Clients or members.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The option that sets it.
        option: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The store cannot be opened: in use, corrupt, not a directory.
    #[error(transparent)]
    Open(StorageError),
    /// The operating system's random source failed.
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
    /// The disk failed while the node ran.
    #[error("the disk failed, and the node stops; it acknowledges nothing from here on: {0}")]
    Disk(StorageError),
    /// The disk thread is gone without a word.
    #[error(
        "the disk thread ended by itself; this is a bug. Nothing that was acknowledged is lost: start the node again"
    )]
    DiskThread,
}

impl NodeError {
    /// Whether the node never began to run: a matter of how it was started, not of what happened to it.
    pub fn is_setup(&self) -> bool {
        !matches!(self, Self::Disk(_) | Self::DiskThread)
    }
}

fn way_out(source: &io::Error, option: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => format!("; end the program that has it, or choose another with {option}"),
        io::ErrorKind::PermissionDenied => format!("; choose a port above 1023 with {option}"),
        io::ErrorKind::AddrNotAvailable => format!("; choose an address of this machine with {option}"),
        _ => String::new(),
    }
}
