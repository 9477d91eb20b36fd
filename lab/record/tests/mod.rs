//! Pictures: well-formed, and showing what the frame holds.
#![expect(clippy::disallowed_methods, reason = "files of runs and pictures")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier, Style};
use roxmltree::{Document, Node};

use super::film::{Cue, Film, Shooting, What};
use super::glyphs::{CELL_HEIGHT, CELL_WIDTH};
mod films;
mod shown;

use super::*;
use crate::run::event::{EVENTS_VERSION, Stamped, micros};
use crate::screen::tests::fixture::{Player, broken_promise, many_faults, moment, split_brain};
use crate::screen::theme::Background;
use crate::screen::{Theme, ViewState};

/// The state as it was at `t`.
fn view_at(events: &[Stamped], t: Duration) -> ViewState {
    let mut view = ViewState::of(events.iter().take_while(|event| event.t() <= t));
    view.advance(micros(t));
    view
}

fn frame(player: Player, t_us: u64, size: (u16, u16)) -> Buffer {
    let view = view_at(&split_brain(player), Duration::from_micros(t_us));
    super::frame(&view, None, Size::new(size.0, size.1), Theme::RECORDING)
}

/// Writes pictures to look at into the directory named by `KVLAB_DRAW`; without it, only draws them.
#[test]
fn pictures() {
    let dir = std::env::var_os("KVLAB_DRAW").map(PathBuf::from);
    let moments = [
        ("calm", moment::CALM),
        ("isolated", moment::ISOLATED),
        ("split", moment::SPLIT),
        ("healed", moment::HEALED),
    ];
    let mut drawn = Vec::new();
    for (name, t_us) in moments {
        for size in [(120, 36), (80, 24)] {
            for player in [Player::Person, Player::Scenario] {
                let buf = frame(player, t_us, size);
                drawn.push((format!("{name}-{}-{player:?}", size.0), buf, Background::Dark));
            }
        }
    }
    for nodes in [3, 5, 9] {
        for (w, h) in [(120, 36), (80, 24)] {
            let view = view_at(&many_faults(nodes), Duration::from_secs(7));
            for (suffix, background) in [("", Background::Dark), ("-light", Background::Light)] {
                let on = Theme { background, ..Theme::RECORDING };
                let buf = super::frame(&view, None, Size::new(w, h), on);
                drawn.push((format!("faults{nodes}-{w}{suffix}"), buf, background));
            }
        }
    }
    for (name, buf, background) in drawn {
        let svg = to_svg(&buf, &name, background);
        assert!(svg.len() < 100_000, "{name}: {} bytes", svg.len());
        check(&svg, &buf);
        if let Some(dir) = &dir {
            std::fs::write(dir.join(format!("{name}.svg")), svg).unwrap();
            std::fs::write(dir.join(format!("{name}.txt")), to_text(&buf)).unwrap();
        }
    }
}

fn number(node: Node<'_, '_>, name: &str) -> f32 {
    node.attribute(name).and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name} of {node:?}"))
}

/// Well-formed, nothing from outside, and every sign in its cell: as text, or drawn.
fn check(svg: &str, buf: &Buffer) {
    let document = Document::parse(svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    for node in document.descendants().filter(Node::is_element) {
        assert!(
            ["svg", "title", "style", "rect", "g", "path", "text", "tspan"].contains(&node.tag_name().name()),
            "{node:?}"
        );
        assert!(!node.attributes().any(|a| a.name().starts_with("on") || a.name() == "href"));
    }
    let mut left: Vec<Option<&str>> = buf
        .content()
        .iter()
        .map(Cell::symbol)
        .map(|s| Some(s).filter(|s| *s != " " && !s.chars().all(is_drawn)))
        .collect();
    for text in document.descendants().filter(|n| n.has_tag_name("text")) {
        let row = ((number(text, "y") - 13.5) / CELL_HEIGHT).round() as usize;
        for span in text.children().filter(|n| n.has_tag_name("tspan")) {
            let mut column = (number(span, "x") / CELL_WIDTH).round() as usize;
            let said = span.text().unwrap_or_default();
            let mut cells = 0;
            let mut rest = said;
            while !rest.is_empty() {
                let cell = &mut left[row * usize::from(buf.area.width) + column];
                let symbol = cell.take().unwrap_or(" ");
                // XML cannot hold these two.
                let shown = symbol.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
                rest = rest.strip_prefix(&shown).unwrap_or_else(|| panic!("{symbol:?} in {said:?}"));
                let width = usize::from(symbol.cell_width().max(1));
                (column, cells) = (column + width, cells + width);
            }
            assert!((number(span, "textLength") - cells as f32 * CELL_WIDTH).abs() < 0.1, "{said:?}");
        }
    }
    assert_eq!(left.iter().flatten().next(), None, "left out");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is on the screen, the picture is XML and shows it.
    #[test]
    fn any_frame_is_a_picture(
        texts in prop::collection::vec(("\\PC{0,12}|[ -~]{0,30}", 0u16..40, 0u16..8, any::<u8>(), 0u16..512), 0..20),
        title in "\\PC{0,20}|[<>&\"']{0,5}",
    ) {
        let mut buf = Buffer::empty(Rect::new(0, 0, 40, 8));
        for (text, x, y, colour, modifier) in texts {
            let style = Style::new()
                .fg(Color::Indexed(colour))
                .bg(if colour % 3 == 0 { Color::Rgb(colour, 0, 9) } else { Color::Reset })
                .add_modifier(Modifier::from_bits_truncate(modifier));
            buf.set_stringn(x, y, text, usize::from(40 - x), style);
        }
        check(&to_svg(&buf, &title, Background::Dark), &buf);
    }
}

#[test]
fn a_small_picture() {
    let mut buf = Buffer::empty(Rect::new(0, 0, 12, 2));
    buf.set_string(0, 0, "┌─ <a & b> ", Style::new().fg(Color::Indexed(74)));
    buf.set_string(0, 1, "▃░⠿╳ ✓", Style::new().fg(Color::Red).add_modifier(Modifier::DIM));
    buf.set_string(7, 1, "LIVE", Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD));
    insta::assert_snapshot!(to_svg(&buf, "small", Background::Dark));
}

