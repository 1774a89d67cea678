//! Recurrent cells and layers.

mod cell;
mod layer;

pub(crate) use cell::{Cell, CellDropout, CellState, CellStep, StepInputs};
pub(crate) use layer::run;
