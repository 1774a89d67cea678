//! The memory that a model takes, computed from its shapes: in training, and in a decoder. Nothing is allocated, and products of
//! sizes saturate instead of overflowing.

use kokanee_contract::algorithms::seq2seq::{RnnAttentionType, RnnCellType};
use kokanee_kernels::Precision;
use kokanee_kernels::conv::minimal::Filtering;
use kokanee_kernels::packed::Format;
use kokanee_tensor::{Shape, ops};

use crate::config::{CnnConfig, ConfigError, DecoderConfig, EncoderConfig, ModelConfig, RnnConfig};
use crate::model::Model;
use crate::params;

/// Number of gradients as wide as a layer that exist per token between one convolutional layer and the next.
const BETWEEN_LAYERS: u64 = 4;
const F32_BYTES: u64 = size_of::<f32>() as u64;

/// The properties of a batch that determine its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTokens {
    /// Tokens of its sources.
    pub source: u64,
    /// Tokens of its targets, including `<s>` or `</s>`.
    pub target: u64,
    /// Tokens of a source, on average.
    pub source_length: u64,
}

/// Bytes that an update of a training holds at the same time, besides parameters and the optimizer's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateBytes {
    /// Gradients of parameters.
    pub gradients: u64,
    /// Values of a batch from which gradients are computed, and the gradients of those values.
    pub values: u64,
    /// Gradients of the logits that exist at a time.
    pub logits: u64,
    /// Weights of recurrences, laid out for their products.
    pub recurrences: u64,
    /// Operands of convolutions' products.
    pub convolutions: u64,
}

/// Bytes that a decoder holds besides the sentences in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecoderBytes {
    /// Tables whose rows are looked up; in `f32` they are shared with the model while it lives.
    pub tables: u64,
    /// Weights of products, and biases.
    pub weights: u64,
}

impl DecoderBytes {
    /// The sum of both.
    pub fn total(self) -> u64 {
        self.tables.saturating_add(self.weights)
    }
}

/// The product of sizes.
fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product, &size| product.saturating_mul(size as u64))
}

fn sum(sizes: impl IntoIterator<Item = u64>) -> u64 {
    sizes.into_iter().fold(0, u64::saturating_add)
}

