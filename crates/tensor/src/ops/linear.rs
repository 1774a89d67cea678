//! y = x W' + b, for all tokens as one product.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::packed::PackedMatrix;
use kokanee_kernels::{Mat, elementwise, gemm, reduce};

use crate::{Slot, Tape, Tensor, Var};

/// A weight N x K of products `x W'`.
#[derive(Clone)]
pub enum Weight {
    /// A variable, or some of its columns.
    Columns(Columns),
    /// Only laid out for products: for tapes that do not record. Each row of such a product has the same bits whatever other rows
    /// there are and however many threads compute it.
    Packed(Arc<PackedMatrix>),
}

/// Some columns of a variable N x K: a concatenated input is multiplied by its part of the weight without a copy.
#[derive(Clone, Debug)]
pub struct Columns {
    pub(crate) var: Var,
    pub(crate) columns: Range<usize>,
}

impl Weight {
    /// All columns.
    pub fn whole(var: &Var) -> Weight {
        Weight::columns(var, 0..var.value().cols())
    }

    /// The columns given.
    pub fn columns(var: &Var, columns: Range<usize>) -> Weight {
        assert!(columns.end <= var.value().cols(), "columns {columns:?} of {}", var.value().shape());
        Weight::Columns(Columns { columns, var: var.clone() })
    }

    /// The number of outputs N.
    pub fn outputs(&self) -> usize {
        match self {
            Weight::Columns(weight) => weight.var.value().rows(),
            Weight::Packed(matrix) => matrix.outputs(),
        }
    }

    /// The number of inputs K of these columns.
    pub fn inputs(&self) -> usize {
        match self {
            Weight::Columns(weight) => weight.columns.len(),
            Weight::Packed(matrix) => matrix.inputs(),
        }
    }
}

impl Columns {
    /// The view N x K of these columns.
    pub(crate) fn mat(&self) -> Mat<'_> {
        self.var.value().mat_columns(self.columns.clone())
    }
}

/// Computes `x W' + sum of biases`: R x N from `x` R x K, `weight` N x K, biases of N each.
///
/// Backward, from dy: `dx = dy W`, `dW = dy' x` (one product over all rows), `db = column sums of dy`.
pub fn linear(tape: &Tape, x: &Var, weight: &Weight, biases: &[&Var]) -> Var {
    let (rows, outputs) = (x.value().rows(), weight.outputs());
    assert_eq!(x.value().cols(), weight.inputs(), "inputs of a linear layer");
    let mut y = Tensor::scratch([rows, outputs]);
    let beta = if biases.is_empty() {
        0.0
    } else {
        let biases: Vec<&[f32]> = biases.iter().map(|b| b.value().data()).collect();
        elementwise::fill_rows(tape.team(), y.data_mut(), &biases);
        1.0
    };
    let weight = match weight {
        Weight::Packed(matrix) => {
            assert!(!tape.is_recording(), "gradients go through weights as they are");
            matrix.multiply(tape.team(), x.value().data(), y.data_mut(), beta);
            return tape.constant(y);
        }
        Weight::Columns(weight) => weight,
    };
    gemm(tape.team(), tape.precision(), y.mat_mut(), beta, x.value().mat(), weight.mat().t());
    let inputs = [x.slot(), weight.var.slot()].into_iter().chain(biases.iter().map(|b| b.slot()));
    let y = tape.result(y, inputs);
    if y.wants_gradient() {
        let (dy, x, weight) = (y.slot(), x.clone(), weight.clone());
        let biases: Vec<(Slot, crate::Shape)> =
            biases.iter().map(|b| (b.slot(), b.value().shape().clone())).collect();
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            for (bias, shape) in &biases {
                gradients.accumulate(*bias, shape, |team, sum, beta| {
                    reduce::column_sums(team, sum.data_mut(), beta, d.data());
                });
            }
            if weight.var.wants_gradient() {
                add_weight_gradient(gradients, &weight, d.mat(), x.value().mat());
            }
            let precision = gradients.precision();
            gradients.accumulate(&x, x.value().shape(), |team, sum, beta| {
                gemm(team, precision, sum.mat_mut(), beta, d.mat(), weight.mat());
            });
        });
    }
    y
}

/// `dW[:, columns] += dy' x`.
pub(crate) fn add_weight_gradient(
    gradients: &mut crate::Gradients,
    weight: &Columns,
    dy: Mat<'_>,
    x: Mat<'_>,
) {
    let (shape, precision) = (weight.var.value().shape(), gradients.precision());
    if weight.columns.len() == weight.var.value().cols() {
        gradients.accumulate(&weight.var, shape, |team, sum, beta| {
            gemm(team, precision, sum.mat_mut(), beta, dy.t(), x);
        });
    } else {
        gradients.accumulate_part(&weight.var, shape, |team, sum| {
            let sum = sum.mat_columns_mut(weight.columns.clone());
            gemm(team, precision, sum, 1.0, dy.t(), x);
        });
    }
}
