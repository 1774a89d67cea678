//! The options of decoding, if a command overrides those of the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{BeamSearchRule, Hyperparameters, InferencePrecision};
use kokanee_contract::{Faults, resolve, resolve_stored};
use kokanee_formats::FileError;
use kokanee_kernels::{Team, TeamError};
use kokanee_seq2seq_data::{DataError, Lexicon};
use kokanee_seq2seq_nn::FormatError;
use kokanee_seq2seq_nn::decode::Search;
use kokanee_seq2seq_serve::translator::format_of;
use kokanee_seq2seq_serve::{Translator, TranslatorError};
use thiserror::Error;

/// Number of the most frequent target words that every answer may have besides those of the lexicon. With 100 translations per word
/// these leave all but 1% of the model's words without a lexicon: see docs/batch-transform.md.
pub const FREQUENT_WORDS: usize = 1000;

/// Settings of decoding by their names on the command line; those that are not given default to the model's hyperparameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchSettings {
    /// `beam-size`: number of hypotheses that stay alive at each step.
    pub beam_size: Option<usize>,
    /// `beam-search-rule`: determines when scores are divided by the length penalty.
    pub beam_search_rule: Option<BeamSearchRule>,
    /// `length-penalty-alpha`.
    pub length_penalty_alpha: Option<f64>,
    /// `length-penalty-beta`.
    pub length_penalty_beta: Option<f64>,
    /// `precision`: number format of weights.
    pub precision: Option<InferencePrecision>,
    /// `lexicon`: the file of likely words.
    pub lexicon: Option<PathBuf>,
    /// `lexicon-frequent-words`.
    pub lexicon_frequent_words: Option<usize>,
}

/// An error in opening a model for decoding with given settings.
#[derive(Debug, Error)]
pub enum SearchError {
    /// An option that models of this algorithm do not have, or an invalid value.
    #[error("--{name}{problem}")]
    Option {
        /// The option, without dashes.
        name: String,
        /// The problem, beginning with the blank.
        problem: String,
    },
    /// The model cannot be opened.
    #[error(transparent)]
    Translator(#[from] TranslatorError),
    /// The system has no threads.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// The model has sums with too many terms for the number format.
    #[error("{}: {source}", model.display())]
    Format {
        /// The model.
        model: PathBuf,
        /// The layer, and the reason.
        source: FormatError,
    },
    /// The lexicon cannot be read.
    #[error(transparent)]
    Lexicon(#[from] DataError),
    /// The lexicon cannot be read again.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lexicon belongs to another model.
    #[error(
        "{}: this lexicon was made with other vocabularies than those of {}; make one with `kokanee lexicon --model {} …`",
        lexicon.display(), model.display(), model.display()
    )]
    OtherVocabularies {
        /// The lexicon.
        lexicon: PathBuf,
        /// The model.
        model: PathBuf,
    },
    /// The model's hyperparameters cannot be used.
    #[error(transparent)]
    Hyperparameters(#[from] Faults),
    /// The settings contradict each other.
    #[error("the search cannot be done as asked: {0}")]
    Search(#[source] Faults),
    /// More answers than hypotheses.
    #[error(
        "--nbest {nbest}: expected a number from 1 to the beam size, {beam_size}; give --beam-size {nbest} for more"
    )]
    Nbest {
        /// Requested number of answers.
        nbest: usize,
        /// Number of hypotheses.
        beam_size: usize,
    },
}

impl SearchSettings {
    /// Reads settings from their names, without dashes, and values.
    ///
    /// # Errors
    /// When a name is not known, or a value is invalid.
    pub fn parse(given: &BTreeMap<&'static str, String>) -> Result<Self, SearchError> {
        let mut settings = Self::default();
        for (&name, text) in given {
            let is_read = match name {
                "beam-size" => read(text, &mut settings.beam_size),
                "beam-search-rule" => {
                    read_with(text, BeamSearchRule::from_name, &mut settings.beam_search_rule)
                }
                "length-penalty-alpha" => read(text, &mut settings.length_penalty_alpha),
                "length-penalty-beta" => read(text, &mut settings.length_penalty_beta),
                "precision" => read_with(text, InferencePrecision::from_name, &mut settings.precision),
                "lexicon" => read(text, &mut settings.lexicon),
                "lexicon-frequent-words" => read(text, &mut settings.lexicon_frequent_words),
                _ => {
                    let problem = " has no meaning for a model of seq2seq; leave it out".to_owned();
                    return Err(SearchError::Option { name: name.to_owned(), problem });
                }
            };
            if !is_read {
                let problem = format!(" {text:?}: this value cannot be read; --help says what is expected");
                return Err(SearchError::Option { name: name.to_owned(), problem });
            }
        }
        Ok(settings)
    }

