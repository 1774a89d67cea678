//! The identity of the run that a state belongs to.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_contract::stored::{Difference, differences};
use kokanee_formats::fnv1a;
use kokanee_seq2seq_data::{Corpus, Vocabulary};
use serde::{Deserialize, Serialize};

use crate::InitialModel;

/// Everything that determines the results of a run, except where it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Hyperparameters in the form of SageMaker, without limits and the number of threads.
    pub hyperparameters: BTreeMap<String, String>,
    /// The fingerprint of all data that was read, by its name.
    pub data: BTreeMap<String, String>,
    /// Number of threads; another number rounds sums in another order.
    pub threads: usize,
}

impl RunIdentity {
    /// The identity of a run. Corpora and vocabularies are (training, validation) and (source, target).
    pub fn new(
        h: &Hyperparameters,
        corpora: [&Corpus; 2],
        vocabularies: [&Vocabulary; 2],
        threads: usize,
    ) -> RunIdentity {
        let defaults = Hyperparameters::default();
        let without_limits = Hyperparameters {
            max_num_batches: defaults.max_num_batches,
            max_num_epochs: defaults.max_num_epochs,
            checkpoint_threshold: defaults.checkpoint_threshold,
            num_threads: defaults.num_threads,
            ..h.clone()
        };
        let [train, validation] = corpora.map(|corpus| format!("{:016x}", corpus.fingerprint()));
        let [source, target] = vocabularies.map(|vocabulary| format!("{:016x}", fingerprint(vocabulary)));
        let data = [
            ("training data", train),
            ("validation data", validation),
            ("source vocabulary", source),
            ("target vocabulary", target),
        ];
        RunIdentity {
            hyperparameters: without_limits.to_strings(),
            data: data.map(|(what, fingerprint)| (what.to_owned(), fingerprint)).into(),
            threads,
        }
    }

    /// Makes the model from which training starts a part of the identity.
    pub(crate) fn starts_from(&mut self, initial: &InitialModel) {
        self.data.insert("initial model".to_owned(), format!("{:016x}", initial.fingerprint()));
    }

    /// The differences between the run that wrote a state (`self`, by a program of version `written_by`) and the one that wants to
    /// resume it (`now`), one phrase each. The number of threads does not count, nor does a hyperparameter that the writing version
    /// did not have and whose present value means the same as its absence.
    pub fn differences(&self, written_by: &str, now: &RunIdentity) -> Vec<String> {
        let phrase = |difference: Difference| {
            let Difference { name, was, is, is_known } = difference;
            let [was, is] = [was, is].map(|value| value.unwrap_or("not set".to_owned()));
            if is_known {
                format!("`{name}` was {was} and is {is}")
            } else {
                format!("`{name}` was {was}, which Kokanee {written_by} wrote and this version does not know")
            }
        };
        let mut differences: Vec<String> =
            differences::<Hyperparameters>(&self.hyperparameters, &now.hyperparameters)
                .into_iter()
                .map(phrase)
                .collect();
        for name in names(&self.data, &now.data) {
            if self.data.get(name) != now.data.get(name) {
                differences.push(format!("the {name} is not the same"));
            }
        }
        differences
    }
}

fn names<'a>(
    a: &'a BTreeMap<String, String>,
    b: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a String> {
    a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)))
}

/// A hash of the words in the order of their ids.
fn fingerprint(vocabulary: &Vocabulary) -> u64 {
    fnv1a(vocabulary.to_json().bytes().map(u64::from))
}
