//! Conversion of Sockeye's `config` to ours. The layouts of all 1.x versions are read:
//!
//! | field | up to 1.10 | from 1.13 | 1.18 |
//! | --- | --- | --- | --- |
//! | sizes of vocabularies and embeddings, their dropout | in `config_encoder`, `config_decoder` | `config_embed_*` | the same |
//! | `max_seq_len_*` | top level | top level | `config_data` |
//! | length ratio, longest sentences seen | `config_data` | `config_data` | `config_data.data_statistics` |
//!
//! As in Sockeye itself, a missing field has its default; missing sizes are taken from the shapes of the parameters.

use std::cell::RefCell;
use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::WeightTying;

use super::fields::{Report, Section};
use super::names::Adopted;
use super::yaml::Node;
use crate::LengthStatistics;
use crate::config::{CnnConfig, DecoderConfig, DropoutConfig, EncoderConfig, ModelConfig, RnnConfig};
use crate::params;

/// Width of the buckets of source lengths that limit outputs: `--bucket-width` of Sockeye and of SageMaker, whose value is not
/// saved.
pub(super) const BUCKET_WIDTH: usize = 10;
/// Longest output per input token if no length ratio is known (Sockeye's `TARGET_MAX_LENGTH_FACTOR`).
const UNKNOWN_LENGTH_RATIO: f64 = 2.0;
pub(super) const TRAINING_ONLY: &str = "it matters for training only and is not kept";

/// The content of a configuration.
pub(super) struct Description {
    pub(super) model: ModelConfig,
    pub(super) lengths: LengthStatistics,
    pub(super) hyperparameters: BTreeMap<String, String>,
}

/// Reads a configuration; sizes that it does not give are taken from the parameters. The result is only valid if the report has no
/// faults.
pub(super) fn read(config: &Node, parameters: &Adopted, report: &RefCell<Report>) -> Description {
    let reader = Reader { model: Section::root(config, report), parameters };
    reader.read()
}

pub(super) struct Reader<'a> {
    pub(super) model: Section<'a>,
    pub(super) parameters: &'a Adopted,
}

