//! The recurrent decoder with input feeding (Luong, Pham and Manning 2015).

use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::RnnDecoderStateInit;
use kokanee_tensor::ops::{self, RecurrentWeight};
use kokanee_tensor::{Rows, Tensor, Var};

use super::{DecoderState, Stepped, stack};
use crate::attention::{Attention, AttentionStep, Memory};
use crate::batch::{Direction, Sequences};
use crate::config::{ModelConfig, RnnDecoderConfig};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};
use crate::rnn::{Cell, CellState, CellStep, StepInputs};

/// Parameters of the decoder.
pub(crate) struct RnnDecoder {
    /// The layers from the bottom, each with whether its input is added to its output.
    cells: Vec<(Cell, bool)>,
    attention: Attention,
    /// Whether the layers above the first come after the attention and get its context.
    attention_in_upper_layers: bool,
    state_init: RnnDecoderStateInit,
    /// Weight and bias that turn the encoder's outputs into each initial state, in the order h, c of layer 0, of layer 1, …
    state_maps: Vec<(ParameterId, ParameterId)>,
    states_a_layer: usize,
    hidden_weight: ParameterId,
    hidden_bias: ParameterId,
    hidden_dropout: f32,
    units: usize,
    encoded: usize,
}

/// The state between two steps, for B rows.
#[derive(Clone)]
pub(crate) struct RnnState {
    /// The state of each layer; none for zeros.
    cells: Vec<Option<CellState>>,
    /// The attentional vector B x H of the previous step; none, for zeros, before the first step.
    fed: Option<Var>,
}

/// The decoder laid out for a loop.
pub(crate) struct RnnLoop {
    decoder: Arc<RnnDecoder>,
    cells: Vec<CellStep>,
    attention: AttentionStep,
    /// The attentional layer's columns for the top layer's output and for the context.
    hidden_output: RecurrentWeight,
    hidden_context: RecurrentWeight,
    hidden_bias: Var,
}

impl RnnDecoder {
    pub(super) fn new(builder: &mut Builder, config: &ModelConfig, decoder: &RnnDecoderConfig) -> RnnDecoder {
        let (units, encoded) = (decoder.rnn.hidden, config.encoder_width());
        let attention = Attention::new(builder, &decoder.attention, encoded, units);
        let upper_attention = decoder.attention_in_upper_layers && decoder.rnn.layers > 1;
        let cells = (0..decoder.rnn.layers)
            .map(|layer| {
                let inputs = match layer {
                    0 => config.target_embedding + units,
                    _ if upper_attention => units + encoded,
                    _ => units,
                };
                let prefix = params::decoder_layer_prefix(layer);
                let residual = decoder.rnn.first_residual_layer.is_some_and(|first| layer + 1 >= first);
                (
                    Cell::new(builder, (&decoder.rnn, (&config.dropout).into()), &prefix, inputs, units),
                    residual,
                )
            })
            .collect();
        let states_a_layer = Cell::states(decoder.rnn.cell);
        let states = match decoder.state_init {
            RnnDecoderStateInit::Zero => 0,
            RnnDecoderStateInit::Last | RnnDecoderStateInit::Avg => states_a_layer * decoder.rnn.layers,
        };
        let state_maps = (0..states)
            .map(|state| {
                let [weight, bias] = params::state_init_names(state);
                (builder.add(weight, [units, encoded]), builder.add(bias, [units]))
            })
            .collect();
        RnnDecoder {
            cells,
            attention,
            attention_in_upper_layers: upper_attention,
            state_init: decoder.state_init,
            state_maps,
            states_a_layer,
            hidden_weight: builder.add(params::DECODER_HIDDEN_WEIGHT, [units, units + encoded]),
            hidden_bias: builder.add(params::DECODER_HIDDEN_BIAS, [units]),
            hidden_dropout: config.dropout.decoder_hidden as f32,
            units,
            encoded,
        }
    }

