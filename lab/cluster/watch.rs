//! Watches a node over a direct connection, which passes through no link: no partition keeps the lab from seeing it.
#![expect(clippy::disallowed_methods, reason = "pauses between attempts to connect")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kvlab::client::Backoff;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::supervisor::{Context, Supervisor};

/// Pauses between attempts grow from the first to the second. A stopped process's kernel accepts connections that
/// nobody answers.
const RETRY: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(320)];
/// How long the reports of a process that has ended may still be under way.
const LAST_REPORTS: Duration = Duration::from_millis(100);

/// Watches a node for as long as the cluster stands: connects as soon as the process is ready, passes on what
/// it tells, connects again when the connection breaks.
pub(super) async fn watch(supervisor: Arc<Supervisor>, context: Context) {
    let Context { engine, shared, .. } = context;
    let node = supervisor.node();
    let address = supervisor.launch().client.to_string();
    let mut up = supervisor.life.up();
    let mut backoff = Backoff::between(RETRY[0], RETRY[1], u64::from(node.0));
    loop {
        let Ok(Some(start)) = up.wait_for(Option::is_some).await.map(|up| *up) else { return };
        let attempt = async {
            let mut reports = engine.watch(address.clone()).await?;
            let first = reports.next().await;
            anyhow::Ok(first.map(|first| (first, reports)))
        };
        let watching = tokio::select! {
            watching = attempt => watching,
            // It ended while we tried: the next start will have a connection of its own.
            () = over(&mut up, start) => continue,
        };
        if let Ok(Some((first, mut reports))) = watching {
            shared.watched(node, true);
            shared.report(node, first);
            supervisor.set_watched(start);
            loop {
                tokio::select! {
                    report = reports.next() => match report {
                        Some(report) => shared.report(node, report),
                        None => break,
                    },
                    () = over(&mut up, start) => {
                        // What it said last is still under way.
                        while let Ok(Some(report)) = timeout(LAST_REPORTS, reports.next()).await {
                            shared.report(node, report);
                        }
                        break;
                    }
                }
            }
            shared.watched(node, false);
            backoff.reset();
        }
        tokio::select! {
            () = sleep(backoff.wait()) => {}
            () = over(&mut up, start) => backoff.reset(),
        }
    }
}

/// Returns when this start of the process can no longer be talked to.
async fn over(up: &mut watch::Receiver<Option<u64>>, start: u64) {
    // The sender is the supervisor's, which is held: this does not fail.
    let _ = up.wait_for(|&up| up != Some(start)).await;
}
