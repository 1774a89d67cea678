//! Optimizers: compute updates from gradients.

mod adam;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{GradientClippingType, Hyperparameters, OptimizerType};
use kokanee_kernels::Team;
use kokanee_kernels::optimizer::{SparseRows, StaleRows};
use kokanee_seq2seq_nn::{Parameter, Parameters, params};
use kokanee_tensor::{Gradient, Tensor};

use adam::Adam;
use rmsprop::RmsProp;
use sgd::Sgd;

/// An optimizer with its state, one tensor of each kind for every parameter.
///
/// Formulas: Sockeye 1.x through MXNet, section "Optimizers, clipping, weight decay" of its semantics: weight decay applies to
/// weights and embeddings and not to biases, gradients are clipped element by element unless `gradient_clipping_type` says
/// otherwise.
///
/// An update with a gradient of some rows of a table changes only those. The effect of a gradient of zero on the others (moments
/// decay, and move weights meanwhile) is made up for by [`Optimizer::catch_up`] before they are read, to the same bits: so a table
/// is not read and written completely at every update for the few words of a batch.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Rule,
    /// The updates that rows of tables may have missed.
    history: Vec<Step>,
    /// For each parameter with rows that lag behind: how many updates of the history each row has had.
    tables: Vec<Option<Vec<u32>>>,
}

#[derive(Clone, Debug)]
enum Rule {
    Adam(Adam),
    Sgd(Sgd),
    RmsProp(RmsProp),
}

/// The settings of one update.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Number of the update, from 1.
    pub update: u64,
    /// Learning rate of this update.
    pub learning_rate: f64,
}

/// An element of a gradient is infinite or not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an element of a gradient is infinite or not a number")]
pub struct NotFinite;

/// The largest number of updates that rows may miss, so that the history stays short.
const LONGEST_HISTORY: usize = 1024;

impl Optimizer {
    /// The optimizer according to hyperparameters, with a fresh state for `parameters`.
    pub fn new(h: &Hyperparameters, parameters: &Parameters) -> Optimizer {
        let rule = match h.optimizer_type {
            OptimizerType::Adam => Rule::Adam(Adam::new(h, parameters)),
            OptimizerType::Sgd => Rule::Sgd(Sgd::new(h, parameters)),
            OptimizerType::Rmsprop => Rule::RmsProp(RmsProp::new(h, parameters)),
        };
        Optimizer { rule, history: Vec::new(), tables: vec![None; parameters.len()] }
    }

