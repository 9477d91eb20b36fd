//! Who is primary, what is committed, and what a member says of itself.

use std::collections::BTreeSet;

use crate::sim::cluster::Cluster;
use crate::sim::node::SimNode;
use crate::sim::text;
use crate::types::{Event, NodeId, Position, Role, Status};

use super::{BrokenPromise, Heard, Oracle, ensure, holds};

impl Oracle {
    pub(super) fn state_changed(
        &mut self,
        cluster: &Cluster,
        id: NodeId,
        event: &Event,
    ) -> Result<(), BrokenPromise> {
        match event {
            // What a primary served until now was current, as far as anyone could know.
            Event::SteppedDown { epoch, .. } => {
                let at = cluster.node(id).clock().shows(cluster.now());
                self.heard.insert(id, Heard { at, epoch: *epoch, last: 0 });
                self.leads.remove(&id);
                Ok(())
            }
            Event::EpochOpened { epoch, forced, voters } => {
                self.forced |= forced;
                let before = self.opened.insert(*epoch, id);
                ensure(before.is_none() && epoch.node == id, || format!("{id} opens {epoch} again"))?;
                self.leads.insert(id, *epoch);
                let node = cluster.node(id);
                ensure(self.epochs.contains_key(epoch), || format!("{id} opens {epoch} without a no-op"))?;
                if self.forced {
                    return Ok(());
                }
                ensure(voters.len() >= self.quorum, || {
                    format!("{id} opens {epoch} by {}", text::names(voters))
                })?;
                for &voter in voters {
                    let disk = cluster.node(voter).disk.promise();
                    ensure(disk.epoch >= *epoch || self.wiped, || {
                        format!("{id} opens {epoch} by the vote of {voter}, whose disk has {}", disk.epoch)
                    })?;
                }
                let lineage = node.lineage();
                let below = self.committed_in.range(..epoch).next_back();
                let lost = below.map_or(Position::ZERO, |(_, at)| *at);
                ensure(lineage.contains(lost, node.last().seq), || {
                    format!("{id} opens {epoch} with a log {lineage:?} that lacks {lost}, which is committed")
                })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn state(&mut self, cluster: &Cluster, id: NodeId) -> Result<(), BrokenPromise> {
        let Some(status) = cluster.status(id) else { return Ok(()) };
        let node = cluster.node(id);
        let Status { last, durable, commit, promised, role, epoch, .. } = status;
        if role == Role::Primary {
            let leads = self.leads.get(&id).copied().unwrap_or_default();
            ensure(leads == epoch && epoch.node == id, || {
                format!("{id} is primary of {epoch}, but its process has opened {leads}")
            })?;
        }
        ensure(last == node.last(), || {
            format!("{id} says that its log ends at {last}, not at {}", node.last())
        })?;
        ensure(durable <= node.disk.last().seq, || format!("{id} says that {durable} is durable"))?;
        let shown = self.shown.get(&id).copied().unwrap_or_default();
        ensure(promised >= shown, || format!("{id} has promised {promised} after having shown {shown}"))?;
        let known = self.commits.insert(id, commit).unwrap_or(0);
        ensure(commit >= known || self.forced, || {
            format!("{id}: commit goes back from {known} to {commit}")
        })?;
        ensure(commit <= last.seq, || format!("{id}: commit {commit} beyond {last}"))?;
        if commit == known || self.forced {
            return Ok(());
        }
        let lineage = node.lineage();
        let at = Position::new(lineage.epoch_of(commit), commit);
        let (highest, its_lineage) = &self.committed;
        if at.seq <= highest.seq {
            return ensure(its_lineage.contains(at, highest.seq), || {
                format!("{id} holds {at} for committed, but {highest} is, of lineage {its_lineage:?}")
            });
        }
        ensure(lineage.contains(*highest, last.seq), || {
            format!("{id} holds {at} for committed, of lineage {lineage:?}, which lacks {highest}")
        })?;
        self.is_on_quorum(cluster, at, "committed")?;
        self.committed = (at, lineage);
        self.committed_in.insert(at.epoch, at);
        Ok(())
    }

    pub(super) fn is_on_quorum(
        &self,
        cluster: &Cluster,
        at: Position,
        what: &str,
    ) -> Result<(), BrokenPromise> {
        let ghosts = self.ghosts.iter().filter(|(_, lineage, last)| lineage.contains(at, *last)).map(|g| g.0);
        let has = |node: &&SimNode| holds(node, at) && !node.disk.promise().learner;
        let have: BTreeSet<NodeId> = cluster.nodes().filter(has).map(SimNode::id).chain(ghosts).collect();
        ensure(self.forced || have.len() >= self.quorum, || {
            format!("{at} is {what}, but only on the disks of {have:?}")
        })
    }
}
