//! The derivation of a model's shapes from hyperparameters; no other code does this.

use kokanee_contract::algorithms::seq2seq::{
    CnnActivationType, Hyperparameters, NetworkType, RnnAttentionType, RnnCellType, RnnDecoderStateInit,
    WeightTying,
};
use serde::{Deserialize, Serialize};

/// Everything that determines the shapes and the computation of a model; stored in an artefact's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Number of source words, special symbols included.
    pub source_vocabulary: usize,
    /// Number of target words, special symbols included.
    pub target_vocabulary: usize,
    /// Width of the source embedding.
    pub source_embedding: usize,
    /// Width of the target embedding.
    pub target_embedding: usize,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The decoder.
    pub decoder: DecoderConfig,
    /// Whether `</s>` is appended to every source sentence: Sockeye does so from 1.18.12 on, SageMaker does not.
    #[serde(default)]
    pub source_with_eos: bool,
    /// The dropout of training.
    #[serde(default)]
    pub dropout: DropoutConfig,
    /// Share of the target distribution that goes to words other than the label during training.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The tied matrices among the embeddings and the output layer.
    #[serde(default = "untied")]
    pub weight_tying: WeightTying,
}

fn untied() -> WeightTying {
    WeightTying::None
}

/// An encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EncoderConfig {
    /// Recurrent; the first layer runs in both directions.
    Rnn(RnnConfig),
    /// Convolutional.
    Cnn(CnnConfig),
}

/// A decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DecoderConfig {
    /// Recurrent, with input feeding and one attention.
    Rnn(RnnDecoderConfig),
    /// Convolutional, with an attention in every layer.
    Cnn(CnnConfig),
}

/// A stack of recurrent layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RnnConfig {
    /// Kind of cell.
    pub cell: RnnCellType,
    /// Number of layers.
    pub layers: usize,
    /// Units of each layer (of both directions together in the first encoder layer).
    pub hidden: usize,
    /// First layer, from 1, whose input is added to its output; none without residual connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_residual_layer: Option<usize>,
}

/// A recurrent decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RnnDecoderConfig {
    /// Its layers.
    #[serde(flatten)]
    pub rnn: RnnConfig,
    /// The attention to the encoder's outputs.
    pub attention: AttentionConfig,
    /// Whether the layers above the first get the context too.
    #[serde(default)]
    pub attention_in_upper_layers: bool,
    /// The source of its first states.
    pub state_init: RnnDecoderStateInit,
}

/// An attention mechanism.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionConfig {
    /// Kind of score.
    pub kind: RnnAttentionType,
    /// Units of mlp and dot attention.
    pub hidden: usize,
}

/// A stack of convolutional layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CnnConfig {
    /// Number of layers.
    pub layers: usize,
    /// Units of each layer.
    pub hidden: usize,
    /// Number of tokens that one convolution sees.
    pub kernel_width: usize,
    /// The activation after each convolution.
    pub activation: CnnActivationType,
    /// Number of positions with a learned vector: the longest sequence that can be computed.
    pub positions: usize,
}

/// Dropout probabilities of training, in [0, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DropoutConfig {
    /// Of embedded source words.
    pub source_embedding: f64,
    /// Of embedded target words.
    pub target_embedding: f64,
    /// Of the recurrent decoder's output and context, before they are joined.
    pub decoder_hidden: f64,
    /// Of the inputs of the decoder's convolutions.
    pub cnn_hidden: f64,
    /// Of the inputs of recurrent layers, one mask per sentence.
    pub rnn_inputs: f64,
    /// Of the hidden states that recurrent layers read, one mask per sentence.
    pub rnn_states: f64,
    /// Of the addends of LSTM cells to their cell states.
    pub rnn_recurrent: f64,
}

