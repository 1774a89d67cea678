//! y = a + b.

use kokanee_kernels::elementwise;

use crate::{Tape, Var};

/// The sum of two tensors of the same shape. Takes ownership of `a`, and reuses its memory if nobody else holds it.
///
/// Backward: `da = db = dy`.
pub fn add(tape: &Tape, a: Var, b: &Var) -> Var {
    let (da, db) = (a.slot(), b.slot());
    let mut y = a.into_value();
    elementwise::add_assign(tape.team(), y.data_mut(), b.value().data());
    let y = tape.result(y, [da, db]);
    if y.wants_gradient() {
        let dy = y.slot();
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            if db.is_wanted() {
                gradients.add(db, d.clone());
            }
            gradients.add(da, d);
        });
    }
    y
}
