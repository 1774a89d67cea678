//! Decoders: compute the output layer's input from encoded sources and the words so far.

mod cnn;
mod rnn;

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::{Rows, Tensor, Var, ops};

use crate::attention::Memory;
use crate::batch::Sequences;
use crate::config::{DecoderConfig, ModelConfig};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::params::Builder;

/// A decoder of either kind.
pub(crate) enum Decoder {
    Rnn(Arc<rnn::RnnDecoder>),
    Cnn(Arc<cnn::CnnDecoder>),
}

/// A decoder laid out for a loop.
#[expect(clippy::large_enum_variant, reason = "there is one for many steps")]
pub(crate) enum DecoderLoop {
    Rnn(rnn::RnnLoop),
    Cnn(cnn::CnnLoop),
}

/// The state of a decoder between two steps, for B rows.
#[derive(Clone)]
pub(crate) enum DecoderState {
    Rnn(rnn::RnnState),
    Cnn(cnn::CnnState),
}

/// The result of one step.
pub(crate) struct Stepped {
    pub(crate) state: DecoderState,
    /// B x H, for the output layer.
    pub(crate) output: Var,
    /// Attention weights of all rows, one after the other.
    pub(crate) probabilities: Arc<Tensor>,
}

impl Decoder {
    pub(crate) fn new(builder: &mut Builder, config: &ModelConfig) -> Decoder {
        match &config.decoder {
            DecoderConfig::Rnn(rnn) => Decoder::Rnn(Arc::new(rnn::RnnDecoder::new(builder, config, rnn))),
            DecoderConfig::Cnn(cnn) => Decoder::Cnn(Arc::new(cnn::CnnDecoder::new(builder, config, cnn))),
        }
    }

    /// Runs teacher forcing: the output layer's inputs T x H, in token order, for embedded targets T x E.
    pub(crate) fn decode(
        &self,
        graph: &Graph<'_>,
        encoded: &Encoded,
        target: &Sequences,
        embedded: Var,
    ) -> Var {
        match self {
            Decoder::Rnn(rnn) => rnn.decode(graph, encoded, target, &embedded),
            Decoder::Cnn(cnn) => cnn.decode(graph, encoded, target, embedded),
        }
    }

    /// Lays the decoder out for a loop.
    pub(crate) fn prepare(&self, graph: &Graph<'_>) -> DecoderLoop {
        match self {
            Decoder::Rnn(rnn) => DecoderLoop::Rnn(rnn.prepare(graph)),
            Decoder::Cnn(cnn) => DecoderLoop::Cnn(cnn.prepare(graph)),
        }
    }

    /// The memory that the decoder looks at for these sources.
    pub(crate) fn memory(&self, graph: &Graph<'_>, encoded: &Encoded) -> Memory {
        match self {
            Decoder::Rnn(rnn) => rnn.memory(graph, encoded),
            Decoder::Cnn(_) => Memory { keys: None, values: encoded.states.clone() },
        }
    }

    /// The first states, with one row for each of `sentences`.
    pub(crate) fn start(&self, graph: &Graph<'_>, encoded: &Encoded, sentences: &[usize]) -> DecoderState {
        match self {
            Decoder::Rnn(rnn) => DecoderState::Rnn(rnn.start(graph, encoded, sentences).with_zeros(
                graph,
                rnn,
                sentences.len(),
            )),
            Decoder::Cnn(cnn) => DecoderState::Cnn(cnn.start(graph, sentences.len())),
        }
    }
}

impl DecoderLoop {
    /// Runs one step for B rows: `embedded` B x E are their previous words, `spans` their source tokens in `memory`. For decoding
    /// only: nothing is recorded.
    pub(crate) fn advance(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        embedded: Var,
        spans: &Arc<[Range<u32>]>,
        state: &DecoderState,
    ) -> Stepped {
        match (self, state) {
            (DecoderLoop::Rnn(steps), DecoderState::Rnn(state)) => {
                steps.decode(graph, memory, &embedded, spans, state)
            }
            (DecoderLoop::Cnn(steps), DecoderState::Cnn(state)) => {
                steps.decode(graph, memory, embedded, spans, state)
            }
            _ => unreachable!("a decoder is given states of its own kind"),
        }
    }
}

impl DecoderState {
    /// Stacks these rows on those of `others`.
    pub(crate) fn join(&self, graph: &Graph<'_>, others: &DecoderState) -> DecoderState {
        match (self, others) {
            (DecoderState::Rnn(above), DecoderState::Rnn(below)) => {
                DecoderState::Rnn(above.join(graph, below))
            }
            (DecoderState::Cnn(above), DecoderState::Cnn(below)) => {
                DecoderState::Cnn(above.join(graph, below))
            }
            _ => unreachable!("states of one decoder are of one kind"),
        }
    }

    /// The states of `rows`, in that order: those of the surviving hypotheses.
    pub(crate) fn select(&self, graph: &Graph<'_>, rows: &Rows) -> DecoderState {
        match self {
            DecoderState::Rnn(state) => DecoderState::Rnn(state.select(graph, rows)),
            DecoderState::Cnn(state) => DecoderState::Cnn(state.select(graph, rows)),
        }
    }
}

/// Stacks the rows of `above` on those of `below`.
fn stack(graph: &Graph<'_>, above: &Var, below: &Var) -> Var {
    let border = above.value().rows() as u32;
    let total = border + below.value().rows() as u32;
    let parts = vec![(above.clone(), (0..border).collect()), (below.clone(), (border..total).collect())];
    ops::stack_rows(graph.tape, parts, total as usize)
}
