//! State → frame: whole screens, at every size, in every theme.

use std::time::Duration;

use kvlab::types::{ClockCondition, DiskCondition, NodeCondition, Quirk};
use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::fixture::{N1, N2, Player, many_faults, moment, split_brain};
use super::strategies::stamped;
use crate::action::SlowLink;
use crate::record::{is_drawn, to_text};
use crate::run::event::{LabEvent, LinkState, Stamped};
use crate::screen::input::{LinkKey, ProofCard, Question, UiState};
use crate::screen::keys::KEYS;
use crate::screen::layout::Pane;
use crate::screen::menu::Menu;
use crate::screen::render;
use crate::screen::state::ViewState;
use crate::screen::theme::{Background, Charset, Colours, Theme};

pub(super) const MONO: Theme = Theme { colours: Colours::Mono, ..Theme::RECORDING };
pub(super) const ASCII: Theme = Theme { colours: Colours::Mono, charset: Charset::Ascii, ..Theme::RECORDING };
const SIXTEEN: Theme = Theme { colours: Colours::Sixteen, ..Theme::RECORDING };
const INDEXED: Theme = Theme { colours: Colours::Indexed, ..Theme::RECORDING };

pub(super) fn view_at(events: &[Stamped], t_us: u64) -> ViewState {
    let mut view = ViewState::of(events.iter().filter(|e| e.t_us <= t_us));
    view.advance(t_us);
    view
}

fn at(player: Player, t_us: u64) -> ViewState {
    view_at(&split_brain(player), t_us)
}

pub(super) fn frame(view: &ViewState, ui: &UiState, theme: Theme, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    render(area, &mut buf, view, ui, theme);
    buf
}

pub(super) fn plain(view: &ViewState, ui: &UiState, size: (u16, u16)) -> String {
    to_text(&frame(view, ui, MONO, size))
}

/// Moments, players, themes, sizes: what a person sees.
#[test]
fn whole_screens() {
    let ui = UiState::default();
    for (name, player, t_us) in [
        ("start", Player::Person, 60_000),
        ("calm", Player::Person, moment::CALM),
        ("isolated", Player::Person, moment::ISOLATED),
        ("split", Player::Person, moment::SPLIT),
        ("split-scenario", Player::Scenario, moment::SPLIT),
        ("healed-scenario", Player::Scenario, moment::HEALED),
    ] {
        let view = at(player, t_us);
        for size in [(120, 36), (80, 24), (60, 16), (39, 9)] {
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), plain(&view, &ui, size));
        }
    }
}

#[test]
fn whole_screens_in_ascii() {
    let view = at(Player::Scenario, moment::SPLIT);
    for size in [(120, 36), (80, 24)] {
        let buf = frame(&view, &UiState::default(), ASCII, size);
        insta::assert_snapshot!(format!("split-ascii-{}x{}", size.0, size.1), to_text(&buf));
    }
}

/// Text and style runs.
#[test]
fn whole_screens_in_colour() {
    let view = at(Player::Person, moment::SPLIT);
    let light = Theme { background: Background::Light, ..Theme::RECORDING };
    let dark = [("true", Theme::RECORDING), ("256", INDEXED), ("16", SIXTEEN), ("mono", MONO)];
    for (name, theme) in dark.into_iter().chain([("light", light)]) {
        let buf = frame(&view, &UiState::default(), theme, (80, 24));
        insta::assert_debug_snapshot!(format!("split-{name}"), buf);
    }
}

#[test]
fn many_nodes_and_many_faults() {
    for nodes in [3, 5, 9] {
        let view = view_at(&many_faults(nodes), 7_000_000);
        for size in [(120, 36), (80, 24)] {
            let name = format!("faults{nodes}-{}x{}", size.0, size.1);
            insta::assert_snapshot!(name, plain(&view, &UiState::default(), size));
        }
    }
}

