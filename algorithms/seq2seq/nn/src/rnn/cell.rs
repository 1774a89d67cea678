//! Cells of recurrent layers, with MXNet's parameters: LSTM (Hochreiter and Schmidhuber 1997; gates i, f, g, o) and GRU (Cho et
//! al. 2014; gates r, z, n).

use kokanee_contract::algorithms::seq2seq::RnnCellType;
use kokanee_tensor::ops::{self, RecurrentWeight};
use kokanee_tensor::{Rows, Tensor, Var};

use crate::config::{DropoutConfig, RnnConfig};
use crate::graph::Graph;
use crate::params::{Builder, ParameterId, cell_names};

/// The parameters of one recurrent layer. G = 4H for an LSTM and 3H for a GRU.
pub(crate) struct Cell {
    kind: RnnCellType,
    /// G x K.
    i2h_weight: ParameterId,
    i2h_bias: ParameterId,
    /// G x H.
    h2h_weight: ParameterId,
    h2h_bias: ParameterId,
    inputs: usize,
    units: usize,
    dropout: CellDropout,
}

/// Dropout rates of a cell. Inputs and states have one mask per sentence (Gal and Ghahramani 2016); the addend of an LSTM's cell
/// state has one per step (Semeniuta et al. 2016).
#[derive(Clone, Copy)]
pub(crate) struct CellDropout {
    inputs: f32,
    states: f32,
    recurrent: f32,
}

impl From<&DropoutConfig> for CellDropout {
    fn from(dropout: &DropoutConfig) -> Self {
        CellDropout {
            inputs: dropout.rnn_inputs as f32,
            states: dropout.rnn_states as f32,
            recurrent: dropout.rnn_recurrent as f32,
        }
    }
}

/// The state of a layer, B x H each.
#[derive(Clone)]
pub(crate) struct CellState {
    /// Hidden state, which is the output.
    pub(crate) h: Var,
    /// Cell state of an LSTM.
    c: Option<Var>,
}

/// A layer laid out for a loop.
pub(crate) struct CellStep {
    kind: RnnCellType,
    h2h: RecurrentWeight,
    h2h_bias: Var,
    /// The addend of the input's product if nothing was projected before the loop: the biases.
    bias: Var,
    /// The input weight's columns for inputs that are known only inside the loop.
    inside: Vec<RecurrentWeight>,
    units: usize,
    /// Masks of the inputs from inside the loop and of the state, if they have dropout.
    inside_masks: Vec<Option<(f32, u64)>>,
    state_mask: Option<(f32, u64)>,
    recurrent_dropout: f32,
}

/// The inputs of one step of a layer besides its state.
pub(crate) struct StepInputs<'i> {
    /// The sentence of each row; B of them.
    pub(crate) sentences: &'i Rows,
    /// Rows of the result of [`Cell::project`], if it was used.
    pub(crate) projected: Option<(&'i Var, &'i Rows)>,
    /// The inputs from inside the loop, B x K each, in order; a missing one is zeros.
    pub(crate) inside: &'i [Option<&'i Var>],
}

impl Cell {
    /// A layer of `units` units, of the given kind and with the given dropout.
    pub(crate) fn new(
        builder: &mut Builder,
        (config, dropout): (&RnnConfig, CellDropout),
        prefix: &str,
        inputs: usize,
        units: usize,
    ) -> Cell {
        let kind = config.cell;
        let gates = match kind {
            RnnCellType::Lstm => 4 * units,
            RnnCellType::Gru => 3 * units,
        };
        let [i2h_weight, i2h_bias, h2h_weight, h2h_bias] = cell_names(prefix);
        Cell {
            kind,
            i2h_weight: builder.add(i2h_weight, [gates, inputs]),
            i2h_bias: builder.add(i2h_bias, [gates]),
            h2h_weight: builder.add(h2h_weight, [gates, units]),
            h2h_bias: builder.add(h2h_bias, [gates]),
            inputs,
            units,
            dropout,
        }
    }

    /// The number of tensors of the state: h, and c of an LSTM.
    pub(crate) fn states(kind: RnnCellType) -> usize {
        match kind {
            RnnCellType::Lstm => 2,
            RnnCellType::Gru => 1,
        }
    }

    /// Biases that are added to the input's product. The LSTM adds everything up; the GRU keeps the state's product, with its bias,
    /// apart.
    fn biases<'g>(&self, graph: &'g Graph<'_>) -> Vec<&'g Var> {
        match self.kind {
            RnnCellType::Lstm => vec![graph.var(self.i2h_bias), graph.var(self.h2h_bias)],
            RnnCellType::Gru => vec![graph.var(self.i2h_bias)],
        }
    }

