//! Numbers and names as a person reads them.

use std::borrow::Cow;
use std::time::Duration;

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{BacklogStatus, ClockCondition, DiskCondition, Role};
use ratatui::buffer::CellWidth;

use crate::action::SlowLink;

/// Time since the run began: `00:42.3`; hours only if there are any.
pub fn clock(t_us: u64) -> String {
    let tenths = t_us / 100_000;
    let (seconds, minutes, hours) = (tenths / 10 % 60, tenths / 600 % 60, tenths / 36_000);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{}", tenths % 10)
    } else {
        format!("{minutes:02}:{seconds:02}.{}", tenths % 10)
    }
}

/// A span of time: `40 ms`, `3.2 s`, `2 min`, `3 h`.
pub fn age(age: Duration) -> String {
    let ms = age.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// A time of minutes and seconds: `4 min 10 s`, `38 s`, `2 h 5 min`, `3 d 2 h`.
pub fn long_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// How long an absence a backlog covers: `16 MiB, 4 min 10 s at this rate`.
pub fn backlog(backlog: &BacklogStatus) -> String {
    let size = bytes(backlog.bytes_max).replace(".0 ", " ");
    match backlog.covers_ms {
        Some(ms) => format!("{size}, {} at this rate", long_time(Duration::from_millis(ms))),
        None => format!("{size}, nothing is written"),
    }
}

/// What a slow link does: `by 80 ms`, `by 80 ms, losing 5%, repeating 2%`.
pub fn slow_link(how: &SlowLink) -> String {
    let some = |much: bool, text: String| much.then_some(text);
    let parts = [
        some(!how.delay.is_zero() || !how.jitter.is_zero(), format!("by {}", age(how.delay))),
        some(how.loss > 0, format!("losing {}", share(how.loss))),
        some(how.duplicate > 0, format!("repeating {}", share(how.duplicate))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Thousandths: `5%`, `0.5%`.
pub fn share(permille: u16) -> String {
    format!("{}%", f64::from(permille) / 10.0)
}

/// The condition of a disk as the object of a sentence: `full disk`, `disk 20 ms slower`.
pub fn disk(condition: DiskCondition) -> String {
    match condition {
        DiskCondition::Ok => "disk ok".to_owned(),
        DiskCondition::Full => "full disk".to_owned(),
        DiskCondition::Slow { by } => format!("disk {} slower", age(by)),
        DiskCondition::SyncFails => "failing syncs".to_owned(),
    }
}

/// The condition of a clock in the same way: `clock ×1.5`, `clock jump of 10.0 s`.
pub fn clock_condition(condition: ClockCondition) -> String {
    match condition {
        ClockCondition::Ok => "clock ok".to_owned(),
        ClockCondition::Rate { permille } => format!("clock {}", clock_rate(permille)),
        ClockCondition::Jump { by } => format!("clock jump of {}", age(by)),
    }
}

/// The rate of a clock: `×1.5`.
pub fn clock_rate(permille: u16) -> String {
    format!("×{}", f64::from(permille) / 1000.0)
}

/// A node's part in the cluster: `primary`.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}

/// Microseconds as milliseconds, in at most five cells: `0.04`, `1.9`, `512`, `99999`.
pub fn ms(us: u64) -> String {
    match us {
        0..100 => format!("0.{:02}", us / 10),
        100..100_000 => format!("{}.{}", us / 1_000, us % 1_000 / 100),
        _ => (us / 1_000).min(99_999).to_string(),
    }
}

/// Bytes: `812 B`, `3.1 MiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 102 - bytes / 102 / 256;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A time of a run to the second below a minute, to the minute below a day, else to the hour: `42 s`, `12 min`, `3 h 5 min`.
pub fn long(time: Duration) -> String {
    let (s, min, h) = (time.as_secs(), time.as_secs() / 60, time.as_secs() / 3600);
    match h {
        _ if s < 60 => format!("{s} s"),
        0 => format!("{min} min"),
        1..24 if min.is_multiple_of(60) => format!("{h} h"),
        1..24 => format!("{h} h {} min", min % 60),
        _ if h.is_multiple_of(24) => format!("{} d", h / 24),
        _ => format!("{} d {} h", h / 24, h % 24),
    }
}

/// How much is kept of a run, of which nothing is before `from`: `the last 12 min of 3 h`.
pub fn kept(from: Duration, to: Duration) -> String {
    format!("the last {} of {}", long(to.saturating_sub(from)), long(to))
}

/// How much of the whole a part is, in percent. Whatever a node says of itself, it is a number from 0 to 100.
pub fn percent_of(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part.min(whole)) * 100 / u128::from(whole.max(1));
    u64::try_from(percent).expect("at most 100")
}

/// A count in at most `width` cells: `10512`, `105k`, `10M`.
pub fn count(n: u64, width: usize) -> String {
    for (unit, suffix) in [(1, ""), (1_000, "k"), (1_000_000, "M"), (1_000_000_000, "G")] {
        let text = format!("{}{suffix}", n / unit);
        if text.len() <= width {
            return text;
        }
    }
    "+".repeat(width)
}

/// A small number as a word.
pub fn count_word(n: usize) -> Cow<'static, str> {
    const WORDS: [&str; 10] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    WORDS.get(n).map_or_else(|| n.to_string().into(), |&w| w.into())
}

/// `1 write`, `212 writes`.
pub fn writes(n: u64) -> String {
    if n == 1 { "1 write".to_owned() } else { format!("{n} writes") }
}

/// `PUT quorum`, `GET eventual`.
pub fn operation(op: OpKind, consistency: Consistency) -> String {
    format!("{} {}", verb(op), level(consistency))
}

/// `PUT`, `GET`, `DEL`.
pub fn verb(op: OpKind) -> &'static str {
    match op {
        OpKind::Put => "PUT",
        OpKind::Get => "GET",
        OpKind::Del => "DEL",
    }
}

/// `async`, `eventual`, `quorum`.
pub fn level(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Async => "async",
        Consistency::Eventual => "eventual",
        Consistency::Quorum => "quorum",
    }
}