impl ModelConfig {
    /// Bytes of each parameter by name, in order.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn parameter_bytes(&self) -> Result<Vec<(String, Shape, u64)>, ConfigError> {
        let bytes = |shape: &Shape| product(shape.extents()).saturating_mul(F32_BYTES);
        Ok(Model::shapes(self)?
            .into_iter()
            .map(|(name, shape)| (name, shape.clone(), bytes(&shape)))
            .collect())
    }

    /// The bytes that a decoder in `format` holds.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn decoder_bytes(&self, format: Format) -> Result<DecoderBytes, ConfigError> {
        let mut bytes = DecoderBytes::default();
        for (name, shape, values) in self.parameter_bytes()? {
            let in_format = values / F32_BYTES * format.bytes() as u64;
            let is_table = params::is_table(&name);
            let is_output = is_table && self.ties_target_and_output() && name != params::SOURCE_EMBEDDING;
            if is_table {
                bytes.tables = bytes.tables.saturating_add(in_format);
            }
            if !is_table || is_output && shape.rows() == self.target_vocabulary {
                let held = if shape.extents().len() == 1 { values } else { in_format };
                bytes.weights = bytes.weights.saturating_add(held);
            }
        }
        Ok(bytes)
    }

    /// The bytes that an update with such a batch holds, with products in `precision`.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn update_bytes(&self, batch: BatchTokens, precision: Precision) -> Result<UpdateBytes, ConfigError> {
        let tables = [params::SOURCE_EMBEDDING, params::TARGET_EMBEDDING, params::SHARED_EMBEDDING];
        // A table's gradient has only the rows that a batch reads, unless it is the output layer too.
        let sparse = |name: &str| {
            tables.contains(&name) && (name == params::SOURCE_EMBEDDING || !self.ties_target_and_output())
        };
        let parameters = self.parameter_bytes()?;
        let dense = parameters.iter().filter(|(name, ..)| !sparse(name)).map(|(_, _, bytes)| *bytes);
        let [source, target] = self.floats_per_token(batch.source_length);
        let values = batch.source.saturating_mul(source).saturating_add(batch.target.saturating_mul(target));
        let number = if precision == Precision::Bf16 { 2 } else { F32_BYTES };
        let rows = ops::logit_rows(self.target_vocabulary).min(batch.target);
        Ok(UpdateBytes {
            gradients: sum(dense),
            values: values.saturating_mul(F32_BYTES),
            logits: rows.saturating_mul(self.target_vocabulary as u64).saturating_mul(number),
            recurrences: self.recurrent_weights().saturating_mul(number),
            convolutions: sum(self.convolution_bytes(batch, precision)),
        })
    }

    /// The bytes that a pass without gradients with such a batch holds.
    pub fn measuring_bytes(&self, batch: BatchTokens) -> u64 {
        // Embedded words, their projection before a loop, and the outputs of a layer and of the one below it.
        let floats = |embedding: usize, units: usize| embedding as u64 + 6 * units as u64;
        let source = batch.source.saturating_mul(floats(self.source_embedding, self.encoder_width()));
        let target = batch.target.saturating_mul(floats(self.target_embedding, self.decoder_width()));
        let values = source.saturating_add(target).saturating_mul(F32_BYTES);
        let [_, operands] = self.convolution_bytes(batch, Precision::F32);
        values.saturating_add(operands)
    }

    /// The numbers that a source token and a target token keep until their gradients are computed, and the gradients that exist
    /// meanwhile.
    fn floats_per_token(&self, source_length: u64) -> [u64; 2] {
        let dropout = &self.dropout;
        let copied = |rate: f64, floats: u64| if rate > 0.0 { floats } else { 0 };
        // Gates, states and the layer's output; gradients take the memory of the gates.
        let layer = |rnn: &RnnConfig, inputs: u64| {
            let units = rnn.hidden as u64;
            let (gates, states) = match rnn.cell {
                RnnCellType::Lstm => (4, 2),
                RnnCellType::Gru => (6, 1),
            };
            let dropped = copied(dropout.rnn_inputs, inputs)
                + copied(dropout.rnn_states, units)
                + copied(dropout.rnn_recurrent, units);
            (gates + states + 1) * units + dropped
        };
        let projected = |rnn: &RnnConfig| match rnn.cell {
            RnnCellType::Lstm => 4 * rnn.hidden as u64,
            RnnCellType::Gru => 3 * rnn.hidden as u64,
        };
        let width = self.encoder_width() as u64;
        let (source_embedding, target_embedding) =
            (self.source_embedding as u64, self.target_embedding as u64);
        let encoder = match &self.encoder {
            EncoderConfig::Rnn(rnn) => {
                let inputs = |number| if number == 0 { source_embedding } else { width };
                sum((0..rnn.layers).map(|number| layer(rnn, inputs(number)))) + projected(rnn) / 2
            }
            EncoderConfig::Cnn(cnn) => (1 + BETWEEN_LAYERS + cnn.layers as u64 * (fan_in(cnn) + 1)) * width,
        };
        let decoder = match &self.decoder {
            DecoderConfig::Rnn(decoder) => {
                let units = decoder.rnn.hidden as u64;
                let queries = match decoder.attention.kind {
                    RnnAttentionType::Mlp | RnnAttentionType::Dot => 2 * decoder.attention.hidden as u64,
                    RnnAttentionType::Bilinear | RnnAttentionType::Fixed => 0,
                };
                let layers = sum((0..decoder.rnn.layers).map(|_| layer(&decoder.rnn, units)));
                let dropped = copied(dropout.decoder_hidden, units + width);
                // Projected embeddings, context and attention, the output with its gradients.
                layers + projected(&decoder.rnn) + width + queries + source_length + 3 * units + dropped
            }
            DecoderConfig::Cnn(cnn) => {
                let each = (fan_in(cnn) + 3) * width + copied(dropout.cnn_hidden, width) + source_length;
                (3 + BETWEEN_LAYERS) * width + cnn.layers as u64 * each
            }
        };
        let keys = match &self.decoder {
            DecoderConfig::Rnn(decoder) => 2 * decoder.attention.hidden as u64,
            DecoderConfig::Cnn(_) => 0,
        };
        // The encoder's outputs have a gradient while the decoder's come back.
        [source_embedding + encoder + width + keys, target_embedding + decoder]
    }

    /// The number of weights that recurrences multiply by.
    fn recurrent_weights(&self) -> u64 {
        let gates = |rnn: &RnnConfig| match rnn.cell {
            RnnCellType::Lstm => 4,
            RnnCellType::Gru => 3,
        };
        let encoder = match &self.encoder {
            EncoderConfig::Rnn(rnn) => {
                let (half, upper) = (rnn.hidden / 2, rnn.layers.saturating_sub(1));
                let first = product(&[2, gates(rnn), half, half]);
                first.saturating_add(product(&[upper, gates(rnn), rnn.hidden, rnn.hidden]))
            }
            EncoderConfig::Cnn(_) => 0,
        };
        let decoder = match &self.decoder {
            DecoderConfig::Rnn(decoder) => {
                let (rnn, width) = (&decoder.rnn, self.encoder_width());
                let upper = rnn.layers.saturating_sub(1);
                let context = if decoder.attention_in_upper_layers { width } else { 0 };
                sum([
                    product(&[2, gates(rnn), rnn.hidden, rnn.hidden]),
                    product(&[upper, gates(rnn), rnn.hidden, 2 * rnn.hidden + context]),
                    product(&[rnn.hidden, rnn.hidden + width]),
                    product(&[decoder.attention.hidden, rnn.hidden]),
                ])
            }
            DecoderConfig::Cnn(_) => 0,
        };
        encoder.saturating_add(decoder)
    }

    /// Bytes of the filters of all layers in the form for products, which are kept for the backward pass; and of the operands and
    /// results of one convolution's products.
    fn convolution_bytes(&self, batch: BatchTokens, precision: Precision) -> [u64; 2] {
        let number = if precision == Precision::Bf16 { 2 } else { F32_BYTES };
        let of = |cnn: &CnnConfig, tokens: u64| {
            if cnn.kernel_width < 2 {
                return [0; 2];
            }
            let filtering = match precision {
                Precision::F32 => Filtering::fewest(cnn.kernel_width),
                Precision::Bf16 => Filtering::fours(cnn.kernel_width),
            };
            let (units, outputs) = (cnn.hidden, cnn.hidden.saturating_mul(fan_in(cnn) as usize));
            let filters = product(&[outputs, units, filtering.terms().iter().sum()]);
            // Rows of each product for a whole tile of four tokens.
            let rows = filtering.rows(std::slice::from_ref(&(0..4)));
            let inputs: usize = rows.iter().zip(filtering.terms()).map(|(rows, terms)| rows * terms).sum();
            let per_tile = product(&[units, inputs]).saturating_add(product(&[outputs, rows.iter().sum()]));
            let operands =
                (tokens / 4).saturating_mul(per_tile).saturating_add(filters).saturating_mul(F32_BYTES);
            [filters.saturating_mul(number).saturating_mul(cnn.layers as u64), operands]
        };
        let encoder = match &self.encoder {
            EncoderConfig::Cnn(cnn) => of(cnn, batch.source),
            EncoderConfig::Rnn(_) => [0; 2],
        };
        let decoder = match &self.decoder {
            DecoderConfig::Cnn(cnn) => of(cnn, batch.target),
            DecoderConfig::Rnn(_) => [0; 2],
        };
        [encoder[0].saturating_add(decoder[0]), encoder[1].max(decoder[1])]
    }
}

