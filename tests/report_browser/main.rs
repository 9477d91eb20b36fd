//! The report in a real browser: it opens from disk without a complaint, zooms, filters, leads from a violation to its
//! operations and back, can be used by keys alone, follows light and dark, and prints.
//! So are recordings: the page that plays one, and the animated SVG.
//!
//! Needs `chromium` and `chromedriver`, so it runs only when asked: `cargo test --test report_browser -- --ignored`. With
//! `KVLAB_PICTURES=DIR` it leaves pictures there; `docs/report.png` is its `report.png`.

#![expect(
    clippy::disallowed_methods,
    reason = "the program is tested in the world: with processes and files"
)]

mod browser;
mod recording;
mod synthetic;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use self::browser::{Browser, keys};

/// One at a time: what is measured is not to be the other test's doing.
static BROWSER: Mutex<()> = Mutex::new(());

/// One violation.
const SCENARIO: &str = "museum/highest-seq-read";
/// Many, on many keys.
const MANY: &str = "museum/no-fence";

/// Runs the program, in a state directory of its own; it must exit 0. Returns what it printed.
fn kvlab(state: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kvlab"))
        .args(args)
        .env("XDG_STATE_HOME", state)
        .env_remove("KVLAB_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    out.into_owned()
}

/// A run with violations, on real processes. Returns its report.
fn violated(state: &Path, scenario: &str) -> PathBuf {
    let run = state.join("museum");
    let run = run.to_str().expect("UTF-8");
    let out = kvlab(state, &["run", scenario, "--headless", "--seed", "1", "--keep", run]);
    let report = PathBuf::from(run).canonicalize().expect("a directory").join("report.html");
    assert!(
        out.ends_with(&format!("report: {}\n", report.display())),
        "the last line says where it is: {out}"
    );
    report
}

fn span(browser: &Browser) -> f64 {
    browser.number("const v = document.getElementById('view').dataset; return v.to - v.from")
}

fn pictures() -> Option<PathBuf> {
    std::env::var_os("KVLAB_PICTURES").map(PathBuf::from)
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_report_of_a_run_with_a_violation() {
    let state = tempfile::tempdir().expect("a directory");
    let report = violated(state.path(), SCENARIO);
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let browser = Browser::start();
    let ready = browser.open(&report);
    println!("{} bytes, ready after {ready} ms", report.metadata().expect("a file").len());

    zooms(&browser);
    searches(&browser);
    leads_to_the_proof_and_back(&browser);
    filters_events(&browser);
    is_light_or_dark(&browser);
    is_reached_by_tab(&browser);
    prints(&browser);
    fits_a_phone(&browser);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    if let Some(dir) = pictures() {
        draw(&browser, &report, &dir);
    }
}

/// Most proofs say the same again: they are folded until one is wanted, and on paper none is.
#[test]
#[ignore = "needs chromium and chromedriver"]
fn many_proofs_are_folded_until_one_is_wanted() {
    let state = tempfile::tempdir().expect("a directory");
    let report = violated(state.path(), MANY);
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let browser = Browser::start();
    browser.open(&report);
    let cards = browser.number("return document.querySelectorAll('.proof').length") as u64;
    assert!(cards > 3, "{cards}");
    let is_seen =
        format!("[3, {cards}].map(n => document.getElementById(`v${{n}}`).checkVisibility()).join()");
    assert_eq!(browser.text(&format!("return {is_seen}")), "true,false");

    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    browser.until(&format!("{is_seen} === 'true,true'"));
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": ""}));
    browser.until(&format!("{is_seen} === 'true,false'"));

    let last = browser.text(&format!(
        "return document.querySelector('#v{cards} [data-operation]:not(#v1 *)').dataset.operation"
    ));
    browser.run(&format!("document.querySelector('#v{cards} [data-operation=\"{last}\"]').click()"));
    browser.until(&format!("document.getElementById('view').dataset.selected === '{last}'"));
    browser.press(&[keys::ENTER]);
    browser.until(
        "document.getElementById('more-proofs').open && document.activeElement.closest('#more-proofs')",
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_hundred_thousand_operations() {
    let state = tempfile::tempdir().expect("a directory");
    let run = synthetic::run(&state.path().join("large"), 100_000);
    kvlab(state.path(), &["report", run.to_str().expect("UTF-8")]);
    let report = run.join("report.html");
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let browser = Browser::start();
    let ready = browser.open(&report);
    let bytes = report.metadata().expect("a file").len();
    println!("100 000 operations: {bytes} bytes, ready after {ready} ms");
    assert!(bytes < 2 << 20, "{bytes}");

    zooms(&browser);
    browser.run("const s = document.getElementById('search'); s.value = 'outcome:unknown'; s.dispatchEvent(new Event('input'))");
    let unknown = browser.number("return Number(document.getElementById('view').dataset.matches)");
    assert_eq!(unknown as u64, synthetic::unknown(100_000));
    // The last write: its columns are right only if all before it are.
    browser.run("const s = document.getElementById('search'); s.value = 'value:c8-49999 op:put'; s.dispatchEvent(new Event('input'))");
    assert_eq!(browser.number("return Number(document.getElementById('view').dataset.matches)") as u64, 1);
    browser.run("document.getElementById('view').focus()");
    browser.press(&["n"]);
    browser.until(
        "document.getElementById('details').textContent.includes('client 8: write \"c8-49999\" to \"q8\"')",
    );
    let details = browser.text("return document.getElementById('details').textContent");
    for part in ["#199997 ", "quorum, ok", "asked n3", "t=99.998000 s, took 0.498 ms"] {
        assert!(details.contains(part), "{part}: {details}");
    }
    let drawing = browser.number(
        "const began = performance.now(); for (let n = 0; n < 10; n++) dispatchEvent(new Event('beforeprint')); \
         dispatchEvent(new Event('afterprint')); return (performance.now() - began) / 10",
    );
    println!("all of them are drawn in {drawing:.1} ms");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// By keys, by the wheel, by buttons, and back.
fn zooms(browser: &Browser) {
    let whole = span(browser);
    // A wheel that turns over it on the way down the page scrolls the page.
    browser.run(
        "document.activeElement.blur(); document.getElementById('view').scrollIntoView({ block: 'center' })",
    );
    let before = browser.number("return scrollY");
    browser.wheel("#view", 40);
    browser.until(&format!("scrollY > {before}"));
    assert!((span(browser) - whole).abs() < 1.0);

    browser.click("#view");
    assert_eq!(browser.text("return document.activeElement.id"), "view");
    let narrower = |than: f64, how: &str| {
        browser
            .until(&format!("(v => v.to - v.from < {than} * 0.9)(document.getElementById('view').dataset)"));
        let now = span(browser);
        assert!(now > 0.0, "{how}");
        now
    };
    browser.press(&["+"]);
    let by_key = narrower(whole, "by key");
    browser.wheel("#view", -240);
    let by_wheel = narrower(by_key, "by wheel");
    browser.click("[data-do=in]");
    let by_button = narrower(by_wheel, "by button");
    let from = browser.number("return Number(document.getElementById('view').dataset.from)");
    browser.drag("#view", -150);
    browser.until(&format!("document.getElementById('view').dataset.from > {from} + {by_button} * 0.05"));
    browser.run("document.getElementById('view').focus()");
    browser.press(&["0"]);
    browser
        .until(&format!("(v => v.to - v.from >= {whole} * 0.999)(document.getElementById('view').dataset)"));
}

/// Words narrow down, the number of matches is said, and keys walk among them.
fn searches(browser: &Browser) {
    let matches = || browser.number("return Number(document.getElementById('view').dataset.matches)");
    let all = matches();
    browser.click("#search");
    browser.press(&"key:word outcome:ok".split("").filter(|key| !key.is_empty()).collect::<Vec<_>>());
    browser.until(&format!("Number(document.getElementById('view').dataset.matches) < {all}"));
    let few = matches();
    assert!(few >= 3.0, "the scenario's own operations: {few}");
    assert!(
        browser
            .text("return document.getElementById('matches').textContent")
            .contains(&format!("{few} of {all}"))
    );
    browser.run("document.getElementById('view').focus()");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..few as usize {
        let before = browser.text("return document.getElementById('view').dataset.selected");
        browser.press(&["n"]);
        browser.until(&format!("document.getElementById('view').dataset.selected !== {}", json!(before)));
        let details = browser.text("return document.getElementById('details').textContent");
        assert!(details.contains("\"word\""), "{details}");
        seen.insert(browser.text("return document.getElementById('view').dataset.selected"));
    }
    assert_eq!(seen.len(), few as usize, "each match is come to once");
    browser.run(
        "const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))",
    );
    assert_eq!(matches(), all);
    browser.press(&[keys::ESCAPE]);
    browser.until("document.getElementById('view').dataset.selected === ''");
}

/// From the card to each of its operations, and from an operation to the card, by keys.
fn leads_to_the_proof_and_back(browser: &Browser) {
    let operations = browser
        .run("return [...document.querySelectorAll('#v1 [data-operation]')].map(e => e.dataset.operation)");
    let operations = operations.as_array().expect("a list");
    assert!((1..=4).contains(&operations.len()), "{operations:?}");
    for operation in operations {
        browser.run(&format!(
            "document.querySelector('#v1 [data-operation=\"{}\"]').focus()",
            operation.as_str().expect("a number")
        ));
        browser.press(&[keys::ENTER]);
        browser.until(&format!("document.getElementById('view').dataset.selected === {operation}"));
        assert_eq!(browser.text("return document.activeElement.id"), "view");
        let details = browser.text("return document.getElementById('details').textContent");
        assert!(details.contains("violation 1"), "{details}");
        browser.press(&[keys::ENTER]);
        browser.until("document.activeElement.id === 'v1'");
    }
    browser.click("[data-violation=\"1\"]");
    let last = operations.last().expect("one");
    browser.until(&format!("document.getElementById('view').dataset.selected === {last}"));
    assert!(
        span(browser) < browser.number("return JSON.parse(document.getElementById('data').textContent).end")
    );
    browser.click("#details a");
    browser.until("location.hash === '#v1'");
    browser.run("document.getElementById('view').focus()");
    browser.press(&[keys::HOME, keys::RIGHT, keys::DOWN, "v"]);
    browser
        .until(&format!("{}.includes(document.getElementById('view').dataset.selected)", json!(operations)));
}

fn filters_events(browser: &Browser) {
    let shown =
        "return [...document.querySelectorAll('#events-rows tr')].filter(row => row.offsetParent).length";
    let all = browser.number(shown);
    browser.click("#events-search");
    browser.press(&["n", "2"]);
    browser.until("document.querySelectorAll('#events-rows tr.aside').length > 0");
    let some = browser.number(shown);
    assert!(0.0 < some && some < all, "{some} of {all}");
    browser.run("const s = document.getElementById('events-search'); s.value = ''; s.dispatchEvent(new Event('input'))");
    browser.run("const s = document.getElementById('events-level'); s.value = 'loud'; s.dispatchEvent(new Event('change'))");
    let loud = browser.number(shown);
    assert!(0.0 < loud && loud < all, "{loud} of {all}");
    browser.run("const s = document.getElementById('events-level'); s.value = 'all'; s.dispatchEvent(new Event('change'))");
    assert_eq!(browser.number(shown), all);
}

/// As the system has it, and as the button says; the timeline too, whose colours are pixels.
fn is_light_or_dark(browser: &Browser) {
    let prefer = |scheme: &str| {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.cdp("Emulation.setEmulatedMedia", &features);
    };
    let canvas = "(() => { const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true }); \
        copy.drawImage(document.getElementById('canvas'), 0, 0); return copy.getImageData(1, 1, 1, 1).data[0]; })()";
    let page = "getComputedStyle(document.body).backgroundColor";
    prefer("light");
    browser.until(&format!("{page} === 'rgb(245, 246, 248)' && {canvas} === 255"));
    prefer("dark");
    browser.until(&format!("{page} === 'rgb(14, 18, 23)' && {canvas} < 64"));
    browser.click("#theme");
    browser.until(&format!("{page} === 'rgb(245, 246, 248)' && {canvas} === 255"));
    browser.click("#theme");
    prefer("light");
    browser.until(&format!("{page} === 'rgb(14, 18, 23)' && {canvas} < 64"));
    browser.click("#theme");
    browser.until(&format!("{page} === 'rgb(245, 246, 248)' && {canvas} === 255"));
    assert_eq!(browser.text("return document.getElementById('theme').textContent"), "Theme: auto");
}

/// Everything that can be used is reached by Tab, in the order of the page, and shows that it has the focus.
fn is_reached_by_tab(browser: &Browser) {
    let usable = "[...document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]')].filter(e => e.offsetParent !== null)";
    let wanted = browser.number(&format!("return {usable}.length")) as usize;
    browser.run(
        "scrollTo(0, 0); document.activeElement.blur(); window.seen = []; getSelection().removeAllRanges(); \
                 getSelection().collapse(document.body, 0)",
    );
    for _ in 0..wanted + 1 {
        browser.press(&[keys::TAB]);
        browser.run("window.seen.push(document.activeElement)");
    }
    let missed = browser.run(&format!(
        "return {usable}.filter(e => !window.seen.includes(e)).map(e => e.outerHTML.slice(0, 80))"
    ));
    assert_eq!(missed, json!([]), "of {wanted}");
    // Wherever it began, it goes on at the top once.
    let back = "const order = window.seen.filter(e => e !== document.body); const after = Node.DOCUMENT_POSITION_FOLLOWING; \
        return order.filter((e, n) => n > 0 && !(order[n - 1].compareDocumentPosition(e) & after)).length";
    assert!(browser.number(back) <= 1.0, "in the order of the page");
    browser.run("document.getElementById('view').focus()");
    browser.press(&[keys::TAB]);
    let outline = browser.text("return getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(outline, "none", "the focus can be seen");
}

/// Nothing is put aside on paper, whatever was searched for, and it is dark on light.
fn prints(browser: &Browser) {
    browser.run("const s = document.getElementById('events-search'); s.value = 'nothing fits'; s.dispatchEvent(new Event('input'))");
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let seen = |selector: &str| {
        browser.run(&format!("return document.querySelector('{selector}').offsetHeight > 0")) == json!(true)
    };
    for on_paper in
        ["#verdict", "#proofs .drawing svg", "#glance svg", "#canvas", "#events-rows tr", "#again pre"]
    {
        let there = format!("document.querySelector('{on_paper}').getBoundingClientRect().height > 0");
        assert_eq!(browser.run(&format!("return {there}")), json!(true), "{on_paper}");
    }
    assert!(!seen(".topbar") && !seen("#search-help"), "nothing to click on paper");
    browser.cdp("Emulation.setEmulatedMedia", &json!({"media": ""}));
    let pdf = browser.print();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 30_000, "{} bytes", pdf.len());
    if let Some(dir) = pictures() {
        std::fs::write(dir.join("report.pdf"), pdf).expect("written");
    }
    browser.run("const s = document.getElementById('events-search'); s.value = ''; s.dispatchEvent(new Event('input'))");
}

/// At 400 pixels nothing sticks out of the page: what is wider scrolls by itself.
fn fits_a_phone(browser: &Browser) {
    let size = json!({"width": 400, "height": 800, "deviceScaleFactor": 2, "mobile": false});
    browser.cdp("Emulation.setDeviceMetricsOverride", &size);
    browser.until("document.getElementById('canvas').getBoundingClientRect().width < 400");
    assert_eq!(browser.number("return document.documentElement.scrollWidth") as u64, 400);
    browser.cdp("Emulation.clearDeviceMetricsOverride", &json!({}));
    browser.until("document.getElementById('canvas').getBoundingClientRect().width > 400");
}

/// For people to look at.
fn draw(browser: &Browser, report: &Path, dir: &Path) {
    browser.open(report);
    browser.picture((1280, 1680), &dir.join("report.png"));
    let height = browser.number("return document.documentElement.scrollHeight") as u32;
    browser.picture((1280, height), &dir.join("report-whole.png"));
    let features = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.cdp("Emulation.setEmulatedMedia", &features);
    browser.picture((1280, height), &dir.join("report-dark.png"));
    browser.cdp("Emulation.setEmulatedMedia", &json!({"features": []}));
    browser.click("[data-violation=\"1\"]");
    browser.picture((1280, 760), &dir.join("report-timeline.png"));
    browser.run("scrollTo(0, 0)");
    browser.picture((400, 2400), &dir.join("report-narrow.png"));
    browser.run("document.getElementById('glance').scrollIntoView()");
    browser.picture((400, 2000), &dir.join("report-narrow-2.png"));
}
