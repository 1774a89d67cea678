//! Attention: which source tokens a decoder step looks at. A new kind is one file here and one arm in each `match`.

mod bilinear;
mod dot;
mod fixed;
mod mlp;

use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::RnnAttentionType;
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

/// Encoder outputs as an attention sees them, laid out for a loop.
pub(crate) enum Memory {
    Mlp(mlp::MlpMemory),
    Dot(dot::DotMemory),
    Fixed(fixed::FixedMemory),
}

impl Attention {
    /// Between encoder outputs of width `encoded` and decoder outputs of width `decoded`.
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

    /// Prepares to look at encoder outputs S x H_enc.
    pub(crate) fn memory(&self, graph: &Graph<'_>, states: &Var) -> Memory {
        match self {
            Attention::Mlp(mlp) => Memory::Mlp(mlp.memory(graph, states)),
            Attention::Dot(dot) => Memory::Dot(dot.memory(graph, states)),
            Attention::Bilinear(bilinear) => Memory::Dot(bilinear.memory(graph, states)),
            Attention::Fixed => Memory::Fixed(fixed::FixedMemory::new(states)),
        }
    }
}

impl Memory {
    /// Looks from decoder outputs B x H at each row's span of tokens.
    pub(crate) fn attend(&self, graph: &Graph<'_>, spans: &Arc<[Range<u32>]>, output: &Var) -> Attended {
        match self {
            Memory::Mlp(memory) => memory.attend(graph, spans, output),
            Memory::Dot(memory) => memory.attend(graph, spans, output),
            Memory::Fixed(memory) => memory.attend(graph, spans),
        }
    }
}