/// n2 with a slow disk and a fast clock, and slow and lossy links to n1.
fn ill() -> ViewState {
    let how = SlowLink { delay: Duration::from_millis(80), loss: 50, ..SlowLink::default() };
    let mut view = at(Player::Person, moment::CALM);
    let link = |from, to| LabEvent::Link { from, to, state: LinkState::Slow(how) };
    let set = |condition| LabEvent::Condition { node: N2, condition };
    for event in [
        set(NodeCondition::Disk(DiskCondition::Slow { by: Duration::from_millis(50) })),
        set(NodeCondition::Clock(ClockCondition::Rate { permille: 1500 })),
        link(N1, N2),
        link(N2, N1),
    ] {
        view.apply(&Stamped { t_us: view.now_us, event });
    }
    view
}

#[test]
fn what_lies_over_the_screen() {
    let view = at(Player::Person, moment::SPLIT);
    let ui = UiState { selected: N2, ..UiState::default() };
    let help = UiState { help: true, ..ui.clone() };
    insta::assert_snapshot!("help-120x36", plain(&view, &help, (120, 36)));
    insta::assert_snapshot!("help-80x24", plain(&view, &help, (80, 24)));
    let force = UiState { question: Some(Question::Force(N2)), ..ui.clone() };
    insta::assert_snapshot!("question-80x24", plain(&view, &force, (80, 24)));
    let wipe = UiState { question: Some(Question::Wipe(N2)), ..ui.clone() };
    insta::assert_snapshot!("question-wipe-80x24", plain(&view, &wipe, (80, 24)));
    let target = UiState { target: Some(LinkKey::Cut), ..ui.clone() };
    insta::assert_snapshot!("which-key-80x24", plain(&view, &target, (80, 24)));
    let menu = UiState { menu: Some(Menu::Node), ..ui.clone() };
    insta::assert_snapshot!("conditions-80x24", plain(&ill(), &menu, (80, 24)));
    let menu = UiState { menu: Some(Menu::Link(N1)), ..ui.clone() };
    insta::assert_snapshot!("conditions-of-a-link-120x36", plain(&ill(), &menu, (120, 36)));
    let frozen = UiState { frozen: true, focus: Pane::Events, zoom: true, ..ui.clone() };
    insta::assert_snapshot!("frozen-zoomed-events-80x24", plain(&view, &frozen, (80, 24)));
    let links = UiState { focus: Pane::Links, ..ui };
    insta::assert_snapshot!("links-in-focus-80x24", plain(&view, &links, (80, 24)));
}

/// A mistake that is made on purpose is said loudly, and stays in sight whatever else there is to say.
#[test]
fn quirks_are_in_the_header() {
    let mut events = split_brain(Player::Scenario);
    let quirks = |events: &mut Vec<Stamped>, quirks: &[Quirk]| {
        let Some(LabEvent::Header(header)) = events.first_mut().map(|first| &mut first.event) else {
            panic!("a run begins with its header");
        };
        header.quirks = quirks.iter().copied().collect();
    };
    quirks(&mut events, &[Quirk::NoFence]);
    let view = view_at(&events, moment::SPLIT);
    for size in [(120, 36), (80, 24)] {
        let text = plain(&view, &UiState::default(), size);
        insta::assert_snapshot!(format!("quirk-{}x{}", size.0, size.1), text);
    }
    quirks(&mut events, &Quirk::ALL);
    let view = view_at(&events, moment::SPLIT);
    for size in [(120, 36), (80, 24), (60, 16), (40, 10)] {
        let text = plain(&view, &UiState::default(), size);
        assert!(text.lines().next().is_some_and(|header| header.contains("QUIRK")), "{size:?}\n{text}");
    }
}

