//! Text in, answers out: a model with its vocabularies and the options of the search.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS, PAD, UNK};
use kokanee_contract::algorithms::seq2seq::{Hyperparameters, InferencePrecision};
use kokanee_contract::{Faults, Stored, resolve_stored};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_data::text::tokens;
use kokanee_seq2seq_data::{DataError, Vocabulary};
use kokanee_seq2seq_nn::artifact::{Artifact, ArtifactError, Metadata, OpenedFolder};
use kokanee_seq2seq_nn::decode::{Decoding, Hypothesis, Request, Search};
use kokanee_seq2seq_nn::{Batch, Model, ModelConfig};
use thiserror::Error;

use crate::attention::AttentionMatrix;

/// Number of pairs that are scored together.
const SCORE_BATCH: usize = 32;

/// A model that reads and writes text.
pub struct Translator {
    /// Shapes of the model.
    pub config: ModelConfig,
    /// The model; none once only its weights laid out for decoding are kept.
    pub(crate) model: Option<Model>,
    /// The metadata of its artefact.
    pub metadata: Metadata,
    /// Notes on parts of it that this version does not know and ignored.
    pub notes: Vec<String>,
    /// Its vocabularies.
    pub vocabularies: Vocabularies,
    /// The threads it computes with.
    pub team: Arc<Team>,
    /// The search of the model's hyperparameters, until changed.
    pub search: Search,
    /// The path that it was opened from.
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) shortlists: Option<Shortlists>,
    /// Its weights laid out, after the first translation.
    decoding: Mutex<Option<Decoding>>,
}

/// Returns the target ids that may occur in the answer to a source, given its ids.
pub type Shortlists = Arc<dyn Fn(&[u32]) -> Arc<[u32]> + Send + Sync>;

/// The format of weights for a precision.
pub fn format_of(precision: InferencePrecision) -> Format {
    match precision {
        InferencePrecision::F32 => Format::F32,
        InferencePrecision::Bf16 => Format::Bf16,
        InferencePrecision::Int8 => Format::Int8,
    }
}

/// The vocabularies of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabularies {
    /// Words of its input.
    pub source: Vocabulary,
    /// Words of its output.
    pub target: Vocabulary,
}

/// The model's answer to one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Tokens of the line.
    pub source: Vec<String>,
    /// Number of tokens that the vocabulary lacks.
    pub unknown: usize,
    /// Number of pieces into which the line was cut: more than 1 if it is too long for the model.
    pub pieces: usize,
    /// Best first; none for a line without tokens.
    pub hypotheses: Vec<Sentence>,
}

/// One possible output of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// Its words.
    pub tokens: Vec<String>,
    /// Their ids.
    pub ids: Vec<u32>,
    /// Negative log-probability over the length penalty; by default the mean per token, `</s>` included. Lower is better.
    pub score: f64,
    /// A row for each token, a column for each source token; rows sum to 1. Without rows unless asked for.
    pub matrix: AttentionMatrix,
}

/// The model's score of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairScore {
    /// Natural logarithm of the probability of each target token given those before it, `</s>` last. None if the source has no
    /// token (the model reads no empty sentence) or a convolutional model has too few positions.
    pub log_probabilities: Vec<f64>,
    /// Number of target tokens, `</s>` included, that are the model's most probable word.
    pub correct: u64,
}

/// An error in opening a model.
#[derive(Debug, Error)]
pub enum TranslatorError {
    /// Its files are missing or damaged.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A vocabulary is damaged.
    #[error(transparent)]
    Vocabulary(#[from] DataError),
    /// A vocabulary is missing.
    #[error(
        "{} has no {file}: the vocabulary is needed to turn text into ids; copy it from the vocab channel that the model was \
         trained with", model.display()
    )]
    NoVocabulary {
        /// The path of the model.
        model: PathBuf,
        /// The missing file.
        file: &'static str,
    },
    /// A vocabulary of another model.
    #[error(
        "{file} in {} has {words} words, but the model was trained with {expected}: this is not its vocabulary",
        model.display()
    )]
    ForeignVocabulary {
        /// The path of the model.
        model: PathBuf,
        /// The file of the vocabulary.
        file: &'static str,
        /// Number of its words.
        words: usize,
        /// Number of words that the model expects.
        expected: usize,
    },
    /// Hyperparameters that this program does not accept.
    #[error("the hyperparameters that {} was trained with: {faults}", model.display())]
    Hyperparameters {
        /// The path of the model.
        model: PathBuf,
        /// Their faults.
        faults: Faults,
    },
}

