//! Rows of a table by id.

use kokanee_kernels::gather;

use crate::{Rows, Tape, Tensor, Var};

/// Row `ids[t]` of `table` (V x E) for each token t: T x E.
///
/// Backward: row `ids[t]` of the table's gradient gets `dy_t`; rows that no token names stay zero and are not stored.
pub fn embedding(tape: &Tape, table: &Var, ids: Rows) -> Var {
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
