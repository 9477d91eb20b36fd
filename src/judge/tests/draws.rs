//! Proofs as pictures and as sentences.

use super::super::*;
use super::script::{judged, script};
use crate::judge::offline::{KeyHistory, shrink};
use crate::types::Epoch;

const FOUR: &str = "1 invoke put a
    2 invoke put b
    3 invoke get -
    4 invoke get -
    3 ok get a
    4 ok get b
    5 invoke get -
    6 invoke get -
    6 ok get a
    5 ok get b";

#[test]
fn a_proof_of_four_operations_is_drawn_in_space_and_time() {
    let report = judged(FOUR);
    let text = Diagram::of_violation(&report.violations[0]).text(100);
    let drawn: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        drawn,
        [
            r#"client 3 at n1  ├─ read "a" ─┤                       b2"#,
            r#"client 4 at n1    ├─ read "b" ─┤                     a1"#,
            r#"client 5 at n1                   ┣━━━ read "b" ━━━┫  a2"#,
            r#"client 6 at n1                     ├─ read "a" ─┤    b1"#,
        ],
        "{text}"
    );
    assert!(text.contains("each was written only once"));
}

#[test]
fn the_lane_of_the_operation_that_gave_it_away_says_where_it_is() {
    let report = judged(FOUR);
    let lanes = Diagram::of_violation(&report.violations[0]).lanes(100);
    let accused: Vec<_> = lanes.iter().map(|lane| lane.accused.clone()).collect();
    assert!(matches!(accused[..], [None, None, Some(_), None]), "{lanes:#?}");
    let drawn: String =
        lanes[2].text.chars().collect::<Vec<_>>()[accused[2].clone().unwrap()].iter().collect();
    assert_eq!(drawn, r#"┣━━━ read "b" ━━━┫"#);
}

#[test]
fn who_knows_more_of_the_rule_says_so_below() {
    let report = judged(FOUR);
    let diagram = Diagram::with_rule(&report.violations[0], Some("that rule".to_owned()));
    assert_eq!(diagram.notes(), [report.violations[0].explanation(), "that rule".to_owned()]);
    assert!(diagram.text(100).ends_with("\nthat rule\n"));
}

#[test]
fn labels_are_cut_to_the_width() {
    let report = judged(
        &FOUR
            .replace("get b", &format!("get {}", "b".repeat(30)))
            .replace("put b", &format!("put {}", "b".repeat(30))),
    );
    let diagram = Diagram::of_violation(&report.violations[0]);
    for width in [60, 80, 120] {
        let text = diagram.text(width);
        let drawn = text.lines().take_while(|line| !line.is_empty());
        let longest = drawn.map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width, "{longest} > {width}\n{text}");
    }
    assert!(diagram.text(1000).contains(&"b".repeat(30)));
}

