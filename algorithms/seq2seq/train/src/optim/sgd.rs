//! Stochastic gradient descent, as in MXNet.

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::optimizer;
use kokanee_seq2seq_nn::Parameters;
use kokanee_tensor::Tensor;

use super::{Slope, Step, Weight, element_limit, zeros};

const LAST: &str = "b";

/// Gradient descent and, with momentum, the last update.
///
/// Without momentum `w = (1 - lr wd) w - lr clip(gradient)`; with it `b = momentum b - lr wd w - lr clip(gradient)`, `w += b`:
/// the decay is outside the clip.
#[derive(Clone, Debug)]
pub(super) struct Sgd {
    weight_decay: f32,
    clip: f32,
    momentum: Option<Momentum>,
}

#[derive(Clone, Debug)]
struct Momentum {
    momentum: f32,
    last: Vec<Tensor>,
}

/// The momentum; none for 0.
pub(super) fn momentum(h: &Hyperparameters) -> Option<f64> {
    h.momentum.filter(|&momentum| momentum > 0.0)
}

impl Sgd {
    pub(super) fn new(h: &Hyperparameters, parameters: &Parameters) -> Sgd {
        Sgd {
            weight_decay: h.weight_decay as f32,
            clip: element_limit(h),
            momentum: momentum(h)
                .map(|momentum| Momentum { momentum: momentum as f32, last: zeros(parameters) }),
        }
    }

    pub(super) fn apply(&mut self, team: &Team, weight: Weight<'_>, slope: Slope<'_>) -> bool {
        let constants = optimizer::Sgd {
            rate: 0.0,
            momentum: self.momentum.as_ref().map_or(0.0, |m| m.momentum),
            weight_decay: if weight.decays { self.weight_decay } else { 0.0 },
            clip: self.clip,
        };
        let rule = |step: &Step| optimizer::Sgd { rate: step.learning_rate as f32, ..constants };
        let w = weight.values;
        let last = self.momentum.as_mut().map(|m| m.last[weight.index].data_mut());
        match (slope, last) {
            // Without decay and without a gradient, weights stay as they are.
            (Slope::Dense(_, None) | Slope::Stale(..), None) if constants.weight_decay == 0.0 => true,
            (Slope::Dense(step, gradient), None) => optimizer::sgd(team, rule(&step), w, gradient),
            (Slope::Rows(step, gradient), None) => optimizer::sgd_rows(team, rule(&step), w, gradient),
            (Slope::Stale(steps, rows), None) => {
                optimizer::sgd_replay(team, &steps.iter().map(rule).collect::<Vec<_>>(), w, rows);
                true
            }
            (Slope::Dense(step, gradient), Some(b)) => optimizer::momentum(team, rule(&step), w, b, gradient),
            (Slope::Rows(step, gradient), Some(b)) => {
                optimizer::momentum_rows(team, rule(&step), w, b, gradient)
            }
            (Slope::Stale(steps, rows), Some(b)) => {
                optimizer::momentum_replay(team, &steps.iter().map(rule).collect::<Vec<_>>(), w, b, rows);
                true
            }
        }
    }

    pub(super) fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        self.momentum.iter().map(|momentum| (LAST, &*momentum.last)).collect()
    }

    pub(super) fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        let momentum = self.momentum.as_mut().filter(|_| kind == LAST)?;
        Some(&mut momentum.last)
    }
}
