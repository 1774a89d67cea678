//! Recurrent cells and layers.

mod cell;
mod layer;

pub(crate) use cell::{Cell, CellState, CellStep};
pub(crate) use layer::run;
