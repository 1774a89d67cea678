//! Properties of every algorithm's table. Tests of a single algorithm stand beside its table.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

use proptest::prelude::*;

use super::*;
use crate::algorithms::{kmeans, seq2seq};
use crate::container::config_file::parse_hyperparameters;
use crate::registry::ALGORITHMS;
use crate::spec::value::Value;
use crate::spec::{FloatFormat, Kind, Parity};

/// The functions that the tests call on a table, without its type.
struct Tested {
    contract: &'static AlgorithmContract,
    /// The strings of the hyperparameters made from these values; panics where row and field do not fit.
    strings: fn(&Values) -> BTreeMap<String, String>,
    /// Resolves strings, and then the strings of the result.
    round_trip: fn(&BTreeMap<String, String>) -> Result<(), Faults>,
}

const fn tested<H: Table + PartialEq + Debug>(contract: &'static AlgorithmContract) -> Tested {
    Tested {
        contract,
        strings: |values| H::from_values(values).to_strings(),
        round_trip: |raw| {
            let first = resolve::<H>(raw)?.hyperparameters;
            assert_eq!(resolve::<H>(&first.to_strings()).map(|again| again.hyperparameters), Ok(first));
            Ok(())
        },
    }
}

static TABLES: [Tested; 2] = [
    tested::<seq2seq::Hyperparameters>(&seq2seq::CONTRACT),
    tested::<kmeans::Hyperparameters>(&kmeans::CONTRACT),
];

#[test]
fn every_algorithm_is_tested() {
    let tested: Vec<&str> = TABLES.iter().map(|table| table.contract.name).collect();
    let known: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
    assert_eq!(tested, known);
}

/// The extreme valid values, as text.
fn ends(kind: &Kind) -> Vec<String> {
    match *kind {
        Kind::Integer { min, max, .. } => vec![min.to_string(), max.to_string()],
        Kind::Float { .. } => vec!["0.5".to_owned()],
        Kind::Path => vec!["some/file".to_owned()],
        Kind::Text => vec!["some text".to_owned()],
        Kind::Boolean => vec!["true".to_owned(), "false".to_owned()],
        Kind::Choice { names, .. } => names.iter().map(|&name| name.to_owned()).collect(),
        Kind::List { item, most, .. } => {
            let items: Vec<String> = ends(item).into_iter().take(most).collect();
            vec![list(item, &items[..1]), list(item, &items)]
        }
        Kind::OrWord { value, words } => {
            ends(value).into_iter().chain(words.iter().map(|&word| word.to_owned())).collect()
        }
    }
}

/// The text of a list.
fn list(item: &Kind, texts: &[String]) -> String {
    let quoted = |text: &String| match item {
        Kind::Integer { .. } | Kind::Float { .. } | Kind::Boolean => text.clone(),
        _ => format!("{text:?}"),
    };
    format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

#[test]
fn the_ends_of_every_range_are_valid_and_fit_their_fields() {
    for table in &TABLES {
        let specs = table.contract.hyperparameters;
        for spec in specs {
            for text in ends(&spec.kind) {
                let value =
                    parse(spec, &text).unwrap_or_else(|hint| panic!("{}={text}: {hint:?}", spec.name));
                let mut all = defaults(specs);
                all.0.insert(spec.name, value.unwrap());
                assert_eq!((table.strings)(&all)[spec.name], text, "{}", spec.name);
            }
            let mut all = defaults(specs);
            all.0.insert(spec.name, spec.kind.any_value());
            (table.strings)(&all);
        }
    }
}

#[test]
fn names_are_unique_and_groups_are_listed() {
    for AlgorithmContract { name, hyperparameters, groups, service_hyperparameters, epochs, .. } in ALGORITHMS
    {
        assert!(hyperparameters.iter().any(|spec| spec.name == *epochs), "{name}: {epochs}");
        let own = hyperparameters.iter().flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]));
        let mut names: Vec<&str> = own.chain(service_hyperparameters.iter().map(|(name, _)| *name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name of {name} comes twice");
        assert!(hyperparameters.iter().all(|spec| groups.contains(&spec.group)), "{name}");
        for group in *groups {
            assert!(hyperparameters.iter().any(|spec| spec.group == *group), "{name}: {group:?} is empty");
        }
    }
}

/// A strategy for valid values of a kind, as text.
fn valid_text(kind: &'static Kind) -> BoxedStrategy<String> {
    match *kind {
        Kind::Integer { min, max, parity, minus_one } => {
            let number = (min..=max).prop_map(move |number| match parity {
                Parity::Any => number,
                Parity::Even => number & !1,
                Parity::Odd => number | 1,
            });
            let number =
                if minus_one.is_some() { prop_oneof![number, Just(-1)].boxed() } else { number.boxed() };
            number.prop_map(|number| number.to_string()).boxed()
        }
        Kind::Float { .. } => prop_oneof![any::<f64>(), 0.001..1.0f64]
            .prop_map(|number| format!("{number:?}"))
            .prop_filter("within the bounds", move |text| crate::spec::parse::parse_kind(kind, text).is_ok())
            .boxed(),
        Kind::Boolean => any::<bool>().prop_map(|truth| truth.to_string()).boxed(),
        Kind::Path => "[a-z/. \"\\\\]{0,6}[a-z]".boxed(),
        Kind::Text => "[a-z,' \"\\\\]{0,6}[a-z]".boxed(),
        Kind::Choice { names, .. } => prop::sample::select(names).prop_map(str::to_owned).boxed(),
        Kind::List { item, least, most, distinct } => {
            prop::collection::vec(valid_text(item), least..=most.min(4))
                .prop_map(move |mut texts| {
                    if distinct {
                        texts.sort_unstable();
                        texts.dedup();
                    }
                    list(item, &texts)
                })
                .boxed()
        }
        Kind::OrWord { value, words } => {
            prop_oneof![valid_text(value), prop::sample::select(words).prop_map(str::to_owned)].boxed()
        }
    }
}

