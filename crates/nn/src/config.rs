//! The one place where hyperparameters become shapes.

use kokanee_contract::{Hyperparameters, NetworkType, RnnAttentionType, RnnCellType, RnnDecoderStateInit};
use serde::{Deserialize, Serialize};

/// Everything that decides the shapes and the computation of a model; stored in an artefact's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Source words, special symbols included.
    pub source_vocabulary: usize,
    /// Target words, special symbols included.
    pub target_vocabulary: usize,
    /// Width of the source embedding.
    pub source_embedding: usize,
    /// Width of the target embedding.
    pub target_embedding: usize,
    /// The recurrent encoder.
    pub encoder: RnnConfig,
    /// The recurrent decoder.
    pub decoder: RnnConfig,
    /// How the decoder looks at the encoder's outputs.
    pub attention: AttentionConfig,
    /// Where the decoder's first states come from.
    pub decoder_state_init: RnnDecoderStateInit,
    /// Whether `</s>` is put after every source sentence: Sockeye from 1.18.12 on does, SageMaker does not.
    #[serde(default)]
    pub source_with_eos: bool,
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
}

/// An attention mechanism.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionConfig {
    /// Kind of score.
    pub kind: RnnAttentionType,
    /// Units of the hidden layer of mlp attention.
    pub hidden: usize,
}

/// A configuration that cannot be built.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("this model cannot be built: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

impl ModelConfig {
    /// The model that hyperparameters and vocabulary sizes describe.
    ///
    /// # Errors
    /// Names everything that cannot be built.
    pub fn new(
        h: &Hyperparameters,
        source_vocabulary: usize,
        target_vocabulary: usize,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        for (side, kind) in [("encoder", h.encoder_type), ("decoder", h.decoder_type)] {
            if kind != NetworkType::Rnn {
                faults.push(format!("a {kind} {side} is not built yet"));
            }
        }
        let rnn = |layers| RnnConfig { cell: h.rnn_cell_type, layers, hidden: h.rnn_num_hidden };
        let config = ModelConfig {
            source_vocabulary,
            target_vocabulary,
            source_embedding: h.num_embed_source,
            target_embedding: h.num_embed_target,
            encoder: rnn(h.num_layers_encoder),
            decoder: rnn(h.num_layers_decoder),
            attention: AttentionConfig {
                kind: h.rnn_attention_type,
                hidden: h.rnn_attention_num_hidden.unwrap_or(h.rnn_num_hidden),
            },
            decoder_state_init: h.rnn_decoder_state_init,
            source_with_eos: false,
        };
        if let Err(ConfigError(more)) = config.check() {
            faults.extend(more);
        }
        if faults.is_empty() { Ok(config) } else { Err(ConfigError(faults)) }
    }

    /// Whether the sizes fit each other and everything asked for is built.
    ///
    /// # Errors
    /// Names everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        /// No size of a real model comes near; a larger one is a damaged file, and would overflow sums.
        const LARGEST: usize = 1 << 24;
        let mut faults = Vec::new();
        for (name, size, least) in [
            ("source_vocabulary", self.source_vocabulary, 4),
            ("target_vocabulary", self.target_vocabulary, 4),
            ("source_embedding", self.source_embedding, 1),
            ("target_embedding", self.target_embedding, 1),
            ("encoder.hidden", self.encoder.hidden, 2),
            ("decoder.hidden", self.decoder.hidden, 1),
            ("attention.hidden", self.attention.hidden, 1),
        ] {
            if !(least..=LARGEST).contains(&size) {
                faults.push(format!("{name} is {size}, but must be from {least} to {LARGEST}"));
            }
        }
        if !self.encoder.hidden.is_multiple_of(2) {
            faults.push(format!(
                "encoder.hidden is {}, but must be even: each direction takes half",
                self.encoder.hidden
            ));
        }
        for (side, rnn) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            if rnn.cell != RnnCellType::Lstm {
                faults.push(format!("{side} cells of type {} are not built yet", rnn.cell));
            }
            if rnn.layers != 1 {
                faults.push(format!("a {side} of {} layers is not built yet", rnn.layers));
            }
        }
        if self.attention.kind != RnnAttentionType::Mlp {
            faults.push(format!("{} attention is not built yet", self.attention.kind));
        }
        if self.decoder_state_init != RnnDecoderStateInit::Last {
            faults.push(format!("decoder states from `{}` are not built yet", self.decoder_state_init));
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigError(faults)) }
    }
}