    /// Opens a model that decodes with these settings, on `threads` threads (0 for as many as the machine has cores). `tell` is
    /// called with each part of the model that this version does not know.
    ///
    /// # Errors
    /// When the model cannot be opened, when the lexicon cannot be read or belongs to another model, and when a value is not valid
    /// by the table of hyperparameters.
    pub fn open(
        &self,
        model: &Path,
        threads: usize,
        nbest: usize,
        attention: bool,
        tell: &dyn Fn(&str),
    ) -> Result<Translator, SearchError> {
        let team = Arc::new(if threads == 0 { Team::of_machine()? } else { Team::start(threads)? });
        let mut translator = Translator::open(model, team)?;
        if let Some(precision) = self.precision {
            translator = translator.in_format(format_of(precision));
        }
        translator
            .config
            .check_format(translator.format())
            .map_err(|source| SearchError::Format { model: model.to_owned(), source })?;
        if let Some(path) = &self.lexicon {
            let lexicon = Lexicon::read(path)?;
            let vocabularies = &translator.vocabularies;
            if !lexicon.belongs_to(&vocabularies.source, &vocabularies.target) {
                let (lexicon, model) = (path.clone(), model.to_owned());
                return Err(SearchError::OtherVocabularies { lexicon, model });
            }
            let frequent = self.frequent_words();
            translator =
                translator.with_shortlists(Arc::new(move |source| lexicon.targets(source, frequent).into()));
        }
        translator.notes.iter().for_each(|note| tell(note));
        translator.search = self.search(&translator, nbest, attention)?;
        Ok(translator)
    }

    /// The settings besides the model's files that determine the answers of a translator that these settings opened.
    ///
    /// # Errors
    /// When the lexicon cannot be read.
    pub fn identity(&self, translator: &Translator) -> Result<BTreeMap<String, String>, SearchError> {
        let Search { beam_size, rule, length_penalty_alpha, length_penalty_beta, .. } = &translator.search;
        let search = format!(
            "beam {beam_size}, rule {rule:?}, length penalty {length_penalty_alpha} and {length_penalty_beta}"
        );
        let format = format!("{:?}", translator.format()).to_lowercase();
        let weights = match &self.lexicon {
            None => format!("{format}, all words"),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(FileError::io(path, "read the lexicon"))?;
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                let frequent = self.frequent_words();
                format!("{format}, lexicon {:08x} and {frequent} frequent words", crc.sum())
            }
        };
        Ok(BTreeMap::from([("search".to_owned(), search), ("weights".to_owned(), weights)]))
    }

    fn frequent_words(&self) -> usize {
        self.lexicon_frequent_words.unwrap_or(FREQUENT_WORDS)
    }

    fn search(&self, translator: &Translator, nbest: usize, attention: bool) -> Result<Search, SearchError> {
        let stored = resolve_stored::<Hyperparameters>(&translator.metadata.hyperparameters)?;
        let mut h = stored.hyperparameters;
        h.beam_size = self.beam_size.unwrap_or(h.beam_size);
        h.beam_search_rule = self.beam_search_rule.unwrap_or(h.beam_search_rule);
        h.length_penalty_alpha = self.length_penalty_alpha.unwrap_or(h.length_penalty_alpha);
        h.length_penalty_beta = self.length_penalty_beta.unwrap_or(h.length_penalty_beta);
        // The table decides what is valid, and has the messages for what is not.
        let h = resolve::<Hyperparameters>(&h.to_strings()).map_err(SearchError::Search)?.hyperparameters;
        if !(1..=h.beam_size).contains(&nbest) {
            return Err(SearchError::Nbest { nbest, beam_size: h.beam_size });
        }
        Ok(Search { nbest, attention, ..Search::new(&h) })
    }
}

fn read<T: std::str::FromStr>(text: &str, value: &mut Option<T>) -> bool {
    read_with(text, |text| text.trim().parse().ok(), value)
}

fn read_with<T>(text: &str, parse: impl Fn(&str) -> Option<T>, value: &mut Option<T>) -> bool {
    *value = parse(text);
    value.is_some()
}
