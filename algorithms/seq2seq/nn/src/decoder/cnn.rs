//! The convolutional decoder (Gehring et al. 2017, as in Sockeye): in each layer a causal convolution, then attention with its
//! output: `c = activation(conv_i(h_i))`, `a = sum softmax(<c, enc>) enc`, `h_{i+1} = h_i + c + a`.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::elementwise;
use kokanee_tensor::ops::{self, Filters};
use kokanee_tensor::{Rows, Tensor, Var};

use super::{DecoderState, Stepped, stack};
use crate::attention::Memory;
use crate::batch::Sequences;
use crate::config::{CnnConfig, ModelConfig};
use crate::convolution::{Convolutions, Side};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::params::{self, Builder};

/// Parameters of the decoder.
pub(crate) struct CnnDecoder {
    layers: Convolutions,
    dropout: f32,
}

/// The decoder laid out for a loop.
pub(crate) struct CnnLoop {
    decoder: Arc<CnnDecoder>,
    filters: Vec<Filters>,
}

/// The state between two steps, for B rows.
#[derive(Clone)]
pub(crate) struct CnnState {
    /// Number of words of each row so far.
    positions: Rows,
    /// The last width - 1 inputs of each layer side by side, oldest first: B x (width - 1) H.
    past: Vec<Var>,
}

impl CnnDecoder {
    pub(super) fn new(builder: &mut Builder, config: &ModelConfig, cnn: &CnnConfig) -> CnnDecoder {
        let names = [params::TARGET_POSITIONS, params::DECODER_CNN_INPUT];
        CnnDecoder {
            layers: Convolutions::new(builder, cnn, Side::Decoder, config.target_embedding, names),
            dropout: config.dropout.cnn_hidden as f32,
        }
    }

    /// Runs teacher forcing for all positions at once; see [`super::Decoder::decode`].
    pub(super) fn decode(
        &self,
        graph: &Graph<'_>,
        encoded: &Encoded,
        target: &Sequences,
        embedded: Var,
    ) -> Var {
        let tape = graph.tape;
        let spans = target.spans();
        let looks: Arc<[Range<u32>]> = (spans.iter().zip(encoded.spans.iter()))
            .flat_map(|(target, source)| target.clone().map(|_| source.clone()))
            .collect();
        let mut h = self.layers.input(graph, embedded, target.positions());
        for filters in self.layers.filters(graph) {
            let x = ops::dropout(tape, h.clone(), self.dropout);
            let y = ops::convolution(tape, &spans, &x, &filters);
            let c = ops::activation(tape, self.layers.activation, y);
            let a = ops::dot_attention(tape, &looks, &encoded.states, &c, &encoded.states).context;
            h = ops::add(tape, ops::add(tape, a, &c), &h);
        }
        h
    }

    pub(super) fn prepare(self: &Arc<Self>, graph: &Graph<'_>) -> CnnLoop {
        CnnLoop { decoder: Arc::clone(self), filters: self.layers.filters(graph) }
    }

    pub(super) fn start(&self, graph: &Graph<'_>, rows: usize) -> CnnState {
        let width = (self.layers.window.width - 1) * self.layers.units;
        let zeros = || graph.tape.constant(Tensor::zeros([rows, width]));
        CnnState {
            positions: vec![0; rows].into(),
            past: (0..self.layers.depth()).map(|_| zeros()).collect(),
        }
    }
}

impl CnnLoop {
    /// Runs one step of decoding; see [`super::DecoderLoop::advance`]. The attention weights are the mean of the layers' (Sockeye
    /// returns zeros).
    pub(super) fn decode(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        embedded: Var,
        spans: &Arc<[Range<u32>]>,
        state: &CnnState,
    ) -> Stepped {
        let tape = graph.tape;
        let layers = &self.decoder.layers;
        let mut h = layers.input(graph, embedded, Arc::clone(&state.positions));
        let mut past = Vec::with_capacity(self.filters.len());
        let mut mean: Option<Tensor> = None;
        for (filters, before) in self.filters.iter().zip(&state.past) {
            let windows = ops::concat_columns(tape, before, &h);
            past.push(tape.constant(without_oldest(windows.value(), layers.units)));
            let y = tape.constant(filters.step(tape, windows.value()));
            let c = ops::activation(tape, layers.activation, y);
            let attended = ops::dot_attention(tape, spans, memory.keys(), &c, &memory.values);
            h = ops::add(tape, ops::add(tape, attended.context, &c), &h);
            let weights = &attended.probabilities;
            match &mut mean {
                None => mean = Some((**weights).clone()),
                Some(sum) => elementwise::add_assign(tape.team(), sum.data_mut(), weights.data()),
            }
        }
        let mut probabilities = mean.expect("a decoder has layers");
        elementwise::scale(tape.team(), probabilities.data_mut(), 1.0 / self.filters.len() as f32);
        let positions = state.positions.iter().map(|position| position + 1).collect();
        Stepped {
            state: DecoderState::Cnn(CnnState { positions, past }),
            output: h,
            probabilities: Arc::new(probabilities),
        }
    }
}

/// Windows without their first position.
fn without_oldest(windows: &Tensor, units: usize) -> Tensor {
    let width = windows.cols() - units;
    let mut rest = Tensor::scratch([windows.rows(), width]);
    for (row, rest) in rest.data_mut().chunks_exact_mut(width.max(1)).enumerate() {
        rest.copy_from_slice(&windows.row(row)[units..]);
    }
    rest
}

impl CnnState {
    pub(super) fn join(&self, graph: &Graph<'_>, below: &CnnState) -> CnnState {
        let past = self.past.iter().zip(&below.past);
        CnnState {
            positions: self.positions.iter().chain(below.positions.iter()).copied().collect(),
            past: past.map(|(above, below)| stack(graph, above, below)).collect(),
        }
    }

    pub(super) fn select(&self, graph: &Graph<'_>, rows: &Rows) -> CnnState {
        let past = self.past.iter().map(|x| ops::gather_rows(graph.tape, x, Arc::clone(rows))).collect();
        CnnState { positions: rows.iter().map(|&row| self.positions[row as usize]).collect(), past }
    }
}
