//! Adam (Kingma and Ba 2015) as MXNet computes it.

use std::sync::Arc;

use kokanee_contract::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::optimizer::{self, SparseRows};
use kokanee_nn::{Parameters, params};
use kokanee_tensor::{Gradient, Tensor};

use super::{Step, clip_limit};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;
const FIRST: &str = "m";
const SECOND: &str = "v";

/// Adam and its moments.
///
/// `g = clip(gradient + wd w)`, `m = .9 m + .1 g`, `v = .999 v + .001 g^2`,
/// `w -= lr sqrt(1 - .999^t) / (1 - .9^t) m / (sqrt(v) + 1e-8)`: the decay is inside the clip, the epsilon outside the root and
/// not corrected for bias.
#[derive(Clone, Debug)]
pub struct Adam {
    weight_decay: f32,
    clip: f32,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    pub(super) fn new(h: &Hyperparameters, parameters: &Parameters) -> Adam {
        let zeros = || parameters.iter().map(|p| Tensor::zeros(p.value.shape().clone())).collect();
        Adam {
            weight_decay: h.weight_decay as f32,
            clip: clip_limit(h.clip_gradient),
            first: zeros(),
            second: zeros(),
        }
    }

    pub(super) fn update(
        &mut self,
        team: &Team,
        parameters: &mut Parameters,
        gradients: &[Option<Gradient>],
        step: Step,
    ) {
        // Powers beyond this are zero in any precision.
        let t = step.update.min(1 << 30) as i32;
        let correction = (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t));
        let constants = optimizer::Adam {
            rate: (step.learning_rate * correction) as f32,
            beta1: BETA1 as f32,
            beta2: BETA2 as f32,
            epsilon: EPSILON,
            weight_decay: 0.0,
            clip: self.clip,
        };
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (m, v)) in parameters.iter_mut().zip(gradients).zip(moments) {
            let weight_decay = if params::is_weight(&parameter.name) { self.weight_decay } else { 0.0 };
            let constants = optimizer::Adam { weight_decay, ..constants };
            // The tape is gone, so nobody else holds the tensor and nothing is copied.
            let weights = Arc::make_mut(&mut parameter.value).data_mut();
            let (m, v) = (m.data_mut(), v.data_mut());
            match gradient {
                None => optimizer::adam(team, constants, weights, m, v, None),
                Some(Gradient::Dense(gradient)) => {
                    optimizer::adam(team, constants, weights, m, v, Some(gradient.data()));
                }
                Some(Gradient::Rows(gradient)) => {
                    let width = gradient.shape.cols();
                    let rows = SparseRows { rows: &gradient.rows, values: gradient.values.data(), width };
                    optimizer::adam_rows(team, constants, weights, m, v, rows);
                }
            }
        }
    }

    pub(super) fn state(&self) -> [(&'static str, &[Tensor]); 2] {
        [(FIRST, &self.first), (SECOND, &self.second)]
    }

    pub(super) fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        match kind {
            FIRST => Some(&mut self.first),
            SECOND => Some(&mut self.second),
            _ => None,
        }
    }
}
