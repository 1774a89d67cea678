//! The output layer and its loss: softmax cross-entropy of `hidden W' + bias`, without storing all logits at once.
//!
//! A product hands over its sums a piece at a time, while they lie in the first cache (`gemm_into`). For each logit
//! `e = exp(logit - shift)` is kept, where the shift of a row is about its label's logit, known beforehand from one inner product.
//! After all pieces, the sum of a row's `e` determines the rest: its softmax is `e / sum`, and its gradient with respect to the
//! logits is `(e - sum target) * (scale / sum)`. The products that follow apply the last factor in brackets, so that only the
//! label's element changes after it was written.

use std::cell::Cell;

use super::gemm::{
    Mat, Piece, Precision, TILE_ROWS, gemm_into, parts, parts_of_word, prefetch, rounded_words, words_mut,
};
use super::optimizer::add_scaled_part;
use super::pages::Block;
use super::reduce::{dot, max_lanes, sum_lanes};
use super::threads::{SharedMut, Team};
use super::{LANES, math};

#[cfg(test)]
mod tests;

/// The loss of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenLoss {
    /// Negative natural logarithm of the probability of the label.
    pub nll: f32,
    /// Whether the label is the most probable word (the first of equals).
    pub correct: bool,
}

/// The options of a loss's gradient.
#[derive(Clone, Copy, Debug)]
pub struct LossGradient {
    /// Factor of every gradient.
    pub scale: f32,
    /// Share of the target distribution that is spread evenly over the words other than the label (Szegedy et al. 2016, as
    /// MXNet computes it), in [0, 1).
    pub smoothing: f32,
}

/// An output layer and its inputs: T rows of H, for V words.
#[derive(Clone, Copy)]
pub struct OutputLayer<'a> {
    /// T x H.
    pub hidden: &'a [f32],
    /// V x H.
    pub weight: &'a [f32],
    /// V.
    pub bias: &'a [f32],
}

/// Output buffers for the gradients with respect to the logits (T x V). Row t is `rows[t] * factors[t]`: a product with them is one
/// with `rows` whose other side, or result, is multiplied by the factors.
pub struct LogitGradients<'a> {
    /// T x V, as [`Side::stored`](super::gemm::Side::stored) reads them.
    pub rows: &'a mut [f32],
    /// T.
    pub factors: &'a mut [f32],
}

/// Computes the losses of the labels, one per row of `hidden`.
pub fn losses(
    team: &Team,
    precision: Precision,
    layer: OutputLayer<'_>,
    labels: &[u32],
    losses: &mut [TokenLoss],
) {
    let sums = RowSums::of(team, precision, layer, labels, None);
    sums.split_rows(team, losses, |row, loss| *loss = sums.loss(row).0);
}

/// Computes losses as [`losses`] does, and their gradients: with respect to a row of logits `(softmax - target) * scale`, where the
/// target is 1 - smoothing for the label and smoothing / (V - 1) for every other word. The sum of the gradients over the rows is
/// added to `d_bias`.
///
/// In bf16 the gradients are rounded, but not their factors.
pub fn gradients(
    team: &Team,
    precision: Precision,
    layer: OutputLayer<'_>,
    labels: &[u32],
    gradient: LossGradient,
    losses: &mut [TokenLoss],
    to: LogitGradients<'_>,
    d_bias: &mut [f32],
) {
    let (rows, vocabulary) = (labels.len(), layer.bias.len());
    let width = precision.stored(vocabulary);
    let LogitGradients { rows: gradients, factors } = to;
    assert!(gradients.len() == rows * width && factors.len() == rows && d_bias.len() == vocabulary);
    let shared = SharedMut::new(gradients);
    let sums = RowSums::of(team, precision, layer, labels, Some(shared));
    let factors_shared = SharedMut::new(factors);
    let others = gradient.smoothing / (vocabulary.max(2) - 1) as f32;
    sums.split_rows(team, losses, |row, loss| {
        let (own, total) = sums.loss(row);
        *loss = own;
        // SAFETY: `split_rows` gives each thread its own rows.
        let gradients = unsafe {
            factors_shared.set(row, gradient.scale / total);
            shared.slice(row * width..(row + 1) * width)
        };
        if others != 0.0 {
            match precision {
                Precision::F32 => gradients.iter_mut().for_each(|x| *x -= total * others),
                Precision::Bf16 => subtract_rounded(words_mut(gradients), vocabulary, total * others),
            }
        }
        let (label, exp) = (labels[row] as usize, sums.label_exp(row));
        let value = exp - total * (1.0 - gradient.smoothing);
        match precision {
            Precision::F32 => gradients[label] = value,
            Precision::Bf16 => set_rounded(&mut words_mut(gradients)[label / 2], label % 2, value),
        }
    });
    add_to_bias(team, precision, gradients, factors, d_bias);
}

