//! The card of a proof: how it opens, what it says, at every size and in every theme.

use crossterm::event::KeyCode;
use kvlab::judge::{
    Completion, Consistency, OpKind, Operation, OrderProof, Phase, Stamp, Value, Violation, ViolationKind,
};
use proptest::prelude::*;
use ratatui::buffer::Cell;

use super::fixture::{Player, broken_promise, moment, split_brain, verdict};
use super::frames::{ASCII, MONO, check, frame, plain};
use super::strategies::{epoch, node, number, text};
use crate::record::is_drawn;
use crate::run::event::{LabEvent, Stamped};
use crate::screen::input::{ProofCard, UiCommand, UiState, update};
use crate::screen::keys::Key;
use crate::screen::state::ViewState;
use crate::screen::theme::Theme;

fn broken() -> ViewState {
    ViewState::of(&broken_promise())
}

fn open(index: usize) -> UiState {
    UiState { proof: Some(ProofCard { index, scroll: 0 }), ..UiState::default() }
}

#[test]
fn cards() {
    let view = broken();
    for (name, index) in [("order", 0), ("long", 1), ("ghost", 2)] {
        for size in [(120, 36), (80, 24), (60, 16)] {
            let text = plain(&view, &open(index), size);
            insta::assert_snapshot!(format!("proof-{name}-{}x{}", size.0, size.1), text);
        }
    }
    insta::assert_debug_snapshot!("proof-true", frame(&view, &open(0), Theme::RECORDING, (80, 24)));
    insta::assert_snapshot!(
        "proof-ascii-80x24",
        crate::record::to_text(&frame(&view, &open(0), ASCII, (80, 24)))
    );
}

#[test]
fn a_broken_promise_says_how_to_see_why() {
    let view = broken();
    for size in [(120, 36), (80, 24), (60, 16), (40, 10)] {
        let text = plain(&view, &UiState::default(), size);
        assert!(text.contains("Enter"), "{size:?}\n{text}");
    }
    let situation = view.situation();
    assert_eq!(situation.title, "PROMISE BROKEN: NOT LINEARIZABLE");
    assert!(situation.text.contains("n2's quorum {n2,n3} had moved to 2@n2"), "{}", situation.text);
    let proved: Vec<_> = view.story.iter().filter(|line| line.text.contains("key \"demo\"")).collect();
    assert_eq!(proved.len(), 1, "{proved:?}");
}

/// A proof comes before the verdict that counts it: no frame in between may say that all is well.
#[test]
fn the_strip_and_the_sentence_turn_with_the_proof() {
    let events = broken_promise();
    let before_the_verdict = ViewState::of(&events[..events.len() - 1]);
    let text = plain(&before_the_verdict, &UiState::default(), (120, 36));
    assert!(text.contains("✗ NOT linearizable, Enter: why") && text.contains("PROMISE BROKEN"), "{text}");
}

/// What is unread may still be lost: no count is final before, and no sign says that it is.
#[test]
fn losses_are_so_far_until_everything_was_read_back() {
    let mut view = ViewState::of(&split_brain(Player::Person));
    let mut tell = |lost: Option<u64>, unread: u64| {
        let mut verdict = verdict(true);
        (verdict.promise.quorum_writes_lost, verdict.promise.quorum_writes_unread) = (lost, unread);
        view.apply(&Stamped { t_us: moment::HEALED, event: LabEvent::Verdict(verdict) });
        [(120, 36), (80, 24), (50, 16)].map(|size| {
            let text = plain(&view, &UiState::default(), size);
            let row = text.lines().find(|line| line.starts_with(" PROMISE  ")).unwrap_or_default();
            row.to_owned()
        })
    };
    for (lost, unread, [wide, compact, narrow]) in [
        (None, 12, ["… quorum lost: 0 so far, 12 unread", "… quorum lost 0+?", "…q-lost 0+?"]),
        (Some(3), 12, ["✗ quorum lost: 3 so far, 12 unread", "✗ quorum lost 3+?", "✗q-lost 3+?"]),
        (Some(0), 0, ["✓ quorum writes lost: 0 of 812", "✓ quorum lost 0/812", "✓q-lost 0"]),
        (None, 0, ["… quorum writes lost: ? of 812", "… quorum lost ?/812", "…q-lost"]),
    ] {
        let rows = tell(lost, unread);
        for (row, expected) in rows.iter().zip([wide, compact, narrow]) {
            assert!(row.contains(expected), "{expected:?} is not in {row:?}");
        }
    }
}

/// Types the keys and gives the last command.
fn press(keys: &[Key], ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    keys.iter().map(|&key| update(key, ui, view)).last().flatten()
}

const ENTER: Key = Key::Named(KeyCode::Enter);
const ESC: Key = Key::Named(KeyCode::Esc);

#[test]
fn enter_opens_the_first_proof_and_enter_or_esc_close_it() {
    let view = broken();
    for close in [ENTER, ESC, Key::Char('q')] {
        let mut ui = UiState::default();
        press(&[ENTER], &mut ui, &view);
        assert_eq!(ui.proof, Some(ProofCard::default()));
        assert_eq!(press(&[close], &mut ui, &view), None, "nothing else happens");
        assert_eq!(ui, UiState::default());
    }
}

#[test]
fn where_no_promise_is_broken_enter_says_so() {
    let view = ViewState::of(&split_brain(Player::Person));
    let mut ui = UiState::default();
    press(&[ENTER], &mut ui, &view);
    assert!(ui.proof.is_none() && ui.flash.is_some());
    assert!(!plain(&view, &UiState::default(), (120, 36)).contains("Enter"));
}

