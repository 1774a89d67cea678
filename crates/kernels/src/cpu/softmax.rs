//! Softmax over a vocabulary: the loss with its gradient, and the best words of a row.

use std::sync::{Mutex, PoisonError};

use super::elementwise::add_part;
use super::gemm::{Precision, prefetch, round_row};
use super::reduce::{max_lanes, sum_lanes};
use super::threads::{SharedMut, Team};
use super::{LANES, math};

/// What the loss of one row says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenLoss {
    /// Negative natural logarithm of the probability of the label.
    pub nll: f32,
    /// Whether the label is the most probable word (the first of equals).
    pub correct: bool,
}

/// How the gradient of a loss is taken.
#[derive(Clone, Copy, Debug)]
pub struct LossGradient {
    /// Factor of every gradient.
    pub scale: f32,
    /// Share of the target distribution that is spread evenly over the words other than the label (Szegedy et al. 2016, as
    /// MXNet computes it), in [0, 1).
    pub smoothing: f32,
}

/// Cross-entropy of every row of `logits` (rows x V, V = `bias.len()`), to which `bias` is added first. The losses are those of
/// the label alone. The content of `logits` is undefined afterwards.
pub fn cross_entropy(
    team: &Team,
    logits: &mut [f32],
    bias: &[f32],
    labels: &[u32],
    losses: &mut [TokenLoss],
) {
    split_rows(team, logits, labels, losses, |_, rows| {
        rows.for_each(|(logits, label, loss)| *loss = cross_entropy_row(logits, bias, label, None));
    });
}

/// As [`cross_entropy`], with gradients: each row of `logits` becomes `(softmax - target) * scale`, where the target is
/// 1 - smoothing for the label and smoothing / (V - 1) for every other word, and the sum of the rows is added to `d_bias`.
///
/// In bf16 the rows are rounded as [`Rounded`](super::gemm::Rounded) has them; their sum is not.
pub fn cross_entropy_gradients(
    team: &Team,
    precision: Precision,
    logits: &mut [f32],
    bias: &[f32],
    labels: &[u32],
    gradient: LossGradient,
    losses: &mut [TokenLoss],
    d_bias: &mut [f32],
) {
    assert_eq!(d_bias.len(), bias.len(), "one gradient a bias");
    let sums = Mutex::new(Vec::new());
    split_rows(team, logits, labels, losses, |first, rows| {
        let mut sum = vec![0.0; bias.len()];
        for (logits, label, loss) in rows {
            *loss = cross_entropy_row(logits, bias, label, Some((gradient, &mut sum)));
            if precision == Precision::Bf16 {
                round_row(logits);
            }
        }
        sums.lock().unwrap_or_else(PoisonError::into_inner).push((first, sum));
    });
    let mut sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    // In the order of the rows, whoever came first.
    sums.sort_by_key(|(first, _)| *first);
    sums.iter().for_each(|(_, sum)| add_part(d_bias, sum));
}

/// Calls `part` with the number of a row, and from there on rows of logits with their labels and losses: on each thread with
/// some of them.
fn split_rows(
    team: &Team,
    logits: &mut [f32],
    labels: &[u32],
    losses: &mut [TokenLoss],
    part: impl Fn(usize, &mut dyn Iterator<Item = (&mut [f32], usize, &mut TokenLoss)>) + Sync,
) {
    assert_eq!(losses.len(), labels.len(), "one loss a label");
    if labels.is_empty() {
        return;
    }
    let vocabulary = logits.len() / labels.len();
    assert_eq!(logits.len(), labels.len() * vocabulary, "one row of logits a label");
    let (logits, losses) = (SharedMut::new(logits), SharedMut::new(losses));
    team.split(labels.len(), 1, |range| {
        // SAFETY: `split` gives each thread rows of its own.
        let (logits, losses) = unsafe {
            (logits.slice(range.start * vocabulary..range.end * vocabulary), losses.slice(range.clone()))
        };
        let rows = logits.chunks_exact_mut(vocabulary).zip(&labels[range.clone()]).zip(losses);
        part(range.start, &mut rows.map(|((logits, &label), loss)| (logits, label as usize, loss)));
    });
}