/// Adds the gradients of all rows to the gradient of the bias.
fn add_to_bias(team: &Team, precision: Precision, gradients: &[f32], factors: &[f32], d_bias: &mut [f32]) {
    let (vocabulary, width) = (d_bias.len(), precision.stored(d_bias.len()));
    let d_bias = SharedMut::new(d_bias);
    team.split(vocabulary.div_ceil(COLUMNS), 1, |range| {
        let mut sums = [[0.0; COLUMNS / 2]; 2];
        for block in range {
            let cols = block * COLUMNS..vocabulary.min((block + 1) * COLUMNS);
            // SAFETY: `split` gives each thread its own blocks.
            let d_bias = unsafe { d_bias.slice(cols.clone()) };
            let rows = gradients.chunks_exact(width).zip(factors);
            match precision {
                Precision::F32 => {
                    rows.for_each(|(row, &factor)| add_scaled_part(d_bias, factor, &row[cols.clone()]));
                }
                Precision::Bf16 => {
                    let words = cols.start / 2..cols.end.div_ceil(2);
                    let [first, second] = sums.each_mut().map(|sums| &mut sums[..words.len()]);
                    first.fill(0.0);
                    second.fill(0.0);
                    rows.for_each(|(row, &factor)| {
                        add_scaled_parts(first, second, factor, &row[words.clone()])
                    });
                    for (pair, (first, second)) in d_bias.chunks_mut(2).zip(first.iter().zip(second)) {
                        pair.iter_mut().zip([*first, *second]).for_each(|(y, x)| *y += x);
                    }
                }
            }
        }
    });
}

/// The number of columns whose sums over all rows stay in the first cache; even.
const COLUMNS: usize = 2048;
/// Above this limit a sum of a row's exponentials may have overflowed: the label is e^69 times less probable than the best word.
const LARGEST_TOTAL: f32 = 1e30;

/// The values collected for each row while its logits are computed.
struct RowSums {
    rows: usize,
    parts: usize,
    /// Subtracted from a row's logits before exponentials are taken.
    shifts: Vec<f32>,
    of_parts: PartSums,
    /// Sum of each row's exponentials.
    totals: Vec<f32>,
    labels: Vec<LabelLogit>,
}

/// Sums of the parts of each row (parts x rows), so that the threads' turns do not decide their order.
#[derive(Default)]
struct PartSums {
    /// Sums of exponentials.
    totals: Block<f32>,
    /// Largest logits.
    maxima: Block<f32>,
}

thread_local! {
    /// Memory that each thread keeps for the next loss.
    static PART_SUMS: Cell<Option<PartSums>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Default)]
struct LabelLogit {
    logit: f32,
    /// The part that holds the label.
    part: usize,
    /// Whether it is the largest logit of its part, and the first of equals.
    leads: bool,
}

