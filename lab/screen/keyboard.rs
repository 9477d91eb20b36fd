//! Bytes from the terminal → keys that a person pressed. Pure: time is an argument.
//!
//! A terminal sends more than keys, on the same line: what was pasted, answers to questions (its colours, where its
//! cursor is), reports of a mouse. None of that is a key, wherever it is split over reads, and nobody can know when the
//! next byte comes. So each sequence is swallowed to its end, and has bounds that are stated here:
//!
//! | what | how it begins | how it ends | or after |
//! |---|---|---|---|
//! | a key with a sequence, a report | `CSI` (`ESC [`), `SS3` (`ESC O`) | its last byte | [`SEQUENCE_WITHIN`], [`SEQUENCE_BYTES_MAX`] |
//! | an answer, a string | OSC (`ESC ]`), DCS (`ESC P`), SOS (`ESC X`), PM (`ESC ^`), APC (`ESC _`) | BEL or ST (`ESC \`) | the same |
//! | a bracketed paste | `CSI 200~` | `CSI 201~` | [`PASTE_SILENCE`], [`PASTE_BYTES_MAX`] |
//! | a burst: a paste of a terminal that brackets none | [`BURST`] printable characters in one read, not all the same | a silence of [`PASTE_QUIET`] | |
//! | the key Esc | `ESC` | | [`ESCAPE_WITHIN`] |
//!
//! What runs over its bounds is over: the next byte is a key again. But a slow connection may have held up what follows
//! `ESC`: for [`LATE_WITHIN`] after the key, the rest of a sequence is still taken for that. Time passes only by [`Keyboard::expire`], so that a
//! program that was stopped for a while reads what has come meanwhile before it gives anything up.

use std::time::Duration;

use crossterm::event::KeyCode;

use super::keys::Key;
use super::theme::Rgb;

/// After `ESC` alone, so long nothing: it was the key.
pub const ESCAPE_WITHIN: Duration = Duration::from_millis(50);
/// After the key Esc, the second byte of a sequence may come so late, if it is one of [`LATE`].
pub const LATE_WITHIN: Duration = Duration::from_millis(500);
/// The second bytes of sequences that are no key of ours: `P` and `X` are.
const LATE: &[u8] = b"[O]^_";
/// A sequence that has begun ends within this.
pub const SEQUENCE_WITHIN: Duration = Duration::from_secs(1);
/// And within so many bytes.
pub const SEQUENCE_BYTES_MAX: usize = 64 << 10;
/// A bracketed paste of which nothing has come for so long is over.
pub const PASTE_SILENCE: Duration = Duration::from_secs(1);
/// And one of so many bytes.
pub const PASTE_BYTES_MAX: usize = 16 << 20;
/// So many printable characters in one read, not all the same, are a paste: fingers are slower, and a key held down
/// repeats itself.
pub const BURST: usize = 5;
/// After a paste, what comes before so long a silence is part of it.
pub const PASTE_QUIET: Duration = Duration::from_millis(50);
/// Bytes of a sequence that are kept to be understood. Longer ones mean nothing here.
const KEPT_MAX: usize = 64;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
/// String terminator, of eight bits.
const ST: u8 = 0x9c;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What came from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A person pressed it.
    Key(Key),
    /// Something was pasted. Said once for each paste.
    Paste,
    /// The terminal's answer to the question for its background.
    Background(Rgb),
}

/// Reads bytes as they come.
#[derive(Debug)]
pub struct Keyboard {
    state: State,
    /// When the sequence began; of a paste, when its last bytes came.
    since: Duration,
    /// Bytes of the sequence so far.
    taken: usize,
    /// The bytes of it that matter, the first [`KEPT_MAX`] of them.
    kept: Vec<u8>,
    /// `ESC` was taken for a key, and nothing has come since: until when its sequence may go on.
    late_until: Option<Duration>,
    /// A paste has ended; keys before this belong to it.
    quiet_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next byte may be a key.
    Ground,
    /// Within a character of several bytes: so many are missing.
    Utf8 { missing: u8, code: u32 },
    /// After `ESC`.
    Escape,
    /// After `ESC O`: one byte names the key.
    Ss3,
    /// After `ESC [`.
    Csi,
    /// So many bytes follow, whatever they are.
    Skip(u8),
    /// Within a string. `osc`: an answer that may be understood. `eight_bits`: begun by one byte, and so ended.
    Text { osc: bool, eight_bits: bool },
    /// After `ESC` within a string.
    TextEscape { osc: bool },
    /// Within a bracketed paste: so many bytes of its end have come.
    Paste(usize),
}

