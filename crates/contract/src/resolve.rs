//! Resolving the strings of a request into typed hyperparameters, in two steps, with all faults reported at once.
//!
//! Step one converts each string into a typed value by its row of the table; step two combines the values and applies the rules between
//! hyperparameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::algorithm_contract::AlgorithmContract;
use crate::spec::parse::{Refusal, parse};
use crate::spec::{
    Conventions, DefaultValue, Fault, FaultKind, Faults, Rows, Spec, Values, find, nearest, python_list,
};

/// The name under which SageMaker's tuner passes the optimized metric to every job.
pub const TUNING_OBJECTIVE: &str = "_tuning_objective_metric";

/// The hyperparameters of one algorithm: its rows, and the rules between them. Values come from [`resolve`].
pub trait Table: Rows {
    /// The rules that involve several values.
    const RULES: &'static [Rule<Self>];

    /// The algorithm.
    fn contract() -> &'static AlgorithmContract;

    /// The normal form among equivalent values, such as a number without its sign.
    fn in_normal_form(self) -> Self {
        self
    }
}

/// One rule over typed values, which involves several values or which a range cannot express.
pub struct Rule<H> {
    /// The hyperparameters that the rule reads; the first is blamed. The rule is skipped if one of them is already faulty.
    pub names: &'static [&'static str],
    /// The contradiction, if there is one, and how to resolve it.
    pub broken: fn(&H) -> Option<String>,
}

/// Hyperparameters, with notes for the log on how they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<H> {
    /// The hyperparameters: typed, in range, free of contradictions.
    pub hyperparameters: H,
    /// A sentence for each name that was given without effect.
    pub notes: Vec<String>,
}

/// Checks and converts the hyperparameters of a request; missing ones get their defaults.
///
/// Values are strings, as in `hyperparameters.json`. Whitespace around them is ignored, one layer of JSON quoting is removed (`"\"64\""`),
/// booleans may be written `True`, `False`, `1` and `0`, whole numbers `64.0` or `1e3`, lists as JSON, as Python prints them, or with
/// commas only. Optional ones may be unset with `none` or `null`. The algorithm's
/// [`service_hyperparameters`](AlgorithmContract::service_hyperparameters) have no effect.
///
/// # Errors
/// Every missing or unknown name, invalid value and contradiction.
pub fn resolve<H: Table>(given: &BTreeMap<String, String>) -> Result<Resolved<H>, Faults> {
    let request = Request { contract: H::contract(), given: BTreeMap::new() };
    let Typed { values, request, mut faults, notes } = request.type_by_table(given);
    let hyperparameters = H::from_values(&values);
    let mut faulty: BTreeSet<&str> =
        faults.iter().filter_map(|fault| H::spec(&fault.name)).map(|spec| spec.name).collect();
    for rule in H::RULES {
        if rule.names.iter().any(|name| faulty.contains(name)) {
            continue;
        }
        if let (Some(reason), Some(spec)) = ((rule.broken)(&hyperparameters), H::spec(rule.names[0])) {
            faulty.insert(spec.name);
            faults.push(request.fault(spec, FaultKind::Conflict { reason }));
        }
    }
    if !faults.is_empty() {
        return Err(Faults { faults, conventions: request.contract.conventions });
    }
    Ok(Resolved { hyperparameters: hyperparameters.in_normal_form(), notes })
}

/// As [`resolve`], but returns only the notes.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn check<H: Table>(given: &BTreeMap<String, String>) -> Result<Vec<String>, Faults> {
    Ok(resolve::<H>(given)?.notes)
}

struct Request<'a> {
    contract: &'static AlgorithmContract,
    /// The given name and value, by the name in the table.
    given: BTreeMap<&'static str, (&'a str, &'a str)>,
}

/// The result of step one.
struct Typed<'a> {
    /// A value for every hyperparameter that has one: the given one, otherwise the default. A missing required one has an arbitrary value.
    values: Values,
    request: Request<'a>,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

/// The treatment of a name that is not in the table.
enum Stranger {
    /// Ignored, as its author expects.
    Silent,
    /// Ignored, with a note in the log.
    Noted(String),
    Refused(Fault),
}