impl RowSums {
    /// Computes all logits; their exponentials go to `exps` in the form of [`LogitGradients::rows`].
    fn of(
        team: &Team,
        precision: Precision,
        layer: OutputLayer<'_>,
        labels: &[u32],
        exps: Option<SharedMut<f32>>,
    ) -> RowSums {
        let (rows, vocabulary) = (labels.len(), layer.bias.len());
        let depth = layer.weight.len() / vocabulary.max(1);
        assert!(layer.hidden.len() == rows * depth && layer.weight.len() == vocabulary * depth);
        assert!(labels.iter().all(|&label| (label as usize) < vocabulary), "labels are words");
        let parts = parts(precision, depth, vocabulary);
        let shift = |row: usize| {
            let (hidden, label) = (&layer.hidden[row * depth..(row + 1) * depth], labels[row] as usize);
            dot(hidden, &layer.weight[label * depth..(label + 1) * depth]) + layer.bias[label]
        };
        let mut shifts = vec![0.0; rows];
        let shared = SharedMut::new(&mut shifts);
        team.split(rows, ROWS, |range| {
            for row in range {
                // SAFETY: `split` gives each thread its own rows.
                unsafe { shared.set(row, shift(row)) };
            }
        });
        let mut sums = RowSums {
            rows,
            parts,
            shifts,
            of_parts: PART_SUMS.take().unwrap_or_default(),
            totals: vec![0.0; rows],
            labels: vec![LabelLogit::default(); rows],
        };
        sums.compute(team, precision, layer, labels, exps);
        // Where a label is next to impossible, the row is computed again with the largest logit instead of the label's.
        let mut out_of_range = false;
        for row in 0..rows {
            if sums.totals[row] > LARGEST_TOTAL {
                sums.shifts[row] = sums.largest(row);
                out_of_range = true;
            }
        }
        if out_of_range {
            sums.compute(team, precision, layer, labels, exps);
        }
        sums
    }

    fn compute(
        &mut self,
        team: &Team,
        precision: Precision,
        layer: OutputLayer<'_>,
        labels: &[u32],
        exps: Option<SharedMut<f32>>,
    ) {
        let (rows, vocabulary, shifts) = (self.rows, layer.bias.len(), &self.shifts);
        let depth = layer.weight.len() / vocabulary.max(1);
        let width = precision.stored(vocabulary);
        let totals = SharedMut::new(self.of_parts.totals.room(self.parts * rows));
        let maxima = SharedMut::new(self.of_parts.maxima.room(self.parts * rows));
        let found = SharedMut::new(&mut self.labels);
        let (a, b) = (Mat::new(layer.hidden, rows, depth), Mat::new(layer.weight, vocabulary, depth).t());
        gemm_into(team, precision, a, b, &|mut piece: Piece<'_>| {
            let (part, cols) = (piece.part, piece.cols.clone());
            let bias = &layer.bias[cols.clone()];
            for (row, logits) in piece.by_rows() {
                let label = labels[row] as usize;
                if cols.contains(&label) {
                    let label = label - cols.start;
                    let (logit, leads) = label_among(logits, bias, label);
                    // SAFETY: each row has its label in exactly one part, and pieces share no rows of a part.
                    unsafe { found.set(row, LabelLogit { logit, part, leads }) };
                }
                let (largest, total) = exponentials(logits, bias, shifts[row]);
                let at = part * rows + row;
                // SAFETY: pieces share no rows of a part.
                unsafe {
                    totals.set(at, total);
                    maxima.set(at, largest);
                }
                let Some(exps) = exps else { continue };
                let start = row * width + precision.stored(cols.start);
                // SAFETY: as above; parts begin at whole panels, so that no word of two numbers belongs to two parts.
                let to = unsafe { exps.slice(start..start + precision.stored(cols.len())) };
                precision.store(logits, to);
                // The destination of the next tile, fetched so that its writes need not wait for memory.
                let next = to.as_ptr().wrapping_add(TILE_ROWS * width);
                (0..to.len()).step_by(LANES).for_each(|at| prefetch(next.wrapping_add(at)));
            }
        });
        self.totals.fill(0.0);
        for part in self.of_parts.totals[..self.parts * rows].chunks_exact(rows.max(1)) {
            self.totals.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }

    /// The largest logit of a row.
    fn largest(&self, row: usize) -> f32 {
        (0..self.parts)
            .map(|part| self.of_parts.maxima[part * self.rows + row])
            .fold(f32::NEG_INFINITY, f32::max)
    }

    /// The exponential of a row's label, bit for bit as [`exponentials`] computes it.
    fn label_exp(&self, row: usize) -> f32 {
        let mut logit = [self.labels[row].logit];
        exponentials(&mut logit, &[0.0], self.shifts[row]).1
    }