    pub(super) fn prepare(self: &Arc<Self>, graph: &Graph<'_>) -> RnnLoop {
        let columns = |range| RecurrentWeight::new(graph.tape, graph.columns(self.hidden_weight, range));
        let inside: [usize; 2] = [self.units, self.encoded];
        let steps = self.cells.iter().enumerate().map(|(layer, (cell, _))| {
            let upper_with_context = layer > 0 && self.attention_in_upper_layers;
            cell.step(graph, &inside[..if upper_with_context { 2 } else { 1 }])
        });
        RnnLoop {
            decoder: Arc::clone(self),
            cells: steps.collect(),
            attention: self.attention.step(graph),
            hidden_output: columns(0..self.units),
            hidden_context: columns(self.units..self.units + self.encoded),
            hidden_bias: graph.var(self.hidden_bias).clone(),
        }
    }

    pub(super) fn memory(&self, graph: &Graph<'_>, encoded: &Encoded) -> Memory {
        self.attention.memory(graph, &encoded.states)
    }

    /// The first states: each is `tanh(W_s e + b_s)` of the last (or average) encoder output e, or zeros.
    pub(super) fn start(&self, graph: &Graph<'_>, encoded: &Encoded, sentences: &[usize]) -> RnnState {
        let summary = match self.state_init {
            RnnDecoderStateInit::Zero => None,
            RnnDecoderStateInit::Last => {
                Some(ops::gather_rows(graph.tape, &encoded.states, encoded.last(sentences)))
            }
            RnnDecoderStateInit::Avg => {
                let spans = sentences.iter().map(|&sentence| encoded.spans[sentence].clone()).collect();
                Some(ops::span_means(graph.tape, &spans, &encoded.states))
            }
        };
        let tensors: Vec<Var> = summary
            .iter()
            .flat_map(|summary| {
                self.state_maps.iter().map(move |&(weight, bias)| {
                    let weight = graph.weight(weight);
                    ops::tanh(graph.tape, ops::linear(graph.tape, summary, &weight, &[graph.var(bias)]))
                })
            })
            .collect();
        let mut tensors = tensors.into_iter();
        let cells = self.cells.iter();
        let cells = cells.map(|_| CellState::from_tensors(tensors.by_ref().take(self.states_a_layer)));
        RnnState { cells: cells.collect(), fed: None }
    }

    /// Runs teacher forcing; see [`super::Decoder::decode`].
    pub(super) fn decode(
        self: &Arc<Self>,
        graph: &Graph<'_>,
        encoded: &Encoded,
        target: &Sequences,
        embedded: &Var,
    ) -> Var {
        let timeline = target.timeline(Direction::Forward);
        let spans: Vec<_> = timeline.order.iter().map(|&sentence| encoded.spans[sentence].clone()).collect();
        let projected = self.cells[0].0.project(graph, embedded, &target.sentences());
        let steps = self.prepare(graph);
        let memory = self.memory(graph, encoded);
        let mut state = self.start(graph, encoded, &timeline.order);
        let mut outputs = Vec::with_capacity(timeline.steps.len());
        for rows in &timeline.steps {
            let running = state.map(|x| ops::first_rows(graph.tape, x, rows.len()));
            let sentences = timeline.sentences(rows.len());
            let spans = spans[..rows.len()].into();
            let looks = (&memory, &spans);
            let (next, _) = steps.advance(graph, (&projected, rows), &sentences, looks, &running);
            outputs.extend(next.fed.clone().map(|output| (output, Arc::clone(rows))));
            state = next;
        }
        ops::stack_rows(graph.tape, outputs, embedded.value().rows())
    }
}

impl RnnLoop {
    /// Runs one step of decoding; see [`super::DecoderLoop::advance`].
    pub(super) fn decode(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        embedded: &Var,
        spans: &Arc<[Range<u32>]>,
        state: &RnnState,
    ) -> Stepped {
        let rows: Rows = (0..spans.len() as u32).collect();
        let projected = self.decoder.cells[0].0.project(graph, embedded, &rows);
        // Decoding has no dropout, so the sentences of the rows do not matter.
        let (state, probabilities) = self.advance(graph, (&projected, &rows), &rows, (memory, spans), state);
        let output = state.fed.clone().expect("a step leaves its output to be fed");
        Stepped { state: DecoderState::Rnn(state), output, probabilities }
    }