/// The first seconds tell: who leads, who is cut off, what is at risk.
#[test]
fn the_split_is_plain_at_every_size() {
    let view = at(Player::Person, moment::SPLIT);
    for size in [(200, 60), (120, 36), (80, 24), (60, 16), (40, 10)] {
        let text = plain(&view, &UiState::default(), size);
        assert!(text.contains("TWO PRIMARIES"), "{size:?}\n{text}");
        if size.0 >= 80 {
            for part in ["OLD PRIMARY isolated", "at risk on n1", "n2 2@n2 + ◆ n1 1@n1"] {
                assert!(text.contains(part), "{size:?} {part}\n{text}");
            }
        }
    }
}

#[test]
fn the_age_of_what_is_old_is_shown() {
    let mut view = at(Player::Person, moment::CALM);
    view.advance(moment::CALM + 4_200_000);
    let text = plain(&view, &UiState::default(), (120, 36));
    assert!(text.contains("4.2 s ago") && text.contains("silent"), "{text}");
    assert!(text.contains("no sample for 4.2 s"), "{text}");
    assert!(!text.contains(" 299 "), "a rate of four seconds ago is no rate");
}

#[test]
fn the_age_has_its_place_at_every_size() {
    let view = view_at(&many_faults(9), 7_000_000);
    let ui = UiState { selected: kvlab::types::NodeId(4), ..UiState::default() };
    for width in (40..=200).step_by(3) {
        for height in [10, 16, 24, 40] {
            let text = plain(&view, &ui, (width, height));
            let row = text.lines().find(|l| l.contains("n4") && l.contains("paused") && !l.contains("LEADS"));
            let shown = row.is_some_and(|row| row.contains("4.0 s ago") || row.contains("-4s"));
            assert!(shown, "{width}x{height}\n{text}");
        }
    }
}

#[test]
fn missed_events_are_on_the_screen() {
    let mut view = at(Player::Person, moment::CALM);
    view.miss(1_200);
    assert!(plain(&view, &UiState::default(), (120, 36)).contains("missed 1200 events"));
}

/// Every row of the table is in `?`.
#[test]
fn the_help_lists_every_key() {
    let view = at(Player::Person, moment::CALM);
    let text = plain(&view, &UiState { help: true, ..UiState::default() }, (160, 50));
    for binding in KEYS {
        assert!(text.contains(binding.help) && text.contains(binding.label), "{binding:?}\n{text}");
    }
    // Where it does not fit, scrolling gets to the end.
    let end = UiState { help: true, help_scroll: KEYS.len(), ..UiState::default() };
    let last = KEYS.last().map(|b| b.help).unwrap_or_default();
    assert!(plain(&view, &end, (80, 24)).contains(last));
}

/// The footer names keys of the table only, and help and quit always.
#[test]
fn the_footer_is_drawn_from_the_table() {
    let view = at(Player::Person, moment::CALM);
    for (width, height) in [(120, 36), (100, 30), (80, 24), (50, 12)] {
        let text = plain(&view, &UiState::default(), (width, height));
        let last = text.lines().last().unwrap_or_default();
        assert!(last.trim_end().ends_with("? help  q quit"), "{width}: {last}");
    }
}

pub(super) fn check(buf: &Buffer, theme: Theme) {
    for cell in buf.content() {
        let symbol = cell.symbol();
        assert!(!symbol.chars().any(char::is_control), "{symbol:?}");
        if theme.charset == Charset::Ascii {
            assert!(symbol.is_ascii(), "{symbol:?}");
        }
        if theme.colours == Colours::Mono {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{symbol:?}");
        }
    }
}

/// Common fonts have these signs, and the pictures draw them without a font.
#[test]
fn only_signs_that_every_font_has() {
    for (player, t_us) in [
        (Player::Person, moment::CALM),
        (Player::Person, moment::SPLIT),
        (Player::Scenario, moment::ISOLATED),
        (Player::Scenario, moment::HEALED),
    ] {
        let view = at(player, t_us);
        for size in [(200, 60), (120, 36), (80, 24), (40, 10)] {
            let buf = frame(&view, &UiState::default(), Theme::RECORDING, size);
            let odd =
                buf.content().iter().find(|c| !c.symbol().is_ascii() && !c.symbol().chars().all(is_drawn));
            assert_eq!(odd.map(Cell::symbol), None);
        }
    }
}

