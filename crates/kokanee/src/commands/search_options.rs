//! The options of decoding, if a command overrides those of the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use kokanee_contract::algorithms::seq2seq::{BeamSearchRule, InferencePrecision};
use kokanee_seq2seq::SearchSettings;
use kokanee_seq2seq::search::FREQUENT_WORDS;
use kokanee_seq2seq_serve::Translator;

use crate::exit::say;

/// Settings of decoding; what is not given is as in the model's hyperparameters.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SearchOptions {
    /// Number of hypotheses kept at each step [default: the model's beam_size, 5 unless it was trained with another]
    #[arg(long, value_name = "N", help_heading = "Search")]
    beam_size: Option<usize>,
    /// When to divide scores by the length penalty: at every step (sockeye_1_12, as SageMaker most likely does), or when a
    /// hypothesis ends (sockeye_1_18) [default: the model's, sockeye_1_12]
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
    /// Number of threads, 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search", value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: u16,
    /// Number format of weights: bf16 takes half the memory and int8 a quarter; both are faster at slightly lower quality
    /// [default: the model's inference_precision, f32 unless it was trained with another]
    #[arg(
        long,
        value_name = "PRECISION",
        help_heading = "Search",
        value_parser = PossibleValuesParser::new(InferencePrecision::NAMES)
    )]
    precision: Option<String>,
    /// Restrict each answer to likely words, by a lexicon made by `kokanee lexicon`
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    lexicon: Option<PathBuf>,
    /// Number of most frequent target words allowed in every answer besides those of the lexicon
    #[arg(long, value_name = "N", default_value_t = FREQUENT_WORDS, requires = "lexicon", help_heading = "Search")]
    lexicon_frequent_words: usize,
}

impl SearchOptions {
    /// Number of threads to compute with; 0 stands for the number of the machine's cores.
    pub(crate) fn threads(&self) -> usize {
        usize::from(self.threads)
    }

    /// The given settings, by their names on the command line.
    pub(crate) fn settings(&self) -> BTreeMap<&'static str, String> {
        let given = [
            ("beam-size", self.beam_size.map(|value| value.to_string())),
            ("beam-search-rule", self.beam_search_rule.clone()),
            ("length-penalty-alpha", self.length_penalty_alpha.map(|value| value.to_string())),
            ("length-penalty-beta", self.length_penalty_beta.map(|value| value.to_string())),
            ("precision", self.precision.clone()),
            ("lexicon", self.lexicon.as_ref().map(|path| path.display().to_string())),
            (
                "lexicon-frequent-words",
                self.lexicon.as_ref().map(|_| self.lexicon_frequent_words.to_string()),
            ),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Opens a model of seq2seq that decodes with these options; parts of it that this version does not know are reported on
    /// stderr.
    ///
    /// # Errors
    /// When the model cannot be opened, when the lexicon cannot be read or belongs to another model, and when a value is not valid
    /// by the table of hyperparameters.
    pub(crate) fn open(&self, model: &Path, nbest: usize, attention: bool) -> Result<Translator> {
        let settings = SearchSettings::parse(&self.settings())?;
        let tell = |note: &str| say(&format!("note: {note}"));
        Ok(settings.open(model, self.threads(), nbest, attention, &tell)?)
    }
}
