//! What a key does, given what is on the screen. Pure: it says what shall be done, and does nothing.

use std::time::Duration;

use crossterm::event::KeyCode;
use kvlab::types::{NodeId, ReadLevel, WriteLevel};

use super::keys::{self, Key, KeyCommand, Scope};
use super::layout::Pane;
use super::state::{Health, ViewState};
use super::theme::Tone;
use crate::action::{Action, SlowLink};
use crate::run::event::LinkState;

/// The key that a person's quorum writes go to, and quorum reads come from. Only quorum writes ever touch it, so
/// that it can be judged like any other register of that level.
pub const QUORUM_KEY: &str = "demo";
/// The key that a person's async writes go to.
pub const ASYNC_KEY: &str = "solo";
/// `d` delays a link by this.
pub const SLOW_DELAY: Duration = Duration::from_millis(80);
/// And by up to this more or less.
pub const SLOW_JITTER: Duration = Duration::from_millis(10);
/// The rates of `+` and `-`, in operations a second.
pub const RATES: [u32; 10] = [10, 50, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000];

/// Lines of a proof that can be scrolled over: more than any proof has on the narrowest screen.
pub const PROOF_LINES_MAX: usize = 200;
/// `PgUp` and `PgDn` in a proof.
const PROOF_PAGE: usize = 10;

/// What only the person at the screen decides: which member, which pane, what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct UiState {
    /// The member that keys act on.
    pub selected: NodeId,
    /// What had happened when the person pressed Space is drawn, not what happens now.
    pub frozen: bool,
    pub focus: Pane,
    /// Whether it takes the whole screen.
    pub zoom: bool,
    /// Waiting for the other end of a link.
    pub target: Option<LinkKey>,
    /// Waiting for yes or no.
    pub question: Option<Question>,
    /// The proof that is open.
    pub proof: Option<ProofCard>,
    /// The list of keys is open.
    pub help: bool,
    /// Lines of it skipped.
    pub help_scroll: usize,
    /// Events skipped from the newest.
    pub scroll: usize,
    /// A word on the last key; gone with the next.
    pub flash: Option<(Tone, String)>,
    /// The run settles, and ends then.
    pub leaving: bool,
    /// The key last written by the person: what an eventual read reads.
    pub last_key: &'static str,
}

/// An open proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofCard {
    /// Which of the violations, from 0.
    pub index: usize,
    /// Lines of it skipped.
    pub scroll: usize,
}

/// A key that needs the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKey {
    /// `x`
    Cut,
    /// `X`
    CutOneWay,
    /// `d`
    Slow,
}

/// A question with yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Promote without votes?
    Force(NodeId),
    /// Throw its data away?
    Wipe(NodeId),
    /// Leave while a scenario runs?
    Quit,
}

/// What the loop shall do.
#[derive(Clone, Debug, PartialEq)]
pub enum UiCommand {
    /// These, in order.
    Perform(Vec<Action>),
    Screenshot,
    Repaint,
    /// To the shell and back.
    Suspend,
    /// Settle, for the full verdict, and leave then.
    Settle,
    /// Leave at once.
    Quit,
}

impl Default for UiState {
    fn default() -> Self {
        Self {
            selected: NodeId(1),
            frozen: false,
            focus: Pane::Nodes,
            zoom: false,
            target: None,
            question: None,
            proof: None,
            help: false,
            help_scroll: 0,
            scroll: 0,
            flash: None,
            leaving: false,
            last_key: QUORUM_KEY,
        }
    }
}

impl UiState {
    /// The scope that replaces all others now, if any.
    pub fn modal(&self) -> Option<Scope> {
        match () {
            () if self.question.is_some() => Some(Scope::Question),
            () if self.target.is_some() => Some(Scope::Target),
            () if self.proof.is_some() => Some(Scope::Proof),
            () => None,
        }
    }
}

/// One key was pressed. `view` is what is so now, even if the display is frozen.
pub fn update(key: Key, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    ui.flash = None;
    let Some(binding) = keys::lookup(key, ui.modal()) else {
        if ui.modal().is_none() && !ui.help {
            ui.flash = Some((Tone::Dim, "no such key; ? lists them".to_owned()));
        }
        return None;
    };
    if ui.help && !matches!(binding.command, KeyCommand::QuitNow | KeyCommand::Repaint | KeyCommand::Suspend)
    {
        read_help(binding.command, ui);
        return None;
    }
    if binding.command == KeyCommand::QuitNow {
        return Some(UiCommand::Quit);
    }
    if ui.leaving && matches!(binding.scope, Scope::Links | Scope::Node | Scope::Client) {
        flash(ui, "the run settles; q leaves at once");
        return None;
    }
    match binding.scope {
        Scope::Move => select(key, binding.command, ui, view),
        Scope::Links => links(binding.command, ui),
        Scope::Node => process(binding.command, ui, view),
        Scope::Client => client(binding.command, ui, view),
        Scope::Screen => screen(binding.command, ui, view),
        Scope::Proof => read_proof(key, binding.command, ui, view),
        Scope::Target => target(key, binding.command, ui, view),
        Scope::Question => answer(binding.command, ui),
    }
}

