//! Softmax over a vocabulary: the best words of a row, and the cost of a word.

use super::reduce::sum_lanes;
use super::threads::{SharedMut, Team};
use super::{LANES, math};

/// Computes `x = e^(x - max)`; returns the sum.
#[inline(always)]
fn exp_and_sum<const FMA: bool>(x: &mut [f32], max: f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    for x in blocks {
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

/// The sum of `e^(x - max)`, bit for bit as [`exp_and_sum`] computes it.
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
    /// Computes the softmax of one short row, in place.
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

multiversion! {
    /// The cost of one word of a row of `logits` (V), to which `bias` is added first. The content of `logits` is undefined
    /// afterwards.
    pub fn word_cost(logits: &mut [f32], bias: &[f32], word: u32) -> WordCost {
        assert!(logits.len() == bias.len() && (word as usize) < bias.len(), "one logit a word, of which this is one");
        logits.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        let max = logits.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
        let logit = logits[word as usize];
        WordCost { word, cost: exp_and_sum::<FMA>(logits, max).ln() + max - logit }
    }
}

/// Finds the `k` most probable words of each row of `logits` (rows x V), to which `bias` is added first; cheapest first, equals in
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
            // SAFETY: `split` gives each thread its own rows.
            let (logits, best) = unsafe {
                (logits.slice(row * vocabulary..(row + 1) * vocabulary), best.slice(row * k..(row + 1) * k))
            };
            best_words_row(logits, bias, best);
        }
    });
}

multiversion! {
    fn best_words_row(logits: &mut [f32], bias: &[f32], best: &mut [WordCost]) {
        // A small insertion-sorted list of the largest logits. A whole block is skipped if none of it can enter the list.
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
            // Rows of NaN fill no entries: they get words in order at infinite cost.
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
    fn a_word_costs_what_its_definition_says() {
        for vocabulary in [1, 5, 37, 300] {
            let bias: Vec<f32> = (0..vocabulary).map(|i| (i % 5) as f32 / 3.0).collect();
            let x = logits(1, vocabulary);
            let want = costs(&x, &bias);
            for word in 0..vocabulary {
                let got = word_cost(&mut x.clone(), &bias, word as u32);
                assert!(got.word as usize == word && (f64::from(got.cost) - want[word]).abs() < 1e-5);
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
