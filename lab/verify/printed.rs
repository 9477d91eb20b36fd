//! The verdict as a person reads it: what is violated first, drawn; then what is undecided; then the rest in a few lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use kvlab::judge::import::Format;
use kvlab::judge::{Judgement, Ledger, Linearizable, Method, Percentiles, Value, Violation};

use super::checked::{CheckedHistory, CheckedKey, FailedCasTaken, KeyProof};
use crate::text::words;

/// Proofs that are drawn; the others are named.
const DRAWN_MAX: usize = 3;
/// Keys of a kind that are named; `--json` has all.
const NAMED_MAX: usize = 10;
/// Columns where there is no terminal.
const WIDTH: usize = 100;
/// Nothing is made narrower than this.
const WIDTH_MIN: usize = 60;

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrintStyle {
    /// Columns.
    pub(crate) width: usize,
    /// Whether verdicts are coloured.
    pub(crate) colours: bool,
}

impl PrintStyle {
    /// For standard output as it is: coloured on a terminal unless `NO_COLOR` says otherwise.
    pub(crate) fn of_stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self { width: WIDTH, colours: false };
        }
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let width = crossterm::terminal::size().map_or(WIDTH, |(columns, _)| usize::from(columns));
        Self { width: width.max(WIDTH_MIN), colours: !dumb && !is_set("NO_COLOR") }
    }

    fn bad(self, text: &str) -> String {
        self.painted(text, "1;31")
    }

    fn good(self, text: &str) -> String {
        self.painted(text, "1;32")
    }

    fn warn(self, text: &str) -> String {
        self.painted(text, "1;33")
    }

    fn painted(self, text: &str, code: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// All that is said of a history, ending with a newline.
pub(crate) fn printed(checked: &CheckedHistory, style: PrintStyle) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {}", checked.name, subject(checked));
    if let Some(kept) = &checked.kept {
        let _ = writeln!(
            out,
            "kept: {}, from event #{} on. What was before is not known, and nothing is said of it",
            words::kept(kept.from, kept.to),
            kept.from_i
        );
    }
    violated(&mut out, checked, style);
    undecided(&mut out, checked, style);
    out.push('\n');
    if checked.is_keyed() {
        tally(&mut out, checked);
    }
    if let Some(judgement) = &checked.judgement {
        facts(&mut out, judgement);
    }
    let gap = if checked.is_keyed() || checked.judgement.is_some() { "\n" } else { "" };
    let _ = writeln!(out, "{gap}{}", verdict(checked, style));
    out
}

/// What the history is: whose, how long, on how many keys.
fn subject(checked: &CheckedHistory) -> String {
    let whose = match checked.format {
        Format::Kvlab => "a history of kvlab",
        Format::Edn => "a history in EDN",
        Format::JepsenLog => "a log of Jepsen",
    };
    let operations = counted(checked.operations(), "operation");
    if checked.is_keyed() {
        format!("{whose}, {operations} on {}", counted(checked.keys.len() as u64, "key"))
    } else {
        format!("{whose}, {operations}")
    }
}

fn violated(out: &mut String, checked: &CheckedHistory, style: PrintStyle) {
    let violated: Vec<_> = checked.with(Some(Linearizable::No)).collect();
    let mut drawn = 0;
    for key in violated.iter().filter(|key| key.proof.is_some()).take(DRAWN_MAX) {
        drawn += 1;
        let _ = writeln!(out, "\n{}  {}\n", style.bad("NOT linearizable"), about(checked, key));
        if let Some(proof) = &key.proof {
            indent(out, &proof.diagram().text(style.width - 2));
        }
        if let Some(taken) = key.failed_cas {
            out.push('\n');
            indent(out, &wrapped(taken.says(), style.width - 2));
        }
        if let Some(command) = shrinking(checked, key) {
            let _ = writeln!(out, "\n  to make it small: {command}");
        }
    }
    let others: Vec<_> = violated.iter().filter(|key| key.proof.is_none()).collect();
    let rest: Vec<_> = violated.iter().filter(|key| key.proof.is_some()).skip(drawn).chain(others).collect();
    named(out, &rest, |key| format!("{}  {}", style.bad("NOT linearizable"), about(checked, key)));
    let broken: Vec<&Violation> = checked.broken().collect();
    named(out, &broken, |violation| format!("{}  {violation}", style.bad("BROKEN PROMISE")));
}

/// The command that makes a proof small that is not yet.
fn shrinking(checked: &CheckedHistory, key: &CheckedKey) -> Option<String> {
    let path = quoted(checked.path.as_ref()?);
    let (Some(KeyProof::Stuck { .. }) | Some(KeyProof::Part { is_minimal: false, .. })) = &key.proof else {
        return None;
    };
    let which = if checked.is_keyed() {
        format!(" --key {}", quoted(&said_key(checked, &key.key)))
    } else {
        String::new()
    };
    let meaning = match key.failed_cas {
        Some(FailedCasTaken::Observed) => " --failed-cas observed",
        Some(FailedCasTaken::NeverRan) | None => "",
    };
    Some(format!("kvlab shrink {path}{which}{meaning}"))
}