impl Reader<'_> {
    fn read(self) -> Description {
        let model = &self.model;
        model.off(&["weight_normalization", "lhuc", "num_pointers", "lexical_bias", "config_length_task"]);
        model.no_matter(&["learn_lexical_bias"], None);
        model.no_matter(&["config_length_task_loss"], Some(TRAINING_ONLY));
        let data = model.section("config_data");
        let encoder_section = model.section("config_encoder");
        let decoder_section = model.section("config_decoder");
        let weight_tying = self.weight_tying(&decoder_section);
        let (encoder, source_dropout) = self.encoder(&encoder_section, &data);
        let encoder_width = match &encoder {
            EncoderConfig::Rnn(rnn) => rnn.hidden,
            EncoderConfig::Cnn(cnn) => cnn.hidden,
        };
        let (decoder, target_dropout, hidden_dropout) = self.decoder(&decoder_section, &data, encoder_width);
        let (source_vocabulary, source_embedding, source) = self.embedding(
            "config_embed_source",
            "vocab_source_size",
            &encoder_section,
            params::SOURCE_EMBEDDING,
        );
        let (target_vocabulary, target_embedding, target) = self.embedding(
            "config_embed_target",
            "vocab_target_size",
            &decoder_section,
            params::TARGET_EMBEDDING,
        );
        let is_rnn = matches!(decoder, DecoderConfig::Rnn(_));
        let source_with_eos = data.flag("source_with_eos");
        if !data.has("source_with_eos") {
            model.note(
                "config_data.source_with_eos is missing: no </s> is put after source sentences, as in Sockeye before 1.18.12"
                    .to_owned(),
            );
        }
        let [rnn_inputs, rnn_states, rnn_recurrent] = self.rnn_dropout([&encoder_section, &decoder_section]);
        let config = ModelConfig {
            source_vocabulary,
            target_vocabulary,
            source_embedding,
            target_embedding,
            encoder,
            decoder,
            source_with_eos,
            dropout: DropoutConfig {
                source_embedding: source.or(source_dropout).unwrap_or(0.0),
                target_embedding: target.or(target_dropout).unwrap_or(0.0),
                decoder_hidden: if is_rnn { hidden_dropout } else { 0.0 },
                cnn_hidden: if is_rnn { 0.0 } else { hidden_dropout },
                rnn_inputs,
                rnn_states,
                rnn_recurrent,
            },
            label_smoothing: model.section("config_loss").real("label_smoothing").unwrap_or(0.0),
            weight_tying,
        };
        let limits = [self.longest("max_seq_len_source", &data), self.longest("max_seq_len_target", &data)];
        let lengths = self.lengths(&data, &config, limits);
        let hyperparameters = hyperparameters(&config, limits);
        for section in [encoder_section, decoder_section] {
            section.finish();
        }
        self.model.finish();
        Description { model: config, lengths, hyperparameters }
    }

    /// Vocabulary size, width and dropout of one side's embedding. `network` has them in old layouts.
    fn embedding(
        &self,
        key: &'static str,
        vocabulary: &'static str,
        network: &Section<'_>,
        table: &str,
    ) -> (usize, usize, Option<f64>) {
        let section = self.model.section(key);
        section.only("dtype", "float32");
        section.off(&["factor_configs"]);
        section.no_matter(&["source_factors_combine"], None);
        if section.count("num_factors").is_some_and(|factors| factors > 1) {
            section.unsupported("num_factors", "more than 1: source factors");
        }
        let words =
            section.count("vocab_size").or(self.model.count(vocabulary)).or(network.count("vocab_size"));
        let width = section.count("num_embed").or(network.count("num_embed"));
        let extent = |axis| {
            let shared = self.parameters.extent(params::SHARED_EMBEDDING, axis);
            self.parameters.extent(table, axis).or(shared)
        };
        let words = section.size("vocab_size", words, extent(0));
        let width = section.size("num_embed", width, extent(1));
        let dropout = section.real("dropout");
        section.finish();
        (words, width, dropout)
    }

    /// The matrices that are tied. Up to 1.10 the decoder has this field too.
    fn weight_tying(&self, decoder: &Section<'_>) -> WeightTying {
        let output = decoder.flag("weight_tying");
        if self.model.flag("weight_tying") {
            let kind = self.model.choice("weight_tying_type", WeightTying::from_name);
            return kind.unwrap_or(WeightTying::TrgSoftmax);
        }
        self.model.no_matter(&["weight_tying_type"], None);
        if output { WeightTying::TrgSoftmax } else { WeightTying::None }
    }

    /// Dropout of inputs, states and updates of recurrent layers, which encoder and decoder share here.
    fn rnn_dropout(&self, networks: [&Section<'_>; 2]) -> [f64; 3] {
        ["dropout_inputs", "dropout_states", "dropout_recurrent"].map(|key| {
            let [encoder, decoder] = networks.map(|network| network.section("rnn_config").real(key));
            let (encoder_rate, decoder_rate) = (encoder.unwrap_or(0.0), decoder.unwrap_or(0.0));
            if encoder.is_some() && decoder.is_some() && encoder_rate != decoder_rate {
                self.model.note(format!(
                    "{key} is {encoder_rate} in the encoder and {decoder_rate} in the decoder; further training would use the \
                     latter in both"
                ));
            }
            decoder.or(encoder).unwrap_or(0.0)
        })
    }

    fn lengths(
        &self,
        data: &Section<'_>,
        config: &ModelConfig,
        limits: [Option<usize>; 2],
    ) -> LengthStatistics {
        if data.count("num_source_factors").is_some_and(|factors| factors > 1) {
            data.unsupported("num_source_factors", "more than 1");
        }
        let inner = data.section("data_statistics");
        let statistics = if inner.is_there() { &inner } else { data };
        let observed = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| statistics.count(key));
        let source = observed(["max_observed_len_source", "max_observed_source_seq_len"]).or(limits[0]);
        let target = observed(["max_observed_len_target", "max_observed_target_seq_len"]).or(limits[1]);
        let ratio = statistics.real("length_ratio_mean");
        if ratio.is_none() {
            statistics.note(format!(
                "config_data has no length_ratio_mean: outputs may have {UNKNOWN_LENGTH_RATIO} tokens for each of the input"
            ));
        }
        // Sockeye's own limit: with learned positions, all of them may be used.
        let source = config.source_positions().or(source);
        LengthStatistics {
            ratio_mean: ratio.unwrap_or(UNKNOWN_LENGTH_RATIO),
            ratio_std: statistics.real("length_ratio_std").unwrap_or(0.0),
            longest_source: statistics.size("max_observed_len_source", source, None),
            // Sockeye includes `<s>`.
            longest_target: target.map_or(0, |target| target.saturating_sub(1)),
            bucket_width: BUCKET_WIDTH,
        }
    }

    /// The longest sequence of a side in training.
    pub(super) fn longest(&self, key: &'static str, data: &Section<'_>) -> Option<usize> {
        data.count(key).or(self.model.count(key))
    }
}