impl DropoutConfig {
    fn rates(&self) -> [(&'static str, f64); 7] {
        [
            ("dropout.source_embedding", self.source_embedding),
            ("dropout.target_embedding", self.target_embedding),
            ("dropout.decoder_hidden", self.decoder_hidden),
            ("dropout.cnn_hidden", self.cnn_hidden),
            ("dropout.rnn_inputs", self.rnn_inputs),
            ("dropout.rnn_states", self.rnn_states),
            ("dropout.rnn_recurrent", self.rnn_recurrent),
        ]
    }
}

/// An invalid configuration.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("this model cannot be built: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

impl ModelConfig {
    /// The model that hyperparameters and vocabulary sizes describe.
    ///
    /// # Errors
    /// Names everything that does not fit.
    pub fn new(
        h: &Hyperparameters,
        source_vocabulary: usize,
        target_vocabulary: usize,
    ) -> Result<Self, ConfigError> {
        let rnn = |layers| RnnConfig {
            cell: h.rnn_cell_type,
            layers,
            hidden: h.rnn_num_hidden,
            first_residual_layer: h.rnn_residual_connections.then_some(h.rnn_first_residual_layer),
        };
        let cnn = |layers, kernel_width, positions| CnnConfig {
            layers,
            hidden: h.cnn_num_hidden,
            kernel_width,
            activation: h.cnn_activation_type,
            positions,
        };
        let encoder = match h.encoder_type {
            NetworkType::Rnn => EncoderConfig::Rnn(rnn(h.num_layers_encoder)),
            NetworkType::Cnn => EncoderConfig::Cnn(cnn(
                h.num_layers_encoder,
                h.cnn_kernel_width_encoder,
                h.max_seq_len_source,
            )),
        };
        let decoder = match h.decoder_type {
            NetworkType::Rnn => DecoderConfig::Rnn(RnnDecoderConfig {
                rnn: rnn(h.num_layers_decoder),
                attention: AttentionConfig {
                    kind: h.rnn_attention_type,
                    hidden: h.rnn_attention_num_hidden.unwrap_or(h.rnn_num_hidden),
                },
                attention_in_upper_layers: h.rnn_attention_in_upper_layers,
                state_init: h.rnn_decoder_state_init,
            }),
            NetworkType::Cnn => DecoderConfig::Cnn(cnn(
                h.num_layers_decoder,
                h.cnn_kernel_width_decoder,
                h.max_seq_len_target,
            )),
        };
        let config = ModelConfig {
            source_vocabulary,
            target_vocabulary,
            source_embedding: h.num_embed_source,
            target_embedding: h.num_embed_target,
            encoder,
            decoder,
            source_with_eos: false,
            dropout: DropoutConfig {
                source_embedding: h.embed_dropout_source,
                target_embedding: h.embed_dropout_target,
                decoder_hidden: h.rnn_decoder_hidden_dropout,
                cnn_hidden: h.cnn_hidden_dropout,
                rnn_inputs: h.rnn_input_dropout,
                rnn_states: h.rnn_state_dropout,
                rnn_recurrent: h.rnn_recurrent_dropout,
            },
            label_smoothing: h.label_smoothing,
            weight_tying: h.weight_tying,
        };
        config.check()?;
        Ok(config)
    }

    /// Whether source and target words are looked up in one matrix.
    pub fn ties_source_and_target(&self) -> bool {
        matches!(self.weight_tying, WeightTying::SrcTrg | WeightTying::SrcTrgSoftmax)
    }

    /// Whether the output layer is the matrix in which target words are looked up.
    pub fn ties_target_and_output(&self) -> bool {
        matches!(self.weight_tying, WeightTying::TrgSoftmax | WeightTying::SrcTrgSoftmax)
    }

    /// Width of the encoder's outputs.
    pub fn encoder_width(&self) -> usize {
        match &self.encoder {
            EncoderConfig::Rnn(rnn) => rnn.hidden,
            EncoderConfig::Cnn(cnn) => cnn.hidden,
        }
    }

    /// Width of the output layer's input.
    pub fn decoder_width(&self) -> usize {
        match &self.decoder {
            DecoderConfig::Rnn(decoder) => decoder.rnn.hidden,
            DecoderConfig::Cnn(cnn) => cnn.hidden,
        }
    }

    /// Longest source that can be computed, `</s>` included if the model reads one; none without a limit.
    pub fn source_positions(&self) -> Option<usize> {
        match &self.encoder {
            EncoderConfig::Cnn(cnn) => Some(cnn.positions),
            EncoderConfig::Rnn(_) => None,
        }
    }

    /// Longest target that can be computed, `<s>` included; none without a limit.
    pub fn target_positions(&self) -> Option<usize> {
        match &self.decoder {
            DecoderConfig::Cnn(cnn) => Some(cnn.positions),
            DecoderConfig::Rnn(_) => None,
        }
    }

    /// Whether a pair of these lengths can be computed: a convolutional model has vectors for a limited number of positions only.
    pub fn can_compute(&self, source_words: usize, target_words: usize) -> bool {
        let source_tokens = source_words + usize::from(self.source_with_eos);
        let fits = |tokens, positions: Option<usize>| positions.is_none_or(|positions| tokens <= positions);
        fits(source_tokens, self.source_positions()) && fits(target_words + 1, self.target_positions())
    }

