//! One GRU step after its products.

use kokanee_kernels::rnn_cell;

use crate::{Tape, Tensor, Var};

/// The new state h, B x H, from the pre-activations of the input (`input`, B x 3H) and of the state (`hidden`, B x 3H), both in
/// the order r, z, n, and the old `h`.
///
/// `r = sigma(a_r + b_r)`, `z = sigma(a_z + b_z)`, `n = tanh(a_n + r b_n)`, `h' = (1 - z) n + z h` (Cho et al. 2014; the reset gate
/// comes after the recurrent product, as in MXNet). Kept for backward: the activated gates (in `input`'s memory), `hidden` and `h`;
/// the derivation is at `rnn_cell::gru_backward`.
pub fn gru_cell(tape: &Tape, input: Var, hidden: Var, h: &Var) -> Var {
    let (rows, units) = (h.value().rows(), h.value().cols());
    let (d_input, d_hidden) = (input.slot(), hidden.slot());
    let mut gates = input.into_value();
    assert_eq!((gates.rows(), gates.cols()), (rows, 3 * units), "pre-activations of a GRU");
    let mut next = Tensor::scratch([rows, units]);
    let team = tape.team();
    rnn_cell::gru_forward(
        team,
        units,
        gates.data_mut(),
        hidden.value().data(),
        h.value().data(),
        next.data_mut(),
    );
    let next = tape.result(next, [d_input, d_hidden, h.slot()]);
    if next.wants_gradient() {
        let (h, d_next) = (h.clone(), next.slot());
        tape.record(move |gradients| {
            let Some(mut d) = gradients.take(d_next) else { return };
            let mut hidden = hidden.into_value();
            rnn_cell::gru_backward(
                &gradients.team(),
                units,
                gates.data_mut(),
                hidden.data_mut(),
                h.value().data(),
                d.data_mut(),
            );
            gradients.add(d_input, gates);
            gradients.add(d_hidden, hidden);
            gradients.add(&h, d);
        });
    }
    next
}
