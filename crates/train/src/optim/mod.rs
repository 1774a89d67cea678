//! Optimizers: from gradients to updates.

mod adam;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use kokanee_contract::{GradientClippingType, Hyperparameters, OptimizerType};
use kokanee_kernels::Team;
use kokanee_kernels::optimizer::SparseRows;
use kokanee_nn::{Parameters, params};
use kokanee_tensor::{Gradient, Tensor};

use adam::Adam;
use rmsprop::RmsProp;
use sgd::Sgd;

/// An optimizer with its state, one tensor of each kind for every parameter.
///
/// Formulas: Sockeye 1.x through MXNet, section "Optimizers, clipping, weight decay" of its semantics: weight decay applies to
/// weights and embeddings and not to biases, gradients are clipped element by element unless `gradient_clipping_type` says
/// otherwise.
#[derive(Clone, Debug)]
pub enum Optimizer {
    /// Adam.
    Adam(Adam),
    /// Stochastic gradient descent, with or without momentum.
    Sgd(Sgd),
    /// RMSProp.
    RmsProp(RmsProp),
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
    pub fn new(h: &Hyperparameters, parameters: &Parameters) -> Optimizer {
        match h.optimizer_type {
            OptimizerType::Adam => Optimizer::Adam(Adam::new(h, parameters)),
            OptimizerType::Sgd => Optimizer::Sgd(Sgd::new(h, parameters)),
            OptimizerType::Rmsprop => Optimizer::RmsProp(RmsProp::new(h, parameters)),
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
        for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let weight = Weight {
                index,
                decays: params::is_weight(&parameter.name),
                // The tape is gone, so nobody else holds the tensor and nothing is copied.
                values: Arc::make_mut(&mut parameter.value).data_mut(),
                slope: Slope::of(gradient.as_ref()),
            };
            match self {
                Optimizer::Adam(adam) => adam.update(team, weight, step),
                Optimizer::Sgd(sgd) => sgd.update(team, weight, step),
                Optimizer::RmsProp(rmsprop) => rmsprop.update(team, weight, step),
            }
        }
    }

    /// The state by kind: its name, and one tensor for each parameter in order.
    pub fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        match self {
            Optimizer::Adam(adam) => adam.state(),
            Optimizer::Sgd(sgd) => sgd.state(),
            Optimizer::RmsProp(rmsprop) => rmsprop.state(),
        }
    }

    fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        match self {
            Optimizer::Adam(adam) => adam.state_mut(kind),
            Optimizer::Sgd(sgd) => sgd.state_mut(kind),
            Optimizer::RmsProp(rmsprop) => rmsprop.state_mut(kind),
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
        let own = self.state_mut(kind).ok_or_else(|| format!("this optimizer keeps no `{kind}`"))?;
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

/// A parameter that is to be updated.
struct Weight<'a> {
    /// Its number.
    index: usize,
    /// Whether weight decay applies to it.
    decays: bool,
    values: &'a mut [f32],
    slope: Slope<'a>,
}

/// Its gradient, as kernels read it.
enum Slope<'a> {
    /// One value a weight; none where all are zero.
    Dense(Option<&'a [f32]>),
    /// Zero but for some rows.
    Rows(SparseRows<'a>),
}

impl<'a> Slope<'a> {
    fn of(gradient: Option<&'a Gradient>) -> Slope<'a> {
        match gradient {
            None => Slope::Dense(None),
            Some(Gradient::Dense(tensor)) => Slope::Dense(Some(tensor.data())),
            Some(Gradient::Rows(gradient)) => Slope::Rows(SparseRows {
                rows: &gradient.rows,
                values: gradient.values.data(),
                width: gradient.shape.cols(),
            }),
        }
    }
}

/// Tensors of state that an optimizer keeps for each parameter, for estimates of memory.
pub fn state_tensors(h: &Hyperparameters) -> usize {
    match h.optimizer_type {
        OptimizerType::Adam => 2,
        OptimizerType::Rmsprop => 1,
        OptimizerType::Sgd => usize::from(sgd::momentum(h).is_some()),
    }
}

fn zeros(parameters: &Parameters) -> Vec<Tensor> {
    parameters.iter().map(|p| Tensor::zeros(p.value.shape().clone())).collect()
}

/// The clipping threshold for each element of a gradient: infinite where clipping is off, or not by element.
fn element_limit(h: &Hyperparameters) -> f32 {
    let by_element = h.gradient_clipping_type == GradientClippingType::Abs && h.clip_gradient >= 0.0;
    if by_element { h.clip_gradient as f32 } else { f32::INFINITY }
}
