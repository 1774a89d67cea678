//! The ranges of the command line, `learning_rate=1e-4:1e-2:log` or `rnn_num_hidden=128,256,512`, as dimensions of a search.

use std::collections::BTreeMap;

use kokanee_contract::AlgorithmContract;
use kokanee_contract::spec::{DefaultValue, FaultKind, Kind, Spec, TuningRange, TuningValues, nearest};
use kokanee_tuner::{Dimension, Range, Scale, Space};

use crate::exit::CommandLineError;

/// The format of a range, for messages.
const EXPECTED: &str =
    "expected NAME=MIN:MAX, NAME=MIN:MAX:SCALE with SCALE linear, log or reverse-log, or NAME=VALUE,VALUE";

/// The spellings of scales.
const SCALES: [(&str, Scale); 5] = [
    ("auto", Scale::Auto),
    ("linear", Scale::Linear),
    ("log", Scale::Logarithmic),
    ("logarithmic", Scale::Logarithmic),
    ("reverse-log", Scale::ReverseLogarithmic),
];

/// The search space of these ranges, each written as on the command line.
///
/// # Errors
/// A range that cannot be read, or whose hyperparameter is not known.
pub(super) fn space(contract: &AlgorithmContract, ranges: &[String]) -> Result<Space, CommandLineError> {
    let dimensions: Result<Vec<Dimension>, _> =
        ranges.iter().map(|range| dimension(contract, range)).collect();
    Space::new(dimensions?).map_err(|error| CommandLineError(format!("--range: {error}")))
}

fn dimension(contract: &AlgorithmContract, range: &str) -> Result<Dimension, CommandLineError> {
    let wrong = |problem: String| CommandLineError(format!("--range {range}: {problem}"));
    let (name, values) = range.split_once('=').ok_or_else(|| wrong(EXPECTED.to_owned()))?;
    let name = name.trim();
    let Some(spec) = contract.hyperparameter(name) else {
        let names = contract.hyperparameters.iter().map(|spec| spec.name);
        let hint = match nearest(name, names) {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => format!("; `kokanee train --algorithm {} --help` lists them", contract.name),
        };
        return Err(wrong(format!("{} has no hyperparameter {name}{hint}", contract.name)));
    };
    if !values.contains(':') {
        let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        return match values.is_empty() {
            true => Err(wrong(EXPECTED.to_owned())),
            false => Ok(Dimension::categorical(spec.name, values)),
        };
    }
    let parts: Vec<&str> = values.split(':').map(str::trim).collect();
    let (from, to, scale) = match parts.as_slice() {
        [from, to] => (*from, *to, Scale::Auto),
        [from, to, scale] => match SCALES.iter().find(|(text, _)| text == scale) {
            Some((_, scale)) => (*from, *to, *scale),
            None => return Err(wrong(format!("unknown scale {scale:?}; {EXPECTED}"))),
        },
        _ => return Err(wrong(EXPECTED.to_owned())),
    };
    match number_kind(&spec.kind) {
        Some(Kind::Integer { .. }) => {
            let bound = |text: &str| {
                let number = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0);
                number.map(|number| number as i64).ok_or_else(|| {
                    wrong(format!(
                        "{text:?} is not a whole number, and {} is {}",
                        spec.name,
                        spec.kind.describe()
                    ))
                })
            };
            Ok(Dimension::integer(spec.name, bound(from)?, bound(to)?, scale))
        }
        Some(_) => {
            let bound = |text: &str| {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.ok_or_else(|| wrong(format!("{text:?} is not a number; {EXPECTED}")))
            };
            Ok(Dimension::continuous(spec.name, bound(from)?, bound(to)?, scale))
        }
        None => Err(wrong(format!(
            "{} has no numbers to go through: it is {}; name its values, as in {}=A,B",
            spec.name,
            spec.kind.describe(),
            spec.name
        ))),
    }
}

