//! The judge's answers for the page: on promises and on harm, which are never mixed. Each is yes, no or not known.

use kvlab::judge::{Ledger, Linearizable};
use kvlab::types::{NodeId, Quirk};

use super::records::Records;
use crate::run::event::{
    Expectation, HarmVerdict, LabEvent, Losses, PromiseVerdict, RunOutcome, ScenarioEvent, Verdict,
};
use crate::text::words::visible;

/// A glyph, a word and a colour for the same thing: none of them alone says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnswerMark {
    /// The class that colours it.
    pub(super) class: &'static str,
    pub(super) glyph: &'static str,
}

impl AnswerMark {
    pub(super) const GOOD: Self = Self { class: "good", glyph: "✓" };
    pub(super) const WARN: Self = Self { class: "warn", glyph: "!" };
    pub(super) const BAD: Self = Self { class: "bad", glyph: "✗" };
    /// Nobody can say.
    pub(super) const UNKNOWN: Self = Self { class: "unknown", glyph: "…" };
    /// Neither good nor bad.
    pub(super) const PLAIN: Self = Self { class: "plain", glyph: "·" };

    fn of(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::GOOD,
            Some(false) => Self::BAD,
            None => Self::UNKNOWN,
        }
    }

    /// For harm: none of it is not a promise kept, and some of it is not one broken.
    fn of_harm(amount: Option<u64>) -> Self {
        match amount {
            Some(0) => Self::PLAIN,
            Some(_) => Self::WARN,
            None => Self::UNKNOWN,
        }
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReportAnswer {
    pub(super) mark: AnswerMark,
    pub(super) question: &'static str,
    /// In a word or a number.
    pub(super) answer: String,
    /// What it rests on.
    pub(super) detail: String,
}

/// An expectation of the scenario, compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    pub(super) mark: AnswerMark,
    pub(super) word: &'static str,
    pub(super) expectation: Expectation,
}

/// How the run ended, in large letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Banner {
    pub(super) mark: AnswerMark,
    pub(super) words: &'static str,
    /// Why, or what else must not be overlooked.
    pub(super) remarks: Vec<Remark>,
}

/// A sentence below the large letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) mark: AnswerMark,
    pub(super) text: String,
}

/// Everything that is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdicts {
    pub(super) banner: Banner,
    pub(super) promise: Vec<ReportAnswer>,
    pub(super) harm: Vec<ReportAnswer>,
    pub(super) expectations: Vec<Compared>,
    /// Keys that could not be decided, and why; what else limits the answers.
    pub(super) limits: Vec<String>,
}

/// Answers from the history as it is judged now and, for what only the run itself could find out (whether members
/// were equal), from the last that was said then.
pub(super) fn verdicts(records: &Records) -> Verdicts {
    let verdict = records.verdict.clone().unwrap_or_else(|| from_history(records));
    let promise = promise(records, &verdict.promise);
    let expectations = expectations(records);
    Verdicts {
        banner: banner(records, &promise),
        harm: harm(records, &verdict.harm),
        limits: limits(records, &verdict.promise),
        promise,
        expectations,
    }
}

/// A lab that was killed before it said anything leaves what the history tells.
fn from_history(records: &Records) -> Verdict {
    let report = &records.history.report;
    let lost = |ledger: &Ledger| ledger.known_lost().filter(|lost| *lost > 0 || ledger.waiting() == 0);
    Verdict {
        promise: PromiseVerdict {
            linearizable: report.linearizable.known(),
            quorum_writes_acked: report.quorum_writes.acked,
            quorum_writes_lost: lost(&report.quorum_ledger),
            quorum_writes_unread: report.quorum_ledger.waiting(),
            quorum_writes_released: report.quorum_ledger.released,
            ..PromiseVerdict::default()
        },
        harm: HarmVerdict {
            async_writes_acked: report.async_writes.acked,
            async_writes_lost: lost(&report.async_ledger),
            async_writes_unread: report.async_ledger.waiting(),
            async_writes_released: report.async_ledger.released,
            stale_reads: report.staleness.stale,
            stale_max_ms: report.staleness.age_ms.max as u64,
            unknown: report.unknown,
            unavailable_ms: report.unavailable.any_ms,
            ..HarmVerdict::default()
        },
    }
}

/// Whether quorum operations are linearizable, as far as the history could be judged. A violation stays one whatever
/// comes after; no violation says nothing of what was not judged.
pub(super) fn linearizable(records: &Records) -> Option<bool> {
    let proved = records.violations().iter().any(|violation| violation.linearizability);
    match (records.history.report.linearizable, &records.history.refused) {
        _ if proved => Some(false),
        (Linearizable::No, _) => Some(false),
        (_, Some(_)) => None,
        (answer, None) => answer.known(),
    }
}