    /// Checks that the sizes fit each other.
    ///
    /// # Errors
    /// Names everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut faults = Faults(Vec::new());
        faults.size("source_vocabulary", self.source_vocabulary, 4);
        faults.size("target_vocabulary", self.target_vocabulary, 4);
        faults.size("source_embedding", self.source_embedding, 1);
        faults.size("target_embedding", self.target_embedding, 1);
        match &self.encoder {
            EncoderConfig::Rnn(rnn) => {
                faults.rnn("encoder", rnn, 2);
                if !rnn.hidden.is_multiple_of(2) {
                    let hidden = rnn.hidden;
                    faults.0.push(format!(
                        "encoder.hidden is {hidden}, but must be even: each direction takes half"
                    ));
                }
            }
            EncoderConfig::Cnn(cnn) => {
                faults.cnn("encoder", cnn);
                if cnn.kernel_width.is_multiple_of(2) {
                    let width = cnn.kernel_width;
                    faults.0.push(format!(
                        "encoder.kernel_width is {width}, but must be odd, so that it has a middle"
                    ));
                }
            }
        }
        match &self.decoder {
            DecoderConfig::Rnn(decoder) => {
                faults.rnn("decoder", &decoder.rnn, 1);
                faults.size("decoder.attention.hidden", decoder.attention.hidden, 1);
            }
            DecoderConfig::Cnn(cnn) => {
                faults.cnn("decoder", cnn);
                let width = self.encoder_width();
                if width != cnn.hidden {
                    faults.0.push(format!(
                        "a convolutional decoder of {} units attends to encoder outputs of the same width, but the \
                         encoder's are {width} wide: make rnn_num_hidden and cnn_num_hidden equal",
                        cnn.hidden
                    ));
                }
            }
        }
        if self.source_positions() == Some(1) && self.source_with_eos {
            faults
                .0
                .push("encoder.positions is 1, which `</s>` takes: a source word needs one too".to_owned());
        }
        if self.ties_source_and_target() {
            faults.equal("source and target embeddings", [self.source_embedding, self.target_embedding]);
            faults.equal("source and target vocabularies", [self.source_vocabulary, self.target_vocabulary]);
        }
        if self.ties_target_and_output() {
            faults.equal("target embedding and output layer", [self.target_embedding, self.decoder_width()]);
        }
        let smoothing = ("label_smoothing", self.label_smoothing);
        for (name, rate) in self.dropout.rates().into_iter().chain([smoothing]) {
            // Checked in the precision of its use: a number close to 1 in double precision may be 1 in single precision.
            if !(0.0..1.0).contains(&(rate as f32)) {
                faults.0.push(format!("{name} is {rate}, but must be in [0, 1) in single precision"));
            }
        }
        if faults.0.is_empty() { Ok(()) } else { Err(ConfigError(faults.0)) }
    }
}

/// Sizes of real models are far below; a larger one means a damaged file, and would overflow sums.
const LARGEST: usize = 1 << 24;
/// The same for the number of layers.
const MOST_LAYERS: usize = 1 << 10;

struct Faults(Vec<String>);

impl Faults {
    fn range(&mut self, name: &str, size: usize, least: usize, most: usize) {
        if !(least..=most).contains(&size) {
            self.0.push(format!("{name} is {size}, but must be from {least} to {most}"));
        }
    }

    fn size(&mut self, name: &str, size: usize, least: usize) {
        self.range(name, size, least, LARGEST);
    }

    fn equal(&mut self, what: &str, [one, other]: [usize; 2]) {
        if one != other {
            self.0.push(format!("{what} are tied and must have the same size, but are of {one} and {other}"));
        }
    }

    fn rnn(&mut self, side: &str, rnn: &RnnConfig, least: usize) {
        self.size(&format!("{side}.hidden"), rnn.hidden, least);
        self.range(&format!("{side}.layers"), rnn.layers, 1, MOST_LAYERS);
        if let Some(first) = rnn.first_residual_layer {
            self.range(&format!("{side}.first_residual_layer"), first, 2, MOST_LAYERS);
        }
    }

    fn cnn(&mut self, side: &str, cnn: &CnnConfig) {
        self.size(&format!("{side}.hidden"), cnn.hidden, 1);
        self.range(&format!("{side}.layers"), cnn.layers, 1, MOST_LAYERS);
        self.range(&format!("{side}.kernel_width"), cnn.kernel_width, 1, 1 << 12);
        self.size(&format!("{side}.positions"), cnn.positions, 1);
    }
}
