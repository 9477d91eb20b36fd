//! `kvlab topology`: asks one node who the members are, where they are and what part they have.

use kvlab::types::NodeId;
use kvlab::wire::{Request, Response, Topology, TopologyMember};

use super::support::exit::{CommandError, Exit};
use super::support::table::row;
use super::support::{output, reach};
use crate::cli::TopologyArgs;
use crate::text::words;

pub async fn run(args: TopologyArgs) -> Result<Exit, CommandError> {
    let cluster = reach::cluster(&args.cluster).await?;
    let topology = match args.node {
        Some(named) => {
            let node = cluster.node(Some(named))?;
            let answer = ask(&cluster, node).await;
            answer.map_err(|why| Exit::Refused.because(format!("{node}: {why}")))?
        }
        None => first_answer(&cluster).await?,
    };
    if args.json {
        let object = serde_json::to_string(&topology).expect("plain data becomes JSON");
        output::print(format!("{object}\n"))?;
    } else {
        output::print(table(&topology))?;
    }
    Ok(Exit::Done)
}

/// Any node will do: each knows all members.
async fn first_answer(cluster: &reach::Reached) -> Result<Topology, CommandError> {
    let mut reasons = Vec::new();
    let others = cluster.members.keys().filter(|node| **node != cluster.first);
    for node in std::iter::once(&cluster.first).chain(others) {
        match ask(cluster, *node).await {
            Ok(topology) => return Ok(topology),
            Err(why) => reasons.push(format!("{node}: {why}")),
        }
    }
    Err(Exit::Refused.because(format!("no node answers; {}", reasons.join("; "))))
}

async fn ask(cluster: &reach::Reached, node: NodeId) -> Result<Topology, String> {
    let answer = cluster.ask(&cluster.members[&node], Request::Topology, reach::ANSWER_WITHIN).await;
    match answer.map_err(|error| error.to_string())? {
        Response::Topology(topology) => Ok(topology),
        _ => Err("the answer is not a topology".to_owned()),
    }
}

const WIDTHS: [usize; 6] = [5, 10, 5, 9, 21, 0];

fn table(topology: &Topology) -> String {
    let primary = topology.primary.map_or("no primary".to_owned(), |node| format!("primary {node}"));
    let mut out = format!("as {} knows it: {primary}, epoch {}\n", topology.node, topology.epoch);
    row(&mut out, &WIDTHS, ["node", "role", "link", "heard", "clients", "members"]);
    topology.members.iter().for_each(|member| row(&mut out, &WIDTHS, cells(topology, member)));
    out
}

fn cells(topology: &Topology, member: &TopologyMember) -> [String; 6] {
    let role = member.role.map_or("?", words::role);
    let itself = member.node == topology.node;
    let link = if itself {
        "-"
    } else if member.connected {
        "up"
    } else {
        "down"
    };
    let heard = match member.heard_ms {
        _ if itself => "-".to_owned(),
        Some(ms) => format!("{ms} ms"),
        None => "never".to_owned(),
    };
    let client = member.client.clone().unwrap_or_else(|| "?".to_owned());
    [member.node.to_string(), role.to_owned(), link.to_owned(), heard, client, member.peer.clone()]
}

#[cfg(test)]
mod tests {
    use kvlab::types::{Epoch, NodeId, Role};

    use super::*;

    #[test]
    fn what_a_node_does_not_know_is_a_question_mark() {
        let member = |id: u8, role, client: Option<&str>, heard_ms| TopologyMember {
            node: NodeId(id),
            role,
            client: client.map(str::to_owned),
            peer: format!("127.0.0.1:900{id}"),
            connected: id == 1,
            heard_ms,
        };
        let topology = Topology {
            node: NodeId(2),
            epoch: Epoch::ZERO,
            primary: None,
            members: vec![
                member(1, None, None, Some(12)),
                member(2, Some(Role::Replica), Some("127.0.0.1:7002"), None),
                member(3, None, None, None),
            ],
        };
        let expected = "as n2 knows it: no primary, epoch 0@n0\n\
                        node  role       link  heard     clients               members\n\
                        n1    ?          up    12 ms     ?                     127.0.0.1:9001\n\
                        n2    replica    -     -         127.0.0.1:7002        127.0.0.1:9002\n\
                        n3    ?          down  never     ?                     127.0.0.1:9003\n";
        assert_eq!(table(&topology), expected);
    }
}
