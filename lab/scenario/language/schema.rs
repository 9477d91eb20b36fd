//! A scenario file as it is written: which keys exist, and of which form. What the values mean is checked
//! in `validate`; a key that is not here is an error, with its place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileTable {
    pub(crate) title: Option<Spanned<String>>,
    pub(crate) episode: Option<Spanned<String>>,
    pub(crate) story: Option<Spanned<String>>,
    /// `"10s"` or `false`.
    pub(crate) settle: Option<Spanned<Form>>,
    #[serde(default)]
    pub(crate) cluster: ClusterTable,
    pub(crate) workload: Option<WorkloadTable>,
    #[serde(default)]
    pub(crate) step: Vec<Spanned<StepTable>>,
    #[serde(default)]
    pub(crate) expect: Entries,
}

/// `[cluster]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ClusterTable {
    pub(crate) nodes: Option<Spanned<i64>>,
    pub(crate) failover: Option<Spanned<String>>,
    pub(crate) durability: Option<Spanned<String>>,
    pub(crate) stale_after: Option<Spanned<Form>>,
    pub(crate) stale_lag: Option<Spanned<i64>>,
    pub(crate) backlog_bytes: Option<Spanned<i64>>,
    pub(crate) segment_bytes: Option<Spanned<i64>>,
    pub(crate) cleanup_bytes: Option<Spanned<i64>>,
    pub(crate) scrub_rate: Option<Spanned<i64>>,
    pub(crate) quirks: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `[workload]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WorkloadTable {
    pub(crate) on: Option<bool>,
    pub(crate) clients: Option<Spanned<i64>>,
    pub(crate) rate: Option<Spanned<Form>>,
    pub(crate) consistency: Option<Spanned<Vec<Spanned<String>>>>,
    pub(crate) registers: Option<Spanned<i64>>,
    pub(crate) ledger: Option<Spanned<bool>>,
}

/// `[[step]]`: when, what is said, and one action at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, opened by [[step]]")]
pub(crate) struct StepTable {
    pub(crate) at: Option<Spanned<Form>>,
    pub(crate) after: Option<Spanned<Form>>,
    pub(crate) say: Option<Spanned<String>>,
    pub(crate) partition: Option<Spanned<Form>>,
    pub(crate) cut: Option<Spanned<Form<CutTable>>>,
    pub(crate) slow: Option<Spanned<SlowTable>>,
    pub(crate) reset: Option<Spanned<Form<CutTable>>>,
    pub(crate) heal: Option<Spanned<Form<CutTable>>>,
    pub(crate) kill: Option<Spanned<Form>>,
    pub(crate) term: Option<Spanned<Form>>,
    pub(crate) power_loss: Option<Spanned<Form>>,
    pub(crate) tear_tail: Option<Spanned<Form>>,
    pub(crate) wipe: Option<Spanned<Form>>,
    pub(crate) restart: Option<Spanned<Form>>,
    pub(crate) pause: Option<Spanned<Form>>,
    pub(crate) resume: Option<Spanned<Form>>,
    pub(crate) disk: Option<Spanned<DiskTable>>,
    pub(crate) clock: Option<Spanned<ClockTable>>,
    pub(crate) promote: Option<Spanned<Form<PromoteTable>>>,
    pub(crate) follow: Option<Spanned<FollowTable>>,
    pub(crate) cleanup: Option<Spanned<Form>>,
    pub(crate) put: Option<Spanned<PutTable>>,
    pub(crate) get: Option<Spanned<GetTable>>,
    pub(crate) del: Option<Spanned<DelTable>>,
    pub(crate) load: Option<Spanned<Form>>,
    pub(crate) wait: Option<Spanned<WaitTable>>,
    pub(crate) expect: Option<Spanned<WaitTable>>,
}

/// `cut = { from, to }`, `reset = { from, to }`, `heal = { from, to }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a target, a list of targets or { from = …, to = … }")]
pub(crate) struct CutTable {
    pub(crate) from: Spanned<Form>,
    pub(crate) to: Spanned<Form>,
    #[serde(default)]
    pub(crate) both_ways: bool,
}

/// `slow = { from, to, delay }` or `slow = { node, delay }`; also with `loss` and `duplicate`.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: { from = …, to = …, delay = … } or { node = …, delay = … }"
)]
pub(crate) struct SlowTable {
    pub(crate) node: Option<Spanned<Form>>,
    pub(crate) from: Option<Spanned<Form>>,
    pub(crate) to: Option<Spanned<Form>>,
    pub(crate) both_ways: Option<Spanned<bool>>,
    pub(crate) delay: Option<Spanned<Form>>,
    pub(crate) jitter: Option<Spanned<Form>>,
    pub(crate) loss: Option<Spanned<Form>>,
    pub(crate) duplicate: Option<Spanned<Form>>,
}