/// Every sign that needs no font has an outline within its cell.
#[test]
fn drawn_signs_stay_in_their_cells() {
    let drawn = (0u32..0x1_0000).filter_map(char::from_u32).filter(|&c| is_drawn(c));
    let mut count = 0;
    for c in drawn {
        let mut path = String::new();
        glyphs::draw(c, 0.0, 0.0, &mut path);
        assert!(!path.is_empty() || c == '\u{2800}', "{c}");
        for point in path.split(['M', 'L']).filter_map(|p| p.split(['h', 'a', 'Z']).next()) {
            let mut numbers = point.split_whitespace().filter_map(|n| n.parse::<f32>().ok());
            if let (Some(x), Some(y)) = (numbers.next(), numbers.next()) {
                assert!(
                    (-0.6..=CELL_WIDTH + 0.6).contains(&x) && (-0.6..=CELL_HEIGHT + 0.6).contains(&y),
                    "{c} {point}"
                );
            }
        }
        count += 1;
    }
    assert!(count > 256 + 17 + 8, "{count}");
}

#[test]
fn a_proof_is_drawn_from_the_events() {
    let view = view_at(&broken_promise(), Duration::from_micros(moment::SPLIT));
    let buf = super::frame(&view, Some(0), Size::new(120, 36), Theme::RECORDING);
    check(&to_svg(&buf, "a proof", Background::Dark), &buf);
    assert!(to_text(&buf).contains("The rule that was broken"));
}

/// Makes one output of the run in this directory.
fn make(dir: &Path, recording: Recording, out: &str) -> Result<String, String> {
    let path = dir.join(out);
    let outputs = Outputs::create(std::slice::from_ref(&path), recording.at.is_some());
    let made = outputs.and_then(|outputs| recording.make(Source::Run(dir), outputs, |_| {}));
    made.map_err(|error| format!("{error:#}"))?;
    Ok(std::fs::read_to_string(path).expect("text"))
}

#[test]
fn a_run_is_drawn_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let events = dir.join("events.jsonl");
    let mut file = std::fs::File::create(&events).unwrap();
    for event in split_brain(Player::Scenario) {
        writeln!(file, "{}", serde_json::to_string(&event).unwrap()).unwrap();
    }
    write!(file, "{{\"t_us\":14000000,\"event\":\"no").unwrap();
    drop(file);
    let end = Recording::default();
    let split = Recording { at: Some(Duration::from_micros(moment::SPLIT)), ..end };
    let svg = make(dir, split, "split.svg").unwrap();
    let shown = frame(Player::Scenario, moment::SPLIT, (120, 36));
    check(&svg, &shown);
    let light = make(dir, Recording { background: Background::Light, ..split }, "light.svg").unwrap();
    check(&light, &shown);
    let paper = |svg: &str| svg.contains("rx=\"8\" fill=\"#ffffff\"");
    assert!(paper(&light) && !paper(&svg), "{light}");
    let narrow = make(dir, Recording { size: Size::new(80, 24), ..split }, "narrow.txt").unwrap();
    assert_eq!(narrow, to_text(&frame(Player::Scenario, moment::SPLIT, (80, 24))));
    assert!(make(dir, end, "end.txt").unwrap().contains("AS EXPECTED"));

    let later = Recording { at: Some(Duration::MAX), ..end };
    assert_eq!(make(dir, later, "later.txt"), make(dir, end, "end.txt"), "there is nothing after the end");

    let refused = |recording, out| make(dir, recording, out).unwrap_err();
    let proof = refused(Recording { proof: Some(1), ..end }, "proof.txt");
    assert!(proof.ends_with("there is no proof 1: no promise is broken by then"), "{proof}");
    assert!(refused(split, "split.bmp").contains("by the ending of its name"));
    let late = Recording { from: Some(Duration::from_secs(900)), ..end };
    assert!(refused(late, "late.txt").contains("before --from"), "{}", refused(late, "late.txt"));
    let left: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "what is not made leaves nothing behind: {left:?}");

    let newer = split_brain(Player::Person).swap_remove(0);
    let newer = serde_json::to_string(&newer).unwrap();
    let version =
        |n: u32| newer.replace(&format!("\"version\":{EVENTS_VERSION}"), &format!("\"version\":{n}"));
    std::fs::write(&events, version(EVENTS_VERSION + 1) + "\n{\"t_us\":1,\"event\":\"of tomorrow\"}\n")
        .unwrap();
    let reads = format!("this one reads formats up to {EVENTS_VERSION}");
    assert!(refused(split, "split.svg").contains(&reads), "{}", refused(split, "split.svg"));
    std::fs::write(&events, version(1) + "\n").unwrap();
    make(dir, end, "old.txt").expect("older formats are read");
    std::fs::write(&events, "{\"t_us\":1}\n").unwrap();
    let no_event = refused(split, "split.svg");
    assert!(no_event.contains("events.jsonl:1: not an event of a run"), "{no_event}");
    std::fs::write(&events, "").unwrap();
    assert!(refused(split, "split.svg").contains("does not begin with a header"));
}

