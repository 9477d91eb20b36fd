//! The verdict strip: what was promised, and what a user would have suffered. Never mixed.

use std::time::Duration;

use kvlab::replication::HEARTBEAT_EVERY;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::run::event::{HarmVerdict, Losses, PromiseVerdict};
use crate::screen::paint::Row;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// One answer: sign, tone, and its text at three lengths.
struct Answer {
    sign: Glyph,
    tone: Tone,
    texts: [String; 3],
}

impl Answer {
    /// Kept, broken, or not known yet.
    fn yes_or_no(holds: Option<bool>, texts: [String; 3]) -> Self {
        let (sign, tone) = match holds {
            Some(true) => (Glyph::Yes, Tone::Done),
            Some(false) => (Glyph::No, Tone::Bad),
            None => (Glyph::Pending, Tone::Dim),
        };
        Self { sign, tone, texts }
    }

    /// None, or so much of it.
    fn harm(amount: u64, texts: [String; 3]) -> Self {
        let (sign, tone) = if amount == 0 { (Glyph::Yes, Tone::Done) } else { (Glyph::Warn, Tone::Warn) };
        Self { sign, tone, texts }
    }
}

/// Draws the strip: two rows, or one if there is no room.
pub fn verdict(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let verdict = scene.view.verdict.clone().unwrap_or_default();
    let (promise, harm) = (promise(&verdict.promise, scene), harm(&verdict.harm, scene));
    let mut line = |line: u16, label: &str, answers: &[Answer]| {
        let mut row = Row::new(buf, scene.theme, area, line);
        row.skip(1).put(label, Tone::Strong).skip(if label.is_empty() { 0 } else { 2 });
        put_answers(&mut row, answers);
    };
    if area.height >= 2 {
        line(0, "PROMISE", &promise);
        line(1, "HARM   ", &harm);
    } else {
        let both: Vec<_> = promise.into_iter().take(2).chain(harm.into_iter().take(2)).collect();
        line(0, "", &both);
    }
}

/// At the longest length at which all fit, or the shortest.
fn put_answers(row: &mut Row<'_>, answers: &[Answer]) {
    const GAPS: [usize; 3] = [3, 2, 1];
    let needs = |length: usize| {
        answers.iter().map(|a| words::width(&a.texts[length]) + 2 + GAPS[length]).sum::<usize>()
    };
    let length = (0..3).find(|&length| needs(length) <= row.left() + GAPS[length]).unwrap_or(2);
    for (i, answer) in answers.iter().enumerate() {
        row.skip(if i == 0 { 0 } else { GAPS[length] });
        row.sign(answer.sign, answer.tone).skip(usize::from(length < 2));
        let tone = if answer.tone == Tone::Done { Tone::Text } else { answer.tone };
        row.put(&answer.texts[length], tone);
    }
}

fn promise(promise: &PromiseVerdict, scene: &Scene<'_>) -> Vec<Answer> {
    let checked = promise.checked_i;
    let proved = !scene.view.evidence.violations().is_empty();
    let holds = scene.view.linearizable();
    let linearizable = match holds {
        Some(true) => [format!("linearizable, checked to #{checked}"), "linearizable".into(), "lin".into()],
        Some(false) if proved => [
            "NOT linearizable, Enter: why".into(),
            "NOT linearizable (Enter)".into(),
            "lin NO (Enter)".into(),
        ],
        Some(false) => ["NOT linearizable".into(), "NOT linearizable".into(), "lin NO".into()],
        None => ["linearizable: unchecked".into(), "linearizable ?".into(), "lin".into()],
    };
    let equal = match promise.members_equal {
        Some(true) => ["members equal", "members equal", "equal"],
        Some(false) => ["members DIFFER", "members DIFFER", "DIFFER"],
        None => ["members equal: not compared", "members equal ?", "equal"],
    };
    let lost = promise.quorum_writes_lost;
    let lost_texts = losses("quorum", promise.losses(), scene);
    vec![
        Answer::yes_or_no(holds, linearizable),
        Answer::yes_or_no(lost.map(|lost| lost == 0), lost_texts),
        Answer::yes_or_no(promise.members_equal, equal.map(str::to_owned)),
    ]
}

