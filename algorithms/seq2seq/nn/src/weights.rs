//! The parameters of a model as a decoder keeps them: each weight laid out in one number format, each table in the same, and only
//! vectors (biases, and the scores of an attention) as values.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::Team;
use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_tensor::ops::{Filters, Table, Weight};
use kokanee_tensor::{Shape, Tensor, Var};

use crate::params::{self, ParameterId, Parameters};
use crate::{Model, ModelConfig};

/// Parameters laid out for products.
///
/// What layers ask for is laid out the first time, from the model's values; then it is here. Once everything was asked for,
/// [`Weights::close`] lets go of the model: nothing else holds its values, since layers get what is kept here and no more.
pub(crate) struct Weights {
    format: Format,
    /// The model's, until everything that layers ask for is here.
    model: Option<Parameters>,
    kept: Vec<Kept>,
}

/// What is kept of one parameter: in the end, one of the three, but for a table that is the output layer too.
#[derive(Default)]
struct Kept {
    values: OnceCell<Var>,
    table: OnceCell<Table>,
    /// The matrix for each range of columns that has one of its own.
    matrices: RefCell<Vec<(Range<usize>, Arc<PackedMatrix>)>>,
}

/// A model that cannot answer in a number format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this model cannot answer in {}: a sum in that format has room for {most} inputs, and {layers}; answer in bf16 or f32, or train \
     a model with fewer units or narrower kernels", format!("{format:?}").to_lowercase()
)]
pub struct FormatError {
    format: Format,
    most: usize,
    /// Each layer that has more, and how many.
    layers: String,
}

impl ModelConfig {
    /// Whether a model of this configuration can be decoded in `format`.
    ///
    /// # Errors
    /// Names every layer whose sums the format has no room for.
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

impl Weights {
    /// The parameters of a model, of which nothing is laid out yet.
    pub(crate) fn new(parameters: &Parameters, format: Format) -> Weights {
        let kept = parameters.iter().map(|_| Kept::default()).collect();
        Weights { format, model: Some(parameters.clone()), kept }
    }

    /// Lets go of the model. What was not asked for before, nobody may ask for after.
    pub(crate) fn close(&mut self) {
        self.model = None;
    }

    /// Bytes of everything.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.iter().map(Kept::bytes).sum()
    }

    /// A parameter as it is.
    pub(crate) fn values(&self, id: ParameterId) -> &Var {
        // A copy: the model's values may lie among those of its weights, and hold on to their memory.
        self.kept[id.0].values.get_or_init(|| Var::constant(self.of_model(id).clone()))
    }

    /// Some columns of a weight, or all.
    pub(crate) fn matrix(&self, team: &Team, id: ParameterId, columns: Option<Range<usize>>) -> Weight {
        let pack = |columns: Range<usize>| {
            PackedMatrix::pack(team, self.format, self.of_model(id).mat_columns(columns))
        };
        Weight::Packed(self.laid_out(id, columns, pack))
    }

    /// Filters, with the bias given.
    pub(crate) fn filters(
        &self,
        team: &Team,
        id: ParameterId,
        bias: ParameterId,
        window: kokanee_kernels::conv::Window,
    ) -> Filters {
        let lay_out = |_| Filters::lay_out(team, self.format, self.of_model(id));
        Filters::packed(self.laid_out(id, None, lay_out), self.values(bias), window)
    }

    /// A table.
    pub(crate) fn table(&self, team: &Team, id: ParameterId) -> Table {
        let pack = || Table::pack(team, self.format, &self.model().get(id).value);
        self.kept[id.0].table.get_or_init(pack).clone()
    }

    fn laid_out(
        &self,
        id: ParameterId,
        columns: Option<Range<usize>>,
        lay_out: impl FnOnce(Range<usize>) -> PackedMatrix,
    ) -> Arc<PackedMatrix> {
        /// How a parameter's first matrix is asked for where it is all of it.
        const WHOLE: Range<usize> = 0..usize::MAX;
        let asked_for = columns.clone().unwrap_or(WHOLE);
        let mut matrices = self.kept[id.0].matrices.borrow_mut();
        if let Some((_, matrix)) = matrices.iter().find(|(range, _)| *range == asked_for) {
            return Arc::clone(matrix);
        }
        let matrix = Arc::new(lay_out(columns.unwrap_or(0..self.of_model(id).cols())));
        matrices.push((asked_for, Arc::clone(&matrix)));
        matrix
    }

    fn of_model(&self, id: ParameterId) -> &Tensor {
        &self.model().get(id).value
    }

    fn model(&self) -> &Parameters {
        self.model.as_ref().expect("a decoder asks for the same weights at every step")
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        let values = self.values.get().map_or(0, |var| size_of_val(var.value().data()));
        let table = self.table.get().map_or(0, Table::bytes);
        values + table + self.matrices.borrow().iter().map(|(_, matrix)| matrix.bytes()).sum::<usize>()
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
