//! Hyperparameters that another version of the program wrote, in a model's `config.json` or in a state.
//!
//! The table defines the meaning of an absent value: the default, unless a row says otherwise ([`Spec::absent_means`]). An unknown name is
//! skipped with a note, since only the sizes in `config.json` shape a model. A state is compared strictly, since a run must continue as it
//! began.

use std::collections::{BTreeMap, BTreeSet};

use crate::resolve::{Table, invalid, resolve};
use crate::spec::parse::parse;
use crate::spec::value::Value;
use crate::spec::{Conventions, DefaultValue, Fault, Faults, Spec, shown};

/// Hyperparameters as this version understands them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<H> {
    /// The known hyperparameters; the others have their defaults.
    pub hyperparameters: H,
    /// Notes on skipped names, a sentence each.
    pub notes: Vec<String>,
}

/// Reads the hyperparameters that a model was trained with, for inference. Unknown names, and values of training that are not valid here,
/// become notes, since answers do not depend on them.
///
/// # Errors
/// Every invalid value that answers depend on, and every absent name without a default.
pub fn resolve_stored<H: Table>(raw: &BTreeMap<String, String>) -> Result<Stored<H>, Faults> {
    let contract = H::contract();
    let purpose = match contract.conventions {
        Conventions::Sockeye => "decoding",
        Conventions::Toolkit => "answering",
    };
    let (mut known, mut notes, mut faults) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (name, text) in with_absent::<H>(raw) {
        let Some(spec) = H::spec(name) else {
            if !contract.service_hyperparameters.iter().any(|(ignored, _)| *ignored == name) {
                notes.push(format!(
                    "the hyperparameter `{}` (\"{}\") is not known to this version; it plays no part in {purpose}",
                    shown(name),
                    shown(text)
                ));
            }
            continue;
        };
        match parse(spec, text) {
            Ok(_) => {
                known.insert(name.to_owned(), text.to_owned());
            }
            Err(refusal) if is_needed(spec) => {
                let (name, value) = (name.to_owned(), text.to_owned());
                let kind = invalid(spec, refusal);
                faults.push(Fault { name, value, kind, conventions: contract.conventions });
            }
            Err(_) => notes.push(format!(
                "the hyperparameter `{name}` (\"{}\") has a value that this version does not know; it plays no part in {purpose}",
                shown(text)
            )),
        }
    }
    if !faults.is_empty() {
        return Err(Faults { faults, conventions: contract.conventions });
    }
    // Contradictions between other values concern only the finished training.
    let needed = known.iter().filter(|(name, _)| H::spec(name).is_some_and(is_needed));
    let needed = needed.map(|(name, text)| (name.clone(), text.clone())).collect();
    let resolved = resolve::<H>(&known).or_else(|_| resolve::<H>(&needed))?;
    Ok(Stored { hyperparameters: resolved.hyperparameters, notes })
}

/// Whether inference needs it.
fn is_needed(spec: &Spec) -> bool {
    spec.decides_answers || spec.default == DefaultValue::Required
}

/// A hyperparameter whose value in a state differs from that of the run that wants to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// The value in the state; `None` where it was not set.
    pub was: Option<String>,
    /// The current value; `None` where it is not set.
    pub is: Option<String>,
    /// Whether this version knows it.
    pub is_known: bool,
}

/// All differences between the hyperparameters of a state and the current ones. Different spellings of the same value are equal; values
/// that the state lacks have the meaning of their absence. A name that this version does not know could matter, and counts as a difference.
pub fn differences<H: Table>(
    state: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let state: BTreeMap<&str, &str> = with_absent::<H>(state).collect();
    let now: BTreeMap<&str, &str> = with_absent::<H>(now).collect();
    let names: BTreeSet<&str> = state.keys().chain(now.keys()).map(|name| own_name::<H>(name)).collect();
    for name in names {
        let (was, is) = (get::<H>(&state, name), get::<H>(&now, name));
        let spec = H::spec(name);
        let is_same = match (spec, was, is) {
            (Some(spec), Some(was), Some(is)) => {
                was == is || value(spec, was).is_some_and(|v| Some(v) == value(spec, is))
            }
            _ => was == is && spec.is_some(),
        };
        if !is_same {
            let [was, is] = [was, is].map(|text| text.map(str::to_owned));
            differences.push(Difference { name: name.to_owned(), was, is, is_known: spec.is_some() });
        }
    }
    differences
}

fn value(spec: &Spec, text: &str) -> Option<Value> {
    parse(spec, text).ok().flatten()
}

/// The name in the table.
fn own_name<H: Table>(name: &str) -> &str {
    H::spec(name).map_or(name, |spec| spec.name)
}

