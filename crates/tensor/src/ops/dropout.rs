//! y = x with some elements left out.

use kokanee_kernels::dropout as kernel;

use crate::{Tape, Var};

/// Inverted dropout of each element with probability `rate`; nothing on a tape that does not train. Takes `x` over.
///
/// Backward: the same mask on dy; it is drawn again rather than kept.
pub fn dropout(tape: &Tape, x: Var, rate: f32) -> Var {
    if rate == 0.0 {
        return x;
    }
    let Some(key) = tape.next_dropout_key() else { return x };
    let dx = x.slot();
    let mut y = x.into_value();
    kernel::dropout(tape.team(), y.data_mut(), rate, key);
    let y = tape.result(y, [dx]);
    if y.wants_gradient() {
        let dy = y.slot();
        tape.record(move |gradients| {
            let Some(mut d) = gradients.take(dy) else { return };
            kernel::dropout(&gradients.team(), d.data_mut(), rate, key);
            gradients.add(dx, d);
        });
    }
    y
}
