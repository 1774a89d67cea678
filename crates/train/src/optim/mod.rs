//! Optimizers: from gradients to updates.

mod adam;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use kokanee_contract::{Hyperparameters, OptimizerType};
use kokanee_kernels::Team;
use kokanee_nn::Parameters;
use kokanee_tensor::{Gradient, Tensor};

use crate::TrainError;
use adam::Adam;

/// An optimizer with its state, one tensor of each kind for every parameter.
///
/// Formulas: Sockeye 1.x through MXNet, section "Optimizers, clipping, weight decay" of its semantics: weight decay applies to
/// weights and embeddings and not to biases, gradients are clipped element by element.
#[derive(Clone, Debug)]
pub enum Optimizer {
    /// Adam.
    Adam(Adam),
}

/// What one update is done with.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Number of the update, from 1.
    pub update: u64,
    /// Learning rate of this update.
    pub learning_rate: f64,
}

impl Optimizer {
    /// The optimizer that hyperparameters ask for, with a fresh state for `parameters`.
    ///
    /// # Errors
    /// When it is not built.
    pub fn new(h: &Hyperparameters, parameters: &Parameters) -> Result<Optimizer, TrainError> {
        match h.optimizer_type {
            OptimizerType::Adam => Ok(Optimizer::Adam(Adam::new(h, parameters))),
            other => Err(TrainError::NotBuilt(format!(
                "this version of Kokanee has no optimizer `{other}`: use adam"
            ))),
        }
    }

    /// Updates every parameter. `gradients` come in the order of `parameters`; where there is none it is zero.
    pub fn update(
        &mut self,
        team: &Team,
        parameters: &mut Parameters,
        gradients: &[Option<Gradient>],
        step: Step,
    ) {
        assert_eq!(gradients.len(), parameters.len(), "one gradient a parameter");
        match self {
            Optimizer::Adam(adam) => adam.update(team, parameters, gradients, step),
        }
    }

    /// The state by kind: its name, and one tensor for each parameter in order.
    pub fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        match self {
            Optimizer::Adam(adam) => adam.state().into(),
        }
    }

    /// Takes over the tensors of one kind of state, named as the parameters.
    ///
    /// # Errors
    /// Says which tensor is missing or misshapen.
    pub fn load(
        &mut self,
        kind: &str,
        parameters: &Parameters,
        mut named: HashMap<String, Tensor>,
    ) -> Result<(), String> {
        let own = match self {
            Optimizer::Adam(adam) => adam.state_mut(kind),
        };
        let own = own.ok_or_else(|| format!("this optimizer keeps no `{kind}`"))?;
        for (tensor, parameter) in own.iter_mut().zip(parameters.iter()) {
            let loaded =
                named.remove(&parameter.name).ok_or_else(|| format!("{} is missing", parameter.name))?;
            if loaded.shape() != tensor.shape() {
                let (got, want) = (loaded.shape(), tensor.shape());
                return Err(format!("{} is {got} and should be {want}", parameter.name));
            }
            *tensor = loaded;
        }
        match named.into_keys().min() {
            Some(name) => Err(format!("{name} belongs to no parameter")),
            None => Ok(()),
        }
    }
}

/// Tensors of state that an optimizer keeps for each parameter, for estimates of memory.
pub fn state_tensors(optimizer: OptimizerType) -> usize {
    match optimizer {
        OptimizerType::Adam => 2,
        OptimizerType::Rmsprop | OptimizerType::Sgd => 1,
    }
}

/// The clipping threshold for kernels: infinite when negative, which is off.
fn clip_limit(clip_gradient: f64) -> f32 {
    if clip_gradient < 0.0 { f32::INFINITY } else { clip_gradient as f32 }
}
