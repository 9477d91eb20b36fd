//! Node processes, directed links, and the supervisor that starts, breaks and ends them.
//!
//! ```text
//!  Cluster (handle) ──┬─ Supervisor per node ── process ── spawner thread
//!                     │       └─ watch: direct status connection ─┐
//!                     ├─ Link per ordered pair                    ├─► View + Journal (view)
//!                     └─ proxy per ordered pair and port ── pipes ┘
//! ```
//!
//! Read `start` for what a cluster is put together from, `handle` for what can be done to it, `supervisor` and
//! `lifecycle` for the life of a node, `link`, `pipe` and `proxy` for what a partition does to bytes.
//!
//! Not handled: bandwidth limits; one link for several connections shares no queue (each connection is
//! delayed on its own); a lab that is stopped (Ctrl-Z) is a total partition, since it carries every link.

mod frame;
mod handle;
mod lifecycle;
mod limits;
mod link;
mod pipe;
mod ports;
mod process;
mod proxy;
mod start;
mod supervisor;
mod tasks;
#[cfg(test)]
mod tests;
mod view;
mod watch;

pub(crate) use self::handle::Cluster;
pub(crate) use self::limits::raise_open_files;
pub(crate) use self::start::ClusterOptions;
pub(crate) use self::view::View;
