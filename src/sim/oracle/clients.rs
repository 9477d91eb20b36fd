//! What clients ask and are told.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::replication::RequestId;
use crate::sim::cluster::Cluster;
use crate::sim::text;
use crate::types::{Command, Entry, Failure, NodeId, Op, Position, ReadLevel, Reply, Role, Vote, WriteLevel};

use super::{Acknowledged, Asked, BrokenPromise, Oracle, ensure, holds};

impl Oracle {
    pub(super) fn ask(&mut self, request: RequestId, command: &Command) {
        let key = match command {
            Command::Write { op, .. } => op.key(),
            Command::Read { key, .. } => Some(key),
            Command::Promote { .. } | Command::Follow { .. } => None,
        };
        let floor = key.and_then(|key| self.returned.get(key)).copied().unwrap_or_default();
        self.asked.insert(request, Asked { command: command.clone(), floor });
    }

    pub(super) fn replied(
        &mut self,
        cluster: &Cluster,
        id: NodeId,
        request: RequestId,
        reply: &Reply,
    ) -> Result<(), BrokenPromise> {
        let Some(Asked { command, floor }) = self.asked.remove(&request) else { return Ok(()) };
        match (&command, reply) {
            (Command::Write { op, level, .. }, Reply::Written { at, votes }) => {
                let stands = self.entries.get(at).is_some_and(|(known, _)| known == op);
                ensure(stands, || format!("{id} acknowledges {} as {at}", text::op(op)))?;
                let key = op.key().cloned().unwrap_or_default();
                self.acknowledged.push(Acknowledged { at: *at, level: *level, key });
                match level {
                    WriteLevel::Async => ensure(holds(cluster.node(id), *at), || {
                        format!("{id} acknowledges {at}, which is not durable there")
                    }),
                    WriteLevel::Quorum => {
                        let acks = votes.iter().filter(|vote| vote.vote == Vote::Ack).count();
                        ensure(acks >= self.quorum, || format!("{id} acknowledges {at} by {acks} votes"))?;
                        self.is_on_quorum(cluster, *at, "acknowledged")?;
                        self.returns(op.key(), *at, floor, "a quorum write")
                    }
                }
            }
            (Command::Read { key, level, .. }, Reply::Value { found, .. }) => {
                let expected = Op::Put { key: key.clone(), value: found.value.clone().unwrap_or_default() };
                let stands = self.entries.get(&found.version);
                ensure(found.value.is_none() || stands.is_some_and(|(op, _)| *op == expected), || {
                    format!("{id} reads {} under {}", text::op(&expected), found.version)
                })?;
                match level {
                    ReadLevel::Eventual => self.is_fresh(cluster, id),
                    // An absent key may carry a floor instead of the version that removed it.
                    ReadLevel::Quorum if found.value.is_none() => Ok(()),
                    ReadLevel::Quorum => self.returns(Some(key), found.version, floor, "a quorum read"),
                }
            }
            (Command::Write { op: Op::Put { value, .. }, .. }, Reply::Failed(failure))
                if failure.is_definite() =>
            {
                self.refused.push((value.clone(), request));
                Ok(())
            }
            (Command::Write { .. }, Reply::Failed(Failure::NoQuorum { .. } | Failure::TooStale { .. }))
            | (
                Command::Read { .. } | Command::Promote { .. } | Command::Follow { .. },
                Reply::Written { .. },
            ) => Err(format!("{id} answers {} by {}", text::command(&command), text::reply(reply))),
            _ => Ok(()),
        }
    }

    /// A quorum operation returned this version: nothing that ended before it began may be newer.
    fn returns(
        &mut self,
        key: Option<&Bytes>,
        at: Position,
        floor: Position,
        what: &str,
    ) -> Result<(), BrokenPromise> {
        let Some(key) = key.filter(|_| !self.forced) else { return Ok(()) };
        let word = text::word(key);
        ensure(at >= floor, || format!("{what} of {word} returned {at} after {floor} had been returned"))?;
        let highest = self.returned.entry(key.clone()).or_default();
        *highest = at.max(*highest);
        Ok(())
    }

    /// A replica serves an eventual read only while its primary was heard lately, and was not far ahead then.
    fn is_fresh(&self, cluster: &Cluster, id: NodeId) -> Result<(), BrokenPromise> {
        let status = cluster.status(id).filter(|status| status.role != Role::Primary);
        if status.is_none() {
            return Ok(());
        }
        let node = cluster.node(id);
        let heard = self.heard.get(&id);
        // By its own clock: time bounds hold as far as that runs true.
        let now = node.clock().shows(cluster.now());
        let age = heard.map(|heard| now.saturating_sub(heard.at));
        ensure(age.is_some_and(|age| age <= node.config.stale_after), || {
            format!("{id} serves an eventual read at age {age:?}")
        })?;
        let lag = heard.map_or(0, |heard| heard.last.saturating_sub(node.disk.last().seq));
        ensure(lag <= node.config.stale_lag, || {
            format!("{id} serves an eventual read, {lag} operations behind")
        })
    }

    /// What must hold when all is healed and quiet: all members are equal, and every acknowledged
    /// write is accounted for.
    pub(crate) fn settled(&self, cluster: &Cluster) -> Result<(), BrokenPromise> {
        let mut nodes = cluster.nodes();
        let first = &nodes.next().expect("a member").disk;
        for node in nodes {
            let (id, disk) = (node.id(), &node.disk);
            ensure(disk.last() == first.last() && disk.lineage() == first.lineage(), || {
                format!("{id} ends at {}, the first member at {}", disk.last(), first.last())
            })?;
            ensure(disk.contents() == first.contents(), || format!("{id} holds other contents"))?;
        }
        let kept: Vec<Entry> = cluster.nodes().flat_map(|node| node.disk.rollbacks()).collect();
        let cleaned: Vec<Position> = cluster.nodes().flat_map(|node| node.disk.cleaned()).collect();
        for Acknowledged { at, level, key } in &self.acknowledged {
            let there = first.lineage().contains(*at, first.last().seq);
            // A log that came by a full resync may hold only the newest version of each key.
            let kept = || kept.iter().any(|entry| entry.at >= *at && entry.op.key() == Some(key));
            let kept = || kept() || cleaned.iter().any(|through| through >= at);
            let may_go = self.forced || *level == WriteLevel::Async;
            let torn = || self.torn_off.contains(at);
            ensure(there || (may_go && (self.wiped || torn() || kept())), || {
                format!("the {level:?} write {at} was acknowledged and is gone without a trace")
            })?;
        }
        Ok(())
    }

    /// What was refused was not written, provided that nobody has asked for it twice.
    pub(crate) fn refused_is_nowhere(&self) -> Result<(), BrokenPromise> {
        let written = self.entries.iter().filter_map(|(at, (op, _))| match op {
            Op::Put { value, .. } => Some((value, at)),
            Op::Noop | Op::Del { .. } => None,
        });
        let written: BTreeMap<&Bytes, &Position> = written.collect();
        for (value, request) in &self.refused {
            let stands = written.get(value);
            ensure(stands.is_none(), || format!("{request:?} was refused, but its value is at {stands:?}"))?;
        }
        Ok(())
    }
}
