//! Keys → what shall be done, row by row of the table.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashSet;

use crossterm::event::KeyCode;
use kvlab::types::{NodeId, ReadLevel, WriteLevel};

use super::fixture::{N1, N2, N3, Player, broken_promise, moment, split_brain};
use crate::action::{Action, SlowLink};
use crate::run::event::*;
use crate::screen::input::*;
use crate::screen::keys::{KEYS, Key, KeyCommand, Scope};
use crate::screen::layout::Pane;
use crate::screen::state::ViewState;

fn view() -> ViewState {
    let events = split_brain(Player::Person);
    ViewState::of(events.iter().filter(|e| e.t_us <= moment::CALM))
}

fn with(mut view: ViewState, events: &[LabEvent]) -> ViewState {
    for event in events {
        view.apply(&Stamped { t_us: view.now_us, event: event.clone() });
    }
    view
}

/// Types the keys and gives the last command.
fn press(text: &str, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    text.chars().map(|c| update(Key::Char(c), ui, view)).last().flatten()
}

fn typed(text: &str, view: &ViewState) -> Option<UiCommand> {
    press(text, &mut UiState::default(), view)
}

fn one(action: Action) -> Option<UiCommand> {
    Some(UiCommand::Perform(vec![action]))
}

#[test]
fn keys_act_on_the_selected_member() {
    let view = view();
    let key = |key: &str| key.to_owned();
    let node = N2;
    for (keys, action) in [
        ("2i", Action::Isolate { node }),
        ("2u", Action::Heal { node }),
        ("2U", Action::HealAll),
        ("2p", Action::Pause { node }),
        ("2K", Action::Kill { node }),
        ("2t", Action::Terminate { node }),
        ("2P", Action::Promote { node, force: false }),
        ("2Fy", Action::Promote { node, force: true }),
        ("2w", Action::Put { node, key: key(QUORUM_KEY), value: None, level: WriteLevel::Quorum }),
        ("2a", Action::Put { node, key: key(ASYNC_KEY), value: None, level: WriteLevel::Async }),
        ("2s", Action::Get { node, key: key(QUORUM_KEY), level: ReadLevel::Quorum }),
        ("2e", Action::Get { node, key: key(QUORUM_KEY), level: ReadLevel::Eventual }),
        ("2ae", Action::Get { node, key: key(ASYNC_KEY), level: ReadLevel::Eventual }),
        ("2b", Action::Load { on: false }),
        ("2+", Action::Rate { per_second: 500 }),
        ("2-", Action::Rate { per_second: 200 }),
    ] {
        assert_eq!(typed(keys, &view), one(action), "{keys}");
    }
    assert_eq!(
        typed("2Wy", &view),
        Some(UiCommand::Perform(vec![Action::Wipe { node }, Action::Restart { node }]))
    );
    assert_eq!(typed("2Wn", &view), None, "a wipe asks, and takes no for an answer");
    assert_eq!(typed("2W", &view), None);
    assert_eq!(typed("2Fn", &view), None, "force asks, and takes no for an answer");
    assert_eq!(typed("2F", &view), None);
}

#[test]
fn links_are_toggled() {
    let view = view();
    let cut = |from, to| Action::Cut { from, to };
    let heal = |from, to| Action::HealLink { from, to };
    let slow = |from, to| Action::Slow { from, to, how: SlowLink::by(SLOW_DELAY, SLOW_JITTER) };
    assert_eq!(typed("x2", &view), Some(UiCommand::Perform(vec![cut(N1, N2), cut(N2, N1)])));
    assert_eq!(typed("3X2", &view), one(cut(N3, N2)));
    assert_eq!(typed("2d1", &view), Some(UiCommand::Perform(vec![slow(N2, N1), slow(N1, N2)])));
    let bent = with(view, &[LabEvent::Link { from: N2, to: N1, state: LinkState::Cut }]);
    assert_eq!(typed("x2", &bent), Some(UiCommand::Perform(vec![heal(N1, N2), heal(N2, N1)])));
    assert_eq!(typed("X2", &bent), one(cut(N1, N2)), "the other direction is not cut");
    assert_eq!(typed("2X1", &bent), one(heal(N2, N1)));
    assert_eq!(typed("x1", &bent), None, "no link to itself");
    assert_eq!(typed("x7", &bent), None, "no such member");
}

#[test]
fn a_link_key_waits_for_its_target_alone() {
    let view = view();
    let mut ui = UiState::default();
    assert_eq!(press("x", &mut ui, &view), None);
    assert_eq!(press("K", &mut ui, &view), None, "no key but a digit acts");
    assert_eq!(ui.target, Some(LinkKey::Cut));
    update(Key::Named(KeyCode::Esc), &mut ui, &view);
    assert_eq!(ui.target, None);
    assert_eq!(press("x", &mut ui, &view), None);
    assert_eq!(update(Key::Ctrl('c'), &mut ui, &view), Some(UiCommand::Quit));
}

#[test]
fn processes_are_asked_for_what_they_can_do() {
    let process = |state| LabEvent::Process { node: N1, state };
    let paused = with(view(), &[process(ProcessState::Paused { pid: 1 })]);
    assert_eq!(typed("p", &paused), one(Action::Resume { node: N1 }));
    let mut ui = UiState::default();
    assert_eq!(press("P", &mut ui, &paused), None);
    assert!(ui.flash.is_some_and(|(_, text)| text.contains("paused")));

    let down = with(view(), &[process(ProcessState::Stopped { how: "kill -9".to_owned() })]);
    assert_eq!(typed("r", &down), one(Action::Restart { node: N1 }));
    let anew = vec![Action::Wipe { node: N1 }, Action::Restart { node: N1 }];
    assert_eq!(typed("Wy", &down), Some(UiCommand::Perform(anew)), "also of a member that is down");
    for key in ["K", "t", "p", "P", "F"] {
        let mut ui = UiState::default();
        assert_eq!(press(key, &mut ui, &down), None, "{key}");
        assert!(ui.flash.is_some_and(|(_, text)| text.contains("r restarts it")), "{key}");
    }
    assert_eq!(typed("r", &view()), None, "it runs");
}

