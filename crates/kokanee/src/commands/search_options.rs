//! How to search, where a command asks otherwise than the model.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use kokanee_contract::{BeamSearchRule, Hyperparameters};
use kokanee_nn::decode::Search;

use kokanee_serve::Translator;

/// Settings of beam search; what is not given is as in the model's hyperparameters.
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
}

impl SearchOptions {
    /// Threads to compute with; 0 for as many as there are cores.
    pub(crate) fn threads(&self) -> usize {
        usize::from(self.threads)
    }

    /// Changes the search of `translator` as asked.
    ///
    /// # Errors
    /// When a value is not valid, by the table of hyperparameters.
    pub(crate) fn apply(&self, translator: &mut Translator, nbest: usize, attention: bool) -> Result<()> {
        let mut h = Hyperparameters::resolve(&translator.metadata.hyperparameters)?;
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
        translator.search = Search { nbest, attention, ..Search::new(&h) };
        Ok(())
    }
}
