//! The mean of the rows of each span.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::attention;

use crate::{Tape, Tensor, Var};

/// Row r is the mean of the rows `spans[r]` of `x` (S x H); spans do not overlap.
///
/// Backward: each row of a span gets `dy_r / length`.
pub fn span_means(tape: &Tape, spans: &Arc<[Range<u32>]>, x: &Var) -> Var {
    let width = x.value().cols();
    let mut y = Tensor::scratch([spans.len(), width]);
    attention::means(tape.team(), spans, width, x.value().data(), y.data_mut());
    let y = tape.result(y, [x.slot()]);
    if y.wants_gradient() {
        let (dy, dx, shape) = (y.slot(), x.slot(), x.value().shape().clone());
        let spans = Arc::clone(spans);
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            gradients.accumulate_part(dx, &shape, |_, sum| {
                attention::means_backward(&spans, width, d.data(), sum.data_mut());
            });
        });
    }
    y
}
