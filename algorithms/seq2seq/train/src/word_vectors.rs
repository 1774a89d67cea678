//! Embeddings that start from pretrained word vectors.

use std::path::Path;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_seq2seq_data::{Vocabulary, WordVectors};
use kokanee_seq2seq_nn::{Model, Side};

use crate::TrainError;

/// The report on one file of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorsReport {
    /// "source" or "target".
    pub side: &'static str,
    /// Number of words of the vocabulary that now have a vector.
    pub found: usize,
    /// Number of words in the vocabulary, without special symbols.
    pub vocabulary: usize,
    /// Number of words in the file.
    pub in_file: u64,
}

/// Sets embeddings of a new model to the vectors that hyperparameters name. Words without one keep their random start.
pub(crate) fn start(
    model: &mut Model,
    h: &Hyperparameters,
    [source, target]: [&Vocabulary; 2],
) -> Result<Vec<VectorsReport>, TrainError> {
    /// Ids 0 to 3 are not words.
    const SPECIAL: usize = 4;
    let mut reports = Vec::new();
    let sides: [(&'static str, Side, Option<&Path>, &Vocabulary, usize); 2] = [
        ("source", Side::Source, h.source_vectors.as_deref(), source, h.num_embed_source),
        ("target", Side::Target, h.target_vectors.as_deref(), target, h.num_embed_target),
    ];
    for (name, side, path, vocabulary, width) in sides {
        let Some(path) = path else { continue };
        let vectors = WordVectors::read(path, vocabulary, width)?;
        model.set_word_vectors(side, &vectors.ids, &vectors.values);
        reports.push(VectorsReport {
            side: name,
            found: vectors.ids.len(),
            vocabulary: vocabulary.len().saturating_sub(SPECIAL),
            in_file: vectors.words_in_file,
        });
    }
    Ok(reports)
}

impl VectorsReport {
    /// The warning that no word has a vector, which is hardly intended.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.found == 0).then(|| {
            format!(
                "{} vectors: none of the {} words of the vocabulary is among the {} of the file, so all start at random; are they \
                 of the same language, case and tokenisation?",
                self.side, self.vocabulary, self.in_file
            )
        })
    }
}

impl std::fmt::Display for VectorsReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} vectors: {} of {} words start from one of the {} in the file, the others at random",
            self.side, self.found, self.vocabulary, self.in_file
        )
    }
}
