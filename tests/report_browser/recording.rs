//! Recordings in a real browser: the page plays, seeks and has nothing to complain of; the animated SVG shows at each
//! moment what a still of that moment says.

use std::sync::PoisonError;

use super::{BROWSER, kvlab, pictures};
use crate::browser::Browser;

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_recording_plays_from_disk_and_an_animated_svg_shows_its_moments() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().canonicalize().expect("a directory");
    let path = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    let (page, svg, run) = (path("film.html"), path("film.svg"), path("run"));
    kvlab(
        &dir,
        &[
            "run",
            "split-brain",
            "--headless",
            "--seed",
            "1",
            "--keep",
            &run,
            "--record",
            &page,
            "--record",
            &svg,
        ],
    );
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let browser = Browser::start();
    browser.open(page.as_ref());
    let shown = "document.querySelector('.ap-term').textContent";
    browser.run(
        "window.at = 0; setInterval(async () => { window.at = await window.player.getCurrentTime() }, 20)",
    );
    browser.click("#player .ap-player");
    browser.until("window.at > 1");
    browser.until(&format!("{shown}.includes('split-brain')"));
    assert!(!browser.run(&format!("return {shown}.includes('AS EXPECTED')")).as_bool().expect("yes or no"));

    browser.run("window.player.pause()");
    browser.click("#marks li:last-child button");
    let to =
        browser.number("return Number(document.querySelector('#marks li:last-child button').dataset.at)");
    assert!(to > 3.0, "{to}");
    browser.until(&format!("Math.abs(window.at - {to}) < 0.2"));
    browser.run("window.player.seek('100%')");
    browser.until(&format!("{shown}.includes('AS EXPECTED')"));
    assert!(browser.text("return document.getElementById('verdict').textContent").contains("linearizable"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    if let Some(dir) = pictures() {
        browser.picture((1140, 1400), &dir.join("recording.png"));
    }

    // The film begins with the run's first event.
    let events = std::fs::read_to_string(path("run/events.jsonl")).expect("events");
    let header: serde_json::Value =
        serde_json::from_str(events.lines().next().expect("a header")).expect("JSON");
    let began_us = header["t_us"].as_u64().expect("a time");
    browser.go(svg.as_ref());
    for (nth, ms) in [1_000, 3_400, 5_000].into_iter().enumerate() {
        let text = path("still.txt");
        let at = format!("{:.6}s", (ms * 1_000 + began_us) as f64 / 1e6);
        kvlab(&dir, &["record", &run, &text, "--at", &at]);
        // A window is as high as its row: of a strip's states one is in it.
        let seen = browser.run(&format!(
            "document.getAnimations().forEach(a => {{ a.pause(); a.currentTime = {} }}); \
             return [...document.querySelectorAll('text')].flatMap(text => {{ \
                 const svg = text.closest('svg'); \
                 const r = text.getBoundingClientRect(); \
                 const middle = r.top + r.height / 2; \
                 const top = svg.getScreenCTM().f; \
                 const hidden = svg !== document.documentElement && (middle < top || middle > top + 18); \
                 return hidden ? [] : [[Math.floor((middle - 10) / 18), Math.round((r.left - 10) / 8.4), text.textContent]]; \
             }})",
            ms + 10
        ));
        let still = std::fs::read_to_string(&text).expect("a still");
        let mut left: Vec<Vec<char>> = still.lines().map(|line| line.chars().collect()).collect();
        for piece in seen.as_array().expect("pieces") {
            let place = |nth: usize| piece[nth].as_u64().expect("a cell") as usize;
            for (i, c) in piece[2].as_str().expect("text").chars().enumerate() {
                let cell = &mut left[place(0)][place(1) + i];
                assert_eq!(*cell, c, "at {at}: {piece}");
                *cell = ' ';
            }
        }
        let missing: String = left.iter().flatten().filter(|c| c.is_ascii_alphanumeric()).collect();
        assert_eq!(missing, "", "at {at}");
        if let Some(dir) = pictures() {
            browser.picture((1040, 680), &dir.join(format!("film-{nth}.png")));
        }
    }
}