#[test]
fn where_there_is_little_room_clients_are_named_in_short() {
    let diagram = Diagram::of_violation(&judged(FOUR).violations[0]);
    let widest = |width| diagram.lanes(width).iter().map(|lane| lane.text.chars().count()).max().unwrap();
    let whole = widest(100);
    assert_eq!(widest(whole), whole);
    assert!(diagram.lanes(whole - 1)[0].text.starts_with(r#"c3 at n1  ├─ read "a" ─┤"#));
}

#[test]
fn what_has_not_ended_is_open_and_what_came_after_it_has_its_own_lane() {
    let events = script(
        "1 invoke put a
         1 info put a
         1 invoke get -
         1 ok get a
         2 invoke get -
         2 ok get -",
    );
    let histories = KeyHistory::of_events(&events);
    let text = Diagram::of_history(&histories[0]).text(100);
    assert_eq!(
        text,
        "process 1  ├────────── write \"a\"? ──────────┄\n\
         process 1    ├─ read \"a\" ─┤\n\
         process 2                   ├─ read absent ─┤\n",
    );
}

#[test]
fn a_refusal_by_search_is_drawn_after_shrinking() {
    let events = script(
        "1 invoke put a
         1 ok put a
         2 invoke get -
         2 ok get a
         1 invoke del -
         1 ok del -
         2 invoke get -
         2 ok get a",
    );
    let shrunk = shrink(&KeyHistory::of_events(&events)[0], &mut |_| true).unwrap();
    let text = Diagram::of_part(&shrunk).text(100);
    assert!(text.contains(r#"┣━ read "a" ━┫"#) && text.contains("fits nowhere"), "{text}");
    assert_eq!(shrunk.history.ops().len(), 3);
}

#[test]
fn svg_is_well_formed_and_holds_every_operation() {
    let report = judged(&FOUR.replace("get a", "get <&\">").replace("put a", "put <&\">"));
    let svg = Diagram::of_violation(&report.violations[0]).svg();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<rect class=\"bar").count(), 4);
    assert_eq!(svg.matches("class=\"bar bad\"").count(), 1);
    assert!(svg.contains("&lt;&amp;") && !svg.contains("<&"));
    for tag in ["svg", "title", "style", "text"] {
        let (opened, closed) =
            (svg.matches(&format!("<{tag}")).count(), svg.matches(&format!("</{tag}>")).count());
        assert_eq!(opened, closed, "{tag}");
    }
}

#[test]
fn the_servers_own_words_name_the_rule_that_was_broken() {
    let mut events = script(
        "1 invoke put a
         1 ok put a
         +3900
         2 invoke put b
         2 ok put b
         +300
         3 invoke get -
         3 ok get a",
    );
    let told = [(1, 1, "n1", 7), (3, 2, "n3", 9), (5, 1, "n1", 7)];
    for (at, number, node, seq) in told {
        let node = node.parse().unwrap();
        events[at].node = Some(node);
        events[at].epoch = Some(Epoch::new(number, node));
        events[at].seq = Some(seq);
    }
    let mut judge = Judge::new(JudgeOptions::default());
    let violation = events.iter().filter_map(|event| judge.observe(event).unwrap()).next().unwrap();
    assert_eq!(
        violation.rule().unwrap(),
        "n1 answered in epoch 1@n1 at t=4.205 s; n3 had answered in epoch 2@n3 at t=3.903 s"
    );
    assert!(Diagram::of_violation(&violation).text(100).contains("had answered in epoch"));
    assert_eq!(judged(FOUR).violations[0].rule(), None, "nobody told epochs");
}

#[test]
fn of_a_search_the_end_of_the_longest_order_is_drawn_with_what_fits_nowhere() {
    let mut text = String::new();
    for n in 0..10 {
        text += &format!("1 invoke put v{n}\n1 ok put v{n}\n");
    }
    text += "1 invoke del -\n1 ok del -\n2 invoke get -\n2 ok get v3\n";
    let history = &KeyHistory::of_events(&script(&text))[0];
    let (longest, stuck) = ((0..11).collect::<Vec<_>>(), 11);
    let drawn = Diagram::of_stuck(history, &longest, stuck).text(80);
    assert!(
        !drawn.contains("v7") && drawn.contains("write \"v8\"") && drawn.contains("┣━ read \"v3\" ━┫"),
        "{drawn}"
    );
    let sentence = drawn.split("\n\n").nth(1).unwrap().replace('\n', " ");
    assert!(
        sentence.starts_with(
            "The longest order that was found has 11 of 12 operations, of which the last 3 are drawn;"
        ),
        "{drawn}"
    );
    assert!(
        sentence.trim_end().ends_with("process 2: read \"v3\" (#22 to #23, t=0.022 s) fits nowhere"),
        "{drawn}"
    );
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    let first = Diagram::of_stuck(history, &[], stuck);
    assert!(first.notes()[0].ends_with("fits nowhere, not even at the beginning"));
}

#[test]
fn a_proof_is_drawn_among_the_operations_that_belong_to_it() {
    let history = &KeyHistory::of_events(&script(FOUR))[0];
    let violation = &judged(FOUR).violations[0];
    let drawn = Diagram::of_violation(violation).among(history).text(100);
    let lanes: Vec<_> = drawn.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(lanes.len(), 6, "{drawn}");
    assert!(lanes[0].starts_with("client 1 ") && lanes[0].contains("write \"a\"?"), "{drawn}");
}
