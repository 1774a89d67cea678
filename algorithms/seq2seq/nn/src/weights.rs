//! The parameters of a model in a decoder's form: each weight laid out in one number format, each table in the same, and only
//! vectors (biases, and the scores of an attention) as values.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::Team;
use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_tensor::ops::{Filters, Table, Weight};
use kokanee_tensor::{Tensor, Var};

use crate::params::{ParameterId, Parameters};

/// Parameters laid out for products.
///
/// A parameter that a layer asks for is laid out the first time, from the model's values, and then kept here. Once everything was
/// asked for, [`Weights::close`] releases the model: nothing else holds its values, since layers get only what is kept here.
pub(crate) struct Weights {
    format: Format,
    /// The model's parameters, until everything that layers ask for is here.
    model: Option<Parameters>,
    kept: Vec<Kept>,
}

/// The kept forms of one parameter: in the end only one of the three, except for a table that is the output layer too.
#[derive(Default)]
struct Kept {
    values: OnceCell<Var>,
    table: OnceCell<Table>,
    /// The matrix for each range of columns that is laid out separately.
    matrices: RefCell<Vec<(Range<usize>, Arc<PackedMatrix>)>>,
}

impl Weights {
    /// The parameters of a model, with nothing laid out yet.
    pub(crate) fn new(parameters: &Parameters, format: Format) -> Weights {
        let kept = parameters.iter().map(|_| Kept::default()).collect();
        Weights { format, model: Some(parameters.clone()), kept }
    }

    /// Releases the model. Parameters that were not asked for before cannot be asked for afterwards.
    pub(crate) fn close(&mut self) {
        self.model = None;
    }

    /// Bytes of everything.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.iter().map(Kept::bytes).sum()
    }

    /// A parameter as it is.
    pub(crate) fn values(&self, id: ParameterId) -> &Var {
        // The values are copied: those of the model may lie among its weights, and would keep their memory.
        self.kept[id.0].values.get_or_init(|| Var::constant(self.of_model(id).clone()))
    }

    /// Some columns of a weight, or all.
    pub(crate) fn matrix(&self, team: &Team, id: ParameterId, columns: Option<Range<usize>>) -> Weight {
        let pack = |columns: Range<usize>| {
            PackedMatrix::pack(team, self.format, self.of_model(id).mat_columns(columns))
        };
        Weight::Packed(self.laid_out(id, columns, pack))
    }

    /// Filters, with the given bias.
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
        /// The range under which a parameter's whole matrix is kept.
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
