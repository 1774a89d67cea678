//! Decoders: from encoded sources and the words so far to the vector that the output layer reads.

mod cnn;
mod rnn;

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::{Rows, Tensor, Var};

use crate::batch::Sequences;
use crate::config::{DecoderConfig, ModelConfig};
use crate::encoder::Encoded;
use crate::graph::Graph;
use crate::params::Builder;

/// A decoder of either kind.
pub(crate) enum Decoder {
    Rnn(rnn::RnnDecoder),
    Cnn(cnn::CnnDecoder),
}

/// A decoder laid out for a loop over one set of sources.
#[expect(clippy::large_enum_variant, reason = "there is one for many steps")]
pub(crate) enum DecoderLoop<'d> {
    Rnn(rnn::RnnLoop<'d>),
    Cnn(cnn::CnnLoop<'d>),
}

/// What a decoder keeps between two steps, for B rows.
#[derive(Clone)]
pub(crate) enum DecoderState {
    Rnn(rnn::RnnState),
    Cnn(cnn::CnnState),
}

/// What one step gives.
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
            DecoderConfig::Rnn(decoder) => Decoder::Rnn(rnn::RnnDecoder::new(builder, config, decoder)),
            DecoderConfig::Cnn(cnn) => Decoder::Cnn(cnn::CnnDecoder::new(builder, config, cnn)),
        }
    }

    /// Teacher forcing: the output layer's inputs T x H, in token order, for embedded targets T x E.
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

    /// Prepares a loop over encoded sources.
    pub(crate) fn prepare<'d>(&'d self, graph: &Graph<'_>, encoded: &Encoded) -> DecoderLoop<'d> {
        match self {
            Decoder::Rnn(rnn) => DecoderLoop::Rnn(rnn.prepare(graph, encoded)),
            Decoder::Cnn(cnn) => DecoderLoop::Cnn(cnn.prepare(graph, encoded)),
        }
    }

    /// First states for one row for each of `sentences`.
    pub(crate) fn start(&self, graph: &Graph<'_>, encoded: &Encoded, sentences: &[usize]) -> DecoderState {
        match self {
            Decoder::Rnn(rnn) => DecoderState::Rnn(rnn.start(graph, encoded, sentences)),
            Decoder::Cnn(cnn) => DecoderState::Cnn(cnn.start(graph, sentences.len())),
        }
    }
}

impl DecoderLoop<'_> {
    /// One step for B rows: `embedded` B x E are their previous words, `spans` their source tokens. For decoding only:
    /// nothing is recorded.
    pub(crate) fn advance(
        &self,
        graph: &Graph<'_>,
        embedded: Var,
        spans: &Arc<[Range<u32>]>,
        state: &DecoderState,
    ) -> Stepped {
        match (self, state) {
            (DecoderLoop::Rnn(steps), DecoderState::Rnn(state)) => {
                steps.decode(graph, &embedded, spans, state)
            }
            (DecoderLoop::Cnn(steps), DecoderState::Cnn(state)) => {
                steps.decode(graph, embedded, spans, state)
            }
            _ => unreachable!("a decoder is given states of its own kind"),
        }
    }
}

impl DecoderState {
    /// The states of `rows`, in that order: hypotheses that live on.
    pub(crate) fn select(&self, graph: &Graph<'_>, rows: &Rows) -> DecoderState {
        match self {
            DecoderState::Rnn(state) => DecoderState::Rnn(state.select(graph, rows)),
            DecoderState::Cnn(state) => DecoderState::Cnn(state.select(graph, rows)),
        }
    }
}