multiversion! {
    /// With a `gradient` the row becomes it, and is added to the sum beside it.
    fn cross_entropy_row(
        logits: &mut [f32], bias: &[f32], label: usize, gradient: Option<(LossGradient, &mut [f32])>,
    ) -> TokenLoss {
        assert!(logits.len() == bias.len() && label < bias.len(), "one logit a word, of which the label is one");
        let max = add_and_max(logits, bias);
        let label_logit = logits[label];
        let correct = label_logit >= max && !logits[..label].contains(&max);
        let sum = exp_and_sum::<FMA>(logits, max);
        if let Some((LossGradient { scale, smoothing }, sums)) = gradient {
            let factor = scale / sum;
            let others = scale * smoothing / (logits.len().max(2) - 1) as f32;
            for (x, sum) in logits.iter_mut().zip(&mut *sums) {
                *x = *x * factor - others;
                *sum += *x;
            }
            let target = scale * (1.0 - smoothing) - others;
            logits[label] -= target;
            sums[label] -= target;
        }
        TokenLoss { nll: sum.ln() + max - label_logit, correct }
    }
}

/// `x += bias`; returns the largest value.
#[inline(always)]
fn add_and_max(x: &mut [f32], bias: &[f32]) -> f32 {
    let mut max = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    let (bias_blocks, bias_rest) = bias.as_chunks::<LANES>();
    for (x, b) in blocks.iter_mut().zip(bias_blocks) {
        for lane in 0..LANES {
            x[lane] += b[lane];
            max[lane] = if x[lane] > max[lane] { x[lane] } else { max[lane] };
        }
    }
    let mut largest = max_lanes(max);
    for (x, b) in rest.iter_mut().zip(bias_rest) {
        *x += b;
        largest = largest.max(*x);
    }
    largest
}

/// `x = e^(x - max)`; returns the sum. What follows `x` in memory, the next row, is fetched meanwhile: arithmetic has the time that
/// memory needs.
#[inline(always)]
fn exp_and_sum<const FMA: bool>(x: &mut [f32], max: f32) -> f32 {
    let mut sums = [0f32; LANES];
    let row = x.len();
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    for x in blocks {
        prefetch(x.as_ptr().wrapping_add(row));
        for lane in 0..LANES {
            x[lane] = math::exp::<FMA>(x[lane] - max);
            sums[lane] += x[lane];
        }
    }
    let mut sum = sum_lanes(sums);
    for x in rest {
        *x = math::exp::<FMA>(*x - max);
        sum += *x;
    }
    sum
}

/// The sum of `e^(x - max)`, with the bits that [`exp_and_sum`] gives.
#[inline(always)]
fn sum_of_exps<const FMA: bool>(x: &[f32], max: f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for x in blocks {
        for lane in 0..LANES {
            sums[lane] += math::exp::<FMA>(x[lane] - max);
        }
    }
    rest.iter().fold(sum_lanes(sums), |sum, x| sum + math::exp::<FMA>(*x - max))
}

multiversion! {
    /// Softmax of one short row, in place.
    pub fn softmax_row(x: &mut [f32]) {
        let max = x.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
        let sum = exp_and_sum::<FMA>(x, max);
        x.iter_mut().for_each(|x| *x /= sum);
    }
}

/// A word and its cost, the negative natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WordCost {
    /// Index in the vocabulary.
    pub word: u32,
    /// -ln p.
    pub cost: f32,
}