fn get<'a, H: Table>(map: &BTreeMap<&'a str, &'a str>, name: &str) -> Option<&'a str> {
    map.iter().find(|(given, _)| own_name::<H>(given) == name).map(|(_, text)| *text)
}

/// All stored values, and for each row of the table without a value the meaning of its absence.
fn with_absent<H: Table>(raw: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let given: BTreeSet<&str> = raw.keys().map(|name| own_name::<H>(name)).collect();
    let absent = H::SPECS.iter().filter(move |spec| !given.contains(spec.name));
    let meaning = absent.filter_map(|spec| Some((spec.name, absence(spec)?)));
    raw.iter().map(|(name, text)| (name.as_str(), text.as_str())).chain(meaning)
}

/// The meaning of a row without a value; `None` where it is not set.
fn absence(spec: &Spec) -> Option<&'static str> {
    match (spec.absent_means, spec.default) {
        (Some(text), _) | (None, DefaultValue::Text(text)) => Some(text),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::seq2seq::Hyperparameters;
    use crate::spec::Rows as _;

    fn differences(state: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<Difference> {
        super::differences::<Hyperparameters>(state, now)
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_a_later_version_wrote_is_a_note_unless_answers_depend_on_it() {
        let mut raw = Hyperparameters::default().to_strings();
        raw.extend(map(&[
            ("attention_heads", "4"),
            ("optimizer_type", "lion"),
            ("batch_size", "1e9"),
            ("beam_size", "7"),
            ("min_num_epochs", "9"),
            ("max_num_epochs", "1"),
        ]));
        let Stored { hyperparameters, notes } = resolve_stored::<Hyperparameters>(&raw).unwrap();
        assert_eq!(hyperparameters.beam_size, 7);
        assert_eq!(notes.len(), 3, "{notes:?}");
        for part in [
            "`attention_heads` (\"4\") is not known",
            "`optimizer_type` (\"lion\") has a value",
            "`batch_size`",
        ] {
            assert!(notes.iter().any(|note| note.contains(part)), "{notes:?} lacks {part}");
        }
        for (name, text) in [
            ("beam_search_rule", "sockeye_3"),
            ("inference_precision", "fp8"),
            ("beam_size", "0"),
            ("length_penalty_alpha", "x"),
        ] {
            let faults = resolve_stored::<Hyperparameters>(&map(&[(name, text)])).unwrap_err();
            assert!(faults.to_string().contains(name), "{faults}");
        }
    }

    #[test]
    fn what_is_absent_means_its_default_and_every_row_can_be_absent() {
        let now = Hyperparameters::default().to_strings();
        assert_eq!(
            resolve_stored::<Hyperparameters>(&BTreeMap::new()).unwrap().hyperparameters,
            Hyperparameters::default()
        );
        for spec in Hyperparameters::SPECS {
            let mut older = now.clone();
            older.remove(spec.name);
            assert_eq!(differences(&older, &now), [], "{}", spec.name);
            if let Some(text) = spec.absent_means {
                assert!(matches!(parse(spec, text), Ok(Some(_))), "{}: {text}", spec.name);
                assert!(
                    matches!(spec.default, DefaultValue::Text(_)),
                    "{}: unset and absent are alike",
                    spec.name
                );
            }
        }
        let beam_size = *Hyperparameters::spec("beam_size").unwrap();
        assert_eq!(absence(&beam_size), Some("5"));
        // A row whose default changes defines what files without it mean.
        assert_eq!(absence(&beam_size.meaning_when_absent("3")), Some("3"));
        assert_eq!(absence(Hyperparameters::spec("rnn_attention_num_hidden").unwrap()), None);
        let mut other = now.clone();
        other.insert("beam_size".to_owned(), "4".to_owned());
        let mut older = now.clone();
        older.remove("beam_size");
        let difference = &differences(&older, &other)[0];
        assert_eq!((difference.was.as_deref(), difference.is.as_deref()), (Some("5"), Some("4")));
    }

    #[test]
    fn spellings_are_the_same_and_unknown_names_differ() {
        let now = Hyperparameters::default().to_strings();
        let state = |name: &str, text: &str| {
            let mut state = now.clone();
            state.insert(name.to_owned(), text.to_owned());
            differences(&state, &now)
        };
        assert_eq!(state("learning_rate", "3e-4"), []);
        assert_eq!(state("batch_size", "64.0"), []);
        assert_eq!(state("learning_rate", "0.1").len(), 1);
        let unknown = state("attention_heads", "4");
        assert!(unknown.len() == 1 && !unknown[0].is_known, "{unknown:?}");
        let unset = state("rnn_attention_num_hidden", "8");
        assert_eq!((unset[0].was.as_deref(), unset[0].is.as_deref()), (Some("8"), None));
    }
}
