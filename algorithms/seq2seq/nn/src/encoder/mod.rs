//! Encoders: compute vectors from embedded source tokens.

mod cnn;
mod rnn;

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::{Rows, Var};

use crate::batch::Sequences;
use crate::config::{EncoderConfig, ModelConfig};
use crate::graph::Graph;
use crate::params::Builder;

/// An encoder of either kind.
pub(crate) enum Encoder {
    Rnn(rnn::RnnEncoder),
    Cnn(cnn::CnnEncoder),
}

/// The output of an encoder for the decoder.
pub(crate) struct Encoded {
    /// S x H_enc, in token order.
    pub(crate) states: Var,
    /// The rows of each sentence.
    pub(crate) spans: Arc<[Range<u32>]>,
}

impl Encoder {
    pub(crate) fn new(builder: &mut Builder, config: &ModelConfig) -> Encoder {
        match &config.encoder {
            EncoderConfig::Rnn(rnn) => Encoder::Rnn(rnn::RnnEncoder::new(
                builder,
                rnn,
                (&config.dropout).into(),
                config.source_embedding,
            )),
            EncoderConfig::Cnn(cnn) => {
                Encoder::Cnn(cnn::CnnEncoder::new(builder, cnn, config.source_embedding))
            }
        }
    }

    /// Encodes embedded tokens S x E.
    pub(crate) fn encode(&self, graph: &Graph<'_>, source: &Sequences, embedded: Var) -> Encoded {
        let states = match self {
            Encoder::Rnn(rnn) => rnn.encode(graph, source, &embedded),
            Encoder::Cnn(cnn) => cnn.encode(graph, source, embedded),
        };
        Encoded { states, spans: source.spans() }
    }
}

impl Encoded {
    /// The last token of each sentence of `sentences`.
    pub(crate) fn last(&self, sentences: &[usize]) -> Rows {
        sentences.iter().map(|&sentence| self.spans[sentence].end - 1).collect()
    }
}