/// The `k` most probable words of each row of `logits` (rows x V), to which `bias` is added first; cheapest first, equals in
/// the order of the vocabulary. `best` takes rows x min(k, V) entries. The content of `logits` is undefined afterwards.
pub fn best_words(team: &Team, logits: &mut [f32], bias: &[f32], k: usize, best: &mut [WordCost]) {
    let vocabulary = bias.len();
    let k = k.min(vocabulary);
    if k == 0 {
        return;
    }
    let rows = best.len() / k;
    assert!(best.len() == rows * k && logits.len() == rows * vocabulary);
    let (logits, best) = (SharedMut::new(logits), SharedMut::new(best));
    team.split(rows, 1, |range| {
        for row in range {
            // SAFETY: `split` gives each thread rows of its own.
            let (logits, best) = unsafe {
                (logits.slice(row * vocabulary..(row + 1) * vocabulary), best.slice(row * k..(row + 1) * k))
            };
            best_words_row(logits, bias, best);
        }
    });
}

multiversion! {
    fn best_words_row(logits: &mut [f32], bias: &[f32], best: &mut [WordCost]) {
        // A small insertion-sorted list of the largest logits; a whole block is passed over when none of it can enter.
        let k = best.len();
        let mut filled = 0;
        let mut threshold = f32::NEG_INFINITY;
        let mut enter = |word: usize, logit: f32| -> f32 {
            if filled == k && logit <= best[k - 1].cost {
                return best[k - 1].cost;
            }
            let mut at = if filled < k { filled } else { k - 1 };
            while at > 0 && best[at - 1].cost < logit {
                best[at] = best[at - 1];
                at -= 1;
            }
            best[at] = WordCost { word: word as u32, cost: logit };
            filled = (filled + 1).min(k);
            if filled == k { best[k - 1].cost } else { f32::NEG_INFINITY }
        };
        let (blocks, rest) = logits.as_chunks_mut::<LANES>();
        let (bias_blocks, bias_rest) = bias.as_chunks::<LANES>();
        let start = blocks.len() * LANES;
        for (block, (x, b)) in blocks.iter_mut().zip(bias_blocks).enumerate() {
            let mut any = false;
            for lane in 0..LANES {
                x[lane] += b[lane];
                any |= x[lane] > threshold;
            }
            if any {
                for (lane, &x) in x.iter().enumerate() {
                    if x > threshold {
                        threshold = enter(block * LANES + lane, x);
                    }
                }
            }
        }
        for (lane, (x, b)) in rest.iter_mut().zip(bias_rest).enumerate() {
            *x += b;
            if *x > threshold {
                threshold = enter(start + lane, *x);
            }
        }
        let max = if filled > 0 { best[0].cost } else { f32::NEG_INFINITY };
        let log_sum = sum_of_exps::<FMA>(logits, max).ln() + max;
        for (rank, entry) in best.iter_mut().enumerate() {
            // Rows of NaN fill nothing: they get words in order at infinite cost.
            *entry = if rank < filled {
                WordCost { word: entry.word, cost: log_sum - entry.cost }
            } else {
                WordCost { word: rank as u32, cost: f32::INFINITY }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(rows: usize, vocabulary: usize) -> Vec<f32> {
        (0..rows * vocabulary).map(|i| ((i * 7919 + 13) % 601) as f32 / 60.0 - 5.0).collect()
    }

    /// -ln softmax(x + bias), in f64.
    fn costs(x: &[f32], bias: &[f32]) -> Vec<f64> {
        let x: Vec<f64> = x.iter().zip(bias).map(|(x, b)| f64::from(x + b)).collect();
        let max = x.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln() + max;
        x.iter().map(|x| log_sum - x).collect()
    }

    #[test]
    fn cross_entropy_equals_its_definition() {
        for vocabulary in [1, 5, 16, 37, 300] {
            let team = Team::new(2);
            let rows = 7;
            let bias: Vec<f32> = (0..vocabulary).map(|i| (i % 5) as f32 / 3.0).collect();
            let labels: Vec<u32> = (0..rows).map(|r| (r * 31 % vocabulary) as u32).collect();
            let x = logits(rows, vocabulary);
            let mut got = x.clone();
            let mut losses = vec![TokenLoss::default(); rows];
            cross_entropy(&team, &mut x.clone(), &bias, &labels, &mut losses);
            let losses_alone = std::mem::replace(&mut losses, vec![TokenLoss::default(); rows]);
            let smoothing = if vocabulary > 1 { 0.1 } else { 0.0 };
            let gradient = LossGradient { scale: 0.5, smoothing };
            let mut d_bias = vec![0.0; vocabulary];
            let gradients = |precision, logits: &mut [f32], losses: &mut [TokenLoss], d_bias: &mut [f32]| {
                cross_entropy_gradients(&team, precision, logits, &bias, &labels, gradient, losses, d_bias);
            };
            gradients(Precision::F32, &mut got, &mut losses, &mut d_bias);
            assert_eq!(losses, losses_alone);
            for (word, sum) in d_bias.iter().enumerate() {
                let want: f32 = (0..rows).map(|row| got[row * vocabulary + word]).sum();
                assert!((sum - want).abs() < 1e-6, "bias {word}: {sum} {want}");
            }
            let (mut rounded, mut d_bias_rounded) = (x.clone(), vec![0.0; vocabulary]);
            gradients(Precision::Bf16, &mut rounded, &mut losses, &mut d_bias_rounded);
            assert_eq!(d_bias_rounded, d_bias);
            for (rounded, got) in rounded.chunks(vocabulary).zip(got.chunks(vocabulary)) {
                let mut want = got.to_vec();
                round_row(&mut want);
                let words = vocabulary.div_ceil(2);
                assert!((0..words).all(|i| rounded[i].to_bits() == want[i].to_bits()));
            }
            for row in 0..rows {
                let span = row * vocabulary..(row + 1) * vocabulary;
                let want = costs(&x[span.clone()], &bias);
                let label = labels[row] as usize;
                assert!((f64::from(losses[row].nll) - want[label]).abs() < 1e-5);
                let first_best = (0..vocabulary).min_by(|&a, &b| want[a].total_cmp(&want[b])).unwrap();
                assert_eq!(losses[row].correct, first_best == label);
                for (word, got) in got[span].iter().enumerate() {
                    let smoothing = f64::from(smoothing);
                    let others = smoothing / (vocabulary.max(2) - 1) as f64;
                    let target = if word == label { 1.0 - smoothing } else { others };
                    let gradient = 0.5 * ((-want[word]).exp() - target);
                    assert!((f64::from(*got) - gradient).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn best_words_are_the_sorted_costs() {
        for (vocabulary, k) in [(1, 3), (5, 5), (37, 5), (300, 1), (601, 12)] {
            let team = Team::new(2);
            let rows = 4;
            let bias = vec![0.25; vocabulary];
            let x = logits(rows, vocabulary);
            let k = k.min(vocabulary);
            let mut best = vec![WordCost { word: 0, cost: 0.0 }; rows * k];
            best_words(&team, &mut x.clone(), &bias, k, &mut best);
            for row in 0..rows {
                let want = costs(&x[row * vocabulary..(row + 1) * vocabulary], &bias);
                let mut order: Vec<usize> = (0..vocabulary).collect();
                order.sort_by(|&a, &b| want[a].total_cmp(&want[b]).then(a.cmp(&b)));
                for (got, &want_word) in best[row * k..(row + 1) * k].iter().zip(&order) {
                    assert_eq!(got.word as usize, want_word);
                    assert!((f64::from(got.cost) - want[want_word]).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn rows_of_nan_do_not_panic() {
        let mut best = vec![WordCost { word: 9, cost: 0.0 }; 3];
        best_words(&Team::new(1), &mut [f32::NAN; 20], &[0.0; 20], 3, &mut best);
        assert!(best.iter().all(|b| b.cost == f32::INFINITY && b.word < 20));
    }
}
