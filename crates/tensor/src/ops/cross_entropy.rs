//! The output layer and the loss as one operation.

use kokanee_kernels::softmax::{self, LossGradient, TokenLoss};
use kokanee_kernels::{Mat, MatMut, Precision, Rounded, gemm, gemm_rounded};

use crate::{Tape, Tensor, Var};

/// Floats of logits held at a time: 64 MiB, about twice the last cache of the machines this was measured on. Smaller tiles
/// read and write the weight's gradient more often than they save.
const TILE: usize = 16 << 20;

/// The loss of a batch.
pub struct CrossEntropy {
    /// `scale` times the sum of the tokens' negative log-probabilities: one number.
    pub loss: Var,
    /// Each token's own.
    pub tokens: Vec<TokenLoss>,
}

/// Softmax cross-entropy of `hidden W' + bias` with `labels`, times `gradient.scale`. With smoothing the gradient is that of the
/// smoothed loss, while the loss that is told is the plain one (so Sockeye and MXNet have it).
///
/// `hidden` T x H, `weight` V x H, `bias` V, one label a row. The logits exist a tile at a time and become their own gradient
/// in the same pass: `dlogits = scale (softmax - target)`, `dhidden = dlogits W`, `dW = dlogits' hidden`, `db = column sums`.
/// So when gradients are recorded they are ready when the loss is.
pub fn cross_entropy(
    tape: &Tape,
    hidden: &Var,
    weight: &Var,
    bias: &Var,
    labels: &[u32],
    gradient: LossGradient,
) -> CrossEntropy {
    in_tiles(tape, [hidden, weight, bias], labels, gradient, TILE)
}

/// As [`cross_entropy`], with so many floats of logits at a time. Not inlined, so that profiles have its name.
#[inline(never)]
fn in_tiles(
    tape: &Tape,
    [hidden, weight, bias]: [&Var; 3],
    labels: &[u32],
    gradient: LossGradient,
    tile: usize,
) -> CrossEntropy {
    let scale = gradient.scale;
    let (rows, width) = (hidden.value().rows(), hidden.value().cols());
    let vocabulary = weight.value().rows();
    assert!(
        rows == labels.len() && width == weight.value().cols() && vocabulary == bias.value().data().len()
    );
    let (team, precision) = (tape.team(), tape.precision());
    let wanted = [hidden, weight, bias].iter().any(|v| v.wants_gradient());
    let mut tokens = vec![TokenLoss::default(); rows];
    let mut d_hidden = Tensor::scratch(if wanted { [rows, width] } else { [0, width] });
    let mut d_weight = Tensor::scratch(if wanted { [vocabulary, width] } else { [0, width] });
    let mut d_bias = Tensor::zeros(if wanted { [vocabulary] } else { [0] });

    let tile = (tile / vocabulary.max(1)).clamp(1, rows.max(1));
    let mut logits = Tensor::scratch([tile, vocabulary]);
    for start in (0..rows).step_by(tile) {
        let end = (start + tile).min(rows);
        let count = end - start;
        let input = Mat::new(&hidden.value().data()[start * width..end * width], count, width);
        let logits = &mut logits.data_mut()[..count * vocabulary];
        let product = MatMut::new(logits, count, vocabulary);
        gemm(team, precision, product, 0.0, input, weight.value().mat().t());
        let (bias, labels, tokens) = (bias.value().data(), &labels[start..end], &mut tokens[start..end]);
        if !wanted {
            softmax::cross_entropy(team, logits, bias, labels, tokens);
            continue;
        }
        let d_bias = d_bias.data_mut();
        softmax::cross_entropy_gradients(team, precision, logits, bias, labels, gradient, tokens, d_bias);
        let beta = if start == 0 { 0.0 } else { 1.0 };
        let d_input = MatMut::new(&mut d_hidden.data_mut()[start * width..end * width], count, width);
        match precision {
            Precision::F32 => {
                let d_logits = Mat::new(logits, count, vocabulary);
                gemm(team, precision, d_input, 0.0, d_logits, weight.value().mat());
                gemm(team, precision, d_weight.mat_mut(), beta, d_logits.t(), input);
            }
            Precision::Bf16 => {
                let d_logits = Rounded::new(logits, count, vocabulary);
                gemm_rounded(team, d_input, 0.0, d_logits, weight.value().mat());
                gemm_rounded(team, d_weight.mat_mut(), beta, d_logits.t(), input);
            }
        }
    }

    let sum: f64 = tokens.iter().map(|t| f64::from(t.nll)).sum();
    let loss = Tensor::from_vec([1], vec![(sum * f64::from(scale)) as f32]);
    let loss = tape.result(loss, [hidden.slot(), weight.slot(), bias.slot()]);
    if loss.wants_gradient() && rows > 0 {
        let (d_loss, hidden, weight, bias) = (loss.slot(), hidden.slot(), weight.slot(), bias.slot());
        tape.record(move |gradients| {
            let Some(d_loss) = gradients.take(d_loss) else { return };
            let factor = d_loss.data()[0];
            for (slot, mut gradient) in [(hidden, d_hidden), (weight, d_weight), (bias, d_bias)] {
                if factor != 1.0 {
                    kokanee_kernels::elementwise::scale(&gradients.team(), gradient.data_mut(), factor);
                }
                gradients.add(slot, gradient);
            }
        });
    }
    CrossEntropy { loss, tokens }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kokanee_kernels::Team;
    use kokanee_testkit::{Rng, assert_close};

    use super::*;

    /// Losses and gradients do not depend on how many rows of logits there are at a time.
    #[test]
    fn tiles_add_up_to_the_whole() {
        let (rows, width, vocabulary) = (11, 6, 70);
        let mut rng = Rng::new(5);
        let mut drawn = |shape: [usize; 2]| {
            Arc::new(Tensor::from_vec(shape, rng.uniform_vec(shape[0] * shape[1], -1.0, 1.0)))
        };
        let values = [[rows, width], [vocabulary, width], [1, vocabulary]].map(&mut drawn);
        let labels: Vec<u32> = (0..rows as u32).map(|row| row * 5 % vocabulary as u32).collect();
        for precision in [Precision::F32, Precision::Bf16] {
            let run = |tile_rows: usize| {
                let tape = Tape::recording(Arc::new(Team::new(2))).in_precision(precision);
                let vars = values.each_ref().map(|value| tape.parameter(Arc::clone(value)));
                let gradient = LossGradient { scale: 0.25, smoothing: 0.1 };
                let loss = in_tiles(&tape, vars.each_ref(), &labels, gradient, tile_rows * vocabulary);
                let mut gradients = tape.backward(&loss.loss);
                let gradients = vars.each_ref().map(|var| gradients.take(var).expect("a gradient"));
                (loss.tokens, gradients)
            };
            let (tokens, whole) = run(rows);
            for tile_rows in [1, 4, 10] {
                let (tokens_of_tiles, tiled) = run(tile_rows);
                assert_eq!(tokens_of_tiles, tokens, "{precision:?}, {tile_rows} rows at a time");
                for (tiled, whole) in tiled.iter().zip(&whole) {
                    assert_close(tiled.data(), whole.data(), 1e-5, 1e-6, "gradient");
                }
            }
        }
    }
}