fn undecided(out: &mut String, checked: &CheckedHistory, style: PrintStyle) {
    let undecided: Vec<_> = checked.with(Some(Linearizable::Undecided)).collect();
    named(out, &undecided, |key| {
        let why = key.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}  {}{why}", style.warn("UNDECIDED"), about(checked, key))
    });
}

/// A line for each of the first ones, and how many more there are.
fn named<T>(out: &mut String, all: &[T], line: impl Fn(&T) -> String) {
    if !all.is_empty() {
        out.push('\n');
    }
    for one in all.iter().take(NAMED_MAX) {
        let _ = writeln!(out, "{}", line(one));
    }
    if all.len() > NAMED_MAX {
        let _ = writeln!(out, "and {} more like these; --json has them all", all.len() - NAMED_MAX);
    }
}

/// A key, how much was done under it, and how it was judged.
fn about(checked: &CheckedHistory, key: &CheckedKey) -> String {
    let how = match key.method {
        Some(Method::Ids) => ", by ids",
        Some(Method::Search) => ", by search",
        None => "",
    };
    let operations = counted(key.operations, "operation");
    if checked.is_keyed() {
        format!("key {}, {operations}{how}", key.key)
    } else {
        format!("{operations}{how}")
    }
}

/// What only our own histories tell: losses, ages, outages.
fn facts(out: &mut String, judgement: &Judgement) {
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "  {label:<27} {value}");
    };
    line("quorum writes lost", lost(&judgement.quorum_ledger, judgement.quorum_writes.acked));
    line("async writes lost", lost(&judgement.async_ledger, judgement.async_writes.acked));
    line("unknown outcomes", judgement.unknown.to_string());
    let away = judgement.unavailable;
    line(
        "longest time without writes",
        format!("{} ms (quorum {} ms, async {} ms)", away.any_ms, away.quorum_ms, away.async_ms),
    );
    let stale = &judgement.staleness;
    let unmeasured = match stale.unmeasured {
        0 => String::new(),
        n => format!("; {n} more could not be measured"),
    };
    line("stale reads", format!("{} of {}{unmeasured}", stale.stale, counted(stale.reads, "eventual read")));
    if stale.stale > 0 {
        let at_least =
            if stale.at_least > 0 { format!(" ({} are older still)", stale.at_least) } else { String::new() };
        let _ = writeln!(out, "  {:<22}{:>9}{:>9}{:>9}{:>9}{:>9}", "", "p50", "p90", "p99", "p99.9", "max");
        row(out, "  age in ms", &stale.age_ms, &at_least);
        row(out, "  versions behind", &stale.versions, "");
    }
}

fn row(out: &mut String, label: &str, percentiles: &Percentiles, remark: &str) {
    let Percentiles { p50, p90, p99, p999, max } = percentiles;
    let _ = write!(out, "  {label:<22}");
    for value in [p50, p90, p99, p999, max] {
        let _ = write!(out, "{:>9}", number(*value));
    }
    let _ = writeln!(out, "{remark}");
}

/// `0`, `0.3`, `12`.
fn number(value: f64) -> String {
    if value == 0.0 || value >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn lost(ledger: &Ledger, acked: u64) -> String {
    if acked == 0 {
        return "none was acknowledged".to_owned();
    }
    let acked = format!("{acked} acknowledged");
    match ledger.known_lost() {
        None if ledger.acked == 0 => format!("not known ({acked}, on shared keys)"),
        None => format!("not known ({acked}, none read back)"),
        Some(lost) => {
            let read = ledger.read_back + ledger.lost;
            let released = match ledger.released {
                0 => String::new(),
                released => format!(", {released} released after two reads"),
            };
            format!("{lost} of {read} read back ({acked}{released})")
        }
    }
}

/// How many keys have which verdict, a line each.
fn tally(out: &mut String, checked: &CheckedHistory) {
    let count = |verdict| checked.with(verdict).count();
    let (yes, unjudged) = (count(Some(Linearizable::Yes)), count(None));
    let is_by_ids = |key: &&CheckedKey| key.method == Some(Method::Ids);
    let by_ids = checked.with(Some(Linearizable::Yes)).filter(is_by_ids).count();
    let how = match (by_ids, yes - by_ids) {
        (_, 0) => "by ids".to_owned(),
        (0, _) => "by search".to_owned(),
        (ids, search) => format!("{ids} by ids, {search} by search"),
    };
    let mut line = |label: &str, count: usize, remark: &str| {
        if count > 0 {
            let _ = writeln!(out, "  {label:<27} {count}{remark}");
        }
    };
    line("keys NOT linearizable", count(Some(Linearizable::No)), "");
    line("keys undecided", count(Some(Linearizable::Undecided)), "");
    line("keys linearizable", yes, &format!(" ({how})"));
    line("keys not judged", unjudged, " (an async write was tried)");
}

/// The last line: the verdict, and how long it took.
fn verdict(checked: &CheckedHistory, style: PrintStyle) -> String {
    let has = |verdict| checked.with(Some(verdict)).next().is_some();
    let word = match checked.verdict() {
        Linearizable::Yes if !has(Linearizable::Yes) => style.warn("nothing was promised to be linearizable"),
        Linearizable::Yes => style.good("linearizable"),
        Linearizable::No if !has(Linearizable::No) => {
            style.bad("a promise is broken, though not linearizability")
        }
        Linearizable::No => style.bad("NOT linearizable"),
        Linearizable::Undecided => style.warn("UNDECIDED"),
    };
    format!("{word} (judged in {:.2} s)", checked.took.as_secs_f64())
}

fn indent(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "  {line}") };
    }
}