/// The known hyperparameters: those of the architecture.
fn hyperparameters(config: &ModelConfig, limits: [Option<usize>; 2]) -> BTreeMap<String, String> {
    let mut known = vec![
        ("num_embed_source", config.source_embedding.to_string()),
        ("num_embed_target", config.target_embedding.to_string()),
        ("embed_dropout_source", config.dropout.source_embedding.to_string()),
        ("embed_dropout_target", config.dropout.target_embedding.to_string()),
        ("label_smoothing", config.label_smoothing.to_string()),
        ("weight_tying", config.weight_tying.to_string()),
    ];
    let rnn_values = |rnn: &RnnConfig| {
        let mut values = vec![
            ("rnn_cell_type", rnn.cell.to_string()),
            ("rnn_num_hidden", rnn.hidden.to_string()),
            ("rnn_residual_connections", rnn.first_residual_layer.is_some().to_string()),
            ("rnn_input_dropout", config.dropout.rnn_inputs.to_string()),
            ("rnn_state_dropout", config.dropout.rnn_states.to_string()),
            ("rnn_recurrent_dropout", config.dropout.rnn_recurrent.to_string()),
        ];
        values.extend(rnn.first_residual_layer.map(|first| ("rnn_first_residual_layer", first.to_string())));
        values
    };
    let cnn_values = |cnn: &CnnConfig| {
        [("cnn_num_hidden", cnn.hidden.to_string()), ("cnn_activation_type", cnn.activation.to_string())]
    };
    match &config.encoder {
        EncoderConfig::Rnn(rnn) => {
            known.push(("encoder_type", "rnn".to_owned()));
            known.push(("num_layers_encoder", rnn.layers.to_string()));
            known.extend(rnn_values(rnn));
        }
        EncoderConfig::Cnn(cnn) => {
            known.push(("encoder_type", "cnn".to_owned()));
            known.push(("num_layers_encoder", cnn.layers.to_string()));
            known.push(("cnn_kernel_width_encoder", cnn.kernel_width.to_string()));
            known.extend(cnn_values(cnn));
        }
    }
    match &config.decoder {
        DecoderConfig::Rnn(decoder) => {
            known.push(("decoder_type", "rnn".to_owned()));
            known.push(("num_layers_decoder", decoder.rnn.layers.to_string()));
            known.extend(rnn_values(&decoder.rnn));
            known.push(("rnn_attention_type", decoder.attention.kind.to_string()));
            known.push(("rnn_attention_num_hidden", decoder.attention.hidden.to_string()));
            known.push(("rnn_attention_in_upper_layers", decoder.attention_in_upper_layers.to_string()));
            known.push(("rnn_decoder_state_init", decoder.state_init.to_string()));
            known.push(("rnn_decoder_hidden_dropout", config.dropout.decoder_hidden.to_string()));
        }
        DecoderConfig::Cnn(cnn) => {
            known.push(("decoder_type", "cnn".to_owned()));
            known.push(("num_layers_decoder", cnn.layers.to_string()));
            known.push(("cnn_kernel_width_decoder", cnn.kernel_width.to_string()));
            known.push(("cnn_hidden_dropout", config.dropout.cnn_hidden.to_string()));
            known.extend(cnn_values(cnn));
        }
    }
    for (name, limit) in ["max_seq_len_source", "max_seq_len_target"].into_iter().zip(limits) {
        known.extend(limit.map(|limit| (name, limit.to_string())));
    }
    known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
