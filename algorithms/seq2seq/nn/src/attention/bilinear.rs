//! Attention by a bilinear form: `score(s) = <W enc_s, u>` (Luong et al. call it general).

use kokanee_tensor::{Var, ops};

use crate::graph::Graph;
use crate::params::{self, Builder, ParameterId};

/// Parameter W, H x H_enc.
pub(crate) struct Bilinear {
    weight: ParameterId,
}

impl Bilinear {
    pub(super) fn new(builder: &mut Builder, encoded: usize, decoded: usize) -> Bilinear {
        Bilinear { weight: builder.add(params::BILINEAR, [decoded, encoded]) }
    }

    /// The form is applied to the encoder's side once, S x H; the rest is an inner product.
    pub(super) fn keys(&self, graph: &Graph<'_>, states: &Var) -> Var {
        ops::linear(graph.tape, states, &graph.weight(self.weight), &[])
    }
}
