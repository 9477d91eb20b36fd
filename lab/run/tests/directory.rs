//! Run directories: found, kept and removed.

use super::*;

fn runs() -> (tempfile::TempDir, Runs) {
    let dir = tempfile::tempdir().expect("a directory");
    let runs = Runs::at(dir.path().join("kvlab/runs"));
    (dir, runs)
}

fn cluster() -> ClusterFile {
    let zones = BTreeMap::from([(NodeId(2), "127.0.0.1:9".to_owned())]);
    let node =
        NodeAddresses { node: NodeId(1), client: "127.0.0.1:7".into(), peer: "127.0.0.1:8".into(), zones };
    ClusterFile { version: CLUSTER_FILE_VERSION, lab_pid: 1, nodes: vec![node] }
}

#[test]
fn the_latest_run_is_found_while_its_lab_lives() {
    let (_dir, runs) = runs();
    let message = |runs: &Runs| runs.latest_cluster().expect_err("not yet").to_string();
    assert!(message(&runs).contains("no run yet"));
    let first = RunDir::create_automatic(&runs, "up").expect("a run");
    let second = RunDir::create_automatic(&runs, "up").expect("a run in the same second");
    assert_ne!(first.path(), second.path());
    assert_eq!(runs.latest().expect("a run"), second.path());
    assert!(message(&runs).contains("cluster.json"));
    cluster().write(second.path()).expect("written");
    assert_eq!(runs.latest_cluster().expect("found"), cluster());
    drop(second);
    cluster().write(first.path()).expect("written");
    assert_eq!(runs.latest_cluster().expect("the first lives"), cluster());
    assert_eq!(runs.newest_live().expect("it lives"), (first.path().to_owned(), 0));
    let third = RunDir::create_automatic(&runs, "up").expect("a run");
    assert_eq!(runs.newest_live().expect("it lives"), (third.path().to_owned(), 1));
    drop((first, third));
    assert!(message(&runs).contains("no lab is running") && message(&runs).contains("has ended"));
}

#[test]
fn a_lab_is_alive_while_it_holds_the_lock_whatever_became_of_its_pid() {
    let (_dir, runs) = runs();
    let run = RunDir::create_automatic(&runs, "up").expect("a run");
    let path = run.path().to_owned();
    assert!(is_live(&path));
    drop(run);
    assert!(!is_live(&path), "its pid, ours, still exists");
    assert!(!is_live(Path::new("/nonexistent")));
}

#[test]
fn only_old_automatic_runs_without_a_lab_are_removed() {
    let (dir, runs) = runs();
    let alive = RunDir::create_automatic(&runs, "alive").expect("a run");
    let alive_path = runs.root.join("00000000T000000Z-alive");
    fs::rename(alive.path(), &alive_path).expect("made the oldest");
    let kept = RunDir::create_kept(&runs.root.join("00000000T000001Z-kept"), "kept", None).expect("a run");
    let kept_path = kept.path().to_owned();
    drop(kept);
    let foreign = runs.root.join("00000000T000002Z-foreign");
    fs::create_dir(&foreign).expect("a directory that is no run");
    let half_removed = runs.root.join(format!("{PRUNED_PREFIX}x"));
    fs::create_dir(&half_removed).expect("a directory");
    let wanted = RunDir::create_automatic(&runs, "wanted").expect("a run");
    let wanted_path = runs.root.join("00000000T000003Z-wanted");
    fs::rename(wanted.path(), &wanted_path).expect("made old");
    keep(&wanted_path, true).expect("kept");
    drop(wanted);
    for i in 0..RUNS_KEPT_DEFAULT + 3 {
        drop(RunDir::create_automatic(&runs, &format!("r{i:02}")).expect("a run"));
    }
    runs.prune(RUNS_KEPT_DEFAULT);
    let names: Vec<_> = fs::read_dir(&runs.root)
        .expect("the runs")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("Z-r"))
        .collect();
    // One living run is older than all of these, and counts among those kept.
    assert_eq!(names.len(), RUNS_KEPT_DEFAULT, "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with("r00")));
    assert!(alive_path.is_dir() && kept_path.is_dir() && foreign.is_dir() && !half_removed.exists());
    assert!(runs.latest().is_ok() && wanted_path.is_dir());
    assert!(runs.remove("00000000T000003Z-wanted").is_err() && wanted_path.is_dir());
    keep(&wanted_path, false).expect("no longer");
    runs.remove("00000000T000003Z-wanted").expect("removed");
    assert!(!wanted_path.exists());
    drop(dir);
}

#[test]
fn a_directory_that_holds_something_is_refused() {
    let (dir, runs) = runs();
    let path = dir.path().join("mine");
    let run = RunDir::create_kept(&path, "up", Some(&runs)).expect("a run");
    assert_eq!(runs.latest().expect("the latest"), run.path());
    assert_eq!(runs.live().len(), 1);
    let all = runs.all();
    assert_eq!(all.len(), 1, "the latest, and a link to it, are one run");
    assert!(all[0].starts_with(&runs.root) && all[0].is_symlink(), "{all:?}");
    let error = RunDir::create_kept(&path, "up", Some(&runs)).expect_err("not empty");
    assert!(error.to_string().contains("is not empty"), "{error}");
}

#[test]
fn a_cluster_file_of_another_version_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    ClusterFile { version: 99, ..cluster() }.write(dir.path()).expect("written");
    let error = ClusterFile::read(dir.path()).expect_err("unknown version");
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn names_become_parts_of_file_names() {
    assert_eq!(file_name("split-brain"), "split-brain");
    assert_eq!(file_name("../a b"), "---a-b");
    assert_eq!(file_name(""), "run");
    assert_eq!(file_name(&"x".repeat(100)).len(), NAME_CHARS_MAX);
}

#[test]
fn how_many_runs_are_kept_is_a_setting() {
    assert_eq!(runs_kept(None).expect("the default"), RUNS_KEPT_DEFAULT);
    assert_eq!(runs_kept(Some("")).expect("the default"), RUNS_KEPT_DEFAULT);
    assert_eq!(runs_kept(Some("3")).expect("a number"), 3);
    assert_eq!(runs_kept(Some("all")).expect("all"), usize::MAX);
    for wrong in ["0", "-1", "many", "1.5", " 3"] {
        let error = runs_kept(Some(wrong)).expect_err(wrong).to_string();
        assert!(error.contains(RUNS_KEPT_VARIABLE) && error.contains("from 1 on, or all"), "{error}");
    }
}
