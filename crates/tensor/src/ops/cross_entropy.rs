//! The output layer and the loss as one operation.

use kokanee_kernels::cross_entropy::{self as kernel, LogitGradients, LossGradient, OutputLayer, TokenLoss};
use kokanee_kernels::{Mat, MatMut, Side, elementwise, gemm};

use crate::{Tape, Tensor, Var};

/// The number of gradients of logits held at a time: 64 MiB in `f32`, about twice the last cache of the machines on which this was
/// measured. With smaller tiles, reading and writing the weight's gradient more often costs more than they save.
const TILE: usize = 16 << 20;

/// The number of rows of logits whose gradients exist at a time, for estimates of memory.
pub fn logit_rows(vocabulary: usize) -> u64 {
    rows_of_tile(TILE, vocabulary) as u64
}

fn rows_of_tile(tile: usize, vocabulary: usize) -> usize {
    (tile / vocabulary.max(1)).max(1)
}

/// The loss of a batch.
pub struct CrossEntropy {
    /// `scale` times the sum of the tokens' negative log-probabilities: one number.
    pub loss: Var,
    /// The loss of each token.
    pub tokens: Vec<TokenLoss>,
}

/// Computes the softmax cross-entropy of `hidden W' + bias` with `labels`, times `gradient.scale`. With smoothing the gradient is
/// that of the smoothed loss, while the returned loss is the plain one (as in Sockeye and MXNet).
///
/// `hidden` T x H, `weight` V x H, `bias` V, one label per row. `dlogits = scale (softmax - target)`, `dhidden = dlogits W`,
/// `dW = dlogits' hidden`, `db = column sums`. The kernel computes `dlogits` while it multiplies, a tile of rows at a time, except
/// for a factor of each row: `dlogits = F G` with a diagonal F, so `dhidden = F (G W)` and `dW = G' (F hidden)`. So when gradients
/// are recorded they are ready together with the loss.
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

/// As [`cross_entropy`], with gradients of so many logits at a time. Not inlined, so that profiles have its name.
#[inline(never)]
fn in_tiles(
    tape: &Tape,
    [hidden, weight, bias]: [&Var; 3],
    labels: &[u32],
    gradient: LossGradient,
    tile: usize,
) -> CrossEntropy {
    let (rows, width) = (hidden.value().rows(), hidden.value().cols());
    let vocabulary = weight.value().rows();
    assert!(
        rows == labels.len() && width == weight.value().cols() && vocabulary == bias.value().data().len()
    );
    let mut tokens = vec![TokenLoss::default(); rows];
    let wanted = [hidden, weight, bias].iter().any(|v| v.wants_gradient());
    let loss = |tokens: &[TokenLoss]| {
        let sum: f64 = tokens.iter().map(|t| f64::from(t.nll)).sum();
        let loss = Tensor::from_vec([1], vec![(sum * f64::from(gradient.scale)) as f32]);
        tape.result(loss, [hidden.slot(), weight.slot(), bias.slot()])
    };
    let (values, bias_values) = (hidden.value().data(), bias.value().data());
    let layer = OutputLayer { hidden: values, weight: weight.value().data(), bias: bias_values };
    if !wanted || rows == 0 {
        kernel::losses(tape.team(), tape.precision(), layer, labels, &mut tokens);
        return CrossEntropy { loss: loss(&tokens), tokens };
    }

    let (team, precision) = (tape.team(), tape.precision());
    let mut d_hidden = Tensor::scratch([rows, width]);
    let mut d_weight = Tensor::scratch([vocabulary, width]);
    let mut d_bias = Tensor::zeros([vocabulary]);
    let tile = rows_of_tile(tile, vocabulary).min(rows);
    let gradient_width = precision.stored(vocabulary);
    let mut gradients = Tensor::scratch([tile, gradient_width]);
    let mut scaled = Tensor::scratch([tile, width]);
    let mut factors = vec![0.0; tile];
    for start in (0..rows).step_by(tile) {
        let end = (start + tile).min(rows);
        let count = end - start;
        let input = start * width..end * width;
        let gradients = &mut gradients.data_mut()[..count * gradient_width];
        let factors = &mut factors[..count];
        kernel::gradients(
            team,
            precision,
            OutputLayer { hidden: &values[input.clone()], ..layer },
            &labels[start..end],
            gradient,
            &mut tokens[start..end],
            LogitGradients { rows: gradients, factors },
            d_bias.data_mut(),
        );
        let scaled = &mut scaled.data_mut()[..count * width];
        scaled.copy_from_slice(&values[input.clone()]);
        elementwise::scale_rows(team, scaled, factors);
        let scaled = Mat::new(scaled, count, width);
        let beta = if start == 0 { 0.0 } else { 1.0 };
        let d_input = &mut d_hidden.data_mut()[input];
        let (to_input, to_weight) = (MatMut::new(d_input, count, width), d_weight.mat_mut());
        let gradients = Side::stored(precision, gradients, count, vocabulary);
        gemm(team, precision, to_input, 0.0, gradients, weight.value().mat());
        gemm(team, precision, to_weight, beta, gradients.t(), scaled);
        elementwise::scale_rows(team, d_input, factors);
    }

    let loss = loss(&tokens);
    let (d_loss, hidden, weight, bias) = (loss.slot(), hidden.slot(), weight.slot(), bias.slot());
    tape.record(move |gradients| {
        let Some(d_loss) = gradients.take(d_loss) else { return };
        let factor = d_loss.data()[0];
        for (slot, mut gradient) in [(hidden, d_hidden), (weight, d_weight), (bias, d_bias)] {
            if factor != 1.0 {
                elementwise::scale(&gradients.team(), gradient.data_mut(), factor);
            }
            gradients.add(slot, gradient);
        }
    });
    CrossEntropy { loss, tokens }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kokanee_kernels::{Precision, Team};
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
                // The kernel for other shapes may add up a logit in another order.
                let nll = |tokens: &[TokenLoss]| tokens.iter().map(|token| token.nll).collect::<Vec<f32>>();
                let context = format!("{precision:?}, {tile_rows} rows at a time");
                assert_close(&nll(&tokens_of_tiles), &nll(&tokens), 1e-6, 1e-6, &context);
                for (tiled, whole) in tiled.iter().zip(&whole) {
                    assert_close(tiled.data(), whole.data(), 1e-5, 1e-6, "gradient");
                }
            }
        }
    }
}
