//! The program and its subcommands, in the order in which help lists them.

use clap::{Parser, Subcommand};

use super::cluster::{
    CleanupArgs, DelArgs, FollowArgs, GetArgs, PromoteArgs, PutArgs, StatusArgs, TopologyArgs,
};
use super::histories::{CheckArgs, ExportArgs, ShrinkArgs};
use super::node::NodeArgs;
use super::pages::{CompletionsArgs, ManArgs};
use super::runs::{GoneArgs, RecordArgs, ReportArgs, RunArgs, RunsArgs, ScenariosArgs, SimArgs, UpArgs};

/// A terminal lab for replication: a real key-value cluster, live faults and a live verdict.
#[derive(Debug, Parser)]
#[command(name = "kvlab", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or as expected; 1 refused, not found, or an expectation or a promise failed;
2 wrong usage, or it could not be set up, or the output could not be written; 3 nobody can say;
4 a fault of kvlab's own, never a verdict.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster, see it and break it
    Up(UpArgs),
    /// Play a scenario and judge it
    Run(RunArgs),
    /// Play random schedules of faults on simulated clusters, and judge each
    Sim(SimArgs),
    /// List the scenarios that come with the program
    Scenarios(ScenariosArgs),
    /// Write a key
    Put(PutArgs),
    /// Read a key: prints its value; exit 1 if there is no such key
    Get(GetArgs),
    /// Remove a key
    Del(DelArgs),
    /// Ask every node how it is
    Status(StatusArgs),
    /// Ask a node who the members are, where they are and what part they have
    Topology(TopologyArgs),
    /// Make a node the primary, by vote or by force
    Promote(PromoteArgs),
    /// Tell a node to turn to a primary, now
    Follow(FollowArgs),
    /// Drop from the disks what nobody needs: overwritten values, tombstones
    Cleanup(CleanupArgs),
    /// Judge histories: kvlab's own, Jepsen's, porcupine's
    Check(CheckArgs),
    /// Make a history that fails as small as it can be, and draw it
    Shrink(ShrinkArgs),
    /// Write a run's history for another checker
    Export(ExportArgs),
    /// Make a film or a still of a run, from its events
    Record(RecordArgs),
    /// Once drew stills: `record` does
    #[command(hide = true)]
    Picture(GoneArgs),
    /// Make the report of a run again: one HTML file that says it all
    Report(ReportArgs),
    /// List the runs that are kept; remove some, or keep one for good
    Runs(RunsArgs),
    /// Print what makes a shell complete kvlab's subcommands and flags
    Completions(CompletionsArgs),
    /// Print a page for `man`
    Man(ManArgs),
    /// Run one store process (the lab starts these by itself)
    Node(Box<NodeArgs>),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvlab::types::NodeId;

    use super::*;
    use crate::cli::{ColourChoice, Switch};

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Command, String> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults() {
        let Ok(Command::Up(up)) = parse("kvlab up") else { panic!("up") };
        assert_eq!((up.nodes, up.headless, up.load, up.rate), (3, false, Switch::On, 200));
        assert_eq!((up.display.color, up.display.ascii), (ColourChoice::Auto, false));
        let Ok(Command::Put(put)) = parse("kvlab put k v --quorum --node n2") else { panic!("put") };
        assert_eq!((put.key.as_str(), put.value.as_str()), ("k", "v"));
        assert_eq!((put.operation.node, put.operation.quorum), (Some(NodeId(2)), true));
        assert_eq!(put.operation.timeout, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        for (line, expected) in [
            ("kvlab up 0", "0 is not in 1..=9"),
            ("kvlab up 10", "10 is not in 1..=9"),
            ("kvlab up three", "invalid"),
            ("kvlab up --rate 0", "0 is not in 1..=100000"),
            ("kvlab up --load maybe", "[possible values: on, off]"),
            ("kvlab up --durability sometimes", "expected always, os or interval=10ms"),
            ("kvlab up --stale-after 5", "it has no unit"),
            ("kvlab up --color pink", "expected auto, always, never, 16, 256 or true"),
            ("kvlab sim --seeds 5..5", "expected two numbers like 0..1000"),
            ("kvlab sim --seeds 5", "expected two numbers like 0..1000"),
            ("kvlab sim --trace", "--seed <S>"),
            ("kvlab up --quirk no-fense", "there is no quirk `no-fense`; did you mean `no-fence`?"),
            ("kvlab up --quirk sloth", "there are dynamic-quorum, highest-seq-read"),
            ("kvlab promote two", "a node like n1"),
            ("kvlab follow n1", "PRIMARY"),
            ("kvlab cleanup two", "a node like n1"),
            ("kvlab put k", "VALUE"),
            ("kvlab check", "<FILE>..."),
            ("kvlab check x --format yaml", "[possible values: kvlab, edn, jepsen-log]"),
            ("kvlab check x --timeout soon", "is not a duration"),
            ("kvlab shrink", "<HISTORY>"),
            ("kvlab export latest", "--history <FORMAT>"),
            ("kvlab run x --simulated --record-max 8MiB", "cannot be used with"),
            ("kvlab up --record-max 1MiB", "4 MiB is the least"),
            ("kvlab up --record-max lots", "is not a size like 64MiB, 1.5GiB or a number of bytes, nor all"),
            ("kvlab runs clean", "--older-than <AGE>|--keep <N>|--max-size <SIZE>"),
            ("kvlab runs clean --older-than 7", "is not an age like 7d, 12h or 30m"),
            ("kvlab runs keep", "<RUN>"),
            ("kvlab runs --json clean --keep 1", "cannot be used with"),
            ("kvlab status --run x --addr y:1", "cannot be used with"),
            ("kvlab completions tcsh", "[possible values: bash, elvish, fish, powershell, zsh]"),
            ("kvlab explode", "unrecognized subcommand"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