#[test]
fn every_size_is_drawn() {
    let views = [at(Player::Scenario, moment::SPLIT), view_at(&many_faults(9), 7_000_000)];
    let sizes = (0..=200u16).step_by(13).flat_map(|w| (0..=60u16).step_by(7).map(move |h| (w, h)));
    let edges = [(39, 10), (40, 9), (40, 10), (79, 24), (80, 23), (80, 24), (119, 36), (120, 35), (120, 36)];
    for size in sizes.chain(edges) {
        for (view, theme) in views.iter().flat_map(|v| [(v, Theme::RECORDING), (v, ASCII)]) {
            check(&frame(view, &UiState::default(), theme, size), theme);
        }
    }
}

fn any_ui() -> impl Strategy<Value = UiState> {
    let pane = (0..Pane::ALL.len()).prop_map(|i| Pane::ALL[i]);
    let target =
        prop::option::of(prop_oneof![Just(LinkKey::Cut), Just(LinkKey::CutOneWay), Just(LinkKey::Slow)]);
    let question = prop::option::of(prop_oneof![
        super::strategies::node().prop_map(Question::Force),
        super::strategies::node().prop_map(Question::Wipe),
        Just(Question::Quit)
    ]);
    let proof =
        prop::option::of((0..70usize, 0..300usize).prop_map(|(index, scroll)| ProofCard { index, scroll }));
    let menu =
        prop::option::of(prop_oneof![Just(Menu::Node), super::strategies::node().prop_map(Menu::Link),]);
    let asked = (target, menu, question, proof);
    (super::strategies::node(), pane, any::<(bool, bool, bool)>(), asked, 0..60usize, 0..600usize).prop_map(
        |(selected, focus, (zoom, help, frozen), (target, menu, question, proof), help_scroll, scroll)| {
            UiState {
                selected,
                frozen,
                focus,
                zoom,
                target,
                menu,
                question,
                proof,
                help,
                help_scroll,
                scroll,
                ..UiState::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any state, any size, anything open: no panic, nothing outside the area, nothing the theme forbids.
    #[test]
    fn any_state_is_drawn_within_its_area(
        events in prop::collection::vec(stamped(), 0..40),
        ui in any_ui(),
        (width, height) in (0u16..=200, 0u16..=60),
        theme in prop_oneof![Just(Theme::RECORDING), Just(MONO), Just(ASCII), Just(SIXTEEN)],
    ) {
        let view = ViewState::of(&events);
        let whole = Rect::new(0, 0, width + 4, height + 4);
        let area = Rect::new(2, 2, width, height);
        let mut buf = Buffer::filled(whole, Cell::new("#"));
        render(area, &mut buf, &view, &ui, theme);
        check(&buf, theme);
        for y in 0..whole.height {
            for x in (0..whole.width).filter(|&x| !area.contains((x, y).into())) {
                prop_assert_eq!(buf.cell((x, y)).map(Cell::symbol), Some("#"), "{} {}", x, y);
            }
        }
    }
}

#[test]
#[ignore = "prints how long frames take; for people"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn cost_of_a_frame() {
    let view = at(Player::Scenario, moment::SPLIT);
    for size in [(120, 36), (80, 24)] {
        let started = std::time::Instant::now();
        (0..200).for_each(|_| drop(frame(&view, &UiState::default(), Theme::RECORDING, size)));
        println!("{size:?}: {:?} a frame", started.elapsed() / 200);
    }
    let events = split_brain(Player::Scenario);
    let started = std::time::Instant::now();
    (0..20).for_each(|_| drop(ViewState::of(&events)));
    println!(
        "{} events: {:?} each",
        events.len(),
        started.elapsed() / (20 * u32::try_from(events.len()).unwrap())
    );
}