#[test]
fn a_free_run_settles_before_it_ends_unless_it_is_left_again() {
    let view = view();
    let mut ui = UiState::default();
    assert_eq!(press("q", &mut ui, &view), Some(UiCommand::Settle));
    for key in ["i", "K", "w"] {
        assert_eq!(press(key, &mut ui, &view), None, "{key}: nothing is broken any more");
        assert!(ui.flash.as_ref().is_some_and(|(_, text)| text.contains("q leaves at once")), "{key}");
    }
    assert_eq!(press("z", &mut ui, &view), None);
    assert!(ui.zoom, "looking is allowed");
    assert_eq!(press("q", &mut ui, &view), Some(UiCommand::Quit));
    assert_eq!(update(Key::Ctrl('c'), &mut UiState::default(), &view), Some(UiCommand::Quit));

    let now = view.now_us;
    let settling = LabEvent::Scenario(ScenarioEvent::Settling { until_us: now + 9 });
    let reading = LabEvent::Scenario(ScenarioEvent::ReadingBack { done: 7, total: 90 });
    for (event, says) in [(settling, "wait until the members agree"), (reading, "7 of 90 keys")] {
        let situation = with(view.clone(), &[event]).situation();
        assert_eq!(situation.title, "LEAVING");
        assert!(situation.text.contains(says) && situation.text.contains("q again"), "{situation:?}");
    }
}

#[test]
fn quitting_asks_only_while_a_scenario_runs() {
    let events = split_brain(Player::Scenario);
    let runs = ViewState::of(events.iter().filter(|e| e.t_us <= moment::SPLIT));
    assert_eq!(typed("q", &runs), None);
    assert_eq!(typed("qn", &runs), None);
    assert_eq!(typed("qy", &runs), Some(UiCommand::Quit));
    assert_eq!(update(Key::Ctrl('c'), &mut UiState::default(), &runs), Some(UiCommand::Quit));
    let over = ViewState::of(&events);
    assert_eq!(typed("q", &over), Some(UiCommand::Quit));
}

#[test]
fn the_screens_own_keys() {
    let view = view();
    let mut ui = UiState::default();
    press(" ", &mut ui, &view);
    assert!(ui.frozen);
    press(" ", &mut ui, &view);
    assert!(!ui.frozen);
    update(Key::Named(KeyCode::Tab), &mut ui, &view);
    assert_eq!(ui.focus, Pane::Links);
    update(Key::Named(KeyCode::BackTab), &mut ui, &view);
    update(Key::Named(KeyCode::BackTab), &mut ui, &view);
    assert_eq!(ui.focus, Pane::Script);
    press("z", &mut ui, &view);
    assert!(ui.zoom);
    update(Key::Named(KeyCode::Esc), &mut ui, &view);
    assert!(!ui.zoom, "Esc goes back");
    assert_eq!(update(Key::Named(KeyCode::Esc), &mut ui, &view), None, "and never quits");
    press("jjjj", &mut ui, &view);
    assert_eq!(ui.selected, N3, "the last member is the end");
    press("k9", &mut ui, &view);
    assert_eq!(ui.selected, N2, "there is no n9");
    assert_eq!(typed("S", &view), Some(UiCommand::Screenshot));
    assert_eq!(update(Key::Ctrl('l'), &mut ui, &view), Some(UiCommand::Repaint));
    assert_eq!(update(Key::Ctrl('z'), &mut ui, &view), Some(UiCommand::Suspend));
}

#[test]
fn no_key_acts_behind_the_help() {
    let view = view();
    for binding in KEYS.iter().filter(|b| !b.scope.is_modal()) {
        let mut ui = UiState { help: true, ..UiState::default() };
        let command = update(binding.keys[0], &mut ui, &view);
        let passes =
            matches!(binding.command, KeyCommand::QuitNow | KeyCommand::Repaint | KeyCommand::Suspend);
        assert_eq!(command.is_some(), passes, "{}", binding.label);
        assert_eq!(ui.selected, N1);
    }
}

#[test]
fn every_row_does_something() {
    let view = ViewState::of(&broken_promise());
    let mut seen = HashSet::new();
    for binding in KEYS {
        for key in binding.keys {
            let fresh = UiState { selected: N2, ..UiState::default() };
            let mut ui = match binding.scope {
                Scope::Proof => UiState { proof: Some(ProofCard { index: 1, scroll: 20 }), ..fresh },
                Scope::Target => UiState { target: Some(LinkKey::Cut), ..fresh },
                Scope::Question => UiState { question: Some(Question::Force(N2)), ..fresh },
                _ => UiState { zoom: binding.command == KeyCommand::Back, scroll: 3, ..fresh },
            };
            let before = ui.clone();
            let command = update(*key, &mut ui, &view);
            assert!(
                command.is_some() || ui != before || is_own_digit(*key, binding.scope),
                "{key:?} {binding:?}"
            );
        }
        seen.insert(binding.command);
    }
    assert_eq!(seen.len(), 44, "a command without a key, or a new one: count it here");
}

/// Selecting the selected member changes nothing.
fn is_own_digit(key: Key, scope: Scope) -> bool {
    scope == Scope::Move && key.digit().map(NodeId) == Some(N2)
}
