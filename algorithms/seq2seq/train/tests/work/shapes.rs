//! The number of multiply-adds of matrix products that a model needs, from its shapes: every product once, and none on padding.
//!
//! Only products of matrices are counted, not look-ups, cells, activations, softmax, and the sums of attention over the words of a
//! source.

use std::fmt;

/// Sizes that are all different, so that no product is mistaken for another.
pub(crate) const SOURCE_WORDS: u64 = 31;
pub(crate) const TARGET_WORDS: u64 = 37;
const SOURCE_EMBEDDING: u64 = 10;
const TARGET_EMBEDDING: u64 = 11;
const UNITS: u64 = 16;
const ATTENTION: u64 = 14;
const CNN_UNITS: u64 = 18;
const ENCODER_WIDTH: u64 = 3;
const DECODER_WIDTH: u64 = 5;

/// A model of these sizes.
pub(crate) enum Network {
    /// With mlp attention. `gates` blocks of units in a cell, `states` tensors in its state.
    Recurrent { gates: u64, states: u64, encoder_layers: u64, decoder_layers: u64 },
    /// With glu, so that a convolution has twice as many outputs as units.
    Convolutional { encoder_layers: u64, decoder_layers: u64 },
}

/// Lengths of some pairs together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tokens {
    pairs: u64,
    source: u64,
    /// With `</s>`.
    target: u64,
    /// Points at which minimal filtering multiplies.
    source_points: u64,
    target_points: u64,
}

impl Tokens {
    pub(crate) fn of_pair(source: &[u32], target: &[u32]) -> Tokens {
        let (source, target) = (source.len() as u64, target.len() as u64 + 1);
        let (source_points, target_points) = (points(source, ENCODER_WIDTH), points(target, DECODER_WIDTH));
        Tokens { pairs: 1, source, target, source_points, target_points }
    }
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Tokens) {
        self.pairs += more.pairs;
        self.source += more.source;
        self.target += more.target;
        self.source_points += more.source_points;
        self.target_points += more.target_points;
    }
}

impl Network {
    /// Updates on these pairs. In the backward pass, every product `y = x W'` is followed by `dx = dy W` and `dW = dy' x`, each as
    /// large.
    pub(crate) fn update(&self, tokens: Tokens) -> u64 {
        let spared = match *self {
            // No attentional vector is fed before the first word. Decoding has zeros there, since hypotheses of different ages
            // share a product.
            Network::Recurrent { gates, .. } => tokens.pairs * gates * UNITS * UNITS,
            // Minimal filtering; the gradients of its products are as large as the products. Decoding goes word by word, and has no
            // neighbours to share products with.
            Network::Convolutional { encoder_layers, decoder_layers } => {
                let source = convolution(tokens.source * ENCODER_WIDTH - tokens.source_points);
                let target = convolution(tokens.target * DECODER_WIDTH - tokens.target_points);
                encoder_layers * source + decoder_layers * target
            }
        };
        3 * (self.read(tokens) + tokens.target * self.say() - spared)
    }

    /// Decoding of sentences, with `hypotheses` hypotheses extended over all steps.
    pub(crate) fn decoding(&self, tokens: Tokens, hypotheses: u64) -> u64 {
        self.read(tokens) + hypotheses * self.say()
    }

    /// The work per source: the encoder, the memory of attention, the decoder's first states.
    fn read(&self, Tokens { pairs, source, .. }: Tokens) -> u64 {
        match *self {
            Network::Recurrent { gates, states, encoder_layers, decoder_layers } => {
                // The state before a sentence's first step is zeros, which are not multiplied.
                let after_first = source - pairs;
                let layer = |inputs, units| gates * units * (source * inputs + after_first * units);
                let both_directions = 2 * layer(SOURCE_EMBEDDING, UNITS / 2);
                let upper = (encoder_layers - 1) * layer(UNITS, UNITS);
                let keys = source * UNITS * ATTENTION;
                let first_states = pairs * decoder_layers * states * UNITS * UNITS;
                both_directions + upper + keys + first_states
            }
            Network::Convolutional { encoder_layers, .. } => {
                source * (SOURCE_EMBEDDING * CNN_UNITS + encoder_layers * convolution(ENCODER_WIDTH))
            }
        }
    }

