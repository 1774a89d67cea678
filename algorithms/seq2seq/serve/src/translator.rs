//! Text in, answers out: a model with its vocabularies, and how to search.

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

/// Pairs that are scored together.
const SCORE_BATCH: usize = 32;

/// A model that reads and writes text.
pub struct Translator {
    /// Shapes of the model.
    pub config: ModelConfig,
    /// The model; none once its weights are laid out for decoding alone.
    pub(crate) model: Option<Model>,
    /// What else its artefact says.
    pub metadata: Metadata,
    /// What of it this version does not know and passed over.
    pub notes: Vec<String>,
    /// Its words.
    pub vocabularies: Vocabularies,
    /// The threads it computes with.
    pub team: Arc<Team>,
    /// As in the model's hyperparameters, until changed.
    pub search: Search,
    /// Where it was opened.
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) shortlists: Option<Shortlists>,
    /// Its weights laid out, once something was to be translated.
    decoding: Mutex<Option<Decoding>>,
}

/// Gives for the ids of a source the target ids that may answer it.
pub type Shortlists = Arc<dyn Fn(&[u32]) -> Arc<[u32]> + Send + Sync>;

/// The format of weights that a precision means.
pub fn format_of(precision: InferencePrecision) -> Format {
    match precision {
        InferencePrecision::F32 => Format::F32,
        InferencePrecision::Bf16 => Format::Bf16,
        InferencePrecision::Int8 => Format::Int8,
    }
}

/// The words of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabularies {
    /// Words it reads.
    pub source: Vocabulary,
    /// Words it says.
    pub target: Vocabulary,
}

/// What the model says to one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Tokens of the line.
    pub source: Vec<String>,
    /// How many of them the vocabulary lacks.
    pub unknown: usize,
    /// Into how many pieces the line was cut: more than 1 where it is too long for the model.
    pub pieces: usize,
    /// Best first; none for a line without tokens.
    pub hypotheses: Vec<Sentence>,
}

/// One thing the model could say.
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

/// What the model thinks of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairScore {
    /// Natural logarithm of the probability of each target token given those before it, `</s>` last. None where the
    /// source has no token (the model reads no empty sentence) or a convolutional model has too few positions.
    pub log_probabilities: Vec<f64>,
    /// How many target tokens, `</s>` included, are what the model finds most probable.
    pub correct: u64,
}

/// A model that cannot be opened.
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
        /// Where the model lies.
        model: PathBuf,
        /// The file that was looked for.
        file: &'static str,
    },
    /// A vocabulary of another model.
    #[error(
        "{file} in {} has {words} words, but the model was trained with {expected}: this is not its vocabulary",
        model.display()
    )]
    ForeignVocabulary {
        /// Where the model lies.
        model: PathBuf,
        /// The vocabulary's file.
        file: &'static str,
        /// Words in it.
        words: usize,
        /// Words that the model knows.
        expected: usize,
    },
    /// Hyperparameters that this program does not take.
    #[error("the hyperparameters that {} was trained with: {faults}", model.display())]
    Hyperparameters {
        /// Where the model lies.
        model: PathBuf,
        /// What is wrong with them.
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

    /// The same with weights in this format rather than in that of the model's `inference_precision`.
    #[must_use]
    pub fn in_format(self, format: Format) -> Self {
        Self { format, decoding: Mutex::new(None), ..self }
    }

    /// The same with answers of certain words only: a vocabulary shortlist for each source.
    #[must_use]
    pub fn with_shortlists(self, shortlists: Shortlists) -> Self {
        Self { shortlists: Some(shortlists), ..self }
    }

    /// The same without the model that was read: its weights stay as they are laid out for decoding, and nothing can be scored.
    #[must_use]
    pub fn only_decoding(mut self) -> Self {
        if let Some(model) = self.model.take() {
            let decoding = Decoding::new(&model, &self.metadata.lengths, &self.team, self.format);
            self.decoding = Mutex::new(Some(decoding));
        }
        self
    }

    /// The format of the weights that answer.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Answers each line; whitespace separates tokens.
    ///
    /// # Panics
    /// When an earlier call has panicked and the model is not there any more ([`only_decoding`](Self::only_decoding)).
    pub fn translate<L: AsRef<str>>(&self, lines: &[L]) -> Vec<Answer> {
        let ids: Vec<Vec<u32>> =
            lines.iter().map(|line| self.vocabularies.source.encode(line.as_ref())).collect();
        let lengths = &self.metadata.lengths;
        let requests = ids.iter().map(|ids| Request {
            shortlist: self.shortlists.as_ref().map(|shortlists| shortlists(ids)),
            ..Request::new(ids.clone(), self.search.clone())
        });
        // A decoder that a panic left behind would not be idle: another is made.
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
    /// When the model is not there any more ([`only_decoding`](Self::only_decoding)).
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
        // Pairs of similar length are computed together; what one gets does not depend on the others.
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
    /// Words and attention rows of a hypothesis for a source of `columns` tokens. Words that stand for nothing (`<s>` can be
    /// predicted) are left out.
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
    /// The tokens with one blank between them.
    pub fn text(&self) -> String {
        self.tokens.join(" ")
    }
}

impl PairScore {
    /// Log-probability of the whole target. A pair without source has nothing to be computed from: as the model answers
    /// an empty line with an empty line, an empty target is certain and any other impossible.
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
