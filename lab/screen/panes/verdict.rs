//! The verdict strip: what was promised, and what a user would have suffered. Never mixed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use crate::event::{Harm, Promise};
use crate::screen::paint::Row;
use crate::screen::theme::{Glyph, Tone};
use crate::screen::words;

/// One answer: sign, tone, and its text at three lengths.
struct Answer {
    sign: Glyph,
    tone: Tone,
    texts: [String; 3],
}

impl Answer {
    fn new(sign: Glyph, tone: Tone, long: String, medium: String, short: String) -> Self {
        Self { sign, tone, texts: [long, medium, short] }
    }

    /// Yes, no, or not known yet.
    fn sign(holds: Option<bool>) -> (Glyph, Tone) {
        match holds {
            Some(true) => (Glyph::Yes, Tone::Done),
            Some(false) => (Glyph::No, Tone::Bad),
            None => (Glyph::Pending, Tone::Dim),
        }
    }
}

/// Draws the strip: two rows, or one if there is no room.
pub fn verdict(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let verdict = scene.view.verdict.clone().unwrap_or_default();
    let (promise, harm) = (promise(&verdict.promise), harm(&verdict.harm));
    let line = |line: u16, buf: &mut Buffer, label: &str, answers: &[&Answer]| {
        let mut row = Row::new(buf, scene.theme, area, line);
        row.skip(1).put(label, Tone::Strong).skip(usize::from(!label.is_empty()));
        put_answers(&mut row, answers);
    };
    if area.height >= 2 {
        line(0, buf, "PROMISE", &promise.iter().collect::<Vec<_>>());
        line(1, buf, "HARM   ", &harm.iter().collect::<Vec<_>>());
    } else {
        let both: Vec<_> = promise.iter().take(2).chain(harm.iter().take(2)).collect();
        line(0, buf, "", &both);
    }
}

/// At the longest length at which all fit, or the shortest.
fn put_answers(row: &mut Row<'_>, answers: &[&Answer]) {
    let needs = |length: usize| answers.iter().map(|a| words::width(&a.texts[length]) + 5).sum::<usize>();
    let length = (0..3).find(|&length| needs(length) <= row.left() + 3).unwrap_or(2);
    let gap = if length < 2 { 3 } else { 1 };
    for (i, answer) in answers.iter().enumerate() {
        row.skip(if i == 0 { usize::from(length < 2) } else { gap });
        row.sign(answer.sign, answer.tone).skip(usize::from(length < 2));
        let tone = if answer.tone == Tone::Done { Tone::Text } else { answer.tone };
        row.put(&answer.texts[length], tone);
    }
}

fn promise(promise: &Promise) -> Vec<Answer> {
    let (sign, tone) = Answer::sign(promise.linearizable);
    let checked = promise.checked_i;
    let (long, short) = match promise.linearizable {
        Some(true) => (format!("linearizable: yes, up to #{checked}"), "lin".to_owned()),
        Some(false) => ("linearizable: NO".to_owned(), "lin NO".to_owned()),
        None => ("linearizable: unchecked".to_owned(), "lin".to_owned()),
    };
    let medium =
        if promise.linearizable == Some(true) { format!("linearizable to #{checked}") } else { long.clone() };
    let mut answers = vec![Answer::new(sign, tone, long, medium, short)];

    let acked = promise.quorum_writes_acked;
    let (sign, tone) = Answer::sign(promise.quorum_writes_lost.map(|lost| lost == 0));
    answers.push(match promise.quorum_writes_lost {
        Some(lost) => Answer::new(
            sign,
            tone,
            format!("quorum writes lost: {lost} of {acked}"),
            format!("quorum lost {lost}/{acked}"),
            format!("q-lost {lost}"),
        ),
        None => Answer::new(
            sign,
            tone,
            format!("quorum writes lost: not read back ({acked} acknowledged)"),
            format!("quorum lost ?/{acked}"),
            "q-lost".to_owned(),
        ),
    });

    let (sign, tone) = Answer::sign(promise.members_equal);
    let (long, medium) = match promise.members_equal {
        Some(true) => ("members equal: yes", "members equal"),
        Some(false) => ("members equal: NO", "members DIFFER"),
        None => ("members equal: not compared", "members equal ?"),
    };
    answers.push(Answer::new(sign, tone, long.to_owned(), medium.to_owned(), "equal".to_owned()));
    answers
}

fn harm(harm: &Harm) -> Vec<Answer> {
    let hurt = |n: u64| if n == 0 { (Glyph::Yes, Tone::Done) } else { (Glyph::Warn, Tone::Warn) };
    let acked = harm.async_writes_acked;
    let mut answers = vec![match harm.async_writes_lost {
        Some(lost) => {
            let (sign, tone) = hurt(lost);
            Answer::new(
                sign,
                tone,
                format!("async writes lost: {lost} of {acked}"),
                format!("async lost {lost}/{acked}"),
                format!("a-lost {lost}"),
            )
        }
        None => Answer::new(
            Glyph::Pending,
            Tone::Dim,
            format!("async writes lost: not read back ({acked} acknowledged)"),
            format!("async lost ?/{acked}"),
            "a-lost".to_owned(),
        ),
    }];
    let stale = harm.stale_reads;
    let oldest = words::age(std::time::Duration::from_millis(harm.stale_max_ms));
    let (sign, tone) = hurt(stale);
    answers.push(if stale == 0 {
        Answer::new(sign, tone, "stale reads: 0".into(), "stale 0".into(), "stale 0".into())
    } else {
        Answer::new(
            sign,
            tone,
            format!("stale reads: {stale}, oldest {oldest}"),
            format!("stale {stale}, {oldest}"),
            format!("stale {stale}"),
        )
    });
    let (sign, tone) = hurt(harm.unknown);
    let unknown = harm.unknown;
    answers.push(Answer::new(
        sign,
        tone,
        format!("unknown: {unknown}"),
        format!("unknown {unknown}"),
        format!("unk {unknown}"),
    ));
    let (sign, tone) = hurt(harm.unavailable_ms);
    let span = words::age(std::time::Duration::from_millis(harm.unavailable_ms));
    answers.push(Answer::new(
        sign,
        tone,
        format!("no service: {span}"),
        format!("no service {span}"),
        format!("out {span}"),
    ));
    answers
}