impl Translator {
    /// Loads a model's folder or its `model.tar.gz`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or vocabularies and model do not belong together.
    pub fn open(path: &Path, team: Arc<Team>) -> Result<Self, TranslatorError> {
        let folder = OpenedFolder::open(path)?;
        let Artifact { model, metadata } = folder.load()?;
        let config = model.config().clone();
        let vocabularies = Vocabularies {
            source: vocabulary(&folder, VOCAB_SOURCE_FILE, config.source_vocabulary)?,
            target: vocabulary(&folder, VOCAB_TARGET_FILE, config.target_vocabulary)?,
        };
        let Stored { hyperparameters, notes } = resolve_stored::<Hyperparameters>(&metadata.hyperparameters)
            .map_err(|faults| TranslatorError::Hyperparameters { model: path.to_owned(), faults })?;
        Ok(Self {
            search: Search::new(&hyperparameters),
            config,
            model: Some(model),
            metadata,
            notes,
            vocabularies,
            team,
            path: path.to_owned(),
            format: format_of(hyperparameters.inference_precision),
            shortlists: None,
            decoding: Mutex::new(None),
        })
    }

    /// The same translator with weights in this format instead of that of the model's `inference_precision`.
    #[must_use]
    pub fn in_format(self, format: Format) -> Self {
        Self { format, decoding: Mutex::new(None), ..self }
    }

    /// The same translator with answers limited to certain words: a vocabulary shortlist for each source.
    #[must_use]
    pub fn with_shortlists(self, shortlists: Shortlists) -> Self {
        Self { shortlists: Some(shortlists), ..self }
    }

    /// The same translator without the model that was read: its weights are kept only as laid out for decoding, and nothing can be
    /// scored.
    #[must_use]
    pub fn only_decoding(mut self) -> Self {
        if let Some(model) = self.model.take() {
            let decoding = Decoding::new(&model, &self.metadata.lengths, &self.team, self.format);
            self.decoding = Mutex::new(Some(decoding));
        }
        self
    }

    /// The format of the weights for answers.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Answers each line; whitespace separates tokens.
    ///
    /// # Panics
    /// When an earlier call has panicked and the model was dropped ([`only_decoding`](Self::only_decoding)).
    pub fn translate<L: AsRef<str>>(&self, lines: &[L]) -> Vec<Answer> {
        let ids: Vec<Vec<u32>> =
            lines.iter().map(|line| self.vocabularies.source.encode(line.as_ref())).collect();
        let lengths = &self.metadata.lengths;
        let requests = ids.iter().map(|ids| Request {
            shortlist: self.shortlists.as_ref().map(|shortlists| shortlists(ids)),
            ..Request::new(ids.clone(), self.search.clone())
        });
        // A decoder that a panic left behind would not be idle: another is created.
        let mut decoding = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        let decoding = match &mut *decoding {
            Some(decoding) if decoding.is_idle() => decoding,
            none => {
                let model = self
                    .model
                    .as_ref()
                    .expect("after a panic only a translator that keeps its model is used");
                none.insert(Decoding::new(model, lengths, &self.team, self.format))
            }
        };
        let found = decoding.translate(requests);
        let answers = lines.iter().zip(&ids).zip(found);
        answers
            .map(|((line, ids), found)| Answer {
                source: tokens(line.as_ref()).map(str::to_owned).collect(),
                unknown: ids.iter().filter(|&&id| id == UNK).count(),
                pieces: found.pieces,
                hypotheses: found
                    .hypotheses
                    .into_iter()
                    .map(|h| self.vocabularies.sentence(h, ids.len()))
                    .collect(),
            })
            .collect()
    }

