//! The whole program on a real terminal: `kvlab up` and `kvlab run`, with real nodes, real keys and a real judge.
//!
//! Its own loop is tested closer by in `lab/screen/tests/pty.rs`; here it is what a person gets. Every test waits for
//! what must be on the screen, and looks at the end whether the terminal is given back and no process is left.
#![expect(
    clippy::disallowed_methods,
    reason = "the program is tested in the world: processes, files and deadlines"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use termlens::{Key, Signal, Terminal};

/// Nothing takes longer, on the slowest machine.
const WITHIN: Duration = Duration::from_secs(60);

/// A program on a terminal of its own, and the state directory that names its processes.
struct Dashboard {
    terminal: Terminal,
    state: tempfile::TempDir,
}

impl Dashboard {
    fn start(args: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let terminal = Terminal::builder()
            .size(120, 36)
            .timeout(WITHIN)
            .env_clear()
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("XDG_STATE_HOME", state.path())
            .args(args.iter().copied())
            .spawn(env!("CARGO_BIN_EXE_kvlab"))
            .expect("the program runs");
        Self { terminal, state }
    }

    fn shows(&mut self, what: &str) {
        self.shows_all(&[what]);
    }

    fn shows_all(&mut self, what: &[&str]) {
        let shown = self.terminal.wait_until(|screen| what.iter().all(|part| screen.contains(part)));
        if let Err(error) = shown {
            panic!("{what:?} was not shown: {error}\n{}", self.terminal.screen().text());
        }
    }

    /// Whether the first is shown, or else the second.
    fn shows_either(&mut self, one: &str, other: &str) -> bool {
        let shown = self.terminal.wait_until(|screen| screen.contains(one) || screen.contains(other));
        if let Err(error) = shown {
            panic!("neither {one:?} nor {other:?} was shown: {error}\n{}", self.terminal.screen().text());
        }
        self.terminal.screen().contains(one)
    }

    fn waits(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let shown = self.terminal.wait_until(|screen| is_so(&screen.text().to_string()));
        if let Err(error) = shown {
            panic!("{what} did not come: {error}\n{}", self.terminal.screen().text());
        }
    }

    fn hides(&mut self, what: &str) {
        let hidden = self.terminal.wait_until(|screen| !screen.contains(what));
        if let Err(error) = hidden {
            panic!("{what:?} stays: {error}\n{}", self.terminal.screen().text());
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.terminal.send(Key::Char(key)).expect("a key");
        }
    }

    /// The processes of this run's nodes: their command lines name its directory.
    fn nodes(&self) -> Vec<u32> {
        node_processes(self.state.path())
    }

    /// Waits for the end. The terminal must be as before, and no node be left.
    fn ends(mut self, success: bool) -> String {
        let status = self.terminal.wait_exit().expect("it ends");
        let screen = self.terminal.screen();
        let text = screen.text().to_string();
        assert_eq!(status.success(), success, "{text}");
        assert!(
            !screen.alternate_screen() && screen.cursor_visible(),
            "the terminal is not given back\n{text}"
        );
        assert!(screen.mouse_modes().is_empty() && !screen.bracketed_paste(), "{text}");
        nobody_left(self.state.path());
        text
    }
}

fn node_processes(state: &Path) -> Vec<u32> {
    let of_this_run = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("\0node\0") && line.contains(&*state.to_string_lossy())
    };
    let entries = std::fs::read_dir("/proc").expect("processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(of_this_run).collect()
}

fn nobody_left(state: &Path) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let left = node_processes(state);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "processes {left:?} were left behind");
        std::thread::yield_now();
    }
}