/// While the list of keys is open, keys move in it or close it; none does what it says there.
fn read_help(command: KeyCommand, ui: &mut UiState) {
    match command {
        KeyCommand::Next => ui.help_scroll += 1,
        KeyCommand::Older | KeyCommand::Freeze => ui.help_scroll += 10,
        KeyCommand::Previous => ui.help_scroll = ui.help_scroll.saturating_sub(1),
        KeyCommand::Newer => ui.help_scroll = ui.help_scroll.saturating_sub(10),
        _ => ui.help = false,
    }
    ui.help_scroll = ui.help_scroll.min(keys::KEYS.len());
}

/// While a proof is open, keys move in it, go to another or close it.
fn read_proof(key: Key, command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    let last = view.evidence.violations().len().saturating_sub(1);
    let card = ui.proof.as_mut()?;
    let by_page = matches!(key, Key::Named(KeyCode::PageUp | KeyCode::PageDown) | Key::Char(' '));
    let lines = if by_page { PROOF_PAGE } else { 1 };
    match command {
        KeyCommand::ScrollUp => card.scroll = card.scroll.saturating_sub(lines),
        KeyCommand::ScrollDown => card.scroll = (card.scroll + lines).min(PROOF_LINES_MAX),
        KeyCommand::NextProof if card.index < last => *card = ProofCard { index: card.index + 1, scroll: 0 },
        KeyCommand::PreviousProof if card.index > 0 => *card = ProofCard { index: card.index - 1, scroll: 0 },
        KeyCommand::NextProof => flash(ui, "that is the last proof"),
        KeyCommand::PreviousProof => flash(ui, "that is the first proof"),
        KeyCommand::Screenshot => return Some(UiCommand::Screenshot),
        _ => ui.proof = None,
    }
    None
}

fn open_proof(ui: &mut UiState, view: &ViewState) {
    if view.evidence.violations().is_empty() {
        flash(ui, "no promise is broken, as far as is known: there is nothing to prove");
    } else {
        ui.proof = Some(ProofCard::default());
    }
}

fn select(key: Key, command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    let members = view.members();
    let at = members.iter().position(|&n| n == ui.selected).unwrap_or(0);
    let chosen = match command {
        KeyCommand::Select => key.digit().map(NodeId).filter(|n| members.contains(n)),
        KeyCommand::Previous => at.checked_sub(1).and_then(|i| members.get(i)).copied(),
        _ => members.get(at + 1).copied(),
    };
    match chosen {
        Some(node) => ui.selected = node,
        None if command == KeyCommand::Select => flash(ui, "there is no such member"),
        None => {}
    }
    None
}

fn links(command: KeyCommand, ui: &mut UiState) -> Option<UiCommand> {
    let node = ui.selected;
    match command {
        KeyCommand::Cut => ui.target = Some(LinkKey::Cut),
        KeyCommand::CutOneWay => ui.target = Some(LinkKey::CutOneWay),
        KeyCommand::Slow => ui.target = Some(LinkKey::Slow),
        KeyCommand::Isolate => return perform(Action::Isolate { node }),
        KeyCommand::Heal => return perform(Action::Heal { node }),
        _ => return perform(Action::HealAll),
    }
    None
}

fn target(key: Key, command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    let what = ui.target.take()?;
    if command == KeyCommand::Back {
        return None;
    }
    let (from, to) = (ui.selected, NodeId(key.digit()?));
    if from == to || !view.members().contains(&to) {
        flash(ui, &format!("{from} has no link to {to}"));
        return None;
    }
    Some(UiCommand::Perform(link_actions(what, from, to, view)))
}

/// The actions of `x`, `X` and `d`: what is bent already is healed.
fn link_actions(what: LinkKey, from: NodeId, to: NodeId, view: &ViewState) -> Vec<Action> {
    let ends: &[(NodeId, NodeId)] =
        if what == LinkKey::CutOneWay { &[(from, to)] } else { &[(from, to), (to, from)] };
    let bent = |&(from, to): &(NodeId, NodeId)| match what {
        LinkKey::Slow => matches!(view.links.get(from, to), LinkState::Slow(_)),
        LinkKey::Cut | LinkKey::CutOneWay => view.links.get(from, to) == LinkState::Cut,
    };
    let heal = ends.iter().any(bent);
    let act = |&(from, to): &(NodeId, NodeId)| match what {
        _ if heal => Action::HealLink { from, to },
        LinkKey::Slow => Action::Slow { from, to, how: SlowLink::by(SLOW_DELAY, SLOW_JITTER) },
        LinkKey::Cut | LinkKey::CutOneWay => Action::Cut { from, to },
    };
    ends.iter().map(act).collect()
}

