//! Gaussian processes on the unit cube: Matérn-5/2 or its smooth limit, plus a sum of functions of one dimension each, with one length per
//! dimension, inferred noise, and warped inputs.
//!
//! n points, d columns. Points are flat arrays \[n, d\]; targets \[n\] are standardised.

mod cholesky;
mod fit;
mod kernel;
mod likelihood;
mod parameters;
mod posterior;
mod sample;
mod targets;

pub(crate) use self::fit::{Effort, Fitted, fit, refit};
pub(crate) use self::parameters::{Column, Smoothness};
pub(crate) use self::posterior::Posterior;
pub(crate) use self::sample::sample;
pub(crate) use self::targets::Normalized;

/// The data that a process is conditioned on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    pub(crate) columns: Vec<Column>,
    /// \[n, d\]
    pub(crate) points: Vec<f64>,
    /// \[n\]
    pub(crate) targets: Vec<f64>,
}

impl Data {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, ..Self::default() }
    }

    pub(crate) fn push(&mut self, point: &[f64], target: f64) {
        debug_assert_eq!(point.len(), self.columns.len());
        self.points.extend_from_slice(point);
        self.targets.push(target);
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn point(&self, index: usize) -> &[f64] {
        let d = self.columns.len();
        &self.points[index * d..(index + 1) * d]
    }
}