fn film(shooting: Shooting, events: &[Stamped]) -> Vec<Cue> {
    let events = events.iter().cloned().map(Ok);
    Film::new(shooting, ViewState::default(), events).collect::<anyhow::Result<_>>().expect("a film")
}

fn shooting(from_us: u64, to_us: u64) -> Shooting {
    Shooting {
        from: Duration::from_micros(from_us),
        to: Duration::from_micros(to_us),
        proof: None,
        size: Size::new(120, 36),
        theme: Theme::RECORDING,
        speed: 1.0,
        fps: 10,
        idle_limit: None,
    }
}

/// What is on the film's screen at each of its moments is what a still of that moment of the run shows.
#[test]
fn a_film_shows_what_stills_show() {
    let events = split_brain(Player::Scenario);
    let cues = film(Shooting { speed: 2.0, ..shooting(1_000_000, moment::SPLIT) }, &events);
    let length = Duration::from_micros((moment::SPLIT - 1_000_000) / 2);
    let mut at = Duration::ZERO;
    let mut shown: Option<Buffer> = None;
    for cue in &cues {
        assert!(cue.at >= at, "time does not go back");
        at = cue.at;
        if let What::Frame(buffer) = &cue.what {
            assert_ne!(shown.as_ref(), Some(&**buffer), "equal frames are one");
            let t_us = 1_000_000 + micros(cue.at) * 2;
            assert_eq!(**buffer, frame(Player::Scenario, t_us.min(moment::SPLIT), (120, 36)), "{t_us}");
            shown = Some((**buffer).clone());
        }
    }
    let last = cues.last().expect("an end");
    assert_eq!(last.what, What::End);
    assert!(last.at >= length && last.at < length + Duration::from_millis(101), "{:?}", last.at);
    let marks: Vec<_> = cues.iter().filter(|cue| matches!(cue.what, What::Mark(_))).collect();
    assert!(marks.len() >= 3, "{marks:?}");
}

/// With a limit no two moments at which something is told are further apart than it allows.
#[test]
fn what_is_idle_is_left_out() {
    let events = split_brain(Player::Scenario);
    let end_us = events.last().expect("events").t_us;
    let limit = Duration::from_millis(300);
    let all = film(shooting(0, end_us), &events);
    let short = film(Shooting { idle_limit: Some(limit), ..shooting(0, end_us) }, &events);
    let told: std::collections::BTreeSet<u64> = events
        .iter()
        .filter(|e| crate::text::events::is_told(&e.event))
        .map(|e| e.t_us.div_ceil(100_000))
        .collect();
    let ends: Vec<u64> = told.iter().copied().chain([end_us.div_ceil(100_000)]).collect();
    let (mut last, mut ticks) = (0, 0);
    for tick in ends {
        ticks += (tick - last).min(3);
        last = tick;
    }
    let length = |cues: &[Cue]| cues.last().expect("an end").at;
    assert_eq!(length(&short), Duration::from_millis(ticks * 100));
    assert!(length(&short) < length(&all));
    let marks = |cues: &[Cue]| -> Vec<String> {
        let mark = |cue: &Cue| match &cue.what {
            What::Mark(text) => Some(text.clone()),
            _ => None,
        };
        cues.iter().filter_map(mark).collect()
    };
    assert_eq!(marks(&short), marks(&all), "nothing that matters is left out");
}