impl Default for Keyboard {
    fn default() -> Self {
        Self {
            state: State::Ground,
            since: Duration::ZERO,
            taken: 0,
            kept: Vec::new(),
            late_until: None,
            quiet_at: None,
        }
    }
}

impl Keyboard {
    /// Takes the bytes of one read.
    pub fn read(&mut self, bytes: &[u8], now: Duration) -> Vec<Input> {
        if matches!(self.state, State::Paste(_)) {
            self.since = now;
        }
        let mut told = Vec::new();
        for &byte in bytes {
            self.taken += 1;
            self.byte(byte, now, &mut told);
        }
        if is_burst(&told) {
            told.retain(|input| !matches!(input, Input::Key(_)));
            told.push(Input::Paste);
            self.quiet_at = Some(now + PASTE_QUIET);
        }
        told
    }

    /// When to call [`Keyboard::expire`] if nothing has come.
    pub fn deadline(&self) -> Option<Duration> {
        Some(self.since + self.patience()?)
    }

    /// Nothing more has come until now: what has taken too long is over. Only a lone `ESC` was a key.
    pub fn expire(&mut self, now: Duration) -> Option<Input> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let state = std::mem::replace(&mut self.state, State::Ground);
        let mut told = Vec::new();
        if state == State::Escape {
            self.late_until = Some(now + LATE_WITHIN);
            self.key(Key::Named(KeyCode::Esc), now, &mut told);
        }
        told.pop()
    }

    fn patience(&self) -> Option<Duration> {
        match self.state {
            State::Ground => None,
            State::Escape => Some(ESCAPE_WITHIN),
            State::Paste(_) => Some(PASTE_SILENCE),
            _ => Some(SEQUENCE_WITHIN),
        }
    }

    fn byte(&mut self, byte: u8, now: Duration, told: &mut Vec<Input>) {
        match self.state {
            State::Ground => self.ground(byte, now, told),
            State::Utf8 { missing, code } => self.utf8(byte, missing, code, now, told),
            State::Escape => self.escape(byte, false, now, told),
            State::Ss3 => {
                self.state = State::Ground;
                if let Some(key) = cursor_key(byte) {
                    self.key(key, now, told);
                }
            }
            State::Csi => self.csi(byte, now, told),
            State::Skip(1) => self.state = State::Ground,
            State::Skip(more) => self.state = State::Skip(more - 1),
            State::Text { osc, eight_bits } => match byte {
                BEL | CAN | SUB => self.text_ends(osc && byte == BEL, told),
                ST if eight_bits => self.text_ends(osc, told),
                ESC => self.state = State::TextEscape { osc },
                _ => self.keep(byte),
            },
            State::TextEscape { osc } => match byte {
                b'\\' => self.text_ends(osc, told),
                ESC => {}
                // Something else begins: the string was never ended.
                _ => self.escape(byte, false, now, told),
            },
            State::Paste(matched) => self.paste(byte, matched, now, told),
        }
        let bound = if matches!(self.state, State::Paste(_)) { PASTE_BYTES_MAX } else { SEQUENCE_BYTES_MAX };
        if self.taken >= bound {
            self.state = State::Ground;
        }
    }

    fn begin(&mut self, state: State, now: Duration) {
        (self.state, self.since, self.taken) = (state, now, 0);
        self.kept.clear();
    }

    fn keep(&mut self, byte: u8) {
        // One more than is understood tells that it was too long.
        if self.kept.len() <= KEPT_MAX {
            self.kept.push(byte);
        }
    }

    fn key(&mut self, key: Key, now: Duration, told: &mut Vec<Input>) {
        match self.quiet_at {
            Some(quiet_at) if now < quiet_at => self.quiet_at = Some(now + PASTE_QUIET),
            _ => {
                self.quiet_at = None;
                told.push(Input::Key(key));
            }
        }
    }

    fn ground(&mut self, byte: u8, now: Duration, told: &mut Vec<Input>) {
        if self.late_until.take().is_some_and(|until| now < until) && LATE.contains(&byte) {
            return self.escape(byte, false, now, told);
        }
        let key = match byte {
            ESC => return self.begin(State::Escape, now),
            b'\r' => Key::Named(KeyCode::Enter),
            b'\t' => Key::Named(KeyCode::Tab),
            0x7f => Key::Named(KeyCode::Backspace),
            0x00..=0x1f => Key::Ctrl(char::from(byte + 0x40).to_ascii_lowercase()),
            0x20..=0x7e => Key::Char(char::from(byte)),
            // What seven bits say with `ESC` and a letter.
            0x80..=0x9f => return self.escape(byte - 0x40, true, now, told),
            0xc2..=0xdf => {
                return self.begin(State::Utf8 { missing: 1, code: u32::from(byte & 0x1f) }, now);
            }
            0xe0..=0xef => {
                return self.begin(State::Utf8 { missing: 2, code: u32::from(byte & 0x0f) }, now);
            }
            0xf0..=0xf4 => {
                return self.begin(State::Utf8 { missing: 3, code: u32::from(byte & 0x07) }, now);
            }
            _ => return,
        };
        self.key(key, now, told);
    }

    fn utf8(&mut self, byte: u8, missing: u8, code: u32, now: Duration, told: &mut Vec<Input>) {
        self.state = State::Ground;
        if byte & 0xc0 != 0x80 {
            return self.ground(byte, now, told);
        }
        let code = code << 6 | u32::from(byte & 0x3f);
        if missing > 1 {
            self.state = State::Utf8 { missing: missing - 1, code };
        } else if let Ok(control @ 0x80..=0x9f) = u8::try_from(code) {
            self.escape(control - 0x40, true, now, told);
        } else if let Some(c) = char::from_u32(code).filter(|c| !c.is_ascii()) {
            self.key(Key::Char(c), now, told);
        }
    }

    /// The byte after `ESC`.
    fn escape(&mut self, byte: u8, eight_bits: bool, now: Duration, told: &mut Vec<Input>) {
        match byte {
            b'[' => self.begin(State::Csi, now),
            b'O' => self.begin(State::Ss3, now),
            b']' => self.begin(State::Text { osc: true, eight_bits }, now),
            b'P' | b'X' | b'^' | b'_' => self.begin(State::Text { osc: false, eight_bits }, now),
            // The first one was the key.
            ESC => {
                self.begin(State::Escape, now);
                self.key(Key::Named(KeyCode::Esc), now, told);
            }
            0x80.. => {
                self.state = State::Ground;
                self.ground(byte, now, told);
            }
            // A key with Alt, which means nothing here.
            _ => self.state = State::Ground,
        }
    }

    fn csi(&mut self, byte: u8, now: Duration, told: &mut Vec<Input>) {
        match byte {
            ESC => self.begin(State::Escape, now),
            CAN | SUB | 0x80.. => self.state = State::Ground,
            0x20..=0x3f => self.keep(byte),
            // The keys F1 to F5 of the Linux console.
            b'[' if self.kept.is_empty() => self.state = State::Skip(1),
            // A mouse, as xterm reported it first: button, column and row follow.
            b'M' if self.kept.is_empty() => self.state = State::Skip(3),
            b'~' if self.kept == b"200" => self.begin(State::Paste(0), now),
            0x40..=0x7e => {
                self.state = State::Ground;
                if let Some(key) = csi_key(&self.kept, byte) {
                    self.key(key, now, told);
                }
            }
            _ => {}
        }
    }

    fn text_ends(&mut self, osc: bool, told: &mut Vec<Input>) {
        self.state = State::Ground;
        if osc && let Some(background) = background(&self.kept) {
            told.push(Input::Background(background));
        }
    }

    fn paste(&mut self, byte: u8, matched: usize, now: Duration, told: &mut Vec<Input>) {
        let matched = match byte {
            _ if byte == PASTE_END[matched] => matched + 1,
            ESC => 1,
            _ => 0,
        };
        self.state = State::Paste(matched);
        if matched == PASTE_END.len() {
            self.state = State::Ground;
            self.quiet_at = Some(now + PASTE_QUIET);
            told.push(Input::Paste);
        }
    }
}

