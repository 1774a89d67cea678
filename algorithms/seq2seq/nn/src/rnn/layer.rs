//! A recurrent layer over whole sentences.

use kokanee_tensor::{Var, ops};

use super::cell::{Cell, CellState, StepInputs};
use crate::batch::{Direction, Sequences};
use crate::graph::Graph;

/// Computes all hidden states of a layer over inputs `x` (S x K in token order), S x H in token order; the first states are zeros.
pub(crate) fn run(graph: &Graph<'_>, cell: &Cell, source: &Sequences, x: &Var, direction: Direction) -> Var {
    let timeline = source.timeline(direction);
    let projected = cell.project(graph, x, &source.sentences());
    let step = cell.step(graph, &[]);
    let mut state: Option<CellState> = None;
    let mut outputs = Vec::with_capacity(timeline.steps.len());
    for rows in &timeline.steps {
        let running = state.map(|state| state.map(|x| ops::first_rows(graph.tape, x, rows.len())));
        let sentences = &timeline.sentences(rows.len());
        let inputs = StepInputs { sentences, projected: Some((&projected, rows)), inside: &[] };
        let next = step.advance(graph, &inputs, running.as_ref());
        outputs.push((next.h.clone(), rows.clone()));
        state = Some(next);
    }
    ops::stack_rows(graph.tape, outputs, x.value().rows())
}
