//! Recurrent cells.

mod lstm;

pub(crate) use lstm::{Lstm, LstmState, LstmStep};
