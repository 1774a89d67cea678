//! How to decode, where a command asks otherwise than the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use kokanee_contract::algorithms::seq2seq::{BeamSearchRule, Hyperparameters, InferencePrecision};
use kokanee_contract::resolve_stored;
use kokanee_seq2seq_data::Lexicon;
use kokanee_seq2seq_nn::decode::Search;
use kokanee_seq2seq_serve::Translator;
use kokanee_seq2seq_serve::translator::format_of;

use crate::exit::say;
use crate::process;

/// Settings of decoding; what is not given is as in the model's hyperparameters.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SearchOptions {
    /// Hypotheses that stay alive at each step [default: the model's beam_size, 5 unless it was trained with another]
    #[arg(long, value_name = "N", help_heading = "Search")]
    beam_size: Option<usize>,
    /// When scores are divided by the length penalty: at every step (sockeye_1_12, as SageMaker most likely does), or when
    /// a hypothesis ends (sockeye_1_18) [default: the model's, sockeye_1_12]
    #[arg(
        long,
        value_name = "RULE",
        help_heading = "Search",
        value_parser = PossibleValuesParser::new(BeamSearchRule::NAMES)
    )]
    beam_search_rule: Option<String>,
    /// Alpha of the length penalty ((beta + length) / (beta + 1))^alpha; 0 for none [default: the model's, 1]
    #[arg(long, value_name = "A", allow_negative_numbers = true, help_heading = "Search")]
    length_penalty_alpha: Option<f64>,
    /// Beta of the length penalty [default: the model's, 0]
    #[arg(long, value_name = "B", allow_negative_numbers = true, help_heading = "Search")]
    length_penalty_beta: Option<f64>,
    /// Threads to compute with; 0 for as many as the machine has cores
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search", value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: u16,
    /// Number format of weights: bf16 takes half the memory and int8 a quarter, both are faster, for a little less quality
    /// [default: the model's inference_precision, f32 unless it was trained with another]
    #[arg(
        long,
        value_name = "PRECISION",
        help_heading = "Search",
        value_parser = PossibleValuesParser::new(InferencePrecision::NAMES)
    )]
    precision: Option<String>,
    /// Choose among likely words only, by a lexicon that `kokanee lexicon` has made
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    lexicon: Option<PathBuf>,
    /// Most frequent target words that every answer may have beside those of the lexicon
    #[arg(long, value_name = "N", default_value_t = FREQUENT_WORDS, requires = "lexicon", help_heading = "Search")]
    lexicon_frequent_words: usize,
}

/// With 100 translations a word these leave all but 1% of what a model says without a lexicon: see docs/batch-transform.md.
const FREQUENT_WORDS: usize = 1000;

impl SearchOptions {
    /// Opens a model that decodes as asked; what of it this version does not know is told on stderr.
    ///
    /// # Errors
    /// When it cannot be opened, when the lexicon cannot or is another model's, and when a value is not valid by the table of
    /// hyperparameters.
    pub(crate) fn open(&self, model: &Path, nbest: usize, attention: bool) -> Result<Translator> {
        self.open_telling(model, nbest, attention, |note| say(&format!("note: {note}")))
    }

    /// As [`open`](Self::open), with another place for notes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_telling(
        &self,
        model: &Path,
        nbest: usize,
        attention: bool,
        tell: impl Fn(&str),
    ) -> Result<Translator> {
        let mut translator = Translator::open(model, process::team(usize::from(self.threads))?)?;
        if let Some(precision) = self.precision.as_deref().and_then(InferencePrecision::from_name) {
            translator = translator.in_format(format_of(precision));
        }
        translator.config.check_format(translator.format()).with_context(|| model.display().to_string())?;
        if let Some(path) = &self.lexicon {
            let lexicon = Lexicon::read(path)?;
            let vocabularies = &translator.vocabularies;
            ensure!(
                lexicon.belongs_to(&vocabularies.source, &vocabularies.target),
                "{}: this lexicon was made with other vocabularies than those of {}; make one with `kokanee lexicon --model {} …`",
                path.display(),
                model.display(),
                model.display()
            );
            let frequent = self.lexicon_frequent_words;
            translator =
                translator.with_shortlists(Arc::new(move |source| lexicon.targets(source, frequent).into()));
        }
        translator.notes.iter().for_each(|note| tell(note));
        translator.search = self.search(&translator, nbest, attention)?;
        Ok(translator)
    }

    /// What besides the model and its search decides the answers.
    ///
    /// # Errors
    /// When the lexicon cannot be read.
    pub(crate) fn identity(&self, translator: &Translator) -> Result<String> {
        let format = format!("{:?}", translator.format()).to_lowercase();
        Ok(match &self.lexicon {
            None => format!("{format}, all words"),
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                let frequent = self.lexicon_frequent_words;
                format!("{format}, lexicon {:08x} and {frequent} frequent words", crc.sum())
            }
        })
    }

    fn search(&self, translator: &Translator, nbest: usize, attention: bool) -> Result<Search> {
        let mut h = resolve_stored::<Hyperparameters>(&translator.metadata.hyperparameters)?.hyperparameters;
        h.beam_size = self.beam_size.unwrap_or(h.beam_size);
        let rule = self.beam_search_rule.as_deref().and_then(BeamSearchRule::from_name);
        h.beam_search_rule = rule.unwrap_or(h.beam_search_rule);
        h.length_penalty_alpha = self.length_penalty_alpha.unwrap_or(h.length_penalty_alpha);
        h.length_penalty_beta = self.length_penalty_beta.unwrap_or(h.length_penalty_beta);
        // The table says what is valid, with words for what is not.
        let h = Hyperparameters::resolve(&h.to_strings()).context("the search cannot be done as asked")?;
        ensure!(
            (1..=h.beam_size).contains(&nbest),
            "--nbest {nbest}: expected a number from 1 to the beam size, {}; give --beam-size {nbest} for more",
            h.beam_size
        );
        Ok(Search { nbest, attention, ..Search::new(&h) })
    }
}
