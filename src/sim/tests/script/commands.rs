//! What the commands of a script do, `expect` apart.

use std::time::Duration;

use bytes::Bytes;

use crate::replication::{Config, DiskJob as Job};
use crate::sim::disk::Crash;
use crate::sim::network::{EnvelopeId, Link};
use crate::sim::text;
use crate::types::{Command, DiskCondition, NodeId, Op, Quirk, ReadLevel, WriteLevel};

use super::parse;
use super::runner::Runner;

const CLIENT_TIMEOUT: Duration = Duration::from_millis(500);

/// Carries out one command.
pub(super) fn carry_out(runner: &mut Runner, words: &[&str]) -> Result<(), String> {
    let (verb, rest) = (words[0], &words[1..]);
    match verb {
        "cluster" => begin(runner, rest),
        "put" | "del" | "get" | "promote" | "follow" | "fill" => ask(runner, verb, rest),
        "deliver" | "drop" | "duplicate" | "network" => network(runner, verb, rest),
        "slow" => slow(runner, rest),
        "cut" | "partition" | "heal" => links(runner, verb, rest),
        "crash" | "restart" | "wipe" | "tear" | "pause" | "resume" | "cleanup" | "persist" | "scrub" => {
            process(runner, verb, rest)
        }
        "disk" => disk(runner, rest),
        "rot" => rot(runner, rest),
        "tick" => runner.tick(parse::duration(one(rest)?)?),
        "run" => {
            runner.be_quiet();
            runner.run(parse::duration(one(rest)?)?)
        }
        "stabilize" => runner.stabilize(),
        "status" => {
            runner.cluster()?;
            runner.show_status();
            Ok(())
        }
        "log" => log(runner, parse::node(one(rest)?)?),
        _ => Err("no such command".to_owned()),
    }
}

fn begin(runner: &mut Runner, words: &[&str]) -> Result<(), String> {
    let setting = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str| match setting(name) {
        Some(word) => word.parse::<usize>().map(Some).map_err(|_| format!("{word:?} is not a number")),
        None => Ok(None),
    };
    let known = ["nodes", "first", "stale_after", "stale_lag", "backlog", "window", "quirk"];
    let stray = words.iter().find(|w| **w != "raw" && !known.contains(&w.split('=').next().unwrap_or("")));
    if let Some(word) = stray {
        return Err(format!("{word:?} is none of the settings {known:?}"));
    }
    let count = number("nodes")?.ok_or("how many nodes?")?;
    let members: Vec<NodeId> = (1..=count as u8).map(NodeId).collect();
    let mut configs = Vec::new();
    for &id in &members {
        let mut config = Config::new(id, members.clone());
        if let Some(word) = setting("first") {
            config.first_primary = parse::node(word)?;
        }
        if let Some(word) = setting("stale_after") {
            config.stale_after = parse::duration(word)?;
        }
        config.stale_lag = number("stale_lag")?.map_or(config.stale_lag, |lag| lag as u64);
        config.backlog_bytes = number("backlog")?.unwrap_or(config.backlog_bytes);
        config.window_bytes = number("window")?.unwrap_or(config.window_bytes);
        if let Some(name) = setting("quirk") {
            config.quirks = name.parse::<Quirk>().map_err(|error| error.to_string())?.into();
        }
        configs.push(config);
    }
    runner.begin(configs, words.contains(&"raw"))
}

fn ask(runner: &mut Runner, verb: &str, words: &[&str]) -> Result<(), String> {
    let id = parse::node(words.first().ok_or("at which node?")?)?;
    if verb == "fill" {
        return fill(runner, id, &words[1..]);
    }
    let quorum = words.contains(&"quorum");
    let timeout = words.iter().find_map(|word| word.strip_prefix("timeout="));
    let timeout = timeout.map_or(Ok(CLIENT_TIMEOUT), parse::duration)?;
    let subject = || words.get(1).copied().ok_or("which key?");
    let level = if quorum { WriteLevel::Quorum } else { WriteLevel::Async };
    let bytes = |word: &str| Bytes::copy_from_slice(word.as_bytes());
    let command = match verb {
        "put" => {
            let (key, value) = subject()?.split_once('=').ok_or("put what? K=V")?;
            Command::Write { op: Op::Put { key: bytes(key), value: bytes(value) }, level, timeout }
        }
        "del" => Command::Write { op: Op::Del { key: bytes(subject()?) }, level, timeout },
        "get" => {
            let level = if quorum { ReadLevel::Quorum } else { ReadLevel::Eventual };
            Command::Read { key: bytes(subject()?), level, timeout }
        }
        "follow" => Command::Follow { primary: parse::node(words.get(1).ok_or("follow whom?")?)? },
        _ => Command::Promote { force: words.contains(&"force") },
    };
    runner.request(id, command)
}

