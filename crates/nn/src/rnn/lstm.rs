//! Long short-term memory (Hochreiter and Schmidhuber 1997), with MXNet's parameters and gate order i, f, g, o.

use kokanee_tensor::ops::{self, RecurrentWeight, Weight};
use kokanee_tensor::{Rows, Tensor, Var};

use crate::graph::Graph;
use crate::params::{Builder, ParameterId, cell_names};

/// The parameters of one LSTM layer.
pub(crate) struct Lstm {
    i2h_weight: ParameterId,
    i2h_bias: ParameterId,
    h2h_weight: ParameterId,
    h2h_bias: ParameterId,
    inputs: usize,
    units: usize,
}

/// Hidden state h and cell state c, B x H each.
#[derive(Clone)]
pub(crate) struct LstmState {
    pub(crate) h: Var,
    pub(crate) c: Var,
}

/// A layer laid out for a loop.
pub(crate) struct LstmStep {
    /// Recurrent weight, 4H x H.
    h2h: RecurrentWeight,
    /// The input weight's columns for inputs that are known only inside the loop.
    feeding: Option<RecurrentWeight>,
    units: usize,
}

impl Lstm {
    pub(crate) fn new(builder: &mut Builder, prefix: &str, inputs: usize, units: usize) -> Lstm {
        let [i2h_weight, i2h_bias, h2h_weight, h2h_bias] = cell_names(prefix);
        Lstm {
            i2h_weight: builder.add(i2h_weight, [4 * units, inputs]),
            i2h_bias: builder.add(i2h_bias, [4 * units]),
            h2h_weight: builder.add(h2h_weight, [4 * units, units]),
            h2h_bias: builder.add(h2h_bias, [4 * units]),
            inputs,
            units,
        }
    }

    /// What inputs known before the loop (R x K, the first K of the layer's inputs) add to the pre-activations, both biases
    /// included: R x 4H, one product for all tokens.
    pub(crate) fn project(&self, graph: &Graph<'_>, x: &Var) -> Var {
        let weight = Weight::columns(graph.var(self.i2h_weight), 0..x.value().cols());
        ops::linear(graph.tape, x, &weight, &[graph.var(self.i2h_bias), graph.var(self.h2h_bias)])
    }

    /// Lays the layer out for a loop in which the last `feeding` of its inputs come from the step before.
    pub(crate) fn step(&self, graph: &Graph<'_>, feeding: usize) -> LstmStep {
        let columns = self.inputs - feeding..self.inputs;
        let fed = || RecurrentWeight::new(graph.tape, Weight::columns(graph.var(self.i2h_weight), columns));
        LstmStep {
            h2h: RecurrentWeight::new(graph.tape, Weight::whole(graph.var(self.h2h_weight))),
            feeding: (feeding > 0).then(fed),
            units: self.units,
        }
    }
}

impl LstmStep {
    /// One step: rows `rows` of `projected` (from [`Lstm::project`]) and, where there is one, the fed input B x K meet the
    /// state. No state means zeros.
    pub(crate) fn advance(
        &self,
        graph: &Graph<'_>,
        projected: &Var,
        rows: &Rows,
        fed: Option<&Var>,
        state: Option<&LstmState>,
    ) -> LstmState {
        let mut terms = Vec::with_capacity(2);
        if let (Some(fed), Some(weight)) = (fed, &self.feeding) {
            terms.push((fed, weight));
        }
        if let Some(state) = state {
            terms.push((&state.h, &self.h2h));
        }
        let z = ops::recurrent_linear(graph.tape, Some((projected, rows)), &terms);
        let (h, c) = match state {
            Some(state) => ops::lstm_cell(graph.tape, z, &state.c),
            None => {
                let zero = graph.tape.constant(Tensor::zeros([rows.len(), self.units]));
                ops::lstm_cell(graph.tape, z, &zero)
            }
        };
        LstmState { h, c }
    }
}

impl LstmState {
    /// What is left when only the first `count` rows run on.
    pub(crate) fn first(&self, graph: &Graph<'_>, count: usize) -> LstmState {
        LstmState {
            h: ops::first_rows(graph.tape, &self.h, count),
            c: ops::first_rows(graph.tape, &self.c, count),
        }
    }
}