fn promise(records: &Records, promise: &PromiseVerdict) -> Vec<ReportAnswer> {
    let report = &records.history.report;
    let linearizable = linearizable(records);
    let keys = report.keys;
    let mut detail = format!(
        "{}, checked up to event #{}",
        counted(keys.by_ids + keys.by_search, "key"),
        report.checked_i
    );
    if report.violations_total > 0 {
        detail = format!("{}; {detail}", counted(report.violations_total, "violation"));
    }
    let lost = promise.quorum_writes_lost;
    let mut answers = vec![
        ReportAnswer {
            mark: AnswerMark::of(linearizable),
            question: "Quorum operations are linearizable",
            answer: three(linearizable, "undecided"),
            detail,
        },
        ReportAnswer {
            mark: AnswerMark::of(lost.map(|lost| lost == 0)),
            question: "Quorum writes lost",
            answer: number(lost),
            detail: read_back(promise.losses()),
        },
        ReportAnswer {
            mark: AnswerMark::of(promise.members_equal),
            question: "All members hold the same state in the end",
            answer: three(promise.members_equal, "not known"),
            detail: match promise.members_equal {
                Some(_) => "compared key by key after healing".to_owned(),
                None => "they were not compared".to_owned(),
            },
        },
    ];
    let never_written = records.violations().iter().filter(|violation| !violation.linearizability).count();
    if never_written > 0 {
        answers.push(ReportAnswer {
            mark: AnswerMark::BAD,
            question: "Every value that was read had been written",
            answer: "NO".to_owned(),
            detail: counted(never_written as u64, "read"),
        });
    }
    answers
}

fn harm(records: &Records, harm: &HarmVerdict) -> Vec<ReportAnswer> {
    let report = &records.history.report;
    let stale = report.staleness;
    let answer = |question, amount: Option<u64>, answer, detail| ReportAnswer {
        mark: AnswerMark::of_harm(amount),
        question,
        answer,
        detail,
    };
    let lost = harm.async_writes_lost;
    vec![
        answer(
            "Acknowledged async writes lost",
            lost,
            number(lost),
            read_back(harm.losses()) + &discarded(records, lost),
        ),
        answer(
            "Stale eventual reads",
            Some(stale.stale),
            stale.stale.to_string(),
            match stale.stale {
                0 => format!("of {} measured", stale.reads),
                _ => format!("of {} measured; the oldest {} ms old", stale.reads, stale.age_ms.max as u64),
            },
        ),
        answer(
            "Eventual reads refused as too stale",
            Some(harm.refused_stale),
            harm.refused_stale.to_string(),
            "a member that knows it is behind says so".to_owned(),
        ),
        answer(
            "Unknown outcomes",
            Some(report.unknown),
            report.unknown.to_string(),
            "they may have happened; never counted as failed, never as done".to_owned(),
        ),
        ReportAnswer {
            mark: AnswerMark::PLAIN,
            question: "Longest time without a successful write",
            answer: format!("{} ms", report.unavailable.any_ms),
            detail: format!(
                "quorum writes {} ms, async writes {} ms",
                report.unavailable.quorum_ms, report.unavailable.async_ms
            ),
        },
    ]
}

fn expectations(records: &Records) -> Vec<Compared> {
    let compared = |expectation: &Expectation| Compared {
        mark: AnswerMark::of(expectation.held),
        word: match expectation.held {
            Some(true) => "held",
            Some(false) => "NOT HELD",
            None => "undecided",
        },
        expectation: expectation.clone(),
    };
    let expectation = |event: &LabEvent| match event {
        LabEvent::Scenario(ScenarioEvent::Expectation(expectation)) => Some(compared(expectation)),
        _ => None,
    };
    records.events.iter().filter_map(|stamped| expectation(&stamped.event)).collect()
}

