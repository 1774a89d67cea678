//! Adam (Kingma and Ba 2015), as in MXNet.

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::optimizer;
use kokanee_seq2seq_nn::Parameters;
use kokanee_tensor::Tensor;

use super::{Slope, Step, Weight, element_limit, zeros};

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
pub(super) struct Adam {
    weight_decay: f32,
    clip: f32,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    pub(super) fn new(h: &Hyperparameters, parameters: &Parameters) -> Adam {
        Adam {
            weight_decay: h.weight_decay as f32,
            clip: element_limit(h),
            first: zeros(parameters),
            second: zeros(parameters),
        }
    }

    pub(super) fn apply(&mut self, team: &Team, weight: Weight<'_>, slope: Slope<'_>) -> bool {
        let weight_decay = if weight.decays { self.weight_decay } else { 0.0 };
        let clip = self.clip;
        let rule = |step: &Step| rule(step, weight_decay, clip);
        let m = self.first[weight.index].data_mut();
        let v = self.second[weight.index].data_mut();
        match slope {
            Slope::Dense(step, gradient) => optimizer::adam(team, rule(&step), weight.values, m, v, gradient),
            Slope::Rows(step, gradient) => {
                optimizer::adam_rows(team, rule(&step), weight.values, m, v, gradient)
            }
            Slope::Stale(steps, rows) => {
                let rules: Vec<_> = steps.iter().map(rule).collect();
                optimizer::adam_replay(team, &rules, weight.values, m, v, rows);
                true
            }
        }
    }

    pub(super) fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![(FIRST, &self.first), (SECOND, &self.second)]
    }

    pub(super) fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        match kind {
            FIRST => Some(&mut self.first),
            SECOND => Some(&mut self.second),
            _ => None,
        }
    }
}

fn rule(step: &Step, weight_decay: f32, clip: f32) -> optimizer::Adam {
    // Powers beyond this are zero in any precision.
    let t = step.update.min(1 << 30) as i32;
    let correction = (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t));
    optimizer::Adam {
        rate: (step.learning_rate * correction) as f32,
        beta1: BETA1 as f32,
        beta2: BETA2 as f32,
        epsilon: EPSILON,
        weight_decay,
        clip,
    }
}
