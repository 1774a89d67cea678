//! y = tanh(x).

use kokanee_kernels::elementwise;

use crate::{Tape, Var};

/// `tanh(x)`, any shape. Takes ownership of `x`, and reuses its memory if nobody else holds it.
///
/// Backward: `dx = dy (1 - y^2)`.
pub fn tanh(tape: &Tape, x: Var) -> Var {
    let dx = x.slot();
    let mut y = x.into_value();
    elementwise::tanh(tape.team(), y.data_mut());
    let y = tape.result(y, [dx]);
    if y.wants_gradient() {
        let saved = y.clone();
        tape.record(move |gradients| {
            let Some(mut d) = gradients.take(&saved) else { return };
            elementwise::tanh_backward(&gradients.team(), d.data_mut(), saved.value().data());
            gradients.add(dx, d);
        });
    }
    y
}
