//! Attention with a hidden layer: `score(s) = v . tanh(E enc_s + Q u)`, no biases (Bahdanau, Cho and Bengio 2015; Luong et
//! al. call it concat).

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::Var;
use kokanee_tensor::ops::{self, Attended, RecurrentWeight, Weight};

use crate::config::ModelConfig;
use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};

/// Parameters of the mlp attention.
pub(crate) struct MlpAttention {
    keys: ParameterId,
    query: ParameterId,
    score: ParameterId,
}

/// Encoder outputs as the attention sees them, and the attention laid out for a loop.
pub(crate) struct MlpMemory {
    /// S x A.
    keys: Var,
    /// S x H_enc.
    values: Var,
    query: RecurrentWeight,
    score: Var,
}

impl MlpAttention {
    pub(crate) fn new(builder: &mut Builder, config: &ModelConfig) -> MlpAttention {
        let units = config.attention.hidden;
        MlpAttention {
            keys: builder.add(params::ATTENTION_KEYS, [units, config.encoder.hidden]),
            query: builder.add(params::ATTENTION_QUERY, [units, config.decoder.hidden]),
            score: builder.add(params::ATTENTION_SCORE, [1, units]),
        }
    }

    /// Prepares to look at encoder outputs S x H_enc.
    pub(crate) fn memory(&self, graph: &Graph<'_>, states: &Var) -> MlpMemory {
        MlpMemory {
            keys: ops::linear(graph.tape, states, &Weight::whole(graph.var(self.keys)), &[]),
            values: states.clone(),
            query: RecurrentWeight::new(graph.tape, Weight::whole(graph.var(self.query))),
            score: graph.var(self.score).clone(),
        }
    }
}

impl MlpMemory {
    /// Looks from decoder outputs B x H at each row's span of tokens.
    pub(crate) fn attend(&self, graph: &Graph<'_>, spans: &Arc<[Range<u32>]>, output: &Var) -> Attended {
        let queries = ops::recurrent_linear(graph.tape, None, &[(output, &self.query)]);
        ops::mlp_attention(graph.tape, spans, &self.keys, &queries, &self.score, &self.values)
    }
}
