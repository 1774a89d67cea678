//! Attention by inner products: `score(s) = <T u, S enc_s>`, unscaled; as in Sockeye, a map is the identity if the widths are
//! already equal.

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::Var;
use kokanee_tensor::ops::{self, Attended, RecurrentWeight};

use super::Memory;
use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};

/// Parameters S (A x H_enc) and T (A x H), if they are needed.
pub(crate) struct Dot {
    keys: Option<ParameterId>,
    query: Option<ParameterId>,
}

/// The attention laid out for a loop.
pub(crate) struct DotStep {
    query: Option<RecurrentWeight>,
}

impl Dot {
    pub(super) fn new(builder: &mut Builder, units: usize, encoded: usize, decoded: usize) -> Dot {
        let mut map = |name, width| (width != units).then(|| builder.add(name, [units, width]));
        Dot { keys: map(params::DOT_KEYS, encoded), query: map(params::DOT_QUERY, decoded) }
    }

    /// S x A, if they are not the encoder's outputs themselves.
    pub(super) fn keys(&self, graph: &Graph<'_>, states: &Var) -> Option<Var> {
        let keys = graph.weight(self.keys?);
        Some(ops::linear(graph.tape, states, &keys, &[]))
    }

    pub(super) fn step(&self, graph: &Graph<'_>) -> DotStep {
        let lay_out = |query| RecurrentWeight::new(graph.tape, graph.weight(query));
        DotStep { query: self.query.map(lay_out) }
    }
}

impl DotStep {
    /// Attention without a map of the query.
    pub(super) fn plain() -> DotStep {
        DotStep { query: None }
    }

    pub(super) fn attend(
        &self,
        graph: &Graph<'_>,
        memory: &Memory,
        spans: &Arc<[Range<u32>]>,
        output: &Var,
    ) -> Attended {
        let queries = match &self.query {
            Some(query) => ops::recurrent_linear(graph.tape, None, &[(output, query)]),
            None => output.clone(),
        };
        ops::dot_attention(graph.tape, spans, memory.keys(), &queries, &memory.values)
    }
}
