//! Sockeye's version, which decides how its beam search divides scores by the length penalty.

use std::collections::BTreeMap;
use std::path::Path;

use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_formats::version::numbers;

use super::VERSION_FILE;
use crate::ModelConfig;

/// The version whose layout is written.
const EXPORTED: &str = "1.18.106";
/// The last version with the earlier rule and with the same kind of layout.
const EXPORTED_EARLIER_RULE: &str = "1.18.8";
/// The first version that divides by the length penalty when a hypothesis ends, and no longer at every step.
const FIRST_WITH_LATER_RULE: [u64; 3] = [1, 18, 9];
/// Name of the hyperparameter.
const RULE: &str = "beam_search_rule";

/// Sets the requested rule, otherwise the one of the version that wrote a model. A rule in the model's own hyperparameters, which
/// only our models have, takes precedence over the version.
pub(super) fn set_search_rule(
    folder: &Path,
    config: &ModelConfig,
    asked: Option<BeamSearchRule>,
    hyperparameters: &mut BTreeMap<String, String>,
    notes: &mut Vec<String>,
) {
    if let Some(asked) = asked {
        hyperparameters.insert(RULE.to_owned(), asked.as_str().to_owned());
        return;
    }
    if hyperparameters.contains_key(RULE) {
        return;
    }
    let text = std::fs::read_to_string(folder.join(VERSION_FILE)).ok();
    let rule = match text.as_deref().and_then(numbers) {
        Some(version) if version >= FIRST_WITH_LATER_RULE => BeamSearchRule::Sockeye1_18,
        Some(_) => BeamSearchRule::Sockeye1_12,
        // `</s>` after sources was introduced in 1.18.12.
        None if config.source_with_eos => BeamSearchRule::Sockeye1_18,
        None => {
            let what = match &text {
                None => format!("there is no file `{VERSION_FILE}`"),
                Some(text) => {
                    let start: String = text.trim().chars().take(40).collect();
                    format!("the file `{VERSION_FILE}` says {start:?}")
                }
            };
            notes.push(format!(
                "{what}, so which Sockeye wrote the model is not known: {RULE} is taken to be {}, that of SageMaker's time; import a \
                 model of 1.18.9 or later with --beam-search-rule {}",
                BeamSearchRule::Sockeye1_12.as_str(),
                BeamSearchRule::Sockeye1_18.as_str()
            ));
            BeamSearchRule::Sockeye1_12
        }
    };
    hyperparameters.insert(RULE.to_owned(), rule.as_str().to_owned());
}

/// The version for an exported model, with notes for the user: Sockeye searches by the rule of the version that runs, not of the
/// one that is named.
pub(super) fn to_write(hyperparameters: &BTreeMap<String, String>) -> (&'static str, Vec<String>) {
    let rule = hyperparameters.get(RULE).and_then(|name| BeamSearchRule::from_name(name));
    match rule.unwrap_or(BeamSearchRule::Sockeye1_12) {
        BeamSearchRule::Sockeye1_18 => (EXPORTED, Vec::new()),
        BeamSearchRule::Sockeye1_12 => {
            let note = format!(
                "the model searches by {RULE} {}, so `{VERSION_FILE}` says {EXPORTED_EARLIER_RULE}, the last Sockeye that does; later \
                 ones load the model and search by {}: where beam_size is above 1 some of their translations differ",
                BeamSearchRule::Sockeye1_12.as_str(),
                BeamSearchRule::Sockeye1_18.as_str()
            );
            (EXPORTED_EARLIER_RULE, vec![note])
        }
    }
}