    /// Updates every parameter, except for rows of tables that are left to [`Optimizer::catch_up`]. `gradients` are in the order of
    /// `parameters`; a missing one is zero.
    ///
    /// # Errors
    /// When an element of a gradient is infinite or NaN. The parameters are unusable then.
    pub fn update(
        &mut self,
        team: &Team,
        parameters: &mut Parameters,
        gradients: &[Option<Gradient>],
        step: Step,
    ) -> Result<(), NotFinite> {
        assert_eq!(gradients.len(), parameters.len(), "one gradient a parameter");
        if self.history.len() >= LONGEST_HISTORY {
            self.settle(team, parameters);
        }
        for (index, gradient) in gradients.iter().enumerate() {
            match gradient {
                Some(Gradient::Rows(gradient)) => self.catch_up_rows(team, parameters, index, &gradient.rows),
                Some(Gradient::Dense(_)) => self.catch_up_table(team, parameters, index),
                None => {}
            }
        }
        self.history.push(step);
        let now = self.history.len() as u32;
        let mut finite = true;
        for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let slope = match gradient {
                // The zeros of a table are postponed.
                None if self.tables[index].is_some() => continue,
                None => Slope::Dense(step, None),
                Some(Gradient::Dense(tensor)) => Slope::Dense(step, Some(tensor.data())),
                Some(Gradient::Rows(gradient)) => {
                    let table = &mut self.tables[index];
                    let had = table.get_or_insert_with(|| vec![now - 1; gradient.shape.rows()]);
                    gradient.rows.iter().for_each(|&row| had[row as usize] = now);
                    let (rows, values) = (&gradient.rows[..], gradient.values.data());
                    Slope::Rows(step, SparseRows { rows, values, width: gradient.shape.cols() })
                }
            };
            finite &= self.rule.apply(team, Weight::of(parameter, index), slope);
        }
        if finite { Ok(()) } else { Err(NotFinite) }
    }

    /// Makes up for the updates that rows have missed, before they are read: `read` has numbers of parameters, each with rows in
    /// any order; a parameter that is not in it is read completely.
    pub fn catch_up(&mut self, team: &Team, parameters: &mut Parameters, read: &[(usize, &[u32])]) {
        for index in 0..parameters.len() {
            if read.iter().all(|&(table, _)| table != index) {
                self.catch_up_table(team, parameters, index);
            }
        }
        read.iter().for_each(|&(table, rows)| self.catch_up_rows(team, parameters, table, rows));
    }

    /// Makes up for all updates that rows have missed.
    pub fn settle(&mut self, team: &Team, parameters: &mut Parameters) {
        self.catch_up(team, parameters, &[]);
        self.history.clear();
    }

    /// Catches up all rows of one parameter, which no longer counts as a table until the next gradient of rows.
    fn catch_up_table(&mut self, team: &Team, parameters: &mut Parameters, index: usize) {
        let Some(had) = self.tables[index].take() else { return };
        let now = self.history.len() as u32;
        let stale = had.iter().enumerate().filter(|&(_, &had)| had < now);
        let stale: Vec<(u32, u32)> = stale.map(|(row, &had)| (row as u32, had)).collect();
        self.replay(team, parameters, index, &stale);
    }

    fn catch_up_rows(&mut self, team: &Team, parameters: &mut Parameters, index: usize, rows: &[u32]) {
        let Some(had) = &mut self.tables[index] else { return };
        let now = self.history.len() as u32;
        let stale = rows.iter().filter_map(|&row| {
            let had = std::mem::replace(&mut had[row as usize], now);
            (had < now).then_some((row, had))
        });
        let mut stale: Vec<(u32, u32)> = stale.collect();
        stale.sort_unstable();
        self.replay(team, parameters, index, &stale);
    }

    fn replay(&mut self, team: &Team, parameters: &mut Parameters, index: usize, stale: &[(u32, u32)]) {
        if stale.is_empty() {
            return;
        }
        let Some(parameter) = parameters.iter_mut().nth(index) else { return };
        let rows = StaleRows { rows: stale, width: parameter.value.cols() };
        self.rule.apply(team, Weight::of(parameter, index), Slope::Stale(&self.history, rows));
    }

    /// The state by kind: its name, and one tensor for each parameter in order. Rows that have missed updates must catch up first:
    /// see [`Optimizer::settle`].
    pub fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        self.rule.state()
    }
    /// Takes the tensors of one kind of state, named like the parameters.
    ///
    /// # Errors
    /// Names the tensor that is missing or misshapen.
    pub fn load(
        &mut self,
        kind: &str,
        parameters: &Parameters,
        mut named: HashMap<String, Tensor>,
    ) -> Result<(), String> {
        let own = self.rule.state_mut(kind).ok_or_else(|| format!("this optimizer keeps no `{kind}`"))?;
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

impl Rule {
    /// Applies one update. Returns whether all gradients were finite.
    fn apply(&mut self, team: &Team, weight: Weight<'_>, slope: Slope<'_>) -> bool {
        match self {
            Rule::Adam(adam) => adam.apply(team, weight, slope),
            Rule::Sgd(sgd) => sgd.apply(team, weight, slope),
            Rule::RmsProp(rmsprop) => rmsprop.apply(team, weight, slope),
        }
    }

    fn state(&self) -> Vec<(&'static str, &[Tensor])> {
        match self {
            Rule::Adam(adam) => adam.state(),
            Rule::Sgd(sgd) => sgd.state(),
            Rule::RmsProp(rmsprop) => rmsprop.state(),
        }
    }

    fn state_mut(&mut self, kind: &str) -> Option<&mut [Tensor]> {
        match self {
            Rule::Adam(adam) => adam.state_mut(kind),
            Rule::Sgd(sgd) => sgd.state_mut(kind),
            Rule::RmsProp(rmsprop) => rmsprop.state_mut(kind),
        }
    }
}

/// A parameter to be updated.
struct Weight<'a> {
    /// Its number.
    index: usize,
    /// Whether weight decay applies to it.
    decays: bool,
    values: &'a mut [f32],
}

impl<'a> Weight<'a> {
    fn of(parameter: &'a mut Parameter, index: usize) -> Weight<'a> {
        let decays = params::is_weight(&parameter.name);
        // There is no tape, so nobody else holds the tensor and nothing is copied.
        Weight { index, decays, values: Arc::make_mut(&mut parameter.value).data_mut() }
    }
}

/// The change of a parameter: an update with its gradient, in the form for kernels, or all those that some rows have missed.
enum Slope<'a> {
    /// One value per weight; none if all are zero.
    Dense(Step, Option<&'a [f32]>),
    /// For some rows; the others are not touched.
    Rows(Step, SparseRows<'a>),
    /// Gradients of zero.
    Stale(&'a [Step], StaleRows<'a>),
}

/// The number of state tensors that an optimizer keeps for each parameter, for estimates of memory.
pub fn state_tensors(h: &Hyperparameters) -> usize {
    match h.optimizer_type {
        OptimizerType::Adam => 2,
        OptimizerType::Rmsprop => 1,
        OptimizerType::Sgd => usize::from(sgd::momentum(h).is_some()),
    }
}

/// A tensor for each parameter. They are written now, so that a training takes its memory at the beginning instead of when the last
/// row of a table has been read.
fn zeros(parameters: &Parameters) -> Vec<Tensor> {
    let zeros = |parameter: &Parameter| {
        let mut tensor = Tensor::lasting(parameter.value.shape().clone());
        tensor.data_mut().fill(0.0);
        tensor
    };
    parameters.iter().map(zeros).collect()
}

/// The clipping threshold for each element of a gradient: infinite if clipping is off, or not by element.
fn element_limit(h: &Hyperparameters) -> f32 {
    let by_element = h.gradient_clipping_type == GradientClippingType::Abs && h.clip_gradient >= 0.0;
    if by_element { h.clip_gradient as f32 } else { f32::INFINITY }
}
