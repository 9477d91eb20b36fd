//! The one table of keys: what each does, what it is called in the footer and in `?`.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key as the table names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character; capital letters are their own.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Any other key.
    Named(KeyCode),
}

/// What a key does: [`KEYS`] says it of each in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyCommand {
    Select,
    Previous,
    Next,
    Cut,
    CutOneWay,
    Slow,
    Isolate,
    Heal,
    HealAll,
    Pause,
    Kill,
    Terminate,
    Restart,
    Wipe,
    Promote,
    PromoteForce,
    WriteQuorum,
    WriteAsync,
    ReadQuorum,
    ReadEventual,
    Load,
    Faster,
    Slower,
    Freeze,
    NextPane,
    PreviousPane,
    Zoom,
    Older,
    Newer,
    Screenshot,
    Proof,
    ScrollUp,
    ScrollDown,
    NextProof,
    PreviousProof,
    Help,
    Back,
    Quit,
    QuitNow,
    Repaint,
    Suspend,
    Target,
    Yes,
    No,
}

/// Where a key means what the table says. Scopes above [`Scope::Proof`] hold at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Moving about.
    Move,
    Links,
    /// The process of the selected member.
    Node,
    /// Operations of a client beside the selected member.
    Client,
    Screen,
    Proof,
    /// After `x`, `X` or `d`.
    Target,
    Question,
}

/// What a key may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Danger {
    /// Nothing.
    Safe,
    /// Breaks something that can be mended.
    Fault,
    /// May lose data or ends the run: asks first, where it can.
    Loss,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Any of these.
    pub keys: &'static [Key],
    /// The keys as a person reads them.
    pub label: &'static str,
    pub command: KeyCommand,
    pub scope: Scope,
    pub footer: Footer,
    /// In `?`.
    pub help: &'static str,
    pub danger: Danger,
}