fn valid_strings(contract: &AlgorithmContract) -> impl Strategy<Value = BTreeMap<String, String>> + use<> {
    let specs = contract.hyperparameters;
    let each: Vec<_> = specs
        .iter()
        .map(|spec| match spec.default {
            DefaultValue::Required => valid_text(&spec.kind).prop_map(Some).boxed(),
            _ => prop::option::of(valid_text(&spec.kind)).boxed(),
        })
        .collect();
    each.prop_map(|values| {
        let given = specs.iter().zip(values);
        given.filter_map(|(spec, value)| Some((spec.name.to_owned(), value?))).collect()
    })
}

/// Numbers near every limit of a row, in both precisions, and near the limits of what they can distinguish.
fn numbers_at_limits(low: Bound<f64>, high: Bound<f64>) -> Vec<f64> {
    let limits = [low, high].into_iter().filter_map(|bound| match bound {
        Bound::Included(limit) | Bound::Excluded(limit) => Some(limit),
        Bound::Unbounded => None,
    });
    let extremes = [0.0, 1e-50, 1e-45, 1e-40, 1.2e-38, 1e-37, 5e-324, 3.4e38, 3.5e38, 1e300, f64::MAX];
    let near =
        |x: f64| [x, x + 1e-9, x - 1e-9, x.next_up(), x.next_down(), f64::from((x as f32).next_down())];
    let all = limits.chain(extremes).flat_map(near);
    all.flat_map(|x| [x, -x]).filter(|x| x.is_finite()).collect()
}

/// Checks that the number as the engine uses it satisfies the checked limits and differs from the given number by rounding only.
#[track_caller]
fn check_as_used(spec: &Spec, number: f64) {
    let Kind::Float { low, high, used_in, .. } = spec.kind else { return };
    let Ok(Some(Value::Float(accepted))) = parse(spec, &format!("{number:?}")) else { return };
    let used = match used_in {
        FloatFormat::Single => f64::from(accepted as f32),
        FloatFormat::Double => accepted,
    };
    assert!(used.is_finite() && (low, high).contains(&used), "{}={number:?} is used as {used}", spec.name);
    let off = (used - number).abs();
    assert!(off <= number.abs() * f64::from(f32::EPSILON), "{}={number:?} is used as {used}", spec.name);
}

fn all_specs() -> impl Iterator<Item = &'static Spec> {
    ALGORITHMS.iter().flat_map(|algorithm| algorithm.hyperparameters)
}

#[test]
fn every_number_that_is_accepted_satisfies_its_limits_as_it_is_used() {
    for spec in all_specs() {
        let Kind::Float { low, high, .. } = spec.kind else { continue };
        numbers_at_limits(low, high).into_iter().for_each(|number| check_as_used(spec, number));
    }
}

/// Independent draws may contradict each other, but each alone must be valid and buildable.
fn only_contradictions(result: Result<(), Faults>) -> Result<(), TestCaseError> {
    if let Err(Faults { faults, .. }) = result {
        let conflict = |fault: &Fault| matches!(fault.kind, FaultKind::Conflict { .. });
        prop_assert!(faults.iter().all(conflict), "{:?}", faults);
    }
    Ok(())
}

proptest! {
    #[test]
    fn strings_of_resolved_hyperparameters_resolve_to_the_same(
        sequences in valid_strings(TABLES[0].contract),
        clusters in valid_strings(TABLES[1].contract),
    ) {
        only_contradictions((TABLES[0].round_trip)(&sequences))?;
        only_contradictions((TABLES[1].round_trip)(&clusters))?;
    }

    #[test]
    fn no_number_is_used_as_another(bits in any::<u64>(), exponent in -60i32..60, unit in -1.0..1.0f64) {
        for spec in all_specs() {
            for number in [f64::from_bits(bits), unit, unit * 10f64.powi(exponent), 1.0 - unit * 1e-7] {
                check_as_used(spec, number);
            }
        }
    }

    #[test]
    fn no_text_panics(
        text in "([\\[\\]'\",\\\\]|auto|msd|.){0,12}",
        rows in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        stranger in ".*",
    ) {
        for algorithm in ALGORITHMS {
            let name = |row: &prop::sample::Index| row.get(algorithm.hyperparameters).name.to_owned();
            let mut raw: BTreeMap<String, String> =
                rows.iter().map(|row| (name(row), text.clone())).collect();
            raw.insert(stranger.clone(), text.clone());
            if let Err(faults) = (algorithm.check)(&raw) {
                prop_assert!(!faults.faults.is_empty() && !faults.to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_json_panics(text in "[{}\\[\\]\":,0-9a-z\\\\. -]{0,40}") {
        let _ = parse_hyperparameters(&text);
    }
}
