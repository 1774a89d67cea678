//! A model's parameters on a tape.

use std::ops::Range;

use kokanee_kernels::conv::Window;
use kokanee_tensor::ops::{Filters, Table, Weight};
use kokanee_tensor::{Tape, Var};

use crate::params::{ParameterId, Parameters};
use crate::weights::Weights;

/// The context in which layers compute: the tape, and the form of each parameter.
pub(crate) struct Graph<'t> {
    pub(crate) tape: &'t Tape,
    parameters: Source<'t>,
}

/// The source of parameters.
enum Source<'t> {
    /// The variables of a tape, for training and teacher forcing.
    Variables(Vec<Var>),
    /// The weights of a decoder.
    LaidOut(&'t Weights),
}

impl<'t> Graph<'t> {
    /// A graph in which gradients can be asked for.
    pub(crate) fn new(tape: &'t Tape, parameters: &Parameters) -> Self {
        let variables = parameters.iter().map(|p| tape.parameter(p.value.clone())).collect();
        Graph { tape, parameters: Source::Variables(variables) }
    }

    /// A graph in which a decoder computes with its own weights.
    pub(crate) fn of_decoder(tape: &'t Tape, weights: &'t Weights) -> Self {
        Graph { tape, parameters: Source::LaidOut(weights) }
    }

    /// A vector, or a weight whose gradient is wanted.
    pub(crate) fn var(&self, id: ParameterId) -> &Var {
        match &self.parameters {
            Source::Variables(variables) => &variables[id.0],
            Source::LaidOut(weights) => weights.values(id),
        }
    }

    /// A weight of products.
    pub(crate) fn weight(&self, id: ParameterId) -> Weight {
        match &self.parameters {
            Source::Variables(variables) => Weight::whole(&variables[id.0]),
            Source::LaidOut(weights) => weights.matrix(self.tape.team(), id, None),
        }
    }

    /// The columns of a weight that one of the inputs is multiplied by.
    pub(crate) fn columns(&self, id: ParameterId, columns: Range<usize>) -> Weight {
        match &self.parameters {
            Source::Variables(variables) => Weight::columns(&variables[id.0], columns),
            Source::LaidOut(weights) => weights.matrix(self.tape.team(), id, Some(columns)),
        }
    }

    /// The filters of a convolution.
    pub(crate) fn filters(&self, weight: ParameterId, bias: ParameterId, window: Window) -> Filters {
        match &self.parameters {
            Source::Variables(variables) => Filters::new(&variables[weight.0], &variables[bias.0], window),
            Source::LaidOut(weights) => weights.filters(self.tape.team(), weight, bias, window),
        }
    }

    /// A table whose rows are looked up.
    pub(crate) fn table(&self, id: ParameterId) -> Table {
        match &self.parameters {
            Source::Variables(variables) => Table::Var(variables[id.0].clone()),
            Source::LaidOut(weights) => weights.table(self.tape.team(), id),
        }
    }

    /// All variables in order.
    pub(crate) fn into_vars(self) -> Vec<Var> {
        match self.parameters {
            Source::Variables(variables) => variables,
            Source::LaidOut(_) => Vec::new(),
        }
    }
}
