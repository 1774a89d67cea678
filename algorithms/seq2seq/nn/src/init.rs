//! Initial values of parameters, by the rules of Sockeye 1.x: orthogonal recurrent weights, xavier or uniform others, zero biases.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, WeightInitType, XavierFactorType};
use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm};
use kokanee_tensor::{Shape, Tensor};

use crate::params::{self, Parameters};
use crate::random::Stream;

/// Orthogonal matrices are multiplied by this (Sockeye's constant for the square root of 2).
const ORTHOGONAL_SCALE: f32 = 1.414;

/// The options for initialising parameters.
#[derive(Clone, Copy, Debug)]
pub struct Initialisation {
    /// Distribution of weights other than recurrent ones.
    pub kind: WeightInitType,
    /// Scale of that distribution.
    pub scale: f64,
    /// The divisor of the scale for xavier.
    pub factor: XavierFactorType,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl From<&Hyperparameters> for Initialisation {
    fn from(h: &Hyperparameters) -> Self {
        Initialisation {
            kind: h.weight_init_type,
            scale: h.weight_init_scale,
            factor: h.xavier_factor_type,
            seed: h.seed,
        }
    }
}

impl Initialisation {
    /// Draws all parameters. Each has its own random stream, so that one model's parameters do not shift when another is added.
    pub fn apply(&self, parameters: &mut Parameters, team: &Team) {
        for parameter in parameters.iter_mut() {
            let mut tensor = Tensor::lasting(parameter.value.shape().clone());
            if params::is_recurrent_weight(&parameter.name) {
                self.orthogonal(&parameter.name, &mut tensor, team);
            } else if params::is_weight(&parameter.name) {
                let limit = self.limit(tensor.shape());
                let mut stream = self.stream(&parameter.name);
                tensor.data_mut().iter_mut().for_each(|x| *x = stream.symmetric(limit));
            }
            parameter.value = Arc::new(tensor);
        }
    }

    fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, &format!("initialisation of {name}"))
    }

    /// The limit of uniform weights, on both sides of 0. Fan-in is the inputs of one output, fan-out the outputs of one input
    /// (Glorot and Bengio 2010); kernel widths count on both sides.
    fn limit(&self, shape: &Shape) -> f32 {
        let scale = self.scale.abs();
        match self.kind {
            WeightInitType::Uniform => scale as f32,
            WeightInitType::Xavier => {
                let extents = shape.extents();
                let width: usize = extents[2..].iter().product();
                let (fan_in, fan_out) = ((extents[1] * width) as f64, (extents[0] * width) as f64);
                let factor = match self.factor {
                    XavierFactorType::In => fan_in,
                    XavierFactorType::Out => fan_out,
                    XavierFactorType::Avg => (fan_in + fan_out) / 2.0,
                };
                (scale / factor).sqrt() as f32
            }
        }
    }

    /// Computes orthonormal columns times 1.414: the polar factor of a uniform random matrix, by Newton and Schulz's iteration
    /// `X <- X (3 - X'X) / 2`, which needs only products. Sockeye takes the left factor of a singular value decomposition. That
    /// differs from the polar factor by a rotation that is itself random, so both draw from the same kind of matrices.
    fn orthogonal(&self, name: &str, tensor: &mut Tensor, team: &Team) {
        /// Enough for singular values a factor of 100 apart; those of a tall random matrix are less than 4 apart.
        const ROUNDS: usize = 24;
        let (rows, cols) = (tensor.rows(), tensor.cols());
        assert!(rows >= cols, "recurrent weights have several rows a unit");
        let mut stream = self.stream(name);
        // The largest singular value of such a matrix is about sqrt(rows / 3) + sqrt(cols / 3); the iteration needs it below
        // sqrt(3) and is fastest near 1.
        let norm = (rows as f32 / 3.0).sqrt() + (cols as f32 / 3.0).sqrt();
        tensor.data_mut().iter_mut().for_each(|x| *x = stream.symmetric(1.0) / norm);
        let mut gram = Tensor::scratch([cols, cols]);
        let mut next = Tensor::scratch([rows, cols]);
        for _ in 0..ROUNDS {
            gemm(team, Precision::F32, gram.mat_mut(), 0.0, tensor.mat().t(), tensor.mat());
            let mut error = 0f32;
            for (i, row) in gram.data_mut().chunks_exact_mut(cols).enumerate() {
                for (j, x) in row.iter_mut().enumerate() {
                    let unit = if i == j { 1.0 } else { 0.0 };
                    error = error.max((*x - unit).abs());
                    *x = 0.5 * (3.0 * unit - *x);
                }
            }
            if error < 1e-6 {
                break;
            }
            let target = MatMut::new(next.data_mut(), rows, cols);
            gemm(team, Precision::F32, target, 0.0, tensor.mat(), Mat::new(gram.data(), cols, cols));
            std::mem::swap(tensor, &mut next);
        }
        tensor.data_mut().iter_mut().for_each(|x| *x *= ORTHOGONAL_SCALE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Builder;

    fn draw(kind: WeightInitType, factor: XavierFactorType, shapes: &[(&str, &[usize])]) -> Parameters {
        let mut builder = Builder::default();
        for (name, shape) in shapes {
            builder.add(*name, *shape);
        }
        let mut parameters = builder.zeros();
        Initialisation { kind, scale: 2.34, factor, seed: 13 }.apply(&mut parameters, &Team::new(2));
        parameters
    }

    #[test]
    fn recurrent_weights_have_orthogonal_columns() {
        for (rows, cols) in [(4, 1), (12, 4), (96, 32), (64, 16), (2048, 512)] {
            let drawn =
                draw(WeightInitType::Xavier, XavierFactorType::In, &[("a_h2h_weight", &[rows, cols])]);
            let w = &drawn.iter().next().unwrap().value;
            let mut gram = vec![0.0; cols * cols];
            gemm(
                &Team::new(1),
                Precision::F32,
                MatMut::new(&mut gram, cols, cols),
                0.0,
                w.mat().t(),
                w.mat(),
            );
            for i in 0..cols {
                for j in 0..cols {
                    let want = if i == j { ORTHOGONAL_SCALE * ORTHOGONAL_SCALE } else { 0.0 };
                    let got = gram[i * cols + j];
                    assert!((got - want).abs() < 1e-4, "{rows}x{cols}: {i},{j}: {got}");
                }
            }
        }
    }

    #[test]
    fn other_weights_fill_their_range_and_biases_are_zero() {
        for (kind, factor, limit) in [
            (WeightInitType::Xavier, XavierFactorType::In, (2.34f32 / 60.0).sqrt()),
            (WeightInitType::Xavier, XavierFactorType::Out, (2.34f32 / 150.0).sqrt()),
            (WeightInitType::Xavier, XavierFactorType::Avg, (2.34f32 / 105.0).sqrt()),
            (WeightInitType::Uniform, XavierFactorType::In, 2.34),
        ] {
            let drawn = draw(kind, factor, &[("a_weight", &[50, 20, 3]), ("a_bias", &[50])]);
            let values: Vec<&Tensor> = drawn.iter().map(|p| &*p.value).collect();
            let largest = values[0].data().iter().fold(0f32, |m, x| m.max(x.abs()));
            assert!(largest <= limit && largest > 0.99 * limit, "{kind} {factor}: {largest} of {limit}");
            assert!(values[1].data().iter().all(|&x| x == 0.0));
        }
    }
}