/// `1 key`, `58 keys`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Broken at spaces, into lines of at most so many columns where words allow.
fn wrapped(text: &str, width: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let columns = word.chars().count();
        if used > 0 {
            let is_full = used + 1 + columns > width;
            out.push(if is_full { '\n' } else { ' ' });
            used = if is_full { 0 } else { used + 1 };
        }
        out.push_str(word);
        used += columns;
    }
    out
}

/// A key as a command takes it: a string without its quotes, unless another key is printed so.
fn said_key(checked: &CheckedHistory, key: &Value) -> String {
    let plain = key.to_plain();
    let is_other = |other: &CheckedKey| other.key != *key && other.key.to_string() == plain;
    if checked.keys.iter().any(is_other) { key.to_string() } else { plain }
}

/// As a word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use kvlab::judge::import::ImportOptions;

    use super::*;
    use crate::verify::{HistorySource, SearchLimits, check};

    /// A history under `tests/histories`, as it is said in so many columns.
    fn said(name: &str, width: usize) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories").join(name);
        let input = HistorySource::find(&path, None).expect("it is there");
        let limits = SearchLimits::within(Duration::from_secs(3600));
        let checked = check(&input, ImportOptions::default(), limits).expect("a history");
        let (name, path) = (name.to_owned(), Some(name.to_owned()));
        let checked = CheckedHistory { name, path, took: Duration::from_millis(310), ..checked };
        printed(&checked, PrintStyle { width, colours: false })
    }

    #[test]
    fn a_violation_by_ids_with_losses_and_ages() {
        insta::assert_snapshot!("four-reads-80", said("four-reads.jsonl", 80));
        insta::assert_snapshot!("four-reads-120", said("four-reads.jsonl", 120));
    }

    #[test]
    fn a_violation_by_search_and_what_is_fine() {
        insta::assert_snapshot!("cas-80", said("cas.edn", 80));
        insta::assert_snapshot!("calm-80", said("calm.jsonl", 80));
        insta::assert_snapshot!("independent-80", said("independent.edn", 80));
    }

    #[test]
    fn a_proof_that_is_not_small_yet_comes_with_the_command_that_makes_it_so() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/cas.edn");
        let input = HistorySource::find(&path, None).expect("it is there");
        let checked =
            check(&input, ImportOptions::default(), SearchLimits::within(Duration::from_secs(3600)));
        let mut checked = CheckedHistory { path: Some("it's.edn".to_owned()), ..checked.expect("a history") };
        assert_eq!(shrinking(&checked, &checked.keys[0]), None, "it is as small as it gets");
        let Some(KeyProof::Part { is_minimal, .. }) = &mut checked.keys[0].proof else { panic!("by search") };
        *is_minimal = false;
        let command = r"kvlab shrink 'it'\''s.edn'";
        assert_eq!(shrinking(&checked, &checked.keys[0]).as_deref(), Some(command));
        checked.keys[0].failed_cas = Some(FailedCasTaken::Observed);
        let command = format!("{command} --failed-cas observed");
        assert_eq!(shrinking(&checked, &checked.keys[0]), Some(command));
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for name in
            ["four-reads.jsonl", "cas.edn", "calm.jsonl", "independent.edn", "appends.edn", "etcd.log"]
        {
            let said = said(name, 80);
            assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
        }
    }

    #[test]
    fn verdicts_are_coloured_only_where_that_was_asked_for() {
        let (plain, coloured) =
            (PrintStyle { width: 80, colours: false }, PrintStyle { width: 80, colours: true });
        assert_eq!(
            (plain.bad("no"), coloured.bad("no")),
            ("no".to_owned(), "\x1b[1;31mno\x1b[0m".to_owned())
        );
    }

    #[test]
    fn a_word_of_a_shell_is_quoted_where_it_needs_to_be() {
        assert_eq!(quoted("runs/a-1.jsonl"), "runs/a-1.jsonl");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn numbers_have_a_decimal_only_where_it_says_something() {
        let cases = [(0.0, "0"), (0.26, "0.3"), (3.0, "3"), (9.94, "9.9"), (12.6, "13")];
        assert_eq!(cases.map(|(value, _)| number(value)), cases.map(|(_, shown)| shown.to_owned()));
    }
}
