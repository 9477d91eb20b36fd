//! The page as a whole.

pub(super) mod fixture;

use super::*;

/// The page without its style sheet, programs and data: what a reader without a browser's help would see.
fn skeleton(html: &str) -> String {
    let mut left = html.to_owned();
    for (open, close) in
        [("<style>", "</style>"), ("id=\"data\">", "</script>"), ("type=\"module\">", "</script>")]
    {
        let from = left.find(open).expect("it is there") + open.len();
        let to = from + left[from..].find(close).expect("it ends");
        left.replace_range(from..to, "");
    }
    let lines = left.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn page(records: &Records) -> String {
    html(records, "20260102T030405Z-split-brain").expect("a page")
}

#[test]
fn a_small_report() {
    insta::assert_snapshot!(skeleton(&page(&fixture::violated())));
}

#[test]
fn every_drawing_is_well_formed_however_much_went_wrong() {
    let many = fixture::records(crate::screen::tests::fixture::many_faults(9), &[]);
    for records in [many, fixture::violated(), fixture::by_hand()] {
        let html = page(&records);
        let drawings: Vec<_> =
            html.split("<svg").skip(1).filter_map(|rest| rest.split("</svg>").next()).collect();
        assert!(!drawings.is_empty());
        for drawing in drawings {
            let svg = format!("<svg{drawing}</svg>");
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let html = page(&fixture::violated());
    for outside in ["http://", "https://", "src=", "url(", "@import", "fetch(", "XMLHttpRequest"] {
        let own = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!own.contains(outside), "{outside}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn what_a_run_says_stays_text() {
    let nasty = "</script><!--\"'><img onerror=alert(1)>\u{202e}\u{2028}\u{0}";
    let mut history = fixture::History::default();
    history.put(1, nasty, nasty, kvlab::judge::Phase::Ok).put(2, nasty, "b", kvlab::judge::Phase::Ok);
    history.get(3, nasty, Some(nasty));
    let mut records = fixture::split_brain();
    records.history = fixture::records(Vec::new(), &history.events()).history;
    records.scenario = Some(format!("# {nasty}"));
    let html = html(&records, nasty).expect("a page");
    assert_eq!(html.matches("</script>").count(), 2, "only our own");
    assert!(!html.contains("<!--") && !html.contains("<img"));
    assert!(
        !html.contains('\u{2028}')
            || records.scenario.as_deref().is_some_and(|text| text.contains('\u{2028}'))
    );
}

#[test]
fn a_usual_run_is_small_and_a_hundred_thousand_operations_are_bearable() {
    let size = |operations| page(&fixture::large(operations)).len();
    let (usual, large) = (size(4_000), size(100_000));
    assert!(usual < 300 << 10, "{usual} bytes");
    assert!(large < 2 << 20, "{large} bytes");
}

#[test]
fn without_a_history_the_page_says_so() {
    let mut records = fixture::by_hand();
    let mut judge = HistoryJudge::default();
    judge.refuse("the history could not be read to its end: it is gone".to_owned());
    records.history = judge.finish();
    let html = page(&records);
    assert!(html.contains("it is gone") && html.contains("undecided"));
    assert!(html.contains("kvlab up 3 --seed 7"));
}

/// The history is gone, but the judge's words of then are among the events.
#[test]
fn violations_that_were_found_while_the_run_went_on_are_not_forgotten() {
    let proved = fixture::violated().history.report.violations[0].clone();
    let mut records = fixture::by_hand();
    let event = crate::run::event::LabEvent::Violation(Box::new(proved));
    records.observe(crate::run::event::Stamped { t_us: 14_000_000, event });
    let html = page(&records);
    assert!(html.contains("id=\"v1\"") && html.contains("A PROMISE WAS BROKEN"));
}

#[test]
fn a_page_needs_a_header() {
    let error = html(&Records::default(), "x").expect_err("no header");
    assert!(error.to_string().contains("no header"), "{error}");
}
