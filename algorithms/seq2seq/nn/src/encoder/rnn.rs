//! The recurrent encoder: a bidirectional first layer, and layers from left to right above it.

use kokanee_tensor::{Var, ops};

use crate::batch::{Direction, Sequences};
use crate::config::RnnConfig;
use crate::graph::Graph;
use crate::params::{Builder, bidirectional_prefix, encoder_layer_prefix};
use crate::rnn::{Cell, CellDropout, run};

/// The layers of a recurrent encoder.
pub(crate) struct RnnEncoder {
    /// Each has half of the units; their outputs stand side by side.
    forward: Cell,
    reverse: Cell,
    /// The layers above, each with whether its input is added to its output.
    upper: Vec<(Cell, bool)>,
}

impl RnnEncoder {
    pub(super) fn new(
        builder: &mut Builder,
        config: &RnnConfig,
        dropout: CellDropout,
        inputs: usize,
    ) -> RnnEncoder {
        let kind = (config, dropout);
        let mut direction =
            |reverse| Cell::new(builder, kind, bidirectional_prefix(reverse), inputs, config.hidden / 2);
        let (forward, reverse) = (direction(false), direction(true));
        let upper = (0..config.layers - 1)
            .map(|layer| {
                let prefix = encoder_layer_prefix(layer);
                let cell = Cell::new(builder, kind, &prefix, config.hidden, config.hidden);
                // The bidirectional layer is number 1.
                (cell, config.first_residual_layer.is_some_and(|first| layer + 2 >= first))
            })
            .collect();
        RnnEncoder { forward, reverse, upper }
    }

    /// S x H from embedded tokens S x E. The reverse direction runs within each sentence.
    pub(super) fn encode(&self, graph: &Graph<'_>, source: &Sequences, embedded: &Var) -> Var {
        let forward = run(graph, &self.forward, source, embedded, Direction::Forward);
        let reverse = run(graph, &self.reverse, source, embedded, Direction::Reverse);
        let mut x = ops::concat_columns(graph.tape, &forward, &reverse);
        for (cell, residual) in &self.upper {
            let y = run(graph, cell, source, &x, Direction::Forward);
            x = if *residual { ops::add(graph.tape, y, &x) } else { y };
        }
        x
    }
}