#[test]
fn a_split_brain_by_hand() {
    let mut lab = Dashboard::start(&["up", "3", "--seed", "11", "--rate", "100"]);
    lab.shows_all(&["LIVE", "n1 LEADS 1@n1", "all 3 members are up", "PROMISE", "HARM", "Links", "Events"]);
    assert_eq!(lab.nodes().len(), 3);

    // A write and both reads, by hand.
    lab.press("w");
    lab.shows_all(&["PUT quorum", "committed"]);
    lab.press("2s");
    lab.shows("you: GET quorum");
    lab.press("e");
    lab.shows("you: GET eventual");

    // The primary is cut off, another is voted for: two primaries, until all is healed. Whichever had more when the
    // links were cut is voted for; the other is told so.
    lab.press("1i");
    lab.shows_all(&["isolated", "╳"]);
    lab.press("2P");
    let leader = if lab.shows_either("TWO PRIMARIES", "promotion refused") { 2 } else { 3 };
    if leader == 3 {
        lab.shows("n3 is ahead");
        lab.press("3P");
    }
    lab.shows_all(&["TWO PRIMARIES", "OLD PRIMARY", &format!("@n{leader} stands")]);
    lab.terminal.resize(80, 24).expect("another size");
    lab.shows_all(&["TWO PRIMARIES", "Try: "]);
    lab.hides("from\\to");
    lab.terminal.resize(120, 36).expect("another size");
    lab.shows("from\\to");

    // What it cost is known within seconds of the heal, with who did it, and it stays. Before that nobody says 0.
    lab.waits("forty writes at risk", |text| {
        number_before(text, " writes at risk on n1").is_some_and(|n| n >= 40)
    });
    lab.press("U");
    lab.shows_all(&[&format!("n{leader} LEADS"), "all 3 members are up and every link passes"]);
    lab.waits("the losses", |text| {
        let harm = text.lines().find(|line| line.contains("HARM")).unwrap_or_default();
        harm.contains("by n1") && harm.contains("async lost") | harm.contains("async writes lost")
    });

    // Killed, started again, and back as a replica.
    lab.press("1K");
    lab.shows_all(&["n1  -", "stopped"]);
    lab.press("r");
    lab.shows_all(&["n1  replica", "restarts 1", "all 3 members are up"]);

    // Stopped and going on.
    lab.press("p");
    lab.shows_all(&["you: pause n1", "paused"]);
    lab.press("p");
    lab.shows_all(&["you: resume n1", "all 3 members are up"]);

    // Leaving gives the whole verdict: everything is read back, and the members are compared.
    lab.press("q");
    let text = lab.ends(true);
    for part in [
        "linearizable                yes",
        "members equal               yes",
        "entries discarded           n1 ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let lost = text.lines().find(|line| line.contains("async writes lost")).expect("it is said");
    assert!(!lost.contains("not read back") && !lost.contains("lost           0 "), "{text}");
    assert!(text.contains("run directory: "), "{text}");
}

/// The number that stands before these words.
fn number_before(text: &str, words: &str) -> Option<u64> {
    text[..text.find(words)?].rsplit(' ').next()?.parse().ok()
}

/// Without any load: what a person has written is read back as well.
#[test]
fn the_loss_of_a_write_by_hand_is_told_after_the_heal() {
    let mut lab = Dashboard::start(&["up", "3", "--load", "off"]);
    lab.shows_all(&["LIVE", "n1 LEADS", "all 3 members are up"]);
    lab.press("1i");
    lab.shows("isolated");
    lab.press("a");
    lab.shows_all(&["PUT async solo at n1: acknowledged", "async lost: 0 so far, 1 unread"]);
    lab.press("2P");
    lab.shows_all(&["TWO PRIMARIES", "async lost: not known yet, 1 to read again"]);
    lab.press("U");
    lab.shows("async writes lost: 1 of 1, discarded by n1");
    lab.press("3K");
    lab.shows_all(&["stopped", "async writes lost: 1 of 1, discarded by n1"]);
    lab.press("q");
    let text = lab.ends(true);
    assert!(text.contains("async writes lost           1 (1 acknowledged)"), "{text}");
}

#[test]
fn leaving_twice_leaves_at_once() {
    let mut lab = Dashboard::start(&["up", "3"]);
    lab.shows_all(&["LIVE", "n1 LEADS"]);
    lab.press("3i");
    lab.shows("isolated");
    lab.press("qq");
    let text = lab.ends(true);
    assert!(text.contains("run directory: "), "{text}");
}

#[test]
fn a_scenario_plays_and_its_verdict_stays() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("short.toml");
    let text = "title = \"A short one\"\n[workload]\nrate = \"100/s\"\n\
                [[step]]\nsay = \"One quorum write.\"\nput = { node = \"n1\", key = \"k\", quorum = true }\n\
                [[step]]\nwait = { primaries = 1, within = \"20s\" }\n";
    std::fs::write(&file, text).expect("written");
    let mut lab = Dashboard::start(&["run", file.to_str().expect("UTF-8"), "--seed", "5"]);
    lab.shows_all(&["A short one", "AS EXPECTED", "q leaves"]);
    lab.press("q");
    let text = lab.ends(true);
    assert!(text.contains("as expected in"), "{text}");
}

