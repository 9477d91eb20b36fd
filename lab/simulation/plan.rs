//! From a scenario's words to a simulated cluster.

use std::time::Duration;

use kvlab::replication::Config;
use kvlab::sim::{Environment, NetworkQuality};
use kvlab::storage::Durability;
use kvlab::types::{NodeId, Quirk};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

use crate::scenario::language::model::ClusterPlan;

pub(crate) fn durability(plan: &ClusterPlan) -> Durability {
    // A node that acknowledges before it has synced asks for no sync.
    let rushes = plan.settings.quirks.has(Quirk::AckBeforeSync);
    if rushes { Durability::Os } else { plan.settings.durability.unwrap_or_default() }
}

pub(crate) fn configs(plan: &ClusterPlan) -> Vec<Config> {
    let members: Vec<NodeId> = (1..=plan.nodes).map(NodeId).collect();
    let config = |&id| {
        let default = Config::new(id, members.clone());
        let backlog_bytes = plan.settings.backlog_bytes.map_or(default.backlog_bytes, |bytes| bytes as usize);
        Config {
            stale_after: plan.settings.stale_after.unwrap_or(default.stale_after),
            stale_lag: plan.settings.stale_lag.unwrap_or(default.stale_lag),
            backlog_bytes,
            // As a node has it.
            window_bytes: default.window_bytes.min(backlog_bytes),
            quirks: plan.settings.quirks,
            ..default
        }
    };
    members.iter().map(config).collect()
}

/// One machine is not like another: a local network, and disks from good to poor.
pub(crate) fn environment(chance: &mut SmallRng) -> Environment {
    let pick = |from: &[u64], chance: &mut SmallRng| *from.choose(chance).expect("there are some");
    let delay_max = Duration::from_micros(pick(&[300, 1000, 5000], chance));
    let disk_max = Duration::from_micros(pick(&[500, 2000, 10_000], chance));
    Environment {
        network: NetworkQuality { delay_max, ..NetworkQuality::CALM },
        disk_max,
        ..Environment::CALM
    }
}
