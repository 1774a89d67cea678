//! Rows of a table by id.

use std::sync::Arc;

use kokanee_kernels::packed::{self, Format};
use kokanee_kernels::{Team, gather};

use crate::{Rows, Tape, Tensor, Var};

/// A table V x E whose rows are looked up.
#[derive(Clone)]
pub enum Table {
    /// A variable.
    Var(Var),
    /// Only in the format of a decoder's weights: for tapes that do not record.
    Packed(Arc<packed::Table>),
}

impl Table {
    /// The table that a decoder in `format` keeps: in `f32` it is shared with the model, and stays when the model is dropped.
    pub fn pack(team: &Team, format: Format, table: &Arc<Tensor>) -> Table {
        match format {
            Format::F32 => Table::Var(Var::shares(Arc::clone(table))),
            _ => Table::Packed(Arc::new(packed::Table::pack(team, format, table.data(), table.cols()))),
        }
    }

    /// Bytes of memory that the table takes.
    pub fn bytes(&self) -> usize {
        match self {
            Table::Var(var) => size_of_val(var.value().data()),
            Table::Packed(table) => table.bytes(),
        }
    }
}

/// Row `ids[t]` of `table` (V x E) for each token t: T x E.
///
/// Backward: row `ids[t]` of the table's gradient gets `dy_t`; rows that no token names stay zero and are not stored.
pub fn embedding(tape: &Tape, table: &Table, ids: Rows) -> Var {
    let table = match table {
        Table::Packed(table) => {
            assert!(!tape.is_recording(), "gradients go through tables as they are");
            let mut y = Tensor::scratch([ids.len(), table.width()]);
            table.look_up(tape.team(), y.data_mut(), &ids);
            return tape.constant(y);
        }
        Table::Var(table) => table,
    };
    let width = table.value().cols();
    let mut y = Tensor::scratch([ids.len(), width]);
    gather::gather_rows(tape.team(), y.data_mut(), table.value().data(), width, &ids);
    let y = tape.result(y, [table.slot()]);
    if y.wants_gradient() {
        let (dy, d_table, shape) = (y.slot(), table.slot(), table.value().shape().clone());
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            gradients.add_rows(d_table, &shape, &ids, &d);
        });
    }
    y
}