fn banner(records: &Records, promise: &[ReportAnswer]) -> Banner {
    let broken: Vec<_> = promise.iter().filter(|answer| answer.mark == AnswerMark::BAD).collect();
    let undecided = promise.iter().any(|answer| answer.mark == AnswerMark::UNKNOWN);
    let scenario = records.header().is_some_and(|header| header.scenario.is_some());
    let (mark, words) = match records.outcome().map(|(outcome, _)| outcome) {
        _ if records.so_far => (AnswerMark::UNKNOWN, "SO FAR: the run goes on"),
        Some(RunOutcome::AsExpected) => (AnswerMark::GOOD, "AS EXPECTED"),
        Some(RunOutcome::Violated) => (AnswerMark::BAD, "VIOLATED"),
        Some(RunOutcome::Undecided) => (AnswerMark::UNKNOWN, "UNDECIDED"),
        Some(RunOutcome::Panicked) => (AnswerMark::UNKNOWN, "A FAULT OF KVLAB: no verdict"),
        None if scenario => (AnswerMark::UNKNOWN, "INTERRUPTED: the scenario did not come to its end"),
        None if !broken.is_empty() => (AnswerMark::BAD, "A PROMISE WAS BROKEN"),
        None if undecided => (AnswerMark::UNKNOWN, "NO PROMISE SEEN BROKEN, not all could be checked"),
        None => (AnswerMark::GOOD, "EVERY PROMISE KEPT"),
    };
    let remark = |mark, text| Remark { mark, text };
    let why = records.outcome().and_then(|(_, why)| why);
    let mut remarks: Vec<Remark> = why.map(|why| remark(mark, visible(why))).into_iter().collect();
    let expected = matches!(records.outcome(), Some((RunOutcome::AsExpected, _)));
    remarks.extend(broken.iter().map(|answer| {
        let (how, question) = (if expected { "BROKEN, as expected" } else { "BROKEN" }, answer.question);
        remark(AnswerMark::BAD, format!("{how}: {}: {}", lowered(question), answer.answer))
    }));
    let quirks = records.header().map(|header| header.quirks).unwrap_or_default();
    let on_purpose = |quirk: Quirk| format!("A mistake on purpose, {quirk}: {}", quirk.mistake());
    remarks.extend(quirks.iter().map(|quirk| remark(AnswerMark::WARN, on_purpose(quirk))));
    Banner { mark, words, remarks }
}

/// What limits the answers, and why.
fn limits(records: &Records, then: &PromiseVerdict) -> Vec<String> {
    let history = &records.history;
    let mut limits: Vec<String> = history.refused.iter().map(|why| visible(why)).collect();
    if history.bounded {
        limits.push(
            "The history is so long that not every value of it was remembered while it was judged: proofs may show \
             less, and ages are at least what is said."
                .to_owned(),
        );
    }
    limits.extend(history.report.undecided.iter().map(|undecided| {
        format!("key {:?}: undecided since event #{}: {}", undecided.key, undecided.since_i, undecided.why)
    }));
    let now = linearizable(records);
    if let (Some(then), Some(now), true) = (then.linearizable, now, history.refused.is_none())
        && then != now
        && !records.so_far
    {
        let words = |answer| if answer { "linearizable" } else { "not linearizable" };
        limits.push(format!(
            "While the run went on, the judge said {}; of the history that is left it says {}. The history may not \
             be complete.",
            words(then),
            words(now)
        ));
    }
    limits
}

/// What a count of lost writes rests on.
fn read_back(losses: Losses) -> String {
    let Losses { acked, lost, unread, doubtful, released } = losses;
    let rests_on = match (lost, unread) {
        _ if acked == 0 => return "none was acknowledged".to_owned(),
        (None, 0) => "no ledger was kept of them".to_owned(),
        (Some(_), 0) => "all that were in the ledger were read back".to_owned(),
        (_, unread) if doubtful > 0 => {
            format!("{unread} that were in the ledger were not read back since the last change")
        }
        (_, unread) => format!("{unread} that were in the ledger were not read back"),
    };
    let released = match released {
        0 => String::new(),
        _ => format!("; {released} were read back twice and released, and nothing is said of them since"),
    };
    format!("of {acked} acknowledged; {rests_on}{released}")
}

/// Whose doing a loss was, as the members tell it.
fn discarded(records: &Records, lost: Option<u64>) -> String {
    let says = |(node, entries): (&NodeId, &u64)| format!("{node} discarded {entries} entries");
    let says: Vec<String> = records.evidence.discards().iter().map(says).collect();
    match lost {
        Some(1..) if !says.is_empty() => format!("; {}", says.join(", ")),
        _ => String::new(),
    }
}

fn three(answer: Option<bool>, unknown: &str) -> String {
    match answer {
        Some(true) => "yes".to_owned(),
        Some(false) => "NO".to_owned(),
        None => unknown.to_owned(),
    }
}

