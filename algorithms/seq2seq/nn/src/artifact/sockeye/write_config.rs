//! Conversion of our configuration to the `config` of Sockeye 1.18.106, with every field that Sockeye writes.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::WeightTying;

use super::yaml::{Content, Node};
use crate::LengthStatistics;
use crate::config::{CnnConfig, DecoderConfig, DropoutConfig, EncoderConfig, ModelConfig, RnnConfig};

/// The configuration in the form of Sockeye's classes. `limits` are the longest source and target sequences that training admitted,
/// if they are known. Of the training data only `lengths` are known, so counts are 0.
pub(super) fn describe(config: &ModelConfig, lengths: &LengthStatistics, limits: [Option<usize>; 2]) -> Node {
    // All fields are named here, so that a new one cannot be forgotten.
    let ModelConfig {
        source_vocabulary,
        target_vocabulary,
        source_embedding,
        target_embedding,
        encoder,
        decoder,
        source_with_eos,
        dropout,
        label_smoothing,
        weight_tying,
    } = config;
    let tied = *weight_tying != WeightTying::None;
    let [source, target] = [source_vocabulary, target_vocabulary].map(|size| count(*size));
    let longest_target = lengths.longest_target + 1;
    let limits = [
        config.source_positions().or(limits[0]).unwrap_or(lengths.longest_source),
        config.target_positions().or(limits[1]).unwrap_or(longest_target),
    ];
    let statistics = object(
        "DataStatistics",
        [
            ("average_len_target_per_bucket", list(vec![null()])),
            ("buckets", list(vec![pair(limits.map(count))])),
            ("length_ratio_mean", real(lengths.ratio_mean)),
            ("length_ratio_stats_per_bucket", list(vec![pair([null(), null()])])),
            ("length_ratio_std", real(lengths.ratio_std)),
            ("max_observed_len_source", count(lengths.longest_source)),
            ("max_observed_len_target", count(longest_target)),
            ("num_discarded", count(0)),
            ("num_sents", count(0)),
            ("num_sents_per_bucket", list(vec![count(0)])),
            ("num_tokens_source", count(0)),
            ("num_tokens_target", count(0)),
            ("num_unks_source", count(0)),
            ("num_unks_target", count(0)),
            ("size_vocab_source", source.clone()),
            ("size_vocab_target", target.clone()),
        ],
    );
    let data = object(
        "DataConfig",
        [
            ("data_statistics", statistics),
            ("max_seq_len_source", count(limits[0])),
            ("max_seq_len_target", count(limits[1])),
            ("num_source_factors", count(1)),
            ("source_with_eos", truth(*source_with_eos)),
        ],
    );
    let loss = object(
        "LossConfig",
        [
            ("label_smoothing", real(*label_smoothing)),
            ("length_task_link", null()),
            ("length_task_weight", real(1.0)),
            ("name", word("cross-entropy")),
            ("normalization_type", word("valid")),
            ("vocab_size", target.clone()),
        ],
    );
    object(
        "ModelConfig",
        [
            ("config_data", data),
            ("config_decoder", decoder_config(config, decoder, dropout, limits)),
            ("config_embed_source", embedding(source.clone(), *source_embedding, dropout.source_embedding)),
            ("config_embed_target", embedding(target.clone(), *target_embedding, dropout.target_embedding)),
            ("config_encoder", encoder_config(config, encoder, dropout, limits)),
            ("config_length_task", null()),
            ("config_length_task_loss", null()),
            ("config_loss", loss),
            ("lhuc", truth(false)),
            ("num_pointers", count(0)),
            ("vocab_source_size", source),
            ("vocab_target_size", target),
            ("weight_normalization", truth(false)),
            ("weight_tying", truth(tied)),
            ("weight_tying_type", if tied { word(weight_tying.as_str()) } else { null() }),
        ],
    )
}

fn embedding(words: Node, width: usize, dropout: f64) -> Node {
    object(
        "EmbeddingConfig",
        [
            ("dropout", real(dropout)),
            ("dtype", word("float32")),
            ("factor_configs", null()),
            ("num_embed", count(width)),
            ("num_factors", count(1)),
            ("source_factors_combine", word("concat")),
            ("vocab_size", words),
        ],
    )
}

fn encoder_config(
    config: &ModelConfig,
    encoder: &EncoderConfig,
    dropout: &DropoutConfig,
    limits: [usize; 2],
) -> Node {
    match encoder {
        EncoderConfig::Rnn(rnn) => object(
            "RecurrentEncoderConfig",
            [
                ("conv_config", null()),
                ("dtype", word("float32")),
                ("reverse_input", truth(false)),
                ("rnn_config", rnn_config(rnn, dropout)),
            ],
        ),
        EncoderConfig::Cnn(cnn) => object(
            "ConvolutionalEncoderConfig",
            [
                ("cnn_config", cnn_config(cnn)),
                ("dtype", word("float32")),
                ("max_seq_len_source", count(limits[0])),
                ("num_embed", count(config.source_embedding)),
                ("num_layers", count(cnn.layers)),
                ("positional_embedding_type", word("learned")),
            ],
        ),
    }
}

