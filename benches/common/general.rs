//! Histories for the benchmarks of the general search, from a seed: what clients of a working store see, with one
//! stale read in it if that is asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Puts, appends and gets of strings like `x 9 0 y` under ten keys, in EDN: as in porcupine's examples.
    Strings,
    /// Reads, writes and compare-and-sets of one register with five values, as Jepsen logs it.
    Register,
}

/// A history to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What the clients do.
    pub(crate) style: Style,
    /// Clients, each with one operation at a time.
    pub(crate) clients: u32,
    /// Operations altogether.
    pub(crate) operations: u32,
    /// The part of the operations that take eight times as long as the others: they overlap with many.
    pub(crate) slow: f64,
    /// How many times as long as most operations take clients wait between two.
    pub(crate) rest: f64,
    /// The part of the writes whose client never gets an answer.
    pub(crate) unknown: f64,
    /// Whether one read, late in the history, returns what had certainly been overwritten.
    pub(crate) stale: bool,
    /// The same seed makes the same history.
    pub(crate) seed: u64,
}

/// Keys of [`Style::Strings`].
const KEYS: usize = 10;
/// Values of [`Style::Register`].
const VALUES: u32 = 5;

#[derive(Clone, Debug)]
enum Act {
    Get,
    Put(String),
    Append(String),
    Read,
    Write(u32),
    Cas(u32, u32),
}

#[derive(Clone, Debug)]
struct Operation {
    process: u32,
    key: usize,
    act: Act,
    began: u64,
    /// How many writes of the key had ended when it began.
    after: usize,
    /// What a read saw; of a compare-and-set, whether it matched.
    result: Result<String, bool>,
    is_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Begins,
    Happens,
    Ends,
}

#[derive(Clone, Debug, Default)]
struct Key {
    state: String,
    /// Every state so far.
    states: Vec<String>,
    /// The number of the state after the last write that has ended.
    ended: usize,
}

struct Maker {
    shape: Shape,
    rng: SmallRng,
    queue: BinaryHeap<Reverse<(u64, u32, What)>>,
    /// By client: its operation, the number of its state if it writes, and how long it takes from its effect.
    running: Vec<Option<(Operation, usize, u64)>>,
    processes: Vec<u32>,
    writes: Vec<u32>,
    keys: Vec<Key>,
    begun: u32,
    is_stale: bool,
    text: String,
}

/// The text of a history: EDN, or the lines of a Jepsen log. `None`: no read could be made stale.
pub(crate) fn text(shape: Shape) -> Option<String> {
    let clients = shape.clients as usize;
    let mut maker = Maker {
        shape,
        rng: SmallRng::seed_from_u64(shape.seed),
        queue: BinaryHeap::new(),
        running: vec![None; clients],
        processes: (0..shape.clients).collect(),
        writes: vec![0; clients],
        keys: vec![Key { states: vec![String::new()], ..Key::default() }; KEYS],
        begun: 0,
        is_stale: false,
        text: String::new(),
    };
    maker.run();
    (maker.is_stale == shape.stale).then_some(maker.text)
}

impl Maker {
    fn run(&mut self) {
        for client in 0..self.shape.clients {
            let at = self.span();
            self.queue.push(Reverse((at, client, What::Begins)));
        }
        while let Some(Reverse((now, client, what))) = self.queue.pop() {
            match what {
                What::Begins if self.begun < self.shape.operations => self.begin(client, now),
                What::Begins => {}
                What::Happens => self.happen(client, now),
                What::Ends => self.end(client, now),
            }
        }
    }

    /// Most operations are quick, some are slow.
    fn span(&mut self) -> u64 {
        let is_slow = self.rng.random_bool(self.shape.slow);
        self.about(if is_slow { 8000.0 } else { 1000.0 })
    }

