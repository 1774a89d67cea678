//! Rules that involve several values, or that a value's range cannot express.

use super::CONTRACT;
use super::choices::{
    GradientClippingType, NetworkType, OptimizerType, RnnCellType, WeightInitType, WeightTying,
};
use super::table::Hyperparameters;
use crate::algorithm_contract::AlgorithmContract;
use crate::resolve::{Rule, Table};

impl Table for Hyperparameters {
    const RULES: &'static [Rule<Self>] = RULES;

    fn contract() -> &'static AlgorithmContract {
        &CONTRACT
    }

    /// A negative scale means the same interval as its absolute value.
    fn in_normal_form(self) -> Self {
        Self { weight_init_scale: self.weight_init_scale.abs(), ..self }
    }
}

/// Every rule.
const RULES: &[Rule<Hyperparameters>] = &[
    Rule {
        names: &["momentum", "optimizer_type"],
        broken: |h| {
            (h.momentum.is_some() && h.optimizer_type != OptimizerType::Sgd).then(|| {
                format!(
                    "momentum belongs to sgd, but `optimizer_type` is {}; leave `momentum` out",
                    h.optimizer_type
                )
            })
        },
    },
    Rule {
        names: &["min_num_epochs", "max_num_epochs"],
        broken: |h| {
            let max = h.max_num_epochs?;
            (h.min_num_epochs > max).then(|| format!("it is greater than `max_num_epochs`, which is {max}"))
        },
    },
    Rule {
        names: &["rnn_residual_connections", "num_layers_encoder", "num_layers_decoder"],
        broken: |h| {
            (h.rnn_residual_connections && h.num_layers_encoder.max(h.num_layers_decoder) < 2).then(|| {
                "residual connections need more than one layer, but `num_layers_encoder` and `num_layers_decoder` are 1"
                    .to_owned()
            })
        },
    },
    Rule {
        names: &["rnn_first_residual_layer", "rnn_residual_connections"],
        broken: |h| {
            (h.rnn_residual_connections && h.rnn_first_residual_layer < 2).then(|| {
                "with `rnn_residual_connections` it must be at least 2, because the input of layer 1 is the embedding"
                    .to_owned()
            })
        },
    },
    Rule {
        names: &["weight_init_scale", "weight_init_type"],
        broken: |h| {
            match h.weight_init_type {
            WeightInitType::Xavier if h.weight_init_scale <= 0.0 => Some(
                "xavier takes the square root of the scale, so it must be above 0 (the guide's tuning range from -1 to 1 \
                 is meant for uniform)"
                    .to_owned(),
            ),
            WeightInitType::Uniform if h.weight_init_scale == 0.0 => {
                Some("all weights would start at 0 and could never grow apart; use a value above 0".to_owned())
            }
            _ => None,
        }
        },
    },
    Rule {
        names: &["clip_gradient", "gradient_clipping_type"],
        broken: |h| {
            let clips = h.gradient_clipping_type != GradientClippingType::None;
            (clips && h.clip_gradient == 0.0).then(|| {
                "0 would clip every gradient to nothing; use a positive limit, or a negative value to disable clipping"
                    .to_owned()
            })
        },
    },
    Rule {
        names: &["cnn_num_hidden", "rnn_num_hidden", "encoder_type", "decoder_type"],
        broken: |h| {
            let mixed = (h.encoder_type, h.decoder_type) == (NetworkType::Rnn, NetworkType::Cnn);
            (mixed && h.cnn_num_hidden != h.rnn_num_hidden).then(|| {
                format!(
                    "the convolutional decoder attends to the outputs of the recurrent encoder, so both must have the same \
                     width, but `cnn_num_hidden` is {} and `rnn_num_hidden` is {}; make them equal",
                    h.cnn_num_hidden, h.rnn_num_hidden
                )
            })
        },
    },
    Rule {
        names: &["rnn_recurrent_dropout", "rnn_cell_type"],
        broken: |h| {
            (h.rnn_recurrent_dropout > 0.0 && h.rnn_cell_type == RnnCellType::Gru).then(|| {
                "only lstm cells have a memory of which it leaves something out, but `rnn_cell_type` is gru; use \
                 `rnn_state_dropout`"
                    .to_owned()
            })
        },
    },
    Rule {
        names: &[
            "weight_tying",
            "num_embed_source",
            "num_embed_target",
            "rnn_num_hidden",
            "cnn_num_hidden",
            "decoder_type",
        ],
        broken: |h| {
            let (source, target, width) = (h.num_embed_source, h.num_embed_target, h.decoder_width());
            let embeddings = matches!(h.weight_tying, WeightTying::SrcTrg | WeightTying::SrcTrgSoftmax);
            let output = matches!(h.weight_tying, WeightTying::TrgSoftmax | WeightTying::SrcTrgSoftmax);
            if embeddings && source != target {
                return Some(format!(
                    "both embeddings share one matrix, but `num_embed_source` is {source} and `num_embed_target` is {target}; \
                     make them equal"
                ));
            }
            let hidden = match h.decoder_type {
                NetworkType::Rnn => "rnn_num_hidden",
                NetworkType::Cnn => "cnn_num_hidden",
            };
            (output && target != width).then(|| {
                format!(
                    "the output layer shares the matrix of the target embedding, but `num_embed_target` is {target} and the \
                     decoder's `{hidden}` is {width}; make them equal"
                )
            })
        },
    },
];