/// Cells that a text takes.
pub fn width(text: &str) -> usize {
    text.split(char::is_control).map(|part| usize::from(part.cell_width())).sum()
}

/// The text in at most `max` cells; what is left out is shown by `…`.
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if width(text) <= max {
        return text.into();
    }
    let mut kept = String::new();
    let mut cells = 0;
    for c in text.chars().filter(|c| !c.is_control()) {
        cells += width(c.encode_utf8(&mut [0; 4]));
        if cells + 1 > max {
            break;
        }
        kept.push(c);
    }
    if max > 0 {
        kept.push('…');
    }
    kept.into()
}

/// The text broken between words into lines of at most `max` cells (longer words are clipped), at most `lines`
/// of them; the last ends in `…` if something is left out.
pub fn wrap(text: &str, max: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let room = wrapped.last().is_some_and(|line| width(line) + 1 + width(word) <= max);
        let full = wrapped.len() >= lines;
        match wrapped.last_mut() {
            Some(line) if room => *line = format!("{line} {word}"),
            Some(line) if full => {
                let rest = words.fold(format!("{line} {word}"), |rest, word| format!("{rest} {word}"));
                *line = clip(&rest, max).into_owned();
                break;
            }
            None if full => break,
            _ => wrapped.push(clip(word, max).into_owned()),
        }
    }
    wrapped
}

/// The text with characters that cannot be seen shown by their numbers. Line breaks become spaces.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => seen.push(' '),
            c if is_treacherous(c) => seen.extend(c.escape_unicode()),
            c => seen.push(c),
        }
    }
    seen
}

/// Whether a character cannot be seen, or turns around what can be: it is shown by its number.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_one_whatever_a_node_says() {
        assert_eq!(
            [(0, 0), (1, 3), (3, 3), (7, 3)].map(|(part, whole)| percent_of(part, whole)),
            [0, 33, 100, 100]
        );
        assert_eq!(percent_of(u64::MAX, u64::MAX), 100);
        assert_eq!(percent_of(u64::MAX / 2, u64::MAX), 49);
    }

    #[test]
    fn long_times_are_said_shortly() {
        let said = |s| long(Duration::from_secs(s));
        assert_eq!([0, 59, 60, 3599].map(said), ["0 s", "59 s", "1 min", "59 min"]);
        assert_eq!([3600, 11_100, 86_399, 86_400].map(said), ["1 h", "3 h 5 min", "23 h 59 min", "1 d"]);
        assert_eq!(said(86_400 * 2 + 3 * 3600), "2 d 3 h");
        assert_eq!(kept(Duration::from_secs(10_080), Duration::from_secs(10_800)), "the last 12 min of 3 h");
    }

    #[test]
    fn numbers_fit_their_cells() {
        assert_eq!(clock(42_350_000), "00:42.3");
        assert_eq!(clock(3_723_400_000), "1:02:03.4");
        assert_eq!(age(Duration::from_millis(3_260)), "3.2 s");
        assert_eq!((ms(45), ms(1_930), ms(512_000)), ("0.04".into(), "1.9".into(), "512".into()));
        assert_eq!((bytes(812), bytes(3 * 1024 * 1024 + 150_000)), ("812 B".into(), "3.1 MiB".into()));
        assert_eq!(
            (count(10_512, 5), count(105_120, 5), count(10_512_000, 4)),
            ("10512".into(), "105k".into(), "10M".into())
        );
        for us in [0, 9, 99, 100, 999, 99_999, 100_000, u64::MAX] {
            assert!(ms(us).len() <= 5, "{us}");
        }
    }

    #[test]
    fn texts_are_clipped_by_cells() {
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("abc", 0), "");
        assert_eq!(width("a\tb"), 2);
    }

    #[test]
    fn wrapping_keeps_words_and_says_what_is_missing() {
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrap("one two", 20, 2), ["one two"]);
        assert_eq!(wrap("abcdefghij", 4, 3), ["abc…"]);
        assert_eq!(wrap("", 4, 3), Vec::<String>::new());
        assert_eq!(wrap("a b", 4, 0), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        assert_eq!(visible("a\u{202e}b\n\u{7}é日"), "a\\u{202e}b \\u{7}é日");
    }
}
