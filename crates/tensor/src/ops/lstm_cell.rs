//! One LSTM step after its products.

use kokanee_kernels::{dropout, rnn_cell};

use crate::{Tape, Tensor, Var};

/// The new state `(h, c)`, B x H each, from pre-activations `z` B x 4H in the order i, f, g, o and the old `c`.
///
/// `c' = sigma(f) c + sigma(i) tanh(g)`; `h' = sigma(o) tanh(c')` (Hochreiter and Schmidhuber 1997 with the forget gate of Gers
/// 2000; the gate order is MXNet's). On a tape that trains, elements of the addend of c are dropped with probability `dropout`.
/// Kept for backward: the activated gates (in `z`'s memory), the mask, `c` and `c'`; the derivation is at
/// `rnn_cell::lstm_backward`.
pub fn lstm_cell(tape: &Tape, z: Var, c: &Var, dropout: f32) -> (Var, Var) {
    let (rows, units) = (c.value().rows(), c.value().cols());
    let dz = z.slot();
    let mut gates = z.into_value();
    assert_eq!((gates.rows(), gates.cols()), (rows, 4 * units), "pre-activations of an LSTM");
    let mut c_next = Tensor::scratch([rows, units]);
    let mut h_next = Tensor::scratch([rows, units]);
    let mask = (dropout > 0.0).then(|| tape.next_dropout_key()).flatten().map(|key| {
        let mut mask = Tensor::scratch([rows, units]);
        mask.data_mut().fill(1.0);
        dropout::dropout(tape.team(), mask.data_mut(), dropout, key);
        mask
    });
    rnn_cell::lstm_forward(
        tape.team(),
        units,
        gates.data_mut(),
        mask.as_ref().map(Tensor::data),
        c.value().data(),
        c_next.data_mut(),
        h_next.data_mut(),
    );
    let c_next = tape.result(c_next, [dz, c.slot()]);
    let h_next = tape.result(h_next, [dz, c.slot()]);
    if h_next.wants_gradient() {
        let (c, c_next, dh) = (c.clone(), c_next.clone(), h_next.slot());
        tape.record(move |gradients| {
            let (dh, dc) = (gradients.take(dh), gradients.take(&c_next));
            if dh.is_none() && dc.is_none() {
                return;
            }
            let dh = dh.unwrap_or_else(|| Tensor::zeros([rows, units]));
            let mut dc = dc.unwrap_or_else(|| Tensor::zeros([rows, units]));
            rnn_cell::lstm_backward(
                &gradients.team(),
                units,
                gates.data_mut(),
                mask.as_ref().map(Tensor::data),
                c.value().data(),
                c_next.value().data(),
                dh.data(),
                dc.data_mut(),
            );
            gradients.add(dz, gates);
            gradients.add(&c, dc);
        });
    }
    (h_next, c_next)
}