    /// Scores each pair of source and target lines.
    ///
    /// # Panics
    /// When the model was dropped ([`only_decoding`](Self::only_decoding)).
    pub fn score<L: AsRef<str>>(&self, pairs: &[(L, L)]) -> Vec<PairScore> {
        let encode = |(source, target): &(L, L)| {
            (
                self.vocabularies.source.encode(source.as_ref()),
                self.vocabularies.target.encode(target.as_ref()),
            )
        };
        let model = self.model.as_ref().expect("scores come from the model as it was read");
        let ids: Vec<(Vec<u32>, Vec<u32>)> = pairs.iter().map(encode).collect();
        let mut scores: Vec<PairScore> =
            ids.iter().map(|_| PairScore { log_probabilities: Vec::new(), correct: 0 }).collect();
        // Pairs of similar length are computed together; the result of a pair does not depend on the others.
        let can_compute = |(source, target): &(Vec<u32>, Vec<u32>)| {
            !source.is_empty() && self.config.can_compute(source.len(), target.len())
        };
        let mut order: Vec<usize> = (0..ids.len()).filter(|&pair| can_compute(&ids[pair])).collect();
        order.sort_by_key(|&pair| (ids[pair].0.len(), ids[pair].1.len()));
        for chunk in order.chunks(SCORE_BATCH) {
            let batch: Batch = model.batch(chunk.iter().map(|&pair| {
                let (source, target) = &ids[pair];
                (source.as_slice(), target.as_slice())
            }));
            let loss = model.loss(&self.team, &batch);
            let mut rest = loss.tokens.as_slice();
            for &pair in chunk {
                let (own, others) = rest.split_at(ids[pair].1.len() + 1);
                rest = others;
                scores[pair].log_probabilities = own.iter().map(|token| -f64::from(token.nll)).collect();
                scores[pair].correct = own.iter().filter(|token| token.correct).count() as u64;
            }
        }
        scores
    }
}

impl Vocabularies {
    /// Words and attention rows of a hypothesis for a source of `columns` tokens. Special symbols (`<s>` can be predicted) are left
    /// out.
    pub fn sentence(&self, hypothesis: Hypothesis, columns: usize) -> Sentence {
        let stands = |id: u32| !matches!(id, PAD | BOS | EOS);
        let ids: Vec<u32> = hypothesis.words.iter().copied().filter(|&id| stands(id)).collect();
        let rows = hypothesis.words.into_iter().zip(hypothesis.attention).filter(|&(id, _)| stands(id));
        Sentence {
            tokens: ids.iter().map(|&id| self.target.word(id).unwrap_or_default().to_owned()).collect(),
            ids,
            score: hypothesis.score,
            matrix: AttentionMatrix::new(columns, rows.map(|(_, row)| row)),
        }
    }
}

impl Sentence {
    /// The tokens, separated by one blank.
    pub fn text(&self) -> String {
        self.tokens.join(" ")
    }
}

impl PairScore {
    /// Log-probability of the whole target. A pair without source cannot be computed: as the model answers an empty line with an
    /// empty line, an empty target is certain and any other impossible.
    pub fn total(&self, target_is_empty: bool) -> f64 {
        match self.log_probabilities.as_slice() {
            [] if target_is_empty => 0.0,
            [] => f64::NEG_INFINITY,
            // Adding 0 makes a sum of -0 positive, so that it is not written with a sign.
            some => some.iter().sum::<f64>() + 0.0,
        }
    }
}

fn vocabulary(
    folder: &OpenedFolder,
    file: &'static str,
    expected: usize,
) -> Result<Vocabulary, TranslatorError> {
    let model = folder.shown_folder().to_owned();
    let Some(bytes) = folder.read(file)? else {
        return Err(TranslatorError::NoVocabulary { model, file });
    };
    let vocabulary = Vocabulary::from_bytes(bytes, &folder.shown(file))?;
    if vocabulary.len() != expected {
        let words = vocabulary.len();
        return Err(TranslatorError::ForeignVocabulary { model, file, words, expected });
    }
    Ok(vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_without_source_is_certain_or_impossible() {
        let check = |log_probabilities: &[f64], target_is_empty, expected: f64| {
            let score = PairScore { log_probabilities: log_probabilities.to_vec(), correct: 0 };
            let total = score.total(target_is_empty);
            assert!(total == expected && total.is_sign_positive() == expected.is_sign_positive(), "{total}");
        };
        check(&[-0.5, -1.5], false, -2.0);
        check(&[-0.0], true, 0.0);
        check(&[], true, 0.0);
        check(&[], false, f64::NEG_INFINITY);
    }
}