    /// Computes the contribution to the pre-activations of inputs known before the loop (R x K, the first K of the layer's inputs),
    /// with the biases: R x G, one product for all tokens. `sentences` names the sentence of each row.
    pub(crate) fn project(&self, graph: &Graph<'_>, x: &Var, sentences: &Rows) -> Var {
        let mask = ops::sequence_dropout_key(graph.tape, self.dropout.inputs);
        let x = ops::sequence_dropout(graph.tape, x, sentences, mask);
        let weight = graph.columns(self.i2h_weight, 0..x.value().cols());
        ops::linear(graph.tape, &x, &weight, &self.biases(graph))
    }

    /// Lays the layer out for a loop. The last of its inputs come from inside the loop, in parts of the given widths.
    pub(crate) fn step(&self, graph: &Graph<'_>, inside: &[usize]) -> CellStep {
        let mut start = self.inputs - inside.iter().sum::<usize>();
        let inside = inside.iter().map(|width| {
            let columns = start..start + width;
            start = columns.end;
            RecurrentWeight::new(graph.tape, graph.columns(self.i2h_weight, columns))
        });
        let inside: Vec<RecurrentWeight> = inside.collect();
        let mask = |rate| ops::sequence_dropout_key(graph.tape, rate);
        let bias = match self.biases(graph)[..] {
            [bias] => bias.clone(),
            [first, second] => ops::add(graph.tape, first.clone(), second),
            _ => unreachable!("a cell has one or two biases"),
        };
        CellStep {
            kind: self.kind,
            h2h: RecurrentWeight::new(graph.tape, graph.weight(self.h2h_weight)),
            h2h_bias: graph.var(self.h2h_bias).clone(),
            bias,
            inside_masks: inside.iter().map(|_| mask(self.dropout.inputs)).collect(),
            inside,
            units: self.units,
            state_mask: mask(self.dropout.states),
            recurrent_dropout: self.dropout.recurrent,
        }
    }
}

impl CellStep {
    /// Runs one step for B rows. A missing state is zeros.
    pub(crate) fn advance(
        &self,
        graph: &Graph<'_>,
        inputs: &StepInputs<'_>,
        state: Option<&CellState>,
    ) -> CellState {
        let tape = graph.tape;
        let rows = inputs.sentences.len();
        let first_rows: Rows = vec![0; rows].into();
        let masked = |x: &Var, mask| ops::sequence_dropout(tape, x, inputs.sentences, mask);
        let inside: Vec<(Var, &RecurrentWeight)> =
            (inputs.inside.iter().zip(&self.inside).zip(&self.inside_masks))
                .filter_map(|((x, weight), mask)| Some((masked((*x)?, *mask), weight)))
                .collect();
        let h = state.map(|state| masked(&state.h, self.state_mask));
        let recurrent = h.as_ref().map(|h| (h, &self.h2h));
        let mut terms: Vec<(&Var, &RecurrentWeight)> =
            inside.iter().map(|(x, weight)| (x, *weight)).collect();
        let addend = inputs.projected.unwrap_or((&self.bias, &first_rows));
        let zeros = || tape.constant(Tensor::zeros([rows, self.units]));
        match self.kind {
            RnnCellType::Lstm => {
                terms.extend(recurrent);
                let z = ops::recurrent_linear(tape, Some(addend), &terms);
                let c = state.and_then(|state| state.c.clone()).unwrap_or_else(zeros);
                let (h, c) = ops::lstm_cell(tape, z, &c, self.recurrent_dropout);
                CellState { h, c: Some(c) }
            }
            RnnCellType::Gru => {
                let input = ops::recurrent_linear(tape, Some(addend), &terms);
                let recurrent: Vec<_> = recurrent.into_iter().collect();
                let hidden = ops::recurrent_linear(tape, Some((&self.h2h_bias, &first_rows)), &recurrent);
                CellState { h: ops::gru_cell(tape, input, hidden, &h.unwrap_or_else(zeros)), c: None }
            }
        }
    }
}

impl CellState {
    /// The state with these tensors, in order: h, c.
    pub(crate) fn from_tensors(mut tensors: impl Iterator<Item = Var>) -> Option<CellState> {
        Some(CellState { h: tensors.next()?, c: tensors.next() })
    }

    /// The state with every tensor changed in the same way.
    pub(crate) fn map(&self, change: impl Fn(&Var) -> Var) -> CellState {
        CellState { h: change(&self.h), c: self.c.as_ref().map(change) }
    }

    /// Combines two states of the same kind, tensor by tensor.
    pub(crate) fn zip(&self, other: &CellState, both: impl Fn((&Var, &Var)) -> Var) -> CellState {
        CellState { h: both((&self.h, &other.h)), c: self.c.as_ref().zip(other.c.as_ref()).map(both) }
    }
}
