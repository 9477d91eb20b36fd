//! Node processes, directed links, and the supervisor that starts, breaks and ends them.
//!
//! ```text
//!  Cluster (handle) ──┬─ Supervisor per node ── process ── spawner thread
//!                     │       └─ watch: direct status connection ─┐
//!                     ├─ Link per ordered pair                    ├─► View + Journal (view)
//!                     └─ proxy per ordered pair and port ── pipes ┘
//! ```
//!
//! Read `handle` for what a cluster is, `supervisor` for the life of a node, `link`, `pipe` and `proxy` for
//! what a partition does to bytes, `engine` for what another store would have to say about itself. Nothing
//! outside this room assumes that a node is ours.
//!
//! Not handled: bandwidth limits; one link for several connections shares no queue (each connection is
//! delayed on its own); a lab that is stopped (Ctrl-Z) is a total partition, since it carries every link.

mod frame;
mod handle;
mod limits;
mod link;
mod pipe;
mod ports;
mod process;
mod proxy;
mod supervisor;
mod tasks;
#[cfg(test)]
mod tests;
mod view;
mod watch;

pub(crate) use self::handle::{Cluster, ClusterOptions};
pub(crate) use self::view::View;
