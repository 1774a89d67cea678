//! Stochastic gradient descent as MXNet computes it.

use kokanee_contract::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::optimizer;
use kokanee_nn::Parameters;
use kokanee_tensor::Tensor;

use super::{Slope, Step, Weight, element_limit, zeros};

const LAST: &str = "b";

/// Gradient descent and, with momentum, the last update.
///
/// Without momentum `w = (1 - lr wd) w - lr clip(gradient)`; with it `b = momentum b - lr wd w - lr clip(gradient)`, `w += b`:
/// the decay is outside the clip.
#[derive(Clone, Debug)]
pub struct Sgd {
    weight_decay: f32,
    clip: f32,
    momentum: Option<Momentum>,
}

#[derive(Clone, Debug)]
struct Momentum {
    momentum: f32,
    last: Vec<Tensor>,
}

/// The momentum; 0 is none.
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

    pub(super) fn update(&mut self, team: &Team, weight: Weight<'_>, step: Step) {
        let rule = optimizer::Sgd {
            rate: step.learning_rate as f32,
            momentum: self.momentum.as_ref().map_or(0.0, |m| m.momentum),
            weight_decay: if weight.decays { self.weight_decay } else { 0.0 },
            clip: self.clip,
        };
        let last = self.momentum.as_mut().map(|m| m.last[weight.index].data_mut());
        match (weight.slope, last) {
            // Without decay, and where no gradient came, weights stay as they are.
            (Slope::Dense(None), None) if rule.weight_decay == 0.0 => {}
            (Slope::Dense(gradient), None) => optimizer::sgd(team, rule, weight.values, gradient),
            (Slope::Rows(gradient), None) => optimizer::sgd_rows(team, rule, weight.values, gradient),
            (Slope::Dense(gradient), Some(b)) => optimizer::momentum(team, rule, weight.values, b, gradient),
            (Slope::Rows(gradient), Some(b)) => {
                optimizer::momentum_rows(team, rule, weight.values, b, gradient);
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