    /// A time that is as likely to end now as later, of this mean.
    fn about(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.rng.random::<f64>()).ln() * mean) as u64 + 1
    }

    fn begin(&mut self, client: u32, now: u64) {
        self.begun += 1;
        let process = self.processes[client as usize];
        let key = match self.shape.style {
            Style::Strings => self.rng.random_range(0..KEYS),
            Style::Register => 0,
        };
        let act = self.act(client);
        let after = self.keys[key].ended;
        let result = Ok(String::new());
        let operation = Operation { process, key, act, began: now, after, result, is_unknown: false };
        self.line(&operation, "invoke");
        let (before, then) = (self.span(), self.span());
        self.running[client as usize] = Some((operation, 0, then));
        self.queue.push(Reverse((now + before, client, What::Happens)));
    }

    fn act(&mut self, client: u32) -> Act {
        let kind = self.rng.random_range(0..10);
        if self.shape.style == Style::Register {
            let mut value = || self.rng.random_range(0..VALUES);
            let (one, other) = (value(), value());
            return match kind {
                0..4 => Act::Read,
                4..7 => Act::Write(one),
                _ => Act::Cas(one, other),
            };
        }
        let count = &mut self.writes[client as usize];
        let text = format!("x {client} {count} y");
        *count += u32::from(kind >= 5);
        match kind {
            0..5 => Act::Get,
            5..9 => Act::Append(text),
            _ => Act::Put(text),
        }
    }

    fn happen(&mut self, client: u32, now: u64) {
        let Some((operation, number, then)) = &mut self.running[client as usize] else { return };
        let key = &mut self.keys[operation.key];
        let state = match &operation.act {
            Act::Get | Act::Read => {
                operation.result = Ok(key.state.clone());
                None
            }
            Act::Put(text) => Some(text.clone()),
            Act::Append(text) => Some(format!("{}{text}", key.state)),
            Act::Write(value) => Some(value.to_string()),
            Act::Cas(from, to) => {
                let matches = key.state == from.to_string();
                operation.result = Err(matches);
                matches.then(|| to.to_string())
            }
        };
        if let Some(state) = state {
            *number = key.states.len();
            key.states.push(state.clone());
            key.state = state;
        }
        self.queue.push(Reverse((now + *then, client, What::Ends)));
    }

    fn end(&mut self, client: u32, now: u64) {
        let Some((mut operation, number, _)) = self.running[client as usize].take() else { return };
        let reads = matches!(operation.act, Act::Get | Act::Read);
        operation.is_unknown = !reads && self.rng.random_bool(self.shape.unknown);
        if operation.is_unknown {
            // Its client goes on as another process, as Jepsen has it.
            self.processes[client as usize] += self.shape.clients;
        } else {
            let key = &mut self.keys[operation.key];
            key.ended = key.ended.max(number);
            let is_late = self.begun > self.shape.operations * 3 / 4;
            if reads && self.shape.stale && is_late && !self.is_stale && operation.after > 1 {
                // Before the last write that had ended when the read began.
                let old: Vec<&String> =
                    key.states[..operation.after].iter().filter(|old| **old != key.state).collect();
                if let Some(old) = old.choose(&mut self.rng) {
                    operation.result = Ok((**old).clone());
                    self.is_stale = true;
                }
            }
            let failed = operation.result == Err(false);
            self.line(&operation, if failed { "fail" } else { "ok" });
        }
        let rest = self.about(2000.0 * self.shape.rest);
        self.queue.push(Reverse((now + rest, client, What::Begins)));
    }

    fn line(&mut self, operation: &Operation, kind: &str) {
        let Operation { process, key, act, result, .. } = operation;
        let saw = result.as_ref().ok().filter(|_| kind == "ok");
        let string = |f: &str, value: &str| {
            format!("{{:process {process}, :type :{kind}, :f :{f}, :key \"{key}\", :value {value}}}")
        };
        let register =
            |f: &str, value: &str| format!("INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{value}");
        let line = match act {
            Act::Get => string("get", &saw.map_or("nil".to_owned(), |saw| format!("{saw:?}"))),
            Act::Put(text) => string("put", &format!("{text:?}")),
            Act::Append(text) => string("append", &format!("{text:?}")),
            Act::Read => register("read", saw.filter(|saw| !saw.is_empty()).map_or("nil", |saw| saw)),
            Act::Write(value) => register("write", &value.to_string()),
            Act::Cas(from, to) => register("cas", &format!("[{from} {to}]")),
        };
        writeln!(self.text, "{line}").expect("a string takes it");
    }
}