fn fill(runner: &mut Runner, id: NodeId, words: &[&str]) -> Result<(), String> {
    let number = |i: usize, what| words.get(i).and_then(|w| w.parse::<usize>().ok()).ok_or(what);
    let (count, size) = (number(0, "how many?")?, number(1, "of how many bytes?")?);
    runner.be_quiet();
    for i in 1..=count {
        let op = Op::Put { key: format!("fill-{i}").into(), value: vec![b'x'; size].into() };
        runner.extra(id, Command::Write { op, level: WriteLevel::Async, timeout: CLIENT_TIMEOUT })?;
    }
    Ok(())
}

fn rot(runner: &mut Runner, words: &[&str]) -> Result<(), String> {
    let [node, key] = words else { return Err("rot which key at which node?".to_owned()) };
    let disk = &mut runner.cluster_mut()?.node_mut(parse::node(node)?).disk;
    let at = disk.lookup(key.as_bytes()).version();
    if disk.rot(at, 0) { Ok(()) } else { Err(format!("there is no value of {key} that could rot")) }
}

fn network(runner: &mut Runner, verb: &str, words: &[&str]) -> Result<(), String> {
    if verb == "network" {
        let under_way = runner.cluster()?.network.under_way();
        if under_way.is_empty() {
            runner.print("nothing is under way");
        }
        for (link, id) in under_way {
            let envelope = runner.cluster()?.network.queue(link).iter().find(|e| e.id == id).cloned();
            let message = envelope.expect("a message under way").message;
            runner.print(&format!("{} → {} {}", link.0, link.1, text::message(&message)));
        }
        return Ok(());
    }
    let chosen = choose(runner, words)?;
    if chosen.is_empty() {
        return Err("nothing is under way there".to_owned());
    }
    for (link, id) in chosen {
        let message = name_of(runner, link, id)?;
        match verb {
            "deliver" => {
                if runner.cluster()?.node(link.1).paused {
                    return Err(format!("{} is paused", link.1));
                }
                if !runner.cluster()?.node(link.1).is_running() {
                    runner.print(&format!("{} is down: {message} is lost", link.1));
                }
                runner.deliver(link, id)?;
            }
            "drop" => {
                runner.cluster_mut()?.network.take(link, id);
                runner.print(&format!("{} ✗ {} {message}", link.0, link.1));
            }
            _ => {
                runner.cluster_mut()?.network.duplicate(link, id);
                runner.print(&format!("{} ⇉ {} {message}", link.0, link.1));
            }
        }
    }
    Ok(())
}

fn name_of(runner: &Runner, link: Link, id: EnvelopeId) -> Result<String, String> {
    let queue = runner.cluster()?.network.queue(link);
    let envelope = queue.iter().find(|envelope| envelope.id == id).ok_or("it is no longer under way")?;
    Ok(text::message_name(&envelope.message))
}

/// The messages that `[A->B [COUNT|all|last|KIND]]` stands for.
fn choose(runner: &Runner, words: &[&str]) -> Result<Vec<(Link, EnvelopeId)>, String> {
    let network = &runner.cluster()?.network;
    let Some(word) = words.first() else { return Ok(network.under_way()) };
    let link = parse::link(word)?;
    let queue = network.queue(link);
    let chosen: Vec<_> = match words.get(1).copied() {
        None => queue.iter().take(1).collect(),
        Some("all") => queue.iter().collect(),
        Some("last") => queue.iter().rev().take(1).collect(),
        Some(word) => match word.parse::<usize>() {
            Ok(count) if count <= queue.len() => queue.iter().take(count).collect(),
            Ok(_) => return Err(format!("only {} messages are under way there", queue.len())),
            Err(_) => queue.iter().find(|e| text::message_kind(&e.message) == word).into_iter().collect(),
        },
    };
    Ok(chosen.into_iter().map(|envelope| (link, envelope.id)).collect())
}

fn links(runner: &mut Runner, verb: &str, words: &[&str]) -> Result<(), String> {
    let cluster = runner.cluster_mut()?;
    let cut: Vec<Link> = match verb {
        "heal" if words.is_empty() => {
            cluster.network.heal_all();
            Vec::new()
        }
        "heal" => {
            for link in both(words[0])? {
                cluster.network.heal(link);
            }
            Vec::new()
        }
        "cut" => both(one(words)?)?,
        _ => {
            let groups: Vec<Vec<NodeId>> = words
                .split(|word| *word == "|")
                .map(|group| group.iter().map(|word| parse::node(word)).collect())
                .collect::<Result<_, _>>()?;
            let apart = |a: NodeId, b: NodeId| !groups.iter().any(|g| g.contains(&a) && g.contains(&b));
            let all: Vec<NodeId> = groups.concat();
            let pairs = all.iter().flat_map(|&a| all.iter().map(move |&b| (a, b)));
            pairs.filter(|&(a, b)| a != b && apart(a, b)).collect()
        }
    };
    for link in cut {
        cluster.network.cut(link);
        cluster.network.clear(link);
    }
    Ok(())
}

