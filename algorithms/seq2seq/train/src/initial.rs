//! Incremental training: starts from an earlier model instead of from scratch.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_contract::algorithms::seq2seq::{RnnAttentionType, special_ids};
use kokanee_formats::fnv1a;
use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_nn::artifact::OpenedFolder;
use kokanee_seq2seq_nn::config::{DecoderConfig, DropoutConfig};
use kokanee_seq2seq_nn::{Artifact, Model, ModelConfig};
use kokanee_tensor::Tensor;
use serde_json::Value;

use crate::TrainError;

/// A model to continue training, with the vocabularies of its embeddings.
pub struct InitialModel {
    /// The model.
    pub artifact: Artifact,
    /// Words of the sources it was trained on.
    pub source_vocabulary: Vocabulary,
    /// Words of the targets it was trained on.
    pub target_vocabulary: Vocabulary,
}

/// The comparison of the vocabularies with those of the initial model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialReport {
    /// Counts of the source vocabulary.
    pub source: WordCounts,
    /// Counts of the target vocabulary.
    pub target: WordCounts,
}

/// The comparison of two vocabularies; special symbols, which both have, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordCounts {
    /// Number of words in both, whose vectors are taken over.
    pub kept: usize,
    /// Number of words that the model did not have, whose vectors start as they would without it.
    pub fresh: usize,
    /// Number of words that only the model had, whose vectors are dropped.
    pub dropped: usize,
}

impl fmt::Display for InitialReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side =
            |WordCounts { kept, fresh, dropped }| format!("{kept} kept, {fresh} new, {dropped} dropped");
        let (source, target) = (side(self.source), side(self.target));
        write!(f, "started from an earlier model; source words: {source}; target words: {target}")
    }
}

impl InitialModel {
    /// Reads a model from its folder or its `model.tar.gz`.
    ///
    /// # Errors
    /// When it is missing or damaged, or its vocabularies do not fit it.
    pub fn read(path: &Path) -> Result<InitialModel, TrainError> {
        let folder = OpenedFolder::open(path)?;
        let artifact = folder.load()?;
        let vocabulary = |file| {
            let bytes = folder.read(file)?;
            let bytes = bytes
                .ok_or_else(|| TrainError::NoVocabulary { model: folder.shown_folder().to_owned(), file })?;
            Ok::<_, TrainError>(Vocabulary::from_bytes(bytes, &folder.shown(file))?)
        };
        let source_vocabulary = vocabulary(VOCAB_SOURCE_FILE)?;
        let target_vocabulary = vocabulary(VOCAB_TARGET_FILE)?;
        let config = artifact.model.config();
        let rows = [config.source_vocabulary, config.target_vocabulary];
        for (file, words, rows) in [
            (VOCAB_SOURCE_FILE, source_vocabulary.len(), rows[0]),
            (VOCAB_TARGET_FILE, target_vocabulary.len(), rows[1]),
        ] {
            if words != rows {
                let problem =
                    format!("{file} of the initial model has {words} words, and its parameters {rows}");
                return Err(TrainError::AnotherArchitecture(vec![problem]));
            }
        }
        Ok(InitialModel { artifact, source_vocabulary, target_vocabulary })
    }

    /// Sets the parameters of `model` to those of this one. If the words differ, rows of embeddings and of the output layer follow
    /// their words to their new ids; `vocabularies` are source and target of `model`.
    ///
    /// # Errors
    /// Names every difference in architecture.
    pub(crate) fn start(
        &self,
        model: &mut Model,
        vocabularies: [&Vocabulary; 2],
    ) -> Result<InitialReport, TrainError> {
        let differences = differences(self.artifact.model.config(), model.config());
        if !differences.is_empty() {
            return Err(TrainError::AnotherArchitecture(differences));
        }
        let earlier = [&self.source_vocabulary, &self.target_vocabulary];
        let origins = [0, 1].map(|side| origins(earlier[side], vocabularies[side]));
        let sides = vocabulary_sides(model.config())?;
        let own = self.artifact.model.parameters();
        for ((parameter, from), side) in model.parameters_mut().iter_mut().zip(own.iter()).zip(sides) {
            if parameter.name != from.name {
                let problem = format!("it has {} where {} belongs", from.name, parameter.name);
                return Err(TrainError::AnotherArchitecture(vec![problem]));
            }
            match side {
                None => parameter.value = Arc::clone(&from.value),
                Some(side) => {
                    let values = Arc::make_mut(&mut parameter.value);
                    take_rows(values, &from.value, &origins[side]);
                }
            }
        }
        let count = |side: usize| count(earlier[side], vocabularies[side], &origins[side]);
        Ok(InitialReport { source: count(0), target: count(1) })
    }