/// The numeric kind of a hyperparameter, even if a word may replace the number.
fn number_kind(kind: &'static Kind) -> Option<&'static Kind> {
    match kind {
        Kind::Integer { .. } | Kind::Float { .. } => Some(kind),
        Kind::OrWord { value, .. } => number_kind(value),
        _ => None,
    }
}

/// The ranges that the guide recommends, for all hyperparameters that are not `set`, in the form of the command line.
pub(super) fn recommended(contract: &AlgorithmContract, set: &BTreeMap<String, String>) -> Vec<String> {
    let is_set = |spec: &Spec| set.keys().any(|name| spec.name == name || spec.aliases.contains(&&**name));
    let tunable = contract.hyperparameters.iter().filter(|spec| !is_set(spec));
    tunable
        .filter_map(|spec| {
            let range = spec.tuning.iter().find(|range| holds(contract, range, set))?;
            Some(format!("{}={}", spec.name, values(range)))
        })
        .collect()
}

/// Whether a range is valid with the values that are set, and the defaults.
fn holds(contract: &AlgorithmContract, range: &TuningRange, set: &BTreeMap<String, String>) -> bool {
    let Some((name, value)) = range.when else { return true };
    let default = match contract.hyperparameter(name).map(|spec| spec.default) {
        Some(DefaultValue::Text(text)) => Some(text),
        _ => None,
    };
    set.get(name).map(String::as_str).or(default) == Some(value)
}

fn values(range: &TuningRange) -> String {
    match range.values {
        TuningValues::Integer(min, max) => format!("{min}:{max}"),
        TuningValues::Continuous(min, max) => format!("{min}:{max}"),
        TuningValues::Categorical(values) => values.join(","),
    }
}

/// Notes on ranges beyond those that the guide calls tunable, which is allowed.
pub(super) fn notes(contract: &AlgorithmContract, space: &Space) -> Vec<String> {
    let note = |dimension: &Dimension| {
        let spec = contract.hyperparameter(dimension.name())?;
        if spec.tuning.is_empty() {
            return Some(format!(
                "{} is not among the tunable hyperparameters of SageMaker's guide",
                spec.name
            ));
        }
        let is_within = spec.tuning.iter().any(|range| within(dimension.range(), &range.values));
        let recommended: Vec<String> = spec.tuning.iter().map(values).collect();
        (!is_within).then(|| {
            format!(
                "{}: the range goes beyond what SageMaker's guide recommends, {}",
                spec.name,
                recommended.join(" or ")
            )
        })
    };
    space.dimensions().iter().filter_map(note).collect()
}

fn within(range: &Range, recommended: &TuningValues) -> bool {
    let (low, high) = match *recommended {
        TuningValues::Integer(low, high) => (low as f64, high as f64),
        TuningValues::Continuous(low, high) => (low, high),
        TuningValues::Categorical(names) => {
            return match range {
                Range::Categorical { values } => values.iter().all(|value| names.contains(&&**value)),
                _ => false,
            };
        }
    };
    match range {
        Range::Continuous { min, max, .. } => *min >= low && *max <= high,
        Range::Integer { min, max, .. } => *min as f64 >= low && *max as f64 <= high,
        Range::Categorical { values } => {
            values.iter().all(|value| value.parse().is_ok_and(|number: f64| (low..=high).contains(&number)))
        }
    }
}

/// Checks the ends of every range, and every value of a list, with the values that are set.
///
/// # Errors
/// Names the values that the algorithm refuses. Contradictions between hyperparameters are left to the trials: they may hold for a
/// few values.
pub(super) fn check(
    contract: &AlgorithmContract,
    space: &Space,
    set: &BTreeMap<String, String>,
) -> Result<(), CommandLineError> {
    for dimension in space.dimensions() {
        if set.contains_key(dimension.name()) {
            let problem = format!("--range {0} and --set {0}: give one of them", dimension.name());
            return Err(CommandLineError(problem));
        }
    }
    let mut all = set.clone();
    for dimension in space.dimensions() {
        all.extend(ends(dimension).into_iter().take(1).map(|value| (dimension.name().to_owned(), value)));
    }
    for dimension in space.dimensions() {
        for value in ends(dimension) {
            let mut all = all.clone();
            all.insert(dimension.name().to_owned(), value);
            let Err(mut faults) = (contract.check)(&all) else { continue };
            faults.faults.retain(|fault| !matches!(fault.kind, FaultKind::Conflict { .. }));
            if !faults.faults.is_empty() {
                return Err(CommandLineError(faults.to_string()));
            }
        }
    }
    Ok(())
}

fn ends(dimension: &Dimension) -> Vec<String> {
    match dimension.range() {
        Range::Continuous { min, max, .. } => vec![min.to_string(), max.to_string()],
        Range::Integer { min, max, .. } => vec![min.to_string(), max.to_string()],
        Range::Categorical { values } => values.clone(),
    }
}

#[cfg(test)]
mod tests {
    use kokanee_contract::algorithms::{kmeans, seq2seq};

    use super::*;

    #[track_caller]
    fn refused(range: &str, part: &str) {
        let error = space(&seq2seq::CONTRACT, &[range.to_owned()]).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{error:?} lacks {part:?}");
    }

    #[test]
    fn ranges_take_their_types_from_the_table() {
        let ranges = ["learning_rate=1e-4:1e-2:log", "num_layers_encoder=1:4", "rnn_num_hidden=128,256"];
        let read = space(&seq2seq::CONTRACT, &ranges.map(str::to_owned)).unwrap();
        let want = [
            Dimension::continuous("learning_rate", 1e-4, 1e-2, Scale::Logarithmic),
            Dimension::integer("num_layers_encoder", 1, 4, Scale::Auto),
            Dimension::categorical("rnn_num_hidden", ["128", "256"]),
        ];
        assert_eq!(read.dimensions(), want);
        // A number for which the word `auto` may stand.
        let read = space(&kmeans::CONTRACT, &["extra_center_factor=4:10".to_owned()]).unwrap();
        assert_eq!(read.dimensions(), [Dimension::integer("extra_center_factor", 4, 10, Scale::Auto)]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_was_expected() {
        refused("learning_rate", "expected NAME=MIN:MAX");
        refused("lerning_rate=1:2", "did you mean learning_rate?");
        refused("learning_rate=1:2:cubic", "unknown scale \"cubic\"");
        refused("learning_rate=a:2", "\"a\" is not a number");
        refused("learning_rate=2:1", "above its greatest");
        refused("learning_rate=0:1:log", "logarithmic scale");
        refused("num_layers_encoder=1.5:2", "not a whole number");
        refused("optimizer_type=1:2", "optimizer_type=A,B");
        refused("optimizer_type=", "expected");
    }

    #[test]
    fn ends_outside_of_valid_values_are_refused_before_anything_runs() {
        let set = BTreeMap::new();
        let checked = |range: &str| {
            let space = space(&seq2seq::CONTRACT, &[range.to_owned()]).unwrap();
            check(&seq2seq::CONTRACT, &space, &set).map_err(|error| error.to_string())
        };
        assert_eq!(checked("learning_rate=0.001:0.1"), Ok(()));
        assert!(checked("learning_rate=-1:0.1").unwrap_err().contains("learning_rate"));
        assert!(checked("optimizer_type=adam,adamm").unwrap_err().contains("did you mean `adam`?"));
    }

    #[test]
    fn recommended_ranges_follow_what_is_set() {
        let set = BTreeMap::from([("epochs".to_owned(), "1".to_owned())]);
        let ranges = recommended(&kmeans::CONTRACT, &set);
        assert_eq!(
            ranges,
            ["mini_batch_size=3000:15000", "init_method=random,kmeans++", "extra_center_factor=4:10"]
        );
        let space = space(&kmeans::CONTRACT, &ranges).unwrap();
        assert_eq!(notes(&kmeans::CONTRACT, &space), [] as [String; 0]);
        let ranges = recommended(&seq2seq::CONTRACT, &BTreeMap::new());
        assert!(super::space(&seq2seq::CONTRACT, &ranges).is_ok(), "{ranges:?}");
        let wide = super::space(&kmeans::CONTRACT, &["k=2:9".to_owned(), "epochs=1:20".to_owned()]).unwrap();
        assert_eq!(notes(&kmeans::CONTRACT, &wide).len(), 2);
    }
}
