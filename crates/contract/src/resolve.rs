//! From the strings of a request to [`Hyperparameters`], in two steps, with every fault reported at once.
//!
//! Step one turns each string into a typed value by its row of the table; step two puts them together and applies the rules
//! between hyperparameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::{Fault, FaultKind, Faults};
use crate::hyperparameters::value::{Value, parse};
use crate::hyperparameters::{DefaultValue, Hyperparameters, PASS_THROUGH, Spec, TABLE, spec};
use crate::nearest::nearest;
use crate::rules::RULES;

impl Hyperparameters {
    /// Checks and types the hyperparameters of a request; those left out get their defaults.
    ///
    /// Values are strings, as in `hyperparameters.json`. Whitespace around them is ignored, one layer of JSON quoting is
    /// taken off (`"\"64\""`), booleans may be written `True` and `False`, whole numbers `64.0` or `1e3`. Optional ones
    /// may be unset with `none` or `null`. A negative `weight_init_scale` is replaced by its magnitude (see there).
    /// Names in [`PASS_THROUGH`] have no effect.
    ///
    /// # Errors
    /// Every unknown name, invalid value and contradiction.
    pub fn resolve(raw: &BTreeMap<String, String>) -> Result<Self, Faults> {
        let Typed { values, given, mut faults } = type_by_table(raw);
        let mut hyperparameters = Self::from_values(&values);
        let mut faulty: BTreeSet<&str> =
            faults.iter().filter_map(|fault| spec(&fault.name)).map(|spec| spec.name).collect();

        for rule in RULES {
            if rule.names.iter().any(|name| faulty.contains(name)) {
                continue;
            }
            if let Some(reason) = (rule.broken)(&hyperparameters) {
                faulty.insert(rule.names[0]);
                faults.push(fault(&given, rule.names[0], FaultKind::Conflict { reason }));
            }
        }

        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        hyperparameters.weight_init_scale = hyperparameters.weight_init_scale.abs();
        Ok(hyperparameters)
    }
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self::resolve(&BTreeMap::new()).expect("the defaults of the table are valid")
    }
}

/// What step one finds.
struct Typed<'a> {
    /// A value for every hyperparameter that has one: the given, else the default.
    values: BTreeMap<&'static str, Value>,
    /// By name of the table, the name and value that were given.
    given: BTreeMap<&'static str, (&'a str, &'a str)>,
    faults: Vec<Fault>,
}

fn type_by_table(raw: &BTreeMap<String, String>) -> Typed<'_> {
    let mut typed = Typed { values: defaults(), given: BTreeMap::new(), faults: Vec::new() };
    for (name, text) in raw {
        let Some(spec) = spec(name) else {
            if !PASS_THROUGH.iter().any(|(ignored, _)| ignored == name) {
                typed.faults.push(unknown(name, text));
            }
            continue;
        };
        if typed.given.insert(spec.name, (name, text)).is_some() {
            // The proper spelling sorts before or after its alias: whichever came second, name the pair.
            let other = if name == spec.name { spec.aliases[0] } else { spec.name };
            typed.faults.push(fault(&typed.given, spec.name, FaultKind::GivenTwice { other }));
            continue;
        }
        match parse(spec, text) {
            Ok(Some(value)) => {
                typed.values.insert(spec.name, value);
            }
            Ok(None) => {
                typed.values.remove(spec.name);
            }
            Err(hint) => {
                let kind = FaultKind::Invalid { expected: spec.kind.describe(), hint };
                typed.faults.push(fault(&typed.given, spec.name, kind));
            }
        }
    }
    typed
}

fn defaults() -> BTreeMap<&'static str, Value> {
    let default = |spec: &'static Spec| match spec.default {
        DefaultValue::Text(text) => {
            let value = parse(spec, text).ok().flatten().expect("the default in the table is valid");
            Some((spec.name, value))
        }
        DefaultValue::SameAs(_) | DefaultValue::Unset => None,
    };
    TABLE.iter().filter_map(default).collect()
}

fn unknown(name: &str, value: &str) -> Fault {
    let nearest = nearest(name, TABLE.iter().map(|spec| spec.name));
    Fault { name: name.to_owned(), value: value.to_owned(), kind: FaultKind::Unknown { nearest } }
}

/// A fault of the table's `name`, quoting what was given for it or else its default.
fn fault(given: &BTreeMap<&'static str, (&str, &str)>, name: &'static str, kind: FaultKind) -> Fault {
    let default = match spec(name).map(|spec| spec.default) {
        Some(DefaultValue::Text(text)) => text,
        _ => "",
    };
    let (name, value) = given.get(name).copied().unwrap_or((name, default));
    Fault { name: name.to_owned(), value: value.to_owned(), kind }
}

#[cfg(test)]
mod tests;
