//! Histories written by hand, a line for each event.

use super::super::*;

/// Parses lines of `client phase op value [level]`, one event each; `-` is no value. The key is `k`, or what a
/// fifth word `key=…` says. Events are a millisecond apart; a line `+N` lets N milliseconds pass.
pub(super) fn script(text: &str) -> Vec<HistoryEvent> {
    let (mut events, mut t_ms) = (Vec::new(), 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(ms) = line.strip_prefix('+') {
            t_ms += ms.parse::<u64>().unwrap();
            continue;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let (phase, op) = (parse(words[1]), parse(words[2]));
        let level = words.get(4).copied().filter(|word| !word.starts_with("key=")).unwrap_or("quorum");
        let key = words.iter().find_map(|word| word.strip_prefix("key=")).unwrap_or("k");
        events.push(HistoryEvent {
            i: events.len() as u64,
            t_ns: t_ms * 1_000_000,
            client: words[0].parse().unwrap(),
            node: Some("n1".parse().unwrap()),
            phase,
            op,
            key: key.to_owned(),
            value: (words[3] != "-").then(|| words[3].to_owned()),
            consistency: parse(level),
            epoch: None,
            seq: None,
        });
        t_ms += 1;
    }
    events
}

fn parse<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.into()).unwrap()
}

/// Judges a script as a whole.
pub(super) fn judged(text: &str) -> Judgement {
    let mut judge = Judge::new(JudgeOptions::default());
    for event in script(text) {
        judge.observe(&event).unwrap();
    }
    judge.finish()
}
