//! Tests: scenario files that are wrong, in every field. Each is refused with one message that says where,
//! what, and what would be right.

use crate::scenario::language::model::{Act, STEPS_MAX, Scenario, Start, WITHIN_DEFAULT};
use crate::scenario::language::steps::ACTIONS;

fn refusal(text: &str) -> String {
    match Scenario::parse("bad", "bad.toml", text) {
        Ok(_) => panic!("it is accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// `place` is "line:column"; each of `says` is part of the message.
fn refused(text: &str, place: &str, says: &[&str]) {
    let message = refusal(text);
    assert!(message.starts_with(&format!("bad.toml:{place}: ")), "{place} expected\n{message}\n\n{text}");
    for part in says {
        assert!(message.contains(part), "{part:?} is not in\n{message}\n\n{text}");
    }
}

/// A step in an otherwise good file of three nodes; its first line is line 5.
fn step_refused(step: &str, place: &str, says: &[&str]) {
    refused(&format!("title = \"t\"\n[workload]\non = true\n[[step]]\n{step}\n"), place, says);
}

/// An expectation in an otherwise good file; it is line 5.
fn expect_refused(expect: &str, place: &str, says: &[&str]) {
    let head = "title = \"t\"\n[workload]\nledger = false\n[expect]\n";
    refused(&format!("{head}{expect}\n[[step]]\nsay = \"x\"\n"), place, says);
}

#[test]
fn a_whole_message() {
    let text = "title = \"t\"\n\n[[step]]\nsay = \"Cut.\"\npartion = [[\"n1\"], [\"n2\"]]\n";
    let message = refusal(text);
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "bad.toml:5:1: there is no step `partion`",
            "  |",
            "5 | partion = [[\"n1\"], [\"n2\"]]",
            "  | ^^^^^^^",
            "  = did you mean `partition`?",
        ]
    );
    assert!(lines[5].starts_with("  = expected one of: at, after, say, partition, cut,"), "{message}");
    assert_eq!(lines.len(), 6);
}

#[test]
fn conditions_and_bad_links_out_of_bounds() {
    let disk = |how: &str, place, says| {
        step_refused(&format!("disk = {{ node = \"n1\"{how} }}"), place, &[says]);
    };
    disk("", "5:8", "it is not said in which condition");
    disk(", full = true, ok = true", "5:8", "one condition at a time");
    disk(", full = false", "5:30", "it can only be true");
    disk(", slow = \"0s\"", "5:30", "at most 10s");
    disk(", slow = \"11s\"", "5:30", "at most 10s");
    disk(", slow = 20", "5:30", "is not a duration");
    disk(", empty = true", "5:23", "`empty`");
    step_refused("disk = { full = true }", "5:8", &["`node` is missing"]);
    step_refused("disk = \"n1\"", "5:8", &["{ node = …, full = true }"]);
    let clock = |how: &str, place, says| {
        step_refused(&format!("clock = {{ node = \"n1\"{how} }}"), place, &[says]);
    };
    clock("", "5:9", "it is not said what the clock does");
    clock(", rate = 1.5, jump = \"1s\"", "5:9", "one thing at a time");
    for rate in ["0.49", "2.001", "-1", "inf", "nan", "0", "66000"] {
        clock(&format!(", rate = {rate}"), "5:31", "expected 0.5 to 2.0");
    }
    clock(", rate = \"fast\"", "5:31", "is not the rate of a clock");
    clock(", jump = \"-10s\"", "5:31", "never goes back");
    clock(", jump = \"0s\"", "5:31", "more than nothing");
    clock(", jump = \"2h\"", "5:31", "is not a duration");
    let slow = |how: &str, place, says| {
        step_refused(&format!("slow = {{ from = \"n1\", to = \"n2\"{how} }}"), place, &[says]);
    };
    slow("", "5:8", "expected `delay`, `loss` or `duplicate`");
    slow(", loss = \"95%\"", "5:41", "as good as cut");
    slow(", loss = \"5\"", "5:41", "a part is in percent");
    slow(", duplicate = 0.5", "5:46", "is not a part in percent");
    slow(", duplicate = \"101%\"", "5:46", "out of range");
}

#[test]
fn not_toml() {
    refused("not toml", "1:5", &["this is not TOML"]);
    refused("title = \"open\n", "1:14", &["this is not TOML"]);
    refused("title = \"a\"\ntitle = \"b\"", "2:1", &["for the second time"]);
    refused("", "1:1", &["needs a title"]);
}

#[test]
fn unknown_keys() {
    refused("titel = \"t\"", "1:1", &["there is no key `titel`", "did you mean `title`?"]);
    refused("title = \"t\"\n[cluster]\nnode = 3", "3:1", &["`node`", "did you mean `nodes`?"]);
    refused("title = \"t\"\n[workload]\nregister = 3", "3:1", &["did you mean `registers`?"]);
    refused("title = \"t\"\n\"a\\u001bb\" = 3", "2:1", &["there is no key"]);
    assert!(!refusal("title = \"t\"\n\"a\\u001bb\" = 3").contains('\u{1b}'));
    step_refused("cut = { form = \"n1\", to = \"n2\" }", "5:9", &["`form`", "did you mean `from`?"]);
    step_refused("wait = { primarys = 2 }", "5:10", &["did you mean `primary`?"]);
    step_refused("promote = { node = \"n1\", forced = true }", "5:26", &["did you mean `force`?"]);
    step_refused(
        "follow = { node = \"n1\", primary = \"n1\" }",
        "5:35",
        &["n1 cannot follow itself", "`promote`"],
    );
}

#[test]
fn what_a_later_version_will_know_is_said_to_be_so() {
    let text = |line: &str| format!("title = \"t\"\n[cluster]\n{line}\n[[step]]\nsay = \"x\"\n");
    refused(&text("failover = \"auto\""), "3:12", &["not supported yet", "manual"]);
}

#[test]
fn settings_of_the_cluster_and_the_load() {
    let cluster = |line: &str, column: u32, says: &[&str]| {
        let text = format!("title = \"t\"\n[cluster]\n{line}\n[[step]]\nsay = \"x\"\n");
        refused(&text, &format!("3:{column}"), says);
    };
    cluster("nodes = 0", 9, &["nodes = 0 is out of range", "expected 1 to 9"]);
    cluster("nodes = 10", 9, &["out of range"]);
    cluster("nodes = \"3\"", 9, &["a whole number"]);
    cluster("nodes = 3.5", 9, &["a whole number"]);
    cluster("failover = \"sometimes\"", 12, &["there is no failover"]);
    cluster("durability = \"never\"", 14, &["there is no durability", "interval=10ms"]);
    cluster("durability = \"interval=soon\"", 14, &["is not a duration"]);
    cluster("durability = \"interval=0s\"", 14, &["there is no durability"]);
    cluster("stale_after = 5", 15, &["the number 5 is not a duration", "\"80ms\""]);
    cluster("stale_lag = -1", 13, &["out of range"]);
    cluster("backlog_bytes = 1", 17, &["out of range"]);
    cluster("segment_bytes = 4095", 17, &["out of range"]);
    cluster("cleanup_bytes = -1", 17, &["out of range"]);
    cluster("scrub_rate = -1", 14, &["out of range"]);
    cluster(
        "quirks = [\"no-fense\"]",
        11,
        &["no quirk `no-fense`", "did you mean `no-fence`?", "vote-amnesia"],
    );
    cluster("quirks = [\"no-fence\", \"no-fence\"]", 23, &["listed twice"]);
    cluster("quirks = \"no-fence\"", 10, &["a list"]);
    let load = |line: &str, column: u32, says: &[&str]| {
        refused(&format!("title = \"t\"\n[workload]\n{line}\n"), &format!("3:{column}"), says);
    };
    load("clients = 0", 11, &["expected 1 to 256"]);
    load("registers = -2", 13, &["expected 0 to 1024"]);
    load("rate = 300", 8, &["the number 300 is not a rate", "\"300/s\""]);
    load("rate = \"0/s\"", 8, &["out of range"]);
    load("consistency = []", 15, &["needs a consistency"]);
    load("consistency = [\"async\", \"qorum\"]", 25, &["`qorum`", "did you mean `quorum`?"]);
    load("consistency = [\"async\", \"async\"]", 25, &["listed twice"]);
    load("on = \"yes\"", 6, &["true or false"]);
}

#[test]
fn times() {
    for (line, column, says) in [
        ("at = \"2\"", 6, "it has no unit"),
        ("at = 2", 6, "the number 2 is not a duration"),
        ("after = \"2 s\"", 9, "is not a duration"),
        ("after = \"-2s\"", 9, "is not a duration"),
        ("at = \"2h\"", 6, "is not a duration"),
        ("at = \"90m\"", 6, "an hour is the most"),
        ("at = 07:32:00", 6, "a table or a date makes no sense here"),
    ] {
        step_refused(&format!("{line}\nsay = \"x\""), &format!("5:{column}"), &[says]);
    }
    step_refused("at = \"2s\"\nafter = \"1s\"\nsay = \"x\"", "6:9", &["either `at` or `after`"]);
    let backwards = "after = \"5s\"\nsay = \"x\"\n[[step]]\nat = \"4s\"\nsay = \"y\"";
    step_refused(backwards, "8:6", &["`at` goes backwards", "until 5s at least"]);
    let text = "title = \"t\"\nsettle = true\n[[step]]\nsay = \"x\"\n";
    refused(text, "2:10", &["settle cannot be `true`", "or false"]);
}

#[test]
fn steps_that_are_no_steps() {
    refused("title = \"t\"\nstep = []\n", "1:1", &["at least one [[step]]"]);
    refused("title = \"t\"\n", "1:1", &["at least one [[step]]"]);
    refused("title = \"t\"\nstep = 3\n", "2:8", &["where a list belongs"]);
    refused("title = \"t\"\n[[step]]\n", "2:1", &["neither says nor does anything", "partition, cut"]);
    refused("title = \"t\"\n[[step]]\nat = \"1s\"\n", "2:1", &["neither says nor does anything"]);
    step_refused("say = \"\"", "5:7", &["this text is empty"]);
    step_refused("say = \"a\\u0007b\"", "5:7", &["control characters"]);
    step_refused(&format!("say = \"{}\"", "x".repeat(1001)), "5:7", &["longer than 1000 characters"]);
    let many = "[[step]]\nsay = \"x\"\n".repeat(STEPS_MAX + 1);
    refused(&format!("title = \"t\"\n{many}"), &format!("{}:1", 2 * STEPS_MAX + 2), &["more than 200 steps"]);
}

#[test]
fn two_actions_in_one_step() {
    step_refused(
        "kill = \"n1\"\nheal = \"all\"",
        "6:8",
        &["two things: `kill` and `heal`", "a [[step]] of its own"],
    );
    step_refused("heal = \"all\"\nkill = \"n1\"", "6:8", &["two things: `heal` and `kill`"]);
    // Each name is checked at its own place.
    let example = |name: &str| match name {
        "slow" => "{ node = \"n1\", delay = \"1s\" }",
        "put" | "get" | "del" => "{ node = \"n1\", key = \"k\" }",
        "disk" | "clock" => "{ node = \"n1\", ok = true }",
        "follow" => "{ node = \"n2\", primary = \"n1\" }",
        "load" => "true",
        "wait" | "expect" => "{ primaries = 1 }",
        "partition" => "\"halves\"",
        _ => "\"n1\"",
    };
    for name in ACTIONS {
        let other = if name == "heal" { "kill" } else { "heal" };
        let says = format!("two things: `{other}` and `{name}`");
        step_refused(
            &format!("{other} = \"n2\"\n{name} = {}", example(name)),
            &format!("6:{}", name.len() + 4),
            &[&says],
        );
    }
}

#[test]
fn targets() {
    step_refused("kill = \"n4\"", "5:8", &["there is no n4 in a cluster of 3", "n1 to n3"]);
    step_refused("kill = [\"n1\", \"n4\"]", "5:15", &["there is no n4"]);
    step_refused("kill = \"primry\"", "5:8", &["did you mean `primary`?", "a target is n1, n2"]);
    step_refused("reset = \"n4\"", "5:9", &["there is no n4 in a cluster of 3"]);
    step_refused("reset = { from = \"n1\" }", "5:9", &["to"]);
    step_refused("kill = \"replica-3\"", "5:8", &["no replica-3 in a cluster of 3", "2 replicas at most"]);
    step_refused("kill = 3", "5:8", &["the number 3 is not a target"]);
    step_refused("kill = []", "5:8", &["names nobody"]);
    step_refused("power_loss = \"n4\"", "5:14", &["there is no n4 in a cluster of 3"]);
    step_refused("tear_tail = \"majorty\"", "5:13", &["did you mean `majority`?"]);
    step_refused("wipe = { node = \"n1\" }", "5:8", &["a table or a date makes no sense here"]);
    step_refused("wipe = \"n1\"\ntear_tail = \"n1\"", "6:13", &["`wipe` and `tear_tail`"]);
    step_refused("powerloss = \"n1\"", "5:1", &["did you mean `power_loss`?"]);
    step_refused("kill = [\"n1\", \"n1\"]", "5:15", &["n1 is listed twice"]);
    step_refused("kill = { node = \"n1\" }", "5:8", &["a table or a date makes no sense here"]);
    step_refused("cleanup = \"n4\"", "5:11", &["there is no n4 in a cluster of 3"]);
    step_refused("cleanup = true", "5:11", &["is not a target"]);
    step_refused("promote = \"replicas\"", "5:11", &["may name several members"]);
    step_refused("promote = [\"n1\"]", "5:11", &["a list is not a target"]);
    step_refused("put = { node = \"all\", key = \"k\" }", "5:16", &["may name several members"]);
    step_refused("wait = { primary = \"old-primary\" }", "5:20", &["is a role itself"]);
    step_refused("cut = { from = \"n1\", to = \"n1\" }", "5:27", &["no link from n1 to itself"]);
}

#[test]
fn partitions() {
    step_refused("partition = [[\"n1\", \"n2\"], [\"n2\"]]", "5:29", &["n2 is in two groups"]);
    step_refused("partition = [[\"n1\"]]", "5:13", &["two groups or more"]);
    step_refused("partition = [[\"n1\"], [\"n4\"]]", "5:23", &["there is no n4"]);
    step_refused("partition = [\"n1\", \"n2\"]", "5:14", &["a group is a list"]);
    step_refused("partition = [[\"all\"], [\"n1\"]]", "5:13", &["`all` leaves nobody"]);
    step_refused("partition = \"halfs\"", "5:13", &["did you mean `halves`?"]);
    step_refused("partition = true", "5:13", &["a partition cannot be `true`"]);
    step_refused("partition = \"majorities-ring\"", "5:13", &["needs 4 members or more"]);
    let alone = "title = \"t\"\n[cluster]\nnodes = 1\n[[step]]\npartition = \"isolate-primary\"\n";
    refused(alone, "5:13", &["needs 2 members or more"]);
}

#[test]
fn links_and_operations() {
    step_refused("slow = { node = \"n1\" }", "5:8", &["expected `delay`, `loss` or `duplicate`"]);
    step_refused("slow = { delay = \"1s\" }", "5:8", &["which links are slow", "`from` and `to`"]);
    step_refused(
        "slow = { node = \"n1\", from = \"n1\", to = \"n2\", delay = \"1s\" }",
        "5:8",
        &["which links"],
    );
    step_refused("slow = { node = \"n1\", delay = \"0s\" }", "5:31", &["slows nothing"]);
    step_refused(
        "slow = { node = \"n1\", delay = \"1s\", both_ways = true }",
        "5:49",
        &["already means both ways"],
    );
    step_refused("cut = { from = \"n1\" }", "5:7", &["`to` is missing"]);
    step_refused("put = \"k\"", "5:7", &["a table: { node"]);
    step_refused("put = { node = \"n1\" }", "5:7", &["`key` is missing"]);
    step_refused("put = { node = \"n1\", key = \"\" }", "5:28", &["a key cannot be empty"]);
    step_refused(
        "put = { node = \"n1\", key = \"k\", outcome = \"refused\" }",
        "5:43",
        &["there is no outcome", "not-ok"],
    );
    step_refused(
        "get = { node = \"n1\", key = \"k\", value = \"v\", absent = true }",
        "5:55",
        &["is not absent"],
    );
    step_refused("get = { node = \"n1\", key = \"k\", absent = false }", "5:42", &["can only be true"]);
    let contradiction = "get = { node = \"n1\", key = \"k\", value = \"v\", outcome = \"failed\" }";
    step_refused(contradiction, "5:56", &["only where the outcome is ok"]);
    step_refused("load = 300", "5:8", &["load cannot be the number 300", "300/s"]);
    refused("title = \"t\"\n[[step]]\nload = true\n", "3:8", &["there is no load", "[workload]"]);
}

#[test]
fn waits() {
    step_refused("wait = \"converged\"", "5:8", &["a table of conditions"]);
    step_refused("wait = { within = \"1s\" }", "5:8", &["there is no condition here", "converged"]);
    step_refused("wait = { converged = false }", "5:22", &["can only be true"]);
    step_refused("wait = { primaries = \"many\" }", "5:22", &["is not a comparison", "\">0\""]);
    step_refused("wait = { primaries = -1 }", "5:22", &["less than nothing"]);
    step_refused("wait = { primaries = 1, within = 3 }", "5:34", &["is not a duration"]);
    step_refused(
        "wait = { state = { node = \"n1\", is = \"dead\" } }",
        "5:38",
        &["there is no state `dead`", "stopped"],
    );
    step_refused("wait = { lag = { node = \"n1\" } }", "5:16", &["`is` is missing"]);
    step_refused("wait = { harm.stale_read = 1 }", "5:15", &["did you mean `harm.stale_reads`?"]);
    step_refused("wait = { harm.async_writes_lost = 1 }", "5:15", &["only after settling", "[expect]"]);
    step_refused("expect = { primaries = 1, within = \"1s\" }", "5:36", &["only `wait` has `within`"]);
}

#[test]
fn expectations() {
    expect_refused(
        "promise.linearisable = true",
        "5:9",
        &[
            "there is no measure `promise.linearisable`",
            "did you mean `promise.linearizable`?",
            "recovery.within",
        ],
    );
    expect_refused("linearizable = true", "5:1", &["did you mean `promise.linearizable`?"]);
    expect_refused("promises.linearizable = true", "5:10", &["did you mean `promise.linearizable`?"]);
    expect_refused(
        "promise.linearizable = 1",
        "5:24",
        &["cannot be compared with the number 1", "true or false"],
    );
    expect_refused("promise.linearizable = \"yes\"", "5:24", &["neither true nor false"]);
    expect_refused("harm.stale_reads = true", "5:20", &["cannot be compared with `true`"]);
    expect_refused("harm.stale_reads = \"<5s\"", "5:20", &["is not a comparison"]);
    expect_refused("harm.stale_reads = -1", "5:20", &["cannot be compared"]);
    expect_refused("recovery.within = 5", "5:19", &["cannot be compared with the number 5", "\"2s\""]);
    expect_refused("harm.async_writes_lost = 0", "5:6", &["read from the ledger", "ledger = true"]);
    expect_refused("promise = 3", "5:1", &["there is no measure `promise`"]);
    let twice = "\"harm.stale_reads\" = 1\nharm.stale_reads = 2";
    expect_refused(twice, "6:6", &["`harm.stale_reads` is expected twice"]);
    let unsettled =
        "title = \"t\"\nsettle = false\n[expect]\npromise.members_equal = true\n[[step]]\nsay = \"x\"\n";
    refused(unsettled, "4:9", &["known only after settling", "settle = false"]);
}

#[test]
fn a_load_that_cannot_be_run_is_refused_with_its_line_before_anything_starts() {
    let workload = |lines: &str| format!("title = \"t\"\n[workload]\n{lines}\n[[step]]\nsay = \"x\"\n");
    let nothing = ["there is nothing to write to", "registers = 1 or more"];
    refused(&workload("registers = 0\nledger = false"), "4:10", &nothing);
    refused(
        &workload("consistency = []"),
        "3:15",
        &["a workload needs a consistency", "\"async\" or \"quorum\""],
    );
    refused(&workload("clients = 257"), "3:11", &["clients", "256"]);
    refused(&workload("rate = \"0/s\""), "3:8", &["rate"]);
    refused(&workload("rate = \"100001/s\""), "3:8", &["rate"]);
    refused(&workload("registers = 1025"), "3:13", &["registers", "1024"]);
    // Whatever is not refused can be run.
    for lines in [
        "registers = 0",
        "ledger = false",
        "rate = \"100000/s\"",
        "clients = 256\nregisters = 1024",
        "on = false",
    ] {
        let scenario =
            Scenario::parse("good", "good.toml", &workload(lines)).unwrap_or_else(|e| panic!("{e}"));
        scenario.load(1).check().unwrap_or_else(|e| panic!("{lines}: {e}"));
    }
}

#[test]
fn what_steps_write_is_read_back_without_a_ledger() {
    let text = "title = \"t\"\n[[step]]\nput = { node = \"n1\", key = \"k\" }\n[expect]\nharm.async_writes_lost = 0\n";
    Scenario::parse("good", "good.toml", text).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn defaults() {
    let text = "title = \"t\"\n[[step]]\nwait = { converged = true }\n";
    let scenario = Scenario::parse("good", "good.toml", text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((scenario.cluster.nodes, scenario.workload.clone()), (3, None));
    assert_eq!(scenario.settle.map(|limit| limit.as_secs()), Some(10));
    assert_eq!(scenario.steps[0].start, Start::Now);
    assert!(matches!(&scenario.steps[0].act, Some(Act::Wait { within, .. }) if *within == WITHIN_DEFAULT));
}
