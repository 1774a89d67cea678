//! Attention: the source tokens that a decoder step looks at. A new kind is one file here and one arm in each `match`.

mod bilinear;
mod dot;
mod fixed;
mod mlp;

use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::RnnAttentionType;
use kokanee_tensor::Var;
use kokanee_tensor::ops::Attended;

use crate::config::AttentionConfig;
use crate::graph::Graph;
use crate::params::Builder;

/// Parameters of an attention.
pub(crate) enum Attention {
    Mlp(mlp::Mlp),
    Dot(dot::Dot),
    Bilinear(bilinear::Bilinear),
    Fixed,
}

/// Encoder outputs of sentences in the form for decoders: one row per source token.
pub(crate) struct Memory {
    /// S x A, from which scores are computed; none if they are computed from the values.
    pub(crate) keys: Option<Var>,
    /// S x H_enc, from which contexts are computed.
    pub(crate) values: Var,
}

/// An attention laid out for a loop.
pub(crate) enum AttentionStep {
    Mlp(mlp::MlpStep),
    Dot(dot::DotStep),
    Fixed,
}

impl Attention {
    /// Creates an attention between encoder outputs of width `encoded` and decoder outputs of width `decoded`.
    pub(crate) fn new(
        builder: &mut Builder,
        config: &AttentionConfig,
        encoded: usize,
        decoded: usize,
    ) -> Self {
        let units = config.hidden;
        match config.kind {
            RnnAttentionType::Mlp => Attention::Mlp(mlp::Mlp::new(builder, units, encoded, decoded)),
            RnnAttentionType::Dot => Attention::Dot(dot::Dot::new(builder, units, encoded, decoded)),
            RnnAttentionType::Bilinear => {
                Attention::Bilinear(bilinear::Bilinear::new(builder, encoded, decoded))
            }
            RnnAttentionType::Fixed => Attention::Fixed,
        }
    }

    /// The memory of decoders, from encoder outputs S x H_enc.
    pub(crate) fn memory(&self, graph: &Graph<'_>, states: &Var) -> Memory {
        let keys = match self {
            Attention::Mlp(mlp) => Some(mlp.keys(graph, states)),
            Attention::Dot(dot) => dot.keys(graph, states),
            Attention::Bilinear(bilinear) => Some(bilinear.keys(graph, states)),
            Attention::Fixed => None,
        };
        Memory { keys, values: states.clone() }
    }

    /// Lays the decoder's side out for a loop.
    pub(crate) fn step(&self, graph: &Graph<'_>) -> AttentionStep {
        match self {
            Attention::Mlp(mlp) => AttentionStep::Mlp(mlp.step(graph)),
            Attention::Dot(dot) => AttentionStep::Dot(dot.step(graph)),
            // The form has been applied to the encoder's side already; the rest is an inner product.
            Attention::Bilinear(_) => AttentionStep::Dot(dot::DotStep::plain()),
            Attention::Fixed => AttentionStep::Fixed,
        }
    }
}

impl AttentionStep {
    /// Attends from decoder outputs B x H to each row's span of tokens.
    pub(crate) fn attend(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        spans: &Arc<[Range<u32>]>,
        output: &Var,
    ) -> Attended {
        match self {
            AttentionStep::Mlp(mlp) => mlp.attend(graph, memory, spans, output),
            AttentionStep::Dot(dot) => dot.attend(graph, memory, spans, output),
            AttentionStep::Fixed => fixed::attend(graph, memory, spans),
        }
    }
}

impl Memory {
    /// The matrix from which scores are computed.
    pub(crate) fn keys(&self) -> &Var {
        self.keys.as_ref().unwrap_or(&self.values)
    }
}
