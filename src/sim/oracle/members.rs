//! What members say to each other and write to their disks.

use crate::sim::cluster::Cluster;
use crate::sim::network::Link;
use crate::sim::node::SimNode;
use crate::sim::text;
use crate::types::{Ballot, Entry, Epoch, Message, Position};

use super::{BrokenPromise, Heard, Oracle, ensure, holds};

impl Oracle {
    pub(super) fn sent(
        &mut self,
        cluster: &Cluster,
        (from, _): Link,
        message: &Message,
    ) -> Result<(), BrokenPromise> {
        let node = cluster.node(from);
        match message {
            Message::VoteReply { epoch, pre: false, ballot: Ballot::Granted, .. } => self.voted(node, *epoch),
            Message::Ack { epoch, durable, .. } => self.acked(cluster, node, *epoch, *durable),
            Message::ReadAnswer { promised, last, found, .. } => {
                let disk = &node.disk;
                ensure(disk.last() == *last, || {
                    format!("{from} answers a read as of {last}, its disk ends {}", disk.last())
                })?;
                ensure(!disk.promise().learner, || format!("{from} is a learner and answers a quorum read"))?;
                let absent = found.found().is_some_and(|found| found.value.is_none());
                ensure(absent || self.stands(found.version()), || {
                    format!("{from} answers with version {}, which nobody wrote", found.version())
                })?;
                self.show(cluster, node, *promised, "answers a read as having promised")
            }
            _ => Ok(()),
        }
    }

    fn voted(&mut self, node: &SimNode, epoch: Epoch) -> Result<(), BrokenPromise> {
        let (id, saved) = (node.id(), node.disk.promise());
        ensure(saved.epoch >= epoch, || format!("{id} votes for {epoch} with {} on disk", saved.epoch))?;
        ensure(!saved.learner, || format!("{id} is a learner and votes for {epoch}"))?;
        let before = *self.granted.entry((id, epoch.number)).or_insert(epoch);
        // To say yes to an epoch that has been opened long since changes nothing any more.
        let late = self.opened.contains_key(&epoch);
        ensure(before == epoch || late, || format!("{id} votes for {epoch} after {before}"))?;
        let shown = self.shown.entry(id).or_default();
        *shown = epoch.max(*shown);
        Ok(())
    }

    /// A member tells others what it has promised: it must be on disk, be all it knows of, and never go back.
    fn show(
        &mut self,
        cluster: &Cluster,
        node: &SimNode,
        epoch: Epoch,
        how: &str,
    ) -> Result<(), BrokenPromise> {
        let id = node.id();
        let disk = node.disk.promise().epoch.max(node.disk.last().epoch);
        ensure(disk >= epoch, || format!("{id} {how} {epoch}, but has {disk} on disk"))?;
        let knows = cluster.status(id).map_or(Epoch::ZERO, |status| status.promised);
        ensure(knows == epoch, || format!("{id} {how} {epoch}, but has promised {knows}"))?;
        let shown = self.shown.entry(id).or_default();
        ensure(epoch >= *shown, || format!("{id} {how} {epoch} after having shown {shown}"))?;
        *shown = epoch;
        Ok(())
    }

    fn acked(
        &mut self,
        cluster: &Cluster,
        node: &SimNode,
        epoch: Epoch,
        durable: u64,
    ) -> Result<(), BrokenPromise> {
        let id = node.id();
        if durable == 0 {
            return Ok(());
        }
        self.show(cluster, node, epoch, "acknowledges in")?;
        let Some(lineage) = self.epochs.get(&epoch) else {
            return Err(format!("{id} acknowledges in {epoch}, which nobody opened"));
        };
        let at = Position::new(lineage.epoch_of(durable), durable);
        ensure(holds(node, at), || {
            format!("{id} acknowledges {at} in {epoch}, but its disk ends at {}", node.disk.last())
        })
    }

    /// A member has heard a primary, unless it has promised a higher epoch: then it refuses what it heard.
    pub(super) fn received(&mut self, cluster: &Cluster, (from, to): Link, message: &Message) {
        let before = self.heard.get(&to).copied().unwrap_or_default();
        let (epoch, last) = match message {
            Message::Heartbeat { epoch, last, .. } => (*epoch, *last),
            Message::Append { epoch, .. } => (*epoch, before.last),
            _ => return,
        };
        debug_assert_eq!(from, epoch.node);
        if epoch >= before.epoch && cluster.status(to).is_some_and(|status| epoch >= status.promised) {
            let at = cluster.node(to).clock().shows(cluster.now());
            self.heard.insert(to, Heard { at, epoch, last });
        }
    }

    pub(super) fn appended(&mut self, node: &SimNode, entries: &[Entry]) -> Result<(), BrokenPromise> {
        if entries.is_empty() {
            return Ok(());
        }
        let (id, lineage) = (node.id(), node.lineage());
        for entry in entries {
            let before = entry.at.seq - 1;
            let before = Position::new(lineage.epoch_of(before), before);
            let known = self.entries.entry(entry.at).or_insert_with(|| (entry.op.clone(), before));
            ensure(known.0 == entry.op && known.1 == before, || {
                format!(
                    "two entries under {}: {id} appends {} after {before}, but there is {} after {}",
                    entry.at,
                    text::op(&entry.op),
                    text::op(&known.0),
                    known.1
                )
            })?;
            if entry.at.epoch.node == id {
                self.epochs.entry(entry.at.epoch).or_insert_with(|| lineage.clone());
            } else {
                ensure(self.epochs.contains_key(&entry.at.epoch), || {
                    format!("{} comes from nowhere", entry.at)
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn installed(&mut self, node: &SimNode) -> Result<(), BrokenPromise> {
        for record in node.disk.records() {
            let known = self.entries.get(&record.at);
            ensure(known.is_some_and(|(op, _)| *op == record.op), || {
                format!("{} installs {}, but there is {known:?}", node.id(), text::entry(&record))
            })?;
        }
        Ok(())
    }

    /// Whether an entry was ever appended under this position.
    pub(super) fn stands(&self, at: Position) -> bool {
        self.entries.contains_key(&at)
    }
}
