//! The checks of what a step waits for or demands.

use toml::Spanned;

use super::expectations::measured;
use super::model::{Act, Condition, StateWord, WITHIN_DEFAULT};
use super::problem::{Checked, Problem};
use super::schema::{Entries, Form, NodeIsTable, WaitTable};
use super::steps::FileContext;
use super::values::{time, word};
use super::words::{COMPARISON_EXPECTED, Comparison, Target};

impl FileContext {
    pub(crate) fn wait(&self, table: &Spanned<WaitTable>) -> Checked<Act> {
        let within = table.get_ref().within.as_ref().map_or(Ok(WITHIN_DEFAULT), time)?;
        Ok(Act::Wait { conditions: self.conditions(table)?, within })
    }

    pub(crate) fn expect(&self, table: &Spanned<WaitTable>) -> Checked<Act> {
        if let Some(within) = &table.get_ref().within {
            return Err(Problem::new(within.span(), "`expect` looks once; only `wait` has `within`"));
        }
        Ok(Act::Expect(self.conditions(table)?))
    }

    fn conditions(&self, table: &Spanned<WaitTable>) -> Checked<Vec<Condition>> {
        let span = table.span();
        let table = table.get_ref();
        let mut all = Vec::new();
        if let Some(count) = &table.primaries {
            all.push(Condition::Primaries(comparison(count)?));
        }
        if let Some(node) = &table.primary {
            all.push(Condition::Primary(self.named(node)?));
        }
        if let Some(flag) = &table.converged {
            if !flag.get_ref() {
                return Err(Problem::new(flag.span(), "`converged` can only be true"));
            }
            all.push(Condition::Converged);
        }
        if let Some(nodes) = &table.caught_up {
            all.push(Condition::CaughtUp(self.targets(nodes)?));
        }
        if let Some(nodes) = &table.stale {
            all.push(Condition::Stale(self.targets(nodes)?));
        }
        if let Some(nodes) = &table.fresh {
            all.push(Condition::Fresh(self.targets(nodes)?));
        }
        if let Some(lag) = &table.lag {
            all.push(self.number_of(lag, Condition::Lag)?);
        }
        if let Some(seq) = &table.seq {
            all.push(self.number_of(seq, Condition::Seq)?);
        }
        if let Some(state) = &table.state {
            all.push(self.state(state.get_ref())?);
        }
        if let Some(count) = &table.partial_resyncs {
            all.push(Condition::PartialResyncs(comparison(count)?));
        }
        if let Some(count) = &table.full_resyncs {
            all.push(Condition::FullResyncs(comparison(count)?));
        }
        all.extend(self.measured("promise", &table.promise)?);
        all.extend(self.measured("harm", &table.harm)?);
        if all.is_empty() {
            return Err(Problem::new(span, "there is no condition here").help(
                "expected one of: primaries, primary, converged, caught_up, stale, fresh, lag, seq, state, \
                 partial_resyncs, full_resyncs, promise, harm",
            ));
        }
        Ok(all)
    }

    fn number_of(
        &self,
        table: &Spanned<NodeIsTable>,
        condition: fn(Target, Comparison) -> Condition,
    ) -> Checked<Condition> {
        let table = table.get_ref();
        Ok(condition(self.single(&table.node)?, comparison(&table.is)?))
    }

    fn state(&self, table: &NodeIsTable) -> Checked<Condition> {
        let Form::Text(text) = table.is.get_ref() else {
            let words = StateWord::WORDS.map(|(word, _)| word).join(", ");
            let what = format!("{} is not a state", table.is.get_ref().describe());
            return Err(Problem::new(table.is.span(), what).help(format!("expected one of: {words}")));
        };
        let state = word(&StateWord::WORDS, text, table.is.span(), "state", None)?;
        Ok(Condition::State(self.targets(&table.node)?, state))
    }

    fn measured(&self, group: &str, entries: &Entries) -> Checked<Vec<Condition>> {
        let mut all = Vec::new();
        for (at, expect) in measured(group, entries)? {
            if expect.measure.needs_settling() {
                let what = format!("`{}` is known only after settling", expect.measure.name());
                return Err(Problem::new(at, what).help("put it into [expect]"));
            }
            all.push(Condition::Measured(expect));
        }
        Ok(all)
    }
}

fn comparison(form: &Spanned<Form>) -> Checked<Comparison> {
    let read = match form.get_ref() {
        Form::Int(n) => {
            u64::try_from(*n).map(Comparison::exactly).map_err(|_| format!("{n} is less than nothing"))
        }
        Form::Text(text) => Comparison::parse(text, false),
        other => Err(format!("{} is not a comparison", other.describe())),
    };
    read.map_err(|why| Problem::new(form.span(), why).help(COMPARISON_EXPECTED))
}