fn number(number: Option<u64>) -> String {
    number.map_or("not known".to_owned(), |number| number.to_string())
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::HistoryJudge;
    use crate::report::tests::fixture;
    use crate::run::event::Stamped;

    fn answer<'v>(answers: &'v [ReportAnswer], question: &str) -> &'v ReportAnswer {
        answers.iter().find(|answer| answer.question.contains(question)).expect("it is asked")
    }

    fn without_a_word_of_the_lab(mut records: Records) -> Records {
        records.verdict = None;
        records.events.retain(|stamped| !matches!(stamped.event, LabEvent::Scenario(_)));
        records
    }

    #[test]
    fn what_nobody_knows_is_an_answer_and_neither_good_nor_bad() {
        let records = without_a_word_of_the_lab(fixture::split_brain());
        let verdicts = verdicts(&records);
        let equal = answer(&verdicts.promise, "same state");
        assert_eq!((equal.mark, equal.answer.as_str()), (AnswerMark::UNKNOWN, "not known"));
        let lost = answer(&verdicts.promise, "Quorum writes lost");
        assert_eq!((lost.mark, lost.answer.as_str()), (AnswerMark::UNKNOWN, "not known"));
        assert_eq!(answer(&verdicts.promise, "linearizable").mark, AnswerMark::GOOD);
        assert_eq!(verdicts.banner.mark, AnswerMark::UNKNOWN);
        let unknown = answer(&verdicts.harm, "Unknown outcomes");
        assert_eq!((unknown.mark, unknown.answer.as_str()), (AnswerMark::WARN, "4"));
        assert!(
            verdicts.harm.iter().all(|answer| ![AnswerMark::GOOD, AnswerMark::BAD].contains(&answer.mark)),
            "harm is no promise"
        );
    }

    #[test]
    fn a_violation_stays_one_whatever_could_not_be_read_after_it() {
        let mut records = fixture::violated();
        records.history.refused = Some("line 9 is no event".to_owned());
        assert_eq!(linearizable(&records), Some(false));
        let mut records = fixture::split_brain();
        records.history.refused = Some("line 9 is no event".to_owned());
        assert_eq!(linearizable(&records), None, "what was not read may have been one");
        assert!(verdicts(&records).limits.iter().any(|limit| limit.contains("line 9")));
    }

    #[test]
    fn a_history_that_says_otherwise_than_the_judge_said_then_is_told() {
        let mut records = fixture::split_brain();
        let then = PromiseVerdict { linearizable: Some(false), ..PromiseVerdict::default() };
        let verdict = Verdict { promise: then, ..Verdict::default() };
        records.observe(Stamped { t_us: 14_000_000, event: LabEvent::Verdict(verdict) });
        let limits = verdicts(&records).limits;
        assert!(limits.iter().any(|limit| limit.contains("said not linearizable")), "{limits:?}");
    }

    #[test]
    fn what_was_broken_as_expected_is_broken_all_the_same() {
        let banner = verdicts(&fixture::violated()).banner;
        assert_eq!((banner.mark, banner.words), (AnswerMark::GOOD, "AS EXPECTED"));
        let broken = banner.remarks.iter().find(|remark| remark.mark == AnswerMark::BAD).expect("it is said");
        assert_eq!(broken.text, "BROKEN, as expected: quorum operations are linearizable: NO");
        let by_hand =
            verdicts(&without_a_word_of_the_lab(Records { so_far: true, ..fixture::violated() })).banner;
        assert!(by_hand.words.starts_with("SO FAR"));
    }

    #[test]
    fn a_read_of_what_was_never_written_breaks_a_promise_of_its_own() {
        use kvlab::judge::{Consistency, OpKind, Phase};
        let mut history = fixture::History::default();
        history.put(1, "q0", "a", Phase::Ok);
        history.operate(2, OpKind::Get, Consistency::Eventual, "q0", Some("nowhere"), Phase::Ok);
        let mut judge = HistoryJudge::default();
        history.events().iter().for_each(|event| judge.observe(event));
        let mut records = fixture::split_brain();
        records.history = judge.finish();
        let verdicts = verdicts(&records);
        assert_eq!(answer(&verdicts.promise, "had been written").mark, AnswerMark::BAD);
        assert_eq!(answer(&verdicts.promise, "linearizable").mark, AnswerMark::GOOD);
    }

    #[test]
    fn what_a_count_of_losses_rests_on() {
        let says = |acked, lost, unread, doubtful, released| {
            read_back(Losses { acked, lost, unread, doubtful, released })
        };
        assert_eq!(says(0, None, 0, 0, 0), "none was acknowledged");
        assert_eq!(says(9, None, 0, 0, 0), "of 9 acknowledged; no ledger was kept of them");
        assert_eq!(
            says(9, Some(1), 0, 0, 0),
            "of 9 acknowledged; all that were in the ledger were read back"
        );
        assert_eq!(says(9, None, 4, 0, 0), "of 9 acknowledged; 4 that were in the ledger were not read back");
        assert!(says(9, None, 4, 4, 0).ends_with("were not read back since the last change"));
        assert!(says(9, Some(0), 0, 0, 5).contains("; 5 were read back twice and released"));
    }
}
