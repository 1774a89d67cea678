//! Attention with a hidden layer: `score(s) = v . tanh(E enc_s + Q u)`, no biases (Bahdanau, Cho and Bengio 2015; Luong et
//! al. call it concat).

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::Var;
use kokanee_tensor::ops::{self, Attended, RecurrentWeight};

use super::Memory;
use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};

/// Parameters E (A x H_enc), Q (A x H), v (1 x A).
pub(crate) struct Mlp {
    keys: ParameterId,
    query: ParameterId,
    score: ParameterId,
}

/// The attention laid out for a loop.
pub(crate) struct MlpStep {
    query: RecurrentWeight,
    score: Var,
}

impl Mlp {
    pub(super) fn new(builder: &mut Builder, units: usize, encoded: usize, decoded: usize) -> Mlp {
        Mlp {
            keys: builder.add(params::MLP_KEYS, [units, encoded]),
            query: builder.add(params::MLP_QUERY, [units, decoded]),
            score: builder.add(params::MLP_SCORE, [1, units]),
        }
    }

    /// S x A.
    pub(super) fn keys(&self, graph: &Graph<'_>, states: &Var) -> Var {
        ops::linear(graph.tape, states, &graph.weight(self.keys), &[])
    }

    pub(super) fn step(&self, graph: &Graph<'_>) -> MlpStep {
        MlpStep {
            query: RecurrentWeight::new(graph.tape, graph.weight(self.query)),
            score: graph.var(self.score).clone(),
        }
    }
}

impl MlpStep {
    pub(super) fn attend(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        spans: &Arc<[Range<u32>]>,
        output: &Var,
    ) -> Attended {
        let queries = ops::recurrent_linear(graph.tape, None, &[(output, &self.query)]);
        ops::mlp_attention(graph.tape, spans, memory.keys(), &queries, &self.score, &memory.values)
    }
}
