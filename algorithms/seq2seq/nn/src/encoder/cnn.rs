//! The convolutional encoder: `x_{i+1} = x_i + activation(conv_i(x_i))`.

use kokanee_tensor::{Var, ops};

use crate::batch::Sequences;
use crate::config::CnnConfig;
use crate::convolution::{Convolutions, Side};
use crate::graph::Graph;
use crate::params::{self, Builder};

/// The layers of a convolutional encoder.
pub(crate) struct CnnEncoder {
    layers: Convolutions,
}

impl CnnEncoder {
    pub(super) fn new(builder: &mut Builder, config: &CnnConfig, embedding: usize) -> CnnEncoder {
        let names = [params::SOURCE_POSITIONS, params::ENCODER_CNN_INPUT];
        CnnEncoder { layers: Convolutions::new(builder, config, Side::Encoder, embedding, names) }
    }

    /// S x H from embedded tokens S x E.
    pub(super) fn encode(&self, graph: &Graph<'_>, source: &Sequences, embedded: Var) -> Var {
        let spans = source.spans();
        let mut x = self.layers.input(graph, embedded, source.positions());
        for filters in self.layers.filters(graph) {
            let y = ops::convolution(graph.tape, &spans, &x, &filters);
            x = ops::add(graph.tape, ops::activation(graph.tape, self.layers.activation, y), &x);
        }
        x
    }
}