/// Whether and how a key is named in the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footer {
    /// Wherever there is room.
    Always(&'static str),
    /// On wide screens.
    Wide(&'static str),
    /// Only in `?`.
    Never,
}

use Danger::{Fault, Loss, Safe};
use Footer::{Always, Never, Wide};
use Key::{Char, Ctrl, Named};
use KeyCommand as C;
use Scope as S;

const fn row(
    keys: &'static [Key],
    label: &'static str,
    command: KeyCommand,
    scope: Scope,
    footer: Footer,
    help: &'static str,
    danger: Danger,
) -> Binding {
    Binding { keys, label, command, scope, footer, help, danger }
}

const DIGITS: &[Key] =
    &[Char('1'), Char('2'), Char('3'), Char('4'), Char('5'), Char('6'), Char('7'), Char('8'), Char('9')];

/// Every key. Dispatch, footer and `?` are drawn from it.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    row(DIGITS, "1-9", C::Select, S::Move, Wide("select"), "select member n1 to n9", Safe),
    row(&[Named(KeyCode::Up), Named(KeyCode::Left), Char('k')], "k Up", C::Previous, S::Move, Never, "select the member before", Safe),
    row(&[Named(KeyCode::Down), Named(KeyCode::Right), Char('j')], "j Down", C::Next, S::Move, Never, "select the member after", Safe),
    row(&[Char('x')], "x n", C::Cut, S::Links, Always("cut"), "cut the link to a member; again: heal it", Fault),
    row(&[Char('X')], "X n", C::CutOneWay, S::Links, Wide("one way"), "cut only the way to a member; again: heal it", Fault),
    row(&[Char('d')], "d n", C::Slow, S::Links, Wide("slow"), "slow the link by 80 ms; again: heal it", Fault),
    row(&[Char('i')], "i", C::Isolate, S::Links, Always("isolate"), "cut all links of this member", Fault),
    row(&[Char('u')], "u", C::Heal, S::Links, Wide("heal"), "heal all links of this member", Safe),
    row(&[Char('U')], "U", C::HealAll, S::Links, Always("heal all"), "heal every link", Safe),
    row(&[Char('p')], "p", C::Pause, S::Node, Always("pause"), "pause it (SIGSTOP); again: resume it", Fault),
    row(&[Char('K')], "K", C::Kill, S::Node, Always("kill"), "kill -9", Fault),
    row(&[Char('t')], "t", C::Terminate, S::Node, Never, "terminate (SIGTERM)", Fault),
    row(&[Char('r')], "r", C::Restart, S::Node, Always("restart"), "start it again on its data", Safe),
    row(&[Char('W')], "W", C::Wipe, S::Node, Never, "wipe its data and restart it: a learner", Loss),
    row(&[Char('P')], "P", C::Promote, S::Node, Always("promote"), "promote by vote: safe, or not at all", Safe),
    row(&[Char('F')], "F", C::PromoteForce, S::Node, Wide("force"), "promote without votes; may lose writes", Loss),
    row(&[Char('w')], "w", C::WriteQuorum, S::Client, Always("write"), "write, acknowledged by a quorum", Safe),
    row(&[Char('a')], "a", C::WriteAsync, S::Client, Always("async write"), "write, acknowledged by the primary alone", Safe),
    row(&[Char('s')], "s", C::ReadQuorum, S::Client, Always("quorum read"), "read what a quorum holds", Safe),
    row(&[Char('e')], "e", C::ReadEventual, S::Client, Always("eventual read"), "read what this member holds, however old", Safe),
    row(&[Char('b')], "b", C::Load, S::Client, Wide("load"), "background load on or off", Safe),
    row(&[Char('+'), Char('=')], "+", C::Faster, S::Client, Never, "more background load", Safe),
    row(&[Char('-')], "-", C::Slower, S::Client, Never, "less background load", Safe),
    row(&[Char(' ')], "Space", C::Freeze, S::Screen, Always("freeze"), "freeze the display, not the cluster", Safe),
    row(&[Named(KeyCode::Tab)], "Tab", C::NextPane, S::Screen, Wide("pane"), "next pane", Safe),
    row(&[Named(KeyCode::BackTab)], "Shift-Tab", C::PreviousPane, S::Screen, Never, "pane before", Safe),
    row(&[Char('z')], "z", C::Zoom, S::Screen, Always("zoom"), "this pane on the whole screen, and back", Safe),
    row(&[Named(KeyCode::PageUp)], "PgUp", C::Newer, S::Screen, Never, "newer events", Safe),
    row(&[Named(KeyCode::PageDown)], "PgDn", C::Older, S::Screen, Never, "older events", Safe),
    row(&[Char('S')], "S", C::Screenshot, S::Screen, Wide("shot"), "save the screen as SVG and text", Safe),
    row(&[Named(KeyCode::Enter)], "Enter", C::Proof, S::Screen, Never, "the proof of a broken promise", Safe),
    row(&[Char('?')], "?", C::Help, S::Screen, Always("help"), "this list", Safe),
    row(&[Named(KeyCode::Esc)], "Esc", C::Back, S::Screen, Never, "one level back; never quits", Safe),
    row(&[Char('q')], "q", C::Quit, S::Screen, Always("quit"), "settle, then quit; again: at once", Loss),
    row(&[Ctrl('c')], "Ctrl-C", C::QuitNow, S::Screen, Never, "quit at once", Loss),
    row(&[Ctrl('l')], "Ctrl-L", C::Repaint, S::Screen, Never, "draw everything anew", Safe),
    row(&[Ctrl('z')], "Ctrl-Z", C::Suspend, S::Screen, Never, "to the shell; nodes pause until fg", Fault),
    row(&[Char('k'), Named(KeyCode::Up), Named(KeyCode::PageUp)], "k PgUp", C::ScrollUp, S::Proof, Always("up"), "up by a line, by a page", Safe),
    row(&[Char('j'), Named(KeyCode::Down), Named(KeyCode::PageDown), Char(' ')], "j PgDn", C::ScrollDown, S::Proof, Always("down"), "down by a line, by a page", Safe),
    row(&[Char('n'), Named(KeyCode::Right)], "n Right", C::NextProof, S::Proof, Always("next"), "the next proof", Safe),
    row(&[Char('p'), Named(KeyCode::Left)], "p Left", C::PreviousProof, S::Proof, Always("previous"), "the proof before", Safe),
    row(&[Char('S')], "S", C::Screenshot, S::Proof, Always("shot"), "save the screen, with the proof", Safe),
    row(&[Named(KeyCode::Esc), Named(KeyCode::Enter), Char('q')], "Esc Enter", C::Back, S::Proof, Always("close"), "close it", Safe),
    row(DIGITS, "1-9", C::Target, S::Target, Never, "the other end, after x X d", Safe),
    row(&[Named(KeyCode::Esc)], "Esc", C::Back, S::Target, Never, "leave the link as it is", Safe),
    row(&[Char('y'), Char('Y')], "y", C::Yes, S::Question, Never, "yes", Loss),
    row(&[Char('n'), Char('N'), Named(KeyCode::Esc)], "n Esc", C::No, S::Question, Never, "no", Safe),
];

