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
pub(super) struct FileTable {
    pub(super) title: Option<Spanned<String>>,
    pub(super) episode: Option<Spanned<String>>,
    pub(super) story: Option<Spanned<String>>,
    /// `"10s"` or `false`.
    pub(super) settle: Option<Spanned<Form>>,
    #[serde(default)]
    pub(super) cluster: ClusterTable,
    pub(super) workload: Option<WorkloadTable>,
    #[serde(default)]
    pub(super) step: Vec<Spanned<StepTable>>,
    #[serde(default)]
    pub(super) expect: Entries,
}

/// `[cluster]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ClusterTable {
    pub(super) nodes: Option<Spanned<i64>>,
    pub(super) failover: Option<Spanned<String>>,
    pub(super) durability: Option<Spanned<String>>,
    pub(super) stale_after: Option<Spanned<Form>>,
    pub(super) stale_lag: Option<Spanned<i64>>,
    pub(super) backlog_bytes: Option<Spanned<i64>>,
    pub(super) segment_bytes: Option<Spanned<i64>>,
    pub(super) cleanup_bytes: Option<Spanned<i64>>,
    pub(super) quirks: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `[workload]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct WorkloadTable {
    pub(super) on: Option<bool>,
    pub(super) clients: Option<Spanned<i64>>,
    pub(super) rate: Option<Spanned<Form>>,
    pub(super) consistency: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) registers: Option<Spanned<i64>>,
    pub(super) ledger: Option<bool>,
}

/// `[[step]]`: when, what is said, and one action at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, opened by [[step]]")]
pub(super) struct StepTable {
    pub(super) at: Option<Spanned<Form>>,
    pub(super) after: Option<Spanned<Form>>,
    pub(super) say: Option<Spanned<String>>,
    pub(super) partition: Option<Spanned<Form>>,
    pub(super) cut: Option<Spanned<Form<CutTable>>>,
    pub(super) slow: Option<Spanned<SlowTable>>,
    pub(super) reset: Option<Spanned<Form<CutTable>>>,
    pub(super) heal: Option<Spanned<Form<CutTable>>>,
    pub(super) kill: Option<Spanned<Form>>,
    pub(super) term: Option<Spanned<Form>>,
    pub(super) power_loss: Option<Spanned<Form>>,
    pub(super) tear_tail: Option<Spanned<Form>>,
    pub(super) wipe: Option<Spanned<Form>>,
    pub(super) restart: Option<Spanned<Form>>,
    pub(super) pause: Option<Spanned<Form>>,
    pub(super) resume: Option<Spanned<Form>>,
    pub(super) promote: Option<Spanned<Form<PromoteTable>>>,
    pub(super) follow: Option<Spanned<FollowTable>>,
    pub(super) cleanup: Option<Spanned<Form>>,
    pub(super) put: Option<Spanned<PutTable>>,
    pub(super) get: Option<Spanned<GetTable>>,
    pub(super) del: Option<Spanned<DelTable>>,
    pub(super) load: Option<Spanned<Form>>,
    pub(super) wait: Option<Spanned<WaitTable>>,
    pub(super) expect: Option<Spanned<WaitTable>>,
}

/// `cut = { from, to }`, `reset = { from, to }`, `heal = { from, to }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a target, a list of targets or { from = …, to = … }")]
pub(super) struct CutTable {
    pub(super) from: Spanned<Form>,
    pub(super) to: Spanned<Form>,
    #[serde(default)]
    pub(super) both_ways: bool,
}

/// `slow = { from, to, delay }` or `slow = { node, delay }`.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: { from = …, to = …, delay = … } or { node = …, delay = … }"
)]
pub(super) struct SlowTable {
    pub(super) node: Option<Spanned<Form>>,
    pub(super) from: Option<Spanned<Form>>,
    pub(super) to: Option<Spanned<Form>>,
    pub(super) both_ways: Option<Spanned<bool>>,
    pub(super) delay: Spanned<Form>,
    pub(super) jitter: Option<Spanned<Form>>,
}

/// `promote = { node, force, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a target or { node = …, force = … }")]
pub(super) struct PromoteTable {
    pub(super) node: Spanned<Form>,
    #[serde(default)]
    pub(super) force: bool,
    pub(super) outcome: Option<Spanned<String>>,
}

/// `follow = { node, primary, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, primary = … }")]
pub(super) struct FollowTable {
    pub(super) node: Spanned<Form>,
    pub(super) primary: Spanned<Form>,
    pub(super) outcome: Option<Spanned<String>>,
}

/// `put = { node, key, value, quorum, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = …, value = … }")]
pub(super) struct PutTable {
    pub(super) node: Spanned<Form>,
    pub(super) key: Spanned<String>,
    pub(super) value: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) quorum: bool,
    pub(super) outcome: Option<Spanned<String>>,
}

/// `get = { node, key, quorum, outcome, value | absent }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = … }")]
pub(super) struct GetTable {
    pub(super) node: Spanned<Form>,
    pub(super) key: Spanned<String>,
    #[serde(default)]
    pub(super) quorum: bool,
    pub(super) outcome: Option<Spanned<String>>,
    pub(super) value: Option<Spanned<String>>,
    pub(super) absent: Option<Spanned<bool>>,
}

/// `del = { node, key, quorum, outcome }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, key = … }")]
pub(super) struct DelTable {
    pub(super) node: Spanned<Form>,
    pub(super) key: Spanned<String>,
    #[serde(default)]
    pub(super) quorum: bool,
    pub(super) outcome: Option<Spanned<String>>,
}

/// `wait = { condition, …, within }` and `expect = { condition, … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of conditions: { converged = true, within = … }")]
pub(super) struct WaitTable {
    pub(super) within: Option<Spanned<Form>>,
    pub(super) primaries: Option<Spanned<Form>>,
    pub(super) primary: Option<Spanned<Form>>,
    pub(super) converged: Option<Spanned<bool>>,
    pub(super) caught_up: Option<Spanned<Form>>,
    pub(super) stale: Option<Spanned<Form>>,
    pub(super) fresh: Option<Spanned<Form>>,
    pub(super) lag: Option<Spanned<NodeIsTable>>,
    pub(super) seq: Option<Spanned<NodeIsTable>>,
    pub(super) state: Option<Spanned<NodeIsTable>>,
    pub(super) partial_resyncs: Option<Spanned<Form>>,
    pub(super) full_resyncs: Option<Spanned<Form>>,
    #[serde(default)]
    pub(super) promise: Entries,
    #[serde(default)]
    pub(super) harm: Entries,
}

/// `{ node = "n3", is = ">100" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { node = …, is = … }")]
pub(super) struct NodeIsTable {
    pub(super) node: Spanned<Form>,
    pub(super) is: Spanned<Form>,
}

/// A value that may be written in several ways, like `"n1"`, `["n1", "n2"]` or a table of the kind `T`.
#[derive(Debug)]
pub(super) enum Form<T = NoTable> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Self>>),
    Table(T),
}

/// For values that are never written as a table.
#[derive(Debug)]
pub(super) enum NoTable {}

/// A table whose keys are checked later: `[expect]` and its parts, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Entries(pub(super) Vec<(Spanned<String>, Spanned<Form<Self>>)>);

impl<T> Form<T> {
    /// What was found, for an error.
    pub(super) fn describe(&self) -> String {
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