#[test]
fn keys_move_in_a_proof_and_from_one_to_the_next() {
    let view = broken();
    let mut ui = open(0);
    let at = |index, scroll| Some(ProofCard { index, scroll });
    let named = |code| Key::Named(code);
    for (key, expected) in [
        (Key::Char('j'), at(0, 1)),
        (named(KeyCode::Down), at(0, 2)),
        (named(KeyCode::PageDown), at(0, 12)),
        (named(KeyCode::Up), at(0, 11)),
        (named(KeyCode::PageUp), at(0, 1)),
        (Key::Char('n'), at(1, 0)),
        (named(KeyCode::Right), at(2, 0)),
        (Key::Char('n'), at(2, 0)),
        (Key::Char('p'), at(1, 0)),
        (named(KeyCode::Left), at(0, 0)),
        (named(KeyCode::Left), at(0, 0)),
        // No key does what it does elsewhere.
        (Key::Char('K'), at(0, 0)),
        (Key::Char('1'), at(0, 0)),
    ] {
        assert_eq!(update(key, &mut ui, &view), None, "{key:?}");
        assert_eq!(ui.proof, expected, "{key:?}");
    }
    assert_eq!(update(Key::Char('S'), &mut ui, &view), Some(UiCommand::Screenshot));
    assert_eq!(update(Key::Ctrl('c'), &mut ui, &view), Some(UiCommand::Quit));
}

/// Scrolling gets to the last line wherever the card is too high.
#[test]
fn the_end_of_a_proof_can_be_read_on_small_screens() {
    let view = broken();
    for size in [(40, 10), (60, 16), (80, 24)] {
        let ui = UiState { proof: Some(ProofCard { index: 1, scroll: 100 }), ..UiState::default() };
        let text = plain(&view, &ui, size);
        assert!(text.contains("t=6.400") && !text.contains("goes on below"), "{size:?}\n{text}");
    }
}

#[test]
fn a_frozen_card_is_the_one_that_was_looked_at() {
    let (full, empty) = (broken(), ViewState::of(&split_brain(Player::Person)));
    assert!(plain(&full, &open(0), (120, 36)).contains("Proof: NOT linearizable"));
    // The frozen state may be from before the violation: then there is nothing to draw.
    assert_eq!(plain(&empty, &open(0), (120, 36)).matches("Proof:").count(), 0);
}

#[test]
fn every_size_is_drawn() {
    let view = broken();
    let sizes = (0..=200u16).step_by(9).flat_map(|w| (0..=60u16).step_by(5).map(move |h| (w, h)));
    let edges = [(40, 10), (79, 24), (80, 23), (80, 24), (119, 36), (120, 36)];
    for size in sizes.chain(edges) {
        for (index, theme) in (0..4).flat_map(|i| [(i, Theme::RECORDING), (i, ASCII), (i, MONO)]) {
            let buf = frame(&view, &open(index), theme, size);
            check(&buf, theme);
            let odd =
                buf.content().iter().find(|c| !c.symbol().is_ascii() && !c.symbol().chars().all(is_drawn));
            assert_eq!(odd.map(Cell::symbol), None, "{size:?}");
        }
    }
}

fn value() -> BoxedStrategy<Value> {
    prop_oneof![4 => text().prop_map(Value::from), 1 => any::<i64>().prop_map(Value::from)].boxed()
}

/// Boxed, as is what is made of it: strategies within strategies are large.
fn operation() -> BoxedStrategy<Operation> {
    let stamp = || (prop_oneof![0u64..12, number()], number()).prop_map(|(i, t_ns)| Stamp { i, t_ns });
    let phase = prop_oneof![Just(Phase::Ok), Just(Phase::Fail), Just(Phase::Info)];
    let ended = (stamp(), phase, prop::option::of(epoch()), prop::option::of(number()))
        .prop_map(|(at, phase, epoch, seq)| Completion { at, phase, epoch, seq });
    let op = prop_oneof![Just(OpKind::Put), Just(OpKind::Get), Just(OpKind::Del)];
    (
        0u32..4,
        prop::option::of(node()),
        op,
        text(),
        prop::option::of(value()),
        stamp(),
        prop::option::of(ended),
    )
        .prop_map(|(client, node, op, key, value, began, ended)| Operation {
            client,
            node,
            op,
            key,
            value,
            consistency: Consistency::Quorum,
            began,
            ended,
        })
        .boxed()
}

/// Any violation that a file can tell of, however absurd.
pub fn violation() -> BoxedStrategy<Violation> {
    let one = || operation().prop_map(Box::new);
    let part = || prop::option::of(operation());
    let order = (prop::option::of(value()), prop::option::of(value()), part(), part(), part(), part())
        .prop_map(|(a, b, a1, b1, b2, a2)| {
            ViolationKind::Order(Box::new(OrderProof { a, b, a1, b1, b2, a2 }))
        });
    let kind = prop_oneof![
        4 => order,
        1 => one().prop_map(|read| ViolationKind::NeverWritten { read }),
        1 => (one(), prop::option::of(one()))
            .prop_map(|(write, read)| ViolationKind::FailedWrite { write, read }),
        1 => (one(), number()).prop_map(|(read, before_i)| ViolationKind::Forgotten { read, before_i }),
        1 => (one(), prop::collection::vec(prop::option::of(value()), 0..4))
            .prop_map(|(operation, possible)| ViolationKind::NoOrder { operation, possible }),
    ];
    (text(), number(), any::<bool>(), kind)
        .prop_map(|(key, i, linearizability, kind)| Violation { key, i, linearizability, kind })
        .boxed()
}