impl<'a> Request<'a> {
    fn type_by_table(mut self, raw: &'a BTreeMap<String, String>) -> Typed<'a> {
        let specs = self.contract.hyperparameters;
        let mut values = defaults(specs);
        let (mut faults, mut notes) = (Vec::new(), Vec::new());
        for spec in specs.iter().filter(|spec| spec.default == DefaultValue::Required) {
            if !raw.keys().any(|name| spec.name == name || spec.aliases.contains(&name.as_str())) {
                faults.push(self.fault(spec, FaultKind::Missing { expected: spec.kind.describe() }));
            }
        }
        for (name, text) in raw {
            let Some(spec) = find(specs, name) else {
                match self.without_effect(name, text) {
                    Stranger::Silent => {}
                    Stranger::Noted(note) => notes.push(note),
                    Stranger::Refused(fault) => faults.push(fault),
                }
                continue;
            };
            if self.given.insert(spec.name, (name, text)).is_some() {
                // The proper spelling sorts before or after its alias; the message names both, whichever came second.
                let other = if name == spec.name { spec.aliases[0] } else { spec.name };
                faults.push(self.fault(spec, FaultKind::GivenTwice { other }));
                continue;
            }
            match parse(spec, text) {
                Ok(Some(value)) => drop(values.0.insert(spec.name, value)),
                Ok(None) => drop(values.0.remove(spec.name)),
                Err(refusal) => faults.push(self.fault(spec, invalid(spec, refusal))),
            }
        }
        Typed { values, request: self, faults, notes }
    }

    fn without_effect(&self, name: &str, text: &str) -> Stranger {
        let refused = |kind| {
            let (name, value) = (name.to_owned(), text.to_owned());
            Stranger::Refused(Fault { name, value, kind, conventions: self.contract.conventions })
        };
        if name == TUNING_OBJECTIVE && self.contract.conventions == Conventions::Toolkit {
            let metric = text.trim().trim_matches('"');
            if metric.is_empty() || self.contract.metric(metric).is_some() {
                return Stranger::Silent;
            }
            let names: Vec<&str> = self.contract.metrics.iter().map(|metric| metric.name).collect();
            let nearest = nearest(metric, names.iter().copied());
            return refused(FaultKind::Invalid {
                expected: format!("a metric of the algorithm: {}", names.join(", ")),
                hint: nearest.map_or_else(String::new, |name| format!("did you mean `{name}`?")),
                outside: Some(python_list(&names)),
            });
        }
        match self.contract.service_hyperparameters.iter().find(|(ignored, _)| *ignored == name) {
            Some((TUNING_OBJECTIVE, _)) => Stranger::Silent,
            Some((_, reason)) => {
                Stranger::Noted(format!("the hyperparameter `{name}` has no effect: {reason}"))
            }
            None => {
                let nearest = nearest(name, self.contract.hyperparameters.iter().map(|spec| spec.name));
                refused(FaultKind::Unknown { nearest })
            }
        }
    }

    /// A fault of a row, quoting the given value or else its default.
    fn fault(&self, spec: &'static Spec, kind: FaultKind) -> Fault {
        let default = match spec.default {
            DefaultValue::Text(text) => text,
            _ => "",
        };
        let (name, value) = self.given.get(spec.name).copied().unwrap_or((spec.name, default));
        Fault { name: name.to_owned(), value: value.to_owned(), kind, conventions: self.contract.conventions }
    }
}

/// The fault of a value that was refused.
pub(crate) fn invalid(spec: &Spec, refusal: Refusal) -> FaultKind {
    let interval = spec.kind.interval();
    let outside = matches!(refusal, Refusal::Outside(_)) && !interval.is_empty();
    FaultKind::Invalid {
        expected: spec.kind.describe(),
        outside: outside.then_some(interval),
        hint: refusal.into_hint(),
    }
}

fn defaults(specs: &'static [Spec]) -> Values {
    let default = |spec: &'static Spec| match spec.default {
        DefaultValue::Text(text) => {
            let value = parse(spec, text).ok().flatten().expect("the default in the table is valid");
            Some((spec.name, value))
        }
        DefaultValue::Required => Some((spec.name, spec.kind.any_value())),
        DefaultValue::SameAs(_) | DefaultValue::Unset => None,
    };
    Values(specs.iter().filter_map(default).collect())
}

#[cfg(test)]
mod tests;