    /// A number that distinguishes this model from others.
    pub(crate) fn fingerprint(&self) -> u64 {
        let bits = self.artifact.model.parameters().iter().flat_map(|p| p.value.data());
        fnv1a(bits.map(|x| u64::from(x.to_bits())))
    }
}

/// For each id of `now`, the previous id of its word.
fn origins(before: &Vocabulary, now: &Vocabulary) -> Vec<Option<u32>> {
    (0..now.len() as u32).map(|id| before.get(now.word(id)?)).collect()
}

fn count(before: &Vocabulary, now: &Vocabulary, origins: &[Option<u32>]) -> WordCounts {
    let specials = special_ids::SPECIAL_SYMBOLS.len();
    let kept = origins.iter().flatten().count().saturating_sub(specials);
    let words = |vocabulary: &Vocabulary| vocabulary.len().saturating_sub(specials);
    WordCounts { kept, fresh: words(now) - kept, dropped: words(before) - kept }
}

fn take_rows(to: &mut Tensor, from: &Tensor, origins: &[Option<u32>]) {
    // The row of a word may be a vector, or a single number of a bias.
    let width = to.data().len() / origins.len().max(1);
    for (row, origin) in to.data_mut().chunks_exact_mut(width.max(1)).zip(origins) {
        if let Some(origin) = origin {
            let start = *origin as usize * width;
            row.copy_from_slice(&from.data()[start..start + width]);
        }
    }
}

/// For each parameter with a row for every word, the vocabulary of these words: 0 for the source's, 1 for the target's. Found by
/// comparing shapes for different numbers of words, so that layers need not be known here.
fn vocabulary_sides(config: &ModelConfig) -> Result<Vec<Option<usize>>, TrainError> {
    /// Enough words for the special symbols, and few enough that these models are small.
    const FEW: usize = 8;
    let shapes = |source_vocabulary: usize, target_vocabulary: usize| {
        let config = ModelConfig { source_vocabulary, target_vocabulary, ..config.clone() };
        let model = Model::zeros(config)?;
        Ok::<Vec<_>, TrainError>(model.parameters().iter().map(|p| p.value.shape().clone()).collect())
    };
    let few = shapes(FEW, FEW)?;
    let mut sides = vec![None; few.len()];
    // If both sides share a matrix, only both together can have more words, and one side stands for both.
    let more = [(FEW, FEW + 1, 1), (FEW + 1, FEW, 0), (FEW + 1, FEW + 1, 1)];
    for (source, target, side) in more {
        let Ok(shapes) = shapes(source, target) else { continue };
        for (found, (few, more)) in sides.iter_mut().zip(few.iter().zip(&shapes)) {
            if few != more && found.is_none() {
                *found = Some(side);
            }
        }
    }
    Ok(sides)
}

/// The differences between a model and the one that hyperparameters describe, except words and options of training; one phrase
/// each.
fn differences(model: &ModelConfig, wanted: &ModelConfig) -> Vec<String> {
    let [model, wanted] = [model, wanted].map(|config| {
        let mut leaves = Vec::new();
        let value = serde_json::to_value(essence(config)).expect("a configuration is plain data");
        flatten("", &value, &mut leaves);
        leaves
    });
    let value = |leaves: &[(String, Value)], name: &str| {
        leaves.iter().find(|(other, _)| other == name).map_or("none".to_owned(), |(_, value)| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let mut names: Vec<&String> = model.iter().chain(&wanted).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&String| value(&model, name) != value(&wanted, name);
    let told = |name: &String| {
        format!("its {name} is {} and {} was asked for", value(&model, name), value(&wanted, name))
    };
    names.into_iter().filter(differs).map(told).collect()
}

/// A configuration without the parts that may differ or have no effect.
fn essence(config: &ModelConfig) -> ModelConfig {
    let mut config = ModelConfig {
        source_vocabulary: 0,
        target_vocabulary: 0,
        dropout: DropoutConfig::default(),
        label_smoothing: 0.0,
        ..config.clone()
    };
    if let DecoderConfig::Rnn(decoder) = &mut config.decoder {
        decoder.attention_in_upper_layers &= decoder.rnn.layers > 1;
        if matches!(decoder.attention.kind, RnnAttentionType::Fixed | RnnAttentionType::Bilinear) {
            decoder.attention.hidden = 0;
        }
    }
    config
}

/// The leaves of a JSON object, named by their path.
fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, leaves);
            }
        }
        Value::Null => {}
        leaf => leaves.push((path.to_owned(), leaf.clone())),
    }
}

#[cfg(test)]
mod tests;