#[test]
fn the_proof_of_a_broken_promise_can_be_read() {
    let mut lab = Dashboard::start(&["run", "museum/no-fence", "--seed", "1"]);
    lab.shows_all(&["QUIRK no-fence", "NOT linearizable, Enter: why", "q leaves"]);
    lab.terminal.send(Key::Enter).expect("a key");
    let card = ["Proof: NOT linearizable", "a2", "The rule that was broken", "1 of "];
    lab.shows_all(&card);
    lab.shows_all(&["had voted for 2@n3", "in epoch 1@n1 at t="]);
    lab.press("n");
    lab.shows("2 of ");
    lab.terminal.resize(80, 24).expect("another size");
    lab.shows_all(&["Proof: NOT linearizable", "2 of ", "Esc close"]);
    // In the card, the keys of the cluster do nothing.
    lab.press("K");
    lab.terminal.send(Key::Esc).expect("a key");
    lab.hides("Proof: ");
    lab.shows_all(&["NOT linearizable (Enter)", "n3  PRIMARY"]);
    lab.press("q");
    let text = lab.ends(true);
    assert!(text.contains("had voted for 2@n3") && text.contains("as expected in"), "{text}");
}

#[test]
fn signals_stop_the_nodes_and_give_the_terminal_back() {
    for signal in [Signal::Term, Signal::Hup] {
        let mut lab = Dashboard::start(&["up", "3", "--load", "off"]);
        lab.shows_all(&["LIVE", "n1 LEADS"]);
        lab.terminal.signal(signal).expect("it is told");
        lab.ends(true);
    }
}

#[test]
fn ctrl_c_ends_it_like_any_key() {
    let mut lab = Dashboard::start(&["up", "1"]);
    lab.shows_all(&["LIVE", "n1 LEADS"]);
    lab.terminal.send(Key::Ctrl('c')).expect("a key");
    lab.ends(true);
}

#[test]
fn a_panic_anywhere_gives_the_terminal_back_and_leaves_no_node() {
    for (place, said) in [("ui", "asked to panic in the loop"), ("task", "asked to panic in a task")] {
        let lab = Dashboard::start(&["up", "3", "--panic-in", place]);
        let text = lab.ends(false);
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_lab_killed_on_its_terminal_leaves_no_node() {
    let mut lab = Dashboard::start(&["up", "3"]);
    lab.shows_all(&["LIVE", "n1 LEADS"]);
    assert_eq!(lab.nodes().len(), 3);
    lab.terminal.signal(Signal::Kill).expect("it is told");
    lab.terminal.wait_exit().expect("it ends");
    nobody_left(lab.state.path());
}

#[test]
fn plain_characters_and_no_colours_on_demand() {
    let mut lab = Dashboard::start(&["up", "3", "--ascii", "--color", "never"]);
    lab.shows_all(&["LIVE", "n1 LEADS"]);
    let screen = lab.terminal.screen();
    let text = screen.text().to_string();
    assert!(text.is_ascii(), "{text}");
    for row in 0..36 {
        for column in 0..120 {
            let style = screen.cell(row, column).expect("a cell").style();
            assert_eq!((style.fg, style.bg), (termlens::Color::Default, termlens::Color::Default));
        }
    }
    lab.press("q");
    lab.ends(true);
}