    /// The work per target word of a sentence or hypothesis.
    fn say(&self) -> u64 {
        match *self {
            Network::Recurrent { gates, decoder_layers, .. } => {
                let own_states = decoder_layers * gates * UNITS * UNITS;
                let embedded = gates * UNITS * TARGET_EMBEDDING;
                let fed = gates * UNITS * UNITS;
                // Upper layers read the layer below and the context.
                let from_below = (decoder_layers - 1) * gates * UNITS * (UNITS + UNITS);
                let query = UNITS * ATTENTION;
                let attentional_layer = (UNITS + UNITS) * UNITS;
                let output = UNITS * TARGET_WORDS;
                own_states + embedded + fed + from_below + query + attentional_layer + output
            }
            Network::Convolutional { decoder_layers, .. } => {
                let embedded = TARGET_EMBEDDING * CNN_UNITS;
                let output = CNN_UNITS * TARGET_WORDS;
                embedded + decoder_layers * convolution(DECODER_WIDTH) + output
            }
        }
    }

    /// The hyperparameters, by name.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let (kind, encoder_layers, decoder_layers) = match *self {
            Network::Recurrent { encoder_layers, decoder_layers, .. } => {
                ("rnn", encoder_layers, decoder_layers)
            }
            Network::Convolutional { encoder_layers, decoder_layers } => {
                ("cnn", encoder_layers, decoder_layers)
            }
        };
        let cell = if matches!(self, Network::Recurrent { gates: 3, .. }) { "gru" } else { "lstm" };
        let words = [
            ("encoder_type", kind),
            ("decoder_type", kind),
            ("rnn_cell_type", cell),
            ("rnn_attention_type", "mlp"),
            ("rnn_attention_in_upper_layers", "true"),
            ("cnn_activation_type", "glu"),
        ];
        let numbers = [
            ("num_layers_encoder", encoder_layers),
            ("num_layers_decoder", decoder_layers),
            ("num_embed_source", SOURCE_EMBEDDING),
            ("num_embed_target", TARGET_EMBEDDING),
            ("rnn_num_hidden", UNITS),
            ("rnn_attention_num_hidden", ATTENTION),
            ("cnn_num_hidden", CNN_UNITS),
            ("cnn_kernel_width_encoder", ENCODER_WIDTH),
            ("cnn_kernel_width_decoder", DECODER_WIDTH),
        ];
        let words = words.map(|(name, value)| (name.to_owned(), value.to_owned()));
        words.into_iter().chain(numbers.map(|(name, value)| (name.to_owned(), value.to_string()))).collect()
    }
}

/// Words are taken in groups of four and a remainder: m of them with r taps at m + r - 1 points.
fn points(words: u64, taps: u64) -> u64 {
    words + (taps - 1) * words.div_ceil(4)
}

/// One layer's products with `factors` inputs per unit: for one position the whole window (with zeros beyond a sentence), for
/// minimal filtering its points.
fn convolution(factors: u64) -> u64 {
    2 * CNN_UNITS * factors * CNN_UNITS
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Recurrent { gates: 4, encoder_layers, decoder_layers, .. } => {
                write!(f, "an LSTM of {encoder_layers} + {decoder_layers} layers")
            }
            Network::Recurrent { encoder_layers, decoder_layers, .. } => {
                write!(f, "a GRU of {encoder_layers} + {decoder_layers} layers")
            }
            Network::Convolutional { encoder_layers, decoder_layers } => {
                write!(f, "convolutions of {encoder_layers} + {decoder_layers} layers")
            }
        }
    }
}