    /// Runs one step for B rows: `projected` names the rows of the contributions of their previous words to the first layer,
    /// `sentences` their sentences, `spans` their source tokens in the `memory`. The new state's fed vector is the output.
    fn advance(
        &self,
        graph: &Graph<'_>,
        projected: (&Var, &Rows),
        sentences: &Rows,
        (memory, spans): (&Memory, &Arc<[Range<u32>]>),
        state: &RnnState,
    ) -> (RnnState, Arc<Tensor>) {
        let tape = graph.tape;
        let inputs = StepInputs { sentences, projected: Some(projected), inside: &[state.fed.as_ref()] };
        let mut cells = vec![self.cells[0].advance(graph, &inputs, state.cells[0].as_ref())];
        let mut output = cells[0].h.clone();
        let mut attended = None;
        if self.decoder.attention_in_upper_layers {
            attended = Some(self.attention.attend(graph, memory, spans, &output));
        }
        for (layer, (_, residual)) in self.decoder.cells.iter().enumerate().skip(1) {
            let inside = [Some(&output), attended.as_ref().map(|attended| &attended.context)];
            let inputs = StepInputs { sentences, projected: None, inside: &inside };
            let next = self.cells[layer].advance(graph, &inputs, state.cells[layer].as_ref());
            output = if *residual { ops::add(tape, next.h.clone(), &output) } else { next.h.clone() };
            cells.push(next);
        }
        let attended = attended.unwrap_or_else(|| self.attention.attend(graph, memory, spans, &output));

        // Dropout of both equals dropout of the two side by side.
        let output = ops::dropout(tape, output, self.decoder.hidden_dropout);
        let context = ops::dropout(tape, attended.context, self.decoder.hidden_dropout);
        let bias_rows: Rows = vec![0; sentences.len()].into();
        let z = ops::recurrent_linear(
            tape,
            Some((&self.hidden_bias, &bias_rows)),
            &[(&output, &self.hidden_output), (&context, &self.hidden_context)],
        );
        let cells = cells.into_iter().map(Some).collect();
        (RnnState { cells, fed: Some(ops::tanh(tape, z)) }, attended.probabilities)
    }
}

impl RnnState {
    fn map(&self, change: impl Fn(&Var) -> Var) -> RnnState {
        RnnState {
            cells: self.cells.iter().map(|cell| Some(cell.as_ref()?.map(&change))).collect(),
            fed: self.fed.as_ref().map(&change),
        }
    }

    /// The state with its zeros written out, so that rows of different ages can stand together: each row of a batch adds the same
    /// products as alone, and so has the same bits.
    pub(super) fn with_zeros(self, graph: &Graph<'_>, decoder: &RnnDecoder, rows: usize) -> RnnState {
        let zeros = || graph.tape.constant(Tensor::zeros([rows, decoder.units]));
        let cell = |cell: Option<CellState>| {
            let tensors = std::iter::repeat_with(zeros).take(decoder.states_a_layer);
            cell.or_else(|| CellState::from_tensors(tensors))
        };
        RnnState {
            cells: self.cells.into_iter().map(cell).collect(),
            fed: Some(self.fed.unwrap_or_else(zeros)),
        }
    }

    /// Stacks both states with their zeros written out.
    pub(super) fn join(&self, graph: &Graph<'_>, below: &RnnState) -> RnnState {
        let both = |(above, below): (&Var, &Var)| stack(graph, above, below);
        let cells = self.cells.iter().zip(&below.cells);
        RnnState {
            cells: cells.map(|(above, below)| Some(above.as_ref()?.zip(below.as_ref()?, both))).collect(),
            fed: self.fed.as_ref().zip(below.fed.as_ref()).map(both),
        }
    }

    pub(super) fn select(&self, graph: &Graph<'_>, rows: &Rows) -> RnnState {
        self.map(|x| ops::gather_rows(graph.tape, x, Arc::clone(rows)))
    }
}
