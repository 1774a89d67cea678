//! RMSProp (Hinton's lecture 6e, not centred), as in MXNet.

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::optimizer;
use kokanee_seq2seq_nn::Parameters;
use kokanee_tensor::Tensor;

use super::{Slope, Step, Weight, element_limit, zeros};

const DECAY: f32 = 0.9;
const EPSILON: f32 = 1e-8;
const MEAN_SQUARE: &str = "n";

/// RMSProp and its mean squares.
///
/// `g = clip(gradient + wd w)`, `n = .9 n + .1 g^2`, `w -= lr g / sqrt(n + 1e-8)`: the decay is inside the clip, the epsilon
/// inside the root.
#[derive(Clone, Debug)]
pub(super) struct RmsProp {
    weight_decay: f32,
    clip: f32,
    mean_square: Vec<Tensor>,
}

impl RmsProp {
    pub(super) fn new(h: &Hyperparameters, parameters: &Parameters) -> RmsProp {
        RmsProp {
            weight_decay: h.weight_decay as f32,
            clip: element_limit(h),
            mean_square: zeros(parameters),
        }
    }

    pub(super) fn apply(&mut self, team: &Team, weight: Weight<'_>, slope: Slope<'_>) -> bool {
        let constants = optimizer::RmsProp {
            rate: 0.0,
            decay: DECAY,
            epsilon: EPSILON,
            weight_decay: if weight.decays { self.weight_decay } else { 0.0 },
            clip: self.clip,
        };
        let rule = |step: &Step| optimizer::RmsProp { rate: step.learning_rate as f32, ..constants };
        let n = self.mean_square[weight.index].data_mut();
        match slope {
            Slope::Dense(step, gradient) => optimizer::rmsprop(team, rule(&step), weight.values, n, gradient),
            Slope::Rows(step, gradient) => {
                optimizer::rmsprop_rows(team, rule(&step), weight.values, n, gradient)
            }
            Slope::Stale(steps, rows) => {
                let rules: Vec<_> = steps.iter().map(rule).collect();
                optimizer::rmsprop_replay(team, &rules, weight.values, n, rows);
                true
            }
        }
    }

    pub(super) fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![(MEAN_SQUARE, &self.mean_square)]
    }

    pub(super) fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        (kind == MEAN_SQUARE).then_some(&mut self.mean_square[..])
    }
}