/// `disk = { node, full }`, `disk = { node, slow = "20ms" }`, ….
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, full = true } or with slow, sync_fails or ok")]
pub(crate) struct DiskTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) ok: Option<Spanned<bool>>,
    pub(crate) full: Option<Spanned<bool>>,
    pub(crate) slow: Option<Spanned<Form>>,
    pub(crate) sync_fails: Option<Spanned<bool>>,
}

/// `clock = { node, rate = 1.5 }`, `clock = { node, jump = "10s" }`, `clock = { node, ok = true }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, rate = 1.5 } or with jump or ok")]
pub(crate) struct ClockTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) ok: Option<Spanned<bool>>,
    pub(crate) rate: Option<Spanned<Form>>,
    pub(crate) jump: Option<Spanned<Form>>,
}

/// `promote = { node, force, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a target or { node = …, force = … }")]
pub(crate) struct PromoteTable {
    pub(crate) node: Spanned<Form>,
    #[serde(default)]
    pub(crate) force: bool,
    pub(crate) outcome: Option<Spanned<String>>,
}

/// `follow = { node, primary, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, primary = … }")]
pub(crate) struct FollowTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) primary: Spanned<Form>,
    pub(crate) outcome: Option<Spanned<String>>,
}

/// `put = { node, key, value, quorum, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = …, value = … }")]
pub(crate) struct PutTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) key: Spanned<String>,
    pub(crate) value: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) quorum: bool,
    pub(crate) outcome: Option<Spanned<String>>,
}

/// `get = { node, key, quorum, outcome, value | absent }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = … }")]
pub(crate) struct GetTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) key: Spanned<String>,
    #[serde(default)]
    pub(crate) quorum: bool,
    pub(crate) outcome: Option<Spanned<String>>,
    pub(crate) value: Option<Spanned<String>>,
    pub(crate) absent: Option<Spanned<bool>>,
}

/// `del = { node, key, quorum, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = … }")]
pub(crate) struct DelTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) key: Spanned<String>,
    #[serde(default)]
    pub(crate) quorum: bool,
    pub(crate) outcome: Option<Spanned<String>>,
}

/// `wait = { condition, …, within }` and `expect = { condition, … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of conditions: { converged = true, within = … }")]
pub(crate) struct WaitTable {
    pub(crate) within: Option<Spanned<Form>>,
    pub(crate) primaries: Option<Spanned<Form>>,
    pub(crate) primary: Option<Spanned<Form>>,
    pub(crate) converged: Option<Spanned<bool>>,
    pub(crate) caught_up: Option<Spanned<Form>>,
    pub(crate) stale: Option<Spanned<Form>>,
    pub(crate) fresh: Option<Spanned<Form>>,
    pub(crate) lag: Option<Spanned<NodeIsTable>>,
    pub(crate) seq: Option<Spanned<NodeIsTable>>,
    pub(crate) state: Option<Spanned<NodeIsTable>>,
    pub(crate) partial_resyncs: Option<Spanned<Form>>,
    pub(crate) full_resyncs: Option<Spanned<Form>>,
    #[serde(default)]
    pub(crate) promise: Entries,
    #[serde(default)]
    pub(crate) harm: Entries,
}

/// `{ node = "n3", is = ">100" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, is = … }")]
pub(crate) struct NodeIsTable {
    pub(crate) node: Spanned<Form>,
    pub(crate) is: Spanned<Form>,
}

/// A value that may be written in several ways, like `"n1"`, `["n1", "n2"]` or a table of the kind `T`.
#[derive(Debug)]
pub(crate) enum Form<T = NoTable> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Self>>),
    Table(T),
}

/// For values that are never written as a table.
#[derive(Debug)]
pub(crate) enum NoTable {}

/// A table whose keys are checked later: `[expect]` and its parts, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<(Spanned<String>, Spanned<Form<Self>>)>);

impl<T> Form<T> {
    /// What was found, for an error.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Bool(b) => format!("`{b}`"),
            Self::Int(n) => format!("the number {n}"),
            Self::Float(x) => format!("the number {x}"),
            Self::Text(text) => format!("\"{}\"", text.escape_debug()),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Form<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Form<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, b: bool) -> Result<Form<T>, E> {
                Ok(Form::Bool(b))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Form<T>, E> {
                Ok(Form::Int(n))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Form<T>, E> {
                Ok(Form::Float(x))
            }
            fn visit_str<E>(self, text: &str) -> Result<Form<T>, E> {
                Ok(Form::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Form<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Form::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Form<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Form::Table)
            }
        }

        d.deserialize_any(Any(PhantomData))
    }
}

impl<'de> Deserialize<'de> for NoTable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a table or a date makes no sense here"))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries: Vec<(Spanned<String>, Spanned<Form<Entries>>)> = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                entries.sort_by_key(|(key, _)| key.span().start);
                Ok(Entries(entries))
            }
        }

        d.deserialize_map(InOrder)
    }
}
