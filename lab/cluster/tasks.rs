//! Tasks that end with the cluster.

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Where the cluster's tasks are counted, and how each is told to end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    ending: CancellationToken,
}

impl Tasks {
    /// Runs a task until it is done or the cluster ends: it may be dropped at any await.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        self.tracker.spawn(async move {
            ending.run_until_cancelled_owned(task).await;
        });
    }

    /// Ends all tasks when dropped.
    pub(super) fn guard(&self) -> DropGuard {
        self.ending.clone().drop_guard()
    }

    /// Ends all tasks and waits until they are gone.
    pub(super) async fn end(&self) {
        self.ending.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.tracker.len()
    }
}