fn harm(harm: &HarmVerdict, scene: &Scene<'_>) -> Vec<Answer> {
    let lost = harm.async_writes_lost;
    let stale = harm.stale_reads;
    let oldest = words::age(Duration::from_millis(harm.stale_max_ms));
    let stale_texts = if stale == 0 {
        ["no stale reads".into(), "stale 0".into(), "stale 0".into()]
    } else {
        [
            format!("{stale} stale reads, oldest {oldest}"),
            format!("stale {stale}, {oldest}"),
            format!("stale {stale}"),
        ]
    };
    let unknown = harm.unknown;
    let unknown_texts = if unknown == 0 {
        ["no unknown outcomes".into(), "unknown 0".into(), "unk 0".into()]
    } else {
        [format!("{unknown} unknown outcomes"), format!("unknown {unknown}"), format!("unk {unknown}")]
    };
    // Between two heartbeats nobody can know that anything is wrong: so short a time is no outage.
    let outage = Duration::from_millis(harm.unavailable_ms);
    let outage = if outage < HEARTBEAT_EVERY { Duration::ZERO } else { outage };
    let out = words::age(outage);
    let outage_texts = if outage.is_zero() {
        ["no outage".into(), "down 0".into(), "down 0".into()]
    } else {
        [format!("outage {out}"), format!("down {out}"), format!("down {out}")]
    };
    let lost_texts = losses(ASYNC, harm.losses(), scene);
    let mut answers = vec![
        match lost {
            Some(lost) => Answer::harm(lost, lost_texts),
            None => Answer::yes_or_no(None, lost_texts),
        },
        Answer::harm(stale, stale_texts),
        Answer::harm(unknown, unknown_texts),
        Answer::harm(u64::from(!outage.is_zero()), outage_texts),
    ];
    if harm.refused_stale > 0 {
        let n = harm.refused_stale;
        let texts = [format!("{n} refused as stale"), format!("refused {n}"), format!("ref {n}")];
        answers.insert(2, Answer { sign: Glyph::Unasked, tone: Tone::Text, texts });
    }
    answers
}

/// The level of writes that one member alone acknowledges, and so may discard.
const ASYNC: &str = "async";

/// Lost of acknowledged: what is proved lost is said at once, with who discarded it, "none" only when nothing is left
/// unread. After something that may have cost writes nobody knows, until all of them have been read again.
fn losses(level: &str, losses: Losses, scene: &Scene<'_>) -> [String; 3] {
    let initial = &level[..1];
    let Losses { acked, unread, doubtful, released, .. } = losses;
    let lost = losses.lost.unwrap_or(0);
    let discards = scene.view.evidence.discards();
    let names: Vec<String> =
        discards.keys().filter(|_| lost > 0 && level == ASYNC).map(ToString::to_string).collect();
    let (by, by_short) = match names.is_empty() {
        true => (String::new(), String::new()),
        false => (format!(", discarded by {}", names.join(" ")), format!(" by {}", names.join(" "))),
    };
    match losses.lost {
        None | Some(0) if doubtful > 0 => [
            format!("{level} lost: not known yet, {unread} to read again"),
            format!("{level} lost ? ({unread} unread)"),
            format!("{initial}-lost ?"),
        ],
        _ if unread > 0 => [
            format!("{level} lost: {lost} so far{by}, {unread} unread"),
            format!("{level} lost {lost}+?{by_short}"),
            format!("{initial}-lost {lost}+?{by_short}"),
        ],
        Some(lost) => {
            let released = if released > 0 { format!(" ({released} released)") } else { String::new() };
            [
                format!("{level} writes lost: {lost} of {acked}{released}{by}"),
                format!("{level} lost {lost}/{acked}{by_short}"),
                format!("{initial}-lost {lost}{by_short}"),
            ]
        }
        None => [
            format!("{level} writes lost: ? of {acked}"),
            format!("{level} lost ?/{acked}"),
            format!("{initial}-lost"),
        ],
    }
}