fn process(command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    let node = ui.selected;
    let seen = view.nodes.get(&node);
    let down = seen.is_none_or(super::state::NodeView::is_down);
    let paused = seen.is_some_and(super::state::NodeView::is_paused);
    match command {
        KeyCommand::Restart if !down => {
            flash(ui, &format!("{node} is {}; K or t stops it first", view.health(node).word()));
            return None;
        }
        KeyCommand::Restart => return perform(Action::Restart { node }),
        KeyCommand::Wipe => {
            ui.question = Some(Question::Wipe(node));
            return None;
        }
        _ if down => {
            let state = if seen.is_some() { Health::Stopped } else { Health::Awaited };
            flash(ui, &format!("{node} is {}; r restarts it", state.word()));
            return None;
        }
        KeyCommand::Pause if paused => return perform(Action::Resume { node }),
        KeyCommand::Pause => return perform(Action::Pause { node }),
        KeyCommand::Kill => return perform(Action::Kill { node }),
        KeyCommand::Terminate => return perform(Action::Terminate { node }),
        _ if paused => {
            flash(ui, &format!("{node} is paused and cannot answer; p resumes it"));
            return None;
        }
        KeyCommand::Promote => return perform(Action::Promote { node, force: false }),
        _ => ui.question = Some(Question::Force(node)),
    }
    None
}

fn client(command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    let node = ui.selected;
    let sample = view.load.samples.newest().map(|(_, s)| s);
    let put = |key: &str, level| Action::Put { node, key: key.to_owned(), value: None, level };
    let get = |key: &str, level| Action::Get { node, key: key.to_owned(), level };
    perform(match command {
        KeyCommand::WriteQuorum => {
            ui.last_key = QUORUM_KEY;
            put(QUORUM_KEY, WriteLevel::Quorum)
        }
        KeyCommand::WriteAsync => {
            ui.last_key = ASYNC_KEY;
            put(ASYNC_KEY, WriteLevel::Async)
        }
        KeyCommand::ReadQuorum => get(QUORUM_KEY, ReadLevel::Quorum),
        KeyCommand::ReadEventual => get(ui.last_key, ReadLevel::Eventual),
        KeyCommand::Load => Action::Load { on: !sample.is_some_and(|s| s.on) },
        KeyCommand::Faster | KeyCommand::Slower => {
            let rate = sample.map_or(0, |s| s.rate);
            let next = match command {
                KeyCommand::Faster => RATES.iter().find(|&&r| r > rate),
                _ => RATES.iter().rev().find(|&&r| r < rate),
            };
            let Some(&per_second) = next else {
                flash(ui, "that is as far as it goes");
                return None;
            };
            Action::Rate { per_second }
        }
        _ => return None,
    })
}

fn screen(command: KeyCommand, ui: &mut UiState, view: &ViewState) -> Option<UiCommand> {
    match command {
        KeyCommand::Freeze => ui.frozen = !ui.frozen,
        KeyCommand::NextPane => ui.focus = step_pane(ui.focus, 1),
        KeyCommand::PreviousPane => ui.focus = step_pane(ui.focus, Pane::ALL.len() - 1),
        KeyCommand::Zoom => ui.zoom = !ui.zoom,
        KeyCommand::Older => ui.scroll = (ui.scroll + 5).min(view.story.len().saturating_sub(1)),
        KeyCommand::Newer => ui.scroll = ui.scroll.saturating_sub(5),
        KeyCommand::Proof => open_proof(ui, view),
        KeyCommand::Help => (ui.help, ui.help_scroll) = (true, 0),
        KeyCommand::Back if ui.zoom => ui.zoom = false,
        KeyCommand::Back => ui.scroll = 0,
        KeyCommand::Screenshot => return Some(UiCommand::Screenshot),
        KeyCommand::Repaint => return Some(UiCommand::Repaint),
        KeyCommand::Suspend => return Some(UiCommand::Suspend),
        KeyCommand::Quit if ui.leaving => return Some(UiCommand::Quit),
        KeyCommand::Quit if view.is_free() => {
            ui.leaving = true;
            return Some(UiCommand::Settle);
        }
        KeyCommand::Quit if view.scenario.as_ref().is_some_and(super::state::ScenarioView::runs) => {
            ui.question = Some(Question::Quit);
        }
        KeyCommand::Quit => return Some(UiCommand::Quit),
        _ => {}
    }
    None
}

fn answer(command: KeyCommand, ui: &mut UiState) -> Option<UiCommand> {
    let question = ui.question.take()?;
    match (command, question) {
        (KeyCommand::Yes, Question::Quit) => Some(UiCommand::Quit),
        (KeyCommand::Yes, Question::Force(node)) => perform(Action::Promote { node, force: true }),
        (KeyCommand::Yes, Question::Wipe(node)) => {
            Some(UiCommand::Perform(vec![Action::Wipe { node }, Action::Restart { node }]))
        }
        _ => None,
    }
}

fn step_pane(pane: Pane, by: usize) -> Pane {
    let at = Pane::ALL.iter().position(|&p| p == pane).unwrap_or(0);
    Pane::ALL[(at + by) % Pane::ALL.len()]
}

fn perform(action: Action) -> Option<UiCommand> {
    Some(UiCommand::Perform(vec![action]))
}

fn flash(ui: &mut UiState, text: &str) {
    ui.flash = Some((Tone::Warn, text.to_owned()));
}