/// Whether the keys of one read are more than fingers can press.
fn is_burst(told: &[Input]) -> bool {
    let printable = |input: &Input| match input {
        Input::Key(Key::Char(c)) => Some(*c),
        _ => None,
    };
    let mut characters = told.iter().filter_map(printable);
    let Some(first) = characters.next() else { return false };
    let rest: Vec<char> = characters.collect();
    rest.len() + 1 >= BURST && rest.iter().any(|c| *c != first)
}

/// The last byte of `SS3`, or of a `CSI` without numbers.
fn cursor_key(last: u8) -> Option<Key> {
    Some(Key::Named(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'M' => KeyCode::Enter,
        b'Z' => KeyCode::BackTab,
        _ => return None,
    }))
}

/// The key of a `CSI` sequence: its numbers, and its last byte. Anything held but Shift makes it none of ours, and so
/// does a release.
fn csi_key(numbers: &[u8], last: u8) -> Option<Key> {
    let numbers = std::str::from_utf8(numbers).ok().filter(|text| text.len() <= KEPT_MAX)?;
    let mut parts = numbers.split(';');
    let number = |text: &str| if text.is_empty() { Some(1) } else { text.parse::<u32>().ok() };
    let first = parts.next().and_then(|part| number(part.split(':').next().unwrap_or_default()))?;
    let (held, kind) = parts.next().map_or(("", ""), |part| part.split_once(':').unwrap_or((part, "")));
    // Caps lock and num lock are not held.
    let held = number(held)?.saturating_sub(1) & 0b11_1111;
    if number(kind)? == 3 {
        return None;
    }
    let (other_than_shift, only_control) = (held & !1, held & !1 == 4);
    match last {
        b'u' => {
            let character = char::from_u32(first)?;
            match (character, other_than_shift) {
                ('\x1b', 0) => Some(Key::Named(KeyCode::Esc)),
                ('\r', 0) => Some(Key::Named(KeyCode::Enter)),
                ('\t', 0) if held == 1 => Some(Key::Named(KeyCode::BackTab)),
                ('\t', 0) => Some(Key::Named(KeyCode::Tab)),
                (c, 0) if !c.is_control() => {
                    Some(Key::Char(if held == 1 { c.to_ascii_uppercase() } else { c }))
                }
                (c, _) if only_control && !c.is_control() => Some(Key::Ctrl(c.to_ascii_lowercase())),
                _ => None,
            }
        }
        _ if other_than_shift != 0 => None,
        b'~' => Some(Key::Named(match first {
            1 | 7 => KeyCode::Home,
            2 => KeyCode::Insert,
            3 => KeyCode::Delete,
            4 | 8 => KeyCode::End,
            5 => KeyCode::PageUp,
            6 => KeyCode::PageDown,
            _ => return None,
        })),
        b'M' => None,
        _ if first == 1 => cursor_key(last),
        _ => None,
    }
}

/// The colour in an answer like `11;rgb:ffff/ffff/ffff`.
fn background(text: &[u8]) -> Option<Rgb> {
    let colour = std::str::from_utf8(text).ok()?.strip_prefix("11;")?;
    let channels = colour.strip_prefix("rgb:").or_else(|| colour.strip_prefix("rgba:"))?;
    let mut channels = channels.split('/').map(|digits| {
        if !(1..=4).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let most = (1u32 << (4 * digits.len())) - 1;
        u8::try_from((value * 255 + most / 2) / most).ok()
    });
    let mut next = || channels.next().flatten();
    Some(Rgb(next()?, next()?, next()?))
}

#[cfg(test)]
#[path = "tests/keyboard.rs"]
mod tests;