    /// The loss of a row, and the sum of its exponentials.
    fn loss(&self, row: usize) -> (TokenLoss, f32) {
        let LabelLogit { logit, part: own, leads } = self.labels[row];
        let largest = |part: usize| self.of_parts.maxima[part * self.rows + row];
        let correct = leads
            && (0..own).all(|p| largest(p) < logit)
            && (own + 1..self.parts).all(|p| largest(p) <= logit);
        let total = self.totals[row];
        (TokenLoss { nll: total.ln() + (self.shifts[row] - logit), correct }, total)
    }

    /// Calls `each` on all threads with every row and its loss, which `each` must set.
    fn split_rows(&self, team: &Team, losses: &mut [TokenLoss], each: impl Fn(usize, &mut TokenLoss) + Sync) {
        assert_eq!(losses.len(), self.rows, "one loss a label");
        let losses = SharedMut::new(losses);
        team.split(self.rows, ROWS, |range| {
            // SAFETY: `split` gives each thread its own rows.
            let losses = unsafe { losses.slice(range.clone()) };
            range.zip(losses).for_each(|(row, loss)| each(row, loss));
        });
    }
}

impl Drop for RowSums {
    fn drop(&mut self) {
        // A thread that is ending keeps nothing.
        let _ = PART_SUMS.try_with(|kept| kept.set(Some(std::mem::take(&mut self.of_parts))));
    }
}

/// The least number of rows that a thread finishes.
const ROWS: usize = 16;

multiversion! {
    /// The logit of the label, and whether it is the largest, and the first of equals.
    fn label_among(sums: &[f32], bias: &[f32], label: usize) -> (f32, bool) {
        let own = sums[label] + bias[label];
        let mut logits = sums.iter().zip(bias).map(|(sum, bias)| sum + bias);
        let before = logits.by_ref().take(label).all(|logit| logit < own);
        (own, before && logits.all(|logit| logit <= own))
    }
}

multiversion! {
    /// Computes `sums = exp(sums + bias - shift)`. Returns the largest of `sums + bias` and the sum of the exponentials.
    fn exponentials(sums: &mut [f32], bias: &[f32], shift: f32) -> (f32, f32) {
        let mut largest = [f32::NEG_INFINITY; LANES];
        let mut totals = [0f32; LANES];
        let (blocks, rest) = sums.as_chunks_mut::<LANES>();
        let (bias_blocks, bias_rest) = bias.as_chunks::<LANES>();
        for (x, b) in blocks.iter_mut().zip(bias_blocks) {
            for lane in 0..LANES {
                let logit = x[lane] + b[lane];
                largest[lane] = if logit > largest[lane] { logit } else { largest[lane] };
                x[lane] = math::exp::<FMA>(logit - shift);
                totals[lane] += x[lane];
            }
        }
        let (mut most, mut total) = (max_lanes(largest), sum_lanes(totals));
        for (x, b) in rest.iter_mut().zip(bias_rest) {
            let logit = *x + b;
            most = most.max(logit);
            *x = math::exp::<FMA>(logit - shift);
            total += *x;
        }
        (most, total)
    }
}

multiversion! {
    /// Adds `factor x`, for pairs `x` of bf16 numbers.
    fn add_scaled_parts(first: &mut [f32], second: &mut [f32], factor: f32, x: &[f32]) {
        for ((first, second), x) in first.iter_mut().zip(second).zip(x) {
            let (x_first, x_second) = parts_of_word(x.to_bits());
            *first += factor * x_first;
            *second += factor * x_second;
        }
    }
}

/// Subtracts `x` from each of `count` bf16 numbers.
fn subtract_rounded(words: &mut [u32], count: usize, x: f32) {
    for (index, word) in words.iter_mut().enumerate() {
        let (first, second) = parts_of_word(*word);
        let pair = [first - x, second - x];
        rounded_words(&pair[..(count - 2 * index).min(2)], std::slice::from_mut(word));
    }
}

/// Sets one of the two bf16 numbers of a word.
fn set_rounded(word: &mut u32, which: usize, value: f32) {
    let (first, second) = parts_of_word(*word);
    let mut pair = [first, second];
    pair[which] = value;
    rounded_words(&pair, std::slice::from_mut(word));
}
