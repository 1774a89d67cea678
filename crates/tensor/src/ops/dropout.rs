//! y = x with some elements set to zero.

use kokanee_kernels::dropout as kernel;

use crate::{Rows, Tape, Var};

/// Applies inverted dropout to each element with probability `rate`; does nothing on a tape that does not train. Takes ownership of
/// `x`.
///
/// Backward: the same mask on dy; it is computed again instead of kept.
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

/// Applies dropout with one mask per sequence (Gal and Ghahramani 2016): row r of `x` has the mask of sequence `sequences[r]`, and
/// `key`, from [`sequence_dropout_key`], is the same at every step of a loop. Without a key nothing is dropped.
///
/// Backward: the same mask on dy.
pub fn sequence_dropout(tape: &Tape, x: &Var, sequences: &Rows, key: Option<(f32, u64)>) -> Var {
    let Some((rate, key)) = key else { return x.clone() };
    let (dx, width) = (x.slot(), x.value().cols());
    let mut y = x.value().clone();
    kernel::dropout_rows(tape.team(), y.data_mut(), width, sequences, rate, key);
    let y = tape.result(y, [dx]);
    if y.wants_gradient() {
        let (dy, sequences) = (y.slot(), Rows::clone(sequences));
        tape.record(move |gradients| {
            let Some(mut d) = gradients.take(dy) else { return };
            kernel::dropout_rows(&gradients.team(), d.data_mut(), width, &sequences, rate, key);
            gradients.add(dx, d);
        });
    }
    y
}

/// The key of masks for [`sequence_dropout`]; none on a tape that does not train, or for a rate of zero.
pub fn sequence_dropout_key(tape: &Tape, rate: f32) -> Option<(f32, u64)> {
    if rate == 0.0 { None } else { Some((rate, tape.next_dropout_key()?)) }
}
