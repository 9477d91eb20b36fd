//! What a claim stands or falls with: conditions that an update of the recorded output cannot soften.
//!
//! | condition | holds if |
//! |---|---|
//! | `w1 pending` | the request has no answer yet |
//! | `w1 KIND [TEXT]` | it was answered so (`written value promoted following read-only too-stale unknown deposed no-quorum refused busy invalid not-followed`), and the answer says TEXT |
//! | `primaries N…` | these running members, and no others, call themselves primary |
//! | `role N ROLE`, `epoch N E`, `promised N E`, `commit N SEQ`, `last N POSITION` | so says the member's status |
//! | `saved N E` | the promise on the member's disk |
//! | `durable N SEQ`, `has N POSITION`, `lacks N POSITION` | the log on the member's disk |
//! | `key N K=V`, `key N K absent` | the durable state |
//! | `kept N TEXT` | a rollback file of the member holds an entry that says TEXT |
//! | `equal` | all running members' disks hold the same log end, lineage and contents |
//! | `sending A->B KIND`, `silent A->B [KIND]` | messages under way |
//! | `seen TEXT`, `unseen TEXT` | something that happened in this block, printed or not, says TEXT |

use crate::sim::text;
use crate::types::{NodeId, Role, Status};

use super::parse;
use super::runner::Runner;

impl Runner {
    /// Fails unless the condition holds.
    pub(super) fn expect(&self, words: &[&str]) -> Result<(), String> {
        let (what, rest) = words.split_first().ok_or("expect what?")?;
        match *what {
            "primaries" => self.expect_primaries(rest),
            "role" | "epoch" | "promised" | "commit" | "last" => self.expect_status(what, rest),
            "saved" | "durable" | "has" | "lacks" | "key" | "kept" => self.expect_disk(what, rest),
            "equal" => self.expect_equal(),
            "sending" | "silent" => self.expect_under_way(*what == "sending", rest),
            "seen" => check(self.has_seen(rest), true, "whether it happened"),
            "unseen" => check(self.has_seen(rest), false, "whether it happened"),
            label => self.expect_reply(label, rest),
        }
    }

    fn has_seen(&self, words: &[&str]) -> bool {
        let text = words.join(" ");
        self.seen().iter().any(|line| line.contains(&text))
    }

    fn expect_reply(&self, label: &str, words: &[&str]) -> Result<(), String> {
        let (kind, text) = words.split_first().ok_or("expect which answer?")?;
        let Some(reply) = self.reply(label)? else {
            return check("pending", kind, "its answer");
        };
        let said = text::reply(reply);
        check(text::reply_kind(reply), kind, &format!("the answer ({said})"))?;
        let wanted = text.join(" ");
        if said.contains(&wanted) { Ok(()) } else { Err(format!("it was answered: {said}")) }
    }

    fn expect_primaries(&self, words: &[&str]) -> Result<(), String> {
        let cluster = self.cluster()?;
        let primary = |id: &NodeId| cluster.status(*id).is_some_and(|s| s.role == Role::Primary);
        let is: Vec<_> = cluster.ids().into_iter().filter(primary).collect();
        check(text::names(&is).as_str(), words.join(" ").as_str(), "the primaries")
    }

    fn expect_status(&self, what: &str, words: &[&str]) -> Result<(), String> {
        let [node, wanted] = words else { return Err("of which node, and what?".to_owned()) };
        let id = parse::node(node)?;
        let status: Status = self.cluster()?.status(id).ok_or_else(|| format!("{id} is down"))?;
        let is = match what {
            "role" => format!("{:?}", status.role).to_lowercase(),
            "epoch" => status.epoch.to_string(),
            "promised" => status.promised.to_string(),
            "commit" => status.commit.to_string(),
            _ => status.last.to_string(),
        };
        check(is.as_str(), wanted, what)
    }

    fn expect_disk(&self, what: &str, words: &[&str]) -> Result<(), String> {
        let (node, rest) = words.split_first().ok_or("of which node?")?;
        let disk = &self.cluster()?.node(parse::node(node)?).disk;
        let wanted = rest.join(" ");
        let has = |position: &str| {
            let (epoch, seq) = position.split_once('/').ok_or("a position is like 1@n1/2")?;
            let epoch = epoch.parse().map_err(|error| format!("{error}"))?;
            let seq = seq.parse().map_err(|_| "a position is like 1@n1/2")?;
            let at = crate::types::Position::new(epoch, seq);
            Ok::<_, String>(disk.lineage().contains(at, disk.last().seq))
        };
        match what {
            "saved" => {
                check(disk.promise().epoch.to_string().as_str(), wanted.as_str(), "the promise on disk")
            }
            "durable" => check(disk.last().seq.to_string().as_str(), wanted.as_str(), "the durable seq"),
            "has" => check(has(&wanted)?, true, "whether it is there"),
            "lacks" => check(has(&wanted)?, false, "whether it is there"),
            "key" => {
                let key = wanted.split(['=', ' ']).next().unwrap_or_default();
                let is = match disk.lookup(key.as_bytes()).found().and_then(|found| found.value.clone()) {
                    Some(value) => format!("{key}={}", text::word(&value)),
                    None => format!("{key} absent"),
                };
                check(is.as_str(), wanted.as_str(), "the key")
            }
            _ => {
                let kept: Vec<_> = disk.rollbacks().iter().map(text::entry).collect();
                check(kept.iter().any(|entry| entry.contains(&wanted)), true, "whether it was kept")
            }
        }
    }

    fn expect_equal(&self) -> Result<(), String> {
        let mut running = self.cluster()?.nodes().filter(|node| node.is_running());
        let Some(first) = running.next() else { return Ok(()) };
        for other in running {
            let (a, b) = (&first.disk, &other.disk);
            let ids = format!("{} and {}", first.id(), other.id());
            check(a.last(), b.last(), &format!("where {ids} end"))?;
            check(a.lineage(), b.lineage(), &format!("the lineages of {ids}"))?;
            check(a.contents(), b.contents(), &format!("the contents of {ids}"))?;
        }
        Ok(())
    }

    fn expect_under_way(&self, wanted: bool, words: &[&str]) -> Result<(), String> {
        let (link, kind) = words.split_first().ok_or("on which link?")?;
        let queue = self.cluster()?.network.queue(parse::link(link)?);
        let of_kind = |name: &str| kind.is_empty() || kind[0] == name;
        let is = queue.iter().any(|envelope| of_kind(&text::message_kind(&envelope.message)));
        check(is, wanted, "whether it is under way")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "conditions read like sentences")]
fn check<T: PartialEq + std::fmt::Debug>(is: T, wanted: T, what: &str) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what}: is {is:?}, not {wanted:?}")) }
}
