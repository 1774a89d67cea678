//! The recurrent decoder with input feeding (Luong, Pham and Manning 2015).

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::ops::{self, RecurrentWeight, Weight};
use kokanee_tensor::{Rows, Tensor, Var};

use crate::attention::{MlpAttention, MlpMemory};
use crate::batch::{Direction, Sequences};
use crate::config::ModelConfig;
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};
use crate::rnn::{Lstm, LstmState, LstmStep};

/// States a decoder cell starts with: h and c.
const STATES: usize = 2;

/// Parameters of the decoder.
pub(crate) struct RnnDecoder {
    cell: Lstm,
    attention: MlpAttention,
    /// Weight and bias that turn the encoder's last output into each initial state.
    state_init: [(ParameterId, ParameterId); STATES],
    hidden_weight: ParameterId,
    hidden_bias: ParameterId,
    units: usize,
}

/// The state between two steps, for B rows.
#[derive(Clone)]
pub(crate) struct RnnDecoderState {
    cell: LstmState,
    /// The attentional vector B x H of the step before; none before the first step, where it is zeros.
    fed: Option<Var>,
}

/// The decoder laid out for a loop over one set of sources.
pub(crate) struct RnnDecoderLoop {
    cell: LstmStep,
    memory: MlpMemory,
    /// The attentional layer's columns for the cell's output and for the context.
    hidden_output: RecurrentWeight,
    hidden_context: RecurrentWeight,
    hidden_bias: Var,
}

/// What one step gives.
pub(crate) struct Stepped {
    pub(crate) state: RnnDecoderState,
    /// The attentional vector B x H.
    pub(crate) output: Var,
    /// Attention weights of all rows, one after the other.
    pub(crate) probabilities: Arc<Tensor>,
}

impl RnnDecoder {
    pub(crate) fn new(builder: &mut Builder, config: &ModelConfig) -> RnnDecoder {
        let (units, encoded) = (config.decoder.hidden, config.encoder.hidden);
        let attention = MlpAttention::new(builder, config);
        let cell =
            Lstm::new(builder, &params::decoder_layer_prefix(0), config.target_embedding + units, units);
        let state_init = std::array::from_fn(|state| {
            let [weight, bias] = params::state_init_names(state);
            (builder.add(weight, [units, encoded]), builder.add(bias, [units]))
        });
        RnnDecoder {
            cell,
            attention,
            state_init,
            hidden_weight: builder.add(params::DECODER_HIDDEN_WEIGHT, [units, units + encoded]),
            hidden_bias: builder.add(params::DECODER_HIDDEN_BIAS, [units]),
            units,
        }
    }

    /// Prepares a loop over encoded sources.
    pub(crate) fn prepare(&self, graph: &Graph<'_>, encoded: &Encoded) -> RnnDecoderLoop {
        let hidden = graph.var(self.hidden_weight);
        let columns = |range| RecurrentWeight::new(graph.tape, Weight::columns(hidden, range));
        RnnDecoderLoop {
            cell: self.cell.step(graph, self.units),
            memory: self.attention.memory(graph, &encoded.states),
            hidden_output: columns(0..self.units),
            hidden_context: columns(self.units..hidden.value().cols()),
            hidden_bias: graph.var(self.hidden_bias).clone(),
        }
    }

    /// First states for rows whose sentences' last tokens are `last`: `tanh(W e_last + b)` for h and for c.
    pub(crate) fn start(&self, graph: &Graph<'_>, encoded: &Encoded, last: Rows) -> RnnDecoderState {
        let last = ops::gather_rows(graph.tape, &encoded.states, last);
        let [h, c] = self.state_init.map(|(weight, bias)| {
            let weight = Weight::whole(graph.var(weight));
            ops::tanh(graph.tape, ops::linear(graph.tape, &last, &weight, &[graph.var(bias)]))
        });
        RnnDecoderState { cell: LstmState { h, c }, fed: None }
    }

    /// What embedded target words R x E add to the cell's pre-activations.
    pub(crate) fn project(&self, graph: &Graph<'_>, embedded: &Var) -> Var {
        self.cell.project(graph, embedded)
    }

    /// Teacher forcing: the attentional vectors T x H, in token order, for embedded targets T x E.
    pub(crate) fn decode(
        &self,
        graph: &Graph<'_>,
        encoded: &Encoded,
        source: &Sequences,
        target: &Sequences,
        embedded: &Var,
    ) -> Var {
        let timeline = target.timeline(Direction::Forward);
        let spans = timeline.spans(source);
        let last = timeline.order.iter().map(|&sentence| encoded.last[sentence]).collect();
        let projected = self.project(graph, embedded);
        let steps = self.prepare(graph, encoded);
        let mut state = self.start(graph, encoded, last);
        let mut outputs = Vec::with_capacity(timeline.steps.len());
        for (rows, spans) in timeline.steps.iter().zip(&spans) {
            let stepped = steps.advance(graph, &projected, rows, spans, &state.first(graph, rows.len()));
            outputs.push((stepped.output, Arc::clone(rows)));
            state = stepped.state;
        }
        ops::stack_rows(graph.tape, outputs, embedded.value().rows())
    }
}

impl RnnDecoderLoop {
    /// One step for B rows: rows `rows` of `projected` are their previous words, `spans` their source tokens.
    pub(crate) fn advance(
        &self,
        graph: &Graph<'_>,
        projected: &Var,
        rows: &Rows,
        spans: &Arc<[Range<u32>]>,
        state: &RnnDecoderState,
    ) -> Stepped {
        let cell = self.cell.advance(graph, projected, rows, state.fed.as_ref(), Some(&state.cell));
        let attended = self.memory.attend(graph, spans, &cell.h);
        let bias_rows: Rows = vec![0; rows.len()].into();
        let z = ops::recurrent_linear(
            graph.tape,
            Some((&self.hidden_bias, &bias_rows)),
            &[(&cell.h, &self.hidden_output), (&attended.context, &self.hidden_context)],
        );
        let output = ops::tanh(graph.tape, z);
        Stepped {
            state: RnnDecoderState { cell, fed: Some(output.clone()) },
            output,
            probabilities: attended.probabilities,
        }
    }
}

impl RnnDecoderState {
    /// What is left when only the first `count` rows run on.
    fn first(&self, graph: &Graph<'_>, count: usize) -> RnnDecoderState {
        RnnDecoderState {
            cell: self.cell.first(graph, count),
            fed: self.fed.as_ref().map(|fed| ops::first_rows(graph.tape, fed, count)),
        }
    }

    /// The states of `rows`, in that order: hypotheses that live on.
    pub(crate) fn select(&self, graph: &Graph<'_>, rows: &Rows) -> RnnDecoderState {
        let pick = |x: &Var| ops::gather_rows(graph.tape, x, Arc::clone(rows));
        RnnDecoderState {
            cell: LstmState { h: pick(&self.cell.h), c: pick(&self.cell.c) },
            fed: self.fed.as_ref().map(pick),
        }
    }
}
