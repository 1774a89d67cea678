//! Attention by inner products: `score(s) = <T u, S enc_s>`, unscaled; a map is the identity where the widths are equal
//! already, as Sockeye has it.

use std::ops::Range;
use std::sync::Arc;

use kokanee_tensor::Var;
use kokanee_tensor::ops::{self, Attended, RecurrentWeight, Weight};

use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};

/// Parameters S (A x H_enc) and T (A x H), where they are needed.
pub(crate) struct Dot {
    keys: Option<ParameterId>,
    query: Option<ParameterId>,
}

pub(crate) struct DotMemory {
    /// S x A.
    pub(super) keys: Var,
    /// S x H_enc.
    pub(super) values: Var,
    pub(super) query: Option<RecurrentWeight>,
}

impl Dot {
    pub(super) fn new(builder: &mut Builder, units: usize, encoded: usize, decoded: usize) -> Dot {
        let mut map = |name, width| (width != units).then(|| builder.add(name, [units, width]));
        Dot { keys: map(params::DOT_KEYS, encoded), query: map(params::DOT_QUERY, decoded) }
    }

    pub(super) fn memory(&self, graph: &Graph<'_>, states: &Var) -> DotMemory {
        let weight = |id| Weight::whole(graph.var(id));
        DotMemory {
            keys: match self.keys {
                Some(keys) => ops::linear(graph.tape, states, &weight(keys), &[]),
                None => states.clone(),
            },
            values: states.clone(),
            query: self.query.map(|query| RecurrentWeight::new(graph.tape, weight(query))),
        }
    }
}

impl DotMemory {
    pub(super) fn attend(&self, graph: &Graph<'_>, spans: &Arc<[Range<u32>]>, output: &Var) -> Attended {
        let queries = match &self.query {
            Some(query) => ops::recurrent_linear(graph.tape, None, &[(output, query)]),
            None => output.clone(),
        };
        ops::dot_attention(graph.tape, spans, &self.keys, &queries, &self.values)
    }
}
