//! Events of a run, read again.
#![expect(clippy::disallowed_methods, reason = "files of runs")]

use super::*;

const HEADER: &str = "{\"t_us\":0,\"event\":\"header\",\"version\":3,\"kvlab\":\"0.1.0\",\"seed\":1,\
                      \"nodes\":[\"n1\"],\"started_unix_s\":1,\"run_dir\":\"/r\",\"scenario\":null}\n";

fn notice(t_us: u64) -> String {
    format!("{{\"t_us\":{t_us},\"event\":\"notice\",\"level\":\"info\",\"text\":\"x\"}}\n")
}

/// The times of the events in such files, or what is wrong with them.
fn read(files: &[(&str, &str)]) -> Result<Vec<u64>, String> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let mut times = Vec::new();
    let all = EventReader::open(dir.path()).and_then(|events| events.each(|event| times.push(event.t_us)));
    all.map(|()| times).map_err(|error| format!("{error:#}").replace(&dir.path().display().to_string(), ""))
}

fn whole(text: &str) -> Result<Vec<u64>, String> {
    read(&[("events.jsonl", text)])
}

#[test]
fn a_last_line_without_its_end_is_passed_over_and_any_other_is_an_error_with_its_place() {
    let (one, two) = (notice(1), notice(2));
    assert_eq!(whole(&format!("{HEADER}{one}{two}")), Ok(vec![0, 1, 2]));
    assert_eq!(whole(&format!("{HEADER}{one}\n{two}{{\"a")), Ok(vec![0, 1, 2]));
    assert_eq!(whole((HEADER.to_owned() + &one).trim_end()), Ok(vec![0, 1]), "it is whole all the same");
    let error = whole(&format!("{HEADER}x\n{two}")).expect_err("no event");
    assert!(error.starts_with("/events.jsonl:2: not an event of a run: expected value"), "{error}");
}

#[test]
fn events_begin_with_a_header_in_every_part_and_later_parts_with_a_keyframe() {
    assert!(whole("").expect_err("empty").contains("/events.jsonl:1: not the events of a run"));
    assert!(whole(&notice(1)).expect_err("no header").contains("does not begin with a header"));
    let keyframe = serde_json::to_string(&Keyframe::of(5, &0)).expect("JSON") + "\n";
    let part = |t_us| format!("{HEADER}{keyframe}{}", notice(t_us));
    let (closed, newest) = (part(6), part(7));
    assert_eq!(read(&[("events.000002.jsonl", &closed), ("events.jsonl", &newest)]), Ok(vec![0, 6, 7]));
    assert_eq!(whole(&newest), Ok(vec![0, 7]), "the first part has a keyframe as well");
    let bare = format!("{HEADER}{}", notice(6));
    let error = read(&[("events.000002.jsonl", &bare), ("events.jsonl", &newest)]).expect_err("no keyframe");
    assert!(error.contains("/events.000002.jsonl:2: a later part"), "{error}");
    let error =
        read(&[("events.000001.jsonl", &closed), ("events.jsonl", &notice(8))]).expect_err("no header");
    assert!(error.contains("/events.jsonl:1: not the events of a run"), "{error}");
    let newer = HEADER.replace("\"version\":3", "\"version\":99");
    assert!(whole(&newer).expect_err("too new").contains("in format 99; this one reads formats up to"));
}

#[test]
fn a_keyframe_of_another_version_is_passed_over_where_all_events_are_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyframe = serde_json::to_string(&Keyframe::of(5, &0)).expect("JSON");
    let other = keyframe.replace("{\"keyframe\":", "{\"keyframe\":9");
    let text = format!("{HEADER}{}{other}\n{}", notice(5), notice(6));
    std::fs::write(dir.path().join("events.jsonl"), &text).expect("written");
    let known = moment(dir.path(), None).expect("a moment");
    assert_eq!((known.keyframe, known.events.len()), (None, 3));
    std::fs::rename(dir.path().join("events.jsonl"), dir.path().join("events.000002.jsonl"))
        .expect("renamed");
    let part = format!("{HEADER}{other}\n{}", notice(6));
    std::fs::write(dir.path().join("events.000002.jsonl"), part).expect("written");
    let error = format!("{:#}", moment(dir.path(), None).expect_err("nothing is known before it"));
    assert!(error.contains("events.000002.jsonl:2: a keyframe of version 9"), "{error}");
}

/// Whoever plays on from a moment gets every event that is after the keyframe before it, and no other.
#[test]
fn a_run_is_played_from_the_keyframe_before_a_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyframe = |t_us| serde_json::to_string(&Keyframe::of(t_us, &0)).expect("JSON") + "\n";
    let older = format!("{HEADER}{}{}{}{}", notice(3), keyframe(5), notice(6), notice(8));
    let newer = format!("{HEADER}{}{}{}{}", keyframe(9), notice(12), keyframe(15), notice(16));
    std::fs::write(dir.path().join("events.000001.jsonl"), older).expect("written");
    std::fs::write(dir.path().join("events.jsonl"), newer).expect("written");
    let played = |t_us| {
        let playback = Playback::open(dir.path(), t_us).expect("opened");
        let begins = playback.keyframe.as_ref().map(|keyframe| keyframe.t_us);
        let times: Vec<u64> = playback.map(|event| event.expect("an event").t_us).collect();
        (begins, times)
    };
    assert_eq!(played(4), (None, vec![0, 3, 6, 8, 12, 16]));
    assert_eq!(played(7), (Some(5), vec![6, 8, 12, 16]));
    assert_eq!(played(14), (Some(9), vec![12, 16]));
    assert_eq!(played(u64::MAX), (Some(15), vec![16]));
}