/// Outputs of a convolution for each of its units.
fn fan_in(cnn: &CnnConfig) -> u64 {
    match cnn.activation {
        kokanee_contract::algorithms::seq2seq::CnnActivationType::Glu => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use kokanee_contract::algorithms::seq2seq::{Hyperparameters, NetworkType};

    use super::*;

    fn config(change: fn(&mut Hyperparameters), vocabulary: usize) -> ModelConfig {
        let mut h = Hyperparameters { rnn_num_hidden: 64, cnn_num_hidden: 64, ..Hyperparameters::default() };
        change(&mut h);
        ModelConfig::new(&h, vocabulary, vocabulary).unwrap()
    }

    #[test]
    fn parameters_take_what_a_model_of_them_takes() {
        for change in [
            |_: &mut Hyperparameters| {},
            |h: &mut Hyperparameters| (h.encoder_type, h.decoder_type) = (NetworkType::Cnn, NetworkType::Cnn),
        ] {
            let config = config(change, 50);
            let bytes = sum(config.parameter_bytes().unwrap().into_iter().map(|(_, _, bytes)| bytes));
            assert_eq!(bytes, 4 * Model::zeros(config).unwrap().parameters().size() as u64);
        }
    }

    /// The largest possible sizes, and larger ones, which only a damaged file has.
    #[test]
    fn no_size_overflows() {
        let batch = BatchTokens { source: u64::MAX / 2, target: u64::MAX / 2, source_length: 1 << 32 };
        let mut largest = config(
            |h| {
                (h.rnn_num_hidden, h.num_layers_encoder, h.num_layers_decoder) = (65_536, 64, 64);
                (h.num_embed_source, h.num_embed_target) = (65_536, 65_536);
            },
            1 << 24,
        );
        let EncoderConfig::Rnn(rnn) = &mut largest.encoder else { panic!("an RNN") };
        rnn.layers = 1 << 10;
        let convolutional = CnnConfig {
            layers: 1 << 10,
            hidden: 1 << 24,
            kernel_width: 4095,
            activation: kokanee_contract::algorithms::seq2seq::CnnActivationType::Glu,
            positions: 1 << 24,
        };
        let convolutional = ModelConfig {
            encoder: EncoderConfig::Cnn(convolutional.clone()),
            decoder: DecoderConfig::Cnn(convolutional),
            ..largest.clone()
        };
        for config in [largest, convolutional] {
            for precision in [Precision::F32, Precision::Bf16] {
                let update = config.update_bytes(batch, precision).unwrap();
                assert!(update.values > 1 << 60 && update.gradients > 1 << 40, "{update:?}");
            }
            assert!(config.decoder_bytes(Format::Int8).unwrap().total() > 1 << 40);
        }
    }
}