fn slow(runner: &mut Runner, words: &[&str]) -> Result<(), String> {
    let [links, delay] = words else { return Err("slow A<->B DELAY".to_owned()) };
    let delay = parse::duration(delay)?;
    runner.slow.extend(both(links)?.into_iter().map(|link| (link, delay)));
    Ok(())
}

/// `A->B` or `A<->B`.
fn both(word: &str) -> Result<Vec<Link>, String> {
    match word.split_once("<->") {
        Some((a, b)) => {
            let (a, b) = (parse::node(a)?, parse::node(b)?);
            Ok(vec![(a, b), (b, a)])
        }
        None => Ok(vec![parse::link(word)?]),
    }
}

fn process(runner: &mut Runner, verb: &str, words: &[&str]) -> Result<(), String> {
    let id = parse::node(words.first().ok_or("which node?")?)?;
    let number = |i: usize| match words.get(i) {
        Some(word) => word.parse::<usize>().map_err(|_| format!("{word:?} is not a number")),
        None => Ok(0),
    };
    let down = |runner: &Runner| match runner.cluster()?.node(id).is_running() {
        true => Err(format!("{id} is running")),
        false => Ok(()),
    };
    match verb {
        "persist" => return persist(runner, id, words.get(1).copied()),
        "restart" => {
            down(runner)?;
            return runner.start(id);
        }
        "wipe" => {
            down(runner)?;
            runner.cluster_mut()?.node_mut(id).wipe();
        }
        "tear" => {
            down(runner)?;
            runner.cluster_mut()?.node_mut(id).disk.tear_tail(0);
        }
        "crash" => {
            let crash = Crash { survivors: number(1)?, torn: number(2)?, ..Crash::CLEAN };
            runner.cluster_mut()?.crash(id, crash);
            return runner.flush();
        }
        "cleanup" => {
            let cleaned = runner.cluster_mut()?.node_mut(id).disk.cleanup(u64::MAX);
            assert!(cleaned, "the model cleans up");
        }
        "scrub" => {
            runner.running(id)?;
            runner.cluster_mut()?.node_mut(id).disk.scrub();
        }
        "pause" => {
            runner.running(id)?;
            runner.cluster_mut()?.node_mut(id).paused = true;
        }
        _ => runner.cluster_mut()?.node_mut(id).paused = false,
    }
    Ok(())
}

fn disk(runner: &mut Runner, words: &[&str]) -> Result<(), String> {
    let [id, state @ ("full" | "room")] = words else { return Err("disk N full, or disk N room".to_owned()) };
    let id = parse::node(id)?;
    runner.running(id)?;
    let cluster = runner.cluster_mut()?;
    cluster.node_mut(id).condition = if *state == "full" { DiskCondition::Full } else { DiskCondition::Ok };
    cluster.tell_room(id);
    runner.flush()
}

fn persist(runner: &mut Runner, id: NodeId, how_many: Option<&str>) -> Result<(), String> {
    runner.running(id)?;
    let pending = runner.cluster()?.node(id).jobs().len();
    if !runner.cluster()?.node(id).can_persist() {
        return Err("its disk has nothing to do, or no room to do it".to_owned());
    }
    if how_many == Some("all") {
        while runner.persist(id)? {}
        return Ok(());
    }
    let count = match how_many {
        Some(word) => word.parse().map_err(|_| format!("{word:?} is not a number"))?,
        None => pending,
    };
    if count > pending {
        return Err(format!("its disk has only {pending} jobs to do"));
    }
    for _ in 0..count {
        runner.persist(id)?;
    }
    Ok(())
}

fn log(runner: &mut Runner, id: NodeId) -> Result<(), String> {
    let node = runner.cluster()?.node(id);
    let mut lines: Vec<String> = node.disk.records().iter().map(text::entry).collect();
    let gaps = node.disk.last().seq as usize != lines.len();
    if gaps {
        lines.push(format!("(the state as of a full resync; the log ends at {})", node.disk.last()));
    }
    let under_way = node.jobs().iter().flat_map(|job| match &**job {
        Job::Append { entries, .. } | Job::InstallChunk { entries, .. } => entries.as_slice(),
        _ => &[],
    });
    lines.extend(under_way.map(|entry| format!("{} (not durable)", text::entry(entry))));
    if lines.is_empty() {
        lines.push("(empty)".to_owned());
    }
    lines.iter().for_each(|line| runner.print(line));
    Ok(())
}

/// The only word.
fn one<'a>(words: &[&'a str]) -> Result<&'a str, String> {
    match words {
        [word] => Ok(word),
        _ => Err("one word is wanted here".to_owned()),
    }
}