fn decoder_config(
    config: &ModelConfig,
    decoder: &DecoderConfig,
    dropout: &DropoutConfig,
    limits: [usize; 2],
) -> Node {
    let encoder_width = config.encoder_width();
    match decoder {
        DecoderConfig::Rnn(decoder) => {
            let attention = object(
                "AttentionConfig",
                [
                    ("config_coverage", null()),
                    ("dtype", word("float32")),
                    ("input_previous_word", truth(false)),
                    ("is_scaled", truth(false)),
                    ("layer_normalization", truth(false)),
                    ("num_heads", null()),
                    ("num_hidden", count(decoder.attention.hidden)),
                    ("query_num_hidden", count(decoder.rnn.hidden)),
                    ("source_num_hidden", count(encoder_width)),
                    ("type", word(decoder.attention.kind.as_str())),
                ],
            );
            object(
                "RecurrentDecoderConfig",
                [
                    ("attention_config", attention),
                    ("attention_in_upper_layers", truth(decoder.attention_in_upper_layers)),
                    ("context_gating", truth(false)),
                    ("dtype", word("float32")),
                    ("enc_last_hidden_concat_to_embedding", truth(false)),
                    ("hidden_dropout", real(dropout.decoder_hidden)),
                    ("layer_normalization", truth(false)),
                    ("max_seq_len_source", count(limits[0])),
                    ("rnn_config", rnn_config(&decoder.rnn, dropout)),
                    ("state_init", word(decoder.state_init.as_str())),
                    ("state_init_lhuc", truth(false)),
                ],
            )
        }
        DecoderConfig::Cnn(cnn) => object(
            "ConvolutionalDecoderConfig",
            [
                ("cnn_config", cnn_config(cnn)),
                ("dtype", word("float32")),
                ("encoder_num_hidden", count(encoder_width)),
                ("hidden_dropout", real(dropout.cnn_hidden)),
                ("max_seq_len_target", count(limits[1])),
                ("num_embed", count(config.target_embedding)),
                ("num_layers", count(cnn.layers)),
                ("positional_embedding_type", word("learned")),
                ("project_qkv", truth(false)),
            ],
        ),
    }
}

fn rnn_config(rnn: &RnnConfig, dropout: &DropoutConfig) -> Node {
    object(
        "RNNConfig",
        [
            ("cell_type", word(rnn.cell.as_str())),
            ("dropout_inputs", real(dropout.rnn_inputs)),
            ("dropout_recurrent", real(dropout.rnn_recurrent)),
            ("dropout_states", real(dropout.rnn_states)),
            ("dtype", word("float32")),
            // Sockeye's default if there are no residual connections.
            ("first_residual_layer", count(rnn.first_residual_layer.unwrap_or(2))),
            ("forget_bias", real(0.0)),
            ("lhuc", truth(false)),
            ("num_hidden", count(rnn.hidden)),
            ("num_layers", count(rnn.layers)),
            ("residual", truth(rnn.first_residual_layer.is_some())),
        ],
    )
}

fn cnn_config(cnn: &CnnConfig) -> Node {
    object(
        "ConvolutionConfig",
        [
            ("act_type", word(cnn.activation.as_str())),
            ("kernel_width", count(cnn.kernel_width)),
            ("num_hidden", count(cnn.hidden)),
            ("weight_normalization", truth(false)),
        ],
    )
}

/// An object of a class of Sockeye.
fn object<const N: usize>(class: &str, fields: [(&str, Node); N]) -> Node {
    let fields: BTreeMap<String, Node> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Node { tag: Some(format!("!{class}")), content: Content::Map(fields) }
}

fn list(items: Vec<Node>) -> Node {
    Node { tag: None, content: Content::List(items) }
}

fn pair(items: [Node; 2]) -> Node {
    Node { tag: Some("!!python/tuple".to_owned()), content: Content::List(items.into()) }
}

fn count(number: usize) -> Node {
    Node::plain(number.to_string())
}

/// A number with a point and without an exponent: PyYAML takes `1e-5` for a word.
fn real(number: f64) -> Node {
    let text = number.to_string();
    Node::plain(if text.contains('.') { text } else { format!("{text}.0") })
}

fn truth(value: bool) -> Node {
    Node::plain(if value { "true" } else { "false" })
}

fn null() -> Node {
    Node::plain("null")
}

/// One of the words above or of our options, none of which needs quotes.
fn word(text: &str) -> Node {
    Node::plain(text)
}
