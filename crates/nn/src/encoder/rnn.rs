//! The recurrent encoder: a bidirectional first layer.

use kokanee_tensor::{Var, ops};

use super::Encoded;
use crate::batch::{Direction, Sequences};
use crate::config::ModelConfig;
use crate::graph::Graph;
use crate::params::{Builder, bidirectional_prefix};
use crate::rnn::Lstm;

/// One LSTM in each direction, half of the units each; their outputs stand side by side.
pub(crate) struct RnnEncoder {
    forward: Lstm,
    reverse: Lstm,
}

impl RnnEncoder {
    pub(crate) fn new(builder: &mut Builder, config: &ModelConfig) -> RnnEncoder {
        let mut direction = |reverse| {
            let (inputs, units) = (config.source_embedding, config.encoder.hidden / 2);
            Lstm::new(builder, bidirectional_prefix(reverse), inputs, units)
        };
        RnnEncoder { forward: direction(false), reverse: direction(true) }
    }

    /// From embedded tokens S x E. The reverse direction runs within each sentence.
    pub(crate) fn encode(&self, graph: &Graph<'_>, source: &Sequences, embedded: &Var) -> Encoded {
        let forward = run(graph, &self.forward, source, embedded, Direction::Forward);
        let reverse = run(graph, &self.reverse, source, embedded, Direction::Reverse);
        Encoded {
            states: ops::concat_columns(graph.tape, &forward, &reverse),
            last: (0..source.len()).map(|sentence| source.span(sentence).end - 1).collect(),
        }
    }
}

/// All hidden states of one layer, S x H in token order.
fn run(graph: &Graph<'_>, lstm: &Lstm, source: &Sequences, x: &Var, direction: Direction) -> Var {
    let timeline = source.timeline(direction);
    let projected = lstm.project(graph, x);
    let step = lstm.step(graph, 0);
    let mut state = None;
    let mut outputs = Vec::with_capacity(timeline.steps.len());
    for rows in &timeline.steps {
        let running = state.map(|state: crate::rnn::LstmState| state.first(graph, rows.len()));
        let next = step.advance(graph, &projected, rows, None, running.as_ref());
        outputs.push((next.h.clone(), rows.clone()));
        state = Some(next);
    }
    ops::stack_rows(graph.tape, outputs, x.value().rows())
}
