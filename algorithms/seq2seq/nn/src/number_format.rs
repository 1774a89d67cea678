//! The check that a model can answer with its weights in a number format.

use kokanee_kernels::packed::Format;
use kokanee_tensor::Shape;

use crate::{Model, ModelConfig, params};

/// A model that cannot answer in a number format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this model cannot answer in {}: a sum in that format has room for {most} inputs, and {layers}; answer in bf16 or f32, or train \
     a model with fewer units or narrower kernels", format!("{format:?}").to_lowercase()
)]
pub struct FormatError {
    format: Format,
    most: usize,
    /// Each layer with more inputs, and their number.
    layers: String,
}

impl ModelConfig {
    /// Checks that a model of this configuration can be decoded in `format`.
    ///
    /// # Errors
    /// Names every layer whose sums have too many terms for the format.
    pub fn check_format(&self, format: Format) -> Result<(), FormatError> {
        let (Some(most), Ok(shapes)) = (format.most_inputs(), Model::shapes(self)) else { return Ok(()) };
        let is_multiplied = |name: &str| !params::is_table(name) || self.ties_target_and_output();
        let inputs =
            |shape: &Shape| shape.extents().iter().skip(1).fold(1usize, |all, &one| all.saturating_mul(one));
        let too_wide: Vec<String> = shapes
            .iter()
            .filter(|(name, shape)| is_multiplied(name) && inputs(shape) > most)
            .map(|(name, shape)| format!("{name} {shape} has {}", inputs(shape)))
            .collect();
        if too_wide.is_empty() {
            return Ok(());
        }
        Err(FormatError { format, most, layers: too_wide.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use kokanee_contract::algorithms::seq2seq::{Hyperparameters, NetworkType};

    use super::*;

    fn convolutional(kernel_width: usize) -> ModelConfig {
        let h = Hyperparameters {
            encoder_type: NetworkType::Cnn,
            decoder_type: NetworkType::Cnn,
            num_layers_encoder: 2,
            cnn_num_hidden: 64,
            cnn_kernel_width_encoder: kernel_width,
            ..Hyperparameters::default()
        };
        ModelConfig::new(&h, 10, 10).unwrap()
    }

    #[test]
    fn layers_that_a_format_has_no_room_for_are_named() {
        let wide = convolutional(2081);
        let error = wide.check_format(Format::Int8).unwrap_err().to_string();
        for part in [
            "cannot answer in int8",
            "room for 133144 inputs",
            "encoder_cnn_0_conv_weight (128 x 64 x 2081) has 133184, encoder_cnn_1_conv_weight",
            "answer in bf16 or f32",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("decoder"), "{error}");
        assert_eq!(wide.check_format(Format::Bf16), Ok(()));
        assert_eq!(wide.check_format(Format::F32), Ok(()));
        assert_eq!(convolutional(2079).check_format(Format::Int8), Ok(()));
        let h = Hyperparameters {
            rnn_num_hidden: 65536,
            rnn_attention_num_hidden: Some(65536),
            ..Hyperparameters::default()
        };
        assert_eq!(ModelConfig::new(&h, 1 << 24, 1 << 24).unwrap().check_format(Format::Int8), Ok(()));
    }

    #[test]
    fn a_rate_that_is_1_in_single_precision_is_refused() {
        let mut config = convolutional(3);
        config.dropout.cnn_hidden = 0.99999999;
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("dropout.cnn_hidden is 0.99999999, but must be in [0, 1)"), "{error}");
        config.dropout.cnn_hidden = 0.9999999;
        assert_eq!(config.check(), Ok(()));
    }
}