impl Key {
    /// The key of a key event; `None` for releases and for keys with Alt and the like, which mean nothing here.
    pub fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let held = event.modifiers - KeyModifiers::SHIFT;
        match event.code {
            KeyCode::Char(c) if held == KeyModifiers::CONTROL => Some(Self::Ctrl(c.to_ascii_lowercase())),
            KeyCode::Char(c) if held.is_empty() => Some(Self::Char(c)),
            code if held.is_empty() => Some(Self::Named(code)),
            _ => None,
        }
    }

    /// The member of a digit key.
    pub fn digit(self) -> Option<u8> {
        match self {
            Self::Char(c) => {
                c.to_digit(10).filter(|d| (1..=9).contains(d)).and_then(|d| u8::try_from(d).ok())
            }
            _ => None,
        }
    }
}

impl Scope {
    /// The heading in `?`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Move => "Select",
            Self::Links => "Links of the selected member",
            Self::Node => "Its process",
            Self::Client => "A client beside it",
            Self::Screen => "Screen",
            Self::Proof => "In a proof",
            Self::Target => "After x X d",
            Self::Question => "When asked",
        }
    }

    /// Whether it replaces all others while it holds.
    pub fn is_modal(self) -> bool {
        matches!(self, Self::Proof | Self::Target | Self::Question)
    }
}

/// What a key does: if something is asked, what it does there; else everywhere else. Ctrl-C always quits.
pub fn lookup(key: Key, modal: Option<Scope>) -> Option<&'static Binding> {
    let holds = |b: &Binding| modal.map_or(!b.scope.is_modal(), |m| b.scope == m);
    KEYS.iter().find(|b| b.keys.contains(&key) && (holds(b) || b.command == KeyCommand::QuitNow))
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_means_two_things_at_once() {
        for modal in [None, Some(Scope::Proof), Some(Scope::Target), Some(Scope::Question)] {
            let mut seen = HashSet::new();
            let holds = |b: &&Binding| modal.map_or(!b.scope.is_modal(), |m| b.scope == m);
            for binding in KEYS.iter().filter(holds) {
                for key in binding.keys {
                    assert!(seen.insert(key), "{key:?} twice in {modal:?}");
                    assert_eq!(lookup(*key, modal).map(|b| b.command), Some(binding.command));
                }
            }
        }
    }

    #[test]
    fn every_row_says_what_it_does() {
        for binding in KEYS {
            assert!(!binding.keys.is_empty() && !binding.label.is_empty() && !binding.help.is_empty());
            assert!(binding.help.len() <= 45, "fits the help overlay: {}", binding.help);
            assert!(binding.label.is_ascii() && binding.help.is_ascii());
        }
    }

    #[test]
    fn releases_and_alt_mean_nothing() {
        let event = |code, modifiers| KeyEvent::new(code, modifiers);
        assert_eq!(Key::of(event(KeyCode::Char('K'), KeyModifiers::SHIFT)), Some(Char('K')));
        assert_eq!(Key::of(event(KeyCode::Char('C'), KeyModifiers::CONTROL)), Some(Ctrl('c')));
        assert_eq!(Key::of(event(KeyCode::Char('x'), KeyModifiers::ALT)), None);
        assert_eq!(Key::of(event(KeyCode::BackTab, KeyModifiers::SHIFT)), Some(Named(KeyCode::BackTab)));
        let mut released = event(KeyCode::Char('x'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(Key::of(released), None);
    }
}
